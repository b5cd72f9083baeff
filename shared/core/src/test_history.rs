//! What is known of test cases across builds: which failures are new, which cases are flaky, which are slow.
//!
//! Pure: records and what follows from them. Records are bounded, since each lies in one item; what falls out of
//! one is the oldest, and is still kept with its run.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::fact::{JobId, TestSummary};
use crate::ids::{CommitSha, PipelineName, RunId};
use crate::source::{Source, Zone};
use crate::test_case::{CaseStatus, Outcome, TestCase, TestResults, cut, title};

mod base;

pub use base::{TestBase, base_ref, moves_base};

/// How long a case that was seen to be flaky counts as such.
pub const FLAKY_FOR: SignedDuration = SignedDuration::from_hours(30 * 24);
/// Failing cases kept with their messages beside a job.
const MAX_FAILING: usize = 200;
/// Longest message kept there, in bytes; the case itself has more.
const MAX_MESSAGE: usize = 500;
/// Names of failing cases in a job's fact.
const MAX_NAMES: usize = 20;
/// Slowest cases kept of a job.
const MAX_SLOWEST: usize = 10;
/// Attempts that are remembered of a commit.
const MAX_ATTEMPTS: usize = 5;
/// Cases that a pipeline remembers as flaky.
const MAX_FLAKY: usize = 80;
/// Cases that a pipeline remembers as failing lately.
const MAX_LATELY: usize = 40;
/// Sightings kept of each: who wants to know how often it was, wants to know whether it is often.
const MAX_SIGHTINGS: usize = 8;
/// Jobs whose slowest cases a pipeline remembers.
const MAX_JOBS: usize = 12;

/// Whether a failure is news.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It did not fail in the run that this one is compared with.
    New,
    /// It failed there, too.
    Known,
    /// It has failed and passed on one and the same commit in the last 30 days.
    Flaky,
}

/// The tests of one attempt of a job: counts, what failed, what was slow. All cases lie beside it, in chunks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct JobTests {
    /// The job.
    pub job: JobId,
    /// The attempt, from 1.
    pub attempt: u32,
    /// The counts, as the run has them.
    #[serde(flatten)]
    pub summary: TestSummary,
    /// The run that it is compared with.
    pub base: Option<RunId>,
    /// Failing cases, new ones first; at most 200.
    pub failures: Vec<FailingCase>,
    /// How many more were kept of them, for which an answer has no room; the list of cases has them all.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub failures_left_out: usize,
    /// The slowest cases, slowest first; at most 10.
    pub slowest: Vec<SlowCase>,
    /// In how many chunks all cases lie.
    pub chunks: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// A failing case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FailingCase {
    /// What it belongs to.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub suite: String,
    /// Its name.
    pub name: String,
    /// How it ended.
    pub status: CaseStatus,
    /// What it said; bounded.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// Whether it is news; `None` where there is nothing to compare with.
    pub standing: Option<Standing>,
}

/// A case and how long it took.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SlowCase {
    /// Suite and name.
    pub case: String,
    /// How long it took, in microseconds.
    pub duration_us: u64,
}

/// The builds that have tested a commit with a job: a case that failed in one and passed in another is flaky.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestedCommit {
    /// The pipeline.
    pub pipeline: PipelineName,
    /// The commit.
    pub commit: CommitSha,
    /// The job.
    pub job: JobId,
    /// How often it has been stored.
    pub version: u64,
    /// Run and attempt, oldest first.
    pub attempts: Vec<(RunId, u32)>,
}

/// What a pipeline remembers of its tests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PipelineTests {
    /// The pipeline.
    pub pipeline: PipelineName,
    /// How often it has been stored.
    pub version: u64,
    /// Cases that have failed and passed on the same commit, the latest first.
    pub flaky: Vec<Seen>,
    /// Cases that have failed, the latest first.
    pub failing: Vec<Seen>,
    /// The slowest cases of each job's newest run.
    pub slowest: Vec<JobSlowest>,
}

/// A case that was seen to be flaky, or to fail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Seen {
    /// The job it belongs to.
    pub job: JobId,
    /// Suite and name.
    pub case: String,
    /// When it was first seen; one that is well for 30 days is forgotten, and begins anew.
    pub first_at: Timestamp,
    /// When it was seen in the last 30 days, latest first; at most 8.
    pub sightings: Vec<Sighting>,
}

/// When and where a case was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Sighting {
    /// When its build had ended.
    pub at: Timestamp,
    /// The run.
    pub run: RunId,
    /// The attempt of its job.
    pub attempt: u32,
}

/// The slowest cases of a job's newest run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct JobSlowest {
    /// The job.
    pub job: JobId,
    /// The run.
    pub run: RunId,
    /// When it ended.
    pub at: Timestamp,
    /// Its slowest cases, slowest first.
    pub cases: Vec<SlowCase>,
}

/// Whether what a run's tests say is remembered beyond the run. Code that nobody has merged could say anything
/// of any case, and would decide what is shown of other people's failures.
pub fn is_remembered(source: &Source) -> bool {
    source.zone() == Zone::Trusted
}

impl JobTests {
    /// The tests of an attempt, from what its reports say, what they are compared with, and which cases are known
    /// to be flaky.
    pub fn judge(
        (job, attempt): (&JobId, u32),
        results: &TestResults,
        base: Option<&TestBase>,
        flaky: &BTreeSet<String>,
        chunks: u32,
    ) -> Self {
        let mut failures: BTreeMap<String, FailingCase> = BTreeMap::new();
        for case in results.cases.iter().filter(|case| case.status.is_failing()) {
            let title = case.title();
            let standing = standing(&title, base, flaky);
            failures.entry(title).or_insert_with(|| failing(case, standing));
        }
        let mut failures: Vec<FailingCase> = failures.into_values().collect();
        let count = |wanted| failures.iter().filter(|case| case.standing == Some(wanted)).count();
        let comparable = base.is_some_and(|base| !base.is_cut);
        let new = comparable.then(|| counted(count(Standing::New)));
        let flaky = counted(count(Standing::Flaky));
        // What nothing is known of stands with what is new: someone has to look at it.
        failures.sort_by_key(|case| case.standing.unwrap_or(Standing::New));
        let names = failures.iter().take(MAX_NAMES).map(|case| title(&case.suite, &case.name));
        let summary = TestSummary {
            passed: results.passed,
            failed: results.failed,
            skipped: results.skipped,
            failing: names.collect(),
            new,
            flaky,
            kept: counted(results.cases.len()),
            is_truncated: results.is_truncated,
            unread: None,
        };
        failures.truncate(MAX_FAILING);
        let base = base.map(|base| base.run);
        Self {
            job: job.clone(),
            attempt,
            summary,
            base,
            failures,
            failures_left_out: 0,
            slowest: slowest(&results.cases),
            chunks,
        }
    }
}

fn standing(case: &str, base: Option<&TestBase>, flaky: &BTreeSet<String>) -> Option<Standing> {
    match base {
        _ if flaky.contains(case) => Some(Standing::Flaky),
        Some(base) if base.failing.contains(case) => Some(Standing::Known),
        Some(base) if !base.is_cut => Some(Standing::New),
        _ => None,
    }
}

fn failing(case: &TestCase, standing: Option<Standing>) -> FailingCase {
    FailingCase {
        suite: case.suite.clone(),
        name: case.name.clone(),
        status: case.status,
        message: cut(&case.message, MAX_MESSAGE).into_owned(),
        standing,
    }
}

fn slowest(cases: &[TestCase]) -> Vec<SlowCase> {
    let mut slowest: Vec<&TestCase> = cases.iter().filter(|case| case.duration_us > 0).collect();
    slowest.sort_by_key(|case| std::cmp::Reverse(case.duration_us));
    let slow = |case: &TestCase| SlowCase { case: case.title(), duration_us: case.duration_us };
    slowest.into_iter().take(MAX_SLOWEST).map(slow).collect()
}

fn counted(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

impl TestedCommit {
    /// A commit that no build has tested with this job.
    pub fn new(pipeline: PipelineName, commit: CommitSha, job: JobId) -> Self {
        Self { pipeline, commit, job, version: 0, attempts: Vec::new() }
    }

    /// The same with another attempt; `None` where it is known.
    #[must_use]
    pub fn with(&self, run: RunId, attempt: u32) -> Option<Self> {
        if self.attempts.contains(&(run, attempt)) {
            return None;
        }
        let mut next = Self { version: self.version + 1, ..self.clone() };
        next.attempts.push((run, attempt));
        next.attempts.drain(..next.attempts.len().saturating_sub(MAX_ATTEMPTS));
        Some(next)
    }
}

/// Cases that failed in one of two builds of the same commit and passed in the other, or both in the first.
pub fn flaky_between(
    now: &BTreeMap<String, Outcome>,
    before: &BTreeMap<String, Outcome>,
) -> BTreeSet<String> {
    let differs = |case: &&String| {
        before.get(*case).is_some_and(|then| {
            let now = now[*case];
            now.has_failed && then.has_passed || now.has_passed && then.has_failed
        })
    };
    now.keys().filter(differs).cloned().collect()
}

/// Cases that one build alone has seen fail and pass: its framework runs what failed again.
pub fn flaky_within(now: &BTreeMap<String, Outcome>) -> BTreeSet<String> {
    let both = now.iter().filter(|(_, outcome)| outcome.has_failed && outcome.has_passed);
    both.map(|(case, _)| case.clone()).collect()
}

/// What the end of a build adds to what a pipeline remembers.
#[derive(Debug)]
pub struct News<'a> {
    /// The job.
    pub job: &'a JobId,
    /// When and where.
    pub seen: Sighting,
    /// The cases that turned out to be flaky.
    pub flaky: &'a BTreeSet<String>,
    /// The cases that failed.
    pub failing: &'a [FailingCase],
    /// The slowest cases, where the build came to its end by itself.
    pub slowest: Option<&'a [SlowCase]>,
}

impl PipelineTests {
    /// A pipeline whose tests nothing is known of.
    pub fn new(pipeline: PipelineName) -> Self {
        Self { pipeline, version: 0, flaky: Vec::new(), failing: Vec::new(), slowest: Vec::new() }
    }

    /// The cases of a job that are flaky at a time.
    pub fn flaky_at(&self, job: &JobId, now: Timestamp) -> BTreeSet<String> {
        let flaky = self.flaky.iter().filter(|seen| seen.job == *job && seen.is_recent(now));
        flaky.map(|seen| seen.case.clone()).collect()
    }

    /// What counts at a time: everything older than 30 days is left out.
    #[must_use]
    pub fn at(mut self, now: Timestamp) -> Self {
        self.forget(now);
        self
    }

    fn forget(&mut self, now: Timestamp) {
        for seen in [&mut self.flaky, &mut self.failing] {
            for seen in seen.iter_mut() {
                seen.sightings.retain(|sighting| now.duration_since(sighting.at) < FLAKY_FOR);
            }
            seen.retain(|seen| !seen.sightings.is_empty());
        }
        self.slowest.retain(|slowest| now.duration_since(slowest.at) < FLAKY_FOR);
    }

    /// The same with a build's news; `None` where it tells none.
    #[must_use]
    pub fn with(&self, news: &News<'_>) -> Option<Self> {
        let mut next = self.clone();
        for case in news.flaky.iter().take(MAX_FLAKY) {
            see(&mut next.flaky, MAX_FLAKY, news, case);
        }
        for case in news.failing.iter().take(MAX_LATELY) {
            see(&mut next.failing, MAX_LATELY, news, &title(&case.suite, &case.name));
        }
        if let Some(cases) = news.slowest {
            next.set_slowest(news, cases);
        }
        if next == *self {
            return None;
        }
        next.forget(news.seen.at);
        next.version += 1;
        Some(next)
    }

    /// An older run never takes the place of a newer one.
    fn set_slowest(&mut self, news: &News<'_>, cases: &[SlowCase]) {
        let Sighting { at, run, .. } = news.seen;
        let newest = JobSlowest { job: news.job.clone(), run, at, cases: cases.to_vec() };
        match self.slowest.iter_mut().find(|known| known.job == *news.job) {
            Some(known) if known.run > run => {}
            Some(known) => *known = newest,
            None => self.slowest.push(newest),
        }
        self.slowest.sort_by(|a, b| (b.at, &b.job).cmp(&(a.at, &a.job)));
        self.slowest.truncate(MAX_JOBS);
    }
}

/// Notes a sighting once.
fn see(all: &mut Vec<Seen>, most: usize, news: &News<'_>, case: &str) {
    let Sighting { at, run, attempt } = news.seen;
    let place = all.iter().position(|seen| seen.job == *news.job && seen.case == case);
    let mut seen = match place {
        Some(place) => all.remove(place),
        None => Seen { job: news.job.clone(), case: case.to_owned(), first_at: at, sightings: Vec::new() },
    };
    if seen.sightings.iter().any(|known| (known.run, known.attempt) == (run, attempt)) {
        all.insert(place.unwrap_or_default(), seen);
        return;
    }
    seen.sightings.insert(0, news.seen.clone());
    seen.sightings.truncate(MAX_SIGHTINGS);
    all.insert(0, seen);
    all.truncate(most);
}

impl Seen {
    fn is_recent(&self, now: Timestamp) -> bool {
        self.sightings.first().is_some_and(|latest| now.duration_since(latest.at) < FLAKY_FOR)
    }
}

#[cfg(test)]
mod tests;
