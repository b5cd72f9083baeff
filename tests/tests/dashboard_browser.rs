//! The dashboard's pages in a real browser, over a world in memory: how they look, for whom they work, what they weigh,
//! and that text of others stays text.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use pushway_core::fact::{JobStage, LogPointer};
use pushway_core::ids::RunId;
use pushway_core::ports::Clock as _;
use pushway_core::test_case::{CaseStatus, TestCase, TestResults};
use pushway_core::testing::{BuildScript, World};
use pushway_core::wait::Subject;
use pushway_tests::browser::Visitor;
use pushway_tests::served::serve;
use pushway_tests::sim::people::{send, signed, token};
use pushway_tests::sim::story::{PIPELINE, Post, SECRET, Story, push_body};
use serde_json::{Value, json};

/// What attackers write (row A34).
const PAYLOADS: [&str; 7] = [
    "<script>pwned=1</script>",
    "<img src=x onerror=pwned=1>",
    "</title><svg/onload=pwned=1>",
    "\"><a href=javascript:pwned=1>x</a>",
    "' autofocus onfocus=pwned=1 x='",
    "{{7*7}}${7*7}<%= 7*7 %>",
    "\u{202e}\u{1b}]52;c;aGk=\u{7}<b>",
];

fn asks(world: &World, run: RunId) -> bool {
    let of_run = |subject: &Subject| matches!(subject, Subject::Approval { run: asked, .. } if *asked == run);
    world.open_waits().iter().any(|wait| of_run(&wait.subject))
}

/// Tests of a job, by how they end; each says this where it fails.
fn tests(cases: &[(&str, CaseStatus)], said: &str) -> BuildScript {
    let mut results = TestResults::default();
    for (number, (name, status)) in (1..).zip(cases) {
        let said = if status.is_failing() { said } else { "" };
        results.push(TestCase::new("cart", name, *status, number * 310_000, said));
    }
    results.failed =
        u32::try_from(cases.iter().filter(|(_, status)| status.is_failing()).count()).expect("few");
    results.passed = u32::try_from(cases.len()).expect("few") - results.failed;
    BuildScript::Tests(results)
}

/// A push whose every text is `evil`, those of its failing tests included.
fn evil_push(story: &mut Story, evil: &str) -> RunId {
    let commit = story.commit();
    story.world().script_build(JobStage::Test, "unit", None, tests(&[(evil, CaseStatus::Failed)], evil));
    let mut body = push_body("main", &commit);
    body["head_commit"]["message"] = json!(evil);
    body["head_commit"]["author"]["name"] = json!(evil);
    let delivery = Post::github("push", &format!("evil-{commit}"), &body.to_string(), SECRET);
    let run = story.send(&delivery).expect("it is taken").run();
    story.sim.run();
    run
}

/// Freezes the environment, by someone and for a reason of this text.
fn freeze(story: &Story, evil: &str) {
    let body = json!({ "reason": evil }).to_string();
    let request = signed("POST", evil, "/v1/environments/web/staging/freeze", &[], &body);
    assert_eq!(send(&story.world(), &request).expect("it answers").status, 200);
}

/// The id of the build of a run's unit tests.
fn build_of(story: &Story, run: RunId) -> String {
    let builds = story.world().builds();
    let ours = builds
        .into_iter()
        .find(|build| build.request.run == run && build.request.job.stage == JobStage::Test);
    ours.expect("it was built").id
}

/// A world with a green run, a red one and one that asks, and their pages by name.
fn world_with_pages() -> (Story, Vec<(&'static str, String)>) {
    let mut story = Story::new();
    let (passes, fails) = (CaseStatus::Passed, CaseStatus::Failed);
    let unit = |cases: &[(&str, CaseStatus)]| {
        let said = "assertion failed: `left == right`\n  left: 3\n right: 4\n  at src/cart.rs:41:9";
        tests(cases, said)
    };
    let known = ("keeps what guests put in", fails);
    let cases = [("adds", passes), ("adds the same thing twice", passes), ("is empty at first", passes)];
    story.world().script_build(JobStage::Test, "unit", None, unit(&cases));
    let checked = format!("{PIPELINE}      - job: {{ name: smoke, buildspec: ci/unit.yml, timeout: 10m }}\n");
    let checked = story.commit_with(&[("pushway.yml", &checked)]);
    let green = story.play_commit(&checked);
    story.world().advance(SignedDuration::from_mins(4));
    story.world().script_build(JobStage::Test, "unit", None, unit(&[cases[0], known]));
    story.play();
    story.world().advance(SignedDuration::from_mins(4));
    let more = [cases[0], known, ("adds the same thing twice", fails), ("takes away", fails)];
    story.world().script_build(JobStage::Test, "unit", None, unit(&more));
    let tested = story.play();
    story.world().advance(SignedDuration::from_mins(7));
    let failing = BuildScript::FailsIn("BUILD".into(), "COMMAND_EXECUTION_ERROR: make: exit status 2".into());
    story.world().script_build(JobStage::Test, "unit", None, failing);
    let red = story.play();
    let log = LogPointer { group: "/pushway/builds".into(), stream: build_of(&story, red.id) };
    story.world().add_log(&log, &["[Container] Entering phase BUILD", "make: *** [all] Error 2"]);
    story.world().advance(SignedDuration::from_mins(3));
    story.world().script_build(JobStage::Test, "unit", None, BuildScript::Succeeds(BTreeMap::new()));
    let asking =
        story.commit_with(&[("pushway.yml", &format!("{PIPELINE}    approval: {{ required: 1 }}\n"))]);
    let asked = story.push("main", &asking);
    story.sim.run_until(|world| asks(world, asked));
    let pages = vec![
        ("overview", "/".to_owned()),
        ("run-green", format!("/runs/{}", green.id)),
        ("run-red", format!("/runs/{}", red.id)),
        ("run-tests", format!("/runs/{}", tested.id)),
        ("run-going", format!("/runs/{asked}")),
        ("log", format!("/runs/{}/jobs/test/unit", red.id)),
        ("approvals", "/approvals".to_owned()),
        ("approval", format!("/runs/{asked}/environments/staging/approve")),
        ("environment", "/environments/web/staging".to_owned()),
        ("rollback", format!("/environments/web/staging/rollback?to={}", green.id)),
        ("commit", format!("/commits/{}", green.source.commit)),
        ("insights", "/insights".to_owned()),
    ];
    (story, pages)
}

/// Serves the story's world to somebody of this scope, who does one thing.
async fn visit(story: &Story, scope: &str, order: &'static str, with: Value) -> Value {
    let world = story.world();
    let token = token(&world, &format!("{scope}-{order}"), &[scope], 7);
    let visitor = Visitor::new(&serve(world).await, &token);
    tokio::task::spawn_blocking(move || visitor.does(order, with)).await.expect("it ends")
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_works_in_light_and_dark_on_a_phone_without_script_and_for_everyone() {
    let (story, pages) = world_with_pages();
    let found = visit(&story, "admin", "pages", json!({ "pages": pages })).await;
    assert_eq!(found.as_array().map(Vec::len), Some(4 * pages.len()));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_page_is_light_and_its_content_waits_for_nothing_else() {
    let (story, _) = world_with_pages();
    let found = visit(&story, "read", "weight", json!({})).await;
    assert!(found["bytes"].as_u64().is_some_and(|bytes| bytes <= 100_000), "{found}");
    assert_eq!((&found["blocking"], &found["requests"][0]), (&json!(0), &json!("/")), "{found}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a34_text_of_others_is_shown_and_does_nothing() {
    let mut story = Story::new();
    let mut paths = vec!["/".to_owned(), "/approvals".to_owned(), "/environments/web/staging".to_owned()];
    for evil in PAYLOADS {
        story.world().advance(SignedDuration::from_mins(1));
        let run = evil_push(&mut story, evil);
        let build = story.world().builds().pop().expect("a build").id;
        story.world().add_log(&LogPointer { group: "/pushway/builds".into(), stream: build }, &[evil]);
        paths.extend([format!("/runs/{run}"), format!("/runs/{run}/jobs/test/unit")]);
        paths.push(format!("/commits/{}", story.run(run).source.commit));
        freeze(&story, evil);
        paths.push(format!(
            "/?author={}",
            url::form_urlencoded::byte_serialize(evil.as_bytes()).collect::<String>()
        ));
        let again = signed("POST", "ada", "/v1/environments/web/staging/unfreeze", &[], "");
        assert_eq!(send(&story.world(), &again).expect("it answers").status, 200);
    }
    freeze(&story, PAYLOADS[0]);
    let found = visit(&story, "admin", "inert", json!({ "paths": paths })).await;
    assert_eq!(found.as_array().map(Vec::len), Some(paths.len()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_someone_types_stays_while_the_page_changes_and_a_page_that_is_old_says_so() {
    let mut story = Story::new();
    story.play();
    let start = json!({ "provider": "github", "hook": "web", "ref": "refs/heads/main" });
    let world = story.world();
    let visitor = Visitor::new(&serve(world.clone()).await, &token(&world, "typing", &["run"], 7));
    let with = json!({ "start": start, "patience": 60_000 });
    let visiting = tokio::task::spawn_blocking(move || visitor.does("typing", with));
    let look = async |wanted: &dyn Fn() -> bool| {
        while !wanted() {
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    };
    look(&|| world.runs().iter().any(|run| !run.status.is_terminal())).await;
    // The page has been asked for since, and once more.
    let asked = world.done("running");
    look(&|| world.done("running") >= asked + 2).await;
    story.sim.run();
    let found = visiting.await.expect("it ends");
    assert_eq!(
        (&found["before"], &found["typed"], &found["same"]),
        (&json!(0), &json!("release"), &json!(true))
    );
    assert!(found["told"].as_str().is_some_and(|told| told.contains("signed in no more")), "{found}");
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_signs_in_with_an_issuer_and_out_again() {
    let story = Story::new();
    let (world, clock) = (story.world(), story.world());
    let issuer = pushway_tests::issuer::serve(move || clock.now(), None).await;
    world.set_issuer(issuer.in_memory());
    let found = visit(&story, "read", "issuer", json!({ "issuer": issuer.settings().issuer })).await;
    assert_eq!(found, json!({ "who": true, "afterwards": "/sign-in" }));
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_may_only_look_is_offered_nothing_and_gets_nothing() {
    let (story, _) = world_with_pages();
    let found = visit(&story, "read", "refuse", json!({ "environment": "/environments/web/staging" })).await;
    assert_eq!(found, json!({ "acts": 0, "status": 403 }));
}
