//! `pushway run tests` and `pushway tests`: the tests of one run, and what a pipeline remembers of its own.

use std::process::ExitCode;

use pushway_core::ids::{PipelineName, RunId};
use pushway_core::messages;
use pushway_core::test_answers::{KeptCase, RunTests};
use pushway_core::test_case::title;
use pushway_core::test_history::{FailingCase, JobTests, PipelineTests, Seen};

use crate::client::{At, Client};
use crate::output;

/// Slowest cases shown of a job.
const MAX_SLOWEST: usize = 5;
/// Lines of a failing case's message that are shown; `--json` has all that is kept.
const MAX_LINES: usize = 8;

/// Which tests of a run.
#[derive(clap::Args)]
#[command(after_help = "Example: pushway run tests 01890a5d-ac96-774b-bcce-b302099a8057 --failed")]
pub(crate) struct OfRun {
    /// The run's id.
    run: RunId,
    /// List every case.
    #[arg(long, conflicts_with = "failed")]
    all: bool,
    /// List every case that failed.
    #[arg(long)]
    failed: bool,
}

/// Which pipeline's tests.
#[derive(clap::Args)]
#[command(after_help = "Example: pushway tests web")]
pub(crate) struct OfPipeline {
    /// The pipeline.
    pipeline: PipelineName,
}

/// Shows the tests of a run.
pub(crate) async fn of_run(client: &Client, as_json: bool, args: &OfRun) -> anyhow::Result<ExitCode> {
    let run = args.run.to_string();
    let path = ["v1", "runs", &run, "tests"];
    let status = match (args.all, args.failed) {
        (true, _) => "all",
        (_, true) => "failing",
        _ => {
            let tests: RunTests = client.get(&path, &[]).await?;
            return show(&tests, as_json);
        }
    };
    let mut query = vec![("status", status.to_owned()), ("limit", "1000".to_owned())];
    let mut tests: RunTests = client.get(&path, &query).await?;
    let mut cases = tests.cases.take().unwrap_or_default();
    while let Some(next) = tests.next.take() {
        query.truncate(2);
        query.push(("cursor", next));
        // What is told of the jobs stands on the first page alone.
        let page: RunTests = client.get(&path, &query).await?;
        tests.next = page.next;
        cases.extend(page.cases.unwrap_or_default());
    }
    if as_json {
        output::json(&RunTests { cases: Some(cases), ..tests })?;
    } else if cases.is_empty() {
        output::note(if args.all { "the run has kept no tests" } else { "no test of the run failed" });
    } else {
        let rows = cases.iter().map(row).collect();
        output::table(&["JOB", "STATUS", "TIME", "TEST"], rows)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn row(kept: &KeptCase) -> Vec<String> {
    let case = &kept.case;
    let time = messages::duration(case.duration_us);
    vec![kept.job.to_string(), case.status.as_str().to_owned(), time, case.title()]
}

fn show(tests: &RunTests, as_json: bool) -> anyhow::Result<ExitCode> {
    if as_json {
        output::json(tests)?;
        return Ok(ExitCode::SUCCESS);
    }
    if tests.jobs.is_empty() {
        output::note("the run has kept no tests; name `reports` in pushway.yml, or in a buildspec");
    }
    for line in tests.jobs.iter().flat_map(describe) {
        output::line(&line)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// A job's tests, line by line.
fn describe(tests: &JobTests) -> Vec<String> {
    let attempt = if tests.attempt > 1 { format!(" (attempt {})", tests.attempt) } else { String::new() };
    let mut lines = vec![format!("{}{attempt}: {}", tests.job, messages::test_counts(&tests.summary))];
    if let Some(base) = tests.base {
        lines.push(format!("  compared with run {base}"));
    }
    lines.extend(tests.failures.iter().flat_map(failing));
    if tests.failures_left_out > 0 {
        lines.push(format!("  and {} more; --failed lists every one", tests.failures_left_out));
    }
    if !tests.slowest.is_empty() {
        lines.push("  slowest".to_owned());
    }
    let slow = tests.slowest.iter().take(MAX_SLOWEST);
    lines.extend(slow.map(|slow| format!("    {:>9}  {}", messages::duration(slow.duration_us), slow.case)));
    lines
}

fn failing(case: &FailingCase) -> Vec<String> {
    let (status, standing) = (case.status.as_str(), messages::standing(case.standing));
    let mut lines = vec![format!("  {status:<7} {standing:<5} {}", title(&case.suite, &case.name))];
    lines.extend(case.message.lines().take(MAX_LINES).map(|line| format!("      {line}")));
    lines
}

/// Shows what a pipeline remembers of its tests.
pub(crate) async fn of_pipeline(at: &At, as_json: bool, args: &OfPipeline) -> anyhow::Result<ExitCode> {
    let path = ["v1", "pipelines", args.pipeline.as_str(), "tests"];
    let tests: PipelineTests = at.client().await?.get(&path, &[]).await?;
    if as_json {
        output::json(&tests)?;
        return Ok(ExitCode::SUCCESS);
    }
    for line in remembered(&tests, jiff::Timestamp::now()) {
        output::line(&line)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn remembered(tests: &PipelineTests, now: jiff::Timestamp) -> Vec<String> {
    let mut lines = Vec::new();
    let seen = |seen: &Seen| {
        let when = seen.sightings.first().map(|latest| output::ago(now, latest.at)).unwrap_or_default();
        let times = seen.sightings.len();
        format!("  {times} times, last {when:<12} {}: {}", seen.job, seen.case)
    };
    for (head, all) in [
        ("flaky: failed and passed on the same commit in the last 30 days", &tests.flaky),
        ("failed in the last 30 days", &tests.failing),
    ] {
        lines.push(if all.is_empty() { format!("{head}: none") } else { head.to_owned() });
        lines.extend(all.iter().map(seen));
    }
    for slowest in &tests.slowest {
        lines.push(format!("slowest of {} ({})", slowest.job, output::ago(now, slowest.at)));
        let slow = slowest.cases.iter().take(MAX_SLOWEST);
        lines
            .extend(slow.map(|slow| format!("  {:>9}  {}", messages::duration(slow.duration_us), slow.case)));
    }
    lines
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_jobs_tests_tell_news_first_and_what_they_said() {
        let tests = json!({
            "job": { "stage": "test", "name": "unit" }, "attempt": 2,
            "passed": 409, "failed": 3, "skipped": 1, "failing": ["cart › adds_twice"], "new": 1, "flaky": 1,
            "kept": 413, "base": "01890a5d-ac96-774b-bcce-b302099a8057", "chunks": 1,
            "failures": [
                { "suite": "cart", "name": "adds_twice", "status": "failed", "message": "left: 1\n right: 2", "standing": "new" },
                { "suite": "cart", "name": "sums", "status": "error", "standing": "known" },
                { "name": "times out", "status": "failed", "standing": "flaky" },
            ],
            "slowest": [{ "case": "cart › sums", "duration_us": 61_500_000u64 }, { "case": "cart › a", "duration_us": 1_250 }],
        });
        let tests: JobTests = serde_json::from_value(tests).unwrap();
        insta::assert_snapshot!(describe(&tests).join("\n"), @r"
        test/unit (attempt 2): 409 tests passed, 3 failed, 1 new, 1 flaky, 1 skipped
          compared with run 01890a5d-ac96-774b-bcce-b302099a8057
          failed  new   cart › adds_twice
              left: 1
               right: 2
          error   known cart › sums
          failed  flaky times out
          slowest
            1 min 1 s  cart › sums
                 1 ms  cart › a
        ");
    }

    #[test]
    fn a_pipelines_tests_tell_when_and_how_often() {
        let seen = |case: &str, runs: &[&str]| {
            let sighting =
                |at: &&str| json!({ "at": at, "run": "01890a5d-ac96-774b-bcce-b302099a8057", "attempt": 1 });
            let sightings: Vec<_> = runs.iter().map(sighting).collect();
            json!({ "job": { "stage": "test", "name": "unit" }, "case": case, "first_at": runs.last(), "sightings": sightings })
        };
        let tests = json!({
            "pipeline": "web", "version": 3,
            "flaky": [seen("cart › times_out", &["2026-03-04T05:00:00Z", "2026-03-01T05:00:00Z"])],
            "failing": [],
            "slowest": [{
                "job": { "stage": "test", "name": "unit" }, "run": "01890a5d-ac96-774b-bcce-b302099a8057",
                "at": "2026-03-04T05:00:00Z", "cases": [{ "case": "cart › sums", "duration_us": 2_340_000 }],
            }],
        });
        let tests: PipelineTests = serde_json::from_value(tests).unwrap();
        let now = "2026-03-04T06:00:00Z".parse().unwrap();
        insta::assert_snapshot!(remembered(&tests, now).join("\n"), @r"
        flaky: failed and passed on the same commit in the last 30 days
          2 times, last 1 h ago      test/unit: cart › times_out
        failed in the last 30 days: none
        slowest of test/unit (1 h ago)
              2.3 s  cart › sums
        ");
    }
}
