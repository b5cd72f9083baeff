//! Stories of tasks that run before a service moves.

use jiff::SignedDuration;
use pushway_core::fact::Fact;
use pushway_core::run::{Run, Status};
use pushway_core::testing::{Behaviour, Injected, TaskScript};
use pushway_tests::sim::Events;
use pushway_tests::sim::story::{PIPELINE, Story, image_of, old_image};
use serde_json::json;

const BEFORE: &str = "    before: [ { ecs_task: { command: [./migrate, up], timeout: 5m } } ]\n";

fn story() -> (Story, pushway_core::ids::CommitSha) {
    let mut story = Story::new();
    let commit = story.commit_with(&[("pushway.yml", &format!("{PIPELINE}{BEFORE}"))]);
    (story, commit)
}

fn play(scripts: &[TaskScript]) -> (Story, Run) {
    let (mut story, commit) = story();
    story.world().script_tasks(scripts.iter().copied());
    let run = story.play_commit(&commit);
    (story, run)
}

fn cause(run: &Run) -> String {
    let cause = run.cause.as_ref().unwrap_or_else(|| panic!("{} has no cause", run.status));
    format!("{}: {}", cause.stage, cause.summary)
}

fn position(story: &Story, run: &Run, wanted: fn(&Fact) -> bool) -> usize {
    story
        .world()
        .stored_journal(run.id)
        .iter()
        .position(|entry| wanted(&entry.fact))
        .expect("it is in the journal")
}

#[test]
fn a_migration_runs_with_the_new_image_before_the_service_moves() {
    let (story, run) = play(&[]);
    assert_eq!(run.status, Status::Succeeded, "{:?}", run.cause);
    let [task] = &story.world().fake_tasks()[..] else { panic!("one task") };
    assert_eq!(task.request.command, ["./migrate", "up"]);
    assert_eq!(task.request.container, "web");
    assert_eq!(
        Some(&task.request.task_definition),
        run.environments[0].rollout.as_ref().map(|r| &r.task_definition)
    );
    let ended = position(&story, &run, |fact| matches!(fact, Fact::TaskEnded { .. }));
    assert!(ended < position(&story, &run, |fact| matches!(fact, Fact::DeployStarted { .. })));
    let end = run.environments[0].before[0].end.as_ref().unwrap();
    assert_eq!((end.exit_code, &end.failure, end.log.len()), (Some(0), &None, 1));
}

#[test]
fn a_migration_that_fails_ends_the_deploy_and_the_service_is_not_moved() {
    for (script, words) in [
        (TaskScript::Exits(3, SignedDuration::from_secs(40)), "container web exited with code 3"),
        (TaskScript::CannotStart, "CannotPullContainerError"),
    ] {
        let (story, run) = play(&[script]);
        assert_eq!(run.status, Status::Failed, "{script:?}");
        assert!(
            cause(&run).contains("the service was not moved") && cause(&run).contains(words),
            "{}",
            cause(&run)
        );
        assert!(run.cause.as_ref().unwrap().evidence.iter().any(|line| line.starts_with("log: ")));
        assert_eq!(story.movers(), [""; 0]);
        assert_eq!(story.serving(), [old_image().digest().to_string()]);
        assert!(!story.world().environment_records()[0].is_held_by(run.id), "the lock is free");
    }
}

#[test]
fn a_migration_that_does_not_end_is_stopped_at_its_deadline() {
    let (story, run) = play(&[TaskScript::NeverEnds]);
    assert_eq!(run.status, Status::Failed);
    assert!(cause(&run).contains("not ended after 300 s"), "{}", cause(&run));
    let task = &story.world().fake_tasks()[0];
    assert!(task.told_to_stop.is_some(), "it goes on");
    assert_eq!(story.movers(), [""; 0]);
}

#[test]
fn f16_the_end_of_a_task_is_found_without_events_too() {
    let (mut story, commit) = story();
    story.sim.events = Events::Lost;
    let run = story.play_commit(&commit);
    assert_eq!(run.status, Status::Succeeded, "{:?}", run.cause);
    assert_eq!(story.world().fake_tasks().len(), 1);
}

#[test]
fn tasks_run_one_after_another_and_the_first_that_fails_is_the_last() {
    let mut story = Story::new();
    let before = "    before: [ { ecs_task: { command: [a] } }, { ecs_task: { task_definition: ecs/job.json, container: job } }, { ecs_task: { command: [c] } } ]\n";
    let definition = json!({
        "family": "job",
        "containerDefinitions": [{ "name": "job", "image": format!("registry/job@sha256:{}", "5".repeat(64)) }, { "name": "web" }],
    });
    let commit = story.commit_with(&[
        ("pushway.yml", &format!("{PIPELINE}{before}")),
        ("ecs/job.json", &definition.to_string()),
    ]);
    let after = SignedDuration::from_secs(30);
    story.world().script_tasks([TaskScript::Exits(0, after), TaskScript::Exits(1, after)]);
    let run = story.play_commit(&commit);
    assert!(cause(&run).contains("task 2 of `before` failed"), "{}", cause(&run));
    let tasks = story.world().fake_tasks();
    assert_eq!(tasks.len(), 2, "the third was started");
    let (_, registered) = story.world().registered(&tasks[1].request.task_definition).unwrap();
    assert_eq!(registered["family"], "job");
    assert_eq!(run.environments[0].before.len(), 2);
}

#[test]
fn a_task_definition_without_the_container_that_counts_is_rejected() {
    let mut story = Story::new();
    let before = "    before: [ { ecs_task: { task_definition: ecs/job.json, container: job } } ]\n";
    let definition = json!({ "family": "job", "containerDefinitions": [{ "name": "web" }] });
    let commit = story.commit_with(&[
        ("pushway.yml", &format!("{PIPELINE}{before}")),
        ("ecs/job.json", &definition.to_string()),
    ]);
    let run = story.play_commit(&commit);
    assert_eq!(run.status, Status::Rejected);
    assert!(cause(&run).contains("ecs/job.json: there is no container \"job\", only web"), "{}", cause(&run));
}

#[test]
fn f28_a_crash_at_any_call_ends_with_one_task_and_one_rollout() {
    let calls = {
        let (mut story, commit) = story();
        story.play_commit(&commit);
        story.world().call_count()
    };
    for number in 0..calls {
        for what in [Injected::DiesBefore, Injected::DiesAfter, Injected::AnswerLost] {
            let (mut story, commit) = story();
            let post = story.post_of("main", &commit);
            story.world().inject_at(number, what);
            // A forge that gets no good answer delivers again.
            if story.send(&post).is_err() || story.world().runs().is_empty() {
                story.send(&post).unwrap();
            }
            story.sim.run();
            story.check();
            let run = story.world().runs()[0].clone();
            assert_eq!(run.status, Status::Succeeded, "{what:?} at call {number}: {:?}", run.cause);
            assert_eq!(story.world().fake_tasks().len(), 1, "{what:?} at call {number}");
            assert_eq!(story.movers(), ["pushway"], "{what:?} at call {number}");
        }
    }
}

#[test]
fn a_good_migration_before_a_bad_version_is_not_run_again_for_the_rollback() {
    let (mut story, commit) = story();
    story.image_does(&commit, Behaviour::Crashes(3));
    let run = story.play_commit(&commit);
    assert_eq!(run.status, Status::RolledBack);
    assert_eq!(story.world().fake_tasks().len(), 1);
    assert_ne!(story.serving(), [image_of(&commit).digest().to_string()]);
}
