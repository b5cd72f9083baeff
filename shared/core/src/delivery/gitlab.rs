//! GitLab's webhook deliveries (GitLab Docs, "Webhook events": push, tag and merge request events).
//!
//! A merge request's event does not tell where its target branch is, so that it is a claim for the forge to
//! complete. Header and body both name the event and must agree (row A4).

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{
    Claim, Delivery, Malformed, Push, commit, commit_or_none, deleted, ignored, malformed, other_event,
};
use crate::ids::DeliveryId;
use crate::source::Trigger;

/// Header names, lower case.
pub mod headers {
    /// The event's name.
    pub const EVENT: &str = "x-gitlab-event";
    /// The delivery's id, the same for a retry ("Delivery headers"); the first that is there counts. A
    /// signing token signs the first; older versions know only the last.
    pub const DELIVERY: [&str; 3] = ["webhook-id", "idempotency-key", "x-gitlab-event-uuid"];
    /// The secret token, as it is.
    pub const TOKEN: &str = "x-gitlab-token";
}

#[derive(Deserialize)]
struct PushBody {
    object_kind: String,
    #[serde(rename = "ref")]
    git_ref: String,
    before: String,
    after: String,
    /// The commit, also for an annotated tag; none for a deleted ref.
    checkout_sha: Option<String>,
    /// What an annotated tag says of itself.
    message: Option<String>,
    #[serde(default)]
    user_name: String,
    project: Project,
    #[serde(default)]
    commits: Vec<Commit>,
}

#[derive(Deserialize)]
struct Project {
    id: u64,
    path_with_namespace: String,
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
struct MergeRequestBody {
    object_kind: String,
    project: Project,
    object_attributes: MergeRequest,
}

#[derive(Deserialize)]
struct MergeRequest {
    iid: u64,
    /// None in the event that the settings page sends as a test.
    action: Option<String>,
    /// The old head, where the head has moved.
    oldrev: Option<String>,
    last_commit: Commit,
}

/// Reads a delivery whose signature was checked.
pub fn parse(event: &str, delivery: &str, body: &[u8]) -> Result<Delivery, Malformed> {
    let delivery: DeliveryId = delivery.parse().map_err(malformed)?;
    match event {
        "Push Hook" => push(delivery, "push", body),
        "Tag Push Hook" => push(delivery, "tag_push", body),
        "Merge Request Hook" => merge_request(delivery, body),
        other => Ok(other_event(delivery, other)),
    }
}

fn is_kind(told: &str, wanted: &str) -> Result<(), Malformed> {
    let told = crate::fact::bounded(told, 60);
    let problem =
        || Malformed(format!("the body's object_kind is {told:?}, but the header means {wanted:?}"));
    (told == wanted).then_some(()).ok_or_else(problem)
}

fn push(delivery: DeliveryId, kind: &str, body: &[u8]) -> Result<Delivery, Malformed> {
    let body: PushBody = serde_json::from_slice(body).map_err(|error| Malformed::json(&error))?;
    is_kind(&body.object_kind, kind)?;
    let Some(after) = commit_or_none(&body.after)? else { return Ok(deleted(delivery, &body.git_ref)) };
    let checkout = body.checkout_sha.as_deref().map(commit).transpose()?;
    let is_tag = body.git_ref.starts_with("refs/tags/");
    if is_tag != (kind == "tag_push") {
        return Err(Malformed(format!(
            "{:?} is no ref of a {kind} event",
            crate::fact::bounded(&body.git_ref, 200)
        )));
    }
    let at = match checkout {
        Some(checkout) if is_tag => checkout,
        Some(checkout) if checkout != after => {
            return Err(Malformed(format!("checkout_sha is {checkout}, but after is {after}")));
        }
        _ => after,
    };
    let head = body.commits.into_iter().rfind(|known| known.id == at.as_str());
    // A tag's event tells no commits where they were pushed before.
    let (message, author) = match head {
        Some(head) => (head.message, head.author.name),
        None => (body.message.unwrap_or_default(), body.user_name),
    };
    Ok(Delivery::Pushes(vec![Push {
        delivery,
        repository_id: body.project.id.to_string().parse().map_err(malformed)?,
        repository: body.project.path_with_namespace,
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

fn merge_request(delivery: DeliveryId, body: &[u8]) -> Result<Delivery, Malformed> {
    let body: MergeRequestBody = serde_json::from_slice(body).map_err(|error| Malformed::json(&error))?;
    is_kind(&body.object_kind, "merge_request")?;
    let request = body.object_attributes;
    let number = request.iid;
    let before = request.oldrev.as_deref().map(commit).transpose()?;
    match (request.action.as_deref(), &before) {
        (Some("open" | "reopen"), _) | (Some("update"), Some(_)) => {}
        (action, _) => {
            let action = crate::fact::bounded(action.unwrap_or("a test"), 60);
            return Ok(ignored(delivery, format!("merge request {number}: {action:?} moves no head")));
        }
    }
    Ok(Delivery::PullRequest(Box::new(Claim {
        delivery,
        repository_id: body.project.id.to_string().parse().map_err(malformed)?,
        repository: body.project.path_with_namespace,
        number,
        git_ref: format!("refs/merge-requests/{number}/head").parse().map_err(malformed)?,
        head: commit(&request.last_commit.id)?.to_string(),
        before,
        message: request.last_commit.message,
        author: request.last_commit.author.name,
    })))
}
