//! What requests are answered with: JSON, or a problem document (RFC 9457).

use aws_lambda_events::encodings::Body;
use aws_lambda_events::event::apigw::{ApiGatewayV2httpRequest, ApiGatewayV2httpResponse};
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode};
use pushway_core::access::{Principal, Refused, Scope};
use pushway_core::api::ProblemDocument;
use pushway_core::fact::bounded;
use pushway_core::ports::Fault;
use pushway_core::settle::Declined;
use serde::Serialize;
use sha2::Digest as _;

/// What a request is answered with.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) content_type: &'static str,
    pub(crate) body: String,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
}

/// Why a request can't be answered.
#[derive(Debug)]
pub(crate) enum Problem {
    NotFound(String),
    BadRequest(String),
    /// Nobody has said who they are.
    Unauthorized(&'static str),
    /// Their word is not taken.
    Refused(Refused),
    Forbidden(Scope),
    /// The issuer knows them, and the installation gives none of their groups anything.
    NoGroup(Box<Principal>),
    /// It is for others to say.
    NotTheirs(String),
    /// A form that was not made for this session, or comes from elsewhere.
    OtherSite,
    Conflict(String),
    /// The same order is being carried out.
    AtWork,
    /// An idempotency key that stands for another request.
    OtherRequest,
    TooLarge(usize),
    NotJson,
    MethodNotAllowed(Vec<Method>),
    /// What will not be otherwise when it is asked again; told to those who may ask.
    Broken(String),
    Fault(Fault),
}

impl From<Fault> for Problem {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<Declined> for Problem {
    fn from(declined: Declined) -> Self {
        match declined {
            Declined::NotTheirs(why) => Self::NotTheirs(why),
            Declined::Impossible(why) => Self::Conflict(why),
        }
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

pub(crate) const JSON: &str = "application/json";
/// The schema of pipeline files.
pub(crate) const JSON_SCHEMA: &str = "application/schema+json";
pub(crate) const PROBLEM: &str = "application/problem+json";

impl Reply {
    /// A good answer.
    pub(crate) fn ok(body: &impl Serialize) -> Result<Self, Problem> {
        Self::with(StatusCode::OK, body)
    }

    /// An answer of this status.
    pub(crate) fn with(status: StatusCode, body: &impl Serialize) -> Result<Self, Problem> {
        let body = serde_json::to_string(body)
            .map_err(|error| Problem::Fault(Fault::Permanent(format!("write the answer: {error}"))))?;
        Ok(Self::of(status, JSON, body))
    }

    /// Any answer.
    pub(crate) fn of(status: StatusCode, content_type: &'static str, body: String) -> Self {
        Self { status, content_type, body, headers: Vec::new() }
    }

    /// With one more header.
    #[must_use]
    pub(crate) fn and(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// The answer to `request`: without its body where the one who asks has it already.
    pub(crate) fn into_response(self, request: &ApiGatewayV2httpRequest) -> ApiGatewayV2httpResponse {
        let Self { mut status, content_type, body, headers: own } = self;
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(
            header::STRICT_TRANSPORT_SECURITY,
            HeaderValue::from_static("max-age=63072000; includeSubDomains"),
        );
        let mut body = Some(Body::Text(body));
        if request.request_context.http.method == Method::GET && status == StatusCode::OK {
            // Kept by the one who asked alone, who asks each time whether it still holds.
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
            let tag = tag(body.as_deref().unwrap_or_default());
            if has(request, &tag) {
                status = StatusCode::NOT_MODIFIED;
                body = None;
            }
            headers.extend(HeaderValue::try_from(tag).ok().map(|tag| (header::ETAG, tag)));
        } else {
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        }
        for (name, value) in own {
            headers.insert(name, value);
        }
        let mut response = ApiGatewayV2httpResponse::default();
        response.status_code = i64::from(status.as_u16());
        response.headers = headers;
        response.body = body;
        response
    }
}

/// The entity tag of a body.
fn tag(body: &[u8]) -> String {
    format!("\"{}\"", &hex::encode(sha2::Sha256::digest(body))[..32])
}

/// Whether the one who asks has this already (RFC 9110, section 13.1.2: compared weakly, since a proxy that
/// compresses makes a tag weak).
fn has(request: &ApiGatewayV2httpRequest, tag: &str) -> bool {
    let known = request.headers.get(header::IF_NONE_MATCH).and_then(|known| known.to_str().ok());
    known.is_some_and(|known| {
        known.split(',').map(str::trim).any(|known| known == "*" || known.trim_start_matches("W/") == tag)
    })
}

impl Problem {
    /// The same for someone who may know: a fault that stays says what it is.
    pub(crate) fn told(self) -> Self {
        match self {
            Self::Fault(Fault::Permanent(why)) => Self::Broken(why),
            other => other,
        }
    }

    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::BadRequest(_) => StatusCode::BAD_REQUEST,
            Self::Unauthorized(_) | Self::Refused(_) => StatusCode::UNAUTHORIZED,
            Self::Forbidden(_) | Self::NotTheirs(_) | Self::NoGroup(_) | Self::OtherSite => {
                StatusCode::FORBIDDEN
            }
            Self::Conflict(_) | Self::AtWork => StatusCode::CONFLICT,
            Self::OtherRequest => StatusCode::UNPROCESSABLE_ENTITY,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::NotJson => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::MethodNotAllowed(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::Broken(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Fault(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    pub(crate) fn detail(&self) -> String {
        match self {
            Self::NotFound(detail)
            | Self::BadRequest(detail)
            | Self::NotTheirs(detail)
            | Self::Conflict(detail) => detail.clone(),
            Self::Unauthorized(detail) => (*detail).to_owned(),
            Self::Refused(refused) => refused.to_string(),
            Self::Forbidden(scope) => {
                format!("this takes the scope {scope}; ask an administrator for a token that has it")
            }
            Self::NoGroup(who) => {
                let groups: Vec<&str> = who.groups.iter().map(String::as_str).collect();
                format!(
                    "you are {}, and none of your groups may do anything here ({}); ask an administrator to give one of \
                     them a scope in the parameter Issuer",
                    who.name,
                    if groups.is_empty() { "the issuer tells none".into() } else { groups.join(", ") }
                )
            }
            Self::OtherSite => {
                "this form was not sent by a page of this site and session; go back, load the page again and try again"
                    .to_owned()
            }
            Self::AtWork => "the same order is being carried out; ask again in a moment".to_owned(),
            Self::OtherRequest => {
                "this idempotency key was used for another request; use a new key for each order".to_owned()
            }
            Self::TooLarge(most) => format!("the body is too large; at most {most} bytes are taken"),
            Self::NotJson => {
                "send the body as JSON, with the header content-type: application/json".to_owned()
            }
            Self::MethodNotAllowed(allowed) => {
                let allowed: Vec<&str> = allowed.iter().map(Method::as_str).collect();
                format!("this address takes {}", allowed.join(" and "))
            }
            Self::Broken(why) => format!("this can't be done until something is mended: {}", bounded(why, 1_000)),
            Self::Fault(_) => "the answer could not be read; ask again in a moment".to_owned(),
        }
    }

    fn headers(&self) -> Vec<(HeaderName, HeaderValue)> {
        match self {
            // RFC 6750, section 3.
            Self::Unauthorized(_) => vec![(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))],
            Self::Refused(_) => {
                vec![(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer error=\"invalid_token\""))]
            }
            Self::AtWork => vec![(header::RETRY_AFTER, HeaderValue::from_static("2"))],
            Self::MethodNotAllowed(allowed) => {
                let allowed = allowed.iter().map(Method::as_str).collect::<Vec<_>>().join(", ");
                HeaderValue::try_from(allowed)
                    .ok()
                    .map(|allowed| (header::ALLOW, allowed))
                    .into_iter()
                    .collect()
            }
            _ => Vec::new(),
        }
    }
}

impl From<Problem> for Reply {
    fn from(problem: Problem) -> Self {
        match &problem {
            Problem::Fault(fault) => tracing::error!(error = %fault, "request not answered"),
            Problem::Broken(why) => tracing::error!(error = why, "request not answered"),
            _ => {}
        }
        let (status, headers) = (problem.status(), problem.headers());
        let document = ProblemDocument {
            kind: "about:blank".into(),
            title: status.canonical_reason().unwrap_or_default().into(),
            status: status.as_u16(),
            detail: problem.detail(),
        };
        let body = serde_json::to_string(&document).unwrap_or_default();
        Self { headers, ..Self::of(status, PROBLEM, body) }
    }
}

/// Longest reason or comment that is kept, in characters.
const MAX_REASON: usize = 500;

/// A reason, which must say something.
pub(crate) fn words(reason: &str) -> Result<String, Problem> {
    let reason = bounded(reason.trim(), MAX_REASON);
    if reason.is_empty() {
        return Err(Problem::BadRequest("say why: others will read the reason".into()));
    }
    Ok(reason)
}

/// A comment, if it says something.
pub(crate) fn comment(text: Option<String>) -> Option<String> {
    text.map(|text| bounded(text.trim(), MAX_REASON)).filter(|text| !text.is_empty())
}
