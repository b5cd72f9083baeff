//! The tests of a build that has ended: kept beside the run, judged against those before, remembered for those
//! to come.
//!
//! Cases come first, then what they came to, which is written once for good, then what others are compared with,
//! and the run's fact last. So each step may be repeated: what was said of a failure once stays said.

use std::collections::{BTreeMap, BTreeSet};

use super::MAX_CONFLICTS;
use crate::fact::{JobId, TestSummary, bounded};
use crate::ids::PipelineName;
use crate::ports::{Answer, Clock, Fault, ReadBuilds, TestCases, TestsOf, Written};
use crate::run::Run;
use crate::test_case::{Outcome, TestResults, chunks, outcomes};
use crate::test_history::{
    JobTests, News, PipelineTests, Sighting, TestBase, base_ref, flaky_between, flaky_within, is_remembered,
    moves_base,
};
use crate::views::{BuildStatus, BuildView};

/// How long a report may still be made once its build has ended.
const REPORT_PATIENCE: jiff::SignedDuration = jiff::SignedDuration::from_mins(3);

/// What is known of the tests of a build.
#[derive(Debug, Default)]
pub(super) struct Tested {
    /// What the run's fact says of them.
    pub(super) summary: Option<TestSummary>,
    /// What was kept of them.
    kept: Option<Kept>,
}

#[derive(Debug)]
struct Kept {
    tests: JobTests,
    results: TestResults,
    /// Cases that turned out to be flaky by this build.
    flaky: BTreeSet<String>,
}

impl Tested {
    /// Tests that are told of but not kept: those of checks.
    pub(super) async fn told<P: ReadBuilds>(
        ports: &P,
        job: &JobId,
        attempt: u32,
        view: &BuildView,
    ) -> Answer<Self> {
        Ok(match read(ports, view).await? {
            Ok(Some(results)) => {
                let tests = JobTests::judge((job, attempt), &results, None, &BTreeSet::new(), 0);
                Self {
                    summary: Some(TestSummary { kept: 0, is_truncated: false, ..tests.summary }),
                    kept: None,
                }
            }
            Ok(None) => Self::default(),
            Err(summary) => Self { summary: Some(summary), kept: None },
        })
    }

    /// What the first failing case said, for the cause.
    pub(super) fn evidence(&self) -> Vec<String> {
        let first = self.kept.as_ref().and_then(|kept| kept.tests.failures.first());
        first.map(crate::messages::case_evidence).unwrap_or_default()
    }
}

/// Reads a build's reports; what can't ever be read does not hold the build's end back, and is told.
async fn read<P: ReadBuilds>(
    ports: &P,
    view: &BuildView,
) -> Answer<Result<Option<TestResults>, TestSummary>> {
    if view.reports.is_empty() {
        return Ok(Ok(None));
    }
    match ports.test_results(&view.reports).await {
        Ok(results) => Ok(Ok(results)),
        Err(Fault::Permanent(why)) => {
            Ok(Err(TestSummary { unread: Some(bounded(&why, 300)), ..TestSummary::default() }))
        }
        Err(fault) => Err(fault),
    }
}

/// Keeps the tests of an attempt. `None`: a report is still being made, and is worth waiting for.
pub(super) async fn keep<P>(
    ports: &P,
    run: &Run,
    job: &JobId,
    attempt: u32,
    view: &BuildView,
) -> Answer<Option<Tested>>
where
    P: ReadBuilds + TestCases + Clock,
{
    let results = match read(ports, view).await? {
        Ok(Some(results)) => results,
        Ok(None) => return Ok(Some(Tested::default())),
        Err(summary) => return Ok(Some(Tested { summary: Some(summary), kept: None })),
    };
    let ended_at = view.ended_at.unwrap_or_else(|| ports.now());
    if results.is_unfinished && ports.now() < ended_at + REPORT_PATIENCE {
        return Ok(None);
    }
    let of = TestsOf { run: run.id, job: job.clone(), attempt };
    let now = outcomes(&results.cases);
    let mut flaky = flaky_within(&now);
    let (mut known, mut base) = (BTreeSet::new(), None);
    if let Some(pipeline) = &run.pipeline {
        if is_remembered(&run.source) {
            flaky.extend(flaky_by_commit(ports, run, pipeline, &of, &now).await?);
        }
        known = ports.pipeline_tests(pipeline).await?.flaky_at(job, ports.now());
        base = base_of(ports, run, pipeline, job).await?;
    }
    known.extend(flaky.iter().cloned());
    let chunks = chunks(&results.cases);
    let count = u32::try_from(chunks.len()).unwrap_or(u32::MAX);
    for (number, cases) in (0..).zip(chunks) {
        ports.put_test_cases(&of, number, cases).await?;
    }
    let tests = JobTests::judge((job, attempt), &results, base.as_ref(), &known, count);
    let tests = match ports.put_job_tests(&of, &tests).await? {
        Written::Stored => tests,
        // What was said first stays, though what it was compared with may have moved on since.
        Written::Conflict => ports.job_tests(&of).await?.unwrap_or(tests),
    };
    let summary = Some(tests.summary.clone());
    Ok(Some(Tested { summary, kept: Some(Kept { tests, results, flaky }) }))
}

/// The failing cases of the newest earlier push that this one is to be compared with.
async fn base_of<P: TestCases>(
    ports: &P,
    run: &Run,
    pipeline: &PipelineName,
    job: &JobId,
) -> Answer<Option<TestBase>> {
    let Some(git_ref) = base_ref(&run.source) else { return Ok(None) };
    Ok(ports.test_base(pipeline, &git_ref, job).await?.and_then(|base| base.for_run(run)))
}

/// Cases that ended otherwise in another build of the same commit.
async fn flaky_by_commit<P: TestCases>(
    ports: &P,
    run: &Run,
    pipeline: &PipelineName,
    of: &TestsOf,
    now: &BTreeMap<String, Outcome>,
) -> Answer<BTreeSet<String>> {
    let tested = ports.tested_commit(pipeline, &run.source.commit, &of.job).await?;
    let mut flaky = BTreeSet::new();
    for (run, attempt) in tested.attempts {
        let other = TestsOf { run, job: of.job.clone(), attempt };
        if other != *of {
            flaky.extend(flaky_between(now, &ended_otherwise(ports, &other, now).await?));
        }
    }
    Ok(flaky)
}

/// How cases ended in another build; its cases are read only where what failed there does not tell all.
async fn ended_otherwise<P: TestCases>(
    ports: &P,
    other: &TestsOf,
    now: &BTreeMap<String, Outcome>,
) -> Answer<BTreeMap<String, Outcome>> {
    let Some(tests) = ports.job_tests(other).await? else { return Ok(BTreeMap::new()) };
    let failed = |case: &crate::test_history::FailingCase| {
        let outcome = Outcome { has_failed: true, has_passed: false };
        (crate::test_case::title(&case.suite, &case.name), outcome)
    };
    let mut then: BTreeMap<String, Outcome> = tests.failures.iter().map(failed).collect();
    if now.iter().any(|(case, outcome)| outcome.has_failed && !then.contains_key(case)) {
        for chunk in 0..tests.chunks {
            then.extend(outcomes(&ports.test_cases(other, chunk).await?));
        }
    }
    Ok(then)
}

/// Lets the tests to come know of these.
pub(super) async fn remember<P>(
    ports: &P,
    run: &Run,
    attempt: u32,
    tested: &Tested,
    (view, will_retry): (&BuildView, bool),
) -> Answer<()>
where
    P: TestCases + Clock,
{
    let (Some(kept), Some(pipeline)) = (&tested.kept, &run.pipeline) else { return Ok(()) };
    if !is_remembered(&run.source) {
        return Ok(());
    }
    remember_commit(ports, run, pipeline, kept).await?;
    // Of a build that was cut off nobody knows what it would have said of the rest.
    let is_whole = matches!(view.status, BuildStatus::Succeeded | BuildStatus::Failed);
    let at = view.ended_at.unwrap_or_else(|| ports.now());
    let news = News {
        job: &kept.tests.job,
        seen: Sighting { at, run: run.id, attempt },
        flaky: &kept.flaky,
        failing: &kept.tests.failures,
        slowest: is_whole.then_some(&kept.tests.slowest),
    };
    remember_pipeline(ports, pipeline, &news).await?;
    if is_whole && !will_retry && moves_base(&run.source) {
        let git_ref = &run.source.git_ref;
        let known = ports.test_base(pipeline, git_ref, &kept.tests.job).await?;
        let (of, by) = ((pipeline.clone(), git_ref.clone()), (run.id, run.place.unwrap_or_default()));
        let base = TestBase::new(of, by, &kept.tests, &kept.results.cases).behind(known);
        ports.put_test_base(&base).await?;
    }
    Ok(())
}

async fn remember_commit<P: TestCases>(
    ports: &P,
    run: &Run,
    pipeline: &PipelineName,
    kept: &Kept,
) -> Answer<()> {
    for _ in 0..MAX_CONFLICTS {
        let tested = ports.tested_commit(pipeline, &run.source.commit, &kept.tests.job).await?;
        let Some(next) = tested.with(run.id, kept.tests.attempt) else { return Ok(()) };
        if ports.put_tested_commit(&next).await? == Written::Stored {
            return Ok(());
        }
    }
    Err(too_many(pipeline))
}

async fn remember_pipeline<P: TestCases>(ports: &P, pipeline: &PipelineName, news: &News<'_>) -> Answer<()> {
    for _ in 0..MAX_CONFLICTS {
        let known: PipelineTests = ports.pipeline_tests(pipeline).await?;
        let Some(next) = known.with(news) else { return Ok(()) };
        if ports.put_pipeline_tests(&next).await? == Written::Stored {
            return Ok(());
        }
    }
    Err(too_many(pipeline))
}

fn too_many(pipeline: &PipelineName) -> Fault {
    Fault::Retryable(format!("what is known of the tests of {pipeline} is written to by too many at once"))
}
