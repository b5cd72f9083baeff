//! The facts of a journal in a few words each, as `pushway run watch` prints them.

use pushway_core::fact::Fact;
use pushway_core::messages::rule_changed;

/// A fact in a few words.
pub(crate) fn tell(fact: &Fact) -> String {
    match fact {
        Fact::Received { source } => {
            format!("received {} of {}", source.commit.short(), source.git_ref.short())
        }
        Fact::Ignored { rule } => format!("ignored: {rule}"),
        Fact::Rejected { cause } => format!("rejected: {}", cause.summary),
        Fact::Planned { pipeline, jobs, environments, .. } => {
            format!("planned {pipeline}: {} jobs, {} environments", jobs.len(), environments.len())
        }
        Fact::Queued { behind } => format!("waits behind run {behind} of the same branch"),
        Fact::Overtaken { rule, .. } => format!("superseded: {rule}"),
        Fact::StopAsked { stop } => pushway_core::messages::stopped_by(stop),
        Fact::TakenOver { from, jobs, environments } => format!(
            "goes on from run {from}: takes over {} jobs, leaves {} environments as they are",
            jobs.len(),
            environments.len()
        ),
        Fact::JobStarted { job, attempt, .. } => format!("{job} started (attempt {attempt})"),
        Fact::JobEnded { job, end, .. } => match &end.failure {
            None => format!("{job} succeeded"),
            Some(cause) => format!("{job} failed: {}", cause.summary),
        },
        Fact::Broke { cause } => format!("broke: {}", cause.summary),
        Fact::Finished { status } => format!("finished: {status}"),
        _ => tell_of_environment(fact),
    }
}

/// A fact about an environment.
fn tell_of_environment(fact: &Fact) -> String {
    match fact {
        Fact::ApprovalAsked { environment, request } => {
            format!("{environment}: waits for {} approvals until {}", request.required, request.deadline)
        }
        Fact::ApprovalRuleChanged { environment, change } => rule_changed(environment, change),
        Fact::Approved { environment, consent, .. } => format!("{environment}: approved by {}", consent.by),
        Fact::ApprovalRefused { environment, refusal } => {
            format!("{environment}: {}", pushway_core::messages::refused(refusal))
        }
        Fact::Blocked { why, .. } => why.clone(),
        Fact::LockTaken { environment, fence } => format!("{environment} locked (fence {fence})"),
        Fact::Superseded { environment, by } => {
            format!("{environment}: run {by} of a newer push serves already")
        }
        Fact::DeployPrepared { environment, rollout } => {
            format!("{environment}: registered {}", rollout.task_definition)
        }
        Fact::TaskPrepared { environment, task, revision } => {
            format!("{environment}: registered {revision} for task {}", task + 1)
        }
        Fact::TaskStarted { environment, task, .. } => format!("{environment}: task {} started", task + 1),
        Fact::TaskEnded { environment, task, end } => match &end.failure {
            None => format!("{environment}: task {} ended well", task + 1),
            Some(why) => format!("{environment}: task {} failed: {why}", task + 1),
        },
        Fact::DeployStarted { environment, deployment } => {
            format!("{environment}: rollout {deployment} started")
        }
        Fact::DeployEnded { environment, failure: None, .. } => format!("{environment}: rollout complete"),
        Fact::DeployEnded { environment, failure: Some(failure), .. } => {
            format!("{environment}: {}", failure.cause.summary)
        }
        Fact::CheckpointReached { .. }
        | Fact::CheckpointChecked { .. }
        | Fact::CheckpointPaused { .. }
        | Fact::CheckpointAnswered { .. }
        | Fact::CheckpointEnded { .. } => tell_of_checkpoint(fact),
        Fact::Validated { environment, checks } => {
            let passed = checks.iter().filter(|check| check.passed).count();
            format!("{environment}: {passed} of {} checks passed", checks.len())
        }
        Fact::CheckStarted { environment, job } => {
            format!("{environment}: build {} of check {} started", job.build, job.check + 1)
        }
        Fact::CheckEnded { environment, end, .. } => {
            format!("{environment}: {}: {}", end.result.check, end.result.detail)
        }
        Fact::WatchStarted { environment, start } => {
            format!("{environment}: watched until {}", clock(start.ends_at))
        }
        Fact::WatchEnded { environment, end } => match &end.failure {
            None => format!("{environment}: stayed healthy while it was watched"),
            Some(cause) => format!("{environment}: {}", cause.summary),
        },
        Fact::RollbackStarted { environment, .. } => format!("{environment}: going back"),
        Fact::RollbackEnded { environment, .. } => format!("{environment}: rollback ended"),
        // One that has no words yet is better shown raw than not at all.
        other => format!("{other:?}"),
    }
}

/// A fact about a checkpoint of a deployment.
fn tell_of_checkpoint(fact: &Fact) -> String {
    match fact {
        Fact::CheckpointReached { environment, served, .. } => {
            format!("{environment}: ECS asks whether to go on; the new version has {served} % of the traffic")
        }
        Fact::CheckpointChecked { environment, result, .. } => {
            format!("{environment}: {}: {}", result.check, result.detail)
        }
        Fact::CheckpointPaused { environment, until, .. } => {
            format!("{environment}: waits for a person until {}; `pushway continue`", clock(*until))
        }
        Fact::CheckpointAnswered { environment, answer, .. } => {
            let what = if answer.goes_on { "go on" } else { "go back" };
            format!("{environment}: {} said to {what}", answer.by)
        }
        Fact::CheckpointEnded { environment, end, .. } => match end.failure {
            None => format!("{environment}: goes on"),
            Some(_) => format!("{environment}: goes back"),
        },
        other => format!("{other:?}"),
    }
}

/// A time of the day (UTC).
pub(crate) fn clock(at: jiff::Timestamp) -> String {
    at.strftime("%H:%M:%S").to_string()
}
