//! A small world to look at: runs made by folding real facts, an environment, a log.
//!
//! Each text of it can be exchanged for another (`poison`), which is how the pages are shown to be inert.

pub(crate) mod pages;
pub(crate) mod poison;
mod stories;

use std::collections::BTreeMap;

use jiff::Timestamp;
use pushway_core::environment::{Deployed, EnvironmentRecord, Freeze, Holder, Left};
use pushway_core::fact::{Entry, OutOfBand};
use pushway_core::prices::Money;
use pushway_core::run::{JobState, Run, Status};
use pushway_core::summary::RunSummary;
use pushway_core::test_history::JobTests;
use pushway_core::views::{LogLine, LogPage};
use serde::{Deserialize, Serialize};

use stories::{before, broken, failed, going, id, image, money, parsed, paused, rejected, sha, smoke, tests};

/// All that the pages are filled from.
#[derive(Serialize, Deserialize)]
pub(crate) struct World {
    pub(crate) failed: (Run, Vec<Entry>),
    pub(crate) going: (Run, Vec<Entry>),
    pub(crate) paused: (Run, Vec<Entry>),
    pub(crate) broken: (Run, Vec<Entry>),
    pub(crate) rejected: (Run, Vec<Entry>),
    pub(crate) record: EnvironmentRecord,
    pub(crate) staging: EnvironmentRecord,
    pub(crate) runs: Vec<RunSummary>,
    pub(crate) log: LogPage,
    /// Tests of the broken run's job.
    pub(crate) tests: Vec<JobTests>,
    /// What every run costs; the words are free texts, too.
    pub(crate) money: Money,
    /// The build of a check of the failed run in staging.
    pub(crate) check: JobState,
    /// Texts that come from elsewhere: viewer, filters, figures, problems.
    pub(crate) texts: BTreeMap<String, String>,
}

pub(crate) fn now() -> Timestamp {
    "2026-11-26T12:00:00Z".parse().unwrap()
}

fn deployed(number: u8, digit: char, at: i64) -> Deployed {
    Deployed {
        run: id(number, at + 600),
        git_ref: parsed("refs/heads/main"),
        commit: sha(digit),
        place: None,
        irreversible: number == 5,
        task_definition: format!(
            "arn:aws:ecs:eu-central-1:123456789012:task-definition/shop-production:4{number}"
        ),
        images: BTreeMap::from([("web".to_owned(), image(digit))]),
        at: before(at),
        over: None,
    }
}

fn record(name: &str) -> EnvironmentRecord {
    let mut record = EnvironmentRecord::new(parsed("shop"), parsed(name));
    record.version = 9;
    record.current = Some(deployed(4, 'e', 89_000));
    record
}

fn line(number: i64, text: &str) -> LogLine {
    LogLine { at: before(1_800 - number), text: text.into() }
}

fn log() -> LogPage {
    let said = |number: i64, text: &str| {
        line(number, &format!("[Container] 2026/11/26 11:30:{number:02}.000 {text}"))
    };
    let lines = vec![
        said(0, "Waiting for agent ping"),
        said(1, "Entering phase INSTALL"),
        line(2, "npm ci"),
        said(9, "Phase complete: INSTALL State: SUCCEEDED"),
        said(9, "Entering phase BUILD"),
        said(9, "Running command npm test"),
        line(10, "\u{1b}[32mPASS\u{1b}[0m src/cart.test.ts (41 tests)"),
        line(11, "\u{1b}[31mFAIL\u{1b}[0m src/till.test.ts"),
        line(11, "  ● speaks French › counts to seventy"),
        line(11, "    expected \"soixante-dix\", received \"septante\""),
        line(12, "error Command failed with exit code 1."),
        said(12, "Phase complete: BUILD State: FAILED"),
    ];
    LogPage { lines, next: Some("f/38/next".into()) }
}

/// Texts that come from elsewhere.
fn texts() -> BTreeMap<String, String> {
    let texts = [
        ("viewer", "ada@acme.example"),
        ("branch", "main"),
        ("author", "Ada"),
        ("problem", "the token has expired; make a new one with pushway token create"),
        ("issuer", "Acme Single Sign-On"),
        ("next", "/runs/1"),
        ("forge", "https://github.com/acme/shop/commit/1"),
        ("title", "Pipeline shop, environment production, the last 90 days"),
        ("figure", "Deployment frequency"),
        ("value", "2.4 a day"),
        (
            "definition",
            "How often a run brought a new version to production and it passed its checks (DORA).",
        ),
        ("note", "218 deploys; 12 % more than in the 90 days before"),
        ("bar", "week of 2 Nov"),
        ("cursor", "opaque"),
    ];
    texts.map(|(name, text)| (name.to_owned(), text.to_owned())).into()
}

/// The world as it should be.
pub(crate) fn world() -> World {
    let (failed, going, paused) = (failed().done(), going().done(), paused().done());
    let mut runs: Vec<RunSummary> = [&going.0, &paused.0, &failed.0].map(RunSummary::from).into();
    for (place, (status, message)) in [
        (Status::Succeeded, "Round prices to the cent"),
        (Status::Failed, "Try the new bundler"),
        (Status::Succeeded, "Mend the sitemap"),
        (Status::Superseded, "Mend the sitemap (first try)"),
        (Status::Succeeded, "Speak Dutch"),
    ]
    .into_iter()
    .enumerate()
    {
        let seconds = 20_000 * i64::try_from(place + 1).unwrap();
        let mut run = runs[2].clone();
        (run.id, run.status, run.message) =
            (id(10 + u8::try_from(place).unwrap(), seconds), status, message.into());
        (run.received_at, run.updated_at) = (before(seconds), before(seconds - 412));
        run.cause = (status == Status::Failed).then(|| "test/unit: 3 of 415 tests failed".into());
        runs.push(run);
    }
    let mut production = record("production");
    production.earlier = vec![deployed(5, 'f', 190_000), deployed(6, '1', 400_000)];
    production.freeze =
        Some(Freeze { by: "ada".into(), reason: "the sale begins at noon".into(), since: before(4_000) });
    production.protection = Some(stories::rule());
    production.holder = Some(Holder { run: paused.0.id, fence: production.fence, since: before(780) });
    production.queue = vec![going.0.id];
    let mut staging = record("staging");
    let found = "arn:aws:ecs:eu-central-1:123456789012:task-definition/shop-staging:13".to_owned();
    let over = Some(OutOfBand { found, expected: "shop-staging:12".into(), run: id(9, 90_000) });
    staging.current = Some(Deployed { over, ..deployed(2, 'c', 296) });
    staging.left = Some(Left { run: paused.0.id, irreversible: true });
    let (broken, rejected) = (broken().done(), rejected().done());
    World {
        failed,
        going,
        paused,
        broken,
        rejected,
        record: production,
        staging,
        runs,
        log: log(),
        tests: vec![tests()],
        money: money(),
        check: smoke(),
        texts: texts(),
    }
}
