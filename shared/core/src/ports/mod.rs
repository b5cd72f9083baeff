//! The ports: the smallest verbs the functions need of the world outside.
//!
//! A function's bounds name the ports it may use, its role in `template.yaml` grants just the actions
//! behind them (`tests/` holds the two equal). `pushway-aws` implements them on AWS, `testing` in memory.
//! Decisions never live here.

use std::collections::BTreeMap;
use std::future::Future;

use jiff::Timestamp;

use crate::contract::TaskToken;
use crate::definition::DefinitionView;
use crate::delivery::Carried;
use crate::environment::{EnvironmentRecord, ServiceClaim};
use crate::fact::{Entry, LogPointer};
use crate::ids::{
    CommitSha, DeliveryId, EnvironmentName, ImageDigestRef, PipelineName, RepositoryPath, RunId,
};
use crate::plan::{Place, Plan};
use crate::preflight::{StarterFacts, TargetView};
use crate::run::Run;
use crate::scheduled::StarterRef;
use crate::service_deployment::ServiceDeploymentView;
use crate::signature::Secret;
use crate::source::{Hook, Provider};
use crate::strategy::Movement;
use crate::summary::RunSummary;
use crate::test_case::TestResults;
use crate::views::{
    BuildRequest, BuildView, LogPage, ServiceRef, ServiceView, TaskRef, TaskRequest, TaskView,
};
use crate::wait::{Subject, Wait};

mod access;
mod artifacts;
mod checks;
mod definitions;
mod figures;
mod forges;
mod lists;
mod repositories;
mod schedules;
mod test_cases;

pub use crate::listing::{RunFilter, RunPage, RunQuery};
pub use access::{AuditTrail, Issuer, Orders, Sessions, Tokens};
pub use artifacts::{ArtifactView, ReadArtifacts, ReadImages, TagView};
pub use checks::{ProbeAnswer, ProbeRequest, Probed, Probes, ReadAlarms, ReadMetrics, ReadTargetHealth};
pub use definitions::ReadDefinitions;
pub use figures::{FiguresPage, FiguresQuery, InsightSettings, RunFigures};
pub use forges::{
    CommitStatuses, Differences, HeadView, Heads, ListBranches, PullRequests, ReadCommits, RepositoryFiles,
    Webhooks,
};
pub use lists::{EnvironmentPage, ListEnvironments, ListPipelines, PipelinePage, SealingKey};
pub use repositories::{
    Announcements, BranchRecords, ListHooks, Notices, PipelineClaims, Reconciliations, SubscriptionRecords,
};
pub use schedules::{MoveSchedules, Pointed, ReadSchedules};
pub use test_cases::{ReadTestCases, TestCases, TestsOf};

/// Why a call to the outside did not work, by what the caller can do about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Trying again later may work: throttling, a timeout, an answer of 5xx.
    #[error("{0}")]
    Retryable(String),
    /// Trying again can't work: a missing permission, a resource that is not there, a bad argument.
    #[error("{0}")]
    Permanent(String),
    /// A forge asks to be left alone for a while (HTTP `Retry-After`, or its rate limit's reset).
    #[error("{message}; it may be asked again in {seconds} s")]
    Limited {
        /// What was asked of whom.
        message: String,
        /// For how long.
        seconds: u32,
    },
}

/// What a conditional write came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// It is stored, durably.
    Stored,
    /// Someone else wrote first: load again and decide again.
    Conflict,
}

/// Every port's answer.
pub type Answer<T> = Result<T, Fault>;

/// The time.
pub trait Clock: Sync {
    /// Now, in UTC.
    fn now(&self) -> Timestamp;
}

/// Randomness for ids.
pub trait Random: Sync {
    /// Ten random bytes.
    fn bytes(&self) -> [u8; 10];
}

/// Reads runs, consistently.
pub trait ReadRuns: Sync {
    /// The run as it is now.
    fn load(&self, id: RunId) -> impl Future<Output = Answer<Option<Run>>> + Send;
}

/// Writes runs and their journals, conditionally.
pub trait Runs: ReadRuns {
    /// Stores `run` and the fact that led to it, if the stored version is still `entry.seq`.
    fn append(&self, run: &Run, entry: &Entry) -> impl Future<Output = Answer<Written>> + Send;
}

/// The plans that runs are pinned to.
pub trait Plans: Sync {
    /// Keeps the plan; it counts once `Fact::Planned` names its digest.
    fn put_plan(&self, id: RunId, plan: &Plan) -> impl Future<Output = Answer<()>> + Send;
    /// The plan that the run is pinned to.
    fn plan(&self, id: RunId) -> impl Future<Output = Answer<Option<Plan>>> + Send;
}

/// A push that a function believes, on its way to becoming a run.
#[derive(Debug, Clone)]
pub struct NewRun {
    /// The run, just received.
    pub run: Run,
    /// Its first fact.
    pub entry: Entry,
    /// The content key: equal for two deliveries that tell of the same push.
    pub content_key: String,
    /// Files that came with the delivery, where the forge has no API to ask.
    pub files: BTreeMap<RepositoryPath, String>,
    /// What the newest commits changed, newest first, where the forge has no API to ask.
    pub history: Vec<Carried>,
}

/// What is known of a delivery.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryOutcome {
    /// It started this run, or told of a push that this run was started for.
    Run(RunId),
    /// It started nothing; the rule that said so.
    Ignored(String),
}

/// What recording a delivery came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recorded {
    /// It is new, and now durably recorded.
    New,
    /// It, or one with the same content, was recorded before; nothing was written.
    Before(DeliveryOutcome),
}

/// Deliveries: each is recorded once, with what became of it.
pub trait Deliveries: Sync {
    /// Records delivery, content key, run and first fact in one transaction.
    fn record_run(&self, new: &NewRun) -> impl Future<Output = Answer<Recorded>> + Send;
    /// Records that a delivery started nothing.
    fn record_ignored(
        &self,
        provider: Provider,
        hook: &Hook,
        delivery: &DeliveryId,
        rule: &str,
        now: Timestamp,
    ) -> impl Future<Output = Answer<Recorded>> + Send;
}

/// What became of deliveries.
pub trait ReadDeliveries: Sync {
    /// The delivery of this id; `None` where none was recorded, or it is older than records are kept.
    fn delivery(
        &self,
        hook: &Hook,
        delivery: &DeliveryId,
    ) -> impl Future<Output = Answer<Option<RecordedDelivery>>> + Send;
}

/// A delivery as it was recorded.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
pub struct RecordedDelivery {
    /// What became of it.
    pub outcome: DeliveryOutcome,
    /// When it was recorded.
    pub at: Timestamp,
}

/// Hooks, written by an administrator.
pub trait Hooks: Sync {
    /// The hook of this provider and id.
    fn hook(&self, provider: Provider, id: &str) -> impl Future<Output = Answer<Option<Hook>>> + Send;
}

/// Environments: lock, queue, what serves.
pub trait Environments: Sync {
    /// The record as it is now; a fresh one where none is stored.
    fn environment(
        &self,
        pipeline: &PipelineName,
        name: &EnvironmentName,
    ) -> impl Future<Output = Answer<EnvironmentRecord>> + Send;
    /// Stores the record, if the stored version is still the one before it.
    fn put_environment(&self, record: &EnvironmentRecord) -> impl Future<Output = Answer<Written>> + Send;
    /// Which environment's lock stands for a service; `None` where none ever did.
    fn service_claim(&self, at: &ServiceRef) -> impl Future<Output = Answer<Option<ServiceClaim>>> + Send;
    /// Stores the claim, if the stored version is still the one before it.
    fn put_service_claim(&self, claim: &ServiceClaim) -> impl Future<Output = Answer<Written>> + Send;
}

/// Open waits: who waits for what, until when.
pub trait Waits: Sync {
    /// Opens a wait, replacing an older one on the same subject by the same run. `Conflict`: another run
    /// waits on the subject.
    fn open(&self, wait: &Wait) -> impl Future<Output = Answer<Written>> + Send;
    /// The open wait on a subject.
    fn find(&self, subject: &Subject) -> impl Future<Output = Answer<Option<Wait>>> + Send;
    /// Closes the wait, if it still has this token.
    fn close(&self, wait: &Wait) -> impl Future<Output = Answer<()>> + Send;
}

/// What the sweep looks through. Answers may be stale: whoever acts on them reads the record itself first.
pub trait Overdue: Sync {
    /// Open waits that were opened before `now` minus the sweep's patience, oldest first.
    fn waits(&self, now: Timestamp) -> impl Future<Output = Answer<Vec<Wait>>> + Send;
    /// Runs that are not over and have been silent for longer than the sweep's patience.
    fn silent_runs(&self, now: Timestamp) -> impl Future<Output = Answer<Vec<RunId>>> + Send;
}

/// The history, for lists: reads of indexes, and of a whole run only where its line in them does not say enough.
pub trait History: Sync {
    /// Runs, newest first, at most `limit`, older than `before`. One call looks at so many runs only: a page may be
    /// short, or empty, and still name a next one.
    fn list(&self, query: &RunQuery) -> impl Future<Output = Answer<RunPage>> + Send;
    /// Runs that are not over, newest first, at most 100.
    fn running(&self) -> impl Future<Output = Answer<Vec<RunSummary>>> + Send;
    /// The newest runs of a commit, at most 100, newest first.
    fn of_commit(&self, commit: &CommitSha) -> impl Future<Output = Answer<Vec<RunSummary>>> + Send;
    /// A run's journal in order.
    fn journal(&self, id: RunId) -> impl Future<Output = Answer<Vec<Entry>>> + Send;
}

/// Secrets by name.
pub trait Secrets: Sync {
    /// The secret's current text.
    fn secret(&self, name: &str) -> impl Future<Output = Answer<Secret>> + Send;
    /// The text that the secret had before its last rotation, if it has been rotated. A current text that
    /// was remembered from before the rotation is forgotten by this.
    fn old_secret(&self, name: &str) -> impl Future<Output = Answer<Option<Secret>>> + Send;
}

/// How an execution of the state machine stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExecutionView {
    /// There is none of this name.
    Absent,
    /// It runs.
    Running,
    /// It is over; for a failed one, error and cause as far as they are told.
    Closed {
        /// Whether it succeeded.
        succeeded: bool,
        /// Error name and cause.
        reason: String,
    },
}

/// Starts executions.
pub trait StartExecutions: Sync {
    /// Starts the run's execution; one that exists already is as good (its name is a function of the run id).
    fn start_execution(&self, id: RunId) -> impl Future<Output = Answer<()>> + Send;
}

/// Reads executions.
pub trait ReadExecutions: Sync {
    /// The run's execution.
    fn execution(&self, id: RunId) -> impl Future<Output = Answer<ExecutionView>> + Send;
}

/// Whether a callback found someone waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Called {
    /// The waiting state has its answer.
    Answered,
    /// Nobody waits on this token any more: answered before, timed out, or gone.
    Gone,
}

/// Answers the states that wait on a token.
pub trait Callbacks: Sync {
    /// The work is done.
    fn succeed(&self, token: &TaskToken) -> impl Future<Output = Answer<Called>> + Send;
    /// The work failed, with one of the named errors of `contract::errors`.
    fn fail(
        &self,
        token: &TaskToken,
        error: &str,
        cause: &str,
    ) -> impl Future<Output = Answer<Called>> + Send;
}

/// Keeps waits alive.
pub trait Heartbeats: Sync {
    /// The work goes on.
    fn heartbeat(&self, token: &TaskToken) -> impl Future<Output = Answer<Called>> + Send;
}

/// Starts builds.
pub trait StartBuilds: Sync {
    /// Starts a build and gives its id. The same request within five minutes gives the same build.
    fn start_build(&self, request: &BuildRequest) -> impl Future<Output = Answer<String>> + Send;
    /// The id of the build that was started for this run, job and attempt, if one was.
    fn started_build(&self, request: &BuildRequest) -> impl Future<Output = Answer<Option<String>>> + Send;
}

/// Reads builds.
pub trait ReadBuilds: Sync {
    /// The build; `None` where `CodeBuild` does not know it.
    fn build(&self, id: &str) -> impl Future<Output = Answer<Option<BuildView>>> + Send;
    /// What these reports of a build say; `None` where none of them counts test cases.
    fn test_results(&self, reports: &[String]) -> impl Future<Output = Answer<Option<TestResults>>> + Send;
}

/// Stops builds.
pub trait StopBuilds: Sync {
    /// Asks for a stop; a build that is over stays as it is.
    fn stop_build(&self, id: &str) -> impl Future<Output = Answer<()>> + Send;
}

/// Reads services of a container orchestrator.
pub trait ReadServices: Sync {
    /// The service; `None` where the cluster or the service does not exist.
    fn service(&self, at: &ServiceRef) -> impl Future<Output = Answer<Option<ServiceView>>> + Send;
    /// The service's running tasks and those that stopped lately.
    fn tasks(&self, at: &ServiceRef) -> impl Future<Output = Answer<Vec<TaskView>>> + Send;
    /// ECS' own record of the newest deployment that brings this revision; `None` where none is kept.
    fn service_deployment(
        &self,
        at: &ServiceRef,
        task_definition: &str,
    ) -> impl Future<Output = Answer<Option<ServiceDeploymentView>>> + Send;
    /// A revision of a task definition, as far as people compare it.
    fn definition(
        &self,
        place: &Place,
        task_definition: &str,
    ) -> impl Future<Output = Answer<DefinitionView>> + Send;
    /// The last lines a container of a task wrote, oldest first, where its log can be read.
    fn task_log(
        &self,
        place: &Place,
        task: &TaskView,
        container: &str,
    ) -> impl Future<Output = Answer<Vec<String>>> + Send;
}

/// Looks at the targets of deploys before anything is spent.
pub trait ReadTargets: Sync {
    /// Cluster, service and what belongs to them.
    fn target(&self, at: &ServiceRef) -> impl Future<Output = Answer<TargetView>> + Send;
    /// What starts a task, and that task.
    fn scheduled_target(&self, at: &StarterRef) -> impl Future<Output = Answer<StarterFacts>> + Send;
}

/// Moves services.
pub trait MoveServices: Sync {
    /// Registers a revision: `base` with other images. Gives its ARN.
    fn register(
        &self,
        place: &Place,
        id: RunId,
        base: &str,
        images: &BTreeMap<String, ImageDigestRef>,
    ) -> impl Future<Output = Answer<String>> + Send;
    /// Registers a revision of a definition that lies in the repository (`definition`), with these images.
    fn register_file(
        &self,
        place: &Place,
        id: RunId,
        definition: &serde_json::Value,
        images: &BTreeMap<String, ImageDigestRef>,
    ) -> impl Future<Output = Answer<String>> + Send;
    /// Tells the service to run a revision. Gives the deployment's id.
    fn move_service(
        &self,
        at: &ServiceRef,
        task_definition: &str,
        movement: &Movement,
    ) -> impl Future<Output = Answer<String>> + Send;
    /// Tells a service deployment to stop and go back, as often as one likes. Gives whether it does; one that is
    /// over does not.
    fn stop_deployment(&self, at: &ServiceRef, deployment: &str)
    -> impl Future<Output = Answer<bool>> + Send;
}

/// Creates services.
pub trait CreateServices: Sync {
    /// ARN that a service of this name has or would have; `None` where its cluster takes no tasks.
    fn service_arn(&self, at: &ServiceRef) -> impl Future<Output = Answer<Option<String>>> + Send;
    /// Creates the service, named by name, from a definition of the repository. Gives its first deployment's
    /// id. `token` tells this creation from others.
    fn create_service(
        &self,
        at: &ServiceRef,
        definition: &serde_json::Value,
        task_definition: &str,
        token: &str,
    ) -> impl Future<Output = Answer<String>> + Send;
}

/// Runs single tasks.
pub trait RunTasks: Sync {
    /// ARN of the task that was started with this mark, if one was.
    fn started_task(&self, request: &TaskRequest) -> impl Future<Output = Answer<Option<String>>> + Send;
    /// Starts a task and gives its ARN. The same request, a little later, gives the same task.
    fn run_task(&self, request: &TaskRequest) -> impl Future<Output = Answer<String>> + Send;
    /// Asks for a stop; a task that is over stays as it is.
    fn stop_task(&self, task: &TaskRef, reason: &str) -> impl Future<Output = Answer<()>> + Send;
}

/// Reads single tasks.
pub trait ReadTasks: Sync {
    /// The task; `None` where ECS does not know it (any more, or yet).
    fn task(&self, task: &TaskRef) -> impl Future<Output = Answer<Option<TaskView>>> + Send;
}

/// Reads logs.
pub trait ReadLogs: Sync {
    /// A page from `cursor` on, or from the beginning.
    fn log(&self, log: &LogPointer, cursor: Option<&str>) -> impl Future<Output = Answer<LogPage>> + Send;
    /// The last `lines` lines, oldest first; empty where the stream does not exist.
    fn log_tail(&self, log: &LogPointer, lines: usize) -> impl Future<Output = Answer<Vec<String>>> + Send;
}
