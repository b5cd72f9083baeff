//! An approval: what people are asked to consent to, and what they have said.
//!
//! It is bound to an environment and to images by digest; whoever consents names that binding, so that nobody
//! agrees to something other than what was shown. Pure; who asks and who answers is in `settle/approval.rs`.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::Digest as _;

use crate::environment::Deployed;
use crate::ids::{CommitSha, EnvironmentName, ImageDigestRef, RunId};
use crate::summary::RunSummary;

/// How many pushes an approval shows: more of them nobody reads.
pub const MAX_PUSHES: usize = 20;

/// What people are asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovalRequest {
    /// What consent is bound to: a hash of the environment and the images.
    pub digest: String,
    /// How many different people must consent.
    pub required: u16,
    /// Until when.
    pub deadline: Timestamp,
    /// Container name to the image it would get.
    pub images: BTreeMap<String, ImageDigestRef>,
    /// What serves there now, as far as Pushway knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serving: Option<Serving>,
    /// The pushes that would come to it, newest first, the run's own included.
    pub pushes: Vec<PushLine>,
    /// Whether there are more than are shown.
    #[serde(default)]
    pub has_more: bool,
}

/// What an approval would replace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Serving {
    /// The run that brought it.
    pub run: RunId,
    /// Its commit.
    pub commit: CommitSha,
    /// Since when.
    pub at: Timestamp,
    /// Container name to image.
    pub images: BTreeMap<String, ImageDigestRef>,
}

/// A push in a few words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushLine {
    /// Its run.
    pub run: RunId,
    /// Its commit.
    pub commit: CommitSha,
    /// First line of the commit's message.
    pub message: String,
    /// Who wrote the commit.
    pub author: String,
}

/// An approval's place in an environment of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovalState {
    /// What was asked.
    pub request: ApprovalRequest,
    /// Who has consented, each of them once.
    pub given: Vec<Consent>,
    /// Why there will be no consent.
    pub refusal: Option<Refusal>,
}

/// One person's consent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consent {
    /// The caller's ARN.
    pub by: String,
    /// What they had to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

/// Why a deploy will not be consented to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// The caller's ARN; `None` where the time was over.
    pub by: Option<String>,
    /// In their words.
    pub reason: String,
}

impl ApprovalState {
    /// Whether enough people have consented.
    pub fn is_granted(&self) -> bool {
        self.given.len() >= usize::from(self.request.required)
    }

    /// Whether it still waits for someone.
    pub fn is_open(&self) -> bool {
        !self.is_granted() && self.refusal.is_none()
    }
}

impl From<&Deployed> for Serving {
    fn from(deployed: &Deployed) -> Self {
        let Deployed { run, commit, at, images, .. } = deployed.clone();
        Self { run, commit, at, images }
    }
}

impl From<&RunSummary> for PushLine {
    fn from(run: &RunSummary) -> Self {
        let RunSummary { id, commit, message, author, .. } = run.clone();
        Self { run: id, commit, message, author }
    }
}

/// What consent to a deploy of these images is bound to.
pub fn digest(environment: &EnvironmentName, images: &BTreeMap<String, ImageDigestRef>) -> String {
    let canonical = serde_json::json!({ "environment": environment, "images": images }).to_string();
    hex::encode(sha2::Sha256::digest(canonical.as_bytes()))
}
