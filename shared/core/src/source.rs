//! Where a run comes from: the hook that tied the delivery to a repository, and the push it told of.
//!
//! Texts in here come from outside. They are data: shown escaped, passed by value, never made into syntax.

use serde::{Deserialize, Serialize};

use crate::fact::bounded;
use crate::ids::{CommitSha, DeliveryId, HookId, RefName, RepositoryId};

/// A kind of place that pushes come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Provider {
    /// GitHub webhooks.
    Github,
    /// A plain git server whose post-receive hook signs its deliveries.
    Git,
    /// AWS `CodeCommit` events.
    Codecommit,
}

impl Provider {
    /// All of them, in the order in which messages name them.
    pub const ALL: [Self; 3] = [Self::Github, Self::Git, Self::Codecommit];

    /// The name in URLs and keys.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Github => "github",
            Self::Git => "git",
            Self::Codecommit => "codecommit",
        }
    }
}

impl std::fmt::Display for Provider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for Provider {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let known = || Self::ALL.map(Self::as_str).join(", ");
        Self::ALL
            .into_iter()
            .find(|provider| provider.as_str() == text)
            .ok_or_else(|| format!("unknown provider {text:?}; use one of {}", known()))
    }
}

/// What ties deliveries to a repository. Written by an administrator, never by a delivery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hook {
    /// The id in the webhook's path.
    pub id: HookId,
    /// What kind of deliveries it takes.
    pub provider: Provider,
    /// The repository's name as people know it (`owner/name`).
    pub repository: String,
    /// The repository's id at its forge, where known: compared with the delivery's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository_id: Option<RepositoryId>,
    /// Where builds clone from: `https://` or `ssh://` (plain `http://` for loopback only).
    pub clone_url: String,
    /// The name of the Secrets Manager secret that deliveries are signed with; none for `CodeCommit`,
    /// whose events are believed only after reading them back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// The name of the secret that holds a token for the forge's API, where files are private.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<String>,
    /// The forge's API, where it is not the public one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_url: Option<String>,
}

/// A push as a run keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// The kind of place it came from.
    pub provider: Provider,
    /// The hook that took it.
    pub hook: HookId,
    /// The delivery that told of it first.
    pub delivery: DeliveryId,
    /// The repository's id at its forge.
    pub repository_id: RepositoryId,
    /// The repository's name as people know it.
    pub repository: String,
    /// The full ref that moved.
    pub git_ref: RefName,
    /// Where the ref points now.
    pub commit: CommitSha,
    /// Where it pointed before; `None` for a new ref.
    pub before: Option<CommitSha>,
    /// First line of the commit's message.
    pub message: String,
    /// Who wrote the commit.
    pub author: String,
}

impl Source {
    /// The first line of a commit message, cut to what a list can show.
    pub fn title_of(message: &str) -> String {
        bounded(message.lines().next().unwrap_or_default(), 200)
    }
}
