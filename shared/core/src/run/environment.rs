//! An environment's part of a run's fold: lock, deploy, checks, rollback, in this order.
//!
//! Each fact can be said once; saying it again is no news, saying another in its place is refused.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::transition::{IllegalTransition, contradicts, too_early};
use crate::fact::{
    Baseline, Cause, CheckResult, DeployFailure, DeployFailureKind, Fact, RollbackOutcome, RollbackOwner,
    Rollout,
};
use crate::ids::{EnvironmentName, Fence};

/// An environment's place in a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EnvironmentState {
    /// Which environment.
    pub name: EnvironmentName,
    /// The fence, once the lock is ours.
    pub fence: Option<Fence>,
    /// What the deploy does, once it is prepared.
    pub rollout: Option<Rollout>,
    /// The deployment that this run started.
    pub deployment: Option<String>,
    /// The deploy's verdict, once there is one.
    pub deploy: Option<DeployVerdict>,
    /// The checks after the deploy.
    pub checks: Vec<CheckResult>,
    /// The rollback, once it is begun.
    pub rollback: Option<RollbackState>,
}

/// The checked outcome of a deploy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeployVerdict {
    /// `None`: the new version serves.
    pub failure: Option<DeployFailure>,
    /// When the service says that the rollout ended.
    pub ended_at: Option<Timestamp>,
}

/// A rollback's place in an environment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RollbackState {
    /// The deployment that brings the baseline back, once started, and who started it.
    pub deployment: Option<(String, RollbackOwner)>,
    /// What it came to.
    pub outcome: Option<RollbackOutcome>,
}

impl EnvironmentState {
    pub(super) fn new(name: EnvironmentName) -> Self {
        Self {
            name,
            fence: None,
            rollout: None,
            deployment: None,
            deploy: None,
            checks: Vec::new(),
            rollback: None,
        }
    }

    /// Whether the new version serves and passed every check.
    pub fn is_live(&self) -> bool {
        self.is_deployed() && !self.checks.is_empty() && self.checks.iter().all(|check| check.passed)
    }

    fn is_deployed(&self) -> bool {
        self.deploy.as_ref().is_some_and(|verdict| verdict.failure.is_none()) && self.rollback.is_none()
    }

    /// Whether the deploy or its validation failed.
    pub fn has_failed(&self) -> bool {
        self.rollback.is_some()
            || self.deploy.as_ref().is_some_and(|verdict| verdict.failure.is_some())
            || self.checks.iter().any(|check| !check.passed)
    }

    /// Whether the service may have been moved by this run.
    pub fn has_touched_service(&self) -> bool {
        self.rollout.is_some() && !self.was_refused()
    }

    /// Whether the deploy ended before it told the service to move.
    pub fn was_refused(&self) -> bool {
        let failure = self.deploy.as_ref().and_then(|verdict| verdict.failure.as_ref());
        self.deployment.is_none() && failure.is_some_and(|failure| failure.kind == DeployFailureKind::Refused)
    }

    /// What the service can go back to.
    pub fn baseline(&self) -> Option<&Baseline> {
        self.rollout.as_ref()?.baseline.as_ref()
    }

    /// The rollback's outcome, once there is one.
    pub fn rollback_outcome(&self) -> Option<&RollbackOutcome> {
        self.rollback.as_ref()?.outcome.as_ref()
    }

    /// Whether people must look before anyone deploys here again: a rollback failed or never ended, or the
    /// service was touched and nothing says what serves now.
    pub fn needs_people(&self) -> bool {
        match self.rollback_outcome() {
            Some(outcome) => matches!(outcome, RollbackOutcome::Failed { .. }),
            None => self.rollback.is_some() || (self.has_touched_service() && !self.is_live()),
        }
    }
}

impl EnvironmentState {
    /// Folds a fact about this environment; gives the cause of failure it tells of, if any.
    pub(super) fn fold(&mut self, fact: &Fact) -> Result<Option<Cause>, IllegalTransition> {
        match fact {
            Fact::LockTaken { fence, .. } => set_once(&mut self.fence, fence, "lock_taken").map(|()| None),
            Fact::DeployPrepared { rollout, .. } => {
                if self.fence != Some(rollout.fence) {
                    return Err(too_early("deploy_prepared", "the lock must be held under the same fence"));
                }
                if self.deploy.is_some() && self.rollout.is_none() {
                    return Err(contradicts("deploy_prepared", "the deploy has ended"));
                }
                set_once(&mut self.rollout, rollout, "deploy_prepared").map(|()| None)
            }
            Fact::DeployStarted { deployment, .. } => {
                if self.rollout.is_none() {
                    return Err(too_early("deploy_started", "the deploy must be prepared"));
                }
                set_once(&mut self.deployment, deployment, "deploy_started").map(|()| None)
            }
            Fact::DeployEnded { failure, ended_at, .. } => {
                self.fold_deploy_ended(failure.as_ref(), *ended_at)
            }
            Fact::Validated { checks, .. } => self.fold_validated(checks),
            Fact::RollbackStarted { deployment, by, .. } => {
                if self.rollout.is_none() {
                    return Err(too_early("rollback_started", "the deploy must be prepared"));
                }
                let rollback = self.rollback.get_or_insert(RollbackState { deployment: None, outcome: None });
                set_once(&mut rollback.deployment, &(deployment.clone(), *by), "rollback_started")
                    .map(|()| None)
            }
            Fact::RollbackEnded { outcome, .. } => {
                if self.fence.is_none() {
                    return Err(too_early("rollback_ended", "the lock must be held"));
                }
                let rollback = self.rollback.get_or_insert(RollbackState { deployment: None, outcome: None });
                set_once(&mut rollback.outcome, outcome, "rollback_ended")?;
                Ok(match outcome {
                    RollbackOutcome::Failed { cause } => Some(cause.clone()),
                    _ => None,
                })
            }
            _ => Ok(None),
        }
    }

    fn fold_deploy_ended(
        &mut self,
        failure: Option<&DeployFailure>,
        ended_at: Option<Timestamp>,
    ) -> Result<Option<Cause>, IllegalTransition> {
        if self.fence.is_none() {
            return Err(too_early("deploy_ended", "the lock must be held"));
        }
        let refused = failure.is_some_and(|failure| failure.kind == DeployFailureKind::Refused);
        if self.deployment.is_none() && !refused {
            return Err(too_early("deploy_ended", "the deploy must be started"));
        }
        let verdict = DeployVerdict { failure: failure.cloned(), ended_at };
        set_once(&mut self.deploy, &verdict, "deploy_ended")?;
        Ok(failure.map(|failure| failure.cause.clone()))
    }

    fn fold_validated(&mut self, checks: &[CheckResult]) -> Result<Option<Cause>, IllegalTransition> {
        if checks.is_empty() {
            return Err(contradicts("validated", "no check was made, and zero samples are a failure"));
        }
        if !self.is_deployed() && self.checks.is_empty() {
            return Err(too_early("validated", "the deploy must have succeeded"));
        }
        if self.checks.is_empty() {
            self.checks = checks.to_vec();
        } else if self.checks != checks {
            return Err(contradicts("validated", "the checks came out otherwise"));
        }
        Ok(crate::messages::validation_failed(&self.name, checks))
    }
}

fn set_once<T: Clone + PartialEq>(
    slot: &mut Option<T>,
    value: &T,
    fact: &'static str,
) -> Result<(), IllegalTransition> {
    match slot {
        None => *slot = Some(value.clone()),
        Some(known) if known == value => {}
        Some(_) => return Err(contradicts(fact, "the journal has another one")),
    }
    Ok(())
}
