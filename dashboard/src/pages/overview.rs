//! `GET /`: what waits for me, what runs, what serves where, and what happened lately.

use askama::Template;
use pushway_core::environment::EnvironmentRecord;
use pushway_core::ids::PipelineName;
use pushway_core::run::Status;
use pushway_core::summary::RunSummary;

use super::approvals::{Asked, Waiting};
use crate::frame::Frame;
use crate::links;
use crate::parts::{History, Icon, Pill, Tone};

/// The overview. Query: the fields of [`RunFilter`], `cursor` of the runs, and `after` of the pipelines.
#[derive(Template)]
#[template(path = "overview.html", blocks = ["main"])]
pub struct OverviewPage<'a> {
    /// Who looks, and when; polled, so with a coarse time.
    pub frame: &'a Frame,
    /// What waits for people, oldest first.
    pub waiting: &'a [Waiting],
    /// Runs under way, newest first.
    pub running: &'a [RunSummary],
    /// The pipelines, by name.
    pub pipelines: &'a [PipelineLine],
    /// Past and present runs that the filter lets through, newest first.
    pub runs: &'a [RunSummary],
    /// The last of them, if there are more.
    pub more: Option<&'a PipelineName>,
    /// What the list is cut down to.
    pub filter: &'a RunFilter,
    /// The cursor of the next page of runs, if there may be one.
    pub next: Option<&'a str>,
}

/// What is known of a pipeline at one look.
#[derive(Debug, Clone)]
pub struct PipelineLine {
    /// Its name.
    pub name: PipelineName,
    /// The repository's name, as people know it.
    pub repository: String,
    /// Its latest runs, newest first; a dozen tells enough.
    pub recent: Vec<RunSummary>,
    /// Its environments, in the order in which it deploys to them.
    pub environments: Vec<EnvironmentRecord>,
}

impl PipelineLine {
    fn history(&self) -> History {
        let ended = self.recent.iter().take(12).map(|run| run.status);
        let mut statuses: Vec<Status> = ended.collect();
        statuses.reverse();
        History(statuses)
    }
}

/// What a list of runs is cut down to, each as it was typed; empty means all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunFilter {
    /// Query `pipeline`.
    pub pipeline: String,
    /// Query `branch`.
    pub branch: String,
    /// Query `status`.
    pub status: String,
    /// Query `author`.
    pub author: String,
}

impl RunFilter {
    /// Whether it cuts anything.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl OverviewPage<'_> {
    fn older(&self, cursor: &str) -> String {
        let RunFilter { pipeline, branch, status, author } = self.filter;
        let query = [
            ("pipeline", pipeline.as_str()),
            ("branch", branch),
            ("status", status),
            ("author", author),
            ("cursor", cursor),
        ];
        links::with_query("/", &query) + "#runs"
    }

    /// Soon again while something goes on; else an open page should cost next to nothing.
    fn refresh(&self) -> u32 {
        if self.running.is_empty() && self.waiting.is_empty() { 15 } else { 5 }
    }

    fn is_chosen(&self, status: &str) -> bool {
        self.filter.status == status
    }
}
