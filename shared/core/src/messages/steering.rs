//! What is said of runs that people stop or retry.

use std::fmt::Display;

use super::environment_stage;
use crate::environment::Deployed;
use crate::fact::Cause;
use crate::ids::{EnvironmentName, RunId};
use crate::run::{KeptEnvironment, Run, Status, Stop};
use crate::source::Retry;

/// Who stopped a run, and why.
pub fn stopped_by(stop: &Stop) -> String {
    format!("{} stopped the run: {}", stop.by, stop.reason)
}

/// The same where there is room for little.
pub fn stopped_short(run: &Run) -> String {
    run.stop.as_ref().map_or_else(|| "stopped".to_owned(), |stop| format!("stopped: {}", stop.reason))
}

/// A run that ended because a person stopped it; `failed` is why what served before could not be brought back.
pub fn stopped(
    stop: &Stop,
    status: Status,
    environment: Option<&EnvironmentName>,
    failed: Option<&Cause>,
) -> Cause {
    let who = stopped_by(stop);
    let again = "once it may go on: pushway run retry <run>, with --from-failed to keep what was good in it";
    let stage = environment.map_or_else(|| "run".to_owned(), environment_stage);
    match (status, failed) {
        (_, Some(failed)) => Cause::new(stage, format!("{who}; {}", failed.summary), &failed.advice)
            .with_evidence(failed.evidence.clone()),
        (Status::RolledBack, None) => {
            Cause::new(stage, format!("{who}; what served before the deploy serves again"), again)
        }
        (Status::FailedNoBaseline, None) => Cause::new(
            stage,
            format!("{who}; nothing had ever worked there that the deploy could go back to"),
            "look at the service now: it may be broken; then push or retry",
        ),
        (Status::RollbackFailed, None) => Cause::new(
            stage,
            format!("{who}; nothing tells whether what served before the deploy serves again"),
            "look at the service now; its environment stays locked until someone frees it (docs/operations.md)",
        ),
        (_, None) => Cause::new("run", who, again),
    }
}

/// A run that can't be stopped because it is over.
pub fn over_already(run: &Run) -> String {
    format!("run {} is over: {}; nothing of it is left to stop", run.id, run.status)
}

/// A run that has done all that it had to, and is only not closed yet.
pub fn done_already(run: &Run) -> String {
    format!("run {} has done all that it had to; nothing of it is left to stop", run.id)
}

/// Environments that a stop leaves as they are.
pub fn stays_live(environments: &[&EnvironmentName]) -> String {
    let names = environments.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    format!("what the run has brought to {names} goes on serving; `pushway rollback` takes it back")
}

/// A deploy that goes back already.
pub fn goes_back_already(environment: &EnvironmentName) -> String {
    format!("{environment} is going back already")
}

/// A deploy that is not stopped.
pub fn brought_to_its_end(environment: &EnvironmentName) -> String {
    format!(
        "the deploy to {environment} can't be undone, so it is brought to its end; nothing begins after it"
    )
}

/// A task before a deploy that is not stopped.
pub fn task_let_end(environment: &EnvironmentName) -> String {
    format!("the task that runs before the deploy to {environment} is let end; then nothing begins any more")
}

/// A version that serves already and goes back.
pub fn taken_back(environment: &EnvironmentName) -> String {
    format!(
        "the new version serves in {environment} already and is still checked or watched; it goes back to what served before"
    )
}

/// A deploy under way that goes back.
pub fn sent_back(environment: &EnvironmentName) -> String {
    format!("the deploy to {environment} is under way; it goes back to what served before")
}

/// Builds that are stopped.
pub fn builds_stop(count: usize) -> String {
    match count {
        0 => "nothing of the run begins any more".to_owned(),
        1 => "one build is stopped, and nothing begins any more".to_owned(),
        n => format!("{n} builds are stopped, and nothing begins any more"),
    }
}

/// A run that is not over can't be retried.
pub fn not_over(run: &Run) -> String {
    format!(
        "run {} is not over: {}; wait for its end, or stop it first: pushway run stop",
        run.id, run.status
    )
}

/// A run that was never wanted.
pub fn never_wanted(run: &Run) -> String {
    let rule = run.ignored_by.as_deref().unwrap_or("no rule is recorded");
    format!("run {} was ignored ({rule}); if it is wanted all the same: pushway start", run.id)
}

/// A rollback by hand is asked for anew.
pub fn ask_for_rollback(run: &Run) -> String {
    format!("run {} was a rollback by hand; ask for it anew: pushway rollback", run.id)
}

/// Nothing failed in a run.
pub fn nothing_failed(run: &Run) -> String {
    format!("nothing failed in run {}: it succeeded; retry it from the start", run.id)
}

/// A run that failed before it had a plan.
pub fn nothing_to_keep(run: &Run) -> String {
    format!(
        "run {} failed before it had a plan, so there is nothing to keep; retry it from the start",
        run.id
    )
}

/// Something else serves where a retry would leave what the earlier run had brought.
pub fn serves_no_more(kept: &KeptEnvironment, current: Option<&Deployed>) -> String {
    let KeptEnvironment { environment, of } = kept;
    let now = current
        .map_or_else(|| "nothing that is known".to_owned(), |now| format!("what run {} brought", now.run));
    format!(
        "run {of} had brought its version to {environment}, but {now} serves there by now; going on after it would \
         deploy what was never tried there last; push again, or retry from the start"
    )
}

/// A retry of a push that a newer one has gone over.
pub fn newer_serves(environment: &EnvironmentName, by: RunId) -> String {
    format!(
        "run {by} of a newer push was deployed to {environment}; this one stays an older push and ends as superseded there"
    )
}

/// A retry behind a lock that people must free first.
pub fn stays_locked(run: &Run) -> String {
    format!("run {} keeps its environment locked until people have looked (docs/operations.md)", run.id)
}

/// Why a retry was started, as its rule.
pub fn retry_rule(retry: &Retry) -> String {
    format!("{} retried run {} from {}", retry.by, retry.of, where_from(retry))
}

fn where_from(retry: &Retry) -> impl Display + use<> {
    match retry.from {
        crate::source::RetryFrom::Start => "the start",
        crate::source::RetryFrom::Failed => "where it failed",
    }
}
