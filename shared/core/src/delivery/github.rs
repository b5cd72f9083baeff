//! GitHub's webhook deliveries (GitHub Docs, "Webhook events and payloads", events `push`, `pull_request`).
//!
//! Reads what a run needs and ignores the rest. An event whose name and shape do not fit each other is
//! malformed (row A4).

use serde::Deserialize;

use super::alike::{Commit, Head, Repository, pull_request, pushed};
use super::{Delivery, Malformed, commit, commit_or_none, deleted, ignored, malformed, other_event};
use crate::ids::DeliveryId;

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

/// Reads a delivery whose signature was checked.
pub fn parse(event: &str, delivery: &str, body: &[u8]) -> Result<Delivery, Malformed> {
    let delivery: DeliveryId = delivery.parse().map_err(malformed)?;
    match event {
        "push" => push(delivery, serde_json::from_slice(body).map_err(|error| Malformed::json(&error))?),
        "pull_request" => pull_request(delivery, body, "synchronize"),
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
    let commit = commit(&head.id)?;
    let author = head.author.map(|author| author.name).unwrap_or_default();
    let head = Head { commit, message: head.message, author };
    pushed(delivery, body.repository, &body.git_ref, &body.before, head)
}
