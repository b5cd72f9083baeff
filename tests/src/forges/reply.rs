//! Answers of the fakes, and the ways in which real forges fail.
//!
//! The failures carry the headers by which their provider tells how long to wait; nothing else in them is
//! meant to be read.

use std::time::Duration;

use pushway_core::source::Provider;
use serde_json::{Value, json};

/// An answer.
#[derive(Debug, Clone, Default)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Headers.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// What goes wrong with a request.
#[derive(Debug, Clone)]
pub enum Misbehaviour {
    /// 401: the token is not known any more.
    Unauthorized,
    /// 403: the token may not do this.
    Forbidden,
    /// The provider's own way to say that the rate limit is used up for so many seconds: GitHub a 403 with
    /// `x-ratelimit-*`, GitLab a 429 with `RateLimit-*` and `Retry-After`, the others a 429.
    RateLimited(u64),
    /// GitHub's secondary limit: 403 with `retry-after`; elsewhere a 429 with it.
    SecondaryLimit(u64),
    /// 404
    NotFound,
    /// 409
    Conflict,
    /// 422
    Unprocessable,
    /// 429 with this `Retry-After`: seconds or an HTTP date.
    TooManyRequests(String),
    /// Any other status, with a page that is no JSON, as proxies answer.
    Broken(u16),
    /// The right answer, cut in its middle.
    Truncated,
    /// The right answer, late.
    Slow(Duration),
    /// 302 to this address.
    Redirect(String),
    /// 200 with a body that is no JSON.
    Garbage,
}

impl Misbehaviour {
    /// What is answered instead; `None` where the right answer only comes in another way.
    pub(super) fn reply(&self, provider: Provider) -> Option<Reply> {
        let message = |status, text: &str| Reply::json(status, &json!({ "message": text }));
        Some(match self {
            Self::Unauthorized => unauthorized(provider),
            Self::Forbidden => message(403, "Resource not accessible"),
            Self::RateLimited(seconds) => rate_limited(provider, *seconds),
            Self::SecondaryLimit(seconds) => {
                let status = if provider == Provider::Github { 403 } else { 429 };
                message(status, "You have exceeded a secondary rate limit")
                    .with("retry-after", &seconds.to_string())
            }
            Self::NotFound => Reply::status(404),
            Self::Conflict => message(409, "Conflict"),
            Self::Unprocessable => message(422, "Validation Failed"),
            Self::TooManyRequests(after) => message(429, "Too Many Requests").with("retry-after", after),
            Self::Broken(status) => Reply {
                status: *status,
                headers: vec![("content-type".into(), "text/html".into())],
                body: b"<html><body>Whoa there!</body></html>".to_vec(),
            },
            Self::Redirect(to) => Reply::status(302).with("location", to),
            Self::Garbage => Reply::raw(b"<!doctype html>".to_vec(), "text/html"),
            Self::Truncated | Self::Slow(_) => return None,
        })
    }
}

/// The answer to a request without the right token.
pub(super) fn unauthorized(provider: Provider) -> Reply {
    match provider {
        Provider::Github => Reply::json(401, &json!({ "message": "Bad credentials", "status": "401" })),
        Provider::Gitlab => Reply::json(401, &json!({ "message": "401 Unauthorized" })),
        Provider::Bitbucket => Reply::json(
            401,
            &json!({ "type": "error", "error": { "message": "Token is invalid, expired, or not supported." } }),
        ),
        Provider::Codecommit => {
            Reply::aws(400, "UnrecognizedClientException", "The security token included is invalid")
        }
        Provider::Gitea | Provider::Git => {
            Reply::json(401, &json!({ "message": "token is required", "url": "/api/swagger" }))
        }
    }
}

fn rate_limited(provider: Provider, seconds: u64) -> Reply {
    let reset = (jiff::Timestamp::now().as_second() + i64::try_from(seconds).unwrap_or_default()).to_string();
    let seconds = seconds.to_string();
    match provider {
        Provider::Github => Reply::json(403, &json!({ "message": "API rate limit exceeded for user ID 1." }))
            .with("x-ratelimit-limit", "5000")
            .with("x-ratelimit-remaining", "0")
            .with("x-ratelimit-used", "5000")
            .with("x-ratelimit-resource", "core")
            .with("x-ratelimit-reset", &reset),
        Provider::Gitlab => Reply::raw(b"Retry later\n".to_vec(), "text/plain")
            .status_of(429)
            .with("ratelimit-limit", "60")
            .with("ratelimit-remaining", "0")
            .with("ratelimit-reset", &reset)
            .with("retry-after", &seconds),
        Provider::Codecommit => Reply::aws(400, "ThrottlingException", "Rate exceeded"),
        Provider::Bitbucket | Provider::Gitea | Provider::Git => {
            Reply::json(429, &json!({ "message": "Rate limit for this resource has been exceeded" }))
                .with("retry-after", &seconds)
        }
    }
}

impl Reply {
    /// A JSON answer.
    pub fn json(status: u16, value: &Value) -> Self {
        Self::raw(value.to_string().into_bytes(), "application/json; charset=utf-8").status_of(status)
    }

    /// 200 with these bytes.
    pub fn raw(body: Vec<u8>, content_type: &str) -> Self {
        Self { status: 200, headers: vec![("content-type".into(), content_type.into())], body }
    }

    /// An answer that says nothing but its status; from 400 on, in JSON.
    pub fn status(status: u16) -> Self {
        match status {
            404 => Self::json(404, &json!({ "message": "Not Found" })),
            _ => Self { status, ..Self::default() },
        }
    }

    /// An error as AWS JSON 1.1 has it.
    pub fn aws(status: u16, kind: &str, message: &str) -> Self {
        Self::raw(
            json!({ "__type": kind, "message": message }).to_string().into_bytes(),
            "application/x-amz-json-1.1",
        )
        .status_of(status)
        .with("x-amzn-errortype", kind)
    }

    /// With another status.
    #[must_use]
    pub fn status_of(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// With one more header.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With an entity tag made of the body; a 304 where the request has it already.
    #[must_use]
    pub fn tagged(self, seen: &super::Seen) -> Self {
        use sha2::Digest as _;
        let tag = format!("W/\"{}\"", hex::encode(&sha2::Sha256::digest(&self.body)[..16]));
        let reply =
            if seen.header("if-none-match") == tag { Self { status: 304, ..Self::default() } } else { self };
        reply.with("etag", &tag)
    }
}

/// A page of a list, and whether there is a next one.
pub(super) fn page<T>(items: Vec<T>, number: usize, size: usize) -> (Vec<T>, bool) {
    let from = number.saturating_sub(1) * size;
    let is_more = items.len() > from + size;
    (items.into_iter().skip(from).take(size).collect(), is_more)
}
