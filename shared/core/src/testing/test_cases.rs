//! What is known of tests, in memory: cases by attempt, and what runs to come are told.

use std::collections::BTreeMap;

use super::World;
use crate::fact::JobId;
use crate::ids::{CommitSha, PipelineName, RefName};
use crate::ports::{Answer, ReadTestCases, TestCases, TestsOf, Written};
use crate::test_case::TestCase;
use crate::test_history::{JobTests, PipelineTests, TestBase, TestedCommit};

#[derive(Debug, Default)]
pub(super) struct Tests {
    chunks: BTreeMap<(TestsOf, u32), Vec<TestCase>>,
    jobs: BTreeMap<TestsOf, JobTests>,
    bases: BTreeMap<(PipelineName, RefName, JobId), TestBase>,
    commits: BTreeMap<(PipelineName, CommitSha, JobId), TestedCommit>,
    pipelines: BTreeMap<PipelineName, PipelineTests>,
}

impl World {
    /// What a pipeline remembers of its tests.
    pub fn stored_pipeline_tests(&self, pipeline: &PipelineName) -> Option<PipelineTests> {
        self.lock().tests.pipelines.get(pipeline).cloned()
    }

    /// What an attempt's tests came to.
    pub fn stored_job_tests(&self, of: &TestsOf) -> Option<JobTests> {
        self.lock().tests.jobs.get(of).cloned()
    }

    /// Every case of an attempt.
    pub fn stored_test_cases(&self, of: &TestsOf) -> Vec<TestCase> {
        let state = self.lock();
        let chunks = state.tests.chunks.iter().filter(|((kept, _), _)| kept == of);
        chunks.flat_map(|(_, cases)| cases.clone()).collect()
    }
}

fn about(of: &TestsOf) -> String {
    format!("{} {} {}", of.run, of.job, of.attempt)
}

impl ReadTestCases for World {
    async fn job_tests(&self, of: &TestsOf) -> Answer<Option<JobTests>> {
        self.call("job_tests", about(of), |state| Ok(state.tests.jobs.get(of).cloned())).await
    }

    async fn test_cases(&self, of: &TestsOf, chunk: u32) -> Answer<Vec<TestCase>> {
        let key = (of.clone(), chunk);
        self.call("test_cases", about(of), |state| {
            Ok(state.tests.chunks.get(&key).cloned().unwrap_or_default())
        })
        .await
    }

    async fn pipeline_tests(&self, pipeline: &PipelineName) -> Answer<PipelineTests> {
        self.call("pipeline_tests", pipeline, |state| {
            let fresh = || PipelineTests::new(pipeline.clone());
            Ok(state.tests.pipelines.get(pipeline).cloned().unwrap_or_else(fresh))
        })
        .await
    }
}

impl TestCases for World {
    async fn put_test_cases(&self, of: &TestsOf, chunk: u32, cases: &[TestCase]) -> Answer<()> {
        let key = (of.clone(), chunk);
        self.call("put_test_cases", about(of), |state| {
            state.tests.chunks.insert(key, cases.to_vec());
            Ok(())
        })
        .await
    }

    async fn put_job_tests(&self, of: &TestsOf, tests: &JobTests) -> Answer<Written> {
        self.call("put_job_tests", about(of), |state| {
            let stored = state.tests.jobs.entry(of.clone()).or_insert_with(|| tests.clone());
            Ok(if stored == tests { Written::Stored } else { Written::Conflict })
        })
        .await
    }

    async fn test_base(
        &self,
        pipeline: &PipelineName,
        git_ref: &RefName,
        job: &JobId,
    ) -> Answer<Option<TestBase>> {
        let key = (pipeline.clone(), git_ref.clone(), job.clone());
        self.call("test_base", git_ref, |state| Ok(state.tests.bases.get(&key).cloned())).await
    }

    async fn put_test_base(&self, base: &TestBase) -> Answer<()> {
        let key = (base.pipeline.clone(), base.git_ref.clone(), base.job.clone());
        self.call("put_test_base", &base.git_ref, |state| {
            if state
                .tests
                .bases
                .get(&key)
                .is_none_or(|known| (known.place, known.run) <= (base.place, base.run))
            {
                state.tests.bases.insert(key, base.clone());
            }
            Ok(())
        })
        .await
    }

    async fn tested_commit(
        &self,
        pipeline: &PipelineName,
        commit: &CommitSha,
        job: &JobId,
    ) -> Answer<TestedCommit> {
        let key = (pipeline.clone(), commit.clone(), job.clone());
        self.call("tested_commit", commit, |state| {
            let fresh = || TestedCommit::new(pipeline.clone(), commit.clone(), job.clone());
            Ok(state.tests.commits.get(&key).cloned().unwrap_or_else(fresh))
        })
        .await
    }

    async fn put_tested_commit(&self, tested: &TestedCommit) -> Answer<Written> {
        let key = (tested.pipeline.clone(), tested.commit.clone(), tested.job.clone());
        self.call("put_tested_commit", &tested.commit, |state| {
            let stored = state.tests.commits.get(&key);
            if stored == Some(tested) {
                return Ok(Written::Stored);
            }
            if stored.map_or(0, |stored| stored.version) + 1 != tested.version {
                return Ok(Written::Conflict);
            }
            state.tests.commits.insert(key, tested.clone());
            Ok(Written::Stored)
        })
        .await
    }

    async fn put_pipeline_tests(&self, tests: &PipelineTests) -> Answer<Written> {
        self.call("put_pipeline_tests", &tests.pipeline, |state| {
            let stored = state.tests.pipelines.get(&tests.pipeline);
            if stored == Some(tests) {
                return Ok(Written::Stored);
            }
            if stored.map_or(0, |stored| stored.version) + 1 != tests.version {
                return Ok(Written::Conflict);
            }
            state.tests.pipelines.insert(tests.pipeline.clone(), tests.clone());
            Ok(Written::Stored)
        })
        .await
    }
}
