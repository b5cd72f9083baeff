//! The load: what comes when, whatever is still unanswered (an open loop, as forges are one).
//!
//! Times count from when something was due, so that a wait for a free environment is part of them.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::deliveries::Sample;
use crate::installation::{Installation, TABLE};
use crate::runtime::{Answer, Runtime};

/// Every so many pushes one comes again a second later, under the same delivery id: a redelivery.
const REDELIVERED: u32 = 10;
/// Every so many pushes one comes at the same moment under another delivery id: two hooks, or a replay.
const REPEATED: u32 = 20;

/// How much comes how fast.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// How many.
    pub(crate) count: u32,
    /// Evenly in this time.
    pub(crate) within: Duration,
}

impl Pace {
    /// When number `n` is due, from the beginning.
    fn due(self, n: u32) -> Duration {
        self.within * n / self.count
    }
}

/// How long one delivery took.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    /// From when it was due.
    pub(crate) answered: Duration,
    /// In the function alone.
    pub(crate) handled: Duration,
}

/// What was answered.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Counts {
    /// Deliveries that were sent.
    sent: usize,
    /// Pushes among them.
    pushes: u32,
    /// Answered with a new run.
    new: usize,
    /// Answered with the run that another delivery of the push has started.
    before: usize,
    /// Answered in another way.
    other: usize,
    /// Pushes whose deliveries were answered with different runs.
    divided: usize,
}

/// All answers.
#[derive(Debug)]
pub(crate) struct Answers {
    pub(crate) times: Vec<Times>,
    pub(crate) counts: Counts,
}

impl Answers {
    /// Whether each push was answered with one run of its own.
    pub(crate) fn are_right(&self) -> bool {
        let Counts { sent, pushes, new, before, other, divided } = self.counts;
        new == pushes as usize && new + before == sent && other == 0 && divided == 0
    }
}

/// How long a bare conditional write takes at the same pace: what the machine and the emulator give.
pub(crate) async fn reference(installation: &Arc<Installation>, pace: Pace) -> anyhow::Result<Vec<Duration>> {
    let works = (0..pace.count).map(|n| {
        let installation = Arc::clone(installation);
        let put = json!({
            "TableName": TABLE, "ConditionExpression": "attribute_not_exists(pk)",
            "Item": { "pk": { "S": format!("REFERENCE#{n}") }, "sk": { "S": "META" } },
        });
        (pace.due(n), async move { installation.dynamodb("PutItem", put).await })
    });
    Ok(play(works).await?.into_iter().map(|(_, time)| time).collect())
}

/// The first invocation of each environment, all at once.
pub(crate) async fn warm_up(runtime: &Arc<Runtime>, count: u32) -> anyhow::Result<Vec<Duration>> {
    let sample = Sample::read()?;
    let works = (0..count).map(|n| {
        // Commits that the burst does not have.
        let payload = sample.delivery(1_000_000 + n, &format!("warm-up-{n}"));
        let runtime = Arc::clone(runtime);
        (Duration::ZERO, async move { runtime.invoke(payload).await })
    });
    Ok(play(works).await?.into_iter().map(|(_, time)| time).collect())
}

/// Sends every push, and some of them twice.
pub(crate) async fn burst(runtime: &Arc<Runtime>, pace: Pace) -> anyhow::Result<Answers> {
    let sample = Sample::read()?;
    let mut deliveries = Vec::new();
    for n in 0..pace.count {
        let due = pace.due(n);
        let id = format!("delivery-{n}");
        deliveries.push((due, n, sample.delivery(n, &id)));
        if n.is_multiple_of(REDELIVERED) {
            deliveries.push((due + Duration::from_secs(1), n, sample.delivery(n, &id)));
        }
        if n.is_multiple_of(REPEATED) {
            deliveries.push((due, n, sample.delivery(n, &format!("repeated-{n}"))));
        }
    }
    let works = deliveries.into_iter().map(|(due, n, payload)| {
        let runtime = Arc::clone(runtime);
        (due, async move { Ok((n, runtime.invoke(payload).await?)) })
    });
    Ok(count(play(works).await?, pace.count))
}

fn count(answers: Vec<((u32, Answer), Duration)>, pushes: u32) -> Answers {
    let mut counts = Counts { sent: answers.len(), pushes, ..Counts::default() };
    let mut runs: BTreeMap<u32, BTreeSet<String>> = BTreeMap::new();
    let mut times = Vec::new();
    for ((n, answer), answered) in answers {
        times.push(Times { answered, handled: answer.handled });
        match (answer.status, answer.body["new"].as_bool()) {
            (202, Some(true)) => counts.new += 1,
            (200, Some(false)) => counts.before += 1,
            _ => counts.other += 1,
        }
        runs.entry(n).or_default().insert(answer.body["run_id"].to_string());
    }
    counts.divided = runs.values().filter(|runs| runs.len() > 1).count();
    Answers { times, counts }
}

/// Starts each work when it is due, and gives what it came to with how long that took.
async fn play<T, F>(works: impl Iterator<Item = (Duration, F)>) -> anyhow::Result<Vec<(T, Duration)>>
where
    T: Send + 'static,
    F: Future<Output = anyhow::Result<T>> + Send + 'static,
{
    let begin = Instant::now();
    let mut playing = JoinSet::new();
    for (due, work) in works {
        playing.spawn(async move {
            tokio::time::sleep_until(begin + due).await;
            work.await.map(|outcome| (outcome, begin.elapsed().saturating_sub(due)))
        });
    }
    playing.join_all().await.into_iter().collect()
}
