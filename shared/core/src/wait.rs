//! Open waits: which state waits for which work, and until when.
//!
//! A wait is found by its subject when an event hints that the work is done, and by its age when no event
//! came. It is closed only after the answer was given.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::contract::TaskToken;
use crate::fact::JobId;
use crate::ids::{EnvironmentName, PipelineName, RunId};

/// How long the sweep leaves a wait to the events. With a sweep every minute, work whose events are all lost is
/// found over at most 70 seconds after it was.
pub const WAIT_PATIENCE: jiff::SignedDuration = jiff::SignedDuration::from_secs(10);
/// How long the sweep leaves a run to its execution before it looks for itself.
pub const SWEEP_PATIENCE: jiff::SignedDuration = jiff::SignedDuration::from_secs(45);

/// A state that waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wait {
    /// What it waits for.
    pub subject: Subject,
    /// The run it belongs to.
    pub run: RunId,
    /// Which of the run's work it is.
    pub work: Work,
    /// The token to answer.
    pub token: TaskToken,
    /// Since when.
    pub opened_at: Timestamp,
    /// After this the work has failed, whatever it does later.
    pub deadline: Timestamp,
}

/// What is waited for; at most one wait is open on each.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// The end of a build, by `CodeBuild`'s id.
    Build(String),
    /// The end of a service's rollout, by the service's ARN.
    Service(String),
    /// The end of a task that belongs to no service, by its ARN.
    Task(String),
    /// A lock.
    Lock {
        /// The environment's pipeline.
        pipeline: PipelineName,
        /// The environment.
        environment: EnvironmentName,
        /// Who waits: several runs may wait for one lock.
        run: RunId,
    },
    /// The watch over an environment.
    Watch {
        /// The run.
        run: RunId,
        /// The environment.
        environment: EnvironmentName,
    },
    /// People's consent to a deploy.
    Approval {
        /// The run that asks.
        run: RunId,
        /// The environment.
        environment: EnvironmentName,
    },
    /// A run's turn among the runs of its pipeline and branch.
    Turn(RunId),
    /// The success of the jobs that a job needs.
    Needs {
        /// The run.
        run: RunId,
        /// The job that needs them.
        job: JobId,
    },
}

/// A piece of a run's work that is waited for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Work {
    /// An attempt of a job.
    Job {
        /// Which job.
        job: JobId,
        /// Which attempt.
        attempt: u32,
    },
    /// The run's turn.
    Turn,
    /// The jobs that this one needs.
    Needs(JobId),
    /// The taking of an environment's lock.
    Acquire(EnvironmentName),
    /// A task before a deploy.
    Task {
        /// Which environment is deployed to.
        environment: EnvironmentName,
        /// Which of its tasks, from 0.
        task: usize,
    },
    /// A deploy.
    Deploy(EnvironmentName),
    /// A check's build.
    Check {
        /// Which environment.
        environment: EnvironmentName,
        /// Which of its checks, from 0.
        check: u16,
        /// Which attempt.
        attempt: u32,
    },
    /// A watch after a deploy.
    Watch(EnvironmentName),
    /// A rollback.
    Rollback(EnvironmentName),
}
