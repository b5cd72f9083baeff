//! What the events of GitHub share with those of Gitea and Forgejo, which were made after them.
//!
//! Shapes that all send, and pull requests, which differ in one word. What a push is each says for itself.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::{Delivery, Malformed, Push, RequestParts, commit, commit_or_none, ignored, malformed};
use crate::fact::bounded;
use crate::ids::{CommitSha, DeliveryId};
use crate::source::Trigger;

#[derive(Deserialize)]
pub(super) struct Repository {
    id: u64,
    full_name: String,
    /// GitHub: seconds since 1970 in a push, a text elsewhere.
    #[serde(default)]
    pushed_at: Value,
}

#[derive(Deserialize)]
pub(super) struct Commit {
    pub(super) id: String,
    #[serde(default)]
    pub(super) message: String,
    pub(super) author: Option<Author>,
}

#[derive(Deserialize)]
pub(super) struct Author {
    #[serde(default)]
    pub(super) name: String,
}

#[derive(Deserialize)]
pub(super) struct User {
    pub(super) login: String,
}

#[derive(Deserialize)]
struct PullRequestBody {
    action: String,
    number: u64,
    /// GitHub: the old head, where the head has moved.
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

/// The head of a pushed ref.
pub(super) struct Head {
    pub(super) commit: CommitSha,
    pub(super) message: String,
    pub(super) author: String,
}

/// A push of one ref.
pub(super) fn pushed(
    delivery: DeliveryId,
    repository: Repository,
    git_ref: &str,
    before: &str,
    head: Head,
) -> Result<Delivery, Malformed> {
    Ok(Delivery::Pushes(vec![Push {
        delivery,
        repository_id: repository.id.to_string().parse().map_err(malformed)?,
        repository: repository.full_name,
        git_ref: git_ref.parse().map_err(malformed)?,
        commit: head.commit,
        before: commit_or_none(before)?,
        message: head.message,
        author: head.author,
        trigger: Trigger::Push,
        pushed_at: repository.pushed_at.as_i64().and_then(|at| Timestamp::from_second(at).ok()),
        files: BTreeMap::new(),
        history: Vec::new(),
    }]))
}

/// Reads the event `pull_request`; `moved` is the forge's word for a head that has moved.
pub(super) fn pull_request(delivery: DeliveryId, body: &[u8], moved: &str) -> Result<Delivery, Malformed> {
    let body: PullRequestBody = serde_json::from_slice(body).map_err(|error| Malformed::json(&error))?;
    let (number, request) = (body.number, body.pull_request);
    if !["opened", "reopened", moved].contains(&body.action.as_str()) {
        let action = bounded(&body.action, 60);
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
