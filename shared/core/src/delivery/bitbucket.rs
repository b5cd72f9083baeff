//! Bitbucket Cloud's webhook deliveries (Atlassian Support, "Event payloads": `repo:push`,
//! `pullrequest:created`, `pullrequest:updated`).
//!
//! A push tells of several refs at once. A pull request shows its commits by their first digits only, so
//! that it is a claim for the forge to complete.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Claim, Delivery, MAX_PUSHES, Malformed, Push, commit, deleted, ignored, malformed, other_event};
use crate::ids::{DeliveryId, RepositoryId};
use crate::source::Trigger;

/// Header names, lower case.
pub mod headers {
    /// HMAC-SHA256 of the body, in GitHub's form; only where the hook has a secret.
    pub const SIGNATURE: &str = "x-hub-signature";
    /// The event's key.
    pub const EVENT: &str = "x-event-key";
    /// The delivery's id; attempts are counted in another header.
    pub const DELIVERY: &str = "x-request-uuid";
}

#[derive(Deserialize)]
struct PushBody {
    repository: Repository,
    push: Changes,
}

#[derive(Deserialize)]
struct Repository {
    uuid: RepositoryId,
    full_name: String,
}

#[derive(Deserialize)]
struct Changes {
    changes: Vec<Change>,
}

#[derive(Deserialize)]
struct Change {
    old: Option<End>,
    new: Option<End>,
}

#[derive(Deserialize)]
struct End {
    #[serde(rename = "type")]
    kind: String,
    name: String,
    target: Target,
}

#[derive(Deserialize)]
struct Target {
    hash: String,
    #[serde(default)]
    message: String,
    author: Option<Author>,
}

#[derive(Deserialize)]
struct Author {
    /// `Name <address>`
    #[serde(default)]
    raw: String,
}

#[derive(Deserialize)]
struct PullRequestBody {
    repository: Repository,
    pullrequest: PullRequest,
}

#[derive(Deserialize)]
struct PullRequest {
    id: u64,
    #[serde(default)]
    title: String,
    author: Option<Account>,
    source: Source,
}

#[derive(Deserialize)]
struct Account {
    #[serde(default)]
    display_name: String,
}

#[derive(Deserialize)]
struct Source {
    commit: ShortCommit,
}

#[derive(Deserialize)]
struct ShortCommit {
    hash: String,
}

impl End {
    fn git_ref(&self) -> String {
        let namespace = if self.kind == "tag" { "tags" } else { "heads" };
        format!("refs/{namespace}/{}", self.name)
    }
}

/// Reads a delivery whose signature was checked.
pub fn parse(event: &str, delivery: &str, body: &[u8]) -> Result<Delivery, Malformed> {
    let delivery: DeliveryId = delivery.parse().map_err(malformed)?;
    match event {
        "repo:push" => push(delivery, serde_json::from_slice(body).map_err(|error| Malformed::json(&error))?),
        "pullrequest:created" | "pullrequest:updated" => {
            pull_request(delivery, serde_json::from_slice(body).map_err(|error| Malformed::json(&error))?)
        }
        // What the settings page sends to try the address.
        "diagnostics:ping" => Ok(ignored(delivery, "ping: the hook works")),
        other => Ok(other_event(delivery, other)),
    }
}

fn push(delivery: DeliveryId, body: PushBody) -> Result<Delivery, Malformed> {
    let mut pushes: Vec<Push> = Vec::new();
    let gone = body.push.changes.iter().find_map(|change| change.old.as_ref().map(End::git_ref));
    for Change { old, new } in body.push.changes {
        let Some(new) = new else { continue };
        if !matches!(new.kind.as_str(), "branch" | "named_branch" | "tag") {
            return Err(Malformed(format!("{:?} is no kind of ref", crate::fact::bounded(&new.kind, 60))));
        }
        let id = match pushes.len() {
            0 => delivery.clone(),
            MAX_PUSHES => break,
            // The first one keeps the delivery's own id.
            known => format!("{delivery}.{}", known + 1).parse().map_err(malformed)?,
        };
        let git_ref = new.git_ref().parse().map_err(malformed)?;
        let author = new.target.author.map(|author| author.raw).unwrap_or_default();
        pushes.push(Push {
            delivery: id,
            repository_id: body.repository.uuid.clone(),
            repository: body.repository.full_name.clone(),
            git_ref,
            commit: commit(&new.target.hash)?,
            before: old.map(|old| commit(&old.target.hash)).transpose()?,
            message: new.target.message,
            author: author.split(" <").next().unwrap_or_default().to_owned(),
            trigger: Trigger::Push,
            pushed_at: None,
            files: BTreeMap::new(),
            history: Vec::new(),
        });
    }
    match (pushes.is_empty(), gone) {
        (false, _) => Ok(Delivery::Pushes(pushes)),
        (true, Some(gone)) => Ok(deleted(delivery, &gone)),
        (true, None) => Ok(ignored(delivery, "the push changed no ref")),
    }
}

fn pull_request(delivery: DeliveryId, body: PullRequestBody) -> Result<Delivery, Malformed> {
    let request = body.pullrequest;
    let (number, head) = (request.id, request.source.commit.hash);
    let is_commit = (12..=64).contains(&head.len())
        && head.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
        && head.bytes().any(|b| b != b'0');
    if !is_commit {
        let head = crate::fact::bounded(&head, 80);
        return Err(Malformed(format!(
            "{head:?} is not the beginning of a commit id: 12 hex digits or more"
        )));
    }
    Ok(Delivery::PullRequest(Box::new(Claim {
        delivery,
        repository_id: body.repository.uuid,
        repository: body.repository.full_name,
        number,
        git_ref: format!("refs/pull/{number}/head").parse().map_err(malformed)?,
        head,
        before: None,
        message: request.title,
        author: request.author.map(|author| author.display_name).unwrap_or_default(),
    })))
}
