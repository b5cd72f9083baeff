//! A run in words for people: what `pushway run show` prints, and what the live view says of its parts.
//!
//! The same state means one thing while the run goes on and another once it is over: what an ended run had been
//! waiting for will never come, and nobody is asked for it any more.

use pushway_core::api::RunView;
use pushway_core::fact::{RollbackOutcome, RollbackOwner};
use pushway_core::messages::{self, deploys, stopped_by};
use pushway_core::run::{EnvironmentState, JobState, Run};

use crate::{output, question};

/// Writes what there is to know of a run and of the builds of its checks.
pub(crate) fn describe(view: &RunView, checks: &[JobState]) -> anyhow::Result<()> {
    let run = &view.run;
    let pipeline = run.pipeline.as_ref().map_or("no pipeline yet", |name| name.as_str());
    output::line(&format!("run      {}  {}", run.id, run.status))?;
    output::line(&format!("pipeline {pipeline}"))?;
    output::line(&format!(
        "commit   {} on {} of {}: {} ({})",
        run.source.commit.short(),
        run.source.git_ref.short(),
        run.source.repository,
        run.source.message,
        run.source.author
    ))?;
    if let Some(url) = &view.commit_url {
        output::line(&format!("at       {url}"))?;
    }
    output::line(&format!("received {}  changed {}", run.received_at, run.updated_at))?;
    if let Some(retry) = &run.source.retry {
        output::line(&format!("retry of {} from {} by {}", retry.of, retry.from.as_str(), retry.by))?;
    }
    if let Some(stop) = &run.stop {
        output::line(&stopped_by(stop))?;
    }
    for job in &run.jobs {
        output::line(&format!("  {:<24} {}", job.job.to_string(), self::job(run, job)))?;
    }
    for environment in &run.environments {
        output::line(&format!(
            "  {:<24} {}",
            format!("environment {}", environment.name),
            self::environment(run, environment)
        ))?;
        if let Some(approval) = &environment.approval {
            for line in question::describe(approval) {
                output::line(&format!("      {line}"))?;
            }
        }
        let change = environment.rollout.as_ref().and_then(|rollout| rollout.out_of_band.as_ref());
        if let Some(change) = change {
            output::line(&format!("      note: {}", deploys::out_of_band(change)))?;
        }
    }
    for check in checks {
        output::line(&format!("  {:<24} {}", check.job.to_string(), self::job(run, check)))?;
    }
    for finding in &run.findings {
        output::line(&format!("  {finding}"))?;
    }
    describe_cause(run)
}

/// Writes why a run ended so.
pub(crate) fn describe_cause(run: &Run) -> anyhow::Result<()> {
    if let Some(rule) = &run.ignored_by {
        output::line(&format!("ignored: {rule}"))?;
    }
    if let Some(by) = run.superseded_by {
        output::line(&format!("superseded by run {by} of a newer push"))?;
    }
    let Some(cause) = &run.cause else { return Ok(()) };
    output::line(&format!("\n{} {}: {}", run.status, cause.stage, cause.summary))?;
    for line in &cause.evidence {
        output::line(&format!("    {line}"))?;
    }
    output::line(&format!("next: {}", cause.advice))
}

/// How a job is doing.
pub(crate) fn job(run: &Run, job: &JobState) -> String {
    let tests = job.end.as_ref().and_then(|end| end.tests.as_ref());
    let tests = tests.map_or_else(String::new, |tests| format!(", {}", messages::test_counts(tests)));
    if let Some(from) = job.taken_from {
        return format!("succeeded in run {from}{tests}");
    }
    let state = match &job.end {
        _ if job.attempt == 0 && run.status.is_terminal() => "not run",
        _ if job.attempt == 0 => "waiting",
        None if run.status.is_terminal() => "stopped",
        None => "running",
        Some(end) if end.failure.is_none() => "succeeded",
        Some(end) if end.will_retry => "failed, will be tried again",
        Some(_) => "failed",
    };
    let attempt = if job.attempt > 1 { format!(" (attempt {})", job.attempt) } else { String::new() };
    format!("{state}{attempt}{tests}")
}

/// How a run is doing with an environment.
pub(crate) fn environment(run: &Run, state: &EnvironmentState) -> String {
    if let Some(outcome) = state.rollback_outcome() {
        return way_back(outcome);
    }
    if let Some(from) = state.kept_from {
        return format!("live since run {from}, left as it is");
    }
    let refusal = state.approval.as_ref().and_then(|approval| approval.refusal.as_ref());
    match (state, refusal) {
        _ if state.is_live() => "live and validated".into(),
        _ if state.has_failed() => "failed".into(),
        (_, Some(refusal)) => messages::refused(refusal),
        _ if run.status.is_terminal() => never_ended(state).into(),
        _ => going_on(run, state),
    }
}

fn way_back(outcome: &RollbackOutcome) -> String {
    match outcome {
        RollbackOutcome::Restored { by: RollbackOwner::Pushway } => {
            "failed; Pushway brought the old version back".into()
        }
        RollbackOutcome::Restored { by: RollbackOwner::Service } => {
            "failed; the service went back by itself".into()
        }
        RollbackOutcome::Restored { by: RollbackOwner::Alarm } => {
            "failed; the service went back because an alarm went off".into()
        }
        RollbackOutcome::Restored { by: RollbackOwner::Person } => {
            "failed; someone made the service go back".into()
        }
        RollbackOutcome::NotNeeded { reason } => format!("failed; nothing to roll back: {reason}"),
        RollbackOutcome::Held => "failed; held as it is, as pushway.yml says".into(),
        RollbackOutcome::NoBaseline => "failed; there is no older version to go back to".into(),
        RollbackOutcome::Failed { cause } => format!("FAILED AND NOT ROLLED BACK: {}", cause.summary),
    }
}

/// What an environment was at when the run ended.
fn never_ended(state: &EnvironmentState) -> &'static str {
    match state {
        _ if state.rollback.is_some() => "was being rolled back when the run ended",
        _ if state.deploy.is_some() => "deployed; the run ended before its checks did",
        _ if state.rollout.is_some() => "was being deployed when the run ended",
        EnvironmentState { approval: Some(approval), .. } if approval.is_open() => {
            "not deployed; the run ended before it was approved"
        }
        _ => "not deployed",
    }
}

fn going_on(run: &Run, state: &EnvironmentState) -> String {
    match state {
        _ if state.rollback.is_some() => "rolling back".into(),
        _ if state.is_validated() => "deployed and validated, being watched".into(),
        _ if state.deploy.is_some() => "deployed, being validated".into(),
        _ if state.paused().is_some() => {
            messages::checkpoints::waits(state.paused().map_or(0, |point| point.served))
        }
        _ if state.rollout.is_some() => "deploying".into(),
        _ if state.fence.is_some() => "locked for this run".into(),
        EnvironmentState { approval: Some(approval), .. } if approval.is_open() => format!(
            "waits for approval ({} of {}); pushway approve {} {}",
            approval.counted(),
            approval.request.required,
            run.id,
            state.name
        ),
        EnvironmentState { blocked: Some(why), .. } => format!("waits: {why}"),
        _ => "waiting".into(),
    }
}
