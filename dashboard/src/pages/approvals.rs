//! `GET /approvals`, and `GET /runs/{id}/environments/{name}/approve`: what people are asked, and what they
//! need to know to answer.

use askama::Template;
use jiff::Timestamp;
use pushway_core::access::Scope;
use pushway_core::api::{OpenApproval, OpenPause};
use pushway_core::approval::ApprovalState;
use pushway_core::commits::Way;
use pushway_core::ids::{CommitSha, EnvironmentName, PipelineName, RunId};
use pushway_core::run::Run;

use crate::frame::Frame;
use crate::links;
use crate::parts::{Icon, Pill, Tone};

/// Something that waits for people.
#[derive(Debug, Clone)]
pub struct Waiting {
    /// The run that asks.
    pub run: RunId,
    /// Its pipeline.
    pub pipeline: Option<PipelineName>,
    /// The environment it asks for.
    pub environment: EnvironmentName,
    /// Its commit.
    pub commit: CommitSha,
    /// First line of the commit's message.
    pub message: String,
    /// Who wrote it.
    pub author: String,
    /// What it asks.
    pub asked: Asked,
    /// Since when.
    pub since: Timestamp,
    /// Until when.
    pub until: Timestamp,
}

impl From<OpenApproval> for Waiting {
    fn from(open: OpenApproval) -> Self {
        let OpenApproval {
            run_id, pipeline, environment, commit, message, author, asked_at, approval, ..
        } = open;
        let asked = Asked::Approval { given: approval.counted(), required: approval.request.required };
        let (since, until) = (asked_at, approval.request.deadline);
        Self { run: run_id, pipeline, environment, commit, message, author, asked, since, until }
    }
}

impl From<OpenPause> for Waiting {
    fn from(open: OpenPause) -> Self {
        let OpenPause { run_id, pipeline, environment, commit, message, author, pause, .. } = open;
        let (since, until) = (pause.reached_at, pause.paused_until.unwrap_or(pause.reached_at));
        let asked = Asked::Pause { served: pause.served };
        Self { run: run_id, pipeline, environment, commit, message, author, asked, since, until }
    }
}

/// What people are asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// To consent to a deploy.
    Approval {
        /// How many have.
        given: usize,
        /// How many must.
        required: u16,
    },
    /// To let a deployment go on that has this much of the traffic.
    Pause {
        /// Per cent.
        served: u8,
    },
}

/// Everything that waits.
#[derive(Template)]
#[template(path = "approvals.html", blocks = ["main"])]
pub struct ApprovalsPage<'a> {
    /// Who looks, and when; polled, so with a coarse time.
    pub frame: &'a Frame,
    /// Oldest first.
    pub waiting: &'a [Waiting],
}

/// One approval: the difference to what serves, and the answer.
#[derive(Template)]
#[template(path = "approval.html", blocks = ["main"])]
pub struct ApprovalPage<'a> {
    /// Who looks, and when.
    pub frame: &'a Frame,
    /// The run that asks.
    pub run: &'a Run,
    /// The environment it asks for.
    pub environment: &'a EnvironmentName,
    /// What was asked and said.
    pub approval: &'a ApprovalState,
}

impl ApprovalPage<'_> {
    fn pill(&self) -> Pill {
        if self.approval.refusal.is_some() {
            Pill::new(Tone::Warn, "Refused")
        } else if self.approval.is_granted() {
            Pill::new(Tone::Ok, "Approved")
        } else {
            Pill::new(Tone::Ask, "Waits for approval")
        }
    }

    fn may_answer(&self) -> bool {
        self.approval.is_open() && !self.run.status.is_terminal() && self.frame.may(Scope::Approve)
    }

    fn way(&self) -> &'static str {
        match self.approval.request.commits.as_ref().map(|range| range.way) {
            Some(Way::Same) => "The same commit serves already.",
            Some(Way::Forward) => "These commits would come to what serves.",
            Some(Way::Backward) => "The deploy goes back: the commit that serves follows this one.",
            Some(Way::Parted) => {
                "Neither commit follows the other: the history was rewritten, or another branch comes."
            }
            None => "The commits between could not be told.",
        }
    }
}
