//! The API: what can be asked about runs, and what is answered to questions that make no sense.

use pushway_core::fact::LogPointer;
use pushway_core::testing::Injected;
use pushway_tests::sim::people::{send, signed, unsigned};
use pushway_tests::sim::story::Story;
use serde_json::{Value, json};

fn ask(story: &Story, method: &str, path: &str) -> (u64, Value) {
    let answer = send(&story.world(), &signed(method, "ada", path, &[], "")).expect("it answers");
    (answer.status, answer.json())
}

fn get(story: &Story, path: &str) -> (u64, Value) {
    ask(story, "GET", path)
}

#[test]
fn a_run_can_be_followed_by_its_journal_and_its_logs() {
    let mut story = Story::new();
    let run = story.play();
    let (status, shown) = get(&story, &format!("/v1/runs/{}", run.id));
    assert_eq!((status, &shown["status"], &shown["over"]), (200, &json!("succeeded"), &json!(true)));
    let (_, journal) = get(&story, &format!("/v1/runs/{}/journal", run.id));
    let facts: Vec<&str> = journal["journal"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["fact"]["fact"].as_str().unwrap())
        .collect();
    assert_eq!(
        facts,
        [
            "received",
            "planned",
            "job_started",
            "job_ended",
            "job_started",
            "job_ended",
            "lock_taken",
            "deploy_prepared",
            "deploy_started",
            "deploy_ended",
            "validated",
            "finished",
        ]
    );
    let stream = story.world().builds()[1].id.clone();
    story.world().add_log(&LogPointer { group: "/pushway/builds".into(), stream }, &["one", "two"]);
    let path = format!("/v1/runs/{}/jobs/test/unit/log", run.id);
    let (_, page) = get(&story, &path);
    assert_eq!((page["lines"].as_array().unwrap().len(), &page["over"]), (2, &json!(false)));
    let (_, rest) = get(&story, &format!("{path}?cursor={}", page["next"].as_str().unwrap()));
    assert_eq!((rest["lines"].as_array().unwrap().len(), &rest["over"]), (0, &json!(true)));
}

#[test]
fn the_log_of_a_job_that_never_ended_is_over_with_its_run() {
    let mut story = Story::new();
    let first = story.commit();
    let run = story.push("main", &first);
    story.sim.run_until(|world| {
        world.stored_run(run).is_some_and(|run| run.jobs.iter().any(|job| job.build.is_some()))
    });
    let stream = story.world().builds()[0].id.clone();
    let path = |stage: &str| format!("/v1/runs/{run}/jobs/{stage}/log");
    assert_eq!(get(&story, &path("build/image")).1["over"], json!(false), "it runs");
    assert_eq!(get(&story, &path("test/unit")).1["over"], json!(false), "it will come");
    let stop = signed(
        "POST",
        "ada",
        &format!("/v1/runs/{run}/stop"),
        &[("idempotency-key", "k")],
        r#"{"reason":"no"}"#,
    );
    send(&story.world(), &stop).expect("it answers");
    story.sim.run();
    let stopped = story.run(run);
    assert!(stopped.status.is_terminal() && stopped.jobs[0].end.is_none(), "{stopped:?}");
    story.world().add_log(&LogPointer { group: "/pushway/builds".into(), stream }, &["one"]);
    let (_, page) = get(&story, &path("build/image"));
    assert_eq!((page["lines"].as_array().unwrap().len(), &page["over"]), (1, &json!(false)));
    let (_, rest) =
        get(&story, &format!("{}?cursor={}", path("build/image"), page["next"].as_str().unwrap()));
    assert_eq!((rest["lines"].as_array().unwrap().len(), &rest["over"]), (0, &json!(true)));
    assert_eq!(get(&story, &path("test/unit")).1["over"], json!(true), "it never began");
}

#[test]
fn the_list_is_newest_first_and_its_pages_leave_nothing_out() {
    let mut story = Story::new();
    let mut ids = Vec::new();
    for _ in 0..7 {
        story.world().advance(jiff::SignedDuration::from_secs(1));
        ids.insert(0, story.play().id.to_string());
    }
    let (mut seen, mut cursor) = (Vec::new(), None::<String>);
    loop {
        let on = cursor.as_ref().map_or_else(String::new, |at| format!("&cursor={at}"));
        let (_, page) = get(&story, &format!("/v1/runs?limit=3{on}"));
        seen.extend(
            page["runs"].as_array().unwrap().iter().map(|run| run["id"].as_str().unwrap().to_owned()),
        );
        match page["next"].as_str() {
            Some(next) => cursor = Some(next.to_owned()),
            None => break,
        }
    }
    assert_eq!(seen, ids);
    let (_, none) = get(&story, "/v1/runs?pipeline=other");
    assert_eq!(none["runs"], json!([]));
}

#[test]
fn a30_questions_that_make_no_sense_are_refused_and_unknown_runs_are_absent() {
    let mut story = Story::new();
    let run = story.play();
    let absent = RUN_OF_NOBODY;
    for (status, method, path) in [
        (404, "GET", "/v1"),
        (404, "GET", "/v1/runs/x"),
        (404, "GET", &format!("/v1/runs/{absent}")),
        (404, "GET", &format!("/v1/runs/{absent}/journal")),
        (404, "GET", &format!("/v1/runs/{absent}/plan")),
        (404, "GET", &format!("/v1/runs/{}/jobs/test/none/log", run.id)),
        (404, "GET", &format!("/v1/runs/{}/jobs/deploy/unit/log", run.id)),
        (400, "POST", "/v1/runs"),
        (405, "POST", "/v1/runs/x"),
        (405, "GET", "/v1/explain"),
        (400, "GET", "/v1/explain/ref"),
        (404, "GET", "/v1/explain/delivery?provider=git&hook=none&delivery=x"),
        (405, "DELETE", &format!("/v1/runs/{}", run.id)),
        (400, "GET", "/v1/runs?limit=0"),
        (400, "GET", "/v1/runs?limit=101"),
        (400, "GET", "/v1/runs?limit=-1"),
        (400, "GET", "/v1/runs?before=yesterday"),
        (404, "GET", "/v1/runs?cursor=yesterday"),
        (404, "GET", &format!("/v1/runs?cursor={}", run.id)),
        (400, "GET", "/v1/runs?since=yesterday"),
        (400, "GET", "/v1/runs?status=happy"),
        (400, "GET", "/v1/runs?commit=4b825dc6"),
        (400, "GET", "/v1/runs?branch=a%20b"),
        (400, "GET", "/v1/runs?environment=%23a%20%3D%20%3Ab%20OR%20attribute_exists(pk)"),
        (400, "GET", "/v1/commits/4b825dc6"),
        (404, "GET", &format!("/v1/commits/{}", "0".repeat(40))),
        (404, "GET", "/v1/pipelines/none"),
        (404, "GET", "/v1/environments?cursor=x"),
        (404, "GET", &format!("/v1/runs/{}/jobs/test/unit/log?cursor=0", run.id)),
        (400, "GET", "/v1/runs?pipeline=A%23B"),
        (400, "GET", "/v1/runs?pipelin=web"),
    ] {
        let (answered, body) = ask(&story, method, path);
        assert_eq!(answered, status, "{method} {path}: {body}");
        assert!(body["detail"].as_str().is_some_and(|detail| !detail.is_empty()));
    }
}

const RUN_OF_NOBODY: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

#[test]
fn a_fault_that_stays_is_told_to_those_who_may_ask_and_to_nobody_else() {
    let story = Story::new();
    assert_eq!(get(&story, "/v1/health").0, 200);
    story.world().inject_on("pipelines", 1, Injected::Permanent);
    let (status, body) = get(&story, "/v1/health");
    assert_eq!(status, 500);
    assert!(body.to_string().contains("made to fail"), "{body}");
    story.world().inject_on("pipelines", 1, Injected::Retryable);
    assert_eq!(get(&story, "/v1/health").0, 503);
    // Nobody knows yet who asks.
    story.world().inject_on("token", 1, Injected::Permanent);
    let made_up = format!("Bearer pwt_ci_{}", "0".repeat(64));
    let answer = send(&story.world(), &unsigned("GET", "/v1/health", &[("authorization", &made_up)], ""));
    let answer = answer.expect("it answers");
    assert_eq!(answer.status, 503);
    assert!(!answer.body.contains("made to fail"), "{}", answer.body);
}
