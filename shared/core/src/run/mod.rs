//! A run's state: a pure fold over its facts.
//!
//! `Run::apply` is the only way a run changes. It is total: each fact in each state gives the next state,
//! says that nothing is new, or refuses with a typed reason. It never decides what to do next (the state
//! machine does) and never reads a clock.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::fact::{Cause, Entry, Fact, JobEnd, JobId, JobStage};
use crate::ids::{EnvironmentName, PipelineName, RunId, VariableName};
use crate::image_file::BuiltImages;
use crate::pipeline_file::{Context, ImageContext};
use crate::preflight::Finding;
use crate::source::{Source, Trigger};

mod approval;
mod check_jobs;
mod checkpoints;
mod conclusion;
mod environment;
mod jobs;
mod status;
mod stop;
mod taken;
mod transition;
mod watch;

pub use check_jobs::{CheckJobEnd, CheckJobState};
pub use checkpoints::{CheckpointEnd, CheckpointFailure, CheckpointState, PauseAnswer};
pub use environment::{DeployVerdict, EnvironmentState, RollbackState, TaskState};
pub use jobs::JobState;
pub use status::Status;
pub use stop::Stop;
pub use taken::{KeptEnvironment, TakenJob};
pub use transition::{Applied, IllegalTransition};
use transition::{contradicts, too_early};
pub use watch::{WatchEnd, WatchStart, WatchState};

/// One execution of a pipeline for one commit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Run {
    /// Its id.
    pub id: RunId,
    /// How many facts it is made of.
    pub version: u64,
    /// Where it stands.
    pub status: Status,
    /// When the delivery was recorded.
    pub received_at: Timestamp,
    /// When the newest fact was written down.
    pub updated_at: Timestamp,
    /// Where it comes from.
    pub source: Source,
    /// The pipeline, once planned.
    pub pipeline: Option<PipelineName>,
    /// SHA-256 of the plan, in hex, once planned.
    pub plan_digest: Option<String>,
    /// All jobs, build stage first.
    pub jobs: Vec<JobState>,
    /// The environments, in the order of their deploys.
    pub environments: Vec<EnvironmentState>,
    /// Why it did not succeed; the first cause wins, since later ones follow from it.
    pub cause: Option<Cause>,
    /// The rule that ignored it.
    pub ignored_by: Option<String>,
    /// The run of the newer push that took its place.
    #[serde(default)]
    pub superseded_by: Option<RunId>,
    /// Why a newer push took its place before it deployed anything.
    #[serde(default)]
    pub overtaken: Option<String>,
    /// Who stops it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop: Option<Stop>,
    /// The run that it last waited behind.
    #[serde(default)]
    pub queued_behind: Option<RunId>,
    /// The push's place among those of its ref, once planned.
    #[serde(default)]
    pub place: Option<u64>,
    /// The rule that started it.
    #[serde(default)]
    pub started_by: Option<String>,
    /// What people should know before it deploys.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
}

impl Run {
    /// A new run from its first fact.
    pub fn receive(id: RunId, source: Source, now: Timestamp) -> (Self, Entry) {
        let run = Self {
            id,
            version: 1,
            status: Status::Pending,
            received_at: now,
            updated_at: now,
            source: source.clone(),
            pipeline: None,
            plan_digest: None,
            jobs: Vec::new(),
            environments: Vec::new(),
            cause: None,
            ignored_by: None,
            superseded_by: None,
            overtaken: None,
            stop: None,
            queued_behind: None,
            place: None,
            started_by: None,
            findings: Vec::new(),
        };
        (run, Entry { seq: 0, at: now, fact: Fact::Received { source: Box::new(source) } })
    }

    /// The run that a journal tells of. The inverse of writing it down fact by fact.
    pub fn replay(id: RunId, journal: &[Entry]) -> Result<Self, IllegalTransition> {
        let too_early =
            || IllegalTransition::TooEarly { fact: "journal", missing: "it must begin with received".into() };
        let (first, rest) = journal.split_first().ok_or_else(too_early)?;
        let Fact::Received { source } = &first.fact else { return Err(too_early()) };
        let (mut run, _) = Self::receive(id, (**source).clone(), first.at);
        for entry in rest {
            if let Applied::Changed(next, _) = run.apply(entry.fact.clone(), entry.at)? {
                run = *next;
            }
        }
        Ok(run)
    }

    /// The state after `fact`, which was learnt at `now`.
    pub fn apply(&self, fact: Fact, now: Timestamp) -> Result<Applied, IllegalTransition> {
        let mut next = self.clone();
        next.fold(&fact)?;
        if next == *self {
            return Ok(Applied::Unchanged);
        }
        if self.status.is_terminal() {
            return Err(IllegalTransition::Terminal { run: self.id, status: self.status });
        }
        next.stamp(&fact, now);
        next.version += 1;
        next.updated_at = now;
        next.refresh_status();
        Ok(Applied::Changed(Box::new(next), Box::new(Entry { seq: self.version, at: now, fact })))
    }

    /// The run whose delivery carried this run's files, where the forge has no API to ask.
    pub fn carrier(&self) -> RunId {
        self.source.carried_by.unwrap_or(self.id)
    }

    /// What the expressions of a pipeline file stand for in this run.
    pub fn context(&self) -> Context {
        let source = &self.source;
        let image = match &source.trigger {
            Trigger::Image { image, tag, .. } => Some(ImageContext { uri: image.clone(), tag: tag.clone() }),
            _ => None,
        };
        let variables = match &source.trigger {
            Trigger::Manual { variables, .. } => variables.clone(),
            _ => BTreeMap::new(),
        };
        Context {
            run: self.id,
            commit: source.commit.clone(),
            git_ref: source.git_ref.clone(),
            pull_request: source.pull_request().map(|request| request.number),
            image,
            variables,
        }
    }

    /// A job's state.
    pub fn job(&self, job: &JobId) -> Option<&JobState> {
        self.jobs.iter().find(|state| state.job == *job)
    }

    /// An environment's state.
    pub fn environment(&self, name: &EnvironmentName) -> Option<&EnvironmentState> {
        self.environments.iter().find(|state| state.name == *name)
    }

    /// The outputs of a build job that has succeeded.
    pub fn build_outputs(&self, job: &crate::ids::JobName) -> Option<&BTreeMap<VariableName, String>> {
        self.built(job).map(|end| &end.outputs)
    }

    /// The images that a build job that has succeeded named in files among its artifacts.
    pub fn build_images(&self, job: &crate::ids::JobName) -> Option<&BuiltImages> {
        self.built(job).map(|end| &end.images)
    }

    fn built(&self, job: &crate::ids::JobName) -> Option<&JobEnd> {
        let state =
            self.jobs.iter().find(|state| state.job.stage == JobStage::Build && state.job.name == *job)?;
        state.end.as_ref().filter(|end| end.failure.is_none())
    }

    /// Whether every job of `stage` has succeeded.
    fn stage_is_green(&self, stage: JobStage) -> bool {
        self.jobs.iter().filter(|state| state.job.stage == stage).all(JobState::has_succeeded)
    }

    fn fold(&mut self, fact: &Fact) -> Result<(), IllegalTransition> {
        match fact {
            Fact::Received { source } if **source == self.source => Ok(()),
            Fact::Received { .. } => Err(contradicts("received", "the run comes from another push")),
            Fact::Ignored { rule } => self.before_plan("ignored").map(|()| {
                self.ignored_by = Some(rule.clone());
                self.status = Status::Ignored;
            }),
            Fact::Rejected { cause } => self.before_plan("rejected").map(|()| {
                self.cause.get_or_insert_with(|| cause.clone());
                self.status = Status::Rejected;
            }),
            Fact::Planned { .. } => self.fold_planned(fact),
            Fact::Queued { behind } => {
                self.queued_behind = Some(*behind);
                Ok(())
            }
            Fact::Overtaken { by, rule } => self.fold_overtaken(*by, rule),
            Fact::StopAsked { stop } => {
                // Whoever stops it again stops nothing more.
                self.stop.get_or_insert_with(|| stop.clone());
                Ok(())
            }
            Fact::TakenOver { from, jobs, environments } => self.fold_taken_over(*from, jobs, environments),
            Fact::JobStarted { job, attempt, build } => self.fold_job_started(job, *attempt, build),
            Fact::JobEnded { job, attempt, end } => self.fold_job_ended(job, *attempt, end),
            Fact::Broke { cause } => {
                self.blame(Some(cause.clone()));
                Ok(())
            }
            Fact::Finished { status } => self.fold_finished(*status),
            Fact::Superseded { environment, by } => self.fold_superseded(environment, *by),
            Fact::ApprovalAsked { environment, .. }
            | Fact::ApprovalRuleChanged { environment, .. }
            | Fact::Approved { environment, .. }
            | Fact::ApprovalRefused { environment, .. }
            | Fact::Blocked { environment, .. }
            | Fact::LockTaken { environment, .. }
            | Fact::DeployPrepared { environment, .. }
            | Fact::TaskPrepared { environment, .. }
            | Fact::TaskStarted { environment, .. }
            | Fact::TaskEnded { environment, .. }
            | Fact::DeployStarted { environment, .. }
            | Fact::CheckpointReached { environment, .. }
            | Fact::CheckpointChecked { environment, .. }
            | Fact::CheckpointPaused { environment, .. }
            | Fact::CheckpointAnswered { environment, .. }
            | Fact::CheckpointEnded { environment, .. }
            | Fact::DeployEnded { environment, .. }
            | Fact::Validated { environment, .. }
            | Fact::CheckStarted { environment, .. }
            | Fact::CheckEnded { environment, .. }
            | Fact::WatchStarted { environment, .. }
            | Fact::WatchEnded { environment, .. }
            | Fact::RollbackStarted { environment, .. }
            | Fact::RollbackEnded { environment, .. } => self.fold_environment(environment, fact),
        }
    }

    /// Some states remember when they began; the fold itself must not depend on time.
    fn stamp(&mut self, fact: &Fact, now: Timestamp) {
        if let Fact::JobStarted { job, .. } = fact
            && let Some(state) = self.jobs.iter_mut().find(|state| state.job == *job)
        {
            state.started_at = Some(now);
        }
    }

    fn refresh_status(&mut self) {
        if self.status.is_terminal() || self.plan_digest.is_none() {
            return;
        }
        let is_at = |environment: &EnvironmentState| {
            environment.fence.is_some() || environment.approval.is_some() || environment.blocked.is_some()
        };
        self.status = if self.environments.iter().any(is_at) {
            Status::Deploying
        } else if self.jobs.iter().any(|state| state.job.stage == JobStage::Test && state.attempt > 0) {
            Status::Testing
        } else if self.jobs.iter().any(|state| state.attempt > 0) {
            Status::Building
        } else {
            Status::Planning
        };
    }

    fn fold_finished(&mut self, status: Status) -> Result<(), IllegalTransition> {
        if self.status.is_terminal() {
            return if self.status == status {
                Ok(())
            } else {
                Err(IllegalTransition::Terminal { run: self.id, status: self.status })
            };
        }
        match self.conclusion() {
            Some(implied) if implied == status => {
                self.status = status;
                if self.cause.is_none() && status != Status::Succeeded {
                    self.cause = self.stop_cause(status);
                }
                Ok(())
            }
            Some(implied) => {
                Err(contradicts("finished", format!("the journal implies {implied}, not {status}")))
            }
            None => Err(too_early("finished", "some of the plan is neither done nor failed")),
        }
    }

    fn fold_overtaken(&mut self, by: RunId, rule: &str) -> Result<(), IllegalTransition> {
        if self.environments.iter().any(|state| state.fence.is_some()) {
            return Err(contradicts("overtaken", "the run deploys"));
        }
        if self.overtaken.is_none() {
            (self.superseded_by, self.overtaken) = (Some(by), Some(rule.to_owned()));
        }
        Ok(())
    }

    fn fold_superseded(&mut self, name: &EnvironmentName, by: RunId) -> Result<(), IllegalTransition> {
        if self.superseded_by.is_some_and(|known| known != by) {
            return Err(contradicts("superseded", "another run took its place"));
        }
        let state = self.environment(name);
        let state = state.ok_or_else(|| too_early("superseded", format!("{name} must be in the plan")))?;
        if state.fence.is_some() {
            return Err(contradicts("superseded", "the run has taken the environment"));
        }
        self.superseded_by = Some(by);
        Ok(())
    }

    fn fold_environment(&mut self, name: &EnvironmentName, fact: &Fact) -> Result<(), IllegalTransition> {
        if let (Fact::Approved { .. }, Some(by)) = (fact, self.superseded_by) {
            return Err(contradicts("approved", format!("run {by} of a newer push asks for {name} by now")));
        }
        let jobs_green = self.plan_digest.is_some() && self.jobs.iter().all(JobState::has_succeeded);
        let position = self.environments.iter().position(|state| state.name == *name);
        let position =
            position.ok_or_else(|| too_early("environment", format!("{name} must be in the plan")))?;
        if !jobs_green {
            return Err(too_early("environment", "every job must have succeeded"));
        }
        if !self.environments[..position].iter().all(EnvironmentState::is_live) {
            return Err(too_early("environment", "every environment before it must be live"));
        }
        let cause = self.environments[position].fold(fact)?;
        self.blame(cause);
        Ok(())
    }
}
