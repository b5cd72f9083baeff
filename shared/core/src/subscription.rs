//! What else than pushes starts the pipelines of a repository: schedules, and images pushed to ECR.
//!
//! Fixed from the pipeline files of the default branch whenever it is planned. A schedule that was due while
//! nobody looked is made up for once, not once for each time.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ids::{HookId, PipelineName, RefName, RepositoryPath};
use crate::pipeline_file::Schedule;
use crate::source::Provider;

/// What a hook's pipeline files ask for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Subscriptions {
    /// The forge's kind.
    pub provider: Provider,
    /// The hook.
    pub hook: HookId,
    /// How often it has been stored.
    pub version: u64,
    /// The branch whose files say so.
    pub git_ref: RefName,
    /// By file.
    pub files: Vec<Subscription>,
    /// Everything that was due until then is started.
    pub done_until: Timestamp,
}

/// What one pipeline file asks for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Subscription {
    /// Where it lies.
    pub file: RepositoryPath,
    /// Its pipeline.
    pub pipeline: PipelineName,
    /// Its schedules.
    pub schedules: Vec<Schedule>,
    /// Names of ECR repositories.
    pub images: Vec<String>,
}

/// A schedule that is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// The pipeline file.
    pub file: RepositoryPath,
    /// The expression as the file has it.
    pub expression: String,
    /// When it was due last.
    pub at: Timestamp,
}

/// How many missed times of one schedule are counted through at most: a minute's schedule for a week.
const MAX_MISSED: usize = 10_080;

impl Subscriptions {
    /// What was due since `done_until`: of each schedule the last time only.
    pub fn due(&self, now: Timestamp) -> Vec<Due> {
        let last = |schedule: &Schedule| {
            let next = |at: &Timestamp| schedule.next_after(*at);
            std::iter::successors(schedule.next_after(self.done_until), next)
                .take(MAX_MISSED)
                .take_while(|at| *at <= now)
                .last()
        };
        let of_file = |file: &Subscription| {
            let due = file.schedules.iter().filter_map(|schedule| {
                Some(Due {
                    file: file.file.clone(),
                    expression: schedule.expression().to_owned(),
                    at: last(schedule)?,
                })
            });
            due.collect::<Vec<_>>()
        };
        self.files.iter().flat_map(of_file).collect()
    }

    /// When something is due next.
    pub fn next_due(&self) -> Option<Timestamp> {
        let schedules = self.files.iter().flat_map(|file| &file.schedules);
        schedules.filter_map(|schedule| schedule.next_after(self.done_until)).min()
    }
}
