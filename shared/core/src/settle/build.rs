//! Settling a build: read it back, record how it ended, answer the state that waits.

use std::collections::BTreeMap;

use super::images::{Left, with_images};
use super::stop::build_ended_by_stop;
use super::test_cases::{self, Tested};
use super::{Settled, answer, load, try_record, wake_dependents};
use crate::contract::errors;
use crate::fact::{Fact, JobEnd, JobId};
use crate::ids::VariableName;
use crate::image_file::BuiltImages;
use crate::messages;
use crate::plan::JobPlan;
use crate::ports::{
    Answer, Callbacks, Clock, Fault, Plans, ReadArtifacts, ReadBuilds, ReadImages, ReadLogs, ReadRuns, Runs,
    StopBuilds, TestCases, Waits,
};
use crate::run::{IllegalTransition, Run};
use crate::views::{BuildStatus, BuildView};
use crate::wait::{Subject, Wait, Work};

/// Log lines kept as evidence of a failed build.
const EVIDENCE_LINES: usize = 20;

/// Looks at the build that `wait` waits for.
pub async fn settle_build<P>(ports: &P, wait: &Wait) -> Answer<Settled>
where
    P: Runs
        + Plans
        + Waits
        + ReadBuilds
        + StopBuilds
        + ReadLogs
        + ReadArtifacts
        + ReadImages
        + TestCases
        + Callbacks
        + Clock,
{
    if let Work::Check { .. } = &wait.work {
        return super::check::settle_check(ports, wait).await;
    }
    let (Subject::Build(build), Work::Job { job, attempt }) = (&wait.subject, &wait.work) else {
        return Err(Fault::Permanent("a wait on a build must be for a job".into()));
    };
    let run = load(ports, wait.run).await?;
    if let Some(settled) = build_ended_by_stop(ports, &run, wait).await? {
        return Ok(settled);
    }
    if let Some(why) = &run.overtaken {
        return super::turn::abandon(ports, wait, (errors::JOB_FAILED, why)).await;
    }
    let known = run.job(job).filter(|state| state.attempt == *attempt).and_then(|state| state.end.clone());
    if let Some(end) = known {
        return reply(ports, &run, wait, &end).await;
    }
    let view = ports.build(build).await?;
    let is_over = view.as_ref().is_none_or(|view| view.status != BuildStatus::InProgress);
    if !is_over && ports.now() < wait.deadline {
        return Ok(Settled::Waiting);
    }
    let Some(end) = end_of(ports, &run, (job, *attempt), build, view.as_ref()).await? else {
        return Ok(Settled::Waiting);
    };
    let fact = Fact::JobEnded { job: job.clone(), attempt: *attempt, end: end.clone() };
    match try_record(ports, wait.run, fact).await? {
        Ok(run) => {
            // Another settler may have been first; its word is the run's.
            let end = run.job(job).and_then(|state| state.end.clone()).unwrap_or(end);
            reply(ports, &run, wait, &end).await
        }
        Err(IllegalTransition::TooEarly { .. }) => Ok(Settled::Waiting),
        Err(IllegalTransition::Contradicts { .. } | IllegalTransition::Terminal { .. }) => {
            // Another settler was first and has seen it a little otherwise: its word is the run's.
            let run = load(ports, wait.run).await?;
            let known = run.job(job).filter(|state| state.attempt == *attempt);
            if let Some(end) = known.and_then(|state| state.end.as_ref()) {
                return reply(ports, &run, wait, end).await;
            }
            answer(ports, wait, Some((errors::JOB_FAILED, "the run has moved on without this build"))).await
        }
    }
}

/// How a build ended that is over, or whose time is. `None`: what it reports is not whole yet.
async fn end_of<P>(
    ports: &P,
    run: &Run,
    (job, attempt): (&JobId, u32),
    build: &str,
    view: Option<&BuildView>,
) -> Answer<Option<JobEnd>>
where
    P: Plans + ReadBuilds + StopBuilds + ReadLogs + ReadArtifacts + ReadImages + TestCases + Clock,
{
    let Some(view) = view else { return Ok(Some(unknown(job, build))) };
    if view.status == BuildStatus::InProgress {
        ports.stop_build(build).await?;
        let failure = Some(messages::build_overdue(job));
        return Ok(Some(JobEnd { failure, ..times_and_log(view) }));
    }
    let whole = ports.plan(run.id).await?;
    let planned = whole.as_ref().and_then(|whole| Some((whole, whole.job(job.stage, &job.name)?)));
    let (whole, plan) =
        planned.ok_or_else(|| Fault::Permanent(format!("the plan of run {} has no job {job}", run.id)))?;
    let Some(tested) = test_cases::keep(ports, run, job, attempt, view).await? else { return Ok(None) };
    let end = ended(ports, plan, job, attempt, view, &tested).await?;
    let end = with_images(ports, Left { run: run.id, job, attempt }, whole, plan, end).await?;
    let end = kept(end, job, run.jobs.len());
    test_cases::remember(ports, run, attempt, &tested, (view, end.will_retry)).await?;
    Ok(Some(end))
}

async fn reply<P>(ports: &P, run: &Run, wait: &Wait, end: &JobEnd) -> Answer<Settled>
where
    P: ReadRuns + Plans + Callbacks + Waits + Clock,
{
    if !end.will_retry
        && let Work::Job { job, .. } = &wait.work
    {
        wake_dependents(ports, run, job).await?;
    }
    match &end.failure {
        None => answer(ports, wait, None).await,
        Some(cause) if end.will_retry => answer(ports, wait, Some((errors::JOB_RETRY, &cause.summary))).await,
        Some(cause) => answer(ports, wait, Some((errors::JOB_FAILED, &cause.summary))).await,
    }
}

/// What the run keeps of a build's end.
fn kept(end: JobEnd, job: &JobId, jobs: usize) -> JobEnd {
    let room = JobEnd::room(jobs);
    let bare = JobEnd { outputs: BTreeMap::new(), images: BuiltImages::default(), ..end.clone() };
    end.fitted(room).unwrap_or_else(|bytes| JobEnd {
        failure: Some(messages::outputs_too_large(job, bytes, room / 2)),
        will_retry: false,
        ..bare
    })
}

/// The end of a build that `CodeBuild` does not know.
fn unknown(job: &JobId, build: &str) -> JobEnd {
    JobEnd { failure: Some(messages::build_unknown(job, build)), ..JobEnd::default() }
}

pub(super) async fn ended(
    ports: &impl ReadLogs,
    plan: &JobPlan,
    job: &JobId,
    attempt: u32,
    view: &BuildView,
    tested: &Tested,
) -> Answer<JobEnd> {
    let outputs = promised_outputs(plan, view);
    let failure = if view.status == BuildStatus::Succeeded {
        let missing: Vec<&VariableName> =
            plan.outputs.iter().filter(|name| !outputs.contains_key(*name)).collect();
        (!missing.is_empty()).then(|| messages::outputs_missing(job, &missing))
    } else {
        let log = match &view.log {
            Some(log) => ports.log_tail(log, EVIDENCE_LINES).await?,
            None => Vec::new(),
        };
        let evidence = tested.evidence().into_iter().chain(log).collect();
        Some(messages::build_failed(job, view, tested.summary.as_ref(), evidence))
    };
    // A build that someone stopped must not come back by itself.
    let may_retry = view.status != BuildStatus::Stopped && attempt <= u32::from(plan.retries);
    Ok(JobEnd {
        will_retry: failure.is_some() && may_retry,
        failure,
        outputs,
        tests: tested.summary.clone(),
        ..times_and_log(view)
    })
}

fn promised_outputs(plan: &JobPlan, view: &BuildView) -> BTreeMap<VariableName, String> {
    let value = |name: &VariableName| view.exported.get(name.as_str()).filter(|value| !value.is_empty());
    plan.outputs
        .iter()
        .filter_map(|name| Some((name.clone(), crate::fact::bounded(value(name)?, 2_048))))
        .collect()
}

fn times_and_log(view: &BuildView) -> JobEnd {
    JobEnd {
        started_at: view.started_at,
        ended_at: view.ended_at,
        phases: view.phases.clone(),
        machine: view.machine.clone(),
        log: view.log.clone(),
        ..JobEnd::default()
    }
}
