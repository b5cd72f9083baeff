//! The API's word on why: `explain` of deliveries, commits and branches, a changed file tried on a past push,
//! runs started by hand, and the connected repositories.

use jiff::SignedDuration;
use pushway_core::commits::{CommitLine, CommitList, CommitRange};
use pushway_core::ids::CommitSha;
use pushway_core::run::Status;
use pushway_core::source::Trigger;
use pushway_tests::sim::people::{send, signed};
use pushway_tests::sim::story::{PIPELINE, Story, hook};
use serde_json::{Value, json};

fn ask(story: &Story, method: &str, path: &str, query: &[(&str, &str)], body: &Value) -> (u64, Value) {
    let query: Vec<String> = query.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let path = format!("{path}?{}", query.join("&"));
    let answer = send(&story.world(), &signed(method, "ada", &path, &[], &body.to_string()));
    let answer = answer.expect("it answers");
    (answer.status, answer.json())
}

fn explain(story: &Story, query: &[(&str, &str)]) -> Value {
    let kind = query.last().expect("what to explain").0;
    let (status, body) = ask(story, "GET", &format!("/v1/explain/{kind}"), query, &Value::Null);
    assert_eq!(status, 200, "{body}");
    body
}

fn of_hook<'a>(name: &'a str, value: &'a str) -> [(&'a str, &'a str); 3] {
    [("provider", "github"), ("hook", "web"), (name, value)]
}

#[test]
fn every_delivery_commit_and_branch_is_explained_by_the_rule_that_decided() {
    let mut story = Story::new();
    let wip = story.commit();
    story.push("wip/x", &wip);
    let main = story.commit();
    let run = story.push("main", &main);
    story.sim.run();
    let told = explain(&story, &of_hook("delivery", "delivery-1"));
    let because = told["explanations"][0]["because"].as_str().unwrap();
    assert!(because.starts_with("ignored: ") && because.contains("wip/x"), "{because}");
    let told = explain(&story, &[("commit", main.as_str())]);
    assert_eq!(told["explanations"][0]["run"], json!(run));
    let because = told["explanations"][0]["because"].as_str().unwrap();
    assert!(because.starts_with("started: ") && because.contains("main"), "{because}");
    let told = explain(&story, &of_hook("ref", "refs/heads/main"));
    assert_eq!((&told["head"]["commit"], &told["head"]["run"]), (&json!(main), &json!(run)));
    assert_eq!(told["explanations"][0]["status"], "succeeded");
    let (status, problem) =
        ask(&story, "GET", "/v1/explain/delivery", &of_hook("delivery", "never-came"), &Value::Null);
    assert_eq!(status, 404);
    assert!(problem["detail"].as_str().unwrap().contains("never arrived"), "{problem}");
}

#[test]
fn a_changed_file_is_tried_on_a_past_push_and_starts_nothing() {
    let mut story = Story::new();
    let commit = story.commit();
    let run = story.push("main", &commit);
    story.sim.run();
    let runs = story.world().runs().len();
    let attempt = |file: &str| {
        let trial = json!({ "run": run, "path": "pushway.yml", "file": file });
        let (status, body) = ask(&story, "POST", "/v1/explain", &[], &trial);
        assert_eq!(status, 200, "{body}");
        (body["would"].as_str().unwrap().to_owned(), body["because"].as_str().unwrap().to_owned())
    };
    assert_eq!(attempt(PIPELINE).0, "run");
    let (would, because) = attempt(&PIPELINE.replace("main, ", "trunk, "));
    assert!(would == "ignore" && because.contains("trunk"), "{because}");
    let (would, because) = attempt("version: 1\npipelin: x\n");
    assert!(would == "reject" && because.contains("pipelin"), "{because}");
    assert_eq!(story.world().runs().len(), runs);
}

#[test]
fn a_person_starts_a_commit_with_variables_once_for_each_key_and_only_with_declared_ones() {
    let mut story = Story::new();
    let file = format!("{PIPELINE}variables: {{ LEVEL: info }}\n");
    let old = story.commit_with(&[("pushway.yml", &file)]);
    story.push("main", &old);
    story.sim.run();
    let new = story.commit_with(&[("pushway.yml", &file)]);
    story.push("main", &new);
    story.sim.run();
    let order = |variables: Value| json!({ "provider": "github", "hook": "web", "ref": "refs/heads/main", "commit": old, "variables": variables });
    // What the forge does not know to lie on the branch is not run in its name: a fork's commit, say.
    let (status, refused) = ask(&story, "POST", "/v1/runs", &[], &order(json!({})));
    assert_eq!(status, 409);
    assert!(refused["detail"].as_str().unwrap().contains("can't be told"), "{refused}");
    let line = |commit: &CommitSha| CommitList::of([CommitLine::new(commit.clone(), "m", "a")]);
    let parted = CommitRange::between(line(&new), line(&old)).unwrap();
    story.world().set_commits(&old, &new, parted);
    let (status, refused) = ask(&story, "POST", "/v1/runs", &[], &order(json!({})));
    assert_eq!(status, 409);
    assert!(refused["detail"].as_str().unwrap().contains("is no part of refs/heads/main"), "{refused}");
    let range = CommitRange::between(line(&new), CommitList::default()).unwrap();
    story.world().set_commits(&old, &new, range);
    let (status, started) = ask(&story, "POST", "/v1/runs", &[], &order(json!({ "LEVEL": "debug" })));
    assert_eq!((status, &started["new"]), (202, &json!(true)));
    let (status, again) = ask(&story, "POST", "/v1/runs", &[], &order(json!({ "LEVEL": "debug" })));
    assert_eq!((status, &again["run_id"]), (200, &started["run_id"]), "one request, one run");
    story.sim.run();
    story.check();
    let run = story.run(started["run_id"].as_str().unwrap().parse().unwrap());
    assert_eq!((run.status, &run.source.commit), (Status::Succeeded, &old), "an old commit, on demand");
    assert!(matches!(run.source.trigger, Trigger::Manual { .. }));
    for (wrong, what) in [
        (json!({ "provider": "github", "hook": "none", "ref": "refs/heads/main" }), 404),
        (json!({ "provider": "github", "hook": "web", "ref": "refs/heads/none" }), 404),
        (json!({ "provider": "github", "hook": "web", "ref": "main" }), 400),
        // A pull request's code is let in commit by commit, and never trusted (rows A19, A20).
        (json!({ "provider": "github", "hook": "web", "ref": "refs/pull/7/head" }), 400),
        (json!({ "provider": "github", "hook": "web", "ref": "refs/heads/main", "x": 1 }), 400),
    ] {
        assert_eq!(ask(&story, "POST", "/v1/runs", &[], &wrong).0, what, "{wrong}");
    }
}

#[test]
fn a_key_of_one_caller_or_request_is_no_other_ones() {
    let mut story = Story::new();
    for branch in ["main", "release"] {
        let commit = story.commit();
        story.push(branch, &commit);
    }
    story.sim.run();
    let start = |who: &str, branch: &str| {
        let order = json!({ "provider": "github", "hook": "web", "ref": format!("refs/heads/{branch}") });
        let request = signed("POST", who, "/v1/runs", &[("idempotency-key", "nightly")], &order.to_string());
        send(&story.world(), &request).expect("it answers")
    };
    let first = start("ada", "main");
    let other = start("bob", "release");
    let third = start("bob", "main");
    assert_eq!((first.status, other.status, third.status), (202, 202, 422));
    assert_ne!(first.json()["run_id"], other.json()["run_id"]);
    // Once the reply is forgotten, another request under the key is a new one, and the same one is still that run.
    story.world().advance(SignedDuration::from_hours(25));
    let (later, again) = (start("bob", "main"), start("ada", "main"));
    assert_eq!((later.status, again.status), (202, 200));
    assert_eq!(again.json()["run_id"], first.json()["run_id"]);
    // Who wanted what, and which run that made.
    let noted = story.world().audit().into_iter().find(|entry| entry.by.ends_with("/bob")).unwrap();
    assert!(noted.asked.unwrap().contains("refs/heads/release"));
    assert_eq!(noted.run.map(|run| json!(run)), Some(other.json()["run_id"].clone()));
}

#[test]
fn repositories_show_how_well_they_are_looked_after_and_no_name_of_a_secret() {
    let mut story = Story::new();
    story.world().reconcile_from_now(&hook());
    story.sim.run_for(SignedDuration::from_mins(3));
    let (status, body) = ask(&story, "GET", "/v1/repositories", &[], &Value::Null);
    assert_eq!(status, 200);
    let shown = &body["repositories"][0];
    assert_eq!((&shown["repository"], &shown["found"]), (&json!("acme/web"), &json!(0)));
    assert!(shown["reconciled_at"].is_string() && shown["problem"].is_null(), "{shown}");
    assert!(!body.to_string().contains("pushway/web"), "{body}");
}

#[test]
fn the_schema_of_pipeline_files_is_served() {
    let story = Story::new();
    let (status, schema) = ask(&story, "GET", "/schema/pushway.schema.json", &[], &Value::Null);
    assert_eq!(status, 200);
    assert!(schema["properties"]["concurrency"].is_object());
}
