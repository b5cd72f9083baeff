//! What facts say of jobs: which one, and how its build ended.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Cause, bounded};
use crate::ids::{JobName, VariableName};
use crate::image_file::BuiltImages;
use crate::plan::JobStage;

impl std::str::FromStr for JobStage {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "build" => Ok(Self::Build),
            "test" => Ok(Self::Test),
            "check" => Ok(Self::Check),
            _ => Err("a job's stage is build, test or check"),
        }
    }
}

/// A job, unique in its run.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct JobId {
    /// The stage it belongs to.
    pub stage: JobStage,
    /// Its name in the pipeline file.
    pub name: JobName,
}

impl std::fmt::Display for JobId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.stage, self.name)
    }
}

/// How a build ended, as read back from `CodeBuild`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct JobEnd {
    /// `None`: it succeeded and delivered every output it promised.
    pub failure: Option<Cause>,
    /// Whether another attempt follows.
    pub will_retry: bool,
    /// The promised outputs.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub outputs: BTreeMap<VariableName, String>,
    /// The images that files among its artifacts name, as far as a deploy asks for them.
    #[serde(default, skip_serializing_if = "BuiltImages::is_empty")]
    pub images: BuiltImages,
    /// Test cases, where the build reported any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tests: Option<TestSummary>,
    /// When `CodeBuild` says it began.
    pub started_at: Option<Timestamp>,
    /// When `CodeBuild` says it ended.
    pub ended_at: Option<Timestamp>,
    /// Its phases that took time, as `CodeBuild` tells them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub phases: Vec<BuildPhase>,
    /// The machine it ran on, as the price list names it, such as `arm1.small`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<String>,
    /// Where its log lies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<LogPointer>,
}

/// A phase of a build that took time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BuildPhase {
    /// Its name (`CodeBuild` API Reference, `BuildPhase`), such as `PROVISIONING`.
    pub name: String,
    /// When it began.
    pub from: Timestamp,
    /// When it ended.
    pub to: Timestamp,
}

impl JobEnd {
    /// What the ends of all jobs of a run may take together, in bytes of JSON: the run lies in one item of the table,
    /// which takes 400 KB (row F22).
    const ALL_JOBS: usize = 150 * 1024;
    /// And each of them at most, since a failure is kept twice: as its job's and as the run's.
    const ONE_JOB: usize = 60 * 1024;

    /// What one of so many jobs may take.
    pub fn room(jobs: usize) -> usize {
        (Self::ALL_JOBS / jobs.max(1)).min(Self::ONE_JOB)
    }

    /// The same without what finds no room: the oldest evidence goes first, then names of failing tests, then phases,
    /// then words.
    /// Outputs stay whole, since others use them; where they alone are too large, this is `Err` with their size.
    pub fn fitted(mut self, room: usize) -> Result<Self, usize> {
        let outputs = json_bytes(&(&self.outputs, &self.images));
        if outputs > room / 2 {
            return Err(outputs);
        }
        while json_bytes(&self) > room {
            let evidence = self.failure.as_mut().map(|cause| &mut cause.evidence);
            let failing = self.tests.as_mut().map(|tests| &mut tests.failing);
            if let Some(evidence) = evidence.filter(|lines| !lines.is_empty()) {
                evidence.remove(0);
            } else if let Some(failing) = failing.filter(|names| names.len() > 1) {
                failing.pop();
            } else if !self.phases.is_empty() {
                // Their beginning and end are kept, so only waiting and work are no longer told apart.
                self.phases.clear();
            } else {
                break;
            }
        }
        for max in [200, 50, 20] {
            if json_bytes(&self) <= room {
                break;
            }
            self.tests
                .iter_mut()
                .flat_map(|tests| &mut tests.failing)
                .for_each(|name| *name = bounded(name, max));
            if let Some(cause) = &mut self.failure {
                cause.summary = bounded(&cause.summary, max);
                cause.advice = bounded(&cause.advice, max);
            }
        }
        Ok(self)
    }
}

fn json_bytes(thing: &impl Serialize) -> usize {
    serde_json::to_string(thing).map_or(usize::MAX, |text| text.len())
}

/// Counts of test cases, and the first failing ones by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TestSummary {
    /// Cases that passed.
    pub passed: u32,
    /// Cases that failed or could not run.
    pub failed: u32,
    /// Cases that were left out.
    pub skipped: u32,
    /// At most 20 names of failing cases, new ones first.
    pub failing: Vec<String>,
    /// How many failing cases are new; `None` where there is nothing to compare with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new: Option<u32>,
    /// How many failing cases are known to be flaky.
    #[serde(default, skip_serializing_if = "is_none")]
    pub flaky: u32,
    /// How many cases are kept beside the run.
    #[serde(default, skip_serializing_if = "is_none")]
    pub kept: u32,
    /// Whether there were more cases than are kept.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_truncated: bool,
    /// Why the reports could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unread: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_none(count: &u32) -> bool {
    *count == 0
}

/// A log stream of `CloudWatch` Logs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LogPointer {
    /// Log group name.
    pub group: String,
    /// Log stream name.
    pub stream: String,
}
