//! A service deployment: ECS' own record of one deployment, which says more than the service's view of it.
//!
//! It tells who stopped a deployment, and how far the traffic has shifted (Amazon ECS Developer Guide, "View
//! service history using Amazon ECS service deployments"). Not every place keeps it: emulators answer with
//! none, and a verdict then follows from the service alone.

use jiff::Timestamp;

use crate::fact::{DeployFailureKind, RollbackOwner};
use crate::messages::deploys;

/// A service deployment as ECS tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceDeploymentView {
    /// Its ARN.
    pub arn: String,
    /// How far it is.
    pub status: ServiceDeploymentStatus,
    /// ECS' words for the status, or for the rollback.
    pub reason: String,
    /// Whether it replaces task by task: then the service's own view tells as much, and sooner.
    pub is_rolling: bool,
    /// Whether the circuit breaker tripped.
    pub breaker_tripped: bool,
    /// The alarms that went off.
    pub alarms: Vec<String>,
    /// Whether a lifecycle hook failed, or gave no answer in time.
    pub hook_failed: bool,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
}

/// `status` of a service deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServiceDeploymentStatus {
    /// Created.
    Pending,
    /// Under way.
    InProgress,
    /// Done: the new version serves.
    Successful,
    /// To be stopped where it is.
    StopRequested,
    /// Stopped where it was: by hand, by a breaker that does not go back, or by a newer deployment.
    Stopped,
    /// To go back.
    RollbackRequested,
    /// Going back.
    RollbackInProgress,
    /// Gone back.
    RollbackSuccessful,
    /// Did not get back.
    RollbackFailed,
}

impl ServiceDeploymentView {
    /// Whether it moves towards the new version.
    pub fn is_under_way(&self) -> bool {
        use ServiceDeploymentStatus::{InProgress, Pending};
        matches!(self.status, Pending | InProgress)
    }

    /// Whether it goes back, or tried to.
    pub fn goes_back(&self) -> bool {
        use ServiceDeploymentStatus::{
            RollbackFailed, RollbackInProgress, RollbackRequested, RollbackSuccessful,
        };
        matches!(self.status, RollbackRequested | RollbackInProgress | RollbackSuccessful | RollbackFailed)
    }

    /// Who made it go back, if it was not Pushway.
    pub fn stopper(&self) -> RollbackOwner {
        match (self.alarms.is_empty(), self.breaker_tripped) {
            (false, _) => RollbackOwner::Alarm,
            (true, true) => RollbackOwner::Service,
            (true, false) if self.hook_failed => RollbackOwner::Service,
            (true, false) => RollbackOwner::Person,
        }
    }

    /// Why it is lost.
    pub(crate) fn failure(&self) -> (DeployFailureKind, String) {
        let kind = match self.stopper() {
            RollbackOwner::Person | RollbackOwner::Pushway => DeployFailureKind::Stopped,
            RollbackOwner::Alarm | RollbackOwner::Service => DeployFailureKind::GivenUp,
        };
        if self.hook_failed && self.stopper() == RollbackOwner::Service && !self.breaker_tripped {
            return (kind, deploys::hook_failed(&self.reason));
        }
        (kind, deploys::stopped_by(self.stopper(), &self.alarms, &self.reason))
    }
}
