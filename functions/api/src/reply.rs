//! What requests are answered with: JSON, or a problem document (RFC 9457).

use aws_lambda_events::encodings::Body;
use aws_lambda_events::event::apigw::{ApiGatewayV2httpRequest, ApiGatewayV2httpResponse};
use base64::Engine as _;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use pushway_core::fact::bounded;
use pushway_core::ports::Fault;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// What a request is answered with.
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) body: Value,
}

/// Why a request can't be answered.
pub(crate) enum Problem {
    NotFound(String),
    BadRequest(String),
    Conflict(String),
    MethodNotAllowed,
    Fault(Fault),
}

impl From<Fault> for Problem {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl Reply {
    pub(crate) fn ok(body: Value) -> Self {
        Self { status: StatusCode::OK, body }
    }

    pub(crate) fn into_response(self) -> ApiGatewayV2httpResponse {
        let content_type =
            if self.status.is_success() { "application/json" } else { "application/problem+json" };
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        let mut response = ApiGatewayV2httpResponse::default();
        response.status_code = i64::from(self.status.as_u16());
        response.headers = headers;
        response.body = Some(Body::Text(self.body.to_string()));
        response
    }
}

impl From<Problem> for Reply {
    fn from(problem: Problem) -> Self {
        let (status, detail) = match problem {
            Problem::NotFound(detail) => (StatusCode::NOT_FOUND, detail),
            Problem::BadRequest(detail) => (StatusCode::BAD_REQUEST, detail),
            Problem::Conflict(detail) => (StatusCode::CONFLICT, detail),
            Problem::MethodNotAllowed => (
                StatusCode::METHOD_NOT_ALLOWED,
                "this address is read with GET; runs are started by POST /v1/runs".to_owned(),
            ),
            Problem::Fault(fault) => {
                tracing::error!(error = %fault, "request not answered");
                (
                    StatusCode::SERVICE_UNAVAILABLE,
                    "the answer could not be read; ask again in a moment".to_owned(),
                )
            }
        };
        let title = status.canonical_reason().unwrap_or_default();
        let body =
            json!({ "type": "about:blank", "title": title, "status": status.as_u16(), "detail": detail });
        Self { status, body }
    }
}

pub(crate) fn parameter<'a>(request: &'a ApiGatewayV2httpRequest, name: &str) -> Option<&'a str> {
    request.query_string_parameters.first(name).filter(|text| !text.is_empty())
}

/// A parameter that must be there.
pub(crate) fn required<'a>(request: &'a ApiGatewayV2httpRequest, name: &str) -> Result<&'a str, Problem> {
    parameter(request, name).ok_or_else(|| Problem::BadRequest(format!("the parameter {name} is missing")))
}

/// A text that must be of a kind.
pub(crate) fn parsed<T: std::str::FromStr>(text: &str) -> Result<T, Problem>
where
    T::Err: std::fmt::Display,
{
    text.parse().map_err(|error: T::Err| Problem::BadRequest(error.to_string()))
}

/// The body as what it must be.
pub(crate) fn body<T: DeserializeOwned>(request: &ApiGatewayV2httpRequest) -> Result<T, Problem> {
    let bad = |error: &dyn std::fmt::Display| Problem::BadRequest(format!("the body can't be read: {error}"));
    let text = request.body.as_deref().unwrap_or_default();
    if !request.is_base64_encoded {
        return serde_json::from_str(text).map_err(|error| bad(&error));
    }
    let bytes = base64::engine::general_purpose::STANDARD.decode(text).map_err(|error| bad(&error))?;
    serde_json::from_slice(&bytes).map_err(|error| bad(&error))
}

/// Longest reason or comment that is kept, in characters.
pub(crate) const MAX_REASON: usize = 500;

/// A reason, which must say something.
pub(crate) fn words(reason: &str) -> Result<String, Problem> {
    let reason = bounded(reason.trim(), MAX_REASON);
    if reason.is_empty() {
        return Err(Problem::BadRequest("say why: others will read the reason".into()));
    }
    Ok(reason)
}

/// What makes asking again the same wish: the client's own key, else this very request.
pub(crate) fn key(request: &ApiGatewayV2httpRequest) -> Result<&str, Problem> {
    let key = match request.headers.get("idempotency-key") {
        Some(key) => key.to_str().ok(),
        None => request.request_context.request_id.as_deref(),
    };
    let key = key.filter(|key| (1..=200).contains(&key.len()));
    key.ok_or_else(|| Problem::BadRequest("the header idempotency-key must be 1 to 200 characters".into()))
}

/// Who asks, by the word of whoever checked the signature.
pub(crate) fn caller(request: &ApiGatewayV2httpRequest) -> String {
    let authorizer = request.request_context.authorizer.as_ref();
    let arn = authorizer.and_then(|authorizer| authorizer.iam.as_ref()?.user_arn.clone());
    arn.unwrap_or_else(|| "someone with AWS credentials".into())
}
