//! States `Validate` and `Watch`: checks that what serves is what was built, that it answers as it should, and
//! that it goes on doing so. ECS' lifecycle hook: checks before the traffic moves.
//!
//! Decides n of m; no sample is a failure. The first check is always the same: every running task of the
//! service runs the built image, by digest, or a scheduled task will be started with it. A check that is a job ends the invocation; once its build has
//! ended, the state is tried again and goes on after it.

mod hook;
mod job;
mod looks;
mod watch;

use pushway_core::contract::{
    Done, Failure, ValidateEvent, ValidateInput, ValidateOutput, ValidateTask, errors,
};
use pushway_core::fact::{CheckResult, Fact, Rollout};
use pushway_core::messages::{stopped_by, validation_failed};
use pushway_core::plan::{Check, EnvironmentPlan};
use pushway_core::ports::{
    Answer, Callbacks, Clock, Fault, Hooks, Plans, Probes, ReadAlarms, ReadMetrics, ReadSchedules,
    ReadServices, ReadTargetHealth, RepositoryFiles, Runs, StartBuilds, Waits,
};
use pushway_core::run::{EnvironmentState, Run};
use pushway_core::settle::{load_planned, or_tell, record, state_of};

/// Validates or watches one environment, or tells ECS whether its deployment may go on.
pub async fn handle<P>(ports: &P, event: ValidateEvent) -> Result<ValidateOutput, Failure>
where
    P: Runs
        + Plans
        + Hooks
        + RepositoryFiles
        + StartBuilds
        + Waits
        + ReadServices
        + ReadSchedules
        + ReadAlarms
        + ReadMetrics
        + ReadTargetHealth
        + Probes
        + Callbacks
        + Clock,
{
    let done = match event {
        ValidateEvent::Hook(event) => {
            return Ok(ValidateOutput::Hook(hook::answer(ports, &event).await));
        }
        ValidateEvent::State(ValidateInput::Validate(task)) => {
            let token = task.task_token.clone();
            or_tell(ports, &token, validate(ports, task).await).await
        }
        ValidateEvent::State(ValidateInput::Watch(task)) => {
            let token = task.task_token.clone();
            or_tell(ports, &token, watch::watch(ports, task).await).await
        }
    };
    done.map(ValidateOutput::State)
}

async fn validate<P>(ports: &P, task: ValidateTask) -> Result<Done, Failure>
where
    P: Runs
        + Plans
        + Hooks
        + RepositoryFiles
        + StartBuilds
        + Waits
        + ReadServices
        + ReadSchedules
        + ReadAlarms
        + ReadMetrics
        + ReadTargetHealth
        + Probes
        + Callbacks
        + Clock,
{
    let (run, planned) = load_planned(ports, task.run_id, &task.environment).await?;
    stop_in(&run, &planned)?;
    let state = state_of(&run, &task.environment)?;
    let checks = if state.checks.is_empty() {
        // A build is under way: its end lets this state go on.
        let Some(checks) = check_all(ports, &run, state, &planned, &task).await? else { return Ok(Done {}) };
        let fact = Fact::Validated { environment: task.environment.clone(), checks: checks.clone() };
        // Checks take their time: someone may have stopped the run meanwhile.
        stop_in(&record(ports, run.id, fact).await?, &planned)?;
        checks
    } else {
        state.checks.clone()
    };
    match validation_failed(&task.environment, &checks) {
        None => {
            ports.succeed(&task.task_token).await?;
            Ok(Done {})
        }
        Some(cause) => Err(Failure::new(errors::VALIDATION_FAILED, cause.summary)),
    }
}

/// Fails where a person has stopped the run: the state machine takes back what it has deployed.
fn stop_in(run: &Run, planned: &EnvironmentPlan) -> Result<(), Failure> {
    let stop = run.stop_in(planned).map(stopped_by);
    stop.map_or(Ok(()), |why| Err(Failure::new(errors::STOPPED, why)))
}

/// All checks in order, up to the first that fails: what follows it would only say so again. None while a
/// check's build is under way.
async fn check_all<P>(
    ports: &P,
    run: &Run,
    state: &EnvironmentState,
    planned: &EnvironmentPlan,
    task: &ValidateTask,
) -> Answer<Option<Vec<CheckResult>>>
where
    P: Runs
        + Hooks
        + RepositoryFiles
        + StartBuilds
        + Waits
        + ReadServices
        + ReadSchedules
        + ReadAlarms
        + ReadMetrics
        + ReadTargetHealth
        + Probes
        + Callbacks
        + Clock,
{
    let nothing = || Fault::Permanent(format!("run {} has deployed nothing to {}", run.id, state.name));
    let rollout = state.rollout.as_ref().ok_or_else(nothing)?;
    let deployed_at = state.deploy.as_ref().and_then(|verdict| verdict.ended_at);
    let since = deployed_at.unwrap_or_else(|| ports.now());
    let mut results = made_before(ports, state, rollout).await?;
    for (place, check) in planned.validate.iter().enumerate().skip(results.len() - 1) {
        if results.iter().any(|result| !result.passed) {
            break;
        }
        let result = match check {
            Check::Job(plan) => {
                let check = (u16::try_from(place).unwrap_or(u16::MAX), &**plan);
                match job::begin(ports, run, task, check, &results).await? {
                    Some(result) => result,
                    None => return Ok(None),
                }
            }
            check => looks::make(ports, rollout, check, since).await?,
        };
        results.push(result);
    }
    Ok(Some(results))
}

/// What earlier tries of the state have made of the checks; the first one is made now if there is none.
async fn made_before<P>(ports: &P, state: &EnvironmentState, rollout: &Rollout) -> Answer<Vec<CheckResult>>
where
    P: ReadServices + ReadSchedules + Probes,
{
    let Some(job) = state.check_jobs.last() else {
        return Ok(vec![looks::check_images(ports, rollout).await?]);
    };
    let mut results = job.before.clone();
    results.extend(job.end.iter().filter(|end| !end.will_retry).map(|end| end.result.clone()));
    Ok(results)
}
