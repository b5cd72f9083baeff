//! `GET /runs/{id}`: the picture, why it failed, what it built, where that went, and what can be done now.

use askama::Template;
use pushway_core::access::Scope;
use pushway_core::approval::ApprovalState;
use pushway_core::check_builds::CheckBuild;
use pushway_core::fact::Entry;
use pushway_core::failure_card::FailureCard;
use pushway_core::forge_pages::ForgePages;
use pushway_core::ids::{EnvironmentName, RunId};
use pushway_core::ledger::RunLedger;
use pushway_core::prices::{Item, dollars};
use pushway_core::protection::Approvers;
use pushway_core::run::{CheckpointState, EnvironmentState, JobState, Run, Status};
use pushway_core::source::RetryFrom;
use pushway_core::steering::refusal;
use pushway_core::test_history::JobTests;

use super::run_parts::{self, Artifact, artifacts, environment_pill, job_pill};
use crate::cases::{JobCases, cases};
use crate::frame::Frame;
use crate::ledger::{Spent, amounts, spent};
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
    /// Where its forge shows what it comes from; shown only if a scheme may be followed.
    pub forge: &'a ForgePages,
    /// Where its time and money went, as far as it has come.
    pub ledger: &'a RunLedger,
    /// The tests that were read of its jobs.
    pub tests: &'a [JobTests],
    /// The builds of its checks.
    pub checks: &'a [CheckBuild],
    /// Who may let it go on where it waits in the middle of a deployment.
    pub may_continue: &'a Approvers,
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

    fn commit_page(&self) -> Option<&str> {
        self.forge.commit.as_deref().and_then(links::outside)
    }

    fn ref_page(&self) -> Option<&str> {
        self.forge.git_ref.as_deref().and_then(links::outside)
    }

    fn request_page(&self) -> Option<&str> {
        self.forge.pull_request.as_deref().and_then(links::outside)
    }

    fn spent(&self) -> Spent {
        spent(&self.ledger.time)
    }

    fn dollars(&self) -> String {
        dollars(self.ledger.money.nano_dollars)
    }

    fn amounts(&self) -> impl Iterator<Item = (&Item, String)> {
        self.ledger.money.items.iter().zip(amounts(&self.ledger.money))
    }

    fn tests(&self) -> Vec<JobCases<'_>> {
        cases(self.run, self.tests)
    }

    /// Failing tests stand where the failure is told.
    fn has_failing_tests(&self) -> bool {
        let mut tests = self.run.jobs.iter().filter_map(|state| state.end.as_ref()?.tests.as_ref());
        tests.any(|tests| tests.failed > 0)
    }

    /// The builds of an environment's checks.
    fn checks_of(&self, environment: &EnvironmentName) -> impl Iterator<Item = &CheckBuild> {
        self.checks.iter().filter(move |build| build.environment == *environment)
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
        self.frame.may(Scope::Run) && refusal(self.run, RetryFrom::Start).is_none()
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
        let can = self.frame.may(Scope::Run) && refusal(self.run, RetryFrom::Failed).is_none();
        can && broke && self.run.jobs.iter().any(JobState::has_succeeded)
    }

    fn may_stop(&self) -> bool {
        !self.is_over() && self.run.stop.is_none() && self.frame.may(Scope::Run)
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
