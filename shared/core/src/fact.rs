//! The facts of a run: all that can ever be said about it, in one file.
//!
//! A fact is something that happened, never a wish. The journal keeps them in order and the run's state is
//! a fold over them (`run.rs`). A variant may gain optional fields; it never loses or renames one, because
//! the journals of past runs must stay readable.

use std::collections::BTreeMap;
use std::fmt::Display;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::approval::{ApprovalRequest, Consent, Refusal};
use crate::failure_card::FailureCard;
use crate::ids::{EnvironmentName, Fence, ImageDigestRef, JobName, PipelineName, RunId, VariableName};
use crate::image_file::BuiltImages;
use crate::plan::Place;
use crate::preflight::Finding;
use crate::run::{
    CheckJobEnd, CheckJobState, CheckpointEnd, KeptEnvironment, PauseAnswer, Stop, TakenJob, WatchEnd,
    WatchStart,
};
use crate::scheduled::{Starter, StarterRef};
use crate::source::Source;
use crate::views::ServiceRef;

pub use crate::plan::JobStage;

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

impl std::str::FromStr for JobStage {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "build" => Ok(Self::Build),
            "test" => Ok(Self::Test),
            _ => Err("a job's stage is build or test"),
        }
    }
}

/// A job, unique in its run.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct JobId {
    /// The stage it belongs to.
    pub stage: JobStage,
    /// Its name in the pipeline file.
    pub name: JobName,
}

impl std::fmt::Display for JobId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.stage, self.name)
    }
}

/// How a build ended, as read back from `CodeBuild`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct JobEnd {
    /// `None`: it succeeded and delivered every output it promised.
    pub failure: Option<Cause>,
    /// Whether another attempt follows.
    pub will_retry: bool,
    /// The promised outputs.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub outputs: BTreeMap<VariableName, String>,
    /// The images that files among its artifacts name, as far as a deploy asks for them.
    #[serde(default, skip_serializing_if = "BuiltImages::is_empty")]
    pub images: BuiltImages,
    /// Test cases, where the build reported any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tests: Option<TestSummary>,
    /// When `CodeBuild` says it began.
    pub started_at: Option<Timestamp>,
    /// When `CodeBuild` says it ended.
    pub ended_at: Option<Timestamp>,
    /// Its phases that took time, as `CodeBuild` tells them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub phases: Vec<BuildPhase>,
    /// The machine it ran on, as the price list names it, such as `arm1.small`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<String>,
    /// Where its log lies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<LogPointer>,
}

/// A phase of a build that took time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BuildPhase {
    /// Its name (`CodeBuild` API Reference, `BuildPhase`), such as `PROVISIONING`.
    pub name: String,
    /// When it began.
    pub from: Timestamp,
    /// When it ended.
    pub to: Timestamp,
}

impl JobEnd {
    /// What the ends of all jobs of a run may take together, in bytes of JSON: the run lies in one item of the table,
    /// which takes 400 KB (row F22).
    const ALL_JOBS: usize = 150 * 1024;
    /// And each of them at most, since a failure is kept twice: as its job's and as the run's.
    const ONE_JOB: usize = 60 * 1024;

    /// What one of so many jobs may take.
    pub fn room(jobs: usize) -> usize {
        (Self::ALL_JOBS / jobs.max(1)).min(Self::ONE_JOB)
    }

    /// The same without what finds no room: the oldest evidence goes first, then names of failing tests, then phases,
    /// then words.
    /// Outputs stay whole, since others use them; where they alone are too large, this is `Err` with their size.
    pub fn fitted(mut self, room: usize) -> Result<Self, usize> {
        let outputs = json_bytes(&(&self.outputs, &self.images));
        if outputs > room / 2 {
            return Err(outputs);
        }
        while json_bytes(&self) > room {
            let evidence = self.failure.as_mut().map(|cause| &mut cause.evidence);
            let failing = self.tests.as_mut().map(|tests| &mut tests.failing);
            if let Some(evidence) = evidence.filter(|lines| !lines.is_empty()) {
                evidence.remove(0);
            } else if let Some(failing) = failing.filter(|names| names.len() > 1) {
                failing.pop();
            } else if !self.phases.is_empty() {
                // Their beginning and end are kept, so only waiting and work are no longer told apart.
                self.phases.clear();
            } else {
                break;
            }
        }
        for max in [200, 50, 20] {
            if json_bytes(&self) <= room {
                break;
            }
            self.tests
                .iter_mut()
                .flat_map(|tests| &mut tests.failing)
                .for_each(|name| *name = bounded(name, max));
            if let Some(cause) = &mut self.failure {
                cause.summary = bounded(&cause.summary, max);
                cause.advice = bounded(&cause.advice, max);
            }
        }
        Ok(self)
    }
}

fn json_bytes(thing: &impl Serialize) -> usize {
    serde_json::to_string(thing).map_or(usize::MAX, |text| text.len())
}

/// Counts of test cases, and the first failing ones by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TestSummary {
    /// Cases that passed.
    pub passed: u32,
    /// Cases that failed or could not run.
    pub failed: u32,
    /// Cases that were left out.
    pub skipped: u32,
    /// At most 20 names of failing cases, new ones first.
    pub failing: Vec<String>,
    /// How many failing cases are new; `None` where there is nothing to compare with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new: Option<u32>,
    /// How many failing cases are known to be flaky.
    #[serde(default, skip_serializing_if = "is_none")]
    pub flaky: u32,
    /// How many cases are kept beside the run.
    #[serde(default, skip_serializing_if = "is_none")]
    pub kept: u32,
    /// Whether there were more cases than are kept.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_truncated: bool,
    /// Why the reports could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unread: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_none(count: &u32) -> bool {
    *count == 0
}

/// A log stream of `CloudWatch` Logs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LogPointer {
    /// Log group name.
    pub group: String,
    /// Log stream name.
    pub stream: String,
}

/// What a deploy does to a service, and what it can go back to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Rollout {
    /// The cluster, by name or ARN as the plan has it.
    pub cluster: String,
    /// The service's ARN.
    pub service: String,
    /// Where in AWS it lies.
    #[serde(default, skip_serializing_if = "Place::is_own")]
    pub place: Place,
    /// The fence under which it is done.
    pub fence: Fence,
    /// ARN of the task definition revision that was registered for this run.
    pub task_definition: String,
    /// Container name to the image it gets.
    pub images: BTreeMap<String, ImageDigestRef>,
    /// What served before; `None` where no deployment had ever completed.
    pub baseline: Option<Baseline>,
    /// Whether ECS asks before it moves traffic (`checkpoint::asks`); 0: it does not.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub asks: u8,
    /// What the service ran when the deploy began, where that is not what Pushway had brought it to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub out_of_band: Option<OutOfBand>,
    /// What starts the task, where it is no service that is moved; `service` is its name then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheduled: Option<Scheduled>,
}

/// A scheduled task as a deploy found it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Scheduled {
    /// What starts it.
    pub starter: Starter,
    /// Id of the target that is the task.
    pub target: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(asks: &u8) -> bool {
    *asks == 0
}

impl RollbackOutcome {
    /// Whether what served before the deploy serves again, or someone else's later deployment.
    pub fn is_undone(&self) -> bool {
        matches!(self, Self::Restored { .. } | Self::NotNeeded { .. })
    }
}

impl Rollout {
    /// The service that is moved.
    pub fn at(&self) -> ServiceRef {
        let Self { place, cluster, service, .. } = self.clone();
        ServiceRef { place, cluster, service }
    }

    /// What starts the task, where that is what is moved.
    pub fn starter(&self) -> Option<StarterRef> {
        let starter = self.scheduled.as_ref()?.starter.clone();
        Some(StarterRef { place: self.place.clone(), starter })
    }
}

/// A change of a service that did not come from Pushway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OutOfBand {
    /// ARN of the task definition revision that was found.
    pub found: String,
    /// ARN of the one that was left there.
    pub expected: String,
    /// The run that had left it there.
    pub run: RunId,
}

/// The last good state of a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Baseline {
    /// ARN of its task definition revision.
    pub task_definition: String,
}

/// How a task ended that ran before the service moved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TaskEnd {
    /// `None`: its container exited with 0. Otherwise what happened, in one sentence.
    pub failure: Option<String>,
    /// The exit code of its container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// The last lines of its log; bounded.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub log: Vec<String>,
}

impl TaskEnd {
    /// Lines of log kept of one task: a run may have many, and lies in one item.
    pub const MAX_LINES: usize = 10;
    /// Characters kept of a line.
    pub const MAX_LINE: usize = 200;

    /// The same with the last lines of a log.
    #[must_use]
    pub fn with_log(mut self, lines: &[String]) -> Self {
        self.log = Self::of_log(lines);
        self
    }

    /// What is kept of a log: its last lines.
    pub fn of_log(lines: &[String]) -> Vec<String> {
        let last = &lines[lines.len().saturating_sub(Self::MAX_LINES)..];
        last.iter().map(|line| bounded(line, Self::MAX_LINE)).collect()
    }
}

/// Why a deploy did not succeed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DeployFailure {
    /// The kind, for programs.
    pub kind: DeployFailureKind,
    /// The reason, for people.
    pub cause: Cause,
    /// What was seen of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub card: Option<Box<FailureCard>>,
}

/// Kinds of failed deploys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeployFailureKind {
    /// It could not begin: no such service, no digest, no permission. The service was not touched.
    Refused,
    /// The service gave the rollout up, by its circuit breaker or an alarm, or has gone back to the baseline.
    GivenUp,
    /// It did not become stable before its deadline.
    DeadlineReached,
    /// Someone else moved the service meanwhile.
    Diverged,
    /// Someone stopped the deployment.
    Stopped,
    /// A check did not hold before its traffic moved.
    CheckFailed,
    /// It waited for a person, and nobody said to go on.
    NotContinued,
    /// Its image is not there, or may not be pulled, or is not for the machine.
    ImageUnavailable,
    /// A secret of its task definition can't be read.
    SecretDenied,
    /// There is no room for its tasks.
    NoCapacity,
    /// A container ended with the same exit code again and again.
    KeepsExiting,
}

/// One check after a deploy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CheckResult {
    /// What was checked, as a person would say it.
    pub check: String,
    /// Whether it held.
    pub passed: bool,
    /// What was seen: the last answer, or the first that did not fit.
    pub detail: String,
    /// How many samples were taken.
    pub samples: u32,
    /// How many of them were good.
    pub good: u32,
    /// More of what was seen, such as the last log lines; bounded.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<String>,
}

/// Who brings the old version back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RollbackOwner {
    /// Pushway moved the service back.
    Pushway,
    /// The service did so itself (the ECS deployment circuit breaker).
    Service,
    /// The service did so because an alarm went off.
    Alarm,
    /// Someone told the service to.
    Person,
}

/// What a rollback came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum RollbackOutcome {
    /// The baseline serves again.
    Restored {
        /// Who brought it back.
        by: RollbackOwner,
    },
    /// The service had not been touched, or someone else's later deployment serves: nothing to undo.
    NotNeeded {
        /// Why.
        reason: String,
    },
    /// The pipeline file says to hold, so that people can look.
    Held,
    /// Nothing had ever completed on this service.
    NoBaseline,
    /// The old version could not be brought back: people are needed.
    Failed {
        /// Why.
        cause: Cause,
    },
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
