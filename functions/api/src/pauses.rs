//! Deployments that wait for a person in the middle: whether they go on or back.

use aws_lambda_events::event::apigw::ApiGatewayV2httpRequest;
use pushway_core::fact::bounded;
use pushway_core::ids::{EnvironmentName, RunId};
use pushway_core::ports::{Clock, ReadRuns, Runs};
use pushway_core::run::{EnvironmentState, PauseAnswer};
use pushway_core::settle;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::reply::{MAX_REASON, Problem, Reply, body, caller, words};
use crate::runs::find;

/// Words to keep with it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct On {
    comment: Option<String>,
}

/// Why it goes back.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Back {
    reason: String,
}

/// A deployment that waits, as `GET /v1/approvals` lists it.
pub(crate) async fn waiting<P: ReadRuns>(
    ports: &P,
    id: RunId,
    environment: &EnvironmentName,
) -> Result<Option<Value>, Problem> {
    let Some(run) = ports.load(id).await? else { return Ok(None) };
    let pause = run.environment(environment).and_then(EnvironmentState::paused);
    Ok(pause.filter(|_| !run.status.is_terminal()).map(|pause| {
        json!({
            "run_id": run.id,
            "pipeline": run.pipeline,
            "environment": environment,
            "commit": run.source.commit,
            "message": run.source.message,
            "author": run.source.author,
            "pause": pause,
        })
    }))
}

/// `POST /v1/runs/{id}/environments/{name}/continue`.
pub(crate) async fn go_on<P: Runs + Clock>(
    ports: &P,
    request: &ApiGatewayV2httpRequest,
    id: &str,
    name: &str,
) -> Result<Reply, Problem> {
    let On { comment } = body(request)?;
    let comment = comment.map(|text| bounded(text.trim(), MAX_REASON)).filter(|text| !text.is_empty());
    say(ports, id, name, PauseAnswer { by: caller(request), goes_on: true, reason: comment }).await
}

/// `POST /v1/runs/{id}/environments/{name}/go-back`.
pub(crate) async fn go_back<P: Runs + Clock>(
    ports: &P,
    request: &ApiGatewayV2httpRequest,
    id: &str,
    name: &str,
) -> Result<Reply, Problem> {
    let Back { reason } = body(request)?;
    let reason = Some(words(&reason)?);
    say(ports, id, name, PauseAnswer { by: caller(request), goes_on: false, reason }).await
}

async fn say<P: Runs + Clock>(
    ports: &P,
    id: &str,
    name: &str,
    answer: PauseAnswer,
) -> Result<Reply, Problem> {
    let run = find(ports, id).await?;
    let state = run.environments.iter().find(|state| state.name.as_str() == name);
    let Some(environment) = state.map(|state| state.name.clone()) else {
        return Err(Problem::NotFound(format!("run {} has no environment {name:?}", run.id)));
    };
    let (by, goes_on) = (answer.by.clone(), answer.goes_on);
    let outcome = settle::answer_pause(ports, run.id, &environment, answer).await?;
    outcome.map_err(Problem::Conflict)?;
    tracing::info!(run_id = %run.id, %environment, by, goes_on, "a paused deployment was answered");
    Ok(Reply::ok(json!({ "run_id": run.id, "environment": environment, "goes_on": goes_on })))
}
