//! Environments: what serves, who holds or waits, freezing, and the way back.

use aws_lambda_events::event::apigw::ApiGatewayV2httpRequest;
use pushway_core::delivery::made_id;
use pushway_core::environment::{EnvironmentRecord, Freeze};
use pushway_core::ids::{EnvironmentName, PipelineName, RunId};
use pushway_core::intake::take_rollback;
use pushway_core::ports::{Clock, Deliveries, Environments, Random, ReadRuns, StartExecutions};
use pushway_core::settle::{self, load};
use pushway_core::source::Trigger;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::reply::{Problem, Reply, body, caller, key, parsed, words};
use crate::start::answer;

/// Why deploys must wait.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Stop {
    reason: String,
}

/// Where to go back to.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Back {
    to: Option<RunId>,
    reason: String,
    #[serde(default)]
    accept_irreversible: bool,
}

/// `GET /v1/environments/{pipeline}/{name}`.
pub(crate) async fn show<P: Environments>(ports: &P, pipeline: &str, name: &str) -> Result<Value, Problem> {
    Ok(json!(known(ports, pipeline, name).await?))
}

/// `POST /v1/environments/{pipeline}/{name}/freeze`.
pub(crate) async fn freeze<P: Environments + Clock>(
    ports: &P,
    request: &ApiGatewayV2httpRequest,
    pipeline: &str,
    name: &str,
) -> Result<Reply, Problem> {
    let (pipeline, name): (PipelineName, EnvironmentName) = (parsed(pipeline)?, parsed(name)?);
    let Stop { reason } = body(request)?;
    let freeze = Freeze { by: caller(request), reason: words(&reason)?, since: ports.now() };
    let freeze = settle::freeze(ports, &pipeline, &name, freeze).await?;
    tracing::info!(pipeline = %pipeline, environment = %name, by = freeze.by, "environment frozen");
    Ok(Reply::ok(json!({ "freeze": freeze })))
}

/// `POST /v1/environments/{pipeline}/{name}/unfreeze`.
pub(crate) async fn unfreeze<P: Environments>(
    ports: &P,
    request: &ApiGatewayV2httpRequest,
    pipeline: &str,
    name: &str,
) -> Result<Reply, Problem> {
    let (pipeline, name): (PipelineName, EnvironmentName) = (parsed(pipeline)?, parsed(name)?);
    let was = settle::unfreeze(ports, &pipeline, &name).await?;
    tracing::info!(pipeline = %pipeline, environment = %name, by = caller(request), "environment unfrozen");
    Ok(Reply::ok(json!({ "was": was })))
}

/// `POST /v1/environments/{pipeline}/{name}/rollback`: a run of its own that brings an earlier good version
/// back; it takes the lock, is validated and kept like any other.
pub(crate) async fn rollback<P>(
    ports: &P,
    request: &ApiGatewayV2httpRequest,
    pipeline: &str,
    name: &str,
) -> Result<Reply, Problem>
where
    P: ReadRuns + Environments + Deliveries + StartExecutions + Clock + Random,
{
    let Back { to, reason, accept_irreversible } = body(request)?;
    let reason = words(&reason)?;
    let record = known(ports, pipeline, name).await?;
    let target = record.way_back(to, accept_irreversible).map_err(Problem::Conflict)?;
    let trigger =
        Trigger::Rollback { to: target.run, environment: record.name.clone(), by: caller(request), reason };
    let then = load(ports, target.run).await?;
    let delivery = made_id("rollback", &[pipeline, name, key(request)?]);
    answer(take_rollback(ports, &then, &delivery, trigger).await?)
}

/// An environment that something is known of.
async fn known<P: Environments>(ports: &P, pipeline: &str, name: &str) -> Result<EnvironmentRecord, Problem> {
    let absent =
        || Problem::NotFound(format!("nothing was ever deployed to {name:?} of the pipeline {pipeline:?}"));
    let (Ok(pipeline), Ok(name)) = (pipeline.parse(), name.parse()) else { return Err(absent()) };
    let record = ports.environment(&pipeline, &name).await?;
    if record.version == 0 { Err(absent()) } else { Ok(record) }
}
