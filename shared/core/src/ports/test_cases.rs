//! Test cases kept beside their runs without expiry, and what follows from them for the tests to come.

use std::future::Future;

use super::{Answer, Written};
use crate::fact::JobId;
use crate::ids::{CommitSha, PipelineName, RefName, RunId};
use crate::test_case::TestCase;
use crate::test_history::{JobTests, PipelineTests, TestBase, TestedCommit};

/// An attempt of a job whose tests are meant.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TestsOf {
    /// The run.
    pub run: RunId,
    /// The job.
    pub job: JobId,
    /// The attempt, from 1.
    pub attempt: u32,
}

/// Reads what is known of tests.
pub trait ReadTestCases: Sync {
    /// Counts, what failed, what was slow; `None` where the attempt left no tests.
    fn job_tests(&self, of: &TestsOf) -> impl Future<Output = Answer<Option<JobTests>>> + Send;
    /// A chunk of the attempt's cases, in the order of its reports; empty behind the last.
    fn test_cases(&self, of: &TestsOf, chunk: u32) -> impl Future<Output = Answer<Vec<TestCase>>> + Send;
    /// What a pipeline remembers of its tests; nothing at first.
    fn pipeline_tests(&self, pipeline: &PipelineName) -> impl Future<Output = Answer<PipelineTests>> + Send;
}

/// Keeps what is known of tests.
pub trait TestCases: ReadTestCases {
    /// Keeps a chunk of cases; the same attempt always has the same.
    fn put_test_cases(
        &self,
        of: &TestsOf,
        chunk: u32,
        cases: &[TestCase],
    ) -> impl Future<Output = Answer<()>> + Send;
    /// Keeps what an attempt's tests came to, once for good. `Conflict`: someone else has said otherwise before.
    fn put_job_tests(&self, of: &TestsOf, tests: &JobTests) -> impl Future<Output = Answer<Written>> + Send;
    /// What tests of a ref are compared with; `None` where none was ever kept.
    fn test_base(
        &self,
        pipeline: &PipelineName,
        git_ref: &RefName,
        job: &JobId,
    ) -> impl Future<Output = Answer<Option<TestBase>>> + Send;
    /// Moves it on; that of a newer push stays, and of the same push that of a newer run.
    fn put_test_base(&self, base: &TestBase) -> impl Future<Output = Answer<()>> + Send;
    /// Which builds have tested a commit with a job.
    fn tested_commit(
        &self,
        pipeline: &PipelineName,
        commit: &CommitSha,
        job: &JobId,
    ) -> impl Future<Output = Answer<TestedCommit>> + Send;
    /// Stores it, if the stored version is still the one before it.
    fn put_tested_commit(&self, tested: &TestedCommit) -> impl Future<Output = Answer<Written>> + Send;
    /// Stores what a pipeline remembers, if the stored version is still the one before it.
    fn put_pipeline_tests(&self, tests: &PipelineTests) -> impl Future<Output = Answer<Written>> + Send;
}
