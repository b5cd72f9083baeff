//! Environments: what serves, who holds or waits, who must consent, freezing, and the way back.

use pushway_core::api::{Frozen, ProtectOrder, Protected, Reasoned, RollbackOrder, Unfrozen, Unprotected};
use pushway_core::environment::{EnvironmentRecord, Freeze};
use pushway_core::ids::{EnvironmentName, PipelineName};
use pushway_core::intake::take_rollback;
use pushway_core::ports::{Clock, Deliveries, Environments, Random, ReadRuns, StartExecutions};
use pushway_core::protection::ProtectionRule;
use pushway_core::settle::{self, load};
use pushway_core::source::Trigger;

use crate::call::Call;
use crate::reply::{Problem, Reply, words};
use crate::start::answer;

/// `GET /v1/environments/{pipeline}/{environment}`.
pub(crate) async fn show<P: Environments>(ports: &P, call: &Call<'_>) -> Result<EnvironmentRecord, Problem> {
    known(ports, call).await
}

/// `POST /v1/environments/{pipeline}/{environment}/freeze`.
pub(crate) async fn freeze<P: Environments + Clock>(ports: &P, call: &Call<'_>) -> Result<Frozen, Problem> {
    let (pipeline, name) = names(call)?;
    let Reasoned { reason } = call.order()?;
    let freeze = Freeze { by: call.by(), reason: words(&reason)?, since: ports.now() };
    let freeze = settle::freeze(ports, &pipeline, &name, freeze).await?;
    Ok(Frozen { freeze })
}

/// `POST /v1/environments/{pipeline}/{environment}/unfreeze`.
pub(crate) async fn unfreeze<P: Environments>(ports: &P, call: &Call<'_>) -> Result<Unfrozen, Problem> {
    let (pipeline, name) = names(call)?;
    Ok(Unfrozen { was: settle::unfreeze(ports, &pipeline, &name).await? })
}

/// `POST /v1/environments/{pipeline}/{environment}/protect`: also for one that was never deployed to, since the rule is
/// to hold for the first deploy.
pub(crate) async fn protect<P: Environments + Clock>(
    ports: &P,
    call: &Call<'_>,
) -> Result<Protected, Problem> {
    let (pipeline, name) = names(call)?;
    let ProtectOrder { required, approvers } = call.order()?;
    let rule = ProtectionRule::new(required, approvers, call.by(), ports.now());
    let rule = rule.map_err(Problem::BadRequest)?;
    Ok(Protected { protection: settle::protect(ports, &pipeline, &name, rule).await? })
}

/// `POST /v1/environments/{pipeline}/{environment}/unprotect`.
pub(crate) async fn unprotect<P: Environments>(ports: &P, call: &Call<'_>) -> Result<Unprotected, Problem> {
    let (pipeline, name) = names(call)?;
    Ok(Unprotected { was: settle::unprotect(ports, &pipeline, &name).await? })
}

/// `POST /v1/environments/{pipeline}/{environment}/rollback`: a run of its own that brings an earlier good version
/// back; it takes the lock, is validated and kept like any other.
pub(crate) async fn rollback<P>(ports: &P, call: &Call<'_>) -> Result<Reply, Problem>
where
    P: ReadRuns + Environments + Deliveries + StartExecutions + Clock + Random,
{
    let RollbackOrder { to, reason, accept_irreversible } = call.order()?;
    let reason = words(&reason)?;
    let record = known(ports, call).await?;
    let target = record.way_back(to, accept_irreversible).map_err(Problem::Conflict)?;
    let delivery = call.delivery("rollback")?;
    let trigger =
        Trigger::Rollback { to: target.run, environment: record.name.clone(), by: call.by(), reason };
    let then = load(ports, target.run).await?;
    answer(take_rollback(ports, &then, &delivery, trigger).await?)
}

fn names(call: &Call<'_>) -> Result<(PipelineName, EnvironmentName), Problem> {
    Ok((call.parsed("pipeline")?, call.parsed("environment")?))
}

/// An environment that something is known of.
async fn known<P: Environments>(ports: &P, call: &Call<'_>) -> Result<EnvironmentRecord, Problem> {
    let (pipeline, name) = (call.text("pipeline"), call.text("environment"));
    let absent =
        || Problem::NotFound(format!("nothing was ever deployed to {name:?} of the pipeline {pipeline:?}"));
    let (Ok(pipeline), Ok(name)) = (pipeline.parse(), name.parse()) else { return Err(absent()) };
    let record = ports.environment(&pipeline, &name).await?;
    if record.version == 0 { Err(absent()) } else { Ok(record) }
}
