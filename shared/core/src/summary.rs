//! A run as lists show it: small enough that a page of them is one read of an index.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ids::{CommitSha, PipelineName, RefName, RunId};
use crate::run::{Run, Status};

/// One line of the history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunSummary {
    /// The run's id.
    pub id: RunId,
    /// Its pipeline, once planned.
    pub pipeline: Option<PipelineName>,
    /// Where it stands.
    pub status: Status,
    /// The repository's name.
    pub repository: String,
    /// The full ref that was pushed.
    pub git_ref: RefName,
    /// The commit.
    pub commit: CommitSha,
    /// First line of the commit's message.
    pub message: String,
    /// Who wrote the commit.
    pub author: String,
    /// When the delivery was recorded.
    pub received_at: Timestamp,
    /// When the newest fact was written down.
    pub updated_at: Timestamp,
    /// Where and why it failed, in one sentence.
    pub cause: Option<String>,
    /// The run that it is a retry of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_of: Option<RunId>,
}

impl From<&Run> for RunSummary {
    fn from(run: &Run) -> Self {
        Self {
            id: run.id,
            pipeline: run.pipeline.clone(),
            status: run.status,
            repository: run.source.repository.clone(),
            git_ref: run.source.git_ref.clone(),
            commit: run.source.commit.clone(),
            message: run.source.message.clone(),
            author: run.source.author.clone(),
            received_at: run.received_at,
            updated_at: run.updated_at,
            retry_of: run.source.retry.as_ref().map(|retry| retry.of),
            cause: run
                .cause
                .as_ref()
                .map(|cause| format!("{}: {}", cause.stage, crate::fact::bounded(&cause.summary, 200))),
        }
    }
}
