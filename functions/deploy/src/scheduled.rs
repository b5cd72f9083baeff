//! A scheduled task: what starts it is pointed at a revision of its own.
//!
//! Nothing rolls out, so nothing is waited for: what was written is read back at once, and that is the verdict.
//! Whoever else changes the same rule or schedule is noticed and not overwritten, as far as services go that
//! take no condition.

use pushway_core::contract::EnvironmentTask;
use pushway_core::environment::EnvironmentRecord;
use pushway_core::fact::{Baseline, DeployFailureKind, Fact, Rollout, Scheduled};
use pushway_core::failure_card::FailureCard;
use pushway_core::ids::Fence;
use pushway_core::messages::scheduled as messages;
use pushway_core::plan::{EnvironmentPlan, ScheduledTarget};
use pushway_core::ports::{
    Callbacks, Clock, Fault, MoveSchedules, MoveServices, Pointed, ReadSchedules, ReadServices, ReadTasks,
    RunTasks, Runs, Waits,
};
use pushway_core::rollout::{deploy_failure, images_of};
use pushway_core::run::{EnvironmentState, Run};
use pushway_core::scheduled::{ScheduledView, check, only};
use pushway_core::settle::record;

use crate::before::{Before, before};
use crate::{Held, Stopped, revision};

/// Brings the scheduled task a revision of its own.
pub(crate) async fn point<P>(
    ports: &P,
    run: &Run,
    state: &EnvironmentState,
    (planned, target): (&EnvironmentPlan, &ScheduledTarget),
    (fence, known): Held,
    task: &EnvironmentTask,
) -> Result<(), Stopped>
where
    P: Runs
        + Waits
        + ReadServices
        + MoveServices
        + ReadSchedules
        + MoveSchedules
        + RunTasks
        + ReadTasks
        + Callbacks
        + Clock,
{
    // An earlier try may have died when it had said how it ended.
    if let Some(verdict) = &state.deploy {
        return match &verdict.failure {
            Some(failure) => Err(Stopped::Failed(Box::new(failure.clone()))),
            None => Ok(ports.succeed(&task.task_token).await.map(|_| ())?),
        };
    }
    let rollout = match &state.rollout {
        Some(rollout) => rollout.clone(),
        None => prepare(ports, run, (planned, target), (fence, &known)).await?,
    };
    if state.deployment.is_none() {
        if before(ports, run, state, planned, &rollout, task).await? == Before::Waiting {
            return Ok(());
        }
        start(ports, run, state, target, &rollout).await?;
    }
    read_back(ports, run, state, target, &rollout).await?;
    ports.succeed(&task.task_token).await?;
    Ok(())
}

async fn find<P: ReadSchedules>(
    ports: &P,
    planned: &EnvironmentPlan,
    target: &ScheduledTarget,
) -> Result<ScheduledView, Stopped> {
    let tasks = ports.scheduled(&target.at(&planned.place)).await?;
    only(&target.starter, tasks).map_err(Stopped::Refused)
}

async fn prepare<P>(
    ports: &P,
    run: &Run,
    (planned, target): (&EnvironmentPlan, &ScheduledTarget),
    (fence, known): (Fence, &EnvironmentRecord),
) -> Result<Rollout, Stopped>
where
    P: Runs + MoveServices + ReadSchedules + MoveSchedules + Clock,
{
    let images = images_of(run, &planned.target).map_err(Stopped::Refused)?;
    let view = find(ports, planned, target).await?;
    let scheduled = Scheduled { starter: target.starter.clone(), target: view.target.clone() };
    // Who names no revision starts the latest, and so would start ours before its time.
    if !view.is_pinned() {
        let pinned = ports.point(&planned.place, &scheduled, &view.named, &view.revision).await?;
        there(target, pinned, &view.named)?;
    }
    let now = (Some(view.revision.as_str()), &view.containers()[..]);
    let task_definition = revision::register(ports, run, planned, now, &images).await?;
    let rollout = Rollout {
        cluster: view.cluster,
        service: target.starter.to_string(),
        place: planned.place.clone(),
        fence,
        task_definition,
        images,
        asks: 0,
        out_of_band: known.out_of_band(&view.revision),
        baseline: Some(Baseline { task_definition: view.revision }),
        scheduled: Some(scheduled),
    };
    let fact = Fact::DeployPrepared { environment: planned.name.clone(), rollout: rollout.clone() };
    record(ports, run.id, fact).await?;
    Ok(rollout)
}

fn there(target: &ScheduledTarget, pointed: Pointed, from: &str) -> Result<(), Stopped> {
    match pointed {
        Pointed::There => Ok(()),
        Pointed::Elsewhere(found) => {
            Err(Stopped::Refused(messages::changed_meanwhile(&target.starter, &found, from)))
        }
        Pointed::Gone => Err(Stopped::Refused(messages::no_starter(&target.starter))),
    }
}

async fn start<P>(
    ports: &P,
    run: &Run,
    state: &EnvironmentState,
    target: &ScheduledTarget,
    rollout: &Rollout,
) -> Result<(), Stopped>
where
    P: Runs + MoveSchedules + Clock,
{
    let (Some(scheduled), Some(baseline)) = (&rollout.scheduled, &rollout.baseline) else {
        return Err(Fault::Permanent(format!("run {} has prepared another deploy", run.id)).into());
    };
    let (from, to) = (&baseline.task_definition, &rollout.task_definition);
    there(target, ports.point(&rollout.place, scheduled, from, to).await?, from)?;
    tracing::info!(run_id = %run.id, environment = %state.name, revision = to, "scheduled task pointed");
    // The revision is this run's alone, and so as good as the id of a deployment.
    let fact = Fact::DeployStarted { environment: state.name.clone(), deployment: to.clone() };
    record(ports, run.id, fact).await?;
    Ok(())
}

/// Holds what the rule or schedule says now against what was written.
async fn read_back<P>(
    ports: &P,
    run: &Run,
    state: &EnvironmentState,
    target: &ScheduledTarget,
    rollout: &Rollout,
) -> Result<(), Stopped>
where
    P: Runs + ReadSchedules + Clock,
{
    let tasks = ports.scheduled(&target.at(&rollout.place)).await?;
    let lost = |reason: &str| {
        let kind = DeployFailureKind::Diverged;
        Stopped::Failed(Box::new(deploy_failure(&state.name, kind, reason, FailureCard::default())))
    };
    let view = only(&target.starter, tasks).map_err(|why| lost(&why))?;
    if let Err(why) = check(rollout, &view) {
        let is_old = rollout.baseline.as_ref().is_some_and(|old| old.task_definition == view.revision);
        return Err(if is_old {
            // Gone back by someone's hand, or not shown yet: another look will tell.
            Fault::Retryable(messages::not_shown_yet(&target.starter, &view.revision)).into()
        } else if view.revision == rollout.task_definition {
            lost(&why)
        } else {
            lost(&messages::moved_elsewhere(&target.starter, &view.named))
        });
    }
    let fact = Fact::DeployEnded {
        environment: state.name.clone(),
        failure: None,
        ended_at: None,
        draining_since: None,
    };
    record(ports, run.id, fact).await?;
    Ok(())
}
