//! The contract between the state machine and the functions: inputs, outputs, error names.
//!
//! `statemachine/pipeline.asl.json` speaks these names; a test reads both. State carries ids only: all
//! data lives in the run record.

use serde::{Deserialize, Serialize};

use crate::checkpoint::{HookAnswer, HookEvent};
use crate::fact::JobStage;
use crate::ids::{EnvironmentName, JobName, RunId};

/// Error names that `Retry` and `Catch` of the state machine match.
pub mod errors {
    /// Trying the state again may work.
    pub const RETRYABLE: &str = "Pushway.Retryable";
    /// Trying the state again can't work.
    pub const PERMANENT: &str = "Pushway.Permanent";
    /// What a job needs is there: it may start.
    pub const JOB_READY: &str = "Pushway.JobReady";
    /// A task that a deploy waits for is over: the deploy may go on.
    pub const TASK_READY: &str = "Pushway.TaskReady";
    /// An environment's rule asks for consent that a run lacks: people are to be asked.
    pub const ASK_AGAIN: &str = "Pushway.AskAgain";
    /// A job's build failed and another attempt is allowed.
    pub const JOB_RETRY: &str = "Pushway.JobRetry";
    /// A job failed for good.
    pub const JOB_FAILED: &str = "Pushway.JobFailed";
    /// A deploy did not succeed.
    pub const DEPLOY_FAILED: &str = "Pushway.DeployFailed";
    /// A check after a deploy did not hold.
    pub const VALIDATION_FAILED: &str = "Pushway.ValidationFailed";
    /// A check's build has ended: the checks may go on.
    pub const CHECK_READY: &str = "Pushway.CheckReady";
    /// A new version turned sick while it was watched.
    pub const WATCH_FAILED: &str = "Pushway.WatchFailed";
    /// A person has stopped the run.
    pub const STOPPED: &str = "Pushway.Stopped";
    /// A forge asks to be left alone for a while.
    pub const RATE_LIMITED: &str = "Pushway.RateLimited";
    /// All of them.
    pub const ALL: [&str; 13] = [
        RETRYABLE,
        PERMANENT,
        RATE_LIMITED,
        JOB_READY,
        TASK_READY,
        ASK_AGAIN,
        JOB_RETRY,
        JOB_FAILED,
        DEPLOY_FAILED,
        VALIDATION_FAILED,
        CHECK_READY,
        WATCH_FAILED,
        STOPPED,
    ];
}

/// How a function fails: the name that `Retry` and `Catch` match, and the words for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// One of `errors`.
    pub error: &'static str,
    /// What failed and what to do next.
    pub message: String,
}

impl Failure {
    /// A failure under one of the names of `errors`.
    pub fn new(error: &'static str, message: impl Into<String>) -> Self {
        Self { error, message: message.into() }
    }
}

impl From<crate::ports::Fault> for Failure {
    fn from(fault: crate::ports::Fault) -> Self {
        let error = match &fault {
            crate::ports::Fault::Retryable(_) => errors::RETRYABLE,
            crate::ports::Fault::Permanent(_) => errors::PERMANENT,
            crate::ports::Fault::Limited { .. } => errors::RATE_LIMITED,
        };
        Self::new(error, fault.to_string())
    }
}

/// The token of a waiting state. Whoever has it can answer for the work, so it is never shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TaskToken(String);

impl TaskToken {
    /// A token as the state machine handed it out.
    pub fn new(token: impl Into<String>) -> Self {
        Self(token.into())
    }

    /// The token itself, for the call that answers it and for the table.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for TaskToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TaskToken(…)")
    }
}

/// Input of an execution, and of `Plan`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunInput {
    /// The run.
    pub run_id: RunId,
}

/// Output of `Plan`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanOutput {
    /// The run.
    pub run_id: RunId,
    /// Whether there is anything to do; if not, the run is over already.
    pub proceed: bool,
    /// Whether it must wait for its turn among the runs of its branch.
    pub turn: bool,
    /// Names of the build jobs, each after those that it needs.
    pub build: Vec<JobName>,
    /// Names of the test jobs, each after those that it needs.
    pub test: Vec<JobName>,
    /// Names of the environments, in order.
    pub environments: Vec<EnvironmentName>,
}

/// Input of `RunJob`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobInput {
    /// The run.
    pub run_id: RunId,
    /// The stage.
    pub stage: JobStage,
    /// The job.
    pub job: JobName,
    /// Who waits.
    pub task_token: TaskToken,
    /// How often the state machine has tried this state before.
    #[serde(default)]
    pub retry: u32,
}

/// Input of the callback states of an environment: `Acquire`, `Deploy`, `Watch`, `Rollback`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvironmentTask {
    /// The run.
    pub run_id: RunId,
    /// The environment.
    pub environment: EnvironmentName,
    /// Who waits.
    pub task_token: TaskToken,
}

/// Input of the function `validate`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum ValidateInput {
    /// State `Validate`.
    Validate(ValidateTask),
    /// State `Watch`.
    Watch(EnvironmentTask),
}

/// What wakes the function `validate`: a state, or ECS in the middle of a deployment.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum ValidateEvent {
    /// ECS asks whether it may move traffic.
    Hook(HookEvent),
    /// A state.
    State(ValidateInput),
}

/// What the function `validate` answers.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum ValidateOutput {
    /// To ECS.
    Hook(HookAnswer),
    /// To a state.
    State(Done),
}

/// Input of `Validate`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ValidateTask {
    /// The run.
    pub run_id: RunId,
    /// The environment.
    pub environment: EnvironmentName,
    /// Who waits.
    pub task_token: TaskToken,
    /// How often the state machine has tried this state before.
    #[serde(default)]
    pub retry: u32,
}

/// Input of `Release`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvironmentInput {
    /// The run.
    pub run_id: RunId,
    /// The environment.
    pub environment: EnvironmentName,
}

/// Input of the function `lock`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum LockInput {
    /// State `Acquire`.
    Acquire(EnvironmentTask),
    /// State `Release`.
    Release(EnvironmentInput),
    /// State `Turn`.
    Turn(RunTask),
}

/// Input of a callback state of a whole run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunTask {
    /// The run.
    pub run_id: RunId,
    /// Who waits.
    pub task_token: TaskToken,
}

/// Input of `Finish`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FinishInput {
    /// The run.
    pub run_id: RunId,
    /// What a `Catch` caught on the way here.
    #[serde(default)]
    pub error: Option<CaughtError>,
}

/// An error as Step Functions hands it to a `Catch`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct CaughtError {
    /// Its name.
    pub error: String,
    /// Its cause; for a Lambda error this is JSON with `errorMessage`.
    #[serde(default)]
    pub cause: String,
}

/// Output of states that have nothing to tell: all data lives in the run record.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {}
