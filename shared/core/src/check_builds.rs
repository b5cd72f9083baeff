//! Builds of checks, told as jobs: what they are called follows from the plan, how they stand from the run.
//!
//! They belong to no stage of the run, so they are not among its jobs; but they have logs that people read, and are
//! found by the same kind of name. Their test cases are counted in their check and not kept.

use crate::fact::{Cause, JobEnd, JobId};
use crate::ids::{EnvironmentName, JobName};
use crate::messages::checkpoints;
use crate::plan::{Check, Plan};
use crate::ports::Answer;
use crate::run::{CheckJobEnd, CheckJobState, JobState, Run};
use crate::settle::check_job;

/// The build of a check.
#[derive(Debug, Clone, PartialEq)]
pub struct CheckBuild {
    /// The environment that it checks.
    pub environment: EnvironmentName,
    /// The job's name in the pipeline file.
    pub name: JobName,
    /// Its newest attempt, under the name by which its log is found.
    pub state: JobState,
}

/// Whether a run has builds of checks: without any, its plan need not be read for them.
pub fn has_any(run: &Run) -> bool {
    run.environments.iter().any(|state| !state.check_jobs.is_empty())
}

/// The builds of a run's checks that have begun, in their order; the newest attempt of each.
pub fn of(run: &Run, plan: &Plan) -> Answer<Vec<CheckBuild>> {
    let mut builds = Vec::new();
    for state in &run.environments {
        let checks = plan.environment(&state.name).map(|planned| planned.validate.as_slice());
        for (number, check) in (0..).zip(checks.unwrap_or_default()) {
            let newest = state.check_jobs.iter().rfind(|job| job.check == number);
            let (Check::Job(planned), Some(newest)) = (check, newest) else { continue };
            let job = check_job(run, &state.name, number, &planned.name)?;
            builds.push(CheckBuild {
                environment: state.name.clone(),
                name: planned.name.clone(),
                state: as_job(job, newest),
            });
        }
    }
    Ok(builds)
}

fn as_job(job: JobId, build: &CheckJobState) -> JobState {
    let end = build.end.as_ref();
    JobState {
        attempt: build.attempt,
        build: Some(build.build.clone()),
        started_at: end.and_then(|end| end.started_at),
        end: end.map(|end| ended(&job, end)),
        taken_from: None,
        job,
    }
}

fn ended(job: &JobId, end: &CheckJobEnd) -> JobEnd {
    let CheckJobEnd { will_retry, result, log, started_at, ended_at, machine } = end.clone();
    let cause = Cause::new(job, &result.detail, checkpoints::READ_ITS_LOG).with_evidence(result.evidence);
    JobEnd {
        failure: (!result.passed).then_some(cause),
        will_retry,
        log,
        started_at,
        ended_at,
        machine,
        ..JobEnd::default()
    }
}
