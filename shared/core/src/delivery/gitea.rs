//! Webhook deliveries of Gitea and Forgejo (Gitea, "Webhooks"; Forgejo, "Webhooks"), events `push` and
//! `pull_request`.
//!
//! Both send their headers under several names. A deleted ref comes as an event of its own.

use serde::Deserialize;

use super::alike::{Commit, Head, Repository, User, pull_request, pushed};
use super::{Delivery, Malformed, commit, commit_or_none, deleted, malformed, other_event};
use crate::ids::DeliveryId;

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

/// Reads a delivery whose signature was checked.
pub fn parse(event: &str, delivery: &str, body: &[u8]) -> Result<Delivery, Malformed> {
    let delivery: DeliveryId = delivery.parse().map_err(malformed)?;
    match event {
        "push" => push(delivery, serde_json::from_slice(body).map_err(|error| Malformed::json(&error))?),
        // Some versions send a moved head under a name of its own.
        "pull_request" | "pull_request_sync" => pull_request(delivery, body, "synchronized"),
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
    let head = Head { commit: at, message, author };
    pushed(delivery, body.repository, &body.git_ref, &body.before, head)
}
