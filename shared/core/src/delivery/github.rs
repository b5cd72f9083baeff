//! GitHub's webhook deliveries (GitHub Docs, "Webhook events and payloads", event `push`).

use serde::Deserialize;

use super::{Delivery, Malformed, Push, commit_or_none, malformed};
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

#[derive(Deserialize)]
struct Repository {
    id: u64,
    full_name: String,
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

/// Reads a delivery whose signature was checked.
pub fn parse(event: &str, delivery: &str, body: &[u8]) -> Result<Delivery, Malformed> {
    let delivery: DeliveryId = delivery.parse().map_err(malformed)?;
    let ignored = |rule: String| Ok(Delivery::Ignored { delivery: delivery.clone(), rule });
    match event {
        "push" => {}
        "ping" => return ignored("ping: the hook works".into()),
        other => {
            let event = crate::fact::bounded(other, 60);
            return ignored(format!("event {event:?} starts nothing; only push does"));
        }
    }
    let body: PushBody = serde_json::from_slice(body).map_err(|error| Malformed::json(&error))?;
    let after = commit_or_none(&body.after)?;
    let Some(commit) = after.filter(|_| !body.deleted) else {
        return ignored(format!(
            "{} was deleted; there is nothing to run",
            crate::fact::bounded(&body.git_ref, 200)
        ));
    };
    let head = body
        .head_commit
        .ok_or_else(|| Malformed("head_commit is missing though the ref was not deleted".into()))?;
    // For an annotated tag `after` is the tag object; the commit it points at is what can be built.
    let is_tag = body.git_ref.starts_with("refs/tags/");
    if !is_tag && head.id != commit.as_str() {
        return Err(Malformed(format!("head_commit is {:?}, but after is {commit}", head.id)));
    }
    Ok(Delivery::Push(Box::new(Push {
        delivery: delivery.clone(),
        repository_id: body.repository.id.to_string().parse().map_err(malformed)?,
        repository: body.repository.full_name,
        git_ref: body.git_ref.parse().map_err(malformed)?,
        commit: head.id.parse().map_err(malformed)?,
        before: commit_or_none(&body.before)?,
        message: head.message,
        author: head.author.name,
        files: std::collections::BTreeMap::new(),
    })))
}
