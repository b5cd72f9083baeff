//! What a job's next tests on a ref are compared with: the failing cases of the push before.
//!
//! Pushes have places among those of their ref, and a retry keeps that of its push: however late an old commit is tested
//! once more, the base never moves backwards, and a retry is compared with what its push was compared with.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::JobTests;
use crate::fact::JobId;
use crate::ids::{PipelineName, RefName, RunId};
use crate::run::Run;
use crate::source::{Source, Trigger};
use crate::test_case::TestCase;

/// Failing cases that a base remembers.
const MAX_FAILING: usize = 500;
/// And those of the push before, all of which must find room in one item.
const MAX_BEFORE: usize = 250;

/// The failing cases of the newest push of a ref that was tested.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestBase {
    /// The pipeline.
    pub pipeline: PipelineName,
    /// The ref.
    pub git_ref: RefName,
    /// The job.
    pub job: JobId,
    /// The run.
    pub run: RunId,
    /// Its push's place among those of the ref; 0 where nobody knows.
    #[serde(default)]
    pub place: u64,
    /// Its failing cases.
    pub failing: BTreeSet<String>,
    /// Whether there were more than are remembered: of a case that is not among them nothing is known.
    pub is_cut: bool,
    /// That of the push before, for this push's retries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Box<Self>>,
}

/// The ref whose newest push a run is compared with: of a pull request the branch that it wants to go into.
pub fn base_ref(source: &Source) -> Option<RefName> {
    match source.pull_request() {
        Some(request) => format!("refs/heads/{}", request.base).parse().ok(),
        None => Some(source.git_ref.clone()),
    }
}

/// Whether others are compared with a run: a person may start any commit by hand, and it would count as the newest.
pub fn moves_base(source: &Source) -> bool {
    !matches!(source.trigger, Trigger::Manual { .. })
}

impl TestBase {
    /// What a run leaves for the next push to be compared with.
    pub fn new(
        (pipeline, git_ref): (PipelineName, RefName),
        (run, place): (RunId, u64),
        tests: &JobTests,
        cases: &[TestCase],
    ) -> Self {
        let failing: BTreeSet<String> =
            cases.iter().filter(|case| case.status.is_failing()).map(TestCase::title).collect();
        // A report that is cut keeps what failed first, so only one with more failures than are told lacks any.
        let told = cases.iter().filter(|case| case.status.is_failing()).count();
        let is_cut = failing.len() > MAX_FAILING || told < tests.summary.failed as usize;
        let failing = failing.into_iter().take(MAX_FAILING).collect();
        Self { pipeline, git_ref, job: tests.job.clone(), run, place, failing, is_cut, before: None }
    }

    /// The same in the place of the one that was known.
    #[must_use]
    pub fn behind(mut self, known: Option<Self>) -> Self {
        self.before = known.and_then(|known| {
            if known.is_of_push(self.run, self.place) {
                return known.before;
            }
            let is_cut = known.is_cut || known.failing.len() > MAX_BEFORE;
            let failing = known.failing.into_iter().take(MAX_BEFORE).collect();
            Some(Box::new(Self { failing, is_cut, before: None, ..known }))
        });
        self
    }

    /// What a run is compared with. Of a newer push nothing follows for an older one.
    pub fn for_run(self, run: &Run) -> Option<Self> {
        let place = run.place.unwrap_or_default();
        if self.git_ref != run.source.git_ref {
            // A pull request's place is among those of its own ref.
            return (self.run < run.id).then_some(self);
        }
        if self.is_of_push(run.id, place) {
            return self.before.map(|before| *before);
        }
        ((self.place, self.run) < (place, run.id)).then_some(self)
    }

    fn is_of_push(&self, run: RunId, place: u64) -> bool {
        self.run == run || (place > 0 && self.place == place)
    }
}
