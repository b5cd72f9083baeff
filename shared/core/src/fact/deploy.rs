//! What facts say of deploys: what was to be done, what it came to, and what was found out about it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Cause, bounded};
use crate::failure_card::FailureCard;
use crate::ids::{Fence, ImageDigestRef, RunId};
use crate::plan::Place;
use crate::scheduled::{Starter, StarterRef};
use crate::views::ServiceRef;

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
