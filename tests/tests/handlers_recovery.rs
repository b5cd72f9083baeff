//! What is left behind, and who clears it up: dead executions, lost locks, queues, stale lists.

use std::panic::{AssertUnwindSafe, catch_unwind};

use jiff::SignedDuration;
use pushway_core::environment::Holder;
use pushway_core::fact::{Entry, Fact, JobStage};
use pushway_core::ids::RunId;
use pushway_core::ports::{Clock as _, Environments as _, History as _, RunQuery, Waits as _, Written};
use pushway_core::run::{Run, Status};
use pushway_core::testing::{Behaviour, BuildScript, Injected};
use pushway_tests::sim::story::{PIPELINE, Story, image_of, old_image};
use pushway_tests::sim::{block_on, invoke};
use serde_json::json;

fn cause(run: &Run) -> String {
    run.cause.as_ref().map(|cause| format!("{}: {}", cause.stage, cause.summary)).unwrap_or_default()
}

fn at(story: &Story, id: RunId, wanted: fn(&Fact) -> bool) -> Entry {
    let entry = story.world().stored_journal(id).into_iter().find(|entry| wanted(&entry.fact));
    entry.unwrap_or_else(|| panic!("run {id} has no such fact"))
}

#[test]
fn f11_f12_an_execution_that_was_not_started_or_whose_start_was_not_heard_of_runs_once() {
    for what in Injected::ALL {
        let mut story = Story::new();
        story.world().inject_on("start_execution", 1, what);
        let commit = story.commit();
        let post = story.post_of("main", &commit);
        let _ = story.send(&post);
        story.sim.run();
        story.check();
        assert_eq!(story.world().runs()[0].status, Status::Succeeded, "{what:?}");
        assert_eq!((story.world().execution_count(), story.world().builds().len()), (1, 2), "{what:?}");
    }
}

#[test]
fn f16_a_build_whose_start_was_not_heard_of_is_found_again_after_the_token_has_expired() {
    let mut story = Story::new();
    let commit = story.commit();
    let id = story.push("main", &commit);
    story.world().inject_on("start_build", 1, Injected::AnswerLost);
    story.sim.run_until(|world| world.done("start_build") == 1);
    // CodeBuild knows the same request again for five minutes only.
    story.world().advance(SignedDuration::from_mins(6));
    story.sim.run();
    story.check();
    assert_eq!(story.run(id).status, Status::Succeeded);
    assert_eq!(story.world().builds().len(), 2, "one for each job");
}

/// Kills the execution before every state and at every wait.
fn killed_everywhere(behaviour: Behaviour, old: Behaviour) {
    let play = |kill: Option<usize>| {
        let mut story = Story::new();
        let commit = story.commit();
        story.image_does(&commit, behaviour);
        story.world().set_behaviour(&old_image(), old);
        let id = story.push("main", &commit);
        if let Some(number) = kill {
            story.sim.kill_after_call(number);
        }
        story.sim.run();
        story.check();
        (story, id)
    };
    let (plain, plain_id) = play(None);
    let mut wrong = Vec::new();
    for number in 5..=plain.world().call_count() {
        let played = catch_unwind(AssertUnwindSafe(|| {
            let (story, id) = play(Some(number));
            let run = story.run(id);
            let whole = plain.run(plain_id).status;
            assert!(
                run.status == whole || matches!(run.status, Status::Failed | Status::RollbackFailed),
                "came out as {}",
                run.status
            );
            assert!(run.cause.is_some() || run.status == Status::Succeeded);
        }));
        if let Err(panic) = played {
            let words = panic.downcast_ref::<String>().cloned().unwrap_or_default();
            wrong.push(format!("killed after {number} calls: {words}"));
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn f18_an_execution_that_dies_anywhere_is_closed_by_the_sweep() {
    killed_everywhere(Behaviour::Healthy, Behaviour::Healthy);
}

#[test]
fn f18_an_execution_that_dies_anywhere_in_a_rollback_is_closed_by_the_sweep() {
    killed_everywhere(Behaviour::Sick(500), Behaviour::Healthy);
    killed_everywhere(Behaviour::Crashes(1), Behaviour::Healthy);
    killed_everywhere(Behaviour::Sick(500), Behaviour::Crashes(1));
}

#[test]
fn a_run_that_dies_in_the_middle_of_a_deploy_is_not_called_harmless() {
    let mut story = Story::new();
    let commit = story.commit();
    let id = story.push("main", &commit);
    story.sim.run_until(|world| world.done("move_service") == 1);
    story.sim.kill_executions();
    story.sim.run();
    story.check();
    let run = story.run(id);
    // The new version serves, unchecked: saying "failed" would say that nothing was changed.
    assert_eq!(story.serving(), [image_of(&commit).digest().to_string()]);
    assert_eq!(run.status, Status::RollbackFailed);
    assert!(cause(&run).contains("execution ended without finishing"), "{}", cause(&run));
    assert!(story.world().environment_records()[0].is_held_by(id));
}

#[test]
fn f27_two_runs_deploy_one_after_the_other_in_the_order_in_which_they_asked() {
    let mut story = Story::new();
    let slow = story.commit();
    story.image_does(&slow, Behaviour::NeverStable);
    let first = story.push("main", &slow);
    story.sim.run_until(|world| world.done("move_service") == 1);
    let mut ids = vec![first];
    for branch in ["main", "release/1", "main"] {
        let commit = story.commit();
        ids.push(story.push(branch, &commit));
        story.sim.run_for(SignedDuration::from_secs(120));
    }
    assert_eq!(story.world().environment_records()[0].queue, ids[1..]);
    story.sim.run();
    story.check();
    let statuses: Vec<_> = ids.iter().map(|id| story.run(*id).status).collect();
    assert_eq!(statuses, [Status::RolledBack, Status::Succeeded, Status::Succeeded, Status::Succeeded]);
    for pair in ids.windows(2) {
        let fence = |id: RunId| story.run(id).environments[0].fence.unwrap();
        assert!(fence(pair[0]) < fence(pair[1]), "fences grow");
        let done =
            at(&story, pair[0], |fact| matches!(fact, Fact::Validated { .. } | Fact::RollbackEnded { .. }));
        let begun = at(&story, pair[1], |fact| matches!(fact, Fact::LockTaken { .. }));
        assert!(done.at <= begun.at, "a deploy began before the one before it was over");
    }
}

#[test]
fn a_waiting_run_gets_the_lock_of_a_holder_that_died() {
    let mut story = Story::new();
    let commit = story.commit();
    let first = story.push("main", &commit);
    story.world().inject_on("register", 2, Injected::Retryable);
    story
        .sim
        .run_until(|world| world.runs()[0].environments.first().is_some_and(|state| state.fence.is_some()));
    story.sim.kill_executions();
    let commit = story.commit();
    let second = story.push("main", &commit);
    story.sim.run();
    story.check();
    assert_eq!((story.run(first).status, story.run(second).status), (Status::Failed, Status::Succeeded));
}

#[test]
fn f18_f27_a_run_that_has_lost_its_lock_deploys_nothing() {
    let mut story = Story::new();
    let commit = story.commit();
    let id = story.push("main", &commit);
    story.world().inject_on("register", 1, Injected::Retryable);
    story
        .sim
        .run_until(|world| world.runs()[0].environments.first().is_some_and(|state| state.fence.is_some()));
    // Someone frees the lock by hand and another run takes it, while ours waits for its retry.
    let mut record = story.world().environment_records()[0].clone();
    let other = RunId::new(story.world().now(), [9; 10]);
    record.version += 1;
    record.holder = Some(Holder { run: other, fence: record.fence.next(), since: story.world().now() });
    record.fence = record.fence.next();
    block_on(story.world().put_environment(&record)).unwrap();
    story.sim.run();
    let run = story.run(id);
    assert_eq!(run.status, Status::Failed);
    assert!(cause(&run).contains(&format!("held by run {other}")), "{}", cause(&run));
    assert_eq!(story.movers(), [""; 0]);
    assert!(story.world().environment_records()[0].is_held_by(other), "and the other's lock stays its own");
}

#[test]
fn f26_a_stale_list_of_waits_and_runs_changes_nothing() {
    let mut story = Story::new();
    let commit = story.commit();
    let id = story.push("main", &commit);
    let mut seen = Vec::new();
    for verb in ["start_build", "move_service"] {
        story.sim.run_until(|world| world.done(verb) > 0);
        seen.extend(story.world().open_waits());
    }
    story.sim.run();
    let (run, moves) = (story.run(id), story.movers());
    for wait in seen {
        block_on(story.world().open(&wait)).unwrap();
        story.world().advance(SignedDuration::from_mins(5));
        let swept = invoke(&story.world(), "sweep", json!({})).unwrap();
        assert_eq!(swept["failed"], 0, "{swept}");
    }
    story.check();
    assert_eq!((story.run(id), story.movers()), (run, moves));
}

#[test]
fn f20_an_event_of_an_earlier_attempt_does_not_answer_for_the_next() {
    let mut story = Story::new();
    let pipeline = PIPELINE.replace("timeout: 20m,", "timeout: 20m, retries: 1,");
    story.world().script_build(JobStage::Build, "image", Some(1), BuildScript::Faults);
    let commit = story.commit_with(&[("pushway.yml", &pipeline)]);
    let id = story.push("main", &commit);
    story.sim.run_until(|world| world.builds().len() == 1);
    let old = story.world().open_waits()[0].clone();
    story.sim.run_until(|world| world.builds().len() == 2);
    block_on(story.world().open(&old)).unwrap();
    let first = story.world().builds()[0].id.clone();
    let event = json!({ "detail": { "build-id": format!("arn:aws:codebuild:r:a:build/{first}") } });
    invoke(&story.world(), "build-completed", event).unwrap();
    assert!(story.run(id).jobs[0].is_running(), "the second attempt goes on");
    story.sim.run();
    story.check();
    assert_eq!(story.run(id).status, Status::Succeeded);
}

#[test]
fn f20_an_answer_that_was_given_before_is_no_trouble() {
    let mut story = Story::new();
    // The state is answered, but its wait stays open: the next look at it answers again.
    story.world().inject_on("close", 1, Injected::Retryable);
    let run = story.play();
    assert_eq!(run.status, Status::Succeeded);
    assert_eq!(story.sim.troubles.len(), 1, "only the fault itself: {:?}", story.sim.troubles);
}

#[test]
fn events_that_make_no_sense_are_refused_and_those_of_others_are_left_alone() {
    let story = Story::new();
    for (function, event) in [
        ("build-completed", json!({})),
        ("build-completed", json!({ "detail": { "build-id": "nonsense" } })),
        ("deploy-progress", json!({ "detail-type": 1 })),
        ("push", json!({ "id": "x", "source": "evil" })),
    ] {
        let refused = invoke(&story.world(), function, event.clone()).unwrap_err();
        assert_eq!(refused.error, "Pushway.Permanent", "{function} {event}");
    }
    for (function, event) in [
        ("build-completed", json!({ "detail": { "build-id": "arn:aws:codebuild:r:a:build/other:1" } })),
        ("deploy-progress", json!({ "detail-type": "ECS Task State Change", "detail": {} })),
    ] {
        invoke(&story.world(), function, event).unwrap();
    }
    assert_eq!(story.world().runs(), []);
}

#[test]
fn a_commit_without_a_pipeline_file_is_rejected_with_what_to_do() {
    let mut story = Story::new();
    let commit = story.commit_with(&[]);
    let run = story.play_commit(&commit);
    assert_eq!(run.status, Status::Rejected);
    assert!(cause(&run).contains("has no pipeline file at commit"), "{}", cause(&run));
    assert_eq!(run.cause.unwrap().advice, "add a pushway.yml at the root of the repository and push it");
    assert_eq!(story.world().builds(), []);
}

#[test]
fn a_wrong_pipeline_file_is_rejected_with_line_and_column() {
    let mut story = Story::new();
    let commit = story.commit_with(&[("pushway.yml", &PIPELINE.replace("cluster:", "clutser:"))]);
    let run = story.play_commit(&commit);
    assert_eq!(run.status, Status::Rejected);
    assert!(cause(&run).contains("pushway.yml:12:14"), "{}", cause(&run));
    assert!(cause(&run).contains("clutser"), "{}", cause(&run));
}

#[test]
fn a_pipeline_without_its_buildspec_is_rejected_before_anything_is_spent() {
    let mut story = Story::new();
    let commit = story.commit_with(&[("pushway.yml", &PIPELINE.replace("ci/unit.yml", "ci/other.yml"))]);
    let run = story.play_commit(&commit);
    assert_eq!(run.status, Status::Rejected);
    assert!(cause(&run).contains("no buildspec \"ci/other.yml\""), "{}", cause(&run));
    assert_eq!(story.world().builds(), []);
}

#[test]
fn a_branch_that_nobody_asked_for_is_ignored_and_not_listed() {
    let mut story = Story::new();
    let commit = story.commit();
    let ignored = story.push("feature/x", &commit);
    let listed = story.push("main", &commit);
    story.sim.run();
    story.check();
    let run = story.run(ignored);
    assert_eq!(run.status, Status::Ignored);
    assert!(run.ignored_by.unwrap().contains("feature/x"));
    let query = RunQuery::newest(10, story.world().now());
    let page = block_on(story.world().list(&query)).unwrap();
    assert_eq!(page.runs.iter().map(|run| run.id).collect::<Vec<_>>(), [listed]);
}

#[test]
fn a_disconnected_repository_ends_its_runs_with_a_cause() {
    let mut story = Story::new();
    let commit = story.commit();
    let id = story.push("main", &commit);
    story.world().remove_hook(pushway_core::source::Provider::Github, "web");
    story.sim.run();
    story.check();
    assert_eq!(story.run(id).status, Status::Failed);
    assert!(
        cause(&story.run(id)).contains("hook web of acme/web was disconnected"),
        "{}",
        cause(&story.run(id))
    );
}

#[test]
fn environments_are_deployed_in_order_and_the_first_failure_spares_the_rest() {
    let second = PIPELINE
        .split("environments:\n")
        .nth(1)
        .unwrap()
        .replace("staging", "production")
        .replace("service: web,", "service: prod,");
    let pipeline = format!("{PIPELINE}{second}");
    for (behaviour, status, moved) in
        [(Behaviour::Healthy, Status::Succeeded, 1), (Behaviour::Sick(500), Status::RolledBack, 0)]
    {
        let mut story = Story::new();
        story.world().add_service("demo", "prod", &old_image());
        let commit = story.commit_with(&[("pushway.yml", &pipeline)]);
        story.image_does(&commit, behaviour);
        let run = story.play_commit(&commit);
        assert_eq!(run.status, status, "{:?}", run.cause);
        let production = story.world().fake_service("demo", "prod").unwrap();
        assert_eq!(production.moves.len(), moved);
        assert_eq!(run.environments[1].fence.is_some(), moved == 1);
    }
}

#[test]
fn a_tested_digest_is_what_the_second_environment_gets() {
    let mut story = Story::new();
    let second = PIPELINE
        .split("environments:\n")
        .nth(1)
        .unwrap()
        .replace("staging", "production")
        .replace("service: web,", "service: prod,");
    story.world().add_service("demo", "prod", &old_image());
    let commit = story.commit_with(&[("pushway.yml", &format!("{PIPELINE}{second}"))]);
    let run = story.play_commit(&commit);
    let images: Vec<_> =
        run.environments.iter().map(|state| state.rollout.as_ref().unwrap().images.clone()).collect();
    assert_eq!(images[0], images[1]);
    assert_eq!(images[0]["web"], image_of(&commit));
    assert_eq!(story.world().builds().len(), 2, "it is built once");
}

#[test]
fn f27_a_holder_that_is_over_does_not_hold_up_those_who_wait_already() {
    let mut story = Story::new();
    let over = story.play();
    let world = story.world();
    // It could not give the lock back: its workflow had died, and so had whoever closed the run.
    let (pipeline, environment) = (over.pipeline.as_ref().unwrap(), &over.environments[0].name);
    let mut record = block_on(world.environment(pipeline, environment)).unwrap();
    record.acquire(over.id, world.now());
    record.version += 1;
    assert_eq!(block_on(world.put_environment(&record)), Ok(Written::Stored));
    let next = story.play();
    assert_eq!(next.status, Status::Succeeded, "{:?}", next.cause);
}
