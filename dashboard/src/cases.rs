//! A run's tests as its page shows them: what failed first, with what it said, as much as a page can hold.
//!
//! Of a job whose cases were not read, only what the run itself keeps is shown: counts and the first names.

use std::cmp::Reverse;

use pushway_core::fact::{JobId, TestSummary};
use pushway_core::ids::RunId;
use pushway_core::messages;
use pushway_core::run::{JobState, Run};
use pushway_core::test_case::title;
use pushway_core::test_history::{FailingCase, JobTests, SlowCase, Standing};

use crate::log::plain;
use crate::parts::{Pill, Tone};

/// Failing cases on a page, over all jobs: whoever broke more reads them by the CLI.
const MAX_CASES: usize = 30;

/// A job's tests.
#[derive(Debug)]
pub(crate) struct JobCases<'a> {
    pub(crate) job: &'a JobId,
    pub(crate) counts: String,
    /// The run that they were compared with.
    pub(crate) base: Option<&'a RunId>,
    pub(crate) failing: Vec<Case>,
    /// How many more failed.
    pub(crate) more: u32,
    pub(crate) slowest: &'a [SlowCase],
}

/// A failing case.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Case {
    pub(crate) pill: Pill,
    pub(crate) title: String,
    pub(crate) said: String,
}

impl JobCases<'_> {
    pub(crate) fn anchor(&self) -> String {
        format!("tests-{}-{}", self.job.stage, self.job.name)
    }

    fn is_marked(&self) -> bool {
        self.base.is_some() && !self.failing.is_empty()
    }
}

/// Whether failures have marks, which take a word of explanation.
pub(crate) fn are_marked(all: &[JobCases<'_>]) -> bool {
    all.iter().any(JobCases::is_marked)
}

/// The tests of every job of which there is more to tell than counts, those with failures first.
pub(crate) fn cases<'a>(run: &'a Run, read: &'a [JobTests]) -> Vec<JobCases<'a>> {
    let summary = |state: &'a JobState| Some((state, state.end.as_ref()?.tests.as_ref()?));
    let mut tested: Vec<(&JobState, &TestSummary)> = run.jobs.iter().filter_map(summary).collect();
    tested.sort_by_key(|(_, tests)| Reverse(tests.failed > 0));
    let mut room = MAX_CASES;
    let mut all = Vec::new();
    for (state, tests) in tested {
        let read = read.iter().find(|tests| tests.job == state.job);
        let failing: Vec<Case> = match read {
            Some(read) => read.failures.iter().take(room).map(case).collect(),
            None => tests.failing.iter().take(room).map(|name| named(name)).collect(),
        };
        room -= failing.len();
        let slowest = read.map(|read| read.slowest.as_slice()).unwrap_or_default();
        if tests.failed == 0 && slowest.is_empty() && tests.unread.is_none() {
            continue;
        }
        all.push(JobCases {
            job: &state.job,
            counts: messages::test_counts(tests),
            base: read.and_then(|read| read.base.as_ref()),
            more: tests.failed.saturating_sub(u32::try_from(failing.len()).unwrap_or(u32::MAX)),
            failing,
            slowest,
        });
    }
    all
}

fn case(case: &FailingCase) -> Case {
    let tone = match case.standing {
        Some(Standing::New) => Tone::Bad,
        Some(Standing::Known) => Tone::Warn,
        Some(Standing::Flaky) => Tone::Ask,
        None => Tone::Quiet,
    };
    let word = match case.standing {
        Some(_) => messages::standing(case.standing),
        None => case.status.as_str(),
    };
    let said: Vec<String> = case.message.trim().lines().map(plain).collect();
    Case { pill: Pill::new(tone, word), title: plain(&title(&case.suite, &case.name)), said: said.join("\n") }
}

fn named(name: &str) -> Case {
    Case { pill: Pill::new(Tone::Bad, "failed"), title: plain(name), said: String::new() }
}

/// How long a case took.
pub(crate) fn took(slow: &SlowCase) -> String {
    messages::duration(slow.duration_us)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A run with these jobs, each with so many failing tests.
    fn run(jobs: &[(&str, u32)]) -> Run {
        let source = json!({
            "provider": "git", "hook": "web", "delivery": "d-1", "repository_id": "web", "repository": "web",
            "git_ref": "refs/heads/main", "commit": "0".repeat(39) + "1", "before": null, "message": "", "author": "",
        });
        let id = "01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap();
        let (mut run, _) =
            Run::receive(id, serde_json::from_value(source).unwrap(), jiff::Timestamp::UNIX_EPOCH);
        let state = |(name, failed): &(&str, u32)| {
            let tests =
                json!({ "passed": 1, "failed": failed, "skipped": 0, "failing": ["first", "second"] });
            let end = json!({ "outputs": {}, "failure": null, "will_retry": false, "tests": tests, "started_at": null, "ended_at": null });
            let state = json!({ "job": { "stage": "test", "name": name }, "attempt": 1, "build": null, "started_at": null, "end": end });
            serde_json::from_value(state).unwrap()
        };
        run.jobs = jobs.iter().map(state).collect();
        run
    }

    fn read(name: &str, failed: u32) -> JobTests {
        let case =
            |number| json!({ "name": format!("case {number}"), "status": "failed", "standing": "new" });
        serde_json::from_value(json!({
            "job": { "stage": "test", "name": name }, "attempt": 1, "passed": 1, "failed": failed, "skipped": 0,
            "failing": [], "base": null, "failures": (0..failed).map(case).collect::<Vec<_>>(), "slowest": [], "chunks": 1,
        }))
        .unwrap()
    }

    #[test]
    fn f22_a_page_holds_so_many_cases_and_says_how_many_more_there_are() {
        let run = run(&[("green", 0), ("unit", 20), ("e2e", 25), ("more", 9)]);
        let told = [read("unit", 20), read("e2e", 25)];
        let shown = cases(&run, &told);
        let told: Vec<(String, usize, u32)> =
            shown.iter().map(|job| (job.job.name.to_string(), job.failing.len(), job.more)).collect();
        let expected = [("unit", 20, 0), ("e2e", 10, 15), ("more", 0, 9)];
        assert_eq!(told, expected.map(|(name, shown, more)| (name.to_owned(), shown, more)));
    }

    #[test]
    fn of_tests_that_were_not_read_the_first_names_are_told() {
        let run = run(&[("unit", 3)]);
        let shown = cases(&run, &[]);
        let names: Vec<&str> = shown[0].failing.iter().map(|case| case.title.as_str()).collect();
        assert_eq!((names, shown[0].more), (vec!["first", "second"], 1));
        assert_eq!((shown[0].failing[0].pill.word, shown[0].is_marked()), ("failed", false));
    }
}
