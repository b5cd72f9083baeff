//! Runs: lists, one run, the log of a job.

use aws_lambda_events::event::apigw::ApiGatewayV2httpRequest;
use pushway_core::fact::{JobId, LogPointer};
use pushway_core::ids::RunId;
use pushway_core::ports::{Clock, Fault, History, ReadBuilds, ReadLogs, ReadRuns, RunQuery};
use pushway_core::run::{JobState, Run};
use serde_json::{Value, json};

use crate::reply::{Problem, parameter};

/// Runs on a page, unless asked otherwise, and at most.
const DEFAULT_LIMIT: usize = 25;
const MAX_LIMIT: usize = 100;

/// Healthy is who can read the table.
pub(crate) async fn health<P: History + Clock>(ports: &P) -> Result<Value, Problem> {
    ports.list(&RunQuery { pipeline: None, before: None, limit: 1, now: ports.now() }).await?;
    Ok(json!({ "status": "ok", "version": env!("CARGO_PKG_VERSION") }))
}

pub(crate) async fn list<P: History + Clock>(
    ports: &P,
    request: &ApiGatewayV2httpRequest,
) -> Result<Value, Problem> {
    let bad = |error: &dyn std::fmt::Display| Problem::BadRequest(error.to_string());
    let limit = match parameter(request, "limit") {
        None => DEFAULT_LIMIT,
        Some(text) => match text.parse() {
            Ok(limit) if (1..=MAX_LIMIT).contains(&limit) => limit,
            _ => {
                return Err(Problem::BadRequest(format!(
                    "limit {text:?} is not a number from 1 to {MAX_LIMIT}"
                )));
            }
        },
    };
    let query = RunQuery {
        pipeline: parameter(request, "pipeline").map(str::parse).transpose().map_err(|error| bad(&error))?,
        before: parameter(request, "before").map(str::parse).transpose().map_err(|error| bad(&error))?,
        limit,
        now: ports.now(),
    };
    let page = ports.list(&query).await?;
    Ok(json!({ "runs": page.runs, "next": page.next }))
}

/// The run as it is, with what a reader would work out from it anyway.
pub(crate) fn show(run: &Run) -> Value {
    let mut body = json!(run);
    if let Some(fields) = body.as_object_mut() {
        fields.insert("over".into(), json!(run.status.is_terminal()));
    }
    body
}

pub(crate) async fn log<P: ReadBuilds + ReadLogs>(
    ports: &P,
    run: &Run,
    stage: &str,
    name: &str,
    cursor: Option<&str>,
) -> Result<Value, Problem> {
    let not_found = || Problem::NotFound(format!("run {} has no job {stage:?}/{name:?}", run.id));
    let (Ok(stage), Ok(name)) = (stage.parse(), name.parse()) else { return Err(not_found()) };
    let state = run.job(&JobId { stage, name }).ok_or_else(not_found)?;
    let Some(log) = pointer(ports, state).await? else {
        return Ok(json!({ "lines": [], "next": null, "over": state.end.is_some() }));
    };
    let page = ports.log(&log, cursor).await?;
    let over = state.end.is_some() && page.next.as_deref() == cursor;
    Ok(json!({ "lines": page.lines, "next": page.next, "over": over }))
}

/// Where a job's log lies: as recorded when it ended, or as CodeBuild tells while it runs.
async fn pointer<P: ReadBuilds>(ports: &P, state: &JobState) -> Result<Option<LogPointer>, Fault> {
    match (&state.end, &state.build) {
        (Some(end), _) => Ok(end.log.clone()),
        (None, Some(build)) => Ok(ports.build(build).await?.and_then(|view| view.log)),
        (None, None) => Ok(None),
    }
}

pub(crate) async fn find<P: ReadRuns>(ports: &P, id: &str) -> Result<Run, Problem> {
    // An id that can't be one is as absent as any other.
    let absent = || Problem::NotFound(format!("there is no run {id:?}; GET /v1/runs lists them"));
    let id: RunId = id.parse().map_err(|_| absent())?;
    ports.load(id).await?.ok_or_else(absent)
}
