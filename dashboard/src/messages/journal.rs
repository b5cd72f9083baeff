//! The journal in words: a short name and one sentence for each fact.

use pushway_core::fact::{Cause, CheckResult, Fact};
use pushway_core::messages::rule_changed;
use pushway_core::run::PauseAnswer;

/// What kind of fact it is.
pub(crate) fn name(fact: &Fact) -> &'static str {
    match fact {
        Fact::Received { .. } => "received",
        Fact::Ignored { .. } => "ignored",
        Fact::Rejected { .. } => "rejected",
        Fact::Planned { .. } => "planned",
        Fact::Queued { .. } => "queued",
        Fact::Overtaken { .. } => "overtaken",
        Fact::StopAsked { .. } => "stop asked",
        Fact::TakenOver { .. } => "taken over",
        Fact::JobStarted { .. } => "job started",
        Fact::JobEnded { .. } => "job ended",
        Fact::ApprovalAsked { .. } => "approval asked",
        Fact::ApprovalRuleChanged { .. } => "approval rule changed",
        Fact::Approved { .. } => "approved",
        Fact::ApprovalRefused { .. } => "approval refused",
        Fact::Blocked { .. } => "blocked",
        Fact::LockTaken { .. } => "lock taken",
        Fact::Superseded { .. } => "superseded",
        Fact::DeployPrepared { .. } => "deploy prepared",
        Fact::TaskPrepared { .. } => "task prepared",
        Fact::TaskStarted { .. } => "task started",
        Fact::TaskEnded { .. } => "task ended",
        Fact::DeployStarted { .. } => "deploy started",
        Fact::CheckpointReached { .. } => "checkpoint reached",
        Fact::CheckpointChecked { .. } => "checkpoint checked",
        Fact::CheckpointPaused { .. } => "checkpoint paused",
        Fact::CheckpointAnswered { .. } => "checkpoint answered",
        Fact::CheckpointEnded { .. } => "checkpoint ended",
        Fact::DeployEnded { .. } => "deploy ended",
        Fact::Validated { .. } => "validated",
        Fact::CheckStarted { .. } => "check started",
        Fact::CheckEnded { .. } => "check ended",
        Fact::WatchStarted { .. } => "watch started",
        Fact::WatchEnded { .. } => "watch ended",
        Fact::RollbackStarted { .. } => "rollback started",
        Fact::RollbackEnded { .. } => "rollback ended",
        Fact::Broke { .. } => "broke",
        Fact::Finished { .. } => "finished",
    }
}

/// A fact in one sentence.
pub(crate) fn sentence(fact: &Fact) -> String {
    match fact {
        Fact::Received { source } => {
            format!("{} at {} ({})", source.git_ref, source.commit.short(), super::trigger(source))
        }
        Fact::Ignored { rule } => rule.clone(),
        Fact::Rejected { cause } | Fact::Broke { cause } => of(cause),
        Fact::Planned { pipeline, jobs, environments, .. } => {
            format!("{pipeline}: {}", counts(jobs.len(), environments.len()))
        }
        Fact::Queued { behind } => format!("waits behind run {behind}"),
        Fact::Overtaken { by, rule } => format!("{rule} (run {by})"),
        Fact::StopAsked { stop } => pushway_core::messages::stopped_by(stop),
        Fact::TakenOver { from, jobs, environments } => {
            format!("what run {from} has done counts: {}", counts(jobs.len(), environments.len()))
        }
        Fact::JobStarted { job, attempt, build } => format!("{job}, attempt {attempt}, as {build}"),
        Fact::JobEnded { job, attempt, end } => {
            let result = end.failure.as_ref().map_or_else(|| "succeeded".to_owned(), of);
            let again = if end.will_retry { "; it is tried again" } else { "" };
            format!("{job}, attempt {attempt}: {result}{again}")
        }
        Fact::Superseded { environment, by } => {
            format!("{environment}: a newer push serves there already (run {by})")
        }
        Fact::Finished { status } => super::status(*status).to_owned(),
        _ => gate(fact).or_else(|| deploy(fact)).or_else(|| after(fact)).unwrap_or_default(),
    }
}

/// What came before the deploy.
fn gate(fact: &Fact) -> Option<String> {
    Some(match fact {
        Fact::ApprovalAsked { environment, request } => {
            format!("{environment}: {} must consent until {}", request.required, request.deadline)
        }
        Fact::ApprovalRuleChanged { environment, change } => rule_changed(environment, change),
        Fact::Approved { environment, consent, .. } => {
            let comment = consent.comment.as_ref().map(|text| format!(": {text}")).unwrap_or_default();
            format!("{environment}: {} consents{comment}", consent.by)
        }
        Fact::ApprovalRefused { environment, refusal } => {
            let by = refusal.by.as_deref().unwrap_or("the deadline");
            format!("{environment}: {by} says no: {}", refusal.reason)
        }
        Fact::Blocked { environment, why } => format!("{environment}: {why}"),
        Fact::LockTaken { environment, fence } => format!("{environment}: under fence {fence}"),
        _ => return None,
    })
}

/// The deploy itself.
fn deploy(fact: &Fact) -> Option<String> {
    Some(match fact {
        Fact::DeployPrepared { environment, rollout } => {
            format!("{environment}: {} will run {}", rollout.service, rollout.task_definition)
        }
        Fact::TaskPrepared { environment, task, revision } => {
            format!("{environment}: task {} as {revision}", task + 1)
        }
        Fact::TaskStarted { environment, task, arn, .. } => {
            format!("{environment}: task {} as {arn}", task + 1)
        }
        Fact::TaskEnded { environment, task, end } => {
            let result = end.failure.as_deref().unwrap_or("ended well");
            format!("{environment}: task {}: {result}", task + 1)
        }
        Fact::DeployStarted { environment, deployment } => format!("{environment}: {deployment}"),
        Fact::CheckpointReached { environment, served, .. } => {
            format!("{environment}: {served} % of the traffic")
        }
        Fact::CheckpointChecked { environment, served, result, .. } => {
            format!("{environment}, {served} %: {}", check(result))
        }
        Fact::CheckpointPaused { environment, served, until } => {
            format!("{environment}, {served} %: someone must let it go on until {until}")
        }
        Fact::CheckpointAnswered { environment, served, answer } => {
            let PauseAnswer { by, goes_on, reason } = answer;
            let what = if *goes_on { "lets it go on" } else { "sends it back" };
            let reason = reason.as_ref().map(|text| format!(": {text}")).unwrap_or_default();
            format!("{environment}, {served} %: {by} {what}{reason}")
        }
        Fact::CheckpointEnded { environment, served, end } => {
            let what = if end.failure.is_none() { "goes on" } else { "goes back" };
            format!("{environment}, {served} %: {what}")
        }
        Fact::DeployEnded { environment, failure, .. } => {
            let result =
                failure.as_ref().map_or_else(|| "the new version serves".to_owned(), |it| of(&it.cause));
            format!("{environment}: {result}")
        }
        _ => return None,
    })
}

/// What came after it.
fn after(fact: &Fact) -> Option<String> {
    Some(match fact {
        Fact::Validated { environment, checks } => {
            let good = checks.iter().filter(|check| check.passed).count();
            format!("{environment}: {good} of {} checks held", checks.len())
        }
        Fact::CheckStarted { environment, job } => {
            format!("{environment}: check {}, attempt {}, as {}", job.check + 1, job.attempt, job.build)
        }
        Fact::CheckEnded { environment, end, .. } => format!("{environment}: {}", check(&end.result)),
        Fact::WatchStarted { environment, start } => format!("{environment}: until {}", start.ends_at),
        Fact::WatchEnded { environment, end } => {
            let result = end.failure.as_ref().map_or_else(|| "nothing turned sick".to_owned(), of);
            format!("{environment}: {result}")
        }
        Fact::RollbackStarted { environment, deployment, by } => {
            format!("{environment}: {deployment}; {}", super::owner(*by))
        }
        Fact::RollbackEnded { environment, outcome } => {
            format!("{environment}: {}", super::rollback(outcome))
        }
        _ => return None,
    })
}

fn of(cause: &Cause) -> String {
    format!("{}: {}", cause.stage, cause.summary)
}

fn check(result: &CheckResult) -> String {
    let held = if result.passed { "held" } else { "did not hold" };
    format!("{} {held}: {}", result.check, result.detail)
}

fn counts(jobs: usize, environments: usize) -> String {
    let of = |count: usize, word: &str| format!("{count} {word}{}", if count == 1 { "" } else { "s" });
    format!("{}, {}", of(jobs, "job"), of(environments, "environment"))
}
