//! HTTP API `$default`: answers questions about runs. Reads only.
//!
//! Who may ask is decided before: the route demands a request signed with AWS credentials that may invoke
//! it. Errors are problem documents (RFC 9457).

use aws_lambda_events::encodings::Body;
use aws_lambda_events::event::apigw::{ApiGatewayV2httpRequest, ApiGatewayV2httpResponse};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use pushway_core::contract::Failure;
use pushway_core::fact::{JobId, LogPointer};
use pushway_core::ids::RunId;
use pushway_core::ports::{Clock, Fault, History, ReadBuilds, ReadLogs, ReadRuns, RunQuery};
use pushway_core::run::{JobState, Run};
use serde_json::{Value, json};

/// Runs on a page, unless asked otherwise, and at most.
const DEFAULT_LIMIT: usize = 25;
const MAX_LIMIT: usize = 100;

/// What a request is answered with.
struct Reply {
    status: StatusCode,
    body: Value,
}

/// Why a request can't be answered.
enum Problem {
    NotFound(String),
    BadRequest(String),
    MethodNotAllowed,
    Fault(Fault),
}

impl From<Fault> for Problem {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// Answers one request.
pub async fn handle<P>(
    ports: &P,
    request: ApiGatewayV2httpRequest,
) -> Result<ApiGatewayV2httpResponse, Failure>
where
    P: ReadRuns + History + ReadBuilds + ReadLogs + Clock,
{
    let reply = match route(ports, &request).await {
        Ok(body) => Reply { status: StatusCode::OK, body },
        Err(problem) => describe(problem),
    };
    let content_type =
        if reply.status.is_success() { "application/json" } else { "application/problem+json" };
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    let mut response = ApiGatewayV2httpResponse::default();
    response.status_code = i64::from(reply.status.as_u16());
    response.headers = headers;
    response.body = Some(Body::Text(reply.body.to_string()));
    Ok(response)
}

async fn route<P>(ports: &P, request: &ApiGatewayV2httpRequest) -> Result<Value, Problem>
where
    P: ReadRuns + History + ReadBuilds + ReadLogs + Clock,
{
    if request.request_context.http.method != http::Method::GET {
        return Err(Problem::MethodNotAllowed);
    }
    let path = request.raw_path.as_deref().unwrap_or_default();
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    match parts.as_slice() {
        ["v1", "health"] => health(ports).await,
        ["v1", "runs"] => list(ports, request).await,
        ["v1", "runs", id] => Ok(show(&find(ports, id).await?)),
        ["v1", "runs", id, "journal"] => {
            let run = find(ports, id).await?;
            Ok(json!({ "journal": ports.journal(run.id).await? }))
        }
        ["v1", "runs", id, "jobs", stage, name, "log"] => {
            let run = find(ports, id).await?;
            log(ports, &run, stage, name, parameter(request, "cursor")).await
        }
        _ => Err(Problem::NotFound(format!("there is nothing at {path:?}; the API begins at /v1/runs"))),
    }
}

/// Healthy is who can read the table.
async fn health<P: History + Clock>(ports: &P) -> Result<Value, Problem> {
    ports.list(&RunQuery { pipeline: None, before: None, limit: 1, now: ports.now() }).await?;
    Ok(json!({ "status": "ok", "version": env!("CARGO_PKG_VERSION") }))
}

async fn list<P: History + Clock>(ports: &P, request: &ApiGatewayV2httpRequest) -> Result<Value, Problem> {
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
fn show(run: &Run) -> Value {
    let mut body = json!(run);
    if let Some(fields) = body.as_object_mut() {
        fields.insert("over".into(), json!(run.status.is_terminal()));
    }
    body
}

async fn log<P: ReadBuilds + ReadLogs>(
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

async fn find<P: ReadRuns>(ports: &P, id: &str) -> Result<Run, Problem> {
    // An id that can't be one is as absent as any other.
    let absent = || Problem::NotFound(format!("there is no run {id:?}; GET /v1/runs lists them"));
    let id: RunId = id.parse().map_err(|_| absent())?;
    ports.load(id).await?.ok_or_else(absent)
}

fn parameter<'a>(request: &'a ApiGatewayV2httpRequest, name: &str) -> Option<&'a str> {
    request.query_string_parameters.first(name).filter(|text| !text.is_empty())
}

fn describe(problem: Problem) -> Reply {
    let (status, detail) = match problem {
        Problem::NotFound(detail) => (StatusCode::NOT_FOUND, detail),
        Problem::BadRequest(detail) => (StatusCode::BAD_REQUEST, detail),
        Problem::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, "this API is read with GET".to_owned()),
        Problem::Fault(fault) => {
            tracing::error!(error = %fault, "request not answered");
            (
                StatusCode::SERVICE_UNAVAILABLE,
                "the answer could not be read; ask again in a moment".to_owned(),
            )
        }
    };
    let title = status.canonical_reason().unwrap_or_default();
    Reply {
        status,
        body: json!({ "type": "about:blank", "title": title, "status": status.as_u16(), "detail": detail }),
    }
}
