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
fn f2_a3_the_same_push_under_new_delivery_ids_is_one_run_even_months_later() {
    let mut story = Story::new();
    let commit = story.commit();
    let first = story.push("main", &commit);
    for days in [0, 4, 89] {
        story.world().advance(jiff::SignedDuration::from_hours(24 * days));
        assert_eq!(story.push("main", &commit), first);
    }
    assert_eq!(story.world().runs().len(), 1);
}

#[test]
fn the_same_commit_on_another_branch_is_another_run() {
    let mut story = Story::new();
    let commit = story.commit();
    assert_ne!(story.push("main", &commit), story.push("release/1", &commit));
}

#[test]
fn a8_a_delivery_of_another_repository_is_refused_even_with_a_good_signature() {
    let story = Story::new();
    for (id, name) in [(43, "acme/web"), (42, "acme/other"), (43, "evil/web")] {
        let mut body = push_body("main", &parse(&"a".repeat(40)));
        body["repository"] = json!({ "id": id, "full_name": name });
        let answered = story.send(&Post::github("push", "d1", &body.to_string(), SECRET)).unwrap();
        assert_eq!(answered.status, 400, "{name} {id}: {:?}", answered.body);
        nothing_was_written(&story);
    }
}

#[test]
fn a8_another_hooks_secret_opens_nothing() {
    let story = Story::new();
    let world = story.world();
    world.add_secret("pushway/other", "other");
    world.add_hook(Hook {
        id: parse("other"),
        repository: "acme/other".into(),
        repository_id: Some(parse("7")),
        secret: Some("pushway/other".into()),
        ..hook()
    });
    let body = push_body("main", &parse(&"a".repeat(40))).to_string();
    let answered = story.send(&Post::github("push", "d1", &body, "other")).unwrap();
    assert_eq!(answered.status, 401);
    nothing_was_written(&story);
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
    for event in ["release", "pull_request", "Push", "push ", ""] {
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
fn a_deleted_branch_starts_nothing() {
    let story = Story::new();
    let mut body = push_body("main", &parse(ZERO));
    body["deleted"] = json!(true);
    body["head_commit"] = Value::Null;
    let answered = story.send(&Post::github("push", "d1", &body.to_string(), SECRET)).unwrap();
    assert_eq!(answered.body, json!({ "ignored": "refs/heads/main was deleted; there is nothing to run" }));
    assert_eq!(story.world().runs(), []);
}

#[test]
fn a10_an_oversize_body_is_refused_before_it_is_read() {
    let story = Story::new();
    let body = format!("{{\"x\":\"{}\"}}", "y".repeat(5 * 1024 * 1024));
    let answered = story.send(&Post::github("push", "d1", &body, SECRET)).unwrap();
    assert_eq!(answered.status, 413);
    nothing_was_written(&story);
}

#[test]
fn a11_a12_bodies_that_are_no_push_are_refused_without_a_write() {
    let story = Story::new();
    let good = push_body("main", &parse(&"a".repeat(40)));
    let with = |key: &str, value: Value| {
        let mut body = good.clone();
        body[key] = value;
        body.to_string()
    };
    let mut without_after = good.clone();
    without_after.as_object_mut().unwrap().remove("after");
    let bodies = [
        String::new(),
        "{".into(),
        "null".into(),
        "[]".into(),
        "payload=%7B%7D".into(),
        format!("{}{}", "[".repeat(100_000), "]".repeat(100_000)),
        "\u{feff}{}".into(),
        r#"{"ref":"\ud800"}"#.into(),
        without_after.to_string(),
        with("after", json!(1e300)),
        with("after", json!("main")),
        with("after", json!("A".repeat(40))),
        with("before", json!("zz")),
        with("ref", json!("main")),
        with("ref", json!("refs/heads/a..b")),
        with("ref", json!("refs/heads/zzz\";echo${IFS}\"hello\";#\u{7}")),
        with("ref", json!(format!("refs/heads/{}", "x".repeat(300)))),
        with("deleted", json!("no")),
        with("head_commit", Value::Null),
        with("head_commit", json!({ "id": "b".repeat(40), "author": {} })),
        with("repository", json!({ "id": -1, "full_name": "acme/web" })),
        with("repository", json!({ "id": 1.5, "full_name": "acme/web" })),
        good.to_string().replacen("\"ref\"", "\"ref\":\"refs/heads/x\",\"ref\"", 1),
        good.to_string().replacen("42", "18446744073709551617", 1),
    ];
    for (number, body) in bodies.iter().enumerate() {
        let answered = story.send(&Post::github("push", "d1", body, SECRET)).unwrap();
        let start: String = body.chars().take(80).collect();
        assert_eq!(answered.status, 400, "{number} {start}: {:?}", answered.body);
    }
    for delivery in ["", "d 1", &"d".repeat(129)] {
        let answered = story.send(&Post::github("push", delivery, &good.to_string(), SECRET)).unwrap();
        assert_eq!(answered.status, 400, "delivery {delivery:?}");
    }
    nothing_was_written(&story);
}

#[test]
fn a14_a_branch_that_looks_like_shell_is_inert_data() {
    let mut story = Story::new();
    let commit = story.commit();
    let branch = "release/$(id)`id`;echo${IFS}x;'\"&&#";
    let id = story.push(branch, &commit);
    story.sim.run();
    story.check();
    let run = story.run(id);
    assert_eq!(run.status, Status::Succeeded, "{:?}", run.cause);
    for build in story.world().builds() {
        assert_eq!(build.request.variables["PUSHWAY_BRANCH"], branch);
    }
}

#[test]
fn unknown_providers_are_not_found() {
    let mut story = Story::new();
    let commit = story.commit();
    for provider in ["gitlab", "codecommit", "GITHUB", "", "../github"] {
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
