//! A stop in a run's fold: who wants the run ended, and where that counts.
//!
//! It says nothing of how the run ends: that follows from what was done by then, as ever. What comes to an end
//! because of it blames nobody else, so the run's cause is the stop.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{EnvironmentState, Run, Status};
use crate::fact::{Cause, RollbackOutcome};
use crate::messages;
use crate::plan::EnvironmentPlan;

/// That a person stops a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Stop {
    /// Who.
    pub by: String,
    /// Why.
    pub reason: String,
}

impl Run {
    /// The stop, if it ends the run's work in an environment: what can't be undone is brought to its end.
    pub fn stop_in(&self, planned: &EnvironmentPlan) -> Option<&Stop> {
        let has_begun = self.environment(&planned.name).is_some_and(EnvironmentState::has_touched_service);
        self.stop.as_ref().filter(|_| !(planned.irreversible && has_begun))
    }

    /// The first cause wins, and a stop is the cause of all that follows it.
    pub(super) fn blame(&mut self, cause: Option<Cause>) {
        if self.stop.is_none() && self.cause.is_none() {
            self.cause = cause;
        }
    }

    /// Why the run ended as it did, where a stop made it.
    pub(super) fn stop_cause(&self, status: Status) -> Option<Cause> {
        let stop = self.stop.as_ref()?;
        let state = self.environments.iter().find(|state| state.has_touched_service() && !state.is_live());
        let failed = state.and_then(EnvironmentState::rollback_outcome).and_then(|outcome| match outcome {
            RollbackOutcome::Failed { cause } => Some(cause),
            _ => None,
        });
        Some(messages::stopped(stop, status, state.map(|state| &state.name), failed))
    }
}
