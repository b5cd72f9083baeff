//! What a run comes to: a function of its facts, in whichever order they were learnt.

use super::{EnvironmentState, JobState, Run, Status};
use crate::fact::RollbackOutcome;

impl Run {
    /// What the run's facts imply as its final status; `None` while neither success nor failure follows.
    pub fn conclusion(&self) -> Option<Status> {
        let outcome = |wanted: fn(&RollbackOutcome) -> bool| {
            self.environments.iter().filter_map(EnvironmentState::rollback_outcome).any(wanted)
        };
        // It lost its turn before it deployed; that its builds were stopped for it explains nothing more.
        if self.overtaken.is_some() && self.stop.is_none() {
            return Some(Status::Superseded);
        }
        // A deploy under way needs nobody yet; one that broke and was not undone does.
        let left = |state: &EnvironmentState| {
            state.needs_people() && (self.cause.is_some() || self.stop.is_some() || state.rollback.is_some())
        };
        if self.environments.iter().any(left) {
            return Some(Status::RollbackFailed);
        }
        if outcome(|outcome| *outcome == RollbackOutcome::NoBaseline) {
            return Some(Status::FailedNoBaseline);
        }
        if outcome(|outcome| matches!(outcome, RollbackOutcome::Restored { .. })) {
            return Some(Status::RolledBack);
        }
        // A stop that came when all was done has stopped nothing.
        if self.stop.is_some() {
            let is_done = self.cause.is_none() && self.is_done();
            return Some(if is_done { Status::Succeeded } else { Status::Stopped });
        }
        if self.superseded_by.is_some() && self.cause.is_none() {
            return Some(Status::Superseded);
        }
        let is_refused = |state: &EnvironmentState| {
            state.approval.as_ref().is_some_and(|approval| approval.refusal.is_some())
        };
        if self.environments.iter().any(is_refused) {
            return Some(Status::Rejected);
        }
        let failed_job = self.jobs.iter().any(|job| job.is_settled() && !job.has_succeeded());
        if failed_job || self.cause.is_some() || self.environments.iter().any(EnvironmentState::has_failed) {
            return Some(Status::Failed);
        }
        self.is_done().then_some(Status::Succeeded)
    }

    /// Whether everything that the plan asks for has been done well.
    fn is_done(&self) -> bool {
        self.plan_digest.is_some()
            && self.jobs.iter().all(JobState::has_succeeded)
            && self.environments.iter().all(EnvironmentState::is_live)
    }
}
