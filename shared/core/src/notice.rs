//! What is told of a run to the world: commit statuses at its forge, news for an event bus and a topic.
//!
//! Always made from the run as it is now, so that telling late or twice tells the truth; what was told
//! before is not told again. A sink that fails never touches a run (row F41).

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::fact::{JobStage, bounded};
use crate::forge::{CheckState, CommitStatus};
use crate::ids::{EnvironmentName, RunId};
use crate::messages;
use crate::ports::Fault;
use crate::run::{EnvironmentState, JobState, Run, Status};
use crate::summary::RunSummary;

/// For how long a sink that fails is tried again.
pub const PATIENCE: SignedDuration = SignedDuration::from_hours(24);
/// For how long one teller may be at it.
pub const LEASE: SignedDuration = SignedDuration::from_secs(90);
const FIRST_PAUSE: SignedDuration = SignedDuration::from_secs(15);
const LONGEST_PAUSE: SignedDuration = SignedDuration::from_mins(30);
/// GitHub's limit of a status's description, the shortest of all forges' ("Create a commit status").
const MAX_DESCRIPTION: usize = 120;

/// What was told of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// The run.
    pub run: RunId,
    /// How often it has been stored.
    pub version: u64,
    /// What the forge shows, by context.
    pub shown: BTreeMap<String, CommitStatus>,
    /// The status that was announced last.
    pub announced: Option<Status>,
    /// Until when someone is at it.
    pub busy_until: Option<Timestamp>,
    /// Whether the run changed while someone was at it.
    pub is_stale: bool,
    /// When to try again.
    pub next_at: Option<Timestamp>,
    /// How often it failed in a row.
    pub failures: u32,
    /// Since when it fails.
    pub failing_since: Option<Timestamp>,
    /// Why it last failed.
    pub problem: Option<String>,
}

/// News of a run for sinks of the user's choice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct News {
    /// The run as lists show it.
    #[serde(flatten)]
    pub run: RunSummary,
    /// Where to read more.
    pub url: Option<String>,
}

impl Notice {
    /// A run of which nothing was told yet.
    pub fn new(run: RunId) -> Self {
        Self {
            run,
            version: 0,
            shown: BTreeMap::new(),
            announced: None,
            busy_until: None,
            is_stale: false,
            next_at: None,
            failures: 0,
            failing_since: None,
            problem: None,
        }
    }

    /// When the sweep must look after it.
    pub fn due_at(&self) -> Option<Timestamp> {
        [self.next_at, self.busy_until].into_iter().flatten().min()
    }

    /// Notes how telling went. After a failure it is due again, later each time, until patience ends.
    pub fn told(&mut self, failure: Option<&Fault>, now: Timestamp) {
        self.busy_until = None;
        let Some(fault) = failure else {
            (self.next_at, self.failures, self.failing_since, self.problem) = (None, 0, None, None);
            return;
        };
        let since = *self.failing_since.get_or_insert(now);
        self.problem = Some(bounded(&fault.to_string(), 500));
        let doubled = FIRST_PAUSE * 2_i32.saturating_pow(self.failures.min(10));
        let wanted = match fault {
            Fault::Limited { seconds, .. } => SignedDuration::from_secs(i64::from(*seconds)),
            _ => SignedDuration::ZERO,
        };
        let pause = doubled.min(LONGEST_PAUSE).max(wanted);
        self.failures += 1;
        self.next_at = (now.duration_since(since) < PATIENCE).then(|| now + pause);
    }
}

/// The address of a run's page.
pub fn page(pages: Option<&str>, run: RunId) -> Option<String> {
    Some(format!("{}/runs/{run}", pages?.trim_end_matches('/')))
}

/// What a forge is to show of a run: one status for the whole, one for each stage that has begun. A run
/// that was ignored shows nothing.
pub fn statuses(run: &Run, pages: Option<&str>) -> Vec<CommitStatus> {
    if matches!(run.status, Status::Ignored | Status::Pending) {
        return Vec::new();
    }
    let root = run.pipeline.as_ref().map_or("pushway".to_owned(), |pipeline| format!("pushway/{pipeline}"));
    let status = |context: String, (state, description): (CheckState, String)| CommitStatus {
        context,
        state,
        description: bounded(&description, MAX_DESCRIPTION),
        url: page(pages, run.id),
    };
    let stages = [JobStage::Build, JobStage::Test].into_iter().filter_map(|stage| {
        let jobs = run.jobs.iter().filter(|state| state.job.stage == stage).collect::<Vec<_>>();
        Some(status(format!("{root}/{stage}"), of_stage(run, &jobs)?))
    });
    let environments = run
        .environments
        .iter()
        .filter(|state| state.fence.is_some() || state.approval.is_some() || state.blocked.is_some());
    let environments =
        environments.map(|state| status(context_of(&root, &state.name), of_environment(run, state)));
    std::iter::once(status(root.clone(), of_run(run))).chain(stages).chain(environments).collect()
}

/// The context of an environment's status. One that is named like a stage must not share that one's; a `/` is in no
/// name.
fn context_of(root: &str, environment: &EnvironmentName) -> String {
    match environment.as_str() {
        name @ ("build" | "test") => format!("{root}/environment/{name}"),
        name => format!("{root}/{name}"),
    }
}

fn of_run(run: &Run) -> (CheckState, String) {
    let why = run.cause.as_ref().map(|cause| format!("{}: {}", cause.stage, cause.summary));
    let state = match run.status {
        Status::Succeeded => CheckState::Success,
        Status::Failed
        | Status::RolledBack
        | Status::RollbackFailed
        | Status::FailedNoBaseline
        | Status::Rejected => CheckState::Failure,
        Status::Stopped | Status::Superseded | Status::Ignored => CheckState::Error,
        Status::Pending | Status::Planning | Status::Building | Status::Testing | Status::Deploying => {
            CheckState::Pending
        }
    };
    let stop = || run.stop.as_ref().map(messages::stopped_by);
    let detail = why.or_else(stop).or_else(|| run.overtaken.clone());
    (state, detail.map_or_else(|| run.status.to_string(), |detail| format!("{}: {detail}", run.status)))
}

fn of_stage(run: &Run, jobs: &[&JobState]) -> Option<(CheckState, String)> {
    if jobs.iter().all(|state| state.attempt == 0 && state.taken_from.is_none()) {
        return None;
    }
    let done = jobs.iter().filter(|state| state.has_succeeded()).count();
    if done == jobs.len() {
        return Some((CheckState::Success, format!("{done} of {done} jobs succeeded")));
    }
    let failed = jobs.iter().find(|state| state.is_settled() && !state.has_succeeded());
    Some(match failed {
        _ if run.stop.is_some() => (CheckState::Error, messages::stopped_short(run)),
        _ if run.overtaken.is_some() => (CheckState::Error, "stopped for a newer push".into()),
        Some(state) => {
            let why = state.end.as_ref().and_then(|end| end.failure.as_ref());
            let why = why.map(|cause| format!("{}: {}", state.job.name, cause.summary));
            (CheckState::Failure, why.unwrap_or_else(|| state.job.to_string()))
        }
        None if run.status.is_terminal() => (CheckState::Error, "did not come to an end".into()),
        None => (CheckState::Pending, format!("{done} of {} jobs succeeded", jobs.len())),
    })
}

fn of_environment(run: &Run, state: &EnvironmentState) -> (CheckState, String) {
    if state.is_live() {
        return (CheckState::Success, format!("deployed to {} and checked", state.name));
    }
    // What could not be brought back is louder than who wanted it.
    if run.stop.is_some() && !(run.status.is_terminal() && state.needs_people()) {
        return (CheckState::Error, messages::stopped_short(run));
    }
    if state.has_failed() {
        let why = run.cause.as_ref().map(|cause| cause.summary.clone());
        return (CheckState::Failure, why.unwrap_or_else(|| format!("{} failed", state.name)));
    }
    if let Some(refusal) = state.approval.as_ref().and_then(|approval| approval.refusal.as_ref()) {
        return (CheckState::Failure, messages::refused(refusal));
    }
    if run.status.is_terminal() {
        return (CheckState::Error, "did not come to an end".into());
    }
    if let Some(point) = state.paused() {
        return (CheckState::Pending, messages::checkpoints::waits(point.served));
    }
    let waits = match (state.fence, &state.approval, &state.blocked) {
        (None, Some(approval), _) if approval.is_open() => Some("waits for approval".to_owned()),
        (None, _, Some(why)) => Some(why.clone()),
        _ => None,
    };
    (CheckState::Pending, waits.unwrap_or_else(|| format!("deploying to {}", state.name)))
}
