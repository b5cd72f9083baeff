//! GitHub's webhook deliveries (GitHub Docs, "Webhook events and payloads", events `push`, `pull_request`).
//!
//! Reads what a run needs and ignores the rest. An event whose name and shape do not fit each other is
//! malformed (row A4).

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::{
    Delivery, Malformed, Push, RequestParts, commit, commit_or_none, deleted, ignored, malformed, other_event,
};
use crate::ids::DeliveryId;
use crate::source::Trigger;

/// Header names, lower case.
pub mod headers {
    /// HMAC-SHA256 of the body.
    pub const SIGNATURE: &str = "x-hub-signature-256";
    /// The event's name.
    pub const EVENT: &str = "x-github-event";
    /// The delivery's id; the same for a redelivery.
    pub const DELIVERY: &str = "x-github-delivery";
}

#[derive(Deserialize)]
struct PushBody {
    #[serde(rename = "ref")]
    git_ref: String,
    before: String,
    after: String,
    deleted: bool,
    repository: Repository,
    head_commit: Option<Commit>,
}

#[derive(Deserialize)]
struct Repository {
    id: u64,
    full_name: String,
    /// Seconds since 1970 in a push, a text elsewhere.
    #[serde(default)]
    pushed_at: Value,
}

#[derive(Deserialize)]
struct Commit {
    id: String,
    #[serde(default)]
    message: String,
    author: Author,
}

#[derive(Deserialize)]
struct Author {
    #[serde(default)]
    name: String,
}

#[derive(Deserialize)]
struct PullRequestBody {
    action: String,
    number: u64,
    /// The old head, where the head has moved.
    before: Option<String>,
    pull_request: PullRequest,
    repository: Repository,
}

#[derive(Deserialize)]
struct PullRequest {
    #[serde(default)]
    title: String,
    user: Option<User>,
    head: End,
    base: End,
}

#[derive(Deserialize)]
struct User {
    login: String,
}

#[derive(Deserialize)]
struct End {
    #[serde(rename = "ref")]
    name: String,
    sha: String,
    /// None where the fork is gone.
    repo: Option<EndRepository>,
}

#[derive(Deserialize)]
struct EndRepository {
    id: u64,
}

/// Reads a delivery whose signature was checked.
pub fn parse(event: &str, delivery: &str, body: &[u8]) -> Result<Delivery, Malformed> {
    let delivery: DeliveryId = delivery.parse().map_err(malformed)?;
    match event {
        "push" => push(delivery, serde_json::from_slice(body).map_err(|error| Malformed::json(&error))?),
        "pull_request" => {
            pull_request(delivery, serde_json::from_slice(body).map_err(|error| Malformed::json(&error))?)
        }
        "ping" => Ok(ignored(delivery, "ping: the hook works")),
        other => Ok(other_event(delivery, other)),
    }
}

fn push(delivery: DeliveryId, body: PushBody) -> Result<Delivery, Malformed> {
    let after = commit_or_none(&body.after)?;
    let Some(after) = after.filter(|_| !body.deleted) else { return Ok(deleted(delivery, &body.git_ref)) };
    let head = body
        .head_commit
        .ok_or_else(|| Malformed("head_commit is missing though the ref was not deleted".into()))?;
    // For an annotated tag `after` is the tag object; the commit it points at is what can be built.
    if !body.git_ref.starts_with("refs/tags/") && head.id != after.as_str() {
        return Err(Malformed(format!("head_commit is {:?}, but after is {after}", head.id)));
    }
    Ok(Delivery::Pushes(vec![Push {
        delivery,
        repository_id: body.repository.id.to_string().parse().map_err(malformed)?,
        repository: body.repository.full_name,
        git_ref: body.git_ref.parse().map_err(malformed)?,
        commit: commit(&head.id)?,
        before: commit_or_none(&body.before)?,
        message: head.message,
        author: head.author.name,
        trigger: Trigger::Push,
        pushed_at: body.repository.pushed_at.as_i64().and_then(|at| Timestamp::from_second(at).ok()),
        files: BTreeMap::new(),
        history: Vec::new(),
    }]))
}

fn pull_request(delivery: DeliveryId, body: PullRequestBody) -> Result<Delivery, Malformed> {
    let (number, request) = (body.number, body.pull_request);
    if !matches!(body.action.as_str(), "opened" | "reopened" | "synchronize") {
        let action = crate::fact::bounded(&body.action, 60);
        return Ok(ignored(delivery, format!("pull request {number}: {action:?} moves no head")));
    }
    let parts = RequestParts {
        number,
        base: &request.base.name,
        base_commit: &request.base.sha,
        is_fork: request.head.repo.is_none_or(|head| head.id != body.repository.id),
    };
    Ok(Delivery::Pushes(vec![Push {
        delivery,
        repository_id: body.repository.id.to_string().parse().map_err(malformed)?,
        repository: body.repository.full_name,
        git_ref: format!("refs/pull/{number}/head").parse().map_err(malformed)?,
        commit: commit(&request.head.sha)?,
        before: body.before.as_deref().map(commit).transpose()?,
        message: request.title,
        author: request.user.map(|user| user.login).unwrap_or_default(),
        trigger: parts.trigger()?,
        pushed_at: None,
        files: BTreeMap::new(),
        history: Vec::new(),
    }]))
}
