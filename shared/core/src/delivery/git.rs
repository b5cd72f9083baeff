//! Deliveries of a plain git server: what `pushway hook` sends from a post-receive hook.
//!
//! Such a server has no API to read files from, so the delivery carries the pipeline file and the
//! buildspecs it names, as they are at the pushed commit.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Delivery, Malformed, Push, commit_or_none, deleted, malformed};
use crate::ids::{CommitSha, DeliveryId, RepositoryPath};

/// Header names of the Standard Webhooks specification, lower case.
pub mod headers {
    /// The delivery's id; the same for a redelivery.
    pub const ID: &str = "webhook-id";
    /// Seconds since 1970.
    pub const TIMESTAMP: &str = "webhook-timestamp";
    /// One or more signatures.
    pub const SIGNATURE: &str = "webhook-signature";
}

/// All files and the history of a delivery together, in bytes of JSON: so that they fit one item of the table.
pub const MAX_FILES_BYTES: usize = 256 * 1024;

/// The most commits that a delivery tells the files of.
pub const MAX_HISTORY: usize = 50;
/// The most files that a delivery's history names in all.
pub const MAX_HISTORY_FILES: usize = 2_000;

/// A commit, what it is called, and the files that it changed against its first parent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Carried {
    /// The commit.
    pub commit: CommitSha,
    /// Paths from the repository's root, old and new names alike.
    pub files: Vec<String>,
    /// First line of its message.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// Who wrote it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub author: String,
}

/// The body of a delivery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PushBody {
    /// The repository's name, as the hook knows it.
    pub repository: String,
    /// The full ref that moved.
    #[serde(rename = "ref")]
    pub git_ref: String,
    /// Where it pointed before; all zeros for a new ref.
    pub before: String,
    /// Where it points now; all zeros for a deleted ref.
    pub after: String,
    /// The commit's message.
    #[serde(default)]
    pub message: String,
    /// Who wrote the commit.
    #[serde(default)]
    pub author: String,
    /// Path to text: the pipeline file and its buildspecs, where the commit has them.
    #[serde(default)]
    pub files: BTreeMap<String, String>,
    /// What the newest commits changed: first parents only, newest first, as many as the limits allow.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<Carried>,
    /// When the server took the push.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pushed_at: Option<Timestamp>,
}

impl PushBody {
    /// Whether what it carries keeps to the limits.
    fn check(&self) -> Result<(), Malformed> {
        // Counted as it is stored, since a control character takes six bytes of JSON.
        let json = |part: Result<String, serde_json::Error>| part.map_or(usize::MAX / 2, |text| text.len());
        let size = json(serde_json::to_string(&self.files)) + json(serde_json::to_string(&self.history));
        let (commits, paths) =
            (self.history.len(), self.history.iter().map(|commit| commit.files.len()).sum::<usize>());
        let problem = if size > MAX_FILES_BYTES {
            format!("files and history are {size} bytes of JSON; at most {MAX_FILES_BYTES} are taken")
        } else if commits > MAX_HISTORY || paths > MAX_HISTORY_FILES {
            format!(
                "the history is of {commits} commits and {paths} files; at most {MAX_HISTORY} and {MAX_HISTORY_FILES} are taken"
            )
        } else {
            return Ok(());
        };
        Err(Malformed(problem))
    }
}

/// Reads a delivery whose signature was checked.
pub fn parse(delivery: &str, body: &[u8]) -> Result<Delivery, Malformed> {
    let delivery: DeliveryId = delivery.parse().map_err(malformed)?;
    let body: PushBody = serde_json::from_slice(body).map_err(|error| Malformed::json(&error))?;
    let git_ref: crate::ids::RefName = body.git_ref.parse().map_err(malformed)?;
    let Some(commit) = commit_or_none(&body.after)? else {
        return Ok(deleted(delivery, git_ref.as_str()));
    };
    body.check()?;
    let path =
        |(path, text): (String, String)| Ok((path.parse::<RepositoryPath>().map_err(malformed)?, text));
    Ok(Delivery::Pushes(vec![Push {
        delivery,
        // A plain server gives no id; the hook's own name for the repository is one hook's affair.
        repository_id: body.repository.parse().map_err(malformed)?,
        repository: body.repository,
        git_ref,
        commit,
        before: commit_or_none(&body.before)?,
        message: body.message,
        author: body.author,
        trigger: crate::source::Trigger::Push,
        pushed_at: body.pushed_at,
        files: body.files.into_iter().map(path).collect::<Result<_, Malformed>>()?,
        history: body.history,
    }]))
}
