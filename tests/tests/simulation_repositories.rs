//! Repositories over time: connected anew, with files that contradict each other, with webhooks that are sick.

use jiff::SignedDuration;
use pushway_core::forge::HookHealth;
use pushway_core::ids::RunId;
use pushway_core::ports::HeadView;
use pushway_core::run::Status;
use pushway_core::source::{Hook, Provider, Trigger};
use pushway_core::testing::{Injected, digest_of};
use pushway_tests::sim::invoke;
use pushway_tests::sim::story::{PIPELINE, Post, SECRET, Story, hook, parse, push_body};
use serde_json::json;

#[test]
fn a_repository_that_is_connected_anew_deploys_as_before() {
    let mut story = Story::new();
    for _ in 0..3 {
        assert_eq!(story.play().status, Status::Succeeded);
    }
    // Another hook counts its pushes from the beginning.
    story.world().add_hook(Hook { id: parse("again"), ..hook() });
    let commit = story.commit();
    let mut post = story.post_of("main", &commit);
    post.hook = "again".into();
    let run = story.send(&post).unwrap().run();
    story.sim.run();
    story.check();
    assert_eq!(story.run(run).status, Status::Succeeded, "{:?}", story.run(run).overtaken);
    assert_eq!(story.serving(), [digest_of(&commit)]);
}

#[test]
fn two_files_that_name_one_pipeline_are_refused_together_and_neither_runs() {
    let mut story = Story::new();
    let commit = story.commit_with(&[("pushway.yml", PIPELINE), (".pushway/web.yml", PIPELINE)]);
    let run = story.push("main", &commit);
    story.sim.run();
    story.check();
    assert_eq!((story.world().runs().len(), story.run(run).status), (1, Status::Rejected));
    assert_eq!(story.world().builds().len(), 0);
    let cause = story.run(run).cause.unwrap();
    assert!(format!("{cause:?}").contains(".pushway/web.yml"), "{cause:?}");
}

/// Another repository, `acme/shop`, connected as `shop`.
fn shop() -> Hook {
    let (id, repository) = (parse("shop"), "acme/shop".to_owned());
    Hook { id, repository, repository_id: Some(parse("43")), ..hook() }
}

/// Pushes to main of `acme/shop` a commit with the usual files.
fn push_to_shop(story: &mut Story) -> RunId {
    let commit = story.commit();
    let mut body = push_body("main", &commit);
    body["repository"] = json!({ "id": 43, "full_name": "acme/shop" });
    let mut post = Post::github("push", &format!("shop-{commit}"), &body.to_string(), SECRET);
    post.hook = "shop".into();
    story.send(&post).expect("it is taken").run()
}

#[test]
fn a_pipelines_name_is_one_repositorys_until_that_is_disconnected() {
    let mut story = Story::new();
    story.world().add_hook(shop());
    let run = story.play();
    assert_eq!(run.status, Status::Succeeded);
    let refused = push_to_shop(&mut story);
    story.sim.run();
    story.check();
    let refused = story.run(refused);
    assert_eq!((refused.status, refused.pipeline), (Status::Rejected, None));
    let cause = refused.cause.unwrap();
    assert!(cause.summary.contains("the pipeline name web belongs to acme/web on github"), "{cause:?}");
    assert!(cause.advice.contains("disconnect acme/web on github"), "{cause:?}");
    assert_eq!(story.serving(), [digest_of(&run.source.commit)]);

    // Under another hook the repository has what it had; that one keeps the name when the first is gone.
    story.world().add_hook(Hook { id: parse("again"), ..hook() });
    let commit = story.commit();
    let mut post = story.post_of("main", &commit);
    post.hook = "again".into();
    story.send(&post).unwrap();
    story.sim.run();
    story.world().remove_hook(Provider::Github, "web");
    let refused = push_to_shop(&mut story);
    story.sim.run();
    assert_eq!(story.run(refused).status, Status::Rejected);

    // A hook that connects something else by now holds nothing.
    story.world().add_hook(Hook { id: parse("again"), repository: "acme/docs".into(), ..hook() });
    let taken = push_to_shop(&mut story);
    story.sim.run();
    story.check();
    assert_eq!(story.run(taken).status, Status::Succeeded);
    story.world().add_hook(hook());
    let late = story.play();
    assert_eq!(late.status, Status::Rejected, "the name has passed on");
    assert!(late.cause.unwrap().summary.contains("acme/shop on github"));
}

#[test]
fn a_run_that_can_not_start_claims_no_name() {
    let mut story = Story::new();
    story.world().add_hook(shop());
    let wrong = PIPELINE.replace("buildspec.yml", "absent.yml");
    let commit = story.commit_with(&[("pushway.yml", &wrong)]);
    assert_eq!(story.play_commit(&commit).status, Status::Rejected);
    let run = push_to_shop(&mut story);
    story.sim.run();
    assert_eq!(story.run(run).status, Status::Succeeded);
}

#[test]
fn a15_a_clone_url_that_no_one_could_have_connected_starts_no_build() {
    for url in ["--upload-pack=x", "ext::sh -c x", "file:///srv/other.git", "http://example.com/web.git", ""]
    {
        let mut story = Story::new();
        // Someone has changed the record by hand.
        story.world().add_hook(Hook { clone_url: url.into(), ..hook() });
        let run = story.play();
        assert_eq!((run.status, story.world().builds().len()), (Status::Failed, 0), "{url}");
        let summary = run.cause.unwrap().summary;
        assert!(summary.contains("clone URL") && summary.contains("connect the repository"), "{summary}");
    }
}

#[test]
fn a_schedule_that_was_due_before_a_push_never_goes_over_it() {
    let mut story = Story::new();
    let file = PIPELINE.replace("  push:", "  schedule: [\"rate(1 hour)\"]\n  push:");
    let (old, new) =
        (story.commit_with(&[("pushway.yml", &file)]), story.commit_with(&[("pushway.yml", &file)]));
    story.push("main", &old);
    story.sim.run();
    // The schedule is due, and the sweep sees it, while the newer push is recorded and not planned yet.
    story.push("main", &new);
    story.world().advance(SignedDuration::from_mins(61));
    invoke(&story.world(), "sweep", json!({})).unwrap();
    let runs = story.world().runs();
    let scheduled = runs.iter().find(|run| matches!(run.source.trigger, Trigger::Schedule { .. })).unwrap();
    assert_eq!(scheduled.source.commit, old, "the case is what it should be");
    story.sim.run();
    story.check();
    assert_eq!(story.serving(), [digest_of(&new)], "the newer push serves in the end");
}

#[test]
fn f4_a_webhook_that_can_not_be_looked_at_keeps_no_lost_push_from_being_found() {
    let mut story = Story::new();
    let watched = Hook { forge_hook: Some("7".into()), ..hook() };
    story.world().add_hook(watched.clone());
    story.world().reconcile_from_now(&watched);
    story.world().inject_on("hook_health", 1_000, Injected::Permanent);
    story.sim.run_for(SignedDuration::from_secs(61));
    let commit = story.commit();
    let head = HeadView { commit: commit.clone(), message: "m".into(), author: "Ada".into() };
    story.world().set_head(&parse("refs/heads/main"), Some(head));
    story.sim.run_for(SignedDuration::from_mins(5));
    assert!(story.world().runs().iter().any(|run| run.source.commit == commit));
    let known = story.world().stored_reconciliation(&watched).unwrap();
    assert!(matches!(known.health, HookHealth::Failing { .. }), "{:?}", known.health);
    assert_eq!(known.problem, None);
}
