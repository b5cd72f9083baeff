//! Stories of what is watched after the checks: what turns sick, and what the run says of it.

use jiff::SignedDuration;
use pushway_core::fact::{Fact, RollbackOutcome, RollbackOwner};
use pushway_core::ids::{CommitSha, RunId};
use pushway_core::run::{Run, Status, WatchState};
use pushway_core::testing::{Injected, World};
use pushway_core::views::{AlarmState, TargetHealth};
use pushway_tests::sim::story::{PIPELINE, Story, image_of, old_image, parse};

fn cause(run: &Run) -> String {
    let cause = run.cause.as_ref().unwrap_or_else(|| panic!("{} has no cause", run.status));
    format!("{}: {}", cause.stage, cause.summary)
}

/// The usual pipeline with a watch of five minutes.
fn with_watch(alarms: &str) -> String {
    format!("{PIPELINE}    watch: {{ for: 5m{alarms} }}\n")
}

fn watch(run: &Run) -> &WatchState {
    run.environments[0].watch.as_ref().unwrap_or_else(|| panic!("nothing is watched"))
}

/// A push that is being watched.
fn watched(alarms: &str) -> (Story, RunId, CommitSha) {
    let mut story = Story::new();
    story.world().set_alarm("web-5xx", SignedDuration::ZERO, AlarmState::Ok);
    let commit = story.commit_with(&[("pushway.yml", &with_watch(alarms))]);
    let id = story.push("main", &commit);
    story.sim.run_until(|world| {
        let run = world.runs();
        run[0]
            .environments
            .first()
            .is_some_and(|state| state.watch.as_ref().is_some_and(|watch| watch.start.is_some()))
    });
    (story, id, commit)
}

fn restored(run: &Run) -> bool {
    let restored = RollbackOutcome::Restored { by: RollbackOwner::Pushway };
    run.environments[0].rollback_outcome() == Some(&restored)
}

#[test]
fn a_watch_that_sees_nothing_ends_well_and_only_then_the_run_has_succeeded() {
    let (mut story, id, commit) = watched(", alarms: [web-5xx]");
    let next = story.commit();
    let next = story.push("main", &next);
    story.sim.run_for(SignedDuration::from_mins(4));
    assert_eq!(story.run(id).status, Status::Deploying);
    let record = &story.world().environment_records()[0];
    assert!(record.is_held_by(id) && record.current.is_none(), "it is locked, and nothing is proven yet");
    story.sim.run();
    story.check();
    let run = story.run(id);
    assert_eq!(run.status, Status::Succeeded, "{:?}", run.cause);
    let (start, end) = (watch(&run).start.as_ref().unwrap(), watch(&run).end.as_ref().unwrap());
    assert_eq!(start.ends_at.duration_since(start.at), SignedDuration::from_mins(5));
    assert_eq!(end.checks.len(), 2, "{:?}", end.checks);
    let journal = story.world().stored_journal(id);
    let ended = journal.iter().find(|entry| matches!(entry.fact, Fact::WatchEnded { .. })).unwrap().at;
    assert!(ended >= start.ends_at && ended < start.ends_at + SignedDuration::from_mins(2));
    assert_eq!(story.run(next).status, Status::Succeeded);
    assert_ne!(story.serving(), [image_of(&commit).digest().to_string()], "the next one had to wait");
}

#[test]
fn a_workflow_that_is_lost_in_the_watch_proves_nothing_and_people_are_called() {
    let (mut story, id, _) = watched("");
    story.sim.kill_executions();
    story.sim.run();
    let run = story.run(id);
    assert_eq!(run.status, Status::RollbackFailed, "{:?}", run.cause);
    let record = &story.world().environment_records()[0];
    assert!(record.is_held_by(id) && record.current.is_none());
}

#[test]
fn a_version_that_turns_sick_while_it_is_watched_is_rolled_back_and_the_run_says_when() {
    let (mut story, id, _) = watched("");
    story.sim.run_for(SignedDuration::from_mins(3));
    story.world().with_service("demo", "web", |service| {
        let mut task = service.tasks.iter().find(|task| task.is_running).unwrap().clone();
        (task.arn, task.is_running, task.is_stopped) = (format!("{}x", task.arn), false, true);
        task.stopped_reason = "Essential container in task exited".into();
        task.containers[0].exit_code = Some(137);
        service.tasks.push(task);
    });
    story.sim.run();
    story.check();
    let run = story.run(id);
    assert_eq!(run.status, Status::RolledBack);
    let said = cause(&run);
    let when = ["3 min", "4 min"].map(|when| format!("was healthy, and turned sick after {when}"));
    assert!(when.iter().any(|when| said.contains(when)), "{said}");
    assert!(said.contains("exit code 137"), "{said}");
    assert!(restored(&run) && story.serving() == [old_image().digest().to_string()]);
    assert_eq!(story.world().environment_records()[0].current, None, "it is never noted as what serves");
}

#[test]
fn tasks_that_stop_for_scaling_or_stopped_before_are_not_sickness() {
    let mut story = Story::new();
    let commit = story.commit_with(&[("pushway.yml", &with_watch(""))]);
    let id = story.push("main", &commit);
    let stop = |story: &Story, reason: &str| {
        let definition = story.run(id).environments[0].rollout.as_ref().unwrap().task_definition.clone();
        story.world().with_service("demo", "web", |service| {
            let mut task = service.tasks[0].clone();
            (task.arn, task.task_definition) = (format!("{}-{reason}", task.arn), definition);
            (task.is_running, task.is_stopped) = (false, true);
            task.stopped_reason = reason.into();
            service.tasks.push(task);
        });
    };
    story.sim.run_until(|world| world.done("move_service") == 1);
    stop(&story, "Essential container in task exited");
    story.sim.run_for(SignedDuration::from_mins(2));
    assert!(watch(&story.run(id)).start.as_ref().is_some_and(|start| start.stopped.len() == 1));
    stop(&story, "Scaling activity initiated by deployment ecs-svc/1");
    story.sim.run();
    assert_eq!(story.run(id).status, Status::Succeeded, "{:?}", story.run(id).cause);
}

#[test]
fn an_alarm_that_rings_in_the_watch_rolls_back() {
    let (mut story, id, _) = watched(", alarms: [web-5xx]");
    story.world().set_alarm("web-5xx", SignedDuration::from_secs(100), AlarmState::Alarm);
    story.sim.run();
    story.check();
    let run = story.run(id);
    assert_eq!(run.status, Status::RolledBack);
    let said = cause(&run);
    assert!(said.contains("sick after 2 min: alarm \"web-5xx\" rings"), "{said}");
    assert!(restored(&run));
}

#[test]
fn an_alarm_that_does_not_exist_is_a_failure_at_once_and_one_without_data_is_told() {
    let mut story = Story::new();
    let commit = story.commit_with(&[("pushway.yml", &with_watch(", alarms: [web-6xx]"))]);
    let run = story.play_commit(&commit);
    assert_eq!(run.status, Status::RolledBack);
    assert!(cause(&run).contains("there is no alarm \"web-6xx\"; create it"), "{}", cause(&run));
    let start = watch(&run).start.as_ref().unwrap();
    assert!(run.updated_at.duration_since(start.at) < SignedDuration::from_mins(2), "nobody waited");

    let mut story = Story::new();
    story.world().set_alarm("web-5xx", SignedDuration::ZERO, AlarmState::InsufficientData);
    let commit = story.commit_with(&[("pushway.yml", &with_watch(", alarms: [web-5xx]"))]);
    let run = story.play_commit(&commit);
    assert_eq!(run.status, Status::Succeeded);
    let check = &watch(&run).end.as_ref().unwrap().checks[1];
    assert!(check.detail.contains("\"web-5xx\" had no data"), "{check:?}");
}

#[test]
fn someone_elses_deploy_in_the_watch_is_no_success_and_is_left_alone() {
    let (mut story, id, _) = watched("");
    let theirs = parse(&format!("registry/theirs@sha256:{}", "2".repeat(64)));
    let definition = story.world().define_by_hand("theirs", &theirs);
    story.world().with_service("demo", "web", |service| {
        service.rollouts[0].task_definition.clone_from(&definition);
        service.rollouts[0].id = "ecs-svc/theirs".into();
        for task in &mut service.tasks {
            task.task_definition.clone_from(&definition);
        }
    });
    story.sim.run();
    let run = story.run(id);
    assert_eq!(run.status, Status::Failed, "{:?}", run.cause);
    assert!(cause(&run).contains("someone else has started deployment ecs-svc/theirs"), "{}", cause(&run));
    assert_eq!(story.movers(), ["pushway"], "theirs is left alone");
}

#[test]
fn figures_are_watched_and_their_absence_at_the_end_is_a_failure() {
    let pipeline = format!("{PIPELINE}    watch: {{ for: 5m, cpu: 80, memory: 80, target_5xx: 5 }}\n");
    let play = |cpu: Option<f64>, errors: f64| {
        let mut story = Story::new();
        let world = story.world();
        world.set_targets("web", SignedDuration::ZERO, &[TargetHealth::Healthy]);
        let begun = SignedDuration::ZERO;
        for (name, value) in [
            ("CPUUtilization", cpu),
            ("MemoryUtilization", Some(40.0)),
            ("RequestCount", Some(100.0)),
            ("HTTPCode_Target_5XX_Count", Some(0.0)),
        ] {
            world.set_metric(name, begun, value);
        }
        let later = SignedDuration::from_mins(5);
        world.set_metric("HTTPCode_Target_5XX_Count", later, Some(errors));
        let commit = story.commit_with(&[("pushway.yml", &pipeline)]);
        story.play_commit(&commit)
    };
    let run = play(Some(50.0), 4.0);
    assert_eq!(run.status, Status::Succeeded, "{:?}", run.cause);
    assert_eq!(watch(&run).end.as_ref().unwrap().checks.len(), 4);
    let run = play(Some(90.0), 0.0);
    assert!(cause(&run).contains("is 90, not below 80"), "{}", cause(&run));
    let run = play(Some(50.0), 7.0);
    assert!(cause(&run).contains("errors of the target, in percent is 7, not below 5"), "{}", cause(&run));
    let run = play(None, 0.0);
    assert_eq!(run.status, Status::RolledBack);
    assert!(cause(&run).contains("turned sick after 5 min"), "{}", cause(&run));
    assert!(cause(&run).contains("has no data"), "{}", cause(&run));
}

/// A watch of Container Insights, whose figures are as `set` says.
fn with_insights(set: impl FnOnce(&World)) -> (Story, Run) {
    let mut story = Story::new();
    set(&story.world());
    let more = ", container_insights: { restarts: 2, cpu: 90, memory: 80 }";
    let commit = story.commit_with(&[("pushway.yml", &with_watch(more))]);
    let run = story.play_commit(&commit);
    (story, run)
}

#[test]
fn restarts_inside_running_tasks_and_the_busiest_task_are_watched_where_the_cluster_tells_them() {
    let begun = SignedDuration::ZERO;
    let figures = |world: &World, restarts: f64| {
        world.set_metric("TaskCpuUtilization", begun, Some(50.0));
        world.set_metric("TaskMemoryUtilization", begun, Some(79.0));
        // So it was before the watch began.
        world.set_metric("RestartCount", begun, Some(7.0));
        world.set_metric("RestartCount", SignedDuration::from_mins(5), Some(restarts));
    };
    let (_, run) = with_insights(|world| figures(world, 8.0));
    assert_eq!(run.status, Status::Succeeded, "{:?}", run.cause);
    let checks = &watch(&run).end.as_ref().unwrap().checks;
    assert_eq!(checks.len(), 4, "{checks:?}");
    assert_eq!(checks[1].detail, "a container was restarted once inside a running task");

    let (_, run) = with_insights(|world| figures(world, 9.0));
    assert_eq!(run.status, Status::RolledBack);
    let said = cause(&run);
    assert!(said.contains("a container was restarted 2 times inside a running task"), "{said}");

    let (_, run) = with_insights(|world| {
        figures(world, 7.0);
        world.set_metric("TaskMemoryUtilization", SignedDuration::from_mins(4), Some(99.0));
    });
    assert!(restored(&run) && cause(&run).contains("is 99, not below 80"), "{}", cause(&run));
}

#[test]
fn a_cluster_without_container_insights_fails_nothing_and_the_run_says_what_was_not_watched() {
    let (story, run) = with_insights(|_| ());
    assert_eq!(run.status, Status::Succeeded, "{:?}", run.cause);
    story.check();
    let checks = &watch(&run).end.as_ref().unwrap().checks;
    for check in &checks[1..] {
        assert!(check.detail.starts_with("NOT WATCHED: Container Insights told nothing"), "{check:?}");
        assert!(check.detail.contains("cluster demo"), "{check:?}");
    }
    // Nor does it fail anything where metrics may not be read at all.
    let (_, run) = with_insights(|world| world.inject_on("metrics", 999, Injected::Permanent));
    assert_eq!(run.status, Status::Succeeded, "{:?}", run.cause);
    let checks = &watch(&run).end.as_ref().unwrap().checks;
    assert!(checks[1..].iter().all(|check| check.detail.contains("can't be asked: metrics")), "{checks:?}");
}
