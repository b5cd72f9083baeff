//! HTTP API `$default`: answers questions about runs, environments and repositories, starts runs by
//! hand, and takes what people decide: approvals, freezes, rollbacks.
//!
//! Who may ask is decided before: the route demands a request signed with AWS credentials that may invoke
//! it. Errors are problem documents (RFC 9457).

mod approvals;
mod environments;
mod explain;
mod pauses;
mod reply;
mod repositories;
mod runs;
mod start;

use aws_lambda_events::event::apigw::{ApiGatewayV2httpRequest, ApiGatewayV2httpResponse};
use http::{Method, StatusCode};
use pushway_core::contract::Failure;
use pushway_core::pipeline_file::JSON_SCHEMA;
use pushway_core::ports::{
    BranchRecords, Callbacks, Clock, Deliveries, Differences, Environments, Heads, History, Hooks, ListHooks,
    Overdue, Plans, PullRequests, Random, ReadBuilds, ReadDeliveries, ReadLogs, Reconciliations, Runs,
    StartExecutions, Waits,
};
use reply::{Problem, Reply};
use serde_json::{Value, json};

/// Answers one request.
pub async fn handle<P>(
    ports: &P,
    request: ApiGatewayV2httpRequest,
) -> Result<ApiGatewayV2httpResponse, Failure>
where
    P: Runs
        + Plans
        + History
        + Environments
        + Waits
        + Overdue
        + Callbacks
        + ReadBuilds
        + ReadLogs
        + Hooks
        + ListHooks
        + Reconciliations
        + BranchRecords
        + ReadDeliveries
        + Deliveries
        + Differences
        + Heads
        + PullRequests
        + StartExecutions
        + Clock
        + Random,
{
    // Boxed: it holds the states of every verb, and one of them runs.
    let reply = match Box::pin(route(ports, &request)).await {
        Ok(reply) => reply,
        Err(problem) => problem.into(),
    };
    Ok(reply.into_response())
}

/// What a person says to a run that asks.
async fn answer<P>(
    ports: &P,
    request: &ApiGatewayV2httpRequest,
    (id, name): (&str, &str),
    verb: &str,
) -> Result<Reply, Problem>
where
    P: Runs + Plans + Environments + Waits + Callbacks + Clock,
{
    match verb {
        "approve" => approvals::approve(ports, request, id, name).await,
        "reject" => approvals::reject(ports, request, id, name).await,
        "continue" => pauses::go_on(ports, request, id, name).await,
        "go-back" => pauses::go_back(ports, request, id, name).await,
        _ => Err(Problem::MethodNotAllowed),
    }
}

async fn route<P>(ports: &P, request: &ApiGatewayV2httpRequest) -> Result<Reply, Problem>
where
    P: Runs
        + Plans
        + History
        + Environments
        + Waits
        + Overdue
        + Callbacks
        + ReadBuilds
        + ReadLogs
        + Hooks
        + ListHooks
        + Reconciliations
        + BranchRecords
        + ReadDeliveries
        + Deliveries
        + Differences
        + Heads
        + PullRequests
        + StartExecutions
        + Clock
        + Random,
{
    let path = request.raw_path.as_deref().unwrap_or_default();
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let method = &request.request_context.http.method;
    if method == Method::POST {
        return match parts.as_slice() {
            ["v1", "runs"] => start::start(ports, request).await,
            ["v1", "explain"] => explain::try_file(ports, request).await.map(Reply::ok),
            ["v1", "runs", id, "environments", name, verb] => answer(ports, request, (id, name), verb).await,
            ["v1", "environments", pipeline, name, "freeze"] => {
                environments::freeze(ports, request, pipeline, name).await
            }
            ["v1", "environments", pipeline, name, "unfreeze"] => {
                environments::unfreeze(ports, request, pipeline, name).await
            }
            ["v1", "environments", pipeline, name, "rollback"] => {
                environments::rollback(ports, request, pipeline, name).await
            }
            ["v1", "repositories", provider, hook, "pull-requests", number, "approve"] => {
                start::approve(ports, request, provider, hook, number).await
            }
            _ => Err(Problem::MethodNotAllowed),
        };
    }
    if method != Method::GET {
        return Err(Problem::MethodNotAllowed);
    }
    let body: Value = match parts.as_slice() {
        ["v1", "health"] => runs::health(ports).await?,
        ["v1", "runs"] => runs::list(ports, request).await?,
        ["v1", "runs", id] => runs::show(&runs::find(ports, id).await?),
        ["v1", "runs", id, "journal"] => {
            let run = runs::find(ports, id).await?;
            json!({ "journal": ports.journal(run.id).await? })
        }
        ["v1", "runs", id, "jobs", stage, name, "log"] => {
            let run = runs::find(ports, id).await?;
            runs::log(ports, &run, stage, name, reply::parameter(request, "cursor")).await?
        }
        ["v1", "approvals"] => approvals::list(ports).await?,
        ["v1", "environments", pipeline, name] => environments::show(ports, pipeline, name).await?,
        ["v1", "repositories"] => repositories::list(ports).await?,
        ["v1", "explain"] => explain::explain(ports, request).await?,
        ["schema", "pushway.schema.json"] => serde_json::from_str(JSON_SCHEMA)
            .map_err(|error| Problem::Fault(pushway_core::ports::Fault::Permanent(error.to_string())))?,
        _ => {
            return Err(Problem::NotFound(format!(
                "there is nothing at {path:?}; the API begins at /v1/runs"
            )));
        }
    };
    Ok(Reply { status: StatusCode::OK, body })
}
