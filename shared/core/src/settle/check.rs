//! Settling the build of a check: record how it ended, and let the state `Validate` go on.
//!
//! Its state is answered `CheckReady` either way, and is tried again: what follows from the result stays the
//! one function's affair that validates.

use super::build::ended;
use super::service::record_first;
use super::stop::build_ended_by_stop;
use super::test_cases::Tested;
use super::{Settled, answer, load_planned, state_of};
use crate::contract::errors;
use crate::fact::{CheckResult, Fact, JobEnd, JobId, JobStage, bounded};
use crate::ids::{EnvironmentName, JobName};
use crate::messages;
use crate::plan::{Check, JobPlan};
use crate::ports::{Answer, Callbacks, Clock, Fault, Plans, ReadBuilds, ReadLogs, Runs, StopBuilds, Waits};
use crate::run::{CheckJobEnd, Run};
use crate::views::BuildStatus;
use crate::wait::{Subject, Wait, Work};

/// How a check's build is known: by the places of its environment and of itself, for names may be long.
pub fn check_job(run: &Run, environment: &EnvironmentName, check: u16, name: &JobName) -> Answer<JobId> {
    let place = run.environments.iter().position(|state| state.name == *environment).unwrap_or_default();
    let text = bounded_name(&format!("{place}-{check}-{name}"));
    let name = text.parse().map_err(|error| Fault::Permanent(format!("a check's build: {error}")))?;
    Ok(JobId { stage: JobStage::Check, name })
}

fn bounded_name(text: &str) -> String {
    let cut: String = text.chars().take(63).collect();
    cut.trim_end_matches('-').to_owned()
}

/// Looks at the build that `wait` waits for.
pub(super) async fn settle_check<P>(ports: &P, wait: &Wait) -> Answer<Settled>
where
    P: Runs + Plans + Waits + ReadBuilds + StopBuilds + ReadLogs + Callbacks + Clock,
{
    let (Subject::Build(build), Work::Check { environment, check, attempt }) = (&wait.subject, &wait.work)
    else {
        return Err(Fault::Permanent("a wait on a check's build must name the check".into()));
    };
    let (run, planned) = load_planned(ports, wait.run, environment).await?;
    if let Some(settled) = build_ended_by_stop(ports, &run, wait).await? {
        return Ok(settled);
    }
    if is_known(&run, environment, *check, *attempt)? {
        return go_on(ports, wait).await;
    }
    let view = ports.build(build).await?;
    let is_over = view.as_ref().is_none_or(|view| view.status != BuildStatus::InProgress);
    if !is_over && ports.now() < wait.deadline {
        return Ok(Settled::Waiting);
    }
    let Some(Check::Job(plan)) = planned.validate.get(usize::from(*check)) else {
        return Err(Fault::Permanent(format!("check {check} of {environment} has no build")));
    };
    let job = check_job(&run, environment, *check, &plan.name)?;
    let end = match &view {
        Some(view) if is_over => {
            let tested = Tested::told(ports, &job, *attempt, view).await?;
            ended(ports, plan, &job, *attempt, view, &tested).await?
        }
        Some(_) => {
            ports.stop_build(build).await?;
            JobEnd { failure: Some(messages::build_overdue(&job)), ..JobEnd::default() }
        }
        None => JobEnd { failure: Some(messages::build_unknown(&job, build)), ..JobEnd::default() },
    };
    let fact = Fact::CheckEnded {
        environment: environment.clone(),
        check: *check,
        attempt: *attempt,
        end: CheckJobEnd {
            will_retry: end.will_retry,
            result: result(plan, &end),
            log: end.log,
            started_at: end.started_at,
            ended_at: end.ended_at,
            machine: end.machine,
        },
    };
    record_first(ports, run.id, fact, |run| is_known(run, environment, *check, *attempt)).await?;
    go_on(ports, wait).await
}

fn is_known(run: &Run, environment: &EnvironmentName, check: u16, attempt: u32) -> Answer<bool> {
    let jobs = &state_of(run, environment)?.check_jobs;
    let ours = jobs.iter().find(|job| (job.check, job.attempt) == (check, attempt));
    Ok(ours.is_some_and(|job| job.end.is_some()))
}

/// What a build says of a check: its tests are the samples, or the build itself is the only one.
fn result(plan: &JobPlan, end: &JobEnd) -> CheckResult {
    let tests = end.tests.as_ref();
    let (good, bad) = tests.map_or((0, 0), |tests| (tests.passed, tests.failed));
    let passed = end.failure.is_none();
    let (good, samples) = if good + bad > 0 { (good, good + bad) } else { (u32::from(passed), 1) };
    let detail = match &end.failure {
        Some(cause) => cause.summary.clone(),
        None if tests.is_some() => format!("{good} tests passed"),
        None => "the build succeeded".to_owned(),
    };
    let evidence = end.failure.as_ref().map(|cause| cause.evidence.clone()).unwrap_or_default();
    CheckResult {
        check: format!("job {}", plan.name),
        passed,
        detail: bounded(&detail, 1_000),
        samples,
        good,
        evidence,
    }
}

async fn go_on<P: Callbacks + Waits>(ports: &P, wait: &Wait) -> Answer<Settled> {
    answer(ports, wait, Some((errors::CHECK_READY, "the check's build has ended"))).await
}
