//! Environments: what serves, who holds or waits, who must consent, freezing, and the way back.

use pushway_core::api::{
    self, Frozen, ProtectOrder, Protected, Reasoned, RollbackOrder, Unfrozen, Unprotected,
};
use pushway_core::environment::{EnvironmentRecord, Freeze};
use pushway_core::ids::{EnvironmentName, PipelineName};
use pushway_core::intake::take_rollback;
use pushway_core::ports::{Clock, Deliveries, Environments, History, Random, ReadRuns, StartExecutions};
use pushway_core::protection::ProtectionRule;
use pushway_core::settle::{self, Unlocked, load};
use pushway_core::source::Trigger;

use crate::call::Call;
use crate::pipelines::newest;
use crate::reply::{Problem, Reply, words};
use crate::start::answer;

/// Runs of a pipeline that are looked through for an environment that was never deployed to.
const LATE_RUNS: usize = 25;

/// `GET /v1/environments/{pipeline}/{environment}`.
pub(crate) async fn show<P: Environments>(ports: &P, call: &Call<'_>) -> Result<EnvironmentRecord, Problem> {
    known(ports, call).await
}

/// `POST /v1/environments/{pipeline}/{environment}/freeze`.
pub(crate) async fn freeze<P>(ports: &P, call: &Call<'_>) -> Result<Frozen, Problem>
where
    P: Environments + History + Clock,
{
    let (pipeline, name) = names(call)?;
    let Reasoned { reason } = call.order()?;
    if !is_known(ports, &pipeline, &name).await? {
        return Err(Problem::NotFound(format!(
            "nothing is known of the environment {name} of the pipeline {pipeline}: it was never deployed to, and no late \
             run has it; GET /v1/pipelines/{pipeline} shows what there is"
        )));
    }
    let freeze = Freeze { by: call.by(), reason: words(&reason)?, since: ports.now() };
    let freeze = settle::freeze(ports, &pipeline, &name, freeze).await?;
    Ok(Frozen { freeze })
}

/// `POST /v1/environments/{pipeline}/{environment}/unfreeze`.
pub(crate) async fn unfreeze<P: Environments>(ports: &P, call: &Call<'_>) -> Result<Unfrozen, Problem> {
    let (pipeline, name) = names(call)?;
    Ok(Unfrozen { was: settle::unfreeze(ports, &pipeline, &name).await? })
}

/// `POST /v1/environments/{pipeline}/{environment}/unlock`: frees one that a failed rollback has kept locked, once people
/// have looked at it.
pub(crate) async fn unlock<P>(ports: &P, call: &Call<'_>) -> Result<api::Unlocked, Problem>
where
    P: ReadRuns + Environments + Clock,
{
    let Reasoned { reason } = call.order()?;
    words(&reason)?;
    let EnvironmentRecord { pipeline, name, .. } = known(ports, call).await?;
    match settle::unlock(ports, &pipeline, &name).await? {
        Unlocked::WasFree => Ok(api::Unlocked { was: None }),
        Unlocked::Freed(run) => Ok(api::Unlocked { was: Some(run) }),
        Unlocked::InUse(run) => Err(Problem::Conflict(format!(
            "{name} of {pipeline} is in use by run {run}, which is not over; wait for it, or stop it"
        ))),
    }
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

/// Whether there is such an environment: it has a record, or one of the pipeline's newest runs has it. A freeze of a
/// name that nobody bears would keep nothing back.
async fn is_known<P>(ports: &P, pipeline: &PipelineName, name: &EnvironmentName) -> Result<bool, Problem>
where
    P: Environments + History + Clock,
{
    if ports.environment(pipeline, name).await?.version > 0 {
        return Ok(true);
    }
    let runs = newest(ports, pipeline, LATE_RUNS).await?;
    Ok(runs.iter().flat_map(|run| run.environments.iter().flatten()).any(|brief| brief.name == *name))
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
