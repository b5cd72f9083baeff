//! Sentences about checkpoints: what ECS was answered there, and why.

use crate::fact::{Cause, CheckResult, DeployFailureKind};
use crate::ids::EnvironmentName;
use crate::run::{CheckpointFailure, CheckpointState, PauseAnswer};

/// What to do about a check whose build failed.
pub const READ_ITS_LOG: &str = "read its log: pushway run logs <run> check <name>";

/// Where in the deployment a checkpoint is.
pub fn place(served: u8) -> String {
    match served {
        0 => "before any production traffic moved".into(),
        served => format!("while the new version had {served} % of the traffic"),
    }
}

/// A deployment waits for a person.
pub fn waits(served: u8) -> String {
    format!("waits for a person with {served} % of the traffic; pushway continue, or go-back")
}

/// Why a deployment goes back at this checkpoint: the kind, and one sentence. `None` where it does not.
pub(crate) fn why_back(point: &CheckpointState) -> Option<(DeployFailureKind, String)> {
    let place = place(point.served);
    Some(match point.failure()? {
        CheckpointFailure::Check => {
            let failed = point.checks.iter().find(|check| !check.passed);
            let what = failed.map(said_of).unwrap_or_default();
            (DeployFailureKind::CheckFailed, format!("{what}, {place}"))
        }
        CheckpointFailure::Person => {
            let said = point.answer.as_ref().map(|answer| {
                let reason = answer.reason.as_deref().unwrap_or("no reason given");
                format!("{} said to go back ({reason})", answer.by)
            });
            (DeployFailureKind::Stopped, format!("{}, {place}", said.unwrap_or_default()))
        }
        CheckpointFailure::Nobody => {
            (DeployFailureKind::NotContinued, format!("nobody said to go on in time, {place}"))
        }
    })
}

fn said_of(check: &CheckResult) -> String {
    let CheckResult { check, detail, samples, good, .. } = check;
    format!("{check} did not hold ({good} of {samples} samples good: {detail})")
}

/// The cause of a run whose deployment goes back at this checkpoint.
pub(crate) fn checkpoint_failed(environment: &EnvironmentName, point: &CheckpointState) -> Option<Cause> {
    let (kind, why) = why_back(point)?;
    let evidence = point.checks.iter().filter(|check| !check.passed).flat_map(|check| check.evidence.clone());
    let stage = super::environment_stage(environment);
    Some(Cause::new(stage, why, advice(kind)).with_evidence(evidence))
}

/// What to do about a deployment that went back at a checkpoint.
pub(crate) fn advice(kind: DeployFailureKind) -> &'static str {
    match kind {
        DeployFailureKind::CheckFailed => {
            "look at the new version's log and at what the check asks, mend it and push again"
        }
        DeployFailureKind::NotContinued => {
            "push again, and say `pushway continue` while it waits; raise `pause` if the time is too short"
        }
        _ => "find out who stopped it and why; push again if it was not meant",
    }
}

/// ECS completed a deployment that it was told to ask about.
pub(crate) fn never_asked() -> &'static str {
    "ECS moved the traffic without the checks that the strategy asks for; look whether the service still has \
     the lifecycle hook with hookDetails `pushway`, and whether ECS may assume the role of the hook"
}

/// A checkpoint takes nothing more.
pub(crate) fn checkpoint_over() -> &'static str {
    "it is over; nothing waits there any more"
}

/// No person is waited for.
pub(crate) fn nobody_asked() -> &'static str {
    "nobody is waited for there yet"
}

/// Somebody else was first.
pub(crate) fn answered_by(answer: &PauseAnswer) -> String {
    let what = if answer.goes_on { "go on" } else { "go back" };
    format!("{} has said to {what}", answer.by)
}

/// A check that could not be made.
pub fn not_made(why: &str) -> String {
    format!("it could not be made: {why}")
}
