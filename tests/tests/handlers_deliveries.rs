//! Deliveries: what starts a run, what does not, and what is refused before anything is written.

use pushway_core::ports::Clock as _;
use pushway_core::run::Status;
use pushway_core::signature::{Secret, sign_standard};
use pushway_core::source::{Hook, Provider};
use pushway_tests::sim::story::{Post, SECRET, Story, hook, parse, push_body};
use serde_json::{Value, json};

const ZERO: &str = "0000000000000000000000000000000000000000";

fn nothing_was_written(story: &Story) {
    let world = story.world();
    assert_eq!((world.runs().len(), world.delivery_count(), world.execution_count()), (0, 0, 0));
}

#[test]
fn f1_a_delivery_that_comes_fifty_times_is_one_run() {
    let mut story = Story::new();
    let commit = story.commit();
    let post = story.post_of("main", &commit);
    let first = story.send(&post).unwrap();
    assert_eq!((first.status, first.body["new"].clone()), (202, json!(true)));
    for _ in 1..50 {
        let again = story.send(&post).unwrap();
        assert_eq!((again.status, again.run(), again.body["new"].clone()), (200, first.run(), json!(false)));
    }
    story.sim.run();
    story.check();
    let again = story.send(&post).unwrap();
    assert_eq!(again.run(), first.run(), "after its end too");
    assert_eq!((story.world().execution_count(), story.world().builds().len()), (1, 2));
}

#[test]
fn the_same_commit_on_another_branch_is_another_run() {
    let mut story = Story::new();
    let commit = story.commit();
    assert_ne!(story.push("main", &commit), story.push("release/1", &commit));
}

#[test]
fn a1_forged_signatures_and_unknown_hooks_get_one_and_the_same_answer() {
    let mut story = Story::new();
    let commit = story.commit();
    let good = story.post_of("main", &commit);
    let right = good.headers[2].1.clone();
    let with = |signature: Option<&str>| {
        let mut post = good.clone();
        post.headers.truncate(2);
        post.headers.extend(signature.map(|text| ("x-hub-signature-256".to_owned(), text.to_owned())));
        post
    };
    let upper = right.to_uppercase();
    let bare = right.trim_start_matches("sha256=").to_owned();
    let mut twice = good.clone();
    twice.headers.push(good.headers[2].clone());
    let mut unknown = good.clone();
    unknown.hook = "nobody".into();
    let forged = [
        with(None),
        with(Some("")),
        with(Some("sha1=00")),
        with(Some(&upper)),
        with(Some(&bare)),
        with(Some(&right[..70])),
        with(Some(&format!("{right}0"))),
        twice,
        unknown,
    ];
    let answers: Vec<_> = forged.iter().map(|post| story.send(post).unwrap()).collect();
    assert!(answers.iter().all(|answer| answer.status == 401 && *answer == answers[0]), "{answers:?}");
    nothing_was_written(&story);
}

#[test]
fn a2_a_body_is_compared_as_it_came_and_decoded_only_where_api_gateway_says_so() {
    use base64::Engine as _;
    let mut story = Story::new();
    let commit = story.commit();
    let good = story.post_of("main", &commit);
    let reordered = Post { body: format!("{} ", good.body), ..good.clone() };
    assert_eq!(story.send(&reordered).unwrap().status, 401);
    let encoded = base64::engine::general_purpose::STANDARD.encode(&good.body);
    let lies = [
        (Post { body: encoded.clone(), ..good.clone() }, 401),
        (Post { is_base64: true, ..good.clone() }, 400),
    ];
    for (post, status) in lies {
        assert_eq!(story.send(&post).unwrap().status, status);
    }
    nothing_was_written(&story);
    assert_eq!(story.send(&Post { body: encoded, is_base64: true, ..good }).unwrap().status, 202);
}

#[test]
fn a4_a_push_that_is_called_another_event_starts_nothing() {
    let story = Story::new();
    let body = push_body("main", &parse(&"a".repeat(40))).to_string();
    for event in ["release", "Push", "push ", ""] {
        let answered =
            story.send(&Post::github(event, &format!("d-{}", event.len()), &body, SECRET)).unwrap();
        assert_eq!(answered.status, 200, "{event:?}: a hook that answers 4xx is turned off");
        assert!(answered.body["ignored"].is_string());
    }
    let release = json!({ "action": "published", "release": {} }).to_string();
    let answered = story.send(&Post::github("push", "d9", &release, SECRET)).unwrap();
    assert_eq!(answered.status, 400);
    assert_eq!(story.world().runs(), []);
}

#[test]
fn a13_a_ping_is_answered_well() {
    let story = Story::new();
    let answered = story.send(&Post::github("ping", "d1", "{\"zen\":\"x\"}", SECRET)).unwrap();
    assert_eq!((answered.status, answered.body), (200, json!({ "ignored": "ping: the hook works" })));
}

#[test]
fn unknown_providers_are_not_found() {
    let mut story = Story::new();
    let commit = story.commit();
    for provider in ["sourcehut", "codecommit", "GITHUB", "", "../github"] {
        let post = Post { provider: provider.into(), ..story.post_of("main", &commit) };
        assert_eq!(story.send(&post).unwrap().status, 404, "{provider}");
    }
    nothing_was_written(&story);
}

/// A delivery of a plain git server, which carries the files with it.
fn git_post(story: &Story, delivery: &str, body: &Value, age: i64) -> Post {
    let body = body.to_string();
    let stamp = (story.world().now().as_second() - age).to_string();
    let secret = Secret::new(SECRET).expect("it is not empty");
    let signature = sign_standard(&secret, delivery, &stamp, body.as_bytes());
    let headers =
        [("webhook-id", delivery), ("webhook-timestamp", &stamp), ("webhook-signature", &signature)];
    Post {
        provider: "git".into(),
        hook: "plain".into(),
        headers: headers.map(|(name, value)| (name.into(), value.into())).into(),
        body,
        is_base64: false,
    }
}

fn plain_git() -> (Story, Value) {
    let story = Story::new();
    story.world().add_hook(Hook {
        id: parse("plain"),
        provider: Provider::Git,
        repository_id: None,
        clone_url: "http://127.0.0.1/web.git".into(),
        ..hook()
    });
    let files = json!({
        "pushway.yml": pushway_tests::sim::story::PIPELINE,
        "buildspec.yml": "version: 0.2",
        "ci/unit.yml": "version: 0.2",
    });
    let body = json!({
        "repository": "acme/web", "ref": "refs/heads/main", "before": ZERO, "after": "b".repeat(40), "files": files,
    });
    (story, body)
}

#[test]
fn a_plain_git_servers_push_runs_by_the_files_it_carried() {
    let (mut story, body) = plain_git();
    let post = git_post(&story, "d1", &body, 0);
    let id = story.send(&post).unwrap().run();
    story.sim.run();
    story.check();
    assert_eq!(story.run(id).status, Status::Succeeded, "{:?}", story.run(id).cause);
}

#[test]
fn a3_a5_a_stale_stamp_is_refused() {
    let (story, body) = plain_git();
    for age in [301, -301, 86_400] {
        assert_eq!(story.send(&git_post(&story, "d1", &body, age)).unwrap().status, 401, "{age} s");
    }
    nothing_was_written(&story);
}

#[test]
fn a25_files_of_a_delivery_can_not_leave_the_repository() {
    let (story, mut body) = plain_git();
    for path in ["../x", "/etc/passwd", "a/../../x", "a\\b", "a\u{0}b", ""] {
        body["files"] = json!({ path: "x" });
        assert_eq!(story.send(&git_post(&story, "d1", &body, 0)).unwrap().status, 400, "{path:?}");
    }
    body["files"] = json!({ "pushway.yml": "x".repeat(300 * 1024) });
    assert_eq!(story.send(&git_post(&story, "d1", &body, 0)).unwrap().status, 400);
    nothing_was_written(&story);
}

#[test]
fn f5_f25_what_can_not_be_recorded_is_not_acknowledged_and_comes_again() {
    use pushway_core::testing::Injected;
    let mut story = Story::new();
    let commit = story.commit();
    let post = story.post_of("main", &commit);
    story.world().inject_on("record_run", 1, Injected::Retryable);
    assert_eq!(story.send(&post).unwrap().status, 503);
    nothing_was_written(&story);
    // The answer of the second try is lost: the third finds what it has written.
    story.world().inject_on("record_run", 1, Injected::AnswerLost);
    assert_eq!(story.send(&post).unwrap().status, 503);
    let answered = story.send(&post).unwrap();
    assert_eq!((answered.status, answered.body["new"].clone()), (200, json!(false)));
    assert_eq!(story.world().runs().len(), 1);
    // No execution was started for it: the sweep makes up for that.
    assert_eq!(story.world().execution_count(), 0);
    story.sim.run();
    story.check();
    assert_eq!(story.run(answered.run()).status, Status::Succeeded);
}
