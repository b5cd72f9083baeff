//! Where a run comes from: the hook that tied the delivery to a repository, and the push it told of.
//!
//! Texts in here come from outside. They are data: shown escaped, passed by value, never made into syntax.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::fact::bounded;
use crate::ids::{
    CommitSha, DeliveryId, EnvironmentName, HookId, ImageDigestRef, PipelineName, RefName, RepositoryId,
    RepositoryPath, RunId, VariableName,
};
use crate::pipeline_file::Occasion;
use crate::plan::SecretRef;

/// A kind of place that pushes come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Provider {
    /// GitHub, the public one or an Enterprise Server.
    Github,
    /// GitLab, the public one or a self-managed one.
    Gitlab,
    /// Bitbucket Cloud.
    Bitbucket,
    /// Gitea and Forgejo.
    Gitea,
    /// A plain git server whose post-receive hook signs its deliveries.
    Git,
    /// AWS `CodeCommit` events.
    Codecommit,
}

impl Provider {
    /// All of them, in the order in which messages name them.
    pub const ALL: [Self; 6] =
        [Self::Github, Self::Gitlab, Self::Bitbucket, Self::Gitea, Self::Git, Self::Codecommit];

    /// The name in URLs and keys.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Github => "github",
            Self::Gitlab => "gitlab",
            Self::Bitbucket => "bitbucket",
            Self::Gitea => "gitea",
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
    /// How builds log in to clone, where the repository is private and `CodeBuild` can't fetch it itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clone_login: Option<CloneLogin>,
    /// The id that the forge gave the webhook, where Pushway has made it there or was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forge_hook: Option<String>,
    /// The short name of the branch whose pipeline file says what schedules and images start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_branch: Option<String>,
    /// Until when the secret that was in use before the last rotation is still taken (row A9).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old_secret_until: Option<Timestamp>,
}

/// A login for cloning over HTTPS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CloneLogin {
    /// The user name, which for a token is a word of the forge's choice.
    pub user: String,
    /// Where the token lies; builds may read it, so it lies where build secrets do.
    pub token: SecretRef,
}

/// What made a run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Trigger {
    /// A push that was told by a delivery.
    #[default]
    Push,
    /// A head that no delivery had told of: the sweep found it.
    Reconciled,
    /// A pull or merge request was opened or its head moved.
    PullRequest(PullRequest),
    /// A schedule of the pipeline file was due.
    Schedule {
        /// The expression as the file has it.
        expression: String,
        /// When it was due.
        due: Timestamp,
    },
    /// An image was pushed to ECR.
    Image {
        /// The ECR repository's name.
        repository: String,
        /// The image.
        image: ImageDigestRef,
        /// The tag it was pushed under.
        tag: Option<String>,
    },
    /// A person asked for it.
    Manual {
        /// Who: the caller's ARN.
        by: String,
        /// Only this pipeline.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pipeline: Option<PipelineName>,
        /// Values of variables that the pipeline file declares.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        variables: BTreeMap<VariableName, String>,
    },
    /// A person wants an earlier good version of an environment back.
    Rollback {
        /// The run that brought it.
        to: RunId,
        /// The environment.
        environment: EnvironmentName,
        /// Who: the caller's ARN.
        by: String,
        /// Why.
        reason: String,
    },
}

/// That a run is a retry of an earlier one: of the same push, with all that made that one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Retry {
    /// The run that is retried.
    pub of: RunId,
    /// From where.
    pub from: RetryFrom,
    /// Who asked: the caller's ARN.
    pub by: String,
    /// The pipeline of that run, once it had one: no other is started again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pipeline: Option<PipelineName>,
}

/// From where a run is retried.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RetryFrom {
    /// From the start: the pipeline file is read anew, and everything is done again.
    #[default]
    Start,
    /// From where it failed: its plan and all that was good in it are kept.
    Failed,
}

impl RetryFrom {
    /// The name in APIs and ids.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Failed => "failed",
        }
    }
}

/// A pull request's part in a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PullRequest {
    /// Its number at the forge.
    pub number: u64,
    /// The short name of the branch it wants to go into.
    pub base: String,
    /// Where that branch pointed: the pipeline file is read there (row A21).
    pub base_commit: CommitSha,
    /// Whether its head lies in another repository.
    pub is_fork: bool,
    /// Who let this very commit be built (row A20); needed for forks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approved_by: Option<String>,
}

/// How far a run's code is trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Zone {
    /// It lies in a branch or tag of the repository itself.
    Trusted,
    /// Nobody has merged it yet: no secrets, no deploy, a build project and role of its own.
    Untrusted,
}

/// A push as a run keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
    /// What made the run.
    #[serde(default)]
    pub trigger: Trigger,
    /// The marker in the commit's message that asks for no run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skip: Option<String>,
    /// The run that this one is a retry of; `trigger` is what made that one, so it is trusted no further.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
    /// When the forge says that the push happened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pushed_at: Option<Timestamp>,
    /// The one pipeline file that the run is for, where a push started several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<RepositoryPath>,
    /// The run that was recorded for the push, where this is another pipeline's run of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<RunId>,
    /// The run whose delivery carried the files, where it is another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carried_by: Option<RunId>,
    /// The push's place among those of its ref, where `parent` has found it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<u64>,
}

impl Source {
    /// When the push was that this run was made for at once; whoever retries it or goes back to it later does not wait
    /// for its delivery.
    pub fn delivered_from(&self) -> Option<Timestamp> {
        let is_later = self.retry.is_some() || matches!(self.trigger, Trigger::Rollback { .. });
        self.pushed_at.filter(|_| !is_later)
    }

    /// How far the commit is trusted: what no one has merged is not.
    pub fn zone(&self) -> Zone {
        match self.trigger {
            Trigger::PullRequest(_) => Zone::Untrusted,
            _ => Zone::Trusted,
        }
    }

    /// The pull request, where one made the run.
    pub fn pull_request(&self) -> Option<&PullRequest> {
        match &self.trigger {
            Trigger::PullRequest(request) => Some(request),
            _ => None,
        }
    }

    /// The commit whose buildspecs count: code that nobody has merged says what is tested, not how. Else its
    /// buildspec could ask `CodeBuild` for the credentials that it clones with.
    pub fn buildspec_commit(&self) -> &CommitSha {
        self.file_commit()
    }

    /// What a pipeline file's triggers are asked about.
    pub fn occasion(&self) -> Occasion<'_> {
        match &self.trigger {
            Trigger::Push | Trigger::Reconciled => Occasion::Push(&self.git_ref),
            Trigger::PullRequest(request) => Occasion::PullRequest { base: &request.base },
            Trigger::Schedule { expression, .. } => Occasion::Schedule { expression },
            Trigger::Image { repository, tag, .. } => Occasion::Image { repository, tag: tag.as_deref() },
            // A rollback asks no pipeline file.
            Trigger::Manual { .. } | Trigger::Rollback { .. } => Occasion::Manual,
        }
    }

    /// The commit whose pipeline file counts: of a pull request it is that of the branch it wants to go
    /// into, since what it changes there nobody has agreed to (row A21).
    pub fn file_commit(&self) -> &CommitSha {
        self.pull_request().map_or(&self.commit, |request| &request.base_commit)
    }

    /// The first line of a commit message, cut to what a list can show.
    pub fn title_of(message: &str) -> String {
        bounded(message.lines().next().unwrap_or_default(), 200)
    }
}
