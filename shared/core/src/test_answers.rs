//! What is answered to questions about tests, and how a list of cases is asked for.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::fact::JobId;
use crate::ids::RunId;
use crate::test_case::{CaseStatus, TestCase};
use crate::test_history::JobTests;

/// The tests of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunTests {
    /// The run.
    pub run: RunId,
    /// The newest attempt of each job that left tests, build stage first.
    pub jobs: Vec<JobTests>,
    /// A page of their cases, where it was asked for.
    pub cases: Option<Vec<KeptCase>>,
    /// Where the next page begins, if there may be one.
    pub next: Option<String>,
}

/// A case and the job that it belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct KeptCase {
    /// The job.
    pub job: JobId,
    /// Its attempt.
    pub attempt: u32,
    /// The case.
    #[serde(flatten)]
    pub case: TestCase,
}

/// Which cases are asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Asked {
    /// All of them.
    #[default]
    All,
    /// Those that did not pass and were not left out: failed, error, unknown.
    Failing,
    /// Those that passed.
    Passed,
    /// Those that failed.
    Failed,
    /// Those that could not be run to their ends.
    Error,
    /// Those that were left out.
    Skipped,
    /// Those of which their reports say something else.
    Unknown,
}

impl Asked {
    /// Whether a case that ended so is meant.
    pub fn takes(self, status: CaseStatus) -> bool {
        match self {
            Self::All => true,
            Self::Failing => status.is_failing(),
            Self::Passed => status == CaseStatus::Passed,
            Self::Failed => status == CaseStatus::Failed,
            Self::Error => status == CaseStatus::Error,
            Self::Skipped => status == CaseStatus::Skipped,
            Self::Unknown => status == CaseStatus::Unknown,
        }
    }
}
