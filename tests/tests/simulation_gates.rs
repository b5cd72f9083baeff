//! Stories of deploys that wait for people or their time, and of people who want an older version back.

use jiff::SignedDuration;
use pushway_core::ids::{CommitSha, RunId};
use pushway_core::run::{Run, Status};
use pushway_core::testing::{Behaviour, Manner, World};
use pushway_core::wait::Subject;
use pushway_tests::sim::people::{arn, get, post};
use pushway_tests::sim::story::{PIPELINE, Story, image_of, old_image, parse};
use serde_json::{Value, json};

/// The usual pipeline, whose environment says more.
fn pipeline(more: &str) -> String {
    format!("{PIPELINE}    {more}\n")
}

fn pushed(story: &mut Story, more: &str) -> (CommitSha, RunId) {
    let commit = story.commit_with(&[("pushway.yml", &pipeline(more))]);
    let run = story.push("main", &commit);
    (commit, run)
}

fn asks(world: &World, id: RunId) -> bool {
    let subject = |subject: &Subject| matches!(subject, Subject::Approval { run, .. } if *run == id);
    world.open_waits().iter().any(|wait| subject(&wait.subject))
}

/// Pushes, and plays until people are asked.
fn asked(story: &mut Story, more: &str) -> (CommitSha, RunId) {
    story.world().advance(SignedDuration::from_secs(1));
    let (commit, run) = pushed(story, more);
    story.sim.run_until(|world| asks(world, run));
    (commit, run)
}

fn say(story: &Story, who: &str, run: RunId, verb: &str, body: &Value) -> (u64, Value) {
    post(&story.world(), who, &format!("/v1/runs/{run}/environments/staging/{verb}"), body)
}

fn digest_of(story: &Story, run: RunId) -> String {
    story.run(run).environments[0].approval.as_ref().expect("it asks").request.digest.clone()
}

fn approve(story: &Story, who: &str, run: RunId) -> (u64, Value) {
    say(story, who, run, "approve", &json!({ "digest": digest_of(story, run) }))
}

fn cause(run: &Run) -> String {
    run.cause.as_ref().map(|cause| format!("{}: {}", cause.stage, cause.summary)).unwrap_or_default()
}

fn serves(story: &Story, commit: &CommitSha) -> bool {
    story.serving() == [image_of(commit).digest().to_string()]
}

fn roll_back(story: &Story, body: &Value) -> (u64, Value) {
    story.world().advance(SignedDuration::from_secs(1));
    post(&story.world(), "ada", "/v1/environments/web/staging/rollback", body)
}

const ASK: &str = "approval: { required: 1, timeout: 8h }";

#[test]
fn nothing_is_deployed_before_enough_different_people_have_approved_just_this() {
    let mut story = Story::new();
    let (commit, run) = asked(&mut story, "approval: { required: 2 }");
    story.sim.run_for(SignedDuration::from_hours(3));
    assert_eq!((story.movers().len(), story.run(run).status), (0, Status::Deploying));
    let (_, listed) = get(&story.world(), "/v1/approvals");
    let request = &listed["approvals"][0]["approval"]["request"];
    assert_eq!(request["images"]["web"], image_of(&commit).to_string());
    assert_eq!(listed["approvals"][0]["run_id"], run.to_string());

    let (status, problem) = say(&story, "ada", run, "approve", &json!({ "digest": "0".repeat(64) }));
    assert_eq!(status, 409, "{problem}");
    let (status, first) = approve(&story, "ada", run);
    assert_eq!((status, &first["granted"]), (200, &json!(false)));
    // The same person again is still one person.
    assert_eq!(approve(&story, "ada", run).1["granted"], false);
    assert_eq!(approve(&story, "bob", run).1["granted"], true);
    story.sim.run();
    story.check();
    let run = story.run(run);
    assert_eq!(run.status, Status::Succeeded, "{:?}", run.cause);
    assert!(serves(&story, &commit));
    let given = &run.environments[0].approval.as_ref().unwrap().given;
    assert_eq!(given.iter().map(|consent| consent.by.clone()).collect::<Vec<_>>(), [arn("ada"), arn("bob")]);
    assert_eq!(get(&story.world(), "/v1/approvals").1, json!({ "approvals": [], "pauses": [] }));
}

#[test]
fn a_deploy_that_is_rejected_or_forgotten_ends_its_run_and_says_who() {
    let mut story = Story::new();
    let (_, run) = asked(&mut story, ASK);
    assert_eq!(say(&story, "bob", run, "reject", &json!({ "reason": " " })).0, 400);
    assert_eq!(say(&story, "bob", run, "reject", &json!({ "reason": "not on a Friday" })).0, 200);
    story.sim.run();
    let rejected = story.run(run);
    assert_eq!(rejected.status, Status::Rejected);
    assert_eq!(
        cause(&rejected),
        format!("environment staging: {} rejected the deploy: not on a Friday", arn("bob"))
    );
    assert_eq!(approve(&story, "ada", run).0, 409, "what is over can't be approved");

    let (_, run) = asked(&mut story, ASK);
    let asked_at = story.run(run).updated_at;
    story.sim.run();
    story.check();
    let forgotten = story.run(run);
    assert_eq!(forgotten.status, Status::Rejected);
    assert!(cause(&forgotten).contains("0 of 1 approvals were given"), "{}", cause(&forgotten));
    let took = forgotten.updated_at.duration_since(asked_at);
    assert!(took >= SignedDuration::from_hours(8) && took < SignedDuration::from_hours(9), "{took}");
    assert_eq!(story.movers(), [""; 0]);
}

#[test]
fn a20_an_approval_is_void_once_a_newer_push_asks() {
    let mut story = Story::new();
    let (_, older) = asked(&mut story, ASK);
    let digest = digest_of(&story, older);
    let (commit, newer) = asked(&mut story, ASK);
    story.sim.run_for(SignedDuration::from_mins(2));
    let voided = story.run(older);
    assert_eq!((voided.status, voided.superseded_by), (Status::Superseded, Some(newer)));
    assert_eq!(say(&story, "ada", older, "approve", &json!({ "digest": digest })).0, 409);
    approve(&story, "ada", newer);
    story.sim.run();
    story.check();
    assert_eq!(story.run(newer).status, Status::Succeeded);
    assert!(serves(&story, &commit));
    assert_eq!(story.movers(), ["pushway"], "the older one was never deployed");
}

#[test]
fn who_waits_for_approval_keeps_no_one_from_the_environment() {
    let mut story = Story::new();
    let (_, waiting) = asked(&mut story, ASK);
    story.world().advance(SignedDuration::from_secs(1));
    let hotfix = story.commit_with(&[("pushway.yml", PIPELINE)]);
    let urgent = story.push("release/1", &hotfix);
    story.sim.run_for(SignedDuration::from_mins(5));
    assert_eq!(story.run(urgent).status, Status::Succeeded, "{:?}", story.run(urgent).cause);
    // Of another branch: the question stays open.
    assert!(asks(&story.world(), waiting));
    approve(&story, "ada", waiting);
    story.sim.run();
    story.check();
    assert_eq!(story.run(waiting).status, Status::Succeeded);
}

#[test]
fn f27_a_frozen_environment_takes_the_newest_push_once_it_is_thawed_and_a_rollback_at_once() {
    let mut story = Story::new();
    let (first, second) = (story.commit(), story.commit());
    story.play_commit(&first);
    story.world().advance(SignedDuration::from_secs(1));
    story.play_commit(&second);
    let freeze = |verb: &str, body: &Value| {
        post(&story.world(), "ada", &format!("/v1/environments/web/staging/{verb}"), body)
    };
    assert_eq!(freeze("freeze", &json!({})).0, 400, "a freeze without a reason helps nobody");
    assert_eq!(freeze("freeze", &json!({ "reason": "sale" })).1["freeze"]["by"], arn("ada"));
    let mut waiting = Vec::new();
    for _ in 0..2 {
        story.world().advance(SignedDuration::from_secs(1));
        let commit = story.commit();
        waiting.push((story.push("main", &commit), commit));
        story.sim.run_for(SignedDuration::from_mins(3));
    }
    // Two days: much longer than a lock is waited for.
    story.sim.run_for(SignedDuration::from_hours(48));
    let [(older, _), (newer, commit)] = &waiting[..] else { panic!("two wait") };
    assert_eq!(story.run(*older).status, Status::Superseded);
    let blocked = story.run(*newer).environments[0].blocked.clone().unwrap();
    assert!(blocked.contains("frozen") && blocked.contains("sale"), "{blocked}");
    assert!(serves(&story, &second));

    let (status, started) = roll_back(&story, &json!({ "reason": "checkout is broken" }));
    assert_eq!(status, 202, "{started}");
    story.sim.run_for(SignedDuration::from_mins(5));
    assert!(serves(&story, &first), "a rollback goes through a freeze");

    let thaw = post(&story.world(), "bob", "/v1/environments/web/staging/unfreeze", &json!({}));
    assert_eq!(thaw.1["was"]["reason"], "sale");
    story.sim.run();
    story.check();
    assert_eq!(story.run(*newer).status, Status::Succeeded, "{:?}", story.run(*newer).cause);
    assert!(serves(&story, commit));
}

#[test]
fn f27_two_pipelines_that_deploy_to_one_service_take_turns() {
    let mut story = Story::new();
    let other = PIPELINE.replace("pipeline: web", "pipeline: nightly").replace("staging", "live");
    let commit = story.commit_with(&[(".pushway/a.yml", PIPELINE), (".pushway/b.yml", &other)]);
    story.image_does(&commit, Behaviour::NeverStable);
    story.push("main", &commit);
    let mut seen = Vec::new();
    while !story.world().all_over() {
        story.sim.run_for(SignedDuration::from_secs(10));
        let deploys = |run: &&Run| run.environments.iter().any(|state| state.fence.is_some());
        let open = |run: &&Run| !run.status.is_terminal();
        let moving = story.world().runs().iter().filter(open).filter(deploys).count();
        assert!(moving <= 1, "{moving} runs at the service");
        let why = |run: &Run| run.environments.first().and_then(|state| state.blocked.clone());
        seen.extend(story.world().runs().iter().filter_map(why));
    }
    story.sim.run();
    story.check();
    assert!(seen.iter().any(|why| why.contains("deploys to service web for")), "{seen:?}");
    let statuses: Vec<_> = story.world().runs().iter().map(|run| run.status).collect();
    assert_eq!(statuses, [Status::RolledBack; 2], "neither is refused for the other");
}

#[test]
fn outside_of_its_windows_an_environment_waits_for_the_next_one() {
    let mut story = Story::new();
    // The world begins on Monday 2026-09-21 at 14:13 UTC.
    story.world().set_now("2026-09-25T20:00:00Z".parse().unwrap());
    let window = "windows: [{ days: mon-fri, from: \"09:00\", to: \"17:00\", timezone: Europe/Berlin }]";
    let (_, older) = pushed(&mut story, window);
    story.sim.run_for(SignedDuration::from_hours(10));
    let (commit, newer) = pushed(&mut story, window);
    story.sim.run_for(SignedDuration::from_hours(40));
    let blocked = story.run(newer).environments[0].blocked.clone().unwrap();
    assert!(blocked.contains("opens at 2026-09-28T07:00:00Z"), "{blocked}");
    assert_eq!(story.movers(), [""; 0]);
    story.sim.run();
    story.check();
    assert_eq!(story.run(older).status, Status::Superseded, "only the newest is wanted");
    let run = story.run(newer);
    assert_eq!(run.status, Status::Succeeded, "{:?}", run.cause);
    let end: jiff::Timestamp = "2026-09-28T07:05:00Z".parse().unwrap();
    assert!(run.updated_at < end, "{}", run.updated_at);
    assert!(serves(&story, &commit));
}

#[test]
fn f37_a_rollback_brings_any_kept_good_version_back_and_holds_no_newer_push_up() {
    let mut story = Story::new();
    let commits: Vec<_> = (0..3).map(|_| story.commit()).collect();
    let runs: Vec<_> = commits
        .iter()
        .map(|commit| {
            story.world().advance(SignedDuration::from_secs(1));
            story.play_commit(commit)
        })
        .collect();
    let definition = |run: &Run| run.environments[0].rollout.as_ref().unwrap().task_definition.clone();

    // To the one before by default, then to the oldest by name.
    for (body, wanted) in [(json!({ "reason": "r" }), 1), (json!({ "reason": "r", "to": runs[0].id }), 0)] {
        let (status, started) = roll_back(&story, &body);
        assert_eq!(status, 202, "{started}");
        story.sim.run();
        story.check();
        let run = story.run(started["run_id"].as_str().unwrap().parse().unwrap());
        assert_eq!(run.status, Status::Succeeded, "{:?}", run.cause);
        assert!(serves(&story, &commits[wanted]));
        assert_eq!(story.world().builds().len(), 6, "nothing is built for it");
        let bases = story.world().bases();
        assert_eq!(bases[&definition(&run)], definition(&runs[wanted]), "the whole revision comes back");
    }
    let (status, problem) = roll_back(&story, &json!({ "reason": "r", "to": parse::<RunId>(NOBODY) }));
    assert_eq!(status, 409);
    assert!(problem["detail"].as_str().unwrap().contains(&runs[2].id.to_string()), "{problem}");
    // What was pushed last is still the newest; a later push goes over what was brought back.
    story.world().advance(SignedDuration::from_secs(1));
    let next = story.commit();
    assert_eq!(story.play_commit(&next).status, Status::Succeeded);
    assert!(serves(&story, &next));
    let kept = get(&story.world(), "/v1/environments/web/staging").1["earlier"].as_array().unwrap().len();
    assert_eq!(kept, 5);
}

const NOBODY: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

#[test]
fn a_rollback_asked_for_twice_is_one_run() {
    let mut story = Story::new();
    for _ in 0..2 {
        story.world().advance(SignedDuration::from_secs(1));
        story.play();
    }
    let (first, again) =
        (roll_back(&story, &json!({ "reason": "r" })), roll_back(&story, &json!({ "reason": "r" })));
    assert_eq!((first.0, &first.1), (202, &again.1));
    let runs = story.world().runs().len();
    assert_eq!(runs, 3, "two that were pushed, and one that goes back");
    story.sim.run();
    story.check();
}

#[test]
fn what_can_not_be_undone_is_undone_only_by_someone_who_says_so() {
    let mut story = Story::new();
    let (first, second) =
        (story.commit(), story.commit_with(&[("pushway.yml", &pipeline("irreversible: true"))]));
    story.play_commit(&first);
    story.world().advance(SignedDuration::from_secs(1));
    let migrated = story.play_commit(&second);
    let (status, problem) = roll_back(&story, &json!({ "reason": "r" }));
    assert_eq!(status, 409);
    let detail = problem["detail"].as_str().unwrap();
    assert!(
        detail.contains(&migrated.id.to_string()) && detail.contains("--accept-irreversible"),
        "{detail}"
    );
    assert_eq!(roll_back(&story, &json!({ "reason": "r", "accept_irreversible": true })).0, 202);
    story.sim.run();
    assert!(serves(&story, &first));

    // A failed one is held, and the way back leads to what was good last.
    story.world().advance(SignedDuration::from_secs(1));
    let third = story.commit_with(&[("pushway.yml", &pipeline("irreversible: true"))]);
    story.image_does(&third, Behaviour::Sick(500));
    let held = story.play_commit(&third);
    assert_eq!(held.status, Status::Failed);
    assert!(serves(&story, &third));
    assert_eq!(roll_back(&story, &json!({ "reason": "again" })).0, 409);
    assert_eq!(roll_back(&story, &json!({ "reason": "again", "accept_irreversible": true })).0, 202);
    story.sim.run();
    story.check();
    assert!(serves(&story, &first));
}

#[test]
fn f31_a_rollback_by_hand_goes_where_the_automatic_one_has_failed() {
    let mut story = Story::new();
    let good = story.commit();
    story.play_commit(&good);
    story.world().advance(SignedDuration::from_secs(1));
    let bad = story.commit();
    story.image_does(&bad, Behaviour::Sick(500));
    story.image_does(&good, Behaviour::Crashes(1));
    let failed = story.play_commit(&bad);
    assert_eq!(failed.status, Status::RollbackFailed);
    assert!(story.world().environment_records()[0].is_held_by(failed.id));
    // Someone has mended what the old version needs, and asks for it.
    story.image_does(&good, Behaviour::Healthy);
    assert_eq!(roll_back(&story, &json!({ "reason": "the database is back" })).0, 202);
    story.sim.run();
    story.check();
    assert!(serves(&story, &good));
    assert_eq!(story.world().environment_records()[0].holder, None);
}

#[test]
fn an_environment_that_nothing_is_known_of_has_no_way_back() {
    let story = Story::new();
    assert_eq!(roll_back(&story, &json!({ "reason": "r" })).0, 404);
    assert_eq!(get(&story.world(), "/v1/environments/web/staging").0, 404);
    // On which nothing was ever good.
    let mut story = Story::new();
    story.world().add_broken_service("fresh", "web", &old_image(), Manner::Aws);
    let commit = story.commit_with(&[("pushway.yml", &PIPELINE.replace("cluster: demo", "cluster: fresh"))]);
    story.image_does(&commit, Behaviour::Crashes(3));
    assert_eq!(story.play_commit(&commit).status, Status::FailedNoBaseline);
    let (status, problem) = roll_back(&story, &json!({ "reason": "r" }));
    assert_eq!(status, 409);
    assert!(problem["detail"].as_str().unwrap().contains("nothing was ever good"), "{problem}");
}
