//! `GET /runs/{id}`: the picture, why it failed, what it built, where that went, and what can be done now.

use askama::Template;
use pushway_core::access::Scope;
use pushway_core::approval::ApprovalState;
use pushway_core::fact::Entry;
use pushway_core::failure_card::FailureCard;
use pushway_core::ids::RunId;
use pushway_core::run::{CheckpointState, EnvironmentState, JobState, Run, Status};

use super::run_parts::{self, Artifact, artifacts, environment_pill, job_pill};
use crate::frame::Frame;
use crate::links;
use crate::messages;
use crate::parts::{Icon, Pill, Tone};
use crate::picture::{Picture, Row, Subject, picture};

/// A run.
#[derive(Template)]
#[template(path = "run.html", blocks = ["main"])]
pub struct RunPage<'a> {
    /// Who looks, and when; polled while the run goes on, so with a coarse time.
    pub frame: &'a Frame,
    /// The run.
    pub run: &'a Run,
    /// Its journal, in order.
    pub journal: &'a [Entry],
    /// The commit's page at its forge; shown only if its scheme may be followed.
    pub forge: Option<&'a str>,
}

impl RunPage<'_> {
    fn picture(&self) -> Picture {
        picture(self.run, self.journal, self.frame.now)
    }

    fn pill(&self) -> Pill {
        self.run.status.into()
    }

    fn is_over(&self) -> bool {
        self.run.status.is_terminal()
    }

    fn title(&self) -> &str {
        let message = self.run.source.message.trim();
        if message.is_empty() { self.run.source.commit.short() } else { message }
    }

    fn trigger(&self) -> String {
        messages::trigger(&self.run.source)
    }

    fn forge(&self) -> Option<&str> {
        self.forge.and_then(links::outside)
    }

    /// The run that it waits behind, as long as it has not begun.
    fn behind(&self) -> Option<&RunId> {
        let has_begun = self.run.jobs.iter().any(|state| state.attempt > 0);
        self.run.queued_behind.as_ref().filter(|_| !self.is_over() && !has_begun)
    }

    fn row_pill(&self, row: &Row) -> Pill {
        match &row.subject {
            Subject::Plan => self.plan_pill(),
            Subject::Job(job) => {
                self.run.job(job).map_or(Pill::new(Tone::Quiet, "Unknown"), |state| job_pill(self.run, state))
            }
            Subject::Environment(name) => self
                .run
                .environment(name)
                .map_or(Pill::new(Tone::Quiet, "Unknown"), |state| environment_pill(self.run, state)),
        }
    }

    fn plan_pill(&self) -> Pill {
        match self.run.status {
            _ if self.run.plan_digest.is_some() => Pill::new(Tone::Ok, "Planned"),
            Status::Pending => Pill::new(Tone::Run, "Planning"),
            Status::Rejected => Pill::new(Tone::Bad, "Rejected"),
            _ => Pill::new(Tone::Quiet, "Not planned"),
        }
    }

    fn row_link(&self, row: &Row) -> Option<String> {
        match &row.subject {
            Subject::Plan => None,
            Subject::Job(job) => {
                self.run.job(job).filter(|state| state.attempt > 0).map(|_| links::job(&self.run.id, job))
            }
            Subject::Environment(name) => Some(format!("#environment-{name}")),
        }
    }

    fn job_pill(&self, state: &JobState) -> Pill {
        job_pill(self.run, state)
    }

    fn environment_pill(&self, state: &EnvironmentState) -> Pill {
        environment_pill(self.run, state)
    }

    fn artifacts(&self) -> Vec<Artifact> {
        artifacts(self.run)
    }

    /// What was seen of a failed deploy, of the first environment that has any.
    fn card(&self) -> Option<&FailureCard> {
        self.run
            .environments
            .iter()
            .find_map(|state| state.deploy.as_ref()?.failure.as_ref()?.card.as_deref())
    }

    fn may_retry(&self) -> bool {
        let can = self.is_over() && self.run.plan_digest.is_some();
        can && self.frame.may(Scope::Run)
    }

    /// What went well is taken over by such a retry; there must be something.
    fn may_retry_failed(&self) -> bool {
        let broke = matches!(
            self.run.status,
            Status::Failed
                | Status::RolledBack
                | Status::RollbackFailed
                | Status::FailedNoBaseline
                | Status::Stopped
        );
        self.may_retry() && broke && self.run.jobs.iter().any(JobState::has_succeeded)
    }

    fn may_stop(&self) -> bool {
        !self.is_over() && self.frame.may(Scope::Run)
    }

    /// Environments where people are asked for consent now.
    fn asking(&self) -> impl Iterator<Item = &EnvironmentState> {
        let is_open = |state: &&EnvironmentState| state.approval.as_ref().is_some_and(ApprovalState::is_open);
        let over = self.is_over();
        self.run.environments.iter().filter(move |state| !over && is_open(state))
    }

    /// Environments where a deployment waits for a person now.
    fn pausing(&self) -> impl Iterator<Item = (&EnvironmentState, &CheckpointState)> {
        let over = self.is_over();
        self.run.environments.iter().filter(move |_| !over).filter_map(|state| Some((state, state.paused()?)))
    }
}
