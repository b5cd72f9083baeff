//! The wire: AWS JSON 1.1 over HTTP, one operation per `X-Amz-Target`.
//!
//! Parses a request, finds its operation, and writes the answer or the error as AWS clients expect them.
//! It must not know what an operation means.

use std::sync::Arc;

use axum::{
    Router, body::Bytes, extract::State, http::HeaderMap, response::IntoResponse, response::Response,
};
use serde_json::{Value, json};

use super::{Worker, operations};
use crate::AwsError;

/// What every `X-Amz-Target` of `CodeBuild` begins with.
pub(super) const TARGET_PREFIX: &str = "CodeBuild_20161006.";

/// An error in AWS's shape.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    kind: String,
    message: String,
    status: u16,
}

impl Fault {
    /// The caller asked for something that cannot be.
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self { kind: "InvalidInputException".to_owned(), message: message.into(), status: 400 }
    }

    /// The thing named does not exist.
    pub(super) fn not_found(message: impl Into<String>) -> Self {
        Self { kind: "ResourceNotFoundException".to_owned(), message: message.into(), status: 400 }
    }
}

impl From<anyhow::Error> for Fault {
    /// An answer of the emulator passes as it came; anything else is a fault of this worker.
    fn from(error: anyhow::Error) -> Self {
        match error.downcast_ref::<AwsError>() {
            Some(aws) => Self { kind: aws.code.clone(), message: aws.message.clone(), status: aws.status },
            None => Self { kind: "InternalFailure".to_owned(), message: format!("{error:#}"), status: 500 },
        }
    }
}

impl From<serde_json::Error> for Fault {
    fn from(error: serde_json::Error) -> Self {
        Self::invalid(format!("the request cannot be read: {error}"))
    }
}

/// The server of `worker`.
pub(super) fn router(worker: Arc<Worker>) -> Router {
    Router::new().fallback(answer).with_state(worker)
}

async fn answer(State(worker): State<Arc<Worker>>, headers: HeaderMap, body: Bytes) -> Response {
    let target = headers.get("x-amz-target").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let result = match serde_json::from_slice::<Value>(if body.is_empty() { b"{}" } else { &body }) {
        Ok(input) => dispatch(&worker, target, input).await,
        Err(error) => {
            Err(Fault { kind: "SerializationException".to_owned(), message: error.to_string(), status: 400 })
        }
    };
    let (status, body) = match result {
        Ok(output) => (200, output),
        Err(fault) => (fault.status, json!({"__type": fault.kind, "message": fault.message})),
    };
    let status = axum::http::StatusCode::from_u16(status).unwrap_or_default();
    (status, [("content-type", "application/x-amz-json-1.1")], body.to_string()).into_response()
}

async fn dispatch(worker: &Arc<Worker>, target: &str, input: Value) -> Result<Value, Fault> {
    match target.strip_prefix(TARGET_PREFIX) {
        Some("StartBuild") => operations::start_build(worker, input).await,
        Some("StopBuild") => operations::stop_build(worker, &input),
        Some("BatchGetBuilds") => operations::batch_get_builds(worker, &input),
        Some("ListBuilds") => operations::list_builds(worker, None, &input),
        Some("ListBuildsForProject") => operations::list_builds_for_project(worker, &input).await,
        Some("BatchGetReports") => operations::batch_get_reports(worker, &input),
        Some("DescribeTestCases") => operations::describe_test_cases(worker, &input),
        // Projects and all the rest are the emulator's.
        Some(_) => Ok(worker.config.emulator.json("codebuild", target, input).await?),
        None => Err(Fault {
            kind: "UnknownOperationException".to_owned(),
            message: format!("this endpoint answers CodeBuild only, not {target:?}"),
            status: 400,
        }),
    }
}
