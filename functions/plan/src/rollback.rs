//! The plan of a rollback by hand: that of the run that brought the wanted version, cut down to its deploy.

use pushway_core::ids::{EnvironmentName, RunId};
use pushway_core::plan::Plan;
use pushway_core::ports::{Answer, Fault, Plans, Runs};
use pushway_core::settle::{load, state_of};

/// The plan that brings back what run `to` had deployed to an environment.
pub(crate) async fn plan<P: Runs + Plans>(
    ports: &P,
    to: RunId,
    environment: &EnvironmentName,
) -> Answer<Plan> {
    let then = load(ports, to).await?;
    let rollout = state_of(&then, environment)?.rollout.as_ref();
    let plan = ports.plan(to).await?;
    let plan = rollout.and_then(|rollout| plan?.for_rollback(environment, rollout));
    plan.ok_or_else(|| Fault::Permanent(format!("run {to} has deployed nothing to {environment}")))
}
