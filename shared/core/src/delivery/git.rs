//! Deliveries of a plain git server: what `pushway hook` sends from a post-receive hook.
//!
//! Such a server has no API to read files from, so the delivery carries the pipeline file and the
//! buildspecs it names, as they are at the pushed commit.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Delivery, Malformed, Push, commit_or_none, malformed};
use crate::ids::{DeliveryId, RepositoryPath};

/// Header names of the Standard Webhooks specification, lower case.
pub mod headers {
    /// The delivery's id; the same for a redelivery.
    pub const ID: &str = "webhook-id";
    /// Seconds since 1970.
    pub const TIMESTAMP: &str = "webhook-timestamp";
    /// One or more signatures.
    pub const SIGNATURE: &str = "webhook-signature";
}

/// All files of a delivery together, in bytes: so that a run's files fit one item of the table.
pub const MAX_FILES_BYTES: usize = 256 * 1024;

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
}

/// Reads a delivery whose signature was checked.
pub fn parse(delivery: &str, body: &[u8]) -> Result<Delivery, Malformed> {
    let delivery: DeliveryId = delivery.parse().map_err(malformed)?;
    let body: PushBody = serde_json::from_slice(body).map_err(|error| Malformed::json(&error))?;
    let git_ref: crate::ids::RefName = body.git_ref.parse().map_err(malformed)?;
    let Some(commit) = commit_or_none(&body.after)? else {
        return Ok(Delivery::Ignored {
            delivery,
            rule: format!("{git_ref} was deleted; there is nothing to run"),
        });
    };
    let size: usize = body.files.values().map(String::len).sum();
    if size > MAX_FILES_BYTES {
        return Err(Malformed(format!(
            "the files are {size} bytes together; at most {MAX_FILES_BYTES} are taken"
        )));
    }
    let path =
        |(path, text): (String, String)| Ok((path.parse::<RepositoryPath>().map_err(malformed)?, text));
    Ok(Delivery::Push(Box::new(Push {
        delivery,
        // A plain server gives no id; the hook's own name for the repository is one hook's affair.
        repository_id: body.repository.parse().map_err(malformed)?,
        repository: body.repository,
        git_ref,
        commit,
        before: commit_or_none(&body.before)?,
        message: body.message,
        author: body.author,
        files: body.files.into_iter().map(path).collect::<Result<_, Malformed>>()?,
    })))
}
