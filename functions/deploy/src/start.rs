//! The one call that moves the service, or creates it.

use pushway_core::fact::{Fact, Rollout};
use pushway_core::plan::{EcsTarget, EnvironmentPlan};
use pushway_core::ports::{Clock, CreateServices, MoveServices, Runs};
use pushway_core::run::{EnvironmentState, Run};
use pushway_core::settle::record;
use pushway_core::views::ServiceView;

use crate::Stopped;
use crate::create::create;

/// Tells the service to move, unless an earlier try of the state has.
pub(crate) async fn start<P>(
    ports: &P,
    run: &Run,
    state: &EnvironmentState,
    (planned, target): (&EnvironmentPlan, &EcsTarget),
    service: &ServiceView,
    rollout: &Rollout,
) -> Result<(), Stopped>
where
    P: Runs + MoveServices + CreateServices + Clock,
{
    // The revision was registered for this run alone: a rollout that brings it is ours, and an earlier try
    // of this state has started it.
    let started = service.rollouts.iter().find(|view| view.task_definition == rollout.task_definition);
    let deployment = match started {
        Some(view) => view.id.clone(),
        None if !service.is_active => create(ports, run, (planned, target), rollout).await?,
        None => {
            let movement = target.movement(run.id, &planned.name);
            ports.move_service(&rollout.at(), &rollout.task_definition, &movement).await?
        }
    };
    tracing::info!(run_id = %run.id, environment = %state.name, deployment, "deploy started");
    let fact = Fact::DeployStarted { environment: state.name.clone(), deployment };
    record(ports, run.id, fact).await?;
    Ok(())
}
