//! HTTP API: answers questions about runs, environments and repositories, starts runs by hand, and takes what
//! people decide: approvals, freezes, rollbacks.
//!
//! `operations` is the table of all that can be asked; a request is matched against it, its caller is asked who they
//! are and held against the scope that it needs, and `dispatch` carries it out. Errors are problem documents
//! (RFC 9457).

mod approvals;
mod call;
mod dispatch;
mod environments;
mod explain;
mod forms;
mod insights;
mod lists;
mod openapi;
mod operations;
mod order;
mod pages;
mod pauses;
mod pipelines;
mod principal;
mod reply;
mod repositories;
mod runs;
mod session;
mod sign_in;
mod start;
mod steer;
mod test_cases;
mod tokens;

use std::collections::BTreeSet;

use aws_lambda_events::event::apigw::{ApiGatewayV2httpRequest, ApiGatewayV2httpResponse};
use pushway_core::access::{Principal, Scopes};
use pushway_core::contract::Failure;
use pushway_core::ports::{
    AuditTrail, BranchRecords, Callbacks, Clock, Deliveries, Differences, Environments, Heads, History,
    Hooks, InsightSettings, Issuer, ListEnvironments, ListHooks, ListPipelines, Orders, Overdue,
    PipelineClaims, Plans, PullRequests, Random, ReadBuilds, ReadCommits, ReadDeliveries, ReadLogs,
    ReadTestCases, Reconciliations, RunFigures, Runs, SealingKey, Sessions, StartExecutions, StopBuilds,
    Tokens, Waits,
};

use call::Call;
use forms::Asked;
use operations::Verb;
use reply::{Problem, Reply};

/// One name for a list of ports.
macro_rules! all_of {
    ($(#[$about:meta])* $seen:vis $name:ident: $first:ident $(+ $port:ident)*) => {
        $(#[$about])*
        $seen trait $name: $first $(+ $port)* {}
        impl<P: $first $(+ $port)*> $name for P {}
    };
}
pub(crate) use all_of;

all_of! {
    /// All that requests are answered from.
    pub Ports:
    Runs
    + Plans
    + History
    + Environments
    + ListEnvironments
    + ListPipelines
    + PipelineClaims
    + SealingKey
    + Waits
    + Overdue
    + Callbacks
    + ReadBuilds
    + ReadLogs
    + ReadTestCases
    + Hooks
    + ListHooks
    + Reconciliations
    + BranchRecords
    + ReadDeliveries
    + Deliveries
    + Differences
    + Heads
    + ReadCommits
    + PullRequests
    + StartExecutions
    + StopBuilds
    + Tokens
    + Sessions
    + Issuer
    + AuditTrail
    + Orders
    + RunFigures
    + InsightSettings
    + Clock
    + Random
}

/// Answers one request.
pub async fn handle<P: Ports>(
    ports: &P,
    request: ApiGatewayV2httpRequest,
) -> Result<ApiGatewayV2httpResponse, Failure> {
    let page = match pages::answer(ports, &request).await {
        Some(page) => Some(page),
        None => match forms::asked(ports, &request).await {
            Some(Asked::Answered(reply)) => Some(reply),
            Some(Asked::Refused(problem)) => Some(pages::refused(ports, &request, problem)),
            Some(Asked::Order(order, holder)) => {
                let reply = dispatch::dispatch(ports, taken(ports, &order, Some(holder.clone())).await).await;
                Some(pages::afterwards(ports, &request, holder, &reply.unwrap_or_else(Reply::from)))
            }
            None => None,
        },
    };
    if let Some(page) = page {
        return Ok(pages::compressed(&request, page.into_response(&request)));
    }
    let reply = dispatch::dispatch(ports, taken(ports, &request, None).await).await;
    Ok(reply.unwrap_or_else(Reply::from).into_response(&request))
}

/// A request that makes sense, by someone who may ask it.
async fn taken<'r, P: Tokens + Issuer + InsightSettings + Clock>(
    ports: &P,
    request: &'r ApiGatewayV2httpRequest,
    known: Option<Principal>,
) -> Result<Call<'r>, Problem> {
    let (path, _) = principal::path(request);
    let absent =
        || Problem::NotFound(format!("there is nothing at {path:?}; /openapi.json lists what there is"));
    let (operations, parameters) = operations::at(path).ok_or_else(absent)?;
    let method = &request.request_context.http.method;
    let operation = operations.iter().find(|operation| operation.method == *method).ok_or_else(|| {
        Problem::MethodNotAllowed(operations.iter().map(|operation| operation.method.clone()).collect())
    })?;
    let is_open = operation.verb == Verb::Badge && ports.has_public_badges();
    let principal = match operation.scope.filter(|_| !is_open) {
        None => Principal { name: "anyone".into(), scopes: Scopes::default(), groups: BTreeSet::new() },
        Some(scope) => {
            let principal = match known {
                Some(principal) => principal,
                None => principal::principal(ports, request).await?,
            };
            if !principal.scopes.allow(scope) {
                tracing::warn!(by = principal.name, operation = operation.id, %scope, "refused");
                return Err(Problem::Forbidden(scope));
            }
            principal
        }
    };
    if operation.body.is_some() && !call::is_json(request) {
        return Err(Problem::NotJson);
    }
    let body = call::body(request)?;
    Ok(Call { operation, principal, request, path, parameters, body })
}
