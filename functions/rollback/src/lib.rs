//! State `Rollback`: returns the target to its last good artifact, or says honestly why not.
//!
//! One owner at a time: where the service goes back by itself, this function only waits for it. It always
//! answers its state with success; what the rollback came to is a fact of the run.

mod scheduled;

use jiff::SignedDuration;
use pushway_core::contract::{Done, EnvironmentTask, Failure};
use pushway_core::fact::{Fact, RollbackOutcome, RollbackOwner, Rollout};
use pushway_core::messages;
use pushway_core::plan::{EcsTarget, OnFailure, Strategy, Target};
use pushway_core::ports::{
    Answer, Callbacks, Clock, Fault, MoveSchedules, MoveServices, Plans, ReadSchedules, ReadServices, Runs,
    Waits, Written,
};
use pushway_core::rollout::{RollbackStep, rollback_step};
use pushway_core::run::{EnvironmentState, Run};
use pushway_core::settle::{load, load_planned, open_on_service, or_tell, record, settle_service, state_of};
use pushway_core::strategy::Movement;
use pushway_core::views::ServiceView;
use pushway_core::wait::{Subject, Wait, Work};

/// Rolls one environment back.
pub async fn handle<P>(ports: &P, task: EnvironmentTask) -> Result<Done, Failure>
where
    P: Runs + Plans + Waits + ReadServices + MoveServices + ReadSchedules + MoveSchedules + Callbacks + Clock,
{
    let token = task.task_token.clone();
    or_tell(ports, &token, roll_back(ports, task).await).await
}

async fn roll_back<P>(ports: &P, task: EnvironmentTask) -> Result<Done, Failure>
where
    P: Runs + Plans + Waits + ReadServices + MoveServices + ReadSchedules + MoveSchedules + Callbacks + Clock,
{
    let (run, planned) = load_planned(ports, task.run_id, &task.environment).await?;
    let state = state_of(&run, &task.environment)?;
    let decided = match planned.on_failure {
        _ if state.rollback_outcome().is_some() => None,
        // What can't be undone is not undone by itself.
        _ if planned.irreversible && state.has_touched_service() => Some(RollbackOutcome::Held),
        // Who stops a run wants no half-done deploy; what failed by itself is held to be looked at.
        OnFailure::Hold if state.has_touched_service() && run.stop.is_none() => Some(RollbackOutcome::Held),
        OnFailure::Hold | OnFailure::Rollback => match &planned.target {
            Target::Ecs(target) => move_back(ports, &run, state, &task, target).await?,
            Target::EcsScheduledTask(target) => {
                Some(scheduled::point_back(ports, &run, state, &target.starter).await?)
            }
        },
    };
    if let Some(outcome) = decided {
        record(ports, run.id, Fact::RollbackEnded { environment: task.environment.clone(), outcome }).await?;
    }
    let run = load(ports, run.id).await?;
    if state_of(&run, &task.environment)?.rollback_outcome().is_some() {
        ports.succeed(&task.task_token).await?;
    }
    Ok(Done {})
}

/// Takes the step that the service's state asks for. Gives the outcome where it is known at once.
async fn move_back<P>(
    ports: &P,
    run: &Run,
    state: &EnvironmentState,
    task: &EnvironmentTask,
    target: &EcsTarget,
) -> Answer<Option<RollbackOutcome>>
where
    P: Runs + Plans + Waits + ReadServices + MoveServices + Callbacks + Clock,
{
    let Some(rollout) = &state.rollout else {
        return Ok(Some(RollbackOutcome::NotNeeded {
            reason: "the deploy had not touched the service".into(),
        }));
    };
    let failed = |reason: &str| {
        Ok(Some(RollbackOutcome::Failed { cause: messages::rollback_failed(&state.name, reason) }))
    };
    let Some(service) = ports.service(&rollout.at()).await? else {
        return failed("the service is gone");
    };
    // The wait stands before the service moves, so that no crash in between leaves a rollback unwatched.
    let now = ports.now();
    let wait = Wait {
        subject: Subject::Service(rollout.service.clone()),
        run: run.id,
        work: Work::Rollback(state.name.clone()),
        token: task.task_token.clone(),
        opened_at: now,
        deadline: now + SignedDuration::from_secs(i64::from(target.timeout_seconds)),
    };
    let own = ports.service_deployment(&rollout.at(), &rollout.task_definition).await?;
    let step = rollback_step(state, &service, own.as_ref());
    match step {
        RollbackStep::NotNeeded(reason) => return Ok(Some(RollbackOutcome::NotNeeded { reason })),
        RollbackStep::NoBaseline => return Ok(Some(RollbackOutcome::NoBaseline)),
        _ if open_on_service(ports, &wait).await? == Written::Conflict => {
            return failed("another run moves the service at this moment");
        }
        _ => {}
    }
    let (deployment, by) = match act(ports, rollout, &service, step, target.strategy).await {
        Ok(started) => started,
        Err(Fault::Permanent(why)) => {
            ports.close(&wait).await?;
            return failed(&why);
        }
        Err(fault) => return Err(fault),
    };
    tracing::info!(run_id = %run.id, environment = %state.name, deployment, ?by, "rollback started");
    record(ports, run.id, Fact::RollbackStarted { environment: state.name.clone(), deployment, by }).await?;
    settle_service(ports, &wait).await?;
    Ok(None)
}

/// Takes the step. Gives the deployment to follow and whose it is.
async fn act<P: MoveServices>(
    ports: &P,
    rollout: &Rollout,
    service: &ServiceView,
    step: RollbackStep,
    strategy: Strategy,
) -> Answer<(String, RollbackOwner)> {
    match step {
        RollbackStep::Stop { deployment } => {
            if ports.stop_deployment(&rollout.at(), &deployment).await? {
                Ok((deployment, RollbackOwner::Pushway))
            } else {
                // It ended since it was looked at: the next try of this state looks again.
                Err(Fault::Retryable(format!("deployment {deployment} is over and could not be stopped")))
            }
        }
        RollbackStep::Move { task_definition } => {
            let back = Movement::back(strategy);
            let deployment = ports.move_service(&rollout.at(), &task_definition, &back).await?;
            // The service may have been there already: it had gone back by itself.
            let was_there = service.primary().is_some_and(|primary| primary.id == deployment);
            Ok((deployment, if was_there { RollbackOwner::Service } else { RollbackOwner::Pushway }))
        }
        RollbackStep::Follow { deployment, by } => Ok((deployment, by)),
        RollbackStep::NotNeeded(reason) => Err(Fault::Permanent(reason)),
        RollbackStep::NoBaseline => Err(Fault::Permanent("there is nothing to go back to".into())),
    }
}
