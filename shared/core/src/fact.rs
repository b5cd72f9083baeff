//! The facts of a run: all that can ever be said about it, in one list.
//!
//! A fact is something that happened, never a wish. The journal keeps them in order and the run's state is
//! a fold over them (`run.rs`). A variant may gain optional fields; it never loses or renames one, because
//! the journals of past runs must stay readable.

use std::fmt::Display;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::approval::{ApprovalRequest, Consent, Refusal, RuleChange};
use crate::ids::{EnvironmentName, Fence, PipelineName, RunId};
use crate::preflight::Finding;
use crate::run::{
    CheckJobEnd, CheckJobState, CheckpointEnd, KeptEnvironment, PauseAnswer, Stop, TakenJob, WatchEnd,
    WatchStart,
};
use crate::source::Source;

mod deploy;
mod job;

pub use crate::plan::JobStage;
pub use deploy::{
    Baseline, CheckResult, DeployFailure, DeployFailureKind, OutOfBand, RollbackOutcome, RollbackOwner,
    Rollout, Scheduled, TaskEnd,
};
pub use job::{BuildPhase, JobEnd, JobId, LogPointer, TestSummary};

/// One fact with its place in the journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Entry {
    /// Place in the journal, from 0; equal to the run's version before this fact.
    pub seq: u64,
    /// When Pushway wrote it down. Order is by `seq`: clocks may step back.
    pub at: Timestamp,
    /// What happened.
    pub fact: Fact,
}

/// What can happen to a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "fact", rename_all = "snake_case")]
pub enum Fact {
    /// A delivery was verified and recorded.
    Received {
        /// Where the push came from and what it holds.
        source: Box<Source>,
    },
    /// Nothing in the pipeline file asked for this push.
    Ignored {
        /// The rule that said so, in words.
        rule: String,
    },
    /// The pipeline file is missing or wrong.
    Rejected {
        /// What is wrong and how to mend it.
        cause: Cause,
    },
    /// The plan was fixed; it is kept beside the journal under its digest.
    Planned {
        /// The pipeline that this run belongs to.
        pipeline: PipelineName,
        /// SHA-256 of the plan, in hex.
        plan_digest: String,
        /// All jobs, build stage first.
        jobs: Vec<JobId>,
        /// The environments, in the order of their deploys.
        environments: Vec<EnvironmentName>,
        /// Those of them that people must consent to.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        approvals: Vec<EnvironmentName>,
        /// The push's place among those of its ref.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        place: Option<u64>,
        /// Which rule of the pipeline file started it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rule: Option<String>,
        /// What people should know before it deploys; bounded.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        findings: Vec<Finding>,
        /// The environments that are watched after their checks.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        watched: Vec<EnvironmentName>,
    },
    /// The pipeline runs one push of a branch after another, and another one is at it.
    Queued {
        /// The run before it.
        behind: RunId,
    },
    /// A newer push of the same ref has taken its place before it deployed anything.
    Overtaken {
        /// The newer push's run.
        by: RunId,
        /// Why, in words.
        rule: String,
    },
    /// A person stops the run: nothing of it begins any more, and a deploy under way goes back.
    StopAsked {
        /// Who, and why.
        #[serde(flatten)]
        stop: Stop,
    },
    /// What an earlier run has done is taken over, and not done again.
    TakenOver {
        /// The run that is retried.
        from: RunId,
        /// Its jobs that have succeeded.
        jobs: Vec<TakenJob>,
        /// Its environments that are live.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        environments: Vec<KeptEnvironment>,
    },
    /// `CodeBuild` accepted a build for a job.
    JobStarted {
        /// Which job.
        job: JobId,
        /// 1 for the first attempt.
        attempt: u32,
        /// `CodeBuild`'s id of the build, `project:uuid`.
        build: String,
    },
    /// A build ended and was read back.
    JobEnded {
        /// Which job.
        job: JobId,
        /// The attempt that ended.
        attempt: u32,
        /// How it ended.
        #[serde(flatten)]
        end: JobEnd,
    },
    /// People were asked to consent to a deploy.
    ApprovalAsked {
        /// Which environment.
        environment: EnvironmentName,
        /// What they were asked.
        request: Box<ApprovalRequest>,
    },
    /// The environment's rule is not what it was when people were asked.
    ApprovalRuleChanged {
        /// Which environment.
        environment: EnvironmentName,
        /// What is asked for now.
        change: Box<RuleChange>,
    },
    /// Someone has consented.
    Approved {
        /// Which environment.
        environment: EnvironmentName,
        /// What they have consented to: the request's digest.
        digest: String,
        /// Who, and in which words.
        #[serde(flatten)]
        consent: Consent,
    },
    /// There will be no consent.
    ApprovalRefused {
        /// Which environment.
        environment: EnvironmentName,
        /// Who says so, and why.
        #[serde(flatten)]
        refusal: Refusal,
    },
    /// The environment may not be taken at this time: it is frozen, or outside of its windows.
    Blocked {
        /// Which environment.
        environment: EnvironmentName,
        /// Why, in words.
        why: String,
    },
    /// The environment's lock is ours.
    LockTaken {
        /// Which environment.
        environment: EnvironmentName,
        /// The number under which every later act on the environment is done.
        fence: Fence,
    },
    /// A newer push of the same ref serves there already: this one goes no further.
    Superseded {
        /// Which environment.
        environment: EnvironmentName,
        /// The newer push's run.
        by: RunId,
    },
    /// All is ready to move the service; written before the service is touched, so that a crash converges.
    DeployPrepared {
        /// Which environment.
        environment: EnvironmentName,
        /// What will be done.
        rollout: Rollout,
    },
    /// A revision was registered for a task that runs before the service moves.
    TaskPrepared {
        /// Which environment.
        environment: EnvironmentName,
        /// Which of its tasks, from 0.
        task: usize,
        /// ARN of the revision.
        revision: String,
    },
    /// A task that runs before the service moves was started.
    TaskStarted {
        /// Which environment.
        environment: EnvironmentName,
        /// Which of its tasks, from 0.
        task: usize,
        /// Its ARN.
        arn: String,
        /// When it must have ended.
        deadline: Timestamp,
    },
    /// A task that runs before the service moves has ended, or its time was over.
    TaskEnded {
        /// Which environment.
        environment: EnvironmentName,
        /// Which of its tasks, from 0.
        task: usize,
        /// How it ended.
        #[serde(flatten)]
        end: TaskEnd,
    },
    /// The service was told to move.
    DeployStarted {
        /// Which environment.
        environment: EnvironmentName,
        /// The deployment that this run started, by the id the service gave it.
        deployment: String,
    },
    /// ECS asked whether it may move production traffic.
    CheckpointReached {
        /// Which environment.
        environment: EnvironmentName,
        /// Per cent of the traffic that the new version had by then.
        served: u8,
        /// When it first asked.
        at: Timestamp,
    },
    /// A check was made at a checkpoint.
    CheckpointChecked {
        /// Which environment.
        environment: EnvironmentName,
        /// Which checkpoint.
        served: u8,
        /// Which of its checks, from 0.
        check: u16,
        /// What it came to.
        result: CheckResult,
    },
    /// The checks of a checkpoint have passed, and a person is waited for.
    CheckpointPaused {
        /// Which environment.
        environment: EnvironmentName,
        /// Which checkpoint.
        served: u8,
        /// Until when.
        until: Timestamp,
    },
    /// A person has said whether the deployment goes on.
    CheckpointAnswered {
        /// Which environment.
        environment: EnvironmentName,
        /// Which checkpoint.
        served: u8,
        /// Who, and what.
        #[serde(flatten)]
        answer: PauseAnswer,
    },
    /// A checkpoint is over: ECS moves the traffic, or goes back.
    CheckpointEnded {
        /// Which environment.
        environment: EnvironmentName,
        /// Which checkpoint.
        served: u8,
        /// What it came to.
        #[serde(flatten)]
        end: CheckpointEnd,
    },
    /// The deploy has a verdict.
    DeployEnded {
        /// Which environment.
        environment: EnvironmentName,
        /// `None`: the new version serves. Otherwise why it does not.
        failure: Option<DeployFailure>,
        /// When the service itself says that the rollout ended.
        ended_at: Option<Timestamp>,
        /// When the service last began to drain connections, where it says so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        draining_since: Option<Timestamp>,
    },
    /// The checks after the deploy were made.
    Validated {
        /// Which environment.
        environment: EnvironmentName,
        /// Each check with its samples; never empty.
        checks: Vec<CheckResult>,
    },
    /// A check's build was started; the checks before it have been made.
    CheckStarted {
        /// Which environment.
        environment: EnvironmentName,
        /// Which of its checks, in which build, after what.
        #[serde(flatten)]
        job: CheckJobState,
    },
    /// A check's build ended and was read back.
    CheckEnded {
        /// Which environment.
        environment: EnvironmentName,
        /// Which of its checks, from 0.
        check: u16,
        /// The attempt that ended.
        attempt: u32,
        /// How it ended.
        #[serde(flatten)]
        end: CheckJobEnd,
    },
    /// The watch over the new version began.
    WatchStarted {
        /// Which environment.
        environment: EnvironmentName,
        /// From when to when.
        #[serde(flatten)]
        start: WatchStart,
    },
    /// The watch is over.
    WatchEnded {
        /// Which environment.
        environment: EnvironmentName,
        /// What it came to.
        #[serde(flatten)]
        end: WatchEnd,
    },
    /// The service was told to go back to the baseline.
    RollbackStarted {
        /// Which environment.
        environment: EnvironmentName,
        /// The deployment that brings the baseline back, by the id the service gave it.
        deployment: String,
        /// Who started it.
        by: RollbackOwner,
    },
    /// The rollback has an outcome.
    RollbackEnded {
        /// Which environment.
        environment: EnvironmentName,
        /// What serves now.
        outcome: RollbackOutcome,
    },
    /// A state of the workflow broke: a time-out, a crash, a denied permission.
    Broke {
        /// Where and why.
        cause: Cause,
    },
    /// The run is over; the last fact of every journal.
    Finished {
        /// The final status: always the one that the earlier facts imply.
        status: crate::run::Status,
    },
}

impl Fact {
    /// The environment that it is about, if it is about one.
    pub fn environment(&self) -> Option<&EnvironmentName> {
        match self {
            Self::Received { .. }
            | Self::Ignored { .. }
            | Self::Rejected { .. }
            | Self::Planned { .. }
            | Self::Queued { .. }
            | Self::Overtaken { .. }
            | Self::TakenOver { .. }
            | Self::StopAsked { .. }
            | Self::JobStarted { .. }
            | Self::JobEnded { .. }
            | Self::Broke { .. }
            | Self::Finished { .. } => None,
            Self::ApprovalAsked { environment, .. }
            | Self::ApprovalRuleChanged { environment, .. }
            | Self::Approved { environment, .. }
            | Self::ApprovalRefused { environment, .. }
            | Self::Blocked { environment, .. }
            | Self::LockTaken { environment, .. }
            | Self::Superseded { environment, .. }
            | Self::DeployPrepared { environment, .. }
            | Self::TaskPrepared { environment, .. }
            | Self::TaskStarted { environment, .. }
            | Self::TaskEnded { environment, .. }
            | Self::DeployStarted { environment, .. }
            | Self::CheckpointReached { environment, .. }
            | Self::CheckpointChecked { environment, .. }
            | Self::CheckpointPaused { environment, .. }
            | Self::CheckpointAnswered { environment, .. }
            | Self::CheckpointEnded { environment, .. }
            | Self::DeployEnded { environment, .. }
            | Self::Validated { environment, .. }
            | Self::CheckStarted { environment, .. }
            | Self::CheckEnded { environment, .. }
            | Self::WatchStarted { environment, .. }
            | Self::WatchEnded { environment, .. }
            | Self::RollbackStarted { environment, .. }
            | Self::RollbackEnded { environment, .. } => Some(environment),
        }
    }
}

/// Why something failed, for the person who reads it at night: what, why, what was seen, what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Cause {
    /// Where: `build/image`, `test/unit`, `environment production`, `plan`.
    pub stage: String,
    /// One sentence.
    pub summary: String,
    /// Evidence, such as the last log lines; bounded.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<String>,
    /// What to do next.
    pub advice: String,
}

impl Cause {
    /// Lines of evidence kept in a cause: enough for a stack trace's top.
    pub const MAX_EVIDENCE: usize = 30;
    /// Longest text kept in one field, in characters, so that a run's item stays far from 400 KB.
    pub const MAX_TEXT: usize = 1_000;

    /// A cause with every text bounded.
    pub fn new(stage: impl Display, summary: impl Display, advice: impl Display) -> Self {
        Self {
            stage: bounded(&format!("{stage}"), 200),
            summary: bounded(&format!("{summary}"), Self::MAX_TEXT),
            evidence: Vec::new(),
            advice: bounded(&format!("{advice}"), Self::MAX_TEXT),
        }
    }

    /// The same with the last lines of `evidence`.
    #[must_use]
    pub fn with_evidence(mut self, evidence: impl IntoIterator<Item = String>) -> Self {
        let lines: Vec<String> = evidence.into_iter().map(|line| bounded(&line, 400)).collect();
        let skip = lines.len().saturating_sub(Self::MAX_EVIDENCE);
        self.evidence = lines.into_iter().skip(skip).collect();
        self
    }
}

/// At most `max` characters of `text`, with a mark where something was cut.
pub fn bounded(text: &str, max: usize) -> String {
    match text.char_indices().nth(max) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}… (truncated)", &text[..end]),
    }
}
