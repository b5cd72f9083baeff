//! A run as lists show it: small enough that a page of them is one read of an index.
//!
//! Whoever can push chooses messages, names and refs, so every text in here is cut to what its place in the
//! index allows. The run itself has them whole.

use jiff::{Timestamp, TimestampRound, Unit};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::Digest as _;

use crate::ids::{CommitSha, EnvironmentName, PipelineName, RefName, RunId};
use crate::run::{EnvironmentState, Run, Status};
use crate::source::Trigger;

/// What a summary takes at most as JSON, in bytes. An eventually consistent read of 24 KB is 3 read units (`DynamoDB`
/// Developer Guide, "Read consistency"), so 25 items of an index may take 983 bytes each; 203 of them are its keys.
pub const MAX_BYTES: usize = 780;
/// What a ref takes at most in a summary, in bytes of JSON.
const MAX_REF: usize = 110;

/// One line of the history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunSummary {
    /// The run's id.
    pub id: RunId,
    /// Its pipeline, once planned.
    pub pipeline: Option<PipelineName>,
    /// Where it stands.
    pub status: Status,
    /// The repository's name; cut where it is long.
    pub repository: String,
    /// The full ref that was pushed; a long one is cut and ends in a hash of the whole.
    pub git_ref: RefName,
    /// The commit.
    pub commit: CommitSha,
    /// First line of the commit's message; cut where it is long.
    pub message: String,
    /// Who wrote the commit; cut where it is long.
    pub author: String,
    /// When the delivery was recorded.
    pub received_at: Timestamp,
    /// When the newest fact was written down.
    pub updated_at: Timestamp,
    /// From when the delivery was recorded until the run was over, once it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_seconds: Option<u64>,
    /// Where and why it failed, in one sentence; cut where it is long.
    pub cause: Option<String>,
    /// The run that it is a retry of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_of: Option<RunId>,
    /// What made it, where that was no push that a delivery told of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trigger: Option<TriggerWord>,
    /// Its push's place among those of its ref, once it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<u64>,
    /// Its environments in the order of their deploys; not known of runs that were last written by an older version.
    #[serde(default)]
    pub environments: Option<Vec<EnvironmentBrief>>,
    /// How many environments more it has, which found no room here.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub environments_left_out: usize,
}

/// What made a run, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TriggerWord {
    /// A push that a delivery told of.
    Push,
    /// A push that was found by a look at the repository.
    Reconciled,
    /// A pull or merge request.
    PullRequest,
    /// A schedule.
    Schedule,
    /// An image that was pushed to ECR.
    Image,
    /// A person, by hand.
    Manual,
    /// A person who wants an earlier version back.
    Rollback,
}

impl TriggerWord {
    /// Whether something new was brought by it.
    pub fn is_push(self) -> bool {
        matches!(self, Self::Push | Self::Reconciled | Self::PullRequest | Self::Image)
    }
}

impl From<&Trigger> for TriggerWord {
    fn from(trigger: &Trigger) -> Self {
        match trigger {
            Trigger::Push => Self::Push,
            Trigger::Reconciled => Self::Reconciled,
            Trigger::PullRequest(_) => Self::PullRequest,
            Trigger::Schedule { .. } => Self::Schedule,
            Trigger::Image { .. } => Self::Image,
            Trigger::Manual { .. } => Self::Manual,
            Trigger::Rollback { .. } => Self::Rollback,
        }
    }
}

/// An environment's place in a run, in two words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EnvironmentBrief {
    /// Its name.
    pub name: EnvironmentName,
    /// How far it is.
    pub state: EnvironmentWord,
}

/// How far a run is with an environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EnvironmentWord {
    /// It has not come there yet, or never did.
    Pending,
    /// It waits for people or for a better time.
    Waiting,
    /// People did not consent.
    Refused,
    /// It holds the lock and deploys.
    Deploying,
    /// The new version serves and is checked or watched.
    Checking,
    /// The new version serves and was found good.
    Live,
    /// It failed.
    Failed,
    /// It failed, and the old version is being brought back.
    RollingBack,
    /// It failed, and the old version serves again.
    RolledBack,
    /// It failed, and the old version could not be brought back.
    Broken,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

impl EnvironmentWord {
    /// The name in APIs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Waiting => "waiting",
            Self::Refused => "refused",
            Self::Deploying => "deploying",
            Self::Checking => "checking",
            Self::Live => "live",
            Self::Failed => "failed",
            Self::RollingBack => "rolling_back",
            Self::RolledBack => "rolled_back",
            Self::Broken => "broken",
        }
    }
}

impl From<&EnvironmentState> for EnvironmentWord {
    fn from(state: &EnvironmentState) -> Self {
        use crate::fact::RollbackOutcome;
        match (&state.rollback, state.rollback_outcome()) {
            (_, Some(RollbackOutcome::Restored { .. })) => return Self::RolledBack,
            (_, Some(RollbackOutcome::NoBaseline | RollbackOutcome::Failed { .. })) => return Self::Broken,
            (Some(_), None) => return Self::RollingBack,
            _ => {}
        }
        let refused = state.approval.as_ref().is_some_and(|approval| approval.refusal.is_some());
        if state.has_failed() {
            Self::Failed
        } else if state.is_live() {
            Self::Live
        } else if state.deploy.is_some() {
            Self::Checking
        } else if state.fence.is_some() {
            Self::Deploying
        } else if refused {
            Self::Refused
        } else if state.approval.is_some() || state.blocked.is_some() {
            Self::Waiting
        } else {
            Self::Pending
        }
    }
}

impl From<&Run> for RunSummary {
    fn from(run: &Run) -> Self {
        let brief =
            |state: &EnvironmentState| EnvironmentBrief { name: state.name.clone(), state: state.into() };
        let over = run.status.is_terminal().then(|| run.updated_at.duration_since(run.received_at).as_secs());
        let cause = |cause: &crate::fact::Cause| cut(&format!("{}: {}", cause.stage, cause.summary), 240);
        let mut summary = Self {
            id: run.id,
            pipeline: run.pipeline.clone(),
            status: run.status,
            repository: cut(&run.source.repository, 140),
            git_ref: shown_ref(&run.source.git_ref),
            commit: run.source.commit.clone(),
            message: cut(&run.source.message, 200),
            author: cut(&run.source.author, 80),
            received_at: to_millis(run.received_at),
            updated_at: to_millis(run.updated_at),
            duration_seconds: over.and_then(|seconds| u64::try_from(seconds).ok()),
            trigger: Some(TriggerWord::from(&run.source.trigger)).filter(|word| *word != TriggerWord::Push),
            retry_of: run.source.retry.as_ref().map(|retry| retry.of),
            place: run.place,
            cause: run.cause.as_ref().map(cause),
            environments: Some(run.environments.iter().map(brief).collect()),
            environments_left_out: 0,
        };
        summary.fit();
        summary
    }
}

impl RunSummary {
    /// Lets go of what finds no room, what says least first.
    fn fit(&mut self) {
        for room in [120, 80, 60] {
            if self.bytes() <= MAX_BYTES {
                return;
            }
            self.message = cut(&self.message, room);
            self.cause = self.cause.as_ref().map(|cause| cut(cause, room + 40));
        }
        // The last environments are those that people ask about, so the first ones go.
        while self.bytes() > MAX_BYTES && self.environments.as_ref().is_some_and(|all| !all.is_empty()) {
            self.environments_left_out += 1;
            if let Some(all) = &mut self.environments {
                all.remove(0);
            }
        }
        for room in [60, 30] {
            if self.bytes() <= MAX_BYTES {
                return;
            }
            self.repository = cut(&self.repository, room + 10);
            self.author = cut(&self.author, room);
            self.message = cut(&self.message, room + 10);
            self.cause = self.cause.as_ref().map(|cause| cut(cause, room + 30));
        }
    }

    fn bytes(&self) -> usize {
        serde_json::to_string(self).map_or(usize::MAX, |text| text.len())
    }
}

/// A ref as summaries show it.
pub fn shown_ref(git_ref: &RefName) -> RefName {
    if json_bytes(git_ref.as_str()) <= MAX_REF {
        return git_ref.clone();
    }
    let hash = hex::encode(&sha2::Sha256::digest(git_ref.as_str().as_bytes())[..6]);
    let mut start = cut(git_ref.as_str(), MAX_REF - hash.len());
    // What a ref may end in, its start may not: a slash or a dot before the mark is no harm to git.
    start.push_str(&hash);
    start.parse().unwrap_or_else(|_| git_ref.clone())
}

/// The text, or so much of it as takes `max` bytes of JSON, with a mark where something was cut.
fn cut(text: &str, max: usize) -> String {
    const MARK: &str = "…";
    if json_bytes(text) <= max {
        return text.to_owned();
    }
    let mut left = max.saturating_sub(MARK.len());
    let fits = |c: &char| {
        let size = json_bytes(c.encode_utf8(&mut [0; 4]));
        let fits = size <= left;
        left = left.saturating_sub(size);
        fits
    };
    text.trim_end_matches('…').chars().take_while(fits).chain(MARK.chars()).collect()
}

/// How many bytes a text takes in JSON, without its quotes.
fn json_bytes(text: &str) -> usize {
    serde_json::to_string(text).map_or(usize::MAX, |json| json.len() - 2)
}

fn to_millis(at: Timestamp) -> Timestamp {
    let round = TimestampRound::new().smallest(Unit::Millisecond).mode(jiff::RoundMode::Trunc);
    at.round(round).unwrap_or(at)
}
