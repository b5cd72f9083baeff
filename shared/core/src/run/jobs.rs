//! The jobs' part in a run's fold: the plan that names them, their attempts and their ends.
//!
//! A job's attempts follow each other; what a later one says of an earlier one is no news.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::transition::{IllegalTransition, contradicts, too_early};
use super::{EnvironmentState, Run, Status};
use crate::fact::{Fact, JobEnd, JobId, JobStage};
use crate::ids::{EnvironmentName, RunId};

/// A job's place in a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct JobState {
    /// Which job.
    pub job: JobId,
    /// The newest attempt; 0 before the first.
    pub attempt: u32,
    /// `CodeBuild`'s id of the newest attempt's build.
    pub build: Option<String>,
    /// When the newest attempt was started.
    pub started_at: Option<Timestamp>,
    /// How the newest attempt ended.
    pub end: Option<JobEnd>,
    /// The run that has done it, where this one takes it over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taken_from: Option<RunId>,
}

impl JobState {
    /// Whether the job is over, for good or ill.
    pub fn is_settled(&self) -> bool {
        self.end.as_ref().is_some_and(|end| !end.will_retry)
    }

    /// Whether the job is over and good.
    pub fn has_succeeded(&self) -> bool {
        self.end.as_ref().is_some_and(|end| end.failure.is_none())
    }

    /// Whether a build of it runs now.
    pub fn is_running(&self) -> bool {
        self.attempt > 0 && self.end.is_none()
    }
}

impl Run {
    pub(super) fn before_plan(&self, fact: &'static str) -> Result<(), IllegalTransition> {
        match self.status {
            Status::Pending | Status::Ignored | Status::Rejected => Ok(()),
            _ => Err(contradicts(fact, "the run has a plan")),
        }
    }

    pub(super) fn fold_planned(&mut self, fact: &Fact) -> Result<(), IllegalTransition> {
        let Fact::Planned {
            pipeline,
            plan_digest,
            jobs,
            environments,
            approvals,
            place,
            rule,
            findings,
            watched,
        } = fact
        else {
            return Ok(());
        };
        if let Some(pinned) = &self.plan_digest {
            return if pinned == plan_digest {
                Ok(())
            } else {
                Err(contradicts("planned", "another plan is pinned"))
            };
        }
        self.before_plan("planned")?;
        self.pipeline = Some(pipeline.clone());
        self.plan_digest = Some(plan_digest.clone());
        let waiting = |job: &JobId| JobState {
            job: job.clone(),
            attempt: 0,
            build: None,
            started_at: None,
            end: None,
            taken_from: None,
        };
        self.jobs = jobs.iter().map(waiting).collect();
        let state = |name: &EnvironmentName| {
            let mut state = EnvironmentState::new(name.clone(), approvals.contains(name));
            state.watch = watched.contains(name).then(Default::default);
            state
        };
        self.environments = environments.iter().map(state).collect();
        (self.place, self.started_by) = (*place, rule.clone());
        self.findings.clone_from(findings);
        Ok(())
    }

    pub(super) fn fold_job_started(
        &mut self,
        job: &JobId,
        attempt: u32,
        build: &str,
    ) -> Result<(), IllegalTransition> {
        if job.stage == JobStage::Test && !self.stage_is_green(JobStage::Build) {
            return Err(too_early("job_started", "every build job must have succeeded"));
        }
        let state = self.job_mut("job_started", job)?;
        if attempt < state.attempt {
            return Err(contradicts("job_started", "a later attempt of the job has started"));
        }
        if attempt == state.attempt {
            let same = state.build.as_deref() == Some(build);
            return if same {
                Ok(())
            } else {
                Err(contradicts("job_started", "the attempt runs as another build"))
            };
        }
        if attempt != state.attempt + 1 {
            return Err(too_early("job_started", "the attempt before it must have ended"));
        }
        match &state.end {
            None if state.attempt > 0 => {
                return Err(too_early("job_started", "the attempt before it must have ended"));
            }
            Some(end) if !end.will_retry => return Err(contradicts("job_started", "the job is over")),
            _ => {}
        }
        state.attempt = attempt;
        state.build = Some(build.to_owned());
        state.end = None;
        Ok(())
    }

    pub(super) fn fold_job_ended(
        &mut self,
        job: &JobId,
        attempt: u32,
        end: &JobEnd,
    ) -> Result<(), IllegalTransition> {
        let state = self.job_mut("job_ended", job)?;
        if attempt > state.attempt {
            return Err(too_early("job_ended", "the attempt must have started"));
        }
        if attempt < state.attempt {
            // The journal went on to a later attempt, so it has seen this one end.
            return Ok(());
        }
        match &state.end {
            Some(known) if known == end => Ok(()),
            Some(_) => Err(contradicts("job_ended", "the attempt ended otherwise")),
            None => {
                state.end = Some(end.clone());
                if !end.will_retry {
                    self.blame(end.failure.clone());
                }
                Ok(())
            }
        }
    }

    pub(super) fn job_mut(
        &mut self,
        fact: &'static str,
        job: &JobId,
    ) -> Result<&mut JobState, IllegalTransition> {
        let missing = || too_early(fact, format!("{job} must be in the plan"));
        self.jobs.iter_mut().find(|state| state.job == *job).ok_or_else(missing)
    }
}
