//! `CodeCommit`'s reference changes (EventBridge, detail type "CodeCommit Repository State Change").
//!
//! They are not signed, so they are hints: the function `push` reads the ref back before it believes one.

use serde::Deserialize;

use super::{Malformed, malformed};
use crate::ids::{CommitSha, DeliveryId, RefName, RepositoryId};

/// An event as EventBridge delivers it.
#[derive(Debug, Clone, Deserialize)]
pub struct Event {
    id: String,
    source: String,
    detail: Detail,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Detail {
    event: String,
    repository_name: String,
    repository_id: String,
    reference_full_name: Option<String>,
    reference_name: String,
    reference_type: String,
    commit_id: Option<String>,
    old_commit_id: Option<String>,
}

/// What an event claims.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The event's id.
    pub delivery: DeliveryId,
    /// The repository's name: the hook's id is made of it.
    pub repository: String,
    /// The repository's id.
    pub repository_id: RepositoryId,
    /// The full ref that moved.
    pub git_ref: RefName,
    /// Where it points now; `None` for a deleted ref.
    pub commit: Option<CommitSha>,
    /// Where it pointed before.
    pub before: Option<CommitSha>,
}

/// Reads an event.
pub fn parse(event: serde_json::Value) -> Result<Claim, Malformed> {
    let event: Event = serde_json::from_value(event).map_err(|error| Malformed::json(&error))?;
    if event.source != "aws.codecommit" {
        return Err(Malformed(format!("the event's source is {:?}, not aws.codecommit", event.source)));
    }
    let detail = event.detail;
    let namespace = if detail.reference_type == "tag" { "tags" } else { "heads" };
    let git_ref = detail.reference_full_name.unwrap_or(format!("refs/{namespace}/{}", detail.reference_name));
    let commit =
        |text: Option<String>| text.map(|text| text.parse::<CommitSha>()).transpose().map_err(malformed);
    let is_deleted = detail.event == "referenceDeleted";
    Ok(Claim {
        delivery: event.id.parse().map_err(malformed)?,
        repository: detail.repository_name,
        repository_id: detail.repository_id.parse().map_err(malformed)?,
        git_ref: git_ref.parse().map_err(malformed)?,
        commit: commit(detail.commit_id)?.filter(|_| !is_deleted),
        before: commit(detail.old_commit_id)?,
    })
}
