//! What a retry takes over from the run that it retries: good jobs with all that they made, live environments.
//!
//! Only a run that was started as such a retry takes anything over, and only from that run.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Run;
use super::transition::{IllegalTransition, contradicts, too_early};
use crate::fact::{JobEnd, JobId};
use crate::ids::{EnvironmentName, RunId};
use crate::source::RetryFrom;

/// A job that is not done again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TakenJob {
    /// Which job.
    pub job: JobId,
    /// The run that has done it.
    pub of: RunId,
    /// How it ended there: well, with its outputs, images and tests.
    pub end: JobEnd,
}

/// An environment that is not deployed to again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct KeptEnvironment {
    /// Which environment.
    pub environment: EnvironmentName,
    /// The run that brought what serves there.
    pub of: RunId,
}

impl Run {
    /// The run that this one retries from where it failed, if it is such a retry.
    pub fn continues(&self) -> Option<RunId> {
        let retry = self.source.retry.as_ref()?;
        (retry.from == RetryFrom::Failed).then_some(retry.of)
    }

    /// What a retry of this run takes over from it.
    pub fn leaves_behind(&self) -> (Vec<TakenJob>, Vec<KeptEnvironment>) {
        let jobs = self.jobs.iter().filter_map(|state| {
            let end = state.end.clone().filter(|_| state.has_succeeded())?;
            Some(TakenJob { job: state.job.clone(), of: state.taken_from.unwrap_or(self.id), end })
        });
        let live = self.environments.iter().take_while(|state| state.is_live());
        let kept = live.map(|state| KeptEnvironment {
            environment: state.name.clone(),
            of: state.kept_from.unwrap_or(self.id),
        });
        (jobs.collect(), kept.collect())
    }

    pub(super) fn fold_taken_over(
        &mut self,
        from: RunId,
        jobs: &[TakenJob],
        kept: &[KeptEnvironment],
    ) -> Result<(), IllegalTransition> {
        if self.continues() != Some(from) {
            return Err(contradicts("taken_over", format!("the run does not go on where run {from} failed")));
        }
        if self.plan_digest.is_none() {
            return Err(too_early("taken_over", "the plan must be pinned"));
        }
        for taken in jobs {
            let state = self.job_mut("taken_over", &taken.job)?;
            if state.attempt > 0 || taken.end.failure.is_some() {
                return Err(contradicts("taken_over", format!("{} is done anew", taken.job)));
            }
            (state.taken_from, state.end) = (Some(taken.of), Some(taken.end.clone()));
        }
        for kept in kept {
            let missing = || too_early("taken_over", format!("{} must be in the plan", kept.environment));
            let state = self.environments.iter_mut().find(|state| state.name == kept.environment);
            let state = state.ok_or_else(missing)?;
            if state.fence.is_some() {
                return Err(contradicts("taken_over", format!("{} is deployed to", kept.environment)));
            }
            state.kept_from = Some(kept.of);
        }
        Ok(())
    }
}
