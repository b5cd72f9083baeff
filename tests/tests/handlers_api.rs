//! The API: what can be asked about runs, and what is answered to questions that make no sense.

use aws_lambda_events::event::apigw::ApiGatewayV2httpRequest;
use pushway_core::fact::LogPointer;
use pushway_core::testing::Injected;
use pushway_tests::sim::block_on;
use pushway_tests::sim::story::Story;
use serde_json::{Value, json};

fn request(method: &str, path: &str, query: &[(&str, &str)]) -> ApiGatewayV2httpRequest {
    let mut request = ApiGatewayV2httpRequest::default();
    request.raw_path = Some(path.into());
    request.request_context.http.method = method.parse().expect("a method");
    let query = query.iter().map(|(name, value)| ((*name).to_owned(), vec![(*value).to_owned()]));
    request.query_string_parameters = query.collect::<std::collections::HashMap<_, _>>().into();
    request
}

fn ask(story: &Story, method: &str, path: &str, query: &[(&str, &str)]) -> (i64, Value) {
    let response = block_on(api::handle(story.world().as_ref(), request(method, path, query)));
    let response = serde_json::to_value(response.expect("it answers")).expect("it is JSON");
    let body = response["body"].as_str().expect("a body");
    (response["statusCode"].as_i64().expect("a status"), serde_json::from_str(body).expect("it is JSON"))
}

fn get(story: &Story, path: &str) -> (i64, Value) {
    ask(story, "GET", path, &[])
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
    let (_, rest) = ask(&story, "GET", &path, &[("cursor", page["next"].as_str().unwrap())]);
    assert_eq!((rest["lines"].as_array().unwrap().len(), &rest["over"]), (0, &json!(true)));
}

#[test]
fn the_list_is_newest_first_and_its_pages_leave_nothing_out() {
    let mut story = Story::new();
    let mut ids = Vec::new();
    for _ in 0..7 {
        story.world().advance(jiff::SignedDuration::from_secs(1));
        ids.insert(0, story.play().id.to_string());
    }
    let (mut seen, mut before) = (Vec::new(), None::<String>);
    loop {
        let query: Vec<(&str, &str)> =
            [("limit", "3")].into_iter().chain(before.iter().map(|id| ("before", id.as_str()))).collect();
        let (_, page) = ask(&story, "GET", "/v1/runs", &query);
        seen.extend(
            page["runs"].as_array().unwrap().iter().map(|run| run["id"].as_str().unwrap().to_owned()),
        );
        match page["next"].as_str() {
            Some(next) => before = Some(next.to_owned()),
            None => break,
        }
    }
    assert_eq!(seen, ids);
    let (_, none) = ask(&story, "GET", "/v1/runs", &[("pipeline", "other")]);
    assert_eq!(none["runs"], json!([]));
}

#[test]
fn a30_questions_that_make_no_sense_are_refused_and_unknown_runs_are_absent() {
    let mut story = Story::new();
    let run = story.play();
    let absent = RUN_OF_NOBODY;
    for (status, method, path, query) in [
        (404, "GET", "/", vec![]),
        (404, "GET", "/v1/runs/x", vec![]),
        (404, "GET", &format!("/v1/runs/{absent}"), vec![]),
        (404, "GET", &format!("/v1/runs/{absent}/journal"), vec![]),
        (404, "GET", &format!("/v1/runs/{}/jobs/test/none/log", run.id), vec![]),
        (404, "GET", &format!("/v1/runs/{}/jobs/deploy/unit/log", run.id), vec![]),
        (400, "POST", "/v1/runs", vec![]),
        (405, "POST", "/v1/runs/x", vec![]),
        (400, "GET", "/v1/explain", vec![]),
        (404, "GET", "/v1/explain", vec![("provider", "git"), ("hook", "none"), ("delivery", "x")]),
        (405, "DELETE", &format!("/v1/runs/{}", run.id), vec![]),
        (400, "GET", "/v1/runs", vec![("limit", "0")]),
        (400, "GET", "/v1/runs", vec![("limit", "101")]),
        (400, "GET", "/v1/runs", vec![("limit", "-1")]),
        (400, "GET", "/v1/runs", vec![("before", "yesterday")]),
        (400, "GET", "/v1/runs", vec![("pipeline", "A#B")]),
    ] {
        let (answered, body) = ask(&story, method, path, &query);
        assert_eq!(answered, status, "{method} {path} {query:?}: {body}");
        assert!(body["detail"].as_str().is_some_and(|detail| !detail.is_empty()));
    }
}

const RUN_OF_NOBODY: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

#[test]
fn a_table_that_does_not_answer_is_told_without_its_inner_words() {
    let story = Story::new();
    assert_eq!(get(&story, "/v1/health").0, 200);
    story.world().inject_on("list", 1, Injected::Permanent);
    let (status, body) = get(&story, "/v1/health");
    assert_eq!(status, 503);
    assert!(!body.to_string().contains("made to fail"), "{body}");
}
