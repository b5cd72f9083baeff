//! Stories of tests: which failures are news, which cases are flaky, what is kept of them and where people see it.

use jiff::SignedDuration;
use pushway_core::fact::{JobId, JobStage, TestSummary};
use pushway_core::ports::TestsOf;
use pushway_core::run::{Run, Status};
use pushway_core::test_case::{CaseStatus, MAX_CASES, TestCase, TestResults};
use pushway_core::test_history::PipelineTests;
use pushway_core::testing::{BuildScript, Injected};
use pushway_tests::sim::every_call::{play, push};
use pushway_tests::sim::pull_request::opened;
use pushway_tests::sim::story::{PIPELINE, Story, parse};
use pushway_tests::sim::{Events, invoke, people};
use serde_json::{Value, json};

const FINE: [(&str, CaseStatus); 3] =
    [("adds", CaseStatus::Passed), ("adds_twice", CaseStatus::Passed), ("times_out", CaseStatus::Passed)];

/// Three cases of which these fail.
fn failing(names: &[&str]) -> BuildScript {
    let mut results = TestResults::default();
    for (number, (name, _)) in (1..).zip(FINE) {
        let status = if names.contains(&name) { CaseStatus::Failed } else { CaseStatus::Passed };
        let message = if status.is_failing() { "left: 1\nright: 2" } else { "" };
        results.push(TestCase::new("cart", name, status, number * 1_000, message));
    }
    results.failed = u32::try_from(names.len()).expect("few");
    results.passed = 3 - results.failed;
    BuildScript::Tests(results)
}

fn fails(story: &Story, attempt: Option<u32>, names: &[&str]) {
    story.world().script_build(JobStage::Test, "unit", attempt, failing(names));
}

fn cause(run: &Run) -> String {
    let cause = run.cause.as_ref().unwrap_or_else(|| panic!("{} has no cause", run.status));
    format!("{}: {}", cause.stage, cause.summary)
}

fn unit() -> JobId {
    JobId { stage: JobStage::Test, name: parse("unit") }
}

fn of(run: &Run, attempt: u32) -> TestsOf {
    TestsOf { run: run.id, job: unit(), attempt }
}

fn summary(run: &Run) -> TestSummary {
    let end = run.job(&unit()).and_then(|state| state.end.clone()).expect("it has ended");
    end.tests.expect("it has tests")
}

fn remembered(story: &Story) -> PipelineTests {
    let stored = story.world().stored_pipeline_tests(&parse("web"));
    stored.unwrap_or_else(|| PipelineTests::new(parse("web")))
}

/// The cases that are remembered as flaky, and how often.
fn flaky(story: &Story) -> Vec<(String, usize)> {
    remembered(story).flaky.iter().map(|seen| (seen.case.clone(), seen.sightings.len())).collect()
}

fn with_retries() -> String {
    let pipeline =
        PIPELINE.replace("timeout: 10m }\nenvironments", "timeout: 10m, retries: 1 }\nenvironments");
    assert_ne!(pipeline, PIPELINE);
    pipeline
}

fn get(story: &Story, path: &str, query: &[(&str, &str)]) -> (u64, Value) {
    let query: Vec<String> = query.iter().map(|(name, value)| format!("{name}={value}")).collect();
    people::get(&story.world(), &format!("{path}?{}", query.join("&")))
}

#[test]
fn a_failure_is_new_once_known_then_and_new_again_after_it_was_mended() {
    let mut story = Story::new();
    fails(&story, None, &["adds"]);
    let first = story.play();
    assert_eq!(cause(&first), "test/unit: 1 of 3 tests failed: cart › adds", "nothing to compare with");
    fails(&story, None, &["adds", "adds_twice"]);
    let second = story.play();
    let words = "test/unit: 2 of 3 tests failed, 1 new: cart › adds_twice, cart › adds";
    assert_eq!(cause(&second), words, "news first");
    let tests = story.world().stored_job_tests(&of(&second, 1)).expect("it is kept");
    assert_eq!(tests.base, Some(first.id));
    let evidence = &second.cause.as_ref().expect("a cause").evidence;
    assert_eq!(evidence[..3], ["cart › adds_twice:", "left: 1", "right: 2"]);
    let third = story.play();
    assert_eq!(cause(&third), "test/unit: 2 of 3 tests failed, none new: cart › adds, cart › adds_twice");
    fails(&story, None, &[]);
    assert_eq!(story.play().status, Status::Succeeded);
    fails(&story, None, &["adds"]);
    assert_eq!(cause(&story.play()), "test/unit: 1 of 3 tests failed, 1 new: cart › adds");
    assert_eq!(flaky(&story), [], "each was another commit");
    // All of it stays.
    let kept = story.world().stored_test_cases(&of(&first, 1));
    assert_eq!(kept.len(), 3);
    assert_eq!((kept[0].status, kept[0].message.as_str()), (CaseStatus::Failed, "left: 1\nright: 2"));
}

#[test]
fn the_failing_test_is_named_where_people_look_at_the_commit() {
    let mut story = Story::new();
    fails(&story, None, &[]);
    story.play();
    fails(&story, None, &["adds_twice"]);
    let run = story.play();
    let record = json!({ "Records": [{
        "eventID": "1", "eventName": "MODIFY", "eventSource": "aws:dynamodb", "awsRegion": "eu-central-1",
        "dynamodb": {
            "Keys": { "pk": { "S": format!("RUN#{}", run.id) }, "sk": { "S": "META" } },
            "SequenceNumber": "1", "SizeBytes": 1, "StreamViewType": "KEYS_ONLY",
            "ApproximateCreationDateTime": 1_790_000_000,
        },
    }] });
    invoke(&story.world(), "notify", record).expect("it is told");
    let said = |context: &str| {
        let all = story.world().posted_statuses();
        let mut ours = all.into_iter().filter(|(commit, _)| *commit == run.source.commit);
        ours.find(|(_, status)| status.context == context).map(|(_, status)| status.description)
    };
    let test = said("pushway/web/test");
    assert_eq!(test.as_deref(), Some("unit: 1 of 3 tests failed, 1 new: cart › adds_twice"));
    let whole = said("pushway/web");
    assert_eq!(whole.as_deref(), Some("failed: test/unit: 1 of 3 tests failed, 1 new: cart › adds_twice"));
}

#[test]
fn a_case_that_a_retry_mends_is_flaky_for_thirty_days_and_still_fails_its_run() {
    let mut story = Story::new();
    let pipeline = with_retries();
    fails(&story, Some(1), &["times_out"]);
    fails(&story, None, &[]);
    let commit = story.commit_with(&[("pushway.yml", &pipeline)]);
    let run = story.play_commit(&commit);
    assert_eq!((run.status, run.jobs[1].attempt), (Status::Succeeded, 2), "{:?}", run.cause);
    assert_eq!(flaky(&story), [("cart › times_out".into(), 1)]);
    let sighting = &remembered(&story).flaky[0].sightings[0];
    assert_eq!((sighting.run, sighting.attempt), (run.id, 2));
    // Known to be flaky, shown as such, and failed all the same.
    fails(&story, Some(1), &["times_out", "adds"]);
    fails(&story, None, &["times_out", "adds"]);
    let commit = story.commit_with(&[("pushway.yml", &pipeline)]);
    let run = story.play_commit(&commit);
    assert_eq!(run.status, Status::Failed);
    assert_eq!(cause(&run), "test/unit: 2 of 3 tests failed, 1 new, 1 flaky: cart › adds, cart › times_out");
    assert_eq!(flaky(&story), [("cart › times_out".into(), 1)], "it never passed on this commit");
    story.world().advance(SignedDuration::from_hours(31 * 24));
    let commit = story.commit_with(&[("pushway.yml", &pipeline)]);
    let run = story.play_commit(&commit);
    assert_eq!(summary(&run).flaky, 0, "that was long ago");
}

#[test]
fn a_case_that_ends_otherwise_in_another_run_of_the_commit_is_flaky() {
    for (first, second) in [(&["times_out"][..], &[][..]), (&[], &["times_out"])] {
        let mut story = Story::new();
        let commit = story.commit();
        fails(&story, None, first);
        story.play_commit(&commit);
        fails(&story, None, second);
        let again = story.push("release/1", &commit);
        story.sim.run();
        assert_eq!(flaky(&story), [("cart › times_out".into(), 1)], "{first:?}, then {second:?}");
        assert_eq!(summary(&story.run(again)).flaky, u32::try_from(second.len()).expect("few"));
    }
}

/// The usual pipeline, for pull requests too.
/// Asks for another run, and plays to the end.
fn asked_for(story: &mut Story, path: &str, order: &Value) -> Run {
    story.world().advance(SignedDuration::from_secs(1));
    let (_, answer) = people::post(&story.world(), "ada", path, order);
    let id = parse(answer["run_id"].as_str().unwrap_or_else(|| panic!("{answer}")));
    story.sim.run();
    story.run(id)
}

#[test]
fn a_retry_is_compared_with_what_its_push_was_and_old_commits_move_no_base() {
    let mut story = Story::new();
    fails(&story, None, &["adds"]);
    let first = story.play();
    fails(&story, None, &["adds", "adds_twice"]);
    let second = story.play();
    assert_eq!(summary(&second).new, Some(1));
    let base =
        |story: &Story, run: &Run| story.world().stored_job_tests(&of(run, 1)).expect("it is kept").base;
    let retry = |run: &Run| format!("/v1/runs/{}/retry", run.id);
    // What it has broken is news in its retry, too; so it is in one more.
    let mut again = asked_for(&mut story, &retry(&second), &json!({ "from": "start" }));
    assert_eq!((summary(&again).new, base(&story, &again)), (Some(1), Some(first.id)));
    again = asked_for(&mut story, &retry(&again), &json!({ "from": "start" }));
    assert_eq!((summary(&again).new, base(&story, &again)), (Some(1), Some(first.id)));
    // An older push once more, and a run by hand: neither is what the next push is compared with.
    fails(&story, None, &["times_out"]);
    asked_for(&mut story, &retry(&first), &json!({ "from": "start" }));
    let by_hand = json!({ "provider": "github", "hook": "web", "ref": "refs/heads/main" });
    asked_for(&mut story, "/v1/runs", &by_hand);
    fails(&story, None, &["adds", "adds_twice"]);
    let third = story.play();
    assert_eq!((summary(&third).new, base(&story, &third)), (Some(0), Some(again.id)));
}

fn pulled() -> String {
    PIPELINE.replace("push: {", "pull_request: { branches: [main] }\n  push: {")
}

#[test]
fn a_pull_request_is_compared_with_the_branch_it_wants_to_go_into_and_decides_nothing_there() {
    let mut story = Story::new();
    let base = story.commit_with(&[("pushway.yml", &pulled())]);
    fails(&story, None, &["adds"]);
    let main = story.play_commit(&base);
    let before = remembered(&story);
    fails(&story, None, &["adds", "adds_twice"]);
    let head = story.commit_with(&[("pushway.yml", &pulled())]);
    let post = opened(&story, &base, &head, false);
    let run = story.send(&post).expect("it is taken").run();
    story.sim.run();
    story.check();
    let run = story.run(run);
    assert_eq!(cause(&run), "test/unit: 2 of 3 tests failed, 1 new: cart › adds_twice, cart › adds");
    let tests = story.world().stored_job_tests(&of(&run, 1)).expect("it is kept");
    assert_eq!(tests.base, Some(main.id));
    assert_eq!(remembered(&story), before, "code that nobody has merged says nothing of others' tests");
    fails(&story, None, &["adds", "times_out"]);
    assert_eq!(summary(&story.play()).new, Some(1), "main is compared with main");
}

#[test]
fn f22_a_hundred_thousand_test_results_are_kept_and_read_page_by_page() {
    let mut story = Story::new();
    let mut results = TestResults { passed: 100_009, failed: 1, ..TestResults::default() };
    for number in 0..100_010 {
        let status = if number == 77_777 { CaseStatus::Error } else { CaseStatus::Passed };
        results.push(TestCase::new("shop::cart::tests", &format!("case_{number}"), status, 10, "it broke"));
    }
    story.world().script_build(JobStage::Test, "unit", None, BuildScript::Tests(results));
    let run = story.play();
    assert_eq!(cause(&run), "test/unit: 1 of 100010 tests failed: shop::cart::tests › case_77777");
    let tests = summary(&run);
    assert_eq!((tests.kept as usize, tests.is_truncated), (MAX_CASES, true));
    let path = format!("/v1/runs/{}/tests", run.id);
    let (mut count, mut next) = (0, String::new());
    loop {
        let mut query = vec![("limit", "1000")];
        if !next.is_empty() {
            query.push(("cursor", next.as_str()));
        }
        let (status, page) = get(&story, &path, &query);
        assert_eq!(status, 200, "{page}");
        let cases = page["cases"].as_array().expect("cases");
        for (place, case) in (count..).zip(cases) {
            assert_eq!(case["name"], format!("case_{place}"), "in order, each once");
        }
        count += cases.len();
        let Some(cursor) = page["next"].as_str().map(str::to_owned) else { break };
        next = cursor;
    }
    assert_eq!(count, MAX_CASES);
    // A filter that finds little goes through the rest a few chunks at a time.
    let (mut found, mut cursor, mut pages) = (Vec::new(), None::<String>, 0);
    loop {
        let mut query = vec![("status", "failing")];
        query.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
        let (_, page) = get(&story, &path, &query);
        found.extend(page["cases"].as_array().expect("cases").clone());
        cursor = page["next"].as_str().map(str::to_owned);
        pages += 1;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!((found.len(), &found[0]["name"]), (1, &json!("case_77777")));
    assert!((2..20).contains(&pages), "{pages}");
}

#[test]
fn f22_where_everything_fails_at_once_an_answer_still_finds_room_in_a_functions_answer() {
    /// Lambda Developer Guide, "Quotas".
    const MOST: usize = 6 * 1024 * 1024;
    let mut story = Story::new();
    let mut results = TestResults { failed: 400, ..TestResults::default() };
    // What takes most room: a quote is four characters where JSON stands in JSON.
    let quotes = |count| "\"".repeat(count);
    for number in 0..400 {
        let name = format!("{}{number}", quotes(180));
        results.push(TestCase::new(&quotes(180), &name, CaseStatus::Failed, 10, &quotes(2_000)));
    }
    let names: Vec<String> = (0..20).map(|number| format!("unit{number}")).collect();
    let jobs: Vec<String> =
        names.iter().map(|name| format!("  {name}: {{ buildspec: ci/unit.yml, timeout: 10m }}")).collect();
    let unit = "  unit: { buildspec: ci/unit.yml, timeout: 10m }";
    let commit = story.commit_with(&[("pushway.yml", &PIPELINE.replace(unit, &jobs.join("\n")))]);
    for name in &names {
        story.world().script_build(JobStage::Test, name, None, BuildScript::Tests(results.clone()));
    }
    let run = story.play_commit(&commit);
    let kept = run.jobs.iter().filter(|job| job.job.stage == JobStage::Test && job.end.is_some()).count();
    assert!(kept >= 10, "{kept} jobs have ended");
    let ask = |query: &str| {
        let path = format!("/v1/runs/{}/tests?{query}", run.id);
        let request = people::signed("GET", "ada", &path, &[], "");
        let answer = invoke(&story.world(), "api", request).expect("it answers");
        let bytes = answer.to_string().len();
        assert!(bytes < MOST, "{query}: {bytes} bytes");
        serde_json::from_str::<Value>(answer["body"].as_str().expect("a body")).expect("JSON")
    };
    let told = ask("");
    let jobs = told["jobs"].as_array().expect("jobs");
    let left_out: u64 = jobs.iter().filter_map(|job| job["failures_left_out"].as_u64()).sum();
    let shown: usize = jobs.iter().map(|job| job["failures"].as_array().expect("failures").len()).sum();
    assert_eq!((jobs.len(), shown as u64 + left_out), (kept, 200 * kept as u64));
    assert!(shown >= 200, "{shown}");
    // All of them are in the list, whose pages may be shorter than was asked for.
    let (mut cases, mut next) = (0, String::new());
    loop {
        let page = ask(&format!("status=failing&limit=1000{next}"));
        cases += page["cases"].as_array().expect("cases").len();
        assert_eq!(page["jobs"].as_array().expect("jobs").is_empty(), !next.is_empty(), "once is enough");
        let Some(cursor) = page["next"].as_str() else { break };
        next = format!("&cursor={cursor}");
    }
    assert_eq!(cases, 400 * kept);
}

#[test]
fn the_api_tells_a_runs_tests_and_what_the_pipeline_remembers() {
    let mut story = Story::new();
    fails(&story, Some(1), &["times_out"]);
    fails(&story, None, &[]);
    let commit = story.commit_with(&[("pushway.yml", &with_retries())]);
    let run = story.play_commit(&commit);
    let path = format!("/v1/runs/{}/tests", run.id);
    let (status, told) = get(&story, &path, &[]);
    assert_eq!((status, &told["cases"], &told["next"]), (200, &Value::Null, &Value::Null));
    let job = &told["jobs"][0];
    assert_eq!((&job["attempt"], &job["passed"], &job["failed"]), (&json!(2), &json!(3), &json!(0)));
    assert_eq!(job["slowest"][0], json!({ "case": "cart › times_out", "duration_us": 3_000 }));
    let (_, page) = get(&story, &path, &[("status", "passed"), ("limit", "2")]);
    assert_eq!(page["cases"].as_array().map(Vec::len), Some(2));
    let next = page["next"].as_str().expect("there is more");
    let (_, page) = get(&story, &path, &[("status", "passed"), ("limit", "2"), ("cursor", next)]);
    assert_eq!((&page["cases"][0]["name"], &page["next"]), (&json!("times_out"), &Value::Null));
    for query in [("status", "broken"), ("limit", "0"), ("limit", "1001")] {
        let (status, problem) = get(&story, &path, &[query]);
        assert_eq!(status, 400, "{query:?}: {problem}");
    }
    assert_eq!(get(&story, &path, &[("cursor", "x.y")]).0, 404);
    assert_eq!(get(&story, "/v1/runs/01890a5d-ac96-774b-bcce-b302099a8057/tests", &[]).0, 404);
    let (status, told) = get(&story, "/v1/pipelines/web/tests", &[]);
    assert_eq!((status, &told["flaky"][0]["case"]), (200, &json!("cart › times_out")));
    assert_eq!(told["failing"][0]["sightings"].as_array().map(Vec::len), Some(1));
    assert_eq!(told["slowest"][0]["cases"][0]["case"], "cart › times_out");
    story.world().advance(SignedDuration::from_hours(31 * 24));
    let (_, told) = get(&story, "/v1/pipelines/web/tests", &[]);
    assert_eq!((&told["flaky"], &told["failing"], &told["slowest"]), (&json!([]), &json!([]), &json!([])));
    assert_eq!(get(&story, "/v1/pipelines/NO%20NAME/tests", &[]).0, 404);
}

#[test]
fn reports_that_can_never_be_read_are_told_and_do_not_hold_the_run_back() {
    let mut story = Story::new();
    fails(&story, None, &[]);
    story.world().inject_on("test_results", 1, Injected::Permanent);
    let run = story.play();
    assert_eq!(run.status, Status::Succeeded, "{:?}", run.cause);
    assert!(summary(&run).unread.expect("it is told").contains("made to fail"));
    assert_eq!(get(&story, &format!("/v1/runs/{}/tests", run.id), &[]).1["jobs"], json!([]));
}

#[test]
fn a_report_that_is_still_being_made_is_waited_for_but_not_for_long() {
    let mut story = Story::new();
    let BuildScript::Tests(results) = failing(&[]) else { unreachable!("it is one of tests") };
    let results = TestResults { is_unfinished: true, ..results };
    story.world().script_build(JobStage::Test, "unit", None, BuildScript::Tests(results));
    let run = story.play();
    assert_eq!(run.status, Status::Succeeded, "{:?}", run.cause);
    let end = run.job(&unit()).and_then(|state| state.end.clone()).expect("it has ended");
    let journal = story.world().stored_journal(run.id);
    let told = journal.iter().rev().find_map(|entry| match &entry.fact {
        pushway_core::fact::Fact::JobEnded { job, .. } if *job == unit() => Some(entry.at),
        _ => None,
    });
    let waited = told.expect("it is told").duration_since(end.ended_at.expect("a time"));
    assert!((SignedDuration::from_mins(3)..SignedDuration::from_mins(5)).contains(&waited), "{waited}");
}

/// A job that is tried twice, with a case that is mended by it.
fn scenario(story: &mut Story) {
    fails(story, Some(1), &["times_out"]);
    fails(story, None, &[]);
    let commit = story.commit_with(&[("pushway.yml", &with_retries())]);
    push(story, &commit);
}

#[test]
fn f13_f28_what_is_known_of_tests_is_the_same_whichever_step_fails_or_is_repeated() {
    let plain = play(scenario, &[], Events::Once);
    let told = |story: &Story| {
        let run = story.world().runs()[0].clone();
        let tests = [1, 2].map(|attempt| {
            let tests = story.world().stored_job_tests(&of(&run, attempt)).expect("it is kept");
            (tests.summary, tests.failures, story.world().stored_test_cases(&of(&run, attempt)))
        });
        let remembered = remembered(story);
        let seen = |all: &[pushway_core::test_history::Seen]| -> Vec<(String, usize)> {
            all.iter().map(|seen| (seen.case.clone(), seen.sightings.len())).collect()
        };
        (run.status, summary(&run), tests, seen(&remembered.flaky), seen(&remembered.failing))
    };
    let expected = told(&plain);
    assert_eq!(expected.3, [("cart › times_out".to_owned(), 1)]);
    assert_eq!(told(&play(scenario, &[], Events::Times(3))), expected, "every event came three times");
    let verbs = [
        "test_results",
        "put_test_cases",
        "put_job_tests",
        "job_tests",
        "pipeline_tests",
        "put_pipeline_tests",
        "test_base",
        "put_test_base",
        "tested_commit",
        "put_tested_commit",
        "append",
    ];
    let calls = plain.world().calls();
    let ours = calls.iter().enumerate().filter(|(_, call)| verbs.contains(&call.verb));
    let mut looked_at = 0;
    for (number, call) in ours {
        for what in [Injected::Retryable, Injected::AnswerLost, Injected::DiesBefore, Injected::DiesAfter] {
            let story = play(scenario, &[(number, what)], Events::Once);
            assert_eq!(told(&story), expected, "{what:?} at {number} ({} {})", call.verb, call.about);
            looked_at += 1;
        }
    }
    assert!(looked_at > 80, "{looked_at}");
}
