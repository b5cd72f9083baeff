//! Webhook deliveries of Gitea and Forgejo (Gitea, "Webhooks"; Forgejo, "Webhooks"), events `push` and
//! `pull_request`.
//!
//! Both send their headers under several names. A deleted ref comes as an event of its own.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{
    Delivery, Malformed, Push, RequestParts, commit, commit_or_none, deleted, ignored, malformed, other_event,
};
use crate::ids::DeliveryId;
use crate::source::Trigger;

/// Header names, lower case; of several the first that is there counts.
pub mod headers {
    /// HMAC-SHA256 of the body in hex.
    pub const SIGNATURE: [&str; 2] = ["x-gitea-signature", "x-forgejo-signature"];
    /// The event's name.
    pub const EVENT: [&str; 2] = ["x-gitea-event", "x-forgejo-event"];
    /// The delivery's id.
    pub const DELIVERY: [&str; 2] = ["x-gitea-delivery", "x-forgejo-delivery"];
}

#[derive(Deserialize)]
struct PushBody {
    #[serde(rename = "ref")]
    git_ref: String,
    before: String,
    after: String,
    head_commit: Option<Commit>,
    repository: Repository,
    pusher: Option<User>,
}

#[derive(Deserialize)]
struct Commit {
    id: String,
    #[serde(default)]
    message: String,
    author: Option<Author>,
}

#[derive(Deserialize)]
struct Author {
    #[serde(default)]
    name: String,
}

#[derive(Deserialize)]
struct Repository {
    id: u64,
    full_name: String,
}

#[derive(Deserialize)]
struct User {
    login: String,
}

#[derive(Deserialize)]
struct PullRequestBody {
    action: String,
    number: u64,
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
struct End {
    #[serde(rename = "ref")]
    name: String,
    sha: String,
    /// None where the fork is gone.
    repo: Option<Repository>,
}

/// Reads a delivery whose signature was checked.
pub fn parse(event: &str, delivery: &str, body: &[u8]) -> Result<Delivery, Malformed> {
    let delivery: DeliveryId = delivery.parse().map_err(malformed)?;
    match event {
        "push" => push(delivery, serde_json::from_slice(body).map_err(|error| Malformed::json(&error))?),
        // Some versions send a moved head under a name of its own.
        "pull_request" | "pull_request_sync" => {
            pull_request(delivery, serde_json::from_slice(body).map_err(|error| Malformed::json(&error))?)
        }
        other => Ok(other_event(delivery, other)),
    }
}

fn push(delivery: DeliveryId, body: PushBody) -> Result<Delivery, Malformed> {
    let Some(after) = commit_or_none(&body.after)? else { return Ok(deleted(delivery, &body.git_ref)) };
    let is_tag = body.git_ref.starts_with("refs/tags/");
    let head = body.head_commit;
    let told = head.as_ref().map(|head| commit(&head.id)).transpose()?;
    let at = match told {
        // For an annotated tag `after` may be the tag object; the commit is what can be built.
        Some(told) if is_tag => told,
        Some(told) if told != after => {
            return Err(Malformed(format!("head_commit is {told}, but after is {after}")));
        }
        _ => after,
    };
    let pusher = body.pusher.map(|user| user.login).unwrap_or_default();
    let (message, author) = match head {
        Some(head) => (head.message, head.author.map_or(pusher, |author| author.name)),
        None => (String::new(), pusher),
    };
    Ok(Delivery::Pushes(vec![Push {
        delivery,
        repository_id: body.repository.id.to_string().parse().map_err(malformed)?,
        repository: body.repository.full_name,
        git_ref: body.git_ref.parse().map_err(malformed)?,
        commit: at,
        before: commit_or_none(&body.before)?,
        message,
        author,
        trigger: Trigger::Push,
        pushed_at: None,
        files: BTreeMap::new(),
        history: Vec::new(),
    }]))
}

fn pull_request(delivery: DeliveryId, body: PullRequestBody) -> Result<Delivery, Malformed> {
    let (number, request) = (body.number, body.pull_request);
    if !matches!(body.action.as_str(), "opened" | "reopened" | "synchronized") {
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
        before: None,
        message: request.title,
        author: request.user.map(|user| user.login).unwrap_or_default(),
        trigger: parts.trigger()?,
        pushed_at: None,
        files: BTreeMap::new(),
        history: Vec::new(),
    }]))
}
