//! Stories of runs that people stop: whatever a run is at, nothing new begins, and what was moved goes back.

use jiff::SignedDuration;
use pushway_core::fact::{Cause, Fact, JobEnd, JobStage, RollbackOutcome, RollbackOwner};
use pushway_core::forge::CheckState;
use pushway_core::ids::RunId;
use pushway_core::notice::statuses;
use pushway_core::ports::Clock as _;
use pushway_core::run::{Run, Status, Stop, TaskState};
use pushway_core::settle::try_record;
use pushway_core::source::Trigger;
use pushway_core::testing::{Behaviour, BuildScript, Injected, World};
use pushway_tests::sim::every_call::{at_every_call, push};
use pushway_tests::sim::people::{arn, post};
use pushway_tests::sim::story::{PIPELINE, Story, image_of, old_image};
use pushway_tests::sim::{Events, block_on};
use serde_json::{Value, json};

fn stop(world: &World, run: RunId) -> (u64, Value) {
    post(world, "ada", &format!("/v1/runs/{run}/stop"), &json!({ "reason": "wrong branch" }))
}

/// Pushes a pipeline file, and plays until something holds of the run.
fn at(story: &mut Story, file: &str, wanted: impl Fn(&Run) -> bool) -> RunId {
    let commit = story.commit_with(&[("pushway.yml", file)]);
    let id = story.push("main", &commit);
    story.sim.run_until(|world| world.stored_run(id).is_some_and(|run| wanted(&run)));
    id
}

/// Stops the run, and plays to the end.
fn stopped(story: &mut Story, id: RunId) -> (Run, Vec<String>) {
    let (status, answer) = stop(&story.world(), id);
    assert_eq!((status, &answer["stop"]["by"]), (202, &json!(arn("ada"))), "{answer}");
    story.sim.run();
    story.check();
    let follows = serde_json::from_value(answer["follows"].clone()).expect("it says what follows");
    (story.run(id), follows)
}

fn cause(run: &Run) -> String {
    let cause = run.cause.as_ref().unwrap_or_else(|| panic!("{} has no cause", run.status));
    format!("{}: {}", cause.stage, cause.summary)
}

fn names_who_stopped(run: &Run) -> bool {
    cause(run).contains(&format!("{} stopped the run: wrong branch", arn("ada")))
}

fn builds(run: &Run) -> bool {
    run.jobs.iter().any(|state| state.attempt > 0)
}

fn is_watched(run: &Run) -> bool {
    run.environments.iter().any(|state| state.watch.as_ref().is_some_and(|watch| watch.start.is_some()))
}

fn moves(run: &Run) -> bool {
    run.environments.iter().any(|state| state.deployment.is_some())
}

#[test]
fn a_run_that_is_stopped_while_it_builds_stops_its_builds_and_builds_no_more() {
    let mut story = Story::new();
    let file = PIPELINE.replace("20m,", "20m, retries: 2,").replace(
        "build:\n",
        "build:\n  docs: { buildspec: buildspec.yml, retries: 2 }\n  late: { buildspec: buildspec.yml, needs: [docs] }\n",
    );
    let id = at(&mut story, &file, |run| run.jobs.iter().filter(|state| state.attempt > 0).count() == 2);
    let (run, follows) = stopped(&mut story, id);
    assert_eq!(run.status, Status::Stopped);
    assert!(names_who_stopped(&run), "{}", cause(&run));
    assert_eq!(follows, ["2 builds are stopped, and nothing begins any more"]);
    let builds = story.world().builds();
    assert!(builds.len() == 2 && builds.iter().all(|build| build.was_stopped), "{builds:?}");
    assert!(story.sim.trace().contains(&"RunBuildJob!Pushway.Stopped".to_owned()));
    assert_eq!(story.movers().len(), 0);
    let told = statuses(&run, None);
    assert!(told.iter().all(|status| status.state == CheckState::Error), "{told:?}");
    assert!(told[0].description.starts_with("stopped: "), "{told:?}");
}

#[test]
fn a_run_that_is_stopped_before_its_plan_is_never_planned() {
    let mut story = Story::new();
    let commit = story.commit();
    let id = story.push("main", &commit);
    assert_eq!(story.run(id).status, Status::Pending);
    let (run, _) = stopped(&mut story, id);
    assert_eq!((run.status, run.plan_digest), (Status::Stopped, None));
    assert_eq!(story.world().builds().len(), 0);
}

#[test]
fn a_run_that_waits_for_its_turn_is_stopped_and_stands_in_nobodys_way() {
    let file = PIPELINE.replace("build:\n", "concurrency: queued\nbuild:\n");
    for which in 0..2 {
        let mut story = Story::new();
        let first = at(&mut story, &file, builds);
        story.world().advance(SignedDuration::from_secs(1));
        let second = at(&mut story, &file, |run| run.queued_behind.is_some());
        let (one, other) = [(first, second), (second, first)][which];
        let (run, _) = stopped(&mut story, one);
        assert_eq!((run.status, story.run(other).status), (Status::Stopped, Status::Succeeded));
    }
}

#[test]
fn a_run_that_asks_for_approval_is_stopped_and_can_be_approved_no_more() {
    let mut story = Story::new();
    let file = format!("{PIPELINE}    approval: {{ required: 1 }}\n");
    let id = at(&mut story, &file, |run| run.environments.iter().any(|state| state.approval.is_some()));
    let digest = story.run(id).environments[0].approval.clone().unwrap().request.digest;
    assert_eq!(stop(&story.world(), id).0, 202);
    let path = format!("/v1/runs/{id}/environments/staging/approve");
    let (status, problem) = post(&story.world(), "bob", &path, &json!({ "digest": digest }));
    assert!(status == 409 && problem["detail"].as_str().unwrap().contains("stopped the run"), "{problem}");
    story.sim.run();
    story.check();
    assert_eq!((story.run(id).status, story.movers().len()), (Status::Stopped, 0));
    assert!(story.world().environment_records()[0].asking.is_empty());
}

#[test]
fn a_run_that_waits_for_an_environment_is_stopped_and_the_next_one_gets_it() {
    let mut story = Story::new();
    let first = at(&mut story, &format!("{PIPELINE}    watch: {{ for: 5m }}\n"), moves);
    let runs: Vec<RunId> = (0..2)
        .map(|_| {
            story.world().advance(SignedDuration::from_secs(1));
            let commit = story.commit();
            story.push("main", &commit)
        })
        .collect();
    story.sim.run_until(|world| world.environment_records()[0].queue.contains(&runs[0]));
    let (run, _) = stopped(&mut story, runs[0]);
    assert_eq!(run.status, Status::Stopped);
    assert_eq!((story.run(first).status, story.run(runs[1]).status), (Status::Succeeded, Status::Succeeded));
}

#[test]
fn a_deploy_that_is_stopped_goes_back_by_the_normal_way() {
    for hold in [false, true] {
        let mut story = Story::new();
        let file = if hold { format!("{PIPELINE}    on_failure: hold\n") } else { PIPELINE.to_owned() };
        let id = at(&mut story, &file, moves);
        let (run, follows) = stopped(&mut story, id);
        assert_eq!(run.status, Status::RolledBack, "{}", cause(&run));
        assert!(names_who_stopped(&run) && cause(&run).starts_with("environment staging"), "{}", cause(&run));
        assert_eq!(follows, ["the deploy to staging is under way; it goes back to what served before"]);
        assert_eq!(story.serving(), [old_image().digest().to_string()]);
        let restored = RollbackOutcome::Restored { by: RollbackOwner::Pushway };
        assert_eq!(run.environments[0].rollback_outcome(), Some(&restored));
        assert!(story.sim.trace().contains(&"Deploy!Pushway.Stopped".to_owned()));
    }
}

#[test]
fn traffic_that_shifts_goes_back_too_though_ecs_asks_meanwhile() {
    let mut story = Story::new();
    let strategy = "strategy: { blue_green: { bake: 1m, pause: 5m } }";
    let file = PIPELINE.replace("timeout: 10m }\n    validate", &format!("{strategy} }}\n    validate"));
    let id = at(&mut story, &file, |run| run.environments.iter().any(|state| state.paused().is_some()));
    let (run, _) = stopped(&mut story, id);
    assert_eq!(run.status, Status::RolledBack, "{}", cause(&run));
    assert_eq!(story.serving(), [old_image().digest().to_string()]);
    let restored = RollbackOutcome::Restored { by: RollbackOwner::Pushway };
    assert_eq!(run.environments[0].rollback_outcome(), Some(&restored));
}

#[test]
fn a_version_that_is_watched_when_its_run_is_stopped_goes_back() {
    let mut story = Story::new();
    let file = format!("{PIPELINE}    watch: {{ for: 5m }}\n");
    let id = at(&mut story, &file, is_watched);
    let (run, follows) = stopped(&mut story, id);
    assert_eq!(run.status, Status::RolledBack, "{}", cause(&run));
    assert!(follows[0].contains("serves in staging already"), "{follows:?}");
    assert_eq!(story.serving(), [old_image().digest().to_string()]);
}

#[test]
fn a_check_that_is_a_build_is_stopped_with_its_run() {
    let mut story = Story::new();
    story.world().script_build(JobStage::Check, "0-1-smoke", None, BuildScript::Hangs);
    let file = format!("{PIPELINE}      - job: {{ name: smoke, buildspec: ci/unit.yml, timeout: 10m }}\n");
    let id = at(&mut story, &file, |run| run.environments.iter().any(|state| !state.check_jobs.is_empty()));
    let (run, _) = stopped(&mut story, id);
    assert_eq!(run.status, Status::RolledBack, "{}", cause(&run));
    let check = story.world().builds().into_iter().find(|build| build.request.job.stage == JobStage::Check);
    assert!(check.unwrap().was_stopped);
    assert!(names_who_stopped(&run), "{}", cause(&run));
}

#[test]
fn a_migration_is_let_end_and_the_service_is_not_moved() {
    let mut story = Story::new();
    let file = format!(
        "{PIPELINE}    before: [ {{ ecs_task: {{ command: [a], timeout: 5m }} }}, {{ ecs_task: {{ command: [b], timeout: 5m }} }} ]\n"
    );
    let id = at(&mut story, &file, |run| {
        run.environments.iter().any(|state| state.before.iter().any(TaskState::is_running))
    });
    let (run, follows) = stopped(&mut story, id);
    assert_eq!(run.status, Status::Stopped, "{}", cause(&run));
    assert!(follows[0].contains("is let end"), "{follows:?}");
    let tasks = story.world().fake_tasks();
    assert_eq!((tasks.len(), story.movers().len()), (1, 0), "{tasks:?}");
    assert_eq!(run.environments[0].before[0].end.as_ref().unwrap().exit_code, Some(0));
}

#[test]
fn what_cant_be_undone_is_brought_to_its_end_and_nothing_begins_after_it() {
    let mut story = Story::new();
    story.world().add_service("demo", "live", &old_image());
    let irreversible = format!("{PIPELINE}    irreversible: true\n");
    let more = "  - name: production\n    deploy:\n      ecs: { cluster: demo, service: live, images: { web: \"${build.image.IMAGE}\" }, timeout: 10m }\n";
    for (file, status) in
        [(irreversible.clone(), Status::Succeeded), (format!("{irreversible}{more}"), Status::Stopped)]
    {
        story.world().advance(SignedDuration::from_secs(1));
        let id = at(&mut story, &file, moves);
        let (run, follows) = stopped(&mut story, id);
        assert_eq!(run.status, status, "{:?}", run.cause);
        assert!(follows[0].contains("can't be undone"), "{follows:?}");
        assert!(
            run.environments[0].is_live()
                && run.environments.iter().skip(1).all(|state| state.fence.is_none())
        );
    }
}

#[test]
fn environments_that_are_live_stay_so_when_a_later_one_is_stopped() {
    let mut story = Story::new();
    story.world().add_service("demo", "live", &old_image());
    let file = format!(
        "{PIPELINE}  - name: production\n    deploy:\n      ecs: {{ cluster: demo, service: live, images: {{ web: \"${{build.image.IMAGE}}\" }}, timeout: 10m }}\n"
    );
    let commit = story.commit_with(&[("pushway.yml", &file)]);
    let id = story.push("main", &commit);
    story.sim.run_until(|world| {
        world.runs()[0].environments.last().is_some_and(|state| state.deployment.is_some())
    });
    let (run, follows) = stopped(&mut story, id);
    assert_eq!(run.status, Status::RolledBack);
    assert!(
        follows[0].contains("staging goes on serving") && follows[1].contains("production"),
        "{follows:?}"
    );
    assert_eq!(story.serving(), [image_of(&commit).digest().to_string()]);
    let record =
        story.world().environment_records().into_iter().find(|record| record.name.as_str() == "staging");
    assert_eq!(record.unwrap().current.unwrap().run, id);
}

#[test]
fn a_second_stop_is_the_first_one_and_what_is_over_is_not_stopped() {
    let mut story = Story::new();
    let id = at(&mut story, PIPELINE, builds);
    assert_eq!(stop(&story.world(), id).0, 202);
    let path = format!("/v1/runs/{id}/stop");
    let (status, again) = post(&story.world(), "bob", &path, &json!({ "reason": "me too" }));
    assert_eq!((status, &again["stop"]["by"], &again["over"]), (202, &json!(arn("ada")), &json!(false)));
    story.sim.run();
    let (status, again) = post(&story.world(), "eve", &path, &json!({ "reason": "still" }));
    assert_eq!((status, &again["status"], &again["over"]), (200, &json!("stopped"), &json!(true)));
    let stops = |fact: &Fact| matches!(fact, Fact::StopAsked { .. });
    assert_eq!(story.world().stored_journal(id).iter().filter(|entry| stops(&entry.fact)).count(), 1);

    let done = story.play();
    let (status, problem) = stop(&story.world(), done.id);
    assert_eq!(status, 409);
    assert!(problem["detail"].as_str().unwrap().contains("is over: succeeded"), "{problem}");
    let path = format!("/v1/runs/{id}/stop");
    assert_eq!(post(&story.world(), "ada", &path, &json!({ "reason": " " })).0, 400);
}

/// A stop whose caller died as soon as it was recorded.
fn die_asking(world: &World, id: RunId) {
    let asked = Stop { by: arn("ada"), reason: "wrong branch".into() };
    let recorded = block_on(try_record(world, id, Fact::StopAsked { stop: asked }));
    recorded.expect("it is stored").expect("it may be said");
}

#[test]
fn a_stop_whose_caller_died_is_carried_out_by_the_sweep() {
    type At = fn(&Run) -> bool;
    let asking = format!("{PIPELINE}    approval: {{ required: 1 }}\n");
    let watching = format!("{PIPELINE}    watch: {{ for: 20m }}\n");
    let waits: [(&str, &str, At, Status); 4] = [
        ("builds", PIPELINE, builds, Status::Stopped),
        (
            "asks",
            &asking,
            |run| run.environments.iter().any(|state| state.approval.is_some()),
            Status::Stopped,
        ),
        ("moves", PIPELINE, moves, Status::RolledBack),
        ("is watched", &watching, is_watched, Status::RolledBack),
    ];
    for (name, file, wanted, status) in waits {
        let mut story = Story::new();
        story.sim.events = Events::Lost;
        // What is not told to end goes on for long.
        if name == "builds" {
            story.world().script_build(JobStage::Build, "image", None, BuildScript::Hangs);
        }
        let commit = story.commit_with(&[("pushway.yml", file)]);
        if name == "moves" {
            story.image_does(&commit, Behaviour::NeverStable);
        }
        let id = story.push("main", &commit);
        story.sim.run_until(|world| world.stored_run(id).is_some_and(|run| wanted(&run)));
        let world = story.world();
        die_asking(&world, id);
        let since = world.now();
        story.sim.run();
        story.check();
        let run = story.run(id);
        assert_eq!(run.status, status, "{name}: {}", cause(&run));
        assert!(names_who_stopped(&run));
        let took = run.updated_at.duration_since(since);
        assert!(took < SignedDuration::from_mins(6), "{name}: it took {took}");
    }
}

#[test]
fn a_deploy_that_has_not_begun_when_its_run_is_stopped_never_begins() {
    let mut story = Story::new();
    story.world().inject_on("register", 1, Injected::Retryable);
    let id = at(&mut story, PIPELINE, |run| run.environments.iter().any(|state| state.fence.is_some()));
    let (run, _) = stopped(&mut story, id);
    assert_eq!(run.status, Status::Stopped, "{}", cause(&run));
    assert_eq!(story.world().done("register"), 0);
}

#[test]
fn traffic_moves_no_further_once_a_run_is_stopped_whatever_people_say() {
    let mut story = Story::new();
    let strategy = "strategy: { blue_green: { bake: 1m, pause: 5m } }";
    let file = PIPELINE.replace("timeout: 10m }\n    validate", &format!("{strategy} }}\n    validate"));
    let id = at(&mut story, &file, |run| run.environments.iter().any(|state| state.paused().is_some()));
    die_asking(&story.world(), id);
    post(&story.world(), "bob", &format!("/v1/runs/{id}/environments/staging/continue"), &json!({}));
    story.sim.run();
    story.check();
    assert_eq!(story.run(id).status, Status::RolledBack);
    let went_on = |fact: &Fact| matches!(fact, Fact::CheckpointEnded { .. });
    assert!(!story.world().stored_journal(id).iter().any(|entry| went_on(&entry.fact)));
}

#[test]
fn what_ends_because_of_a_stop_is_not_why_the_run_ended() {
    let mut story = Story::new();
    let id = at(&mut story, PIPELINE, builds);
    die_asking(&story.world(), id);
    // A settler that was at it in this very moment saw the build end.
    let job = story.run(id).jobs[0].job.clone();
    let failure = Some(Cause::new("build/image", "the build was stopped", "push again"));
    let end = JobEnd { failure, ..JobEnd::default() };
    block_on(try_record(&*story.world(), id, Fact::JobEnded { job, attempt: 1, end })).unwrap().unwrap();
    story.sim.run();
    story.check();
    assert_eq!(story.run(id).status, Status::Stopped);
    assert!(names_who_stopped(&story.run(id)), "{}", cause(&story.run(id)));
}

/// The run of a pushed commit that was stopped once it had so many facts, and how many it had in the end.
fn stopped_after(file: &str, facts: usize, events: Events) -> Option<(Story, Run)> {
    let mut story = Story::new();
    story.sim.events = events;
    let commit = story.commit_with(&[("pushway.yml", file)]);
    let id = story.push("main", &commit);
    story.sim.run_until(|world| {
        let journal = world.stored_journal(id);
        journal.len() >= facts || world.stored_run(id).is_some_and(|run| run.status.is_terminal())
    });
    if story.run(id).status.is_terminal() {
        return None;
    }
    let (status, answer) = stop(&story.world(), id);
    story.sim.run();
    story.check();
    let run = story.run(id);
    match status {
        202 => {
            assert!(matches!(run.status, Status::Stopped | Status::RolledBack), "{facts}: {:?}", run.status);
        }
        409 => assert_eq!(run.status, Status::Succeeded, "{facts}: {answer}"),
        other => panic!("{other}: {answer}"),
    }
    if run.status != Status::Succeeded {
        assert!(names_who_stopped(&run), "{facts}: {}", cause(&run));
        assert_eq!(story.serving(), [old_image().digest().to_string()], "{facts}");
    }
    Some((story, run))
}

#[test]
fn a_stop_between_any_two_facts_comes_to_an_end_that_is_true() {
    let file = format!("{PIPELINE}    watch: {{ for: 2m }}\n");
    for events in [Events::Once, Events::Lost] {
        let played = (1..60).map_while(|facts| stopped_after(&file, facts, events)).count();
        assert!(played > 8, "only {played} moments were tried");
    }
}

#[test]
fn f28_f35_a_stop_of_builds_survives_a_fault_at_every_call() {
    let scenario = |story: &mut Story| {
        let commit = story.commit();
        push(story, &commit);
        story.sim.run_until(|world| {
            world.runs().first().is_some_and(|run| builds(run) || run.status.is_terminal())
        });
        let id = story.world().runs()[0].id;
        stop(&story.world(), id);
    };
    at_every_call(scenario, &[Status::Stopped], Events::Once, &Injected::ALL);
}

#[test]
fn f28_f35_a_stop_of_a_deploy_survives_a_fault_at_every_call() {
    let scenario = |story: &mut Story| {
        let commit = story.commit();
        push(story, &commit);
        story.sim.run_until(|world| {
            world.runs().first().is_some_and(|run| moves(run) || run.status.is_terminal())
        });
        let run = story.world().runs()[0].clone();
        assert_eq!(run.source.trigger, Trigger::Push);
        stop(&story.world(), run.id);
    };
    at_every_call(scenario, &[Status::RolledBack], Events::Once, &Injected::ALL);
}
