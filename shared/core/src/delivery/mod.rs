//! Deliveries: what a forge says about a push, parsed at the edge into one shape.
//!
//! Each provider has a file that knows its payloads. An answer is always one of three: a push, something
//! that is not ours with the reason, or malformed. Nothing here believes a delivery: the signature is
//! checked before, the repository compared after.

use std::collections::BTreeMap;

use sha2::Digest as _;

use crate::ids::{CommitSha, DeliveryId, RefName, RepositoryId, RepositoryPath};
use crate::source::{Hook, Provider, Source};

pub mod codecommit;
pub mod git;
pub mod github;

/// A push as a delivery tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Push {
    /// The delivery's id.
    pub delivery: DeliveryId,
    /// The repository's id at its forge.
    pub repository_id: RepositoryId,
    /// The repository's name.
    pub repository: String,
    /// The full ref that moved.
    pub git_ref: RefName,
    /// Where it points now.
    pub commit: CommitSha,
    /// Where it pointed before; `None` for a new ref.
    pub before: Option<CommitSha>,
    /// The commit's message.
    pub message: String,
    /// Who wrote the commit.
    pub author: String,
    /// Files that came with the delivery.
    pub files: BTreeMap<RepositoryPath, String>,
}

/// What a delivery is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivery {
    /// A push to look at.
    Push(Box<Push>),
    /// Well-formed and not for us.
    Ignored {
        /// The delivery's id.
        delivery: DeliveryId,
        /// The rule that says so.
        rule: String,
    },
}

/// The delivery can't be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub String);

impl Malformed {
    fn json(error: &serde_json::Error) -> Self {
        Self(format!("the body is not the JSON that its event promises: {error}"))
    }
}

impl Push {
    /// The run's source, if the push is of the hook's own repository (row A8).
    pub fn into_source(self, hook: &Hook) -> Result<(Source, BTreeMap<RepositoryPath, String>), Malformed> {
        let same_id = hook.repository_id.as_ref().is_none_or(|id| *id == self.repository_id);
        if !same_id || hook.repository != self.repository {
            return Err(Malformed(format!(
                "the delivery tells of repository {:?}, but this hook is for {:?}; give each repository a hook of its own",
                self.repository, hook.repository
            )));
        }
        let source = Source {
            provider: hook.provider,
            hook: hook.id.clone(),
            delivery: self.delivery,
            repository_id: self.repository_id,
            repository: self.repository,
            git_ref: self.git_ref,
            commit: self.commit,
            before: self.before,
            message: Source::title_of(&self.message),
            author: crate::fact::bounded(&self.author, 100),
        };
        Ok((source, self.files))
    }
}

/// The content key of a push: equal for every delivery that tells of the same movement of the same ref,
/// whatever its id (rows F2, A3). Each part is preceded by its length, so that no two pushes share a key.
pub fn content_key(source: &Source) -> String {
    let before = source.before.as_ref().map_or("", CommitSha::as_str);
    let parts = [
        source.provider.as_str(),
        source.repository_id.as_str(),
        source.git_ref.as_str(),
        before,
        source.commit.as_str(),
        "push",
    ];
    let mut hash = sha2::Sha256::new();
    for part in parts {
        hash.update(part.len().to_be_bytes());
        hash.update(part.as_bytes());
    }
    hex::encode(hash.finalize())
}

/// Reads the commit id that a ref moved to or from; the all-zero id stands for "none".
fn commit_or_none(text: &str) -> Result<Option<CommitSha>, Malformed> {
    let commit: CommitSha = text.parse().map_err(|error| Malformed(format!("{error}")))?;
    Ok((!commit.is_zero()).then_some(commit))
}

fn malformed(error: impl std::fmt::Display) -> Malformed {
    Malformed(error.to_string())
}

/// Providers whose deliveries come by webhook.
pub fn comes_by_webhook(provider: Provider) -> bool {
    provider != Provider::Codecommit
}
