//! Items of the table stay far below 400 KB, whatever is pushed, built or tested (row F22).

use std::fmt::Write as _;

use proptest::prelude::*;
use pushway_core::fact::{BuildPhase, Cause, JobEnd, JobStage, TestSummary};
use pushway_core::run::Status;
use pushway_core::testing::BuildScript;
use pushway_tests::sim::story::{PIPELINE, Post, SECRET, Story, push_body};
use serde_json::{Value, json};

/// What the adapter stores at most; `DynamoDB` itself takes 400 KB.
const MAX_ITEM: usize = 350 * 1024;

/// Text that takes much more room than it has characters.
fn hostile(length: usize) -> String {
    "\u{1b}\"🚀\u{202e}".chars().cycle().take(length).collect()
}

/// Runs and facts as they are stored; the largest one's size.
fn largest(story: &Story) -> usize {
    let world = story.world();
    let facts =
        |run: &pushway_core::run::Run| world.stored_journal(run.id).into_iter().map(|entry| json!(entry));
    let items = world.runs().into_iter().flat_map(|run| facts(&run).chain([json!(run)]).collect::<Vec<_>>());
    items.map(|item| item.to_string().len()).max().unwrap_or_default()
}

#[test]
fn f22_a_push_of_5000_commits_is_a_small_run() {
    let mut story = Story::new();
    let commit = story.commit();
    let mut body = push_body("main", &commit);
    let told = |n: usize| json!({ "id": format!("{n:040}"), "message": hostile(200), "added": ["a", "b"] });
    body["commits"] = (0..5_000).map(told).collect();
    body["head_commit"]["message"] = Value::from(hostile(60_000));
    body["head_commit"]["author"]["name"] = Value::from(hostile(10_000));
    let run = story.send(&Post::github("push", "big", &body.to_string(), SECRET)).unwrap().run();
    story.sim.run();
    assert_eq!(story.run(run).status, Status::Succeeded);
    let size = largest(&story);
    assert!(size < 16 * 1024, "{size} bytes");
}

#[test]
fn f22_fifty_jobs_with_100000_failing_tests_each_are_a_run_that_can_be_stored() {
    let mut story = Story::new();
    let mut jobs = String::new();
    for n in 0..49 {
        writeln!(jobs, "  unit-{n}: {{ buildspec: ci/unit.yml, timeout: 10m }}").unwrap();
        let failing = vec![hostile(1_000); 20];
        let tests = TestSummary { passed: 1, failed: 100_000, failing, ..TestSummary::default() };
        story.world().script_build(
            JobStage::Test,
            &format!("unit-{n}"),
            None,
            BuildScript::FailsTests(tests),
        );
    }
    let pipeline = PIPELINE.replace("  unit: { buildspec: ci/unit.yml, timeout: 10m }\n", &jobs);
    let commit = story.commit_with(&[("pushway.yml", &pipeline)]);
    let run = story.play_commit(&commit);
    assert_eq!(run.status, Status::Failed, "{:?}", run.cause);
    let size = largest(&story);
    assert!(size < MAX_ITEM, "{size} bytes");
    // What people need is still there: how many failed, and the name of one.
    let end = run.jobs.iter().find_map(|job| job.end.as_ref().filter(|end| end.tests.is_some())).unwrap();
    let tests = end.tests.as_ref().unwrap();
    assert!(tests.failed == 100_000 && !tests.failing.is_empty(), "{tests:?}");
}

#[test]
fn f22_outputs_that_find_no_room_fail_their_job_and_say_so() {
    let mut story = Story::new();
    let names: Vec<String> = (0..40).map(|n| format!("OUT_{n}")).collect();
    let mut exported: std::collections::BTreeMap<String, String> =
        names.iter().map(|name| (name.clone(), "x".repeat(2_000))).collect();
    exported.insert("IMAGE".into(), "registry/web@{digest}".into());
    story.world().script_build(JobStage::Build, "image", None, BuildScript::Succeeds(exported));
    let outputs = format!("outputs: [IMAGE, {}]", names.join(", "));
    let commit = story.commit_with(&[("pushway.yml", &PIPELINE.replace("outputs: [IMAGE]", &outputs))]);
    let run = story.play_commit(&commit);
    let cause = run.cause.unwrap_or_else(|| panic!("{:?}", run.status));
    assert_eq!(run.status, Status::Failed);
    assert!(
        cause.summary.contains("the outputs take 7") && cause.advice.contains("export less"),
        "{cause:?}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn f22_a_jobs_end_finds_its_room_whatever_was_said(
        words in ".{0,2000}", lines in proptest::collection::vec(".{0,600}", 0..40),
        names in proptest::collection::vec(".{0,1500}", 0..20), jobs in 1usize..100, output in ".{0,200}",
        phases in 0usize..12,
    ) {
        let failure = Cause::new("test/unit", &words, &words).with_evidence(lines);
        let tests = TestSummary { failed: 100_000, failing: names.clone(), ..TestSummary::default() };
        let outputs = [("OUT".parse().unwrap(), output)].into();
        let at = jiff::Timestamp::UNIX_EPOCH;
        let phases = vec![BuildPhase { name: "DOWNLOAD_SOURCE".into(), from: at, to: at }; phases];
        let end = JobEnd { failure: Some(failure), tests: Some(tests), outputs, phases, ..JobEnd::default() };
        let room = JobEnd::room(jobs);
        match end.clone().fitted(room) {
            Ok(kept) => {
                let size = json!(kept).to_string().len();
                prop_assert!(size <= room, "{} bytes in {}", size, room);
                prop_assert_eq!(kept.outputs.clone(), end.outputs);
                prop_assert_eq!(kept.tests.as_ref().unwrap().failed, 100_000);
                prop_assert_eq!(kept.tests.as_ref().unwrap().failing.is_empty(), names.is_empty());
                // What fits is not touched again, so that saying it twice is no news.
                prop_assert_eq!(kept.clone().fitted(room), Ok(kept));
            }
            Err(bytes) => prop_assert!(bytes > room / 2),
        }
    }
}
