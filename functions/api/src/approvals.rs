//! Approvals: which deploys wait for people, and what people say to them.

use aws_lambda_events::event::apigw::ApiGatewayV2httpRequest;
use pushway_core::approval::{Consent, Refusal};
use pushway_core::fact::bounded;
use pushway_core::ids::EnvironmentName;
use pushway_core::ports::{Callbacks, Clock, Environments, Overdue, Plans, ReadRuns, Runs, Waits};
use pushway_core::run::Run;
use pushway_core::settle;
use pushway_core::wait::{SWEEP_PATIENCE, Subject, Work};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::pauses;
use crate::reply::{MAX_REASON, Problem, Reply, body, caller, words};
use crate::runs::find;

/// What someone consents to.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Yes {
    digest: String,
    comment: Option<String>,
}

/// Why someone does not.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct No {
    reason: String,
}

/// `GET /v1/approvals`: what waits for people, oldest first: deploys before they begin, and in the middle.
pub(crate) async fn list<P: ReadRuns + Overdue + Clock>(ports: &P) -> Result<Value, Problem> {
    let (mut approvals, mut pauses) = (Vec::new(), Vec::new());
    // The open waits of the youngest age, too.
    for wait in ports.waits(ports.now() + SWEEP_PATIENCE).await? {
        if let Work::Deploy(environment) = &wait.work {
            pauses.extend(pauses::waiting(ports, wait.run, environment).await?);
        }
        let Subject::Approval { run, environment } = &wait.subject else { continue };
        let Some(run) = ports.load(*run).await? else { continue };
        let state = run.environment(environment).and_then(|state| state.approval.as_ref());
        if let Some(state) = state.filter(|state| state.is_open() && !run.status.is_terminal()) {
            approvals.push(json!({
                "run_id": run.id,
                "pipeline": run.pipeline,
                "environment": environment,
                "repository": run.source.repository,
                "ref": run.source.git_ref,
                "commit": run.source.commit,
                "message": run.source.message,
                "author": run.source.author,
                "asked_at": wait.opened_at,
                "approval": state,
            }));
        }
    }
    Ok(json!({ "approvals": approvals, "pauses": pauses }))
}

/// `POST /v1/runs/{id}/environments/{name}/approve`: consent to the images that the digest stands for, and to
/// no others.
pub(crate) async fn approve<P>(
    ports: &P,
    request: &ApiGatewayV2httpRequest,
    id: &str,
    name: &str,
) -> Result<Reply, Problem>
where
    P: Runs + Plans + Environments + Waits + Callbacks + Clock,
{
    let Yes { digest, comment } = body(request)?;
    let (run, environment) = asked(ports, id, name).await?;
    let comment = comment.map(|comment| bounded(comment.trim(), MAX_REASON)).filter(|text| !text.is_empty());
    let consent = Consent { by: caller(request), comment };
    let by = consent.by.clone();
    let reply = answer(settle::approve(ports, run.id, &environment, &digest, consent).await?, &environment)?;
    tracing::info!(run_id = %run.id, environment = %environment, by, "approved");
    Ok(reply)
}

/// `POST /v1/runs/{id}/environments/{name}/reject`.
pub(crate) async fn reject<P>(
    ports: &P,
    request: &ApiGatewayV2httpRequest,
    id: &str,
    name: &str,
) -> Result<Reply, Problem>
where
    P: Runs + Plans + Environments + Waits + Callbacks + Clock,
{
    let No { reason } = body(request)?;
    let reason = words(&reason)?;
    let (run, environment) = asked(ports, id, name).await?;
    let by = caller(request);
    let refusal = Refusal { by: Some(by.clone()), reason };
    let reply = answer(settle::reject(ports, run.id, &environment, refusal).await?, &environment)?;
    tracing::info!(run_id = %run.id, environment = %environment, by, "rejected");
    Ok(reply)
}

/// The run and its environment that people are asked about.
async fn asked<P: ReadRuns>(ports: &P, id: &str, name: &str) -> Result<(Run, EnvironmentName), Problem> {
    let run = find(ports, id).await?;
    let state = run.environments.iter().find(|state| state.name.as_str() == name);
    match state.filter(|state| state.approval.is_some()) {
        Some(state) => Ok((run.clone(), state.name.clone())),
        None => Err(Problem::NotFound(format!(
            "run {} asks for no approval of {name:?}; GET /v1/approvals lists what waits",
            run.id
        ))),
    }
}

fn answer(outcome: Result<Run, String>, environment: &EnvironmentName) -> Result<Reply, Problem> {
    let run = outcome.map_err(Problem::Conflict)?;
    let state = run.environment(environment).and_then(|state| state.approval.as_ref());
    Ok(Reply::ok(json!({
        "run_id": run.id,
        "environment": environment,
        "granted": state.is_some_and(pushway_core::approval::ApprovalState::is_granted),
        "approval": state,
    })))
}
