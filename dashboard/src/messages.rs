//! Every sentence of this crate that is not part of a template: words for states, facts and outcomes.
//!
//! Texts from outside go in as values and come out as plain text, which the templates escape.

mod journal;

pub(crate) use journal::{name, sentence};

use pushway_core::fact::{RollbackOutcome, RollbackOwner};
use pushway_core::run::{CheckpointFailure, CheckpointState, Status};
use pushway_core::source::{Source, Trigger};

/// A status in words.
pub(crate) fn status(status: Status) -> &'static str {
    match status {
        Status::Pending => "Pending",
        Status::Planning => "Planning",
        Status::Building => "Building",
        Status::Testing => "Testing",
        Status::Deploying => "Deploying",
        Status::Succeeded => "Succeeded",
        Status::Failed => "Failed",
        Status::RolledBack => "Rolled back",
        Status::RollbackFailed => "Rollback failed",
        Status::FailedNoBaseline => "Failed, nothing to go back to",
        Status::Stopped => "Stopped",
        Status::Superseded => "Superseded",
        Status::Rejected => "Rejected",
        Status::Ignored => "Ignored",
    }
}

/// Statuses that a list can be asked for, in the order of a run's life. What was ignored is in no list.
pub(crate) const STATUSES: [Status; 13] = [
    Status::Pending,
    Status::Planning,
    Status::Building,
    Status::Testing,
    Status::Deploying,
    Status::Succeeded,
    Status::Failed,
    Status::RolledBack,
    Status::RollbackFailed,
    Status::FailedNoBaseline,
    Status::Stopped,
    Status::Superseded,
    Status::Rejected,
];

/// What a row of past runs says to whoever does not see it.
pub(crate) fn history(good: usize, all: usize) -> String {
    format!("{good} of the last {all} runs succeeded")
}

/// What made a run.
pub(crate) fn trigger(source: &Source) -> String {
    match &source.trigger {
        Trigger::Push => "push".to_owned(),
        Trigger::Reconciled => "push that no delivery told of".to_owned(),
        Trigger::PullRequest(request) => format!("pull request {} into {}", request.number, request.base),
        Trigger::Schedule { expression, .. } => format!("schedule {expression}"),
        Trigger::Image { repository, tag: Some(tag), .. } => format!("image {repository}:{tag}"),
        Trigger::Image { repository, tag: None, .. } => format!("image of {repository}"),
        Trigger::Manual { by, .. } => format!("started by {by}"),
        Trigger::Rollback { by, environment, reason, .. } => {
            format!("rollback of {environment} by {by}: {reason}")
        }
    }
}

/// What a rollback came to.
pub(crate) fn rollback(outcome: &RollbackOutcome) -> String {
    match outcome {
        RollbackOutcome::Restored { by } => format!("the last good version serves again; {}", owner(*by)),
        RollbackOutcome::NotNeeded { reason } => format!("nothing had to be undone: {reason}"),
        RollbackOutcome::Held => {
            "left as it is, as the pipeline file says; look at it, then push a fix or roll back".to_owned()
        }
        RollbackOutcome::NoBaseline => {
            "nothing had ever worked here, so there is nothing to go back to; push a fix".to_owned()
        }
        RollbackOutcome::Failed { cause } => {
            format!("the last good version could not be brought back: {}; {}", cause.summary, cause.advice)
        }
    }
}

fn owner(by: RollbackOwner) -> &'static str {
    match by {
        RollbackOwner::Pushway => "Pushway brought it back",
        RollbackOwner::Service => "the service went back by itself",
        RollbackOwner::Alarm => "an alarm made the service go back",
        RollbackOwner::Person => "someone told the service to go back",
    }
}

/// How far a checkpoint is.
pub(crate) fn checkpoint(point: &CheckpointState) -> String {
    let place = match point.served {
        0 => "before any production traffic".to_owned(),
        served => format!("at {served} % of the traffic"),
    };
    let by = point.answer.as_ref().map(|answer| answer.by.as_str());
    let what = match (&point.end, point.failure(), by) {
        (Some(_), None, Some(by)) => format!("{by} let it go on"),
        (Some(_), None, None) => "it went on".to_owned(),
        (_, Some(CheckpointFailure::Check), _) => "a check did not hold; it went back".to_owned(),
        (_, Some(CheckpointFailure::Person), by) => format!("{} sent it back", by.unwrap_or("someone")),
        (_, Some(CheckpointFailure::Nobody), _) => "nobody let it go on in time; it went back".to_owned(),
        (None, None, _) if point.is_paused() => "it waits for someone to let it go on".to_owned(),
        (None, None, _) => "its checks are being made".to_owned(),
    };
    format!("{place}: {what}")
}
