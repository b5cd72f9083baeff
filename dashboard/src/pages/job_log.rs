//! `GET /runs/{id}/jobs/{stage}/{name}`: a job's log, a page of it from a cursor.

use askama::Template;
use pushway_core::run::{JobState, Run};
use pushway_core::views::LogPage;

use super::run_parts::job_pill;
use crate::frame::Frame;
use crate::links;
use crate::log::{Phase, phases};
use crate::parts::Pill;

/// A page of a job's log. Query: `cursor` and `from`, as its links have them. With `part=lines` (`as_lines`) only
/// the lines are sent, for a script that puts them behind those it has.
#[derive(Template)]
#[template(path = "job_log.html", blocks = ["main", "lines"])]
pub struct JobLogPage<'a> {
    /// Who looks, and when.
    pub frame: &'a Frame,
    /// The job's run.
    pub run: &'a Run,
    /// The job.
    pub job: &'a JobState,
    /// Its lines, and where the next ones are.
    pub log: &'a LogPage,
    /// The number of the first line, from 1.
    pub from: u64,
    /// The cursor that this page was asked for with.
    pub cursor: Option<&'a str>,
    /// Whether the job is over and nothing follows.
    pub is_over: bool,
}

impl JobLogPage<'_> {
    fn phases(&self) -> Vec<Phase> {
        phases(&self.log.lines, self.from.max(1))
    }

    fn pill(&self) -> Pill {
        job_pill(self.run, self.job)
    }

    fn href(&self) -> String {
        links::job(&self.run.id, &self.job.job)
    }

    /// Where the lines after these are; where there is no log yet, they are at this same place.
    fn next(&self) -> Option<String> {
        if self.is_over {
            return None;
        }
        let next = self.log.next.as_deref().unwrap_or_default();
        let from = self.from.max(1) + u64::try_from(self.log.lines.len()).unwrap_or_default();
        Some(links::with_query(&self.href(), &[("cursor", next), ("from", &from.to_string())]))
    }

    fn is_later(&self) -> bool {
        self.from > 1
    }
}
