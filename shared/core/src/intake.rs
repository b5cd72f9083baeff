//! From a believed push or wish to a run: recorded once, durably, and only then started.
//!
//! The one road for every source. Whether to believe a delivery was decided before; whether anything is to
//! be done for it is decided later, by the plan.

use std::collections::BTreeMap;

use crate::commits::{Commits, Way};
use crate::delivery::{Carried, Malformed, Push, content_key, made_id};
use crate::ids::{CommitSha, DeliveryId, RefName, RepositoryPath, RunId};
use crate::messages;
use crate::ports::{
    Answer, BranchRecords, Clock, Deliveries, DeliveryOutcome, Fault, HeadView, Heads, NewRun, Random,
    ReadCommits, ReadRuns, Recorded, StartExecutions,
};
use crate::run::Run;
use crate::source::{Hook, Retry, Source, Trigger};

/// What became of a push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taken {
    /// It is recorded as a new run.
    New {
        /// The run.
        run: RunId,
        /// Why its execution could not be started yet. The push is safe all the same: the sweep starts it.
        not_started: Option<Fault>,
    },
    /// It, or another delivery of the same push, was recorded before.
    Before(DeliveryOutcome),
    /// It is not of the hook's repository; nothing was recorded.
    Malformed(Malformed),
}

/// A run that no push asks for: by a schedule, an image or a person.
#[derive(Debug, Clone)]
pub struct Wish {
    /// Its delivery's id: the same wish has the same id, so that asking again is no second run.
    pub delivery: String,
    /// The ref to run.
    pub git_ref: RefName,
    /// The commit to run; none means the newest push of the ref.
    pub commit: Option<CommitSha>,
    /// Who asks.
    pub trigger: Trigger,
    /// Only this pipeline file.
    pub file: Option<RepositoryPath>,
}

/// Records a push and starts its run.
pub async fn take<P>(ports: &P, hook: &Hook, mut push: Push) -> Answer<Taken>
where
    P: Deliveries + StartExecutions + Clock + Random,
{
    let (files, history) = (std::mem::take(&mut push.files), std::mem::take(&mut push.history));
    match push.into_source(hook) {
        Ok(source) => record(ports, source, files, history).await,
        Err(malformed) => Ok(Taken::Malformed(malformed)),
    }
}

/// Records a wish and starts its run. `None`: nothing is known of the ref, neither here nor at the forge.
pub async fn take_wish<P>(ports: &P, hook: &Hook, wish: Wish) -> Answer<Option<Taken>>
where
    P: BranchRecords + ReadRuns + Heads + Deliveries + StartExecutions + Clock + Random,
{
    let Some(base) = newest(ports, hook, &wish.git_ref).await? else { return Ok(None) };
    let is_newest = wish.commit.as_ref().is_none_or(|commit| *commit == base.commit);
    let source = Source {
        delivery: id(&wish.delivery)?,
        message: if is_newest { base.message.clone() } else { String::new() },
        author: if is_newest { base.author.clone() } else { String::new() },
        commit: wish.commit.unwrap_or(base.commit),
        before: None,
        trigger: wish.trigger,
        skip: None,
        retry: None,
        pushed_at: None,
        file: wish.file,
        parent: None,
        place: None,
        ..base.source
    };
    record(ports, source, BTreeMap::new(), Vec::new()).await.map(Some)
}

/// Whether a commit is part of a ref as its newest push has left it; the inner error says why it does not count as
/// such. A forge hands out commits of forks under the repository's own name, and nobody has merged those.
pub async fn belongs<P>(
    ports: &P,
    hook: &Hook,
    git_ref: &RefName,
    commit: &CommitSha,
) -> Answer<Result<(), String>>
where
    P: BranchRecords + ReadRuns + Heads + ReadCommits,
{
    let Some(base) = newest(ports, hook, git_ref).await? else { return Ok(Ok(())) };
    if *commit == base.commit {
        return Ok(Ok(()));
    }
    Ok(match ports.commits(base.source.carried_by, hook, commit, &base.commit).await? {
        Commits::Known(range) if matches!(range.way, Way::Same | Way::Forward) => Ok(()),
        Commits::Known(_) => Err(messages::not_of_ref(commit, git_ref, &base.commit)),
        Commits::Unknown(why) => Err(messages::perhaps_not_of_ref(commit, git_ref, &why)),
    })
}

/// Records the wish to have back what `then` has deployed, and starts its run.
pub async fn take_rollback<P>(ports: &P, then: &Run, delivery: &str, trigger: Trigger) -> Answer<Taken>
where
    P: Deliveries + StartExecutions + Clock + Random,
{
    let source = Source {
        delivery: id(delivery)?,
        trigger,
        skip: None,
        retry: None,
        file: None,
        parent: None,
        place: Some(then.place.unwrap_or_default()),
        carried_by: Some(then.carrier()),
        ..then.source.clone()
    };
    record(ports, source, BTreeMap::new(), Vec::new()).await
}

/// Records the wish to have a run again, and starts it. It stays the same push in the same place among those of
/// its ref: a newer one goes before it.
pub async fn take_retry<P>(ports: &P, then: &Run, delivery: &str, retry: Retry) -> Answer<Taken>
where
    P: Deliveries + StartExecutions + Clock + Random,
{
    let source = Source {
        delivery: id(delivery)?,
        retry: Some(retry),
        place: then.place.or(then.source.place),
        carried_by: Some(then.carrier()),
        ..then.source.clone()
    };
    record(ports, source, BTreeMap::new(), Vec::new()).await
}

/// Records another pipeline's run of the push that `run` was recorded for, and starts it.
pub async fn take_part<P>(ports: &P, run: &Run, file: RepositoryPath, place: u64) -> Answer<Taken>
where
    P: Deliveries + StartExecutions + Clock + Random,
{
    let source = Source {
        delivery: id(&made_id("part", &[run.source.delivery.as_str(), file.as_str()]))?,
        file: Some(file),
        parent: Some(run.id),
        place: Some(place),
        carried_by: Some(run.source.carried_by.unwrap_or(run.id)),
        retry: None,
        ..run.source.clone()
    };
    record(ports, source, BTreeMap::new(), Vec::new()).await
}

struct Newest {
    source: Source,
    commit: CommitSha,
    message: String,
    author: String,
}

/// The newest push of a ref: as it was told of, or as the forge tells.
async fn newest<P: BranchRecords + ReadRuns + Heads>(
    ports: &P,
    hook: &Hook,
    git_ref: &RefName,
) -> Answer<Option<Newest>> {
    let head = ports.branch(hook, git_ref).await?.head;
    let told = match head {
        Some(head) => ports.load(head.run).await?,
        None => None,
    };
    if let Some(run) = told {
        let Source { commit, message, author, .. } = run.source.clone();
        let carried_by = Some(run.source.carried_by.unwrap_or(run.id));
        return Ok(Some(Newest { source: Source { carried_by, ..run.source }, commit, message, author }));
    }
    let Some(HeadView { commit, message, author }) = ports.head(hook, git_ref).await? else {
        return Ok(None);
    };
    let push = Push {
        delivery: id("head")?,
        repository_id: match &hook.repository_id {
            Some(id) => id.clone(),
            None => hook.repository.parse().map_err(permanent)?,
        },
        repository: hook.repository.clone(),
        git_ref: git_ref.clone(),
        commit: commit.clone(),
        before: None,
        message: message.clone(),
        author: author.clone(),
        trigger: Trigger::Push,
        pushed_at: None,
        files: BTreeMap::new(),
        history: Vec::new(),
    };
    let source = push.into_source(hook).map_err(permanent)?;
    Ok(Some(Newest { source, commit, message, author }))
}

async fn record<P>(
    ports: &P,
    source: Source,
    files: BTreeMap<RepositoryPath, String>,
    history: Vec<Carried>,
) -> Answer<Taken>
where
    P: Deliveries + StartExecutions + Clock + Random,
{
    let content_key = content_key(&source);
    let now = ports.now();
    let (run, entry) = Run::receive(RunId::new(now, ports.bytes()), source, now);
    let id = run.id;
    match ports.record_run(&NewRun { run, entry, content_key, files, history }).await? {
        Recorded::Before(outcome) => Ok(Taken::Before(outcome)),
        Recorded::New => Ok(Taken::New { run: id, not_started: ports.start_execution(id).await.err() }),
    }
}

fn id(text: &str) -> Answer<DeliveryId> {
    text.parse().map_err(permanent)
}

fn permanent(error: impl std::fmt::Display) -> Fault {
    Fault::Permanent(error.to_string())
}
