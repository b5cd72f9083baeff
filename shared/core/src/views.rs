//! What ports show of the world: builds, services, tasks, logs, as far as decisions need them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::fact::{BuildPhase, JobId, LogPointer, Scheduled};
use crate::ids::{CommitSha, Digest, RunId};
use crate::plan::{JobPlan, MetricSource, Place};
use crate::source::{CloneLogin, Zone};
use crate::strategy::DeploymentSettings;

/// What a build is started with.
#[derive(Debug, Clone, PartialEq)]
pub struct BuildRequest {
    /// The run it is for.
    pub run: RunId,
    /// The job it is for.
    pub job: JobId,
    /// The attempt, from 1.
    pub attempt: u32,
    /// The job as planned.
    pub plan: JobPlan,
    /// The commit to build.
    pub commit: CommitSha,
    /// How far the commit is trusted: code that nobody has merged runs in a project of its own.
    pub zone: Zone,
    /// Where the source comes from.
    pub checkout: Checkout,
    /// The buildspec's text, where it can't be taken from the source as it is.
    pub inline: Option<String>,
    /// Variables that Pushway adds: outputs of the build stage, names of the run.
    pub variables: BTreeMap<String, String>,
}

/// How a build gets its source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Checkout {
    /// `CodeBuild` fetches it from GitHub.
    Github {
        /// The clone URL.
        url: String,
        /// The pull request whose head the commit is: it may lie in no branch of the repository.
        pull_request: Option<u64>,
    },
    /// `CodeBuild` fetches it from `CodeCommit`.
    Codecommit {
        /// The clone URL.
        url: String,
    },
    /// The build's first command clones it; the buildspec is given inline, since there is no source to
    /// take it from.
    Clone {
        /// The clone URL.
        url: String,
        /// How to log in, where the repository is private.
        login: Option<CloneLogin>,
    },
}

/// A build as `CodeBuild` tells it.
#[derive(Debug, Clone, PartialEq)]
pub struct BuildView {
    /// The run it was started for, by the variable that Pushway set; a build without one is not ours.
    pub run: Option<RunId>,
    /// Where it stands.
    pub status: BuildStatus,
    /// The phase it is in or ended in, as `CodeBuild` names it.
    pub phase: String,
    /// Name and message of the phase that failed.
    pub failed_phase: Option<(String, String)>,
    /// When it began.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Its phases that are over and took time.
    pub phases: Vec<BuildPhase>,
    /// The machine it runs on, as the price list names it.
    pub machine: Option<String>,
    /// The variables it exported.
    pub exported: BTreeMap<String, String>,
    /// ARNs of its reports.
    pub reports: Vec<String>,
    /// Where its log lies.
    pub log: Option<LogPointer>,
}

/// `CodeBuild`'s build statuses (`BatchGetBuilds`, `buildStatus`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BuildStatus {
    /// Queued or running.
    InProgress,
    /// Every phase succeeded.
    Succeeded,
    /// A phase failed.
    Failed,
    /// `CodeBuild` itself failed.
    Fault,
    /// It ran into its timeout, queued or running.
    TimedOut,
    /// Someone stopped it.
    Stopped,
}

/// A service by name, and where it lies.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct ServiceRef {
    /// Account and region.
    pub place: Place,
    /// The cluster, by name or ARN.
    pub cluster: String,
    /// The service, by name or ARN.
    pub service: String,
}

/// A task that is started once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskRequest {
    /// The service in whose cluster, network and capacity it runs.
    pub service: ServiceRef,
    /// The definition of that service, for the time before it exists.
    pub definition: Option<serde_json::Value>,
    /// Where it is a scheduled task's: in what network and capacity, and with which overrides, that one is started.
    pub scheduled: Option<Scheduled>,
    /// ARN of the revision to run.
    pub task_definition: String,
    /// The container whose command is replaced.
    pub container: String,
    /// The command; none means that of the revision.
    pub command: Vec<String>,
    /// What tells it from every other task: letters, digits and hyphens, at most 64.
    pub mark: String,
}

/// A task by name, and where it lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskRef {
    /// Account and region.
    pub place: Place,
    /// The cluster, by name or ARN.
    pub cluster: String,
    /// Its ARN.
    pub arn: String,
}

/// A service as its orchestrator tells it.
#[derive(Debug, Clone, PartialEq)]
pub struct ServiceView {
    /// Its ARN.
    pub arn: String,
    /// Whether it takes deployments (ECS: `ACTIVE`).
    pub is_active: bool,
    /// How many tasks it wants.
    pub desired: u32,
    /// Containers of the current task definition, by name.
    pub containers: Vec<String>,
    /// What it is set to, as far as strategies need it.
    pub settings: DeploymentSettings,
    /// Its rollouts, the primary one first.
    pub rollouts: Vec<RolloutView>,
    /// Its latest messages, newest first, at most 20.
    pub messages: Vec<ServiceMessage>,
}

/// What a service says of itself (ECS: a service event).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceMessage {
    /// When.
    pub at: Option<Timestamp>,
    /// Its words.
    pub text: String,
}

impl ServiceView {
    /// A service that does not exist yet.
    pub fn absent(arn: String) -> Self {
        Self {
            arn,
            is_active: false,
            desired: 0,
            containers: Vec::new(),
            settings: DeploymentSettings::default(),
            rollouts: Vec::new(),
            messages: Vec::new(),
        }
    }

    /// The rollout that the service moves to or serves from.
    pub fn primary(&self) -> Option<&RolloutView> {
        self.rollouts.iter().find(|rollout| rollout.is_primary)
    }
}

/// One deployment of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RolloutView {
    /// Its id (`ecs-svc/…`).
    pub id: String,
    /// Whether it is the one the service moves to.
    pub is_primary: bool,
    /// How far it is.
    pub state: RolloutState,
    /// The service's own words for the state.
    pub reason: String,
    /// ARN of the task definition revision it brings.
    pub task_definition: String,
    /// Tasks wanted.
    pub desired: u32,
    /// Tasks running.
    pub running: u32,
    /// Tasks that failed to start or to stay healthy.
    pub failed: u32,
    /// When it last changed.
    pub updated_at: Option<Timestamp>,
}

/// `rolloutState` of an ECS deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RolloutState {
    /// Under way.
    InProgress,
    /// Reached a steady state.
    Completed,
    /// Given up by the circuit breaker or an alarm.
    Failed,
}

/// A task of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskView {
    /// Its ARN.
    pub arn: String,
    /// ARN of the revision it runs.
    pub task_definition: String,
    /// Whether it runs (ECS: `RUNNING`).
    pub is_running: bool,
    /// Whether it has stopped.
    pub is_stopped: bool,
    /// Why it stopped.
    pub stopped_reason: String,
    /// What ended it, as ECS names it (`stopCode`); empty where nothing says so.
    pub stop_code: String,
    /// Its containers.
    pub containers: Vec<ContainerView>,
}

impl TaskView {
    /// Whether a container's end was the end of it, as far as that is known.
    pub fn ended_by_itself(&self) -> bool {
        self.stop_code.is_empty() || self.stop_code == "EssentialContainerExited"
    }
}

/// A container of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerView {
    /// Its name.
    pub name: String,
    /// The digest of the image it runs, once pulled.
    pub digest: Option<Digest>,
    /// Its exit code, once exited.
    pub exit_code: Option<i32>,
    /// Why it could not start or was stopped.
    pub reason: String,
    /// Whether its health check says it is sick.
    pub is_unhealthy: bool,
}

/// An alarm of `CloudWatch`, or a composite one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlarmView {
    /// Its name.
    pub name: String,
    /// Where it stands.
    pub state: AlarmState,
    /// Why, in its own words.
    pub reason: String,
}

/// `StateValue` of an alarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AlarmState {
    /// It is quiet.
    Ok,
    /// It rings.
    Alarm,
    /// It has no data to judge by.
    InsufficientData,
}

/// A question to `CloudWatch` for values by the minute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetricQuery {
    /// Its id, which expressions may use.
    pub id: String,
    /// Where its values come from.
    pub source: MetricSource,
    /// Whether its values are wanted, or only used by others.
    pub is_wanted: bool,
}

/// The values of a query.
#[derive(Debug, Clone, PartialEq)]
pub struct MetricSeries {
    /// The query's id.
    pub id: String,
    /// The beginnings of minutes, and the values there.
    pub points: Vec<(Timestamp, f64)>,
}

/// A target group of a load balancer, with its targets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetGroupView {
    /// Its ARN.
    pub arn: String,
    /// ARN of the load balancer that asks it, if one does.
    pub balancer: Option<String>,
    /// Its targets.
    pub targets: Vec<TargetView>,
}

impl TargetGroupView {
    /// Its name as metrics have it: the end of its ARN.
    pub fn name(&self) -> &str {
        self.arn.rsplit(':').next().unwrap_or(&self.arn)
    }

    /// Its load balancer's name as metrics have it: the end of the ARN.
    pub fn balancer(&self) -> Option<&str> {
        let arn = self.balancer.as_deref()?;
        Some(arn.split_once("loadbalancer/").map_or(arn, |(_, name)| name))
    }
}

/// A target of a load balancer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetView {
    /// Its id: an address or an instance.
    pub id: String,
    /// How it is.
    pub health: TargetHealth,
    /// Why, in the load balancer's words.
    pub reason: String,
}

/// How a target is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetHealth {
    /// It answers as it should.
    Healthy,
    /// It does not.
    Unhealthy,
    /// It comes, goes, or is not asked.
    Other,
}

/// A page of a log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LogPage {
    /// Lines, oldest first.
    pub lines: Vec<LogLine>,
    /// Where the next page begins; equal to the cursor given where nothing is new.
    pub next: Option<String>,
}

/// A line of a log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LogLine {
    /// When it was written.
    pub at: Timestamp,
    /// What it says, as it came.
    pub text: String,
}
