//! State `Deploy`: takes the artifact to the target under the environment's fence.
//!
//! Each step is written down before the next, and each is found again when the state is tried again: what
//! was prepared is not prepared twice, a service that moves already is not moved again. The verdict is not
//! given here: it follows from the service (`deploy-progress`, `sweep`).

mod before;
mod create;
mod revision;
mod scheduled;
mod start;
mod stopped;

use before::{Before, before};
use jiff::SignedDuration;
use pushway_core::checkpoint::asks;
use pushway_core::contract::{Done, EnvironmentTask, Failure, errors};
use pushway_core::environment::EnvironmentRecord;
use pushway_core::fact::{Baseline, Fact, Rollout};
use pushway_core::ids::Fence;
use pushway_core::messages;
use pushway_core::plan::{EcsTarget, EnvironmentPlan, Target};
use pushway_core::ports::{
    Callbacks, Clock, CreateServices, Environments, MoveSchedules, MoveServices, Plans, ReadSchedules,
    ReadServices, ReadTasks, RunTasks, Runs, Waits, Written,
};
use pushway_core::rollout::images_of;
use pushway_core::run::{EnvironmentState, Run, TaskState};
use pushway_core::settle::{
    load_planned, open_on_service, or_tell, record, record_deploy_failure, settle_service, state_of,
};
use pushway_core::views::{RolloutState, ServiceView};
use pushway_core::wait::{Subject, Wait, Work};
use stopped::Stopped;

/// Deploys to one environment.
pub async fn handle<P>(ports: &P, task: EnvironmentTask) -> Result<Done, Failure>
where
    P: Runs
        + Plans
        + Environments
        + Waits
        + ReadServices
        + MoveServices
        + CreateServices
        + ReadSchedules
        + MoveSchedules
        + RunTasks
        + ReadTasks
        + Callbacks
        + Clock,
{
    let token = task.task_token.clone();
    or_tell(ports, &token, deploy(ports, task).await).await
}

async fn deploy<P>(ports: &P, task: EnvironmentTask) -> Result<Done, Failure>
where
    P: Runs
        + Plans
        + Environments
        + Waits
        + ReadServices
        + MoveServices
        + CreateServices
        + ReadSchedules
        + MoveSchedules
        + RunTasks
        + ReadTasks
        + Callbacks
        + Clock,
{
    let (run, planned) = load_planned(ports, task.run_id, &task.environment).await?;
    let state = state_of(&run, &task.environment)?;
    // A task that runs is waited for: what comes after it is not begun.
    if let Some(stop) = run.stop_in(&planned)
        && !state.before.iter().any(TaskState::is_running)
    {
        return Err(Failure::new(errors::STOPPED, messages::stopped_by(stop)));
    }
    match begin(ports, &run, state, &planned, &task).await {
        Ok(()) => Ok(Done {}),
        Err(Stopped::Refused(reason)) => {
            let failure = record_deploy_failure(ports, &run, &task.environment, &reason).await?;
            Err(Failure::new(errors::DEPLOY_FAILED, failure.cause.summary))
        }
        Err(Stopped::Failed(failure)) => {
            let environment = task.environment.clone();
            let summary = failure.cause.summary.clone();
            let fact = Fact::DeployEnded {
                environment,
                failure: Some(*failure),
                ended_at: None,
                draining_since: None,
            };
            record(ports, run.id, fact).await?;
            Err(Failure::new(errors::DEPLOY_FAILED, summary))
        }
        Err(Stopped::ByPerson(why)) => Err(Failure::new(errors::STOPPED, why)),
        Err(Stopped::Fault(fault)) => Err(fault.into()),
    }
}

async fn begin<P>(
    ports: &P,
    run: &Run,
    state: &EnvironmentState,
    planned: &EnvironmentPlan,
    task: &EnvironmentTask,
) -> Result<(), Stopped>
where
    P: Runs
        + Plans
        + Environments
        + Waits
        + ReadServices
        + MoveServices
        + CreateServices
        + ReadSchedules
        + MoveSchedules
        + RunTasks
        + ReadTasks
        + Callbacks
        + Clock,
{
    let held = check_fence(ports, run, state).await?;
    match &planned.target {
        Target::Ecs(target) => move_service(ports, run, state, (planned, target), held, task).await,
        Target::EcsScheduledTask(target) => {
            scheduled::point(ports, run, state, (planned, target), held, task).await
        }
    }
}

/// The lock's fence, and the record that it was held against.
type Held = (Fence, EnvironmentRecord);

async fn move_service<P>(
    ports: &P,
    run: &Run,
    state: &EnvironmentState,
    (planned, target): (&EnvironmentPlan, &EcsTarget),
    (fence, record): Held,
    task: &EnvironmentTask,
) -> Result<(), Stopped>
where
    P: Runs
        + Plans
        + Waits
        + ReadServices
        + MoveServices
        + CreateServices
        + RunTasks
        + ReadTasks
        + Callbacks
        + Clock,
{
    let service = create::find(ports, planned, target).await?;
    let rollout = match &state.rollout {
        Some(rollout) => rollout.clone(),
        None => prepare(ports, run, (planned, target), &service, (fence, &record)).await?,
    };
    if state.deployment.is_none()
        && before(ports, run, state, planned, &rollout, task).await? == Before::Waiting
    {
        return Ok(());
    }
    let now = ports.now();
    let wait = Wait {
        subject: Subject::Service(rollout.service.clone()),
        run: run.id,
        work: Work::Deploy(task.environment.clone()),
        token: task.task_token.clone(),
        opened_at: now,
        deadline: now + SignedDuration::from_secs(i64::from(target.timeout_seconds)),
    };
    if open_on_service(ports, &wait).await? == Written::Conflict {
        let reason = format!(
            "another run is moving service {} at this moment; push again when it is done",
            target.service
        );
        return Err(Stopped::Refused(reason));
    }
    if state.deployment.is_none() {
        start::start(ports, run, state, (planned, target), &service, &rollout).await?;
    }
    settle_service(ports, &wait).await?;
    Ok(())
}

/// Holds the lock against the record itself, since this run may have been asleep for long.
async fn check_fence<P: Environments>(
    ports: &P,
    run: &Run,
    state: &EnvironmentState,
) -> Result<Held, Stopped> {
    let (Some(pipeline), Some(fence)) = (&run.pipeline, state.fence) else {
        return Err(Stopped::Refused(messages::lock_lost(&state.name, None)));
    };
    let record = ports.environment(pipeline, &state.name).await?;
    if record.is_held_under(run.id, fence) {
        Ok((fence, record))
    } else {
        Err(Stopped::Refused(messages::lock_lost(&state.name, record.holder.map(|holder| holder.run))))
    }
}

async fn prepare<P>(
    ports: &P,
    run: &Run,
    (planned, target): (&EnvironmentPlan, &EcsTarget),
    service: &ServiceView,
    (fence, known): (Fence, &EnvironmentRecord),
) -> Result<Rollout, Stopped>
where
    P: Runs + MoveServices + Clock,
{
    // A service that is yet to be created will be what its definition says.
    if service.is_active {
        target.check(&service.settings).map_err(Stopped::Refused)?;
    }
    let images = images_of(run, &planned.target).map_err(Stopped::Refused)?;
    let base = service.primary().map(|primary| primary.task_definition.as_str());
    let now = (base, &service.containers[..]);
    let task_definition = revision::register(ports, run, planned, now, &images).await?;
    let rollout = Rollout {
        cluster: target.cluster.clone(),
        service: service.arn.clone(),
        place: planned.place.clone(),
        fence,
        task_definition,
        images,
        baseline: baseline(service),
        // A service that is created is not moved: there is no traffic to ask about.
        asks: if service.is_active && !target.checkpoints.is_empty() { asks(target.strategy) } else { 0 },
        out_of_band: service.primary().and_then(|primary| known.out_of_band(&primary.task_definition)),
        scheduled: None,
    };
    let fact = Fact::DeployPrepared { environment: planned.name.clone(), rollout: rollout.clone() };
    record(ports, run.id, fact).await?;
    Ok(rollout)
}

/// What the service can go back to: a rollout that has completed and really runs. A service that never ran
/// anything has none, even if its rollout counts as completed.
fn baseline(service: &ServiceView) -> Option<Baseline> {
    let good = service
        .rollouts
        .iter()
        .find(|rollout| rollout.state == RolloutState::Completed && rollout.running > 0)?;
    Some(Baseline { task_definition: good.task_definition.clone() })
}
