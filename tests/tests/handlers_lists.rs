//! Lists and what is deployed where, as the API answers them: filters, pages, commits, pipelines, environments.

use jiff::SignedDuration;
use pushway_core::run::Run;
use pushway_tests::sim::people::{send, signed};
use pushway_tests::sim::story::Story;
use serde_json::{Value, json};

fn ask(story: &Story, path: &str, query: &[(&str, &str)]) -> (u64, Value) {
    let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
    let request = signed("GET", "ada", &format!("{path}?{query}"), &[], "");
    let answer = send(&story.world(), &request).expect("it answers");
    (answer.status, answer.json())
}

fn get(story: &Story, path: &str, query: &[(&str, &str)]) -> Value {
    let (status, body) = ask(story, path, query);
    assert_eq!(status, 200, "{path} {query:?}: {body}");
    body
}

fn ids(page: &Value) -> Vec<String> {
    let id = |run: &Value| run["id"].as_str().expect("an id").to_owned();
    page["runs"].as_array().expect("runs").iter().map(id).collect()
}

/// A story with three runs, a minute apart, oldest first.
fn three() -> (Story, [Run; 3]) {
    let mut story = Story::new();
    let runs = std::array::from_fn(|_| {
        story.world().advance(SignedDuration::from_mins(1));
        story.play()
    });
    (story, runs)
}

#[test]
fn every_filter_finds_the_runs_it_names_and_no_others() {
    let (story, [first, second, third]) = three();
    let all = [&third, &second, &first].map(|run| run.id.to_string());
    let short = second.source.git_ref.short().to_owned();
    let (commit, author) = (second.source.commit.to_string(), second.source.author.to_uppercase());
    let at = second.received_at.to_string();
    for (query, wanted) in [
        (vec![], &all[..]),
        (vec![("pipeline", "web")], &all[..]),
        (vec![("pipeline", "other")], &[]),
        (vec![("branch", short.as_str())], &all[..]),
        (vec![("branch", second.source.git_ref.as_str()), ("pipeline", "web")], &all[..]),
        (vec![("branch", "refs/tags/main"), ("pipeline", "web")], &[]),
        (vec![("commit", commit.as_str()), ("limit", "1")], &all[1..2]),
        (vec![("author", author.as_str())], &all[..]),
        (vec![("author", "' OR '1'='1")], &[]),
        (vec![("status", "succeeded")], &all[..]),
        (vec![("status", "failed")], &[]),
        (vec![("environment", "staging")], &all[..]),
        (vec![("environment", "elsewhere")], &[]),
        (vec![("since", at.as_str())], &all[..2]),
        (vec![("until", at.as_str())], &all[2..]),
        (vec![("since", at.as_str()), ("until", at.as_str())], &[]),
        (
            vec![("since", "2026-01-01T00:00:00Z"), ("until", "2126-01-01T00:00:00Z"), ("limit", "2")],
            &all[..2],
        ),
    ] {
        assert_eq!(ids(&get(&story, "/v1/runs", &query)), wanted, "{query:?}");
    }
    let run = &get(&story, "/v1/runs", &[])["runs"][0];
    assert_eq!(run["environments"], json!([{ "name": "staging", "state": "live" }]));
    assert!(run["duration_seconds"].as_u64().is_some_and(|seconds| seconds > 0), "{run}");
}

#[test]
fn a30_a_cursor_of_one_list_is_refused_by_every_other_one() {
    let (story, [first, second, third]) = three();
    let page = get(&story, "/v1/runs", &[("limit", "1"), ("pipeline", "web")]);
    assert_eq!(ids(&page), [third.id.to_string()]);
    let cursor = page["next"].as_str().unwrap();
    let on = get(&story, "/v1/runs", &[("limit", "5"), ("pipeline", "web"), ("cursor", cursor)]);
    assert_eq!(ids(&on), [second.id.to_string(), first.id.to_string()]);
    for (path, query) in [
        ("/v1/runs", vec![("cursor", cursor)]),
        ("/v1/runs", vec![("cursor", cursor), ("pipeline", "web"), ("status", "failed")]),
        ("/v1/environments", vec![("cursor", cursor), ("pipeline", "web")]),
        ("/v1/pipelines", vec![("cursor", cursor)]),
    ] {
        let (status, problem) = ask(&story, path, &query);
        assert_eq!(status, 404, "{path} {query:?}");
        assert!(problem["detail"].as_str().unwrap().contains("from its beginning"), "{problem}");
    }
}

#[test]
fn a_commit_a_pipeline_and_an_environment_tell_what_serves() {
    let (story, [first, second, third]) = three();
    let commit = get(&story, &format!("/v1/commits/{}", third.source.commit), &[]);
    let newest = &commit["deployments"][0];
    assert_eq!(
        (&newest["environment"], &newest["run"], &newest["replaced"]),
        (&json!("staging"), &json!(third.id), &Value::Null)
    );
    let commit = get(&story, &format!("/v1/commits/{}", first.source.commit), &[]);
    let replaced = &commit["deployments"][0]["replaced"];
    assert_eq!((&replaced["by"], &replaced["commit"]), (&json!(second.id), &json!(second.source.commit)));
    let pipelines = get(&story, "/v1/pipelines", &[]);
    let [web] = &pipelines["pipelines"].as_array().unwrap()[..] else { panic!("{pipelines}") };
    assert_eq!((&web["name"], &web["environments"]), (&json!("web"), &json!(["staging"])));
    assert_eq!(web["last_run"]["id"], json!(third.id));
    let web = get(&story, "/v1/pipelines/web", &[]);
    assert_eq!(web["environments"][0]["current"]["run"], json!(third.id));
    assert_eq!(web["runs"].as_array().unwrap().len(), 3);
    let all = get(&story, "/v1/environments", &[("limit", "1")]);
    assert_eq!(all["environments"][0]["current"]["commit"], json!(third.source.commit));
    assert_eq!((&all["environments"][0]["lock"], &all["next"]), (&Value::Null, &Value::Null));
    assert_eq!(get(&story, "/v1/environments", &[("pipeline", "other")])["environments"], json!([]));
}
