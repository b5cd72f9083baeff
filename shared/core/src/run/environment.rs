//! An environment's part of a run's fold: lock, deploy, checks, rollback, in this order.
//!
//! Each fact can be said once; saying it again is no news, saying another in its place is refused.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::check_jobs::{self, CheckJobState};
use super::checkpoints::CheckpointState;
use super::transition::{IllegalTransition, contradicts, set_once, too_early};
use super::watch::{WatchEnd, WatchStart, WatchState};
use crate::approval::ApprovalState;
use crate::fact::{
    Baseline, Cause, CheckResult, DeployFailure, DeployFailureKind, Fact, RollbackOutcome, RollbackOwner,
    Rollout, TaskEnd,
};
use crate::ids::{EnvironmentName, Fence, RunId};

/// An environment's place in a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EnvironmentState {
    /// Which environment.
    pub name: EnvironmentName,
    /// Whether people must consent to a deploy here.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub needs_approval: bool,
    /// What people were asked and have said, where they must be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<ApprovalState>,
    /// The run that brought what serves here, where this one leaves it as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept_from: Option<RunId>,
    /// Why it may not be taken yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocked: Option<String>,
    /// The fence, once the lock is ours.
    pub fence: Option<Fence>,
    /// What the deploy does, once it is prepared.
    pub rollout: Option<Rollout>,
    /// The tasks that ran or run before the service moves, in the order of the plan.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub before: Vec<TaskState>,
    /// The deployment that this run started.
    pub deployment: Option<String>,
    /// Where ECS asked whether it may move traffic, in this order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checkpoints: Vec<CheckpointState>,
    /// The deploy's verdict, once there is one.
    pub deploy: Option<DeployVerdict>,
    /// The checks after the deploy.
    pub checks: Vec<CheckResult>,
    /// Builds of checks, in the order in which they were started.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub check_jobs: Vec<CheckJobState>,
    /// The watch after them, where the plan has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watch: Option<WatchState>,
    /// The rollback, once it is begun.
    pub rollback: Option<RollbackState>,
}

/// A task that runs before the service moves.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TaskState {
    /// The revision that was registered for it alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// Its ARN, once started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arn: Option<String>,
    /// When it must have ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Timestamp>,
    /// How it ended, once it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<TaskEnd>,
}

/// The checked outcome of a deploy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DeployVerdict {
    /// `None`: the new version serves.
    pub failure: Option<DeployFailure>,
    /// When the service says that the rollout ended.
    pub ended_at: Option<Timestamp>,
}

/// A rollback's place in an environment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RollbackState {
    /// The deployment that brings the baseline back, once started, and who started it.
    pub deployment: Option<(String, RollbackOwner)>,
    /// What it came to.
    pub outcome: Option<RollbackOutcome>,
}

impl EnvironmentState {
    pub(super) fn new(name: EnvironmentName, needs_approval: bool) -> Self {
        Self {
            name,
            needs_approval,
            approval: None,
            kept_from: None,
            blocked: None,
            fence: None,
            rollout: None,
            before: Vec::new(),
            deployment: None,
            checkpoints: Vec::new(),
            deploy: None,
            checks: Vec::new(),
            check_jobs: Vec::new(),
            watch: None,
            rollback: None,
        }
    }

    /// Whether the new version serves, passed every check, and stayed well while it was watched; or did so for
    /// the run that this one goes on from.
    pub fn is_live(&self) -> bool {
        self.kept_from.is_some()
            || self.is_validated() && self.watch.as_ref().is_none_or(WatchState::has_passed)
    }

    /// Whether the new version serves and passed every check.
    pub fn is_validated(&self) -> bool {
        self.is_deployed() && !self.checks.is_empty() && self.checks.iter().all(|check| check.passed)
    }

    fn is_deployed(&self) -> bool {
        self.deploy.as_ref().is_some_and(|verdict| verdict.failure.is_none()) && self.rollback.is_none()
    }

    /// Whether the deploy, its validation or the watch failed.
    pub fn has_failed(&self) -> bool {
        self.rollback.is_some()
            || self.deploy.as_ref().is_some_and(|verdict| verdict.failure.is_some())
            || self.failed_checkpoint().is_some()
            || self.checks.iter().any(|check| !check.passed)
            || self.watch.as_ref().is_some_and(WatchState::has_failed)
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
            Fact::ApprovalAsked { .. }
            | Fact::ApprovalRuleChanged { .. }
            | Fact::Approved { .. }
            | Fact::ApprovalRefused { .. } => self.fold_approval(fact),
            Fact::Blocked { why, .. } => {
                if self.fence.is_some() {
                    return Err(contradicts("blocked", "the run has taken the environment"));
                }
                self.blocked = Some(why.clone());
                Ok(None)
            }
            Fact::LockTaken { fence, .. } => {
                if self.kept_from.is_some() {
                    return Err(contradicts("lock_taken", "it is left as it is"));
                }
                let is_granted = self.approval.as_ref().is_some_and(ApprovalState::is_granted);
                if (self.needs_approval || self.approval.is_some()) && !is_granted {
                    return Err(too_early("lock_taken", "enough people must have consented"));
                }
                set_once(&mut self.fence, fence, "lock_taken")?;
                self.blocked = None;
                Ok(None)
            }
            Fact::DeployPrepared { rollout, .. } => {
                if self.fence != Some(rollout.fence) {
                    return Err(too_early("deploy_prepared", "the lock must be held under the same fence"));
                }
                if self.deploy.is_some() && self.rollout.is_none() {
                    return Err(contradicts("deploy_prepared", "the deploy has ended"));
                }
                set_once(&mut self.rollout, rollout, "deploy_prepared").map(|()| None)
            }
            Fact::TaskPrepared { task, .. }
            | Fact::TaskStarted { task, .. }
            | Fact::TaskEnded { task, .. } => self.fold_task(*task, fact).map(|()| None),
            Fact::DeployStarted { deployment, .. } => {
                if self.rollout.is_none() {
                    return Err(too_early("deploy_started", "the deploy must be prepared"));
                }
                set_once(&mut self.deployment, deployment, "deploy_started").map(|()| None)
            }
            Fact::DeployEnded { failure, ended_at, .. } => {
                self.fold_deploy_ended(failure.as_ref(), *ended_at)
            }
            Fact::CheckpointReached { .. }
            | Fact::CheckpointChecked { .. }
            | Fact::CheckpointPaused { .. }
            | Fact::CheckpointAnswered { .. }
            | Fact::CheckpointEnded { .. } => self.fold_checkpoint(fact),
            _ => self.fold_after_deploy(fact),
        }
    }

    /// Folds a fact about what came after the deploy: checks, watch, rollback.
    fn fold_after_deploy(&mut self, fact: &Fact) -> Result<Option<Cause>, IllegalTransition> {
        match fact {
            Fact::CheckStarted { job, .. } => {
                if !self.is_deployed() && !self.check_jobs.contains(job) {
                    return Err(too_early("check_started", "the deploy must have succeeded"));
                }
                check_jobs::fold_started(&mut self.check_jobs, job.clone()).map(|()| None)
            }
            Fact::CheckEnded { check, attempt, end, .. } => {
                check_jobs::fold_ended(&mut self.check_jobs, (*check, *attempt), end).map(|()| None)
            }
            Fact::Validated { checks, .. } => self.fold_validated(checks),
            Fact::WatchStarted { start, .. } => self.fold_watch_started(start).map(|()| None),
            Fact::WatchEnded { end, .. } => self.fold_watch_ended(end),
            Fact::RollbackStarted { deployment, by, .. } => {
                if self.rollout.is_none() {
                    return Err(too_early("rollback_started", "the deploy must be prepared"));
                }
                let rollback = self.rollback.get_or_insert(RollbackState { deployment: None, outcome: None });
                set_once(&mut rollback.deployment, &(deployment.clone(), *by), "rollback_started")
                    .map(|()| None)
            }
            Fact::RollbackEnded { outcome, .. } => self.fold_rollback_ended(outcome),
            _ => Ok(None),
        }
    }

    fn fold_rollback_ended(&mut self, outcome: &RollbackOutcome) -> Result<Option<Cause>, IllegalTransition> {
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
        if failure.is_none() && self.deploy.is_none() && !self.was_let_go_on() {
            return Err(contradicts("deploy_ended", "it was not let go on at every checkpoint"));
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

impl EnvironmentState {
    /// Where one of the tasks before the deploy stands, if it was begun.
    pub fn task(&self, task: usize) -> Option<&TaskState> {
        self.before.get(task)
    }

    fn fold_task(&mut self, task: usize, fact: &Fact) -> Result<(), IllegalTransition> {
        let may_begin = self.rollout.is_some() && self.deployment.is_none() && self.deploy.is_none();
        if self.before.get(task).is_none() {
            let before = self.before.last().is_none_or(TaskState::has_succeeded);
            if !may_begin || task != self.before.len() || !before {
                return Err(too_early(
                    "task",
                    "the deploy must be prepared, and earlier tasks have succeeded",
                ));
            }
            self.before.push(TaskState::default());
        }
        let state = &mut self.before[task];
        match fact {
            Fact::TaskPrepared { revision, .. } => set_once(&mut state.revision, revision, "task_prepared"),
            // Two tries may reckon its deadline a little otherwise: the first one's counts.
            Fact::TaskStarted { arn, deadline, .. } => {
                state.deadline.get_or_insert(*deadline);
                set_once(&mut state.arn, arn, "task_started")
            }
            Fact::TaskEnded { end, .. } => {
                if state.arn.is_none() {
                    return Err(too_early("task_ended", "the task must have been started"));
                }
                // Two may have read its log at different times: the first one's word counts.
                if state.end.as_ref().is_some_and(|known| known.failure.is_none() != end.failure.is_none()) {
                    return Err(contradicts("task_ended", "it ended otherwise"));
                }
                state.end.get_or_insert_with(|| end.clone());
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn fold_watch_started(&mut self, start: &WatchStart) -> Result<(), IllegalTransition> {
        let is_known = self.watch.as_ref().is_some_and(|watch| watch.start.is_some());
        if !self.is_validated() && !is_known {
            return Err(too_early("watch_started", "every check must have passed"));
        }
        match &mut self.watch {
            Some(watch) => watch.fold_started(start),
            None => Err(contradicts("watch_started", "the plan has no watch")),
        }
    }

    fn fold_watch_ended(&mut self, end: &WatchEnd) -> Result<Option<Cause>, IllegalTransition> {
        let is_known = self.watch.as_ref().is_some_and(|watch| watch.end.is_some());
        if self.rollback.is_some() && !is_known {
            return Err(contradicts("watch_ended", "the rollback has begun"));
        }
        match &mut self.watch {
            Some(watch) => watch.fold_ended(end),
            None => Err(contradicts("watch_ended", "the plan has no watch")),
        }
    }
}

impl TaskState {
    /// Whether it was started and has not ended.
    pub fn is_running(&self) -> bool {
        self.arn.is_some() && self.end.is_none()
    }

    /// Whether it ran to a good end.
    pub fn has_succeeded(&self) -> bool {
        self.end.as_ref().is_some_and(|end| end.failure.is_none())
    }
}
