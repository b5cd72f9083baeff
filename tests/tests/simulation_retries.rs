//! Stories of runs that people retry: whole, or from where they failed.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use pushway_core::fact::{Fact, JobStage, TestSummary};
use pushway_core::ids::RunId;
use pushway_core::run::{Run, Status};
use pushway_core::source::{RetryFrom, Trigger, Zone};
use pushway_core::testing::{BuildScript, Injected, World};
use pushway_tests::sim::Events;
use pushway_tests::sim::every_call::{at_every_call, push};
use pushway_tests::sim::people::{arn, get, post};
use pushway_tests::sim::pull_request::opened;
use pushway_tests::sim::story::{PIPELINE, Story, image_of, old_image, parse};
use serde_json::{Value, json};

fn retry(world: &World, run: RunId, from: &str) -> (u64, Value) {
    post(world, "ada", &format!("/v1/runs/{run}/retry"), &json!({ "from": from }))
}

/// Retries a run, and plays to the end.
fn retried(story: &mut Story, run: RunId, from: &str) -> (Run, Vec<String>) {
    let before = story.run(run);
    story.world().advance(SignedDuration::from_secs(1));
    let (status, answer) = retry(&story.world(), run, from);
    assert_eq!((status, &answer["of"], &answer["new"]), (202, &json!(run), &json!(true)), "{answer}");
    let id: RunId = parse(answer["run_id"].as_str().expect("a run"));
    assert_eq!(
        retry(&story.world(), run, from).1["run_id"],
        answer["run_id"],
        "the same request is no second run"
    );
    story.sim.run();
    story.check();
    assert_eq!(story.run(run), before, "the run that is retried never changes");
    let notes = serde_json::from_value(answer["notes"].clone()).expect("notes are texts");
    (story.run(id), notes)
}

fn refused(story: &Story, run: RunId, from: &str, words: &str) {
    let runs = story.world().runs().len();
    let (status, problem) = retry(&story.world(), run, from);
    assert_eq!(status, 409, "{problem}");
    assert!(problem["detail"].as_str().expect("a detail").contains(words), "{problem}");
    assert_eq!(story.world().runs().len(), runs);
}

fn fails() -> BuildScript {
    BuildScript::FailsIn("BUILD".into(), "exit status 1".into())
}

fn good() -> BuildScript {
    BuildScript::Succeeds(BTreeMap::new())
}

fn builds_of(story: &Story, run: RunId) -> Vec<String> {
    let builds = story.world().builds().into_iter().filter(|build| build.request.run == run);
    builds.map(|build| build.request.job.to_string()).collect()
}

/// A run whose test has failed, for a reason that is gone.
fn flaky() -> (Story, Run) {
    let mut story = Story::new();
    story.world().script_build(JobStage::Test, "unit", None, fails());
    let run = story.play();
    assert_eq!(run.status, Status::Failed);
    story.world().script_build(JobStage::Test, "unit", None, good());
    (story, run)
}

#[test]
fn a_retry_from_the_start_is_a_new_run_of_the_same_push_in_the_same_place() {
    let (mut story, run) = flaky();
    let (again, _) = retried(&mut story, run.id, "start");
    assert_eq!(again.status, Status::Succeeded, "{:?}", again.cause);
    assert_eq!(builds_of(&story, again.id), ["build/image", "test/unit"]);
    let wish = again.source.retry.clone().expect("it is a retry");
    assert_eq!((wish.of, wish.from, wish.by), (run.id, RetryFrom::Start, arn("ada")));
    assert_eq!((&again.source.commit, &again.source.trigger), (&run.source.commit, &Trigger::Push));
    assert_eq!(again.place, run.place);
    assert!(again.started_by.unwrap().contains(&format!("retried run {} from the start", run.id)));
    let (_, list) = get(&story.world(), "/v1/runs");
    assert_eq!(list["runs"][0]["retry_of"], json!(run.id));
    // What has succeeded may be had again, too.
    let (more, _) = retried(&mut story, again.id, "start");
    assert_eq!(more.status, Status::Succeeded, "{:?}", more.cause);
}

#[test]
fn a_retry_from_the_failed_job_builds_nothing_that_was_good_again() {
    let (mut story, run) = flaky();
    let (again, _) = retried(&mut story, run.id, "failed");
    assert_eq!(again.status, Status::Succeeded, "{:?}", again.cause);
    assert_eq!(builds_of(&story, again.id), ["test/unit"]);
    let unit = story.world().builds().into_iter().find(|build| build.request.run == again.id).unwrap();
    let image = image_of(&run.source.commit).to_string();
    assert_eq!(unit.request.variables["PUSHWAY_BUILD_IMAGE_IMAGE"], image, "outputs flow on");
    assert_eq!((again.jobs[0].taken_from, &again.jobs[0].end), (Some(run.id), &run.jobs[0].end));
    assert_eq!(again.plan_digest, run.plan_digest, "the plan is the pinned one");
    assert_eq!(story.serving(), [image_of(&run.source.commit).digest().to_string()]);
    let takes = |fact: &Fact| matches!(fact, Fact::TakenOver { from, .. } if *from == run.id);
    assert!(story.world().stored_journal(again.id).iter().any(|entry| takes(&entry.fact)));
}

#[test]
fn a_retry_of_a_retry_says_who_has_really_done_it() {
    let (mut story, run) = flaky();
    story.world().script_build(JobStage::Test, "unit", None, fails());
    let (second, _) = retried(&mut story, run.id, "failed");
    assert_eq!(second.status, Status::Failed);
    story.world().script_build(JobStage::Test, "unit", None, good());
    let (third, _) = retried(&mut story, second.id, "failed");
    assert_eq!((third.status, third.jobs[0].taken_from), (Status::Succeeded, Some(run.id)));
    assert_eq!(builds_of(&story, third.id), ["test/unit"]);
}

#[test]
fn tests_that_were_good_are_taken_over_with_what_they_said() {
    let mut story = Story::new();
    let file = PIPELINE.replace("test:\n", "test:\n  lint: { buildspec: ci/unit.yml }\n");
    let summary = TestSummary { passed: 7, ..TestSummary::default() };
    story.world().script_build(JobStage::Test, "lint", None, BuildScript::Passes(summary.clone()));
    story.world().script_build(JobStage::Test, "unit", None, BuildScript::Faults);
    let commit = story.commit_with(&[("pushway.yml", &file)]);
    let id = story.push("main", &commit);
    // Both end in the same moment; only what was recorded can be taken over.
    story.sim.run();
    let run = story.run(id);
    assert_eq!(run.status, Status::Failed);
    story.world().script_build(JobStage::Test, "unit", None, good());
    let (again, _) = retried(&mut story, id, "failed");
    assert_eq!(again.status, Status::Succeeded);
    let lint = again.jobs.iter().find(|state| state.job.name.as_str() == "lint").unwrap();
    assert_eq!(lint.end.as_ref().unwrap().tests, Some(summary));
}

const TWO: &str = r#"  - name: production
    deploy:
      ecs: { cluster: demo, service: live, images: { web: "${build.image.IMAGE}" }, timeout: 10m }
    validate:
      - http: { url: "http://live.example.com/healthz", attempts: 2, need: 1, interval: 1s }
"#;

/// A run that is live in staging and was rolled back in production.
fn half_live() -> (Story, Run) {
    let mut story = Story::new();
    story.world().add_service("demo", "live", &old_image());
    let commit = story.commit_with(&[("pushway.yml", &format!("{PIPELINE}{TWO}"))]);
    let run = story.play_commit(&commit);
    assert_eq!(run.status, Status::RolledBack, "{:?}", run.cause);
    assert!(run.environments[0].is_live());
    story.world().add_url("live.example.com", "demo", "live");
    (story, run)
}

#[test]
fn a_retry_from_a_failed_deploy_leaves_the_environments_before_it_as_they_are() {
    let (mut story, run) = half_live();
    let moves = story.movers().len();
    let (again, _) = retried(&mut story, run.id, "failed");
    assert_eq!(again.status, Status::Succeeded, "{:?}", again.cause);
    assert_eq!((builds_of(&story, again.id).len(), story.movers().len()), (0, moves));
    assert_eq!(again.environments[0].kept_from, Some(run.id));
    let live = story.world().fake_service("demo", "live").unwrap();
    let ours = &again.environments[1].rollout.as_ref().unwrap().task_definition;
    assert_eq!(live.running_definitions(), [ours.as_str()]);
    let records = story.world().environment_records();
    let current = |name: &str| {
        records.iter().find(|record| record.name.as_str() == name).unwrap().current.clone().unwrap().run
    };
    assert_eq!((current("staging"), current("production")), (run.id, again.id));
}

#[test]
fn a_retry_that_would_leave_what_is_there_no_more_is_refused() {
    let (mut story, run) = half_live();
    story.world().advance(SignedDuration::from_secs(1));
    let newer = story.play();
    assert_eq!(newer.status, Status::Succeeded);
    refused(&story, run.id, "failed", &format!("what run {} brought serves there", newer.id));
}

#[test]
fn f10_a_retry_of_an_old_push_never_goes_over_a_newer_one() {
    let (mut story, run) = flaky();
    story.world().advance(SignedDuration::from_secs(1));
    let next = story.commit();
    let newer = story.play_commit(&next);
    for from in ["start", "failed"] {
        let (again, notes) = retried(&mut story, run.id, from);
        assert_eq!((again.status, again.superseded_by), (Status::Superseded, Some(newer.id)), "{from}");
        assert!(notes[0].contains(&format!("run {} of a newer push", newer.id)), "{notes:?}");
        assert_eq!(story.serving(), [image_of(&next).digest().to_string()]);
    }
}

#[test]
fn a_retry_of_a_fork_is_trusted_no_further_than_its_approval() {
    let mut story = Story::new();
    let file = PIPELINE.replace(
        "  push: { branches: [main, \"release/**\"] }",
        "  push: { branches: [main] }\n  pull_request: { branches: [main] }",
    );
    let base = story.commit_with(&[("pushway.yml", &file)]);
    let head = story.commit_with(&[]);
    let unread = story.send(&opened(&story, &base, &head, true)).unwrap().run();
    story.sim.run();
    assert_eq!(story.run(unread).status, Status::Ignored);
    refused(&story, unread, "start", "was ignored");

    story.world().script_build(JobStage::Test, "unit", None, fails());
    let path = "/v1/repositories/github/web/pull-requests/7/approve";
    let (_, started) = post(&story.world(), "ada", path, &json!({ "commit": head }));
    let approved: RunId = started["run_id"].as_str().unwrap().parse().unwrap();
    story.sim.run();
    assert_eq!(story.run(approved).status, Status::Failed);
    story.world().script_build(JobStage::Test, "unit", None, good());
    for from in ["start", "failed"] {
        let (again, _) = retried(&mut story, approved, from);
        assert_eq!(
            (again.status, again.source.zone()),
            (Status::Succeeded, Zone::Untrusted),
            "{:?}",
            again.cause
        );
        assert!(again.environments.is_empty());
        let builds = story.world().builds();
        let ours = builds.iter().filter(|build| build.request.run == again.id);
        assert!(
            ours.into_iter()
                .all(|build| build.request.zone == Zone::Untrusted && build.request.commit == head)
        );
    }
}

#[test]
fn a_run_that_was_stopped_is_retried_from_where_it_was() {
    type At = fn(&Run) -> bool;
    let at: [(At, Status, &[&str]); 2] = [
        (|run| run.status == Status::Testing, Status::Stopped, &["test/unit"]),
        (|run| run.environments.iter().any(|state| state.deployment.is_some()), Status::RolledBack, &[]),
    ];
    for (wanted, status, builds) in at {
        let mut story = Story::new();
        let commit = story.commit();
        let id = story.push("main", &commit);
        story.sim.run_until(|world| world.stored_run(id).is_some_and(|run| wanted(&run)));
        let path = format!("/v1/runs/{id}/stop");
        assert_eq!(post(&story.world(), "bob", &path, &json!({ "reason": "not now" })).0, 202);
        story.sim.run();
        assert_eq!(story.run(id).status, status);
        let (again, _) = retried(&mut story, id, "failed");
        assert_eq!((again.status, again.stop.clone()), (Status::Succeeded, None), "{:?}", again.cause);
        assert_eq!(builds_of(&story, again.id), builds);
        assert_eq!(story.serving(), [image_of(&commit).digest().to_string()]);
    }
}

#[test]
fn a_retry_of_an_environment_that_was_approved_asks_again() {
    let mut story = Story::new();
    let commit =
        story.commit_with(&[("pushway.yml", &format!("{PIPELINE}    approval: {{ required: 1 }}\n"))]);
    let id = story.push("main", &commit);
    let asks = |id: RunId| {
        move |world: &World| {
            world
                .stored_run(id)
                .is_some_and(|run| run.environments.iter().any(|state| state.approval.is_some()))
        }
    };
    let say = |story: &Story, id: RunId, verb: &str, body: &Value| {
        post(&story.world(), "bob", &format!("/v1/runs/{id}/environments/staging/{verb}"), body).0
    };
    story.sim.run_until(asks(id));
    assert_eq!(say(&story, id, "reject", &json!({ "reason": "not today" })), 200);
    story.sim.run();
    assert_eq!(story.run(id).status, Status::Rejected);
    story.world().advance(SignedDuration::from_secs(1));
    let (_, answer) = retry(&story.world(), id, "failed");
    let again: RunId = answer["run_id"].as_str().unwrap().parse().unwrap();
    story.sim.run_until(asks(again));
    let digest = story.run(again).environments[0].approval.clone().unwrap().request.digest;
    assert_eq!(say(&story, again, "approve", &json!({ "digest": digest })), 200);
    story.sim.run();
    story.check();
    assert_eq!(story.run(again).status, Status::Succeeded);
    assert!(builds_of(&story, again).is_empty());
}

#[test]
fn what_cant_be_retried_says_why_and_what_to_do() {
    let (mut story, run) = flaky();
    story.world().advance(SignedDuration::from_secs(1));
    let done = story.play();
    refused(&story, done.id, "failed", "nothing failed");
    story.world().advance(SignedDuration::from_secs(1));
    let broken = story.commit_with(&[("pushway.yml", "version: 2\n")]);
    let rejected = story.play_commit(&broken);
    refused(&story, rejected.id, "failed", "before it had a plan");
    let (again, _) = retried(&mut story, rejected.id, "start");
    assert_eq!(again.status, Status::Rejected, "it reads the same file at the same commit");
    story.world().advance(SignedDuration::from_secs(1));
    let commit = story.commit();
    let id = story.push("main", &commit);
    story.sim.run_until(|world| world.stored_run(id).is_some_and(|run| run.status == Status::Building));
    refused(&story, id, "start", "is not over: building");
    story.sim.run();
    let unknown =
        post(&story.world(), "ada", &format!("/v1/runs/{}/retry", run.id), &json!({ "from": "middle" }));
    assert_eq!(unknown.0, 400, "{unknown:?}");
    // A rollback by hand is a wish of its own.
    let path = "/v1/environments/web/staging/rollback";
    let (status, back) = post(&story.world(), "ada", path, &json!({ "reason": "broken" }));
    assert_eq!(status, 202, "{back}");
    story.sim.run();
    refused(&story, back["run_id"].as_str().unwrap().parse().unwrap(), "start", "was a rollback by hand");
}

#[test]
fn one_pipeline_of_several_is_retried_alone() {
    let mut story = Story::new();
    let file = |name: &str| {
        format!(
            "version: 1\npipeline: {name}\non: {{ push: {{ branches: [main], paths: [\"{name}/**\"] }} }}\ntest:\n  {name}: {{ buildspec: ci/unit.yml }}\n"
        )
    };
    for name in ["api", "web"] {
        story.world().script_build(JobStage::Test, name, None, fails());
    }
    let commit = story.commit_with(&[(".pushway/api.yml", &file("api")), (".pushway/web.yml", &file("web"))]);
    let root = story.push("main", &commit);
    story.sim.run();
    assert_eq!(story.world().runs().len(), 2);
    for name in ["api", "web"] {
        story.world().script_build(JobStage::Test, name, None, good());
    }
    let (again, _) = retried(&mut story, root, "start");
    assert_eq!(
        (again.status, &again.pipeline),
        (Status::Succeeded, &story.run(root).pipeline),
        "{:?}",
        again.cause
    );
    assert_eq!(story.world().runs().len(), 3, "the other pipeline is not started again");
    // Nothing has changed since that one was green, but a person asks for it and not the path filter.
    let (more, _) = retried(&mut story, again.id, "start");
    assert_eq!(more.status, Status::Succeeded, "{:?}", more.ignored_by);
}

#[test]
fn f28_f35_a_retry_survives_a_fault_at_every_call() {
    let scenario = |story: &mut Story| {
        let world = story.world();
        world.script_build(JobStage::Test, "unit", None, fails());
        let commit = story.commit();
        push(story, &commit);
        story.sim.run_until(|world| world.runs().first().is_some_and(|run| run.status.is_terminal()));
        world.script_build(JobStage::Test, "unit", None, good());
        world.advance(SignedDuration::from_secs(1));
        let run = world.runs()[0].clone();
        retry(&world, run.id, "failed");
    };
    at_every_call(scenario, &[Status::Failed, Status::Succeeded], Events::Once, &Injected::ALL);
}
