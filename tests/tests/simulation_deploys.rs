//! Stories of deploys: what serves afterwards, who brought it back, and what the run says of it.

use jiff::SignedDuration;
use pushway_core::fact::{DeployFailureKind, Fact, JobStage, RollbackOutcome, RollbackOwner};
use pushway_core::plan::Place;
use pushway_core::ports::Probed;
use pushway_core::run::{Run, Status};
use pushway_core::testing::{Behaviour, Breaker, BuildScript, Injected, Manner, answered};
use pushway_tests::sim::people::post;
use pushway_tests::sim::story::{PIPELINE, Story, image_of, old_image, parse};
use serde_json::{Value, json};

fn cause(run: &Run) -> String {
    let cause = run.cause.as_ref().unwrap_or_else(|| panic!("{} has no cause", run.status));
    format!("{}: {}", cause.stage, cause.summary)
}

fn staging(run: &Run) -> &pushway_core::run::EnvironmentState {
    &run.environments[0]
}

fn crash(manner: Manner, breaker: Breaker) -> (Story, Run) {
    let mut story = Story::new();
    story.world().with_service("demo", "web", |service| {
        service.manner = manner;
        service.breaker = breaker;
    });
    let commit = story.commit();
    story.image_does(&commit, Behaviour::Crashes(3));
    let run = story.play_commit(&commit);
    (story, run)
}

#[test]
fn f32_a_container_that_crashes_is_rolled_back_once_and_its_exit_code_is_told() {
    for manner in [Manner::Aws, Manner::Emulator] {
        let (story, run) = crash(manner, Breaker::On);
        assert_eq!(run.status, Status::RolledBack, "{manner:?}");
        assert!(cause(&run).contains("container web exited with code 3"), "{}", cause(&run));
        assert_eq!(story.serving(), [old_image().digest().to_string()], "{manner:?}");
        // ECS went back by itself: Pushway only watched.
        assert_eq!(story.movers(), ["pushway", "service"], "{manner:?}");
        let restored = RollbackOutcome::Restored { by: RollbackOwner::Service };
        assert_eq!(staging(&run).rollback_outcome(), Some(&restored));
    }
}

#[test]
fn a_breaker_that_only_stops_leaves_the_way_back_to_pushway() {
    let (story, run) = crash(Manner::Aws, Breaker::WithoutRollback);
    assert_eq!(run.status, Status::RolledBack);
    assert_eq!(story.movers(), ["pushway", "pushway"]);
    assert_eq!(story.serving(), [old_image().digest().to_string()]);
}

#[test]
fn f29_without_a_breaker_the_third_crash_ends_a_rollout_that_crashes_for_ever() {
    for manner in [Manner::Aws, Manner::Emulator] {
        let (story, run) = crash(manner, Breaker::Off);
        assert_eq!(run.status, Status::RolledBack);
        let verdict = staging(&run).deploy.as_ref().unwrap().failure.as_ref().unwrap();
        assert_eq!(verdict.kind, DeployFailureKind::KeepsExiting);
        assert!(cause(&run).contains("exited with code 3"), "{}", cause(&run));
        assert_eq!(story.movers(), ["pushway", "pushway"]);
    }
}

#[test]
fn f29_a_rollout_that_never_settles_ends_at_its_deadline() {
    let mut story = Story::new();
    let commit = story.commit();
    story.image_does(&commit, Behaviour::NeverStable);
    let begun = story.world().runs().len();
    let run = story.play_commit(&commit);
    assert_eq!((begun, run.status), (0, Status::RolledBack));
    let started = story
        .world()
        .stored_journal(run.id)
        .into_iter()
        .find(|entry| matches!(entry.fact, Fact::DeployStarted { .. }));
    let ended = story
        .world()
        .stored_journal(run.id)
        .into_iter()
        .find(|entry| matches!(entry.fact, Fact::DeployEnded { .. }));
    let took = ended.unwrap().at.duration_since(started.unwrap().at);
    assert!(took >= SignedDuration::from_mins(10) && took < SignedDuration::from_mins(12), "{took}");
}

#[test]
fn a_failed_validation_is_rolled_back_by_pushway() {
    let mut story = Story::new();
    let commit = story.commit();
    story.image_does(&commit, Behaviour::Sick(500));
    let run = story.play_commit(&commit);
    assert_eq!(run.status, Status::RolledBack);
    assert!(cause(&run).contains("status 500, not 200"), "{}", cause(&run));
    assert_eq!(story.movers(), ["pushway", "pushway"]);
    assert_eq!(story.serving(), [old_image().digest().to_string()]);
    let current = story.world().environment_records()[0].current.clone();
    assert_eq!(current, None, "what was rolled back is never noted as what serves");
}

#[test]
fn f33_three_bad_probes_of_five_are_got_over_and_four_are_not() {
    let sick = || answered(503, "");
    for (bad, status) in [(3, Status::Succeeded), (4, Status::RolledBack)] {
        let mut story = Story::new();
        story.world().script_probes((0..bad).map(|_| sick()));
        assert_eq!(story.play().status, status, "{bad} bad probes");
    }
}

#[test]
fn f33_silence_and_refused_addresses_are_failures() {
    for probed in [Probed::Nothing("connection refused".into()), Probed::Refused("it is private".into())] {
        let mut story = Story::new();
        story.world().script_probes(std::iter::repeat_n(probed.clone(), 5));
        let run = story.play();
        assert_eq!(run.status, Status::RolledBack, "{probed:?}");
    }
}

#[test]
fn hold_leaves_the_bad_version_for_people_to_look_at() {
    let mut story = Story::new();
    let pipeline = format!("{PIPELINE}    on_failure: hold\n");
    let commit = story.commit_with(&[("pushway.yml", &pipeline)]);
    story.image_does(&commit, Behaviour::Sick(500));
    let run = story.play_commit(&commit);
    assert_eq!(run.status, Status::Failed);
    assert_eq!(story.movers(), ["pushway"]);
    assert_eq!(story.serving(), [image_of(&commit).digest().to_string()]);
}

#[test]
fn f31_a_rollback_that_fails_is_said_aloud_and_keeps_the_lock() {
    let mut story = Story::new();
    let commit = story.commit();
    story.image_does(&commit, Behaviour::Sick(500));
    story.world().set_behaviour(&old_image(), Behaviour::Crashes(1));
    let run = story.play_commit(&commit);
    assert_eq!(run.status, Status::RollbackFailed);
    let record = &story.world().environment_records()[0];
    assert!(record.is_held_by(run.id), "nobody may deploy over it");
    // The first cause stays the cause; the rollback's is kept beside it.
    assert!(cause(&run).contains("status 500"), "{}", cause(&run));
    assert!(matches!(staging(&run).rollback_outcome(), Some(RollbackOutcome::Failed { .. })));
    // The next run waits for people, and is never reported as anything but failed.
    let next = story.commit();
    let next = story.push("main", &next);
    story.sim.run_for(SignedDuration::from_hours(1));
    assert_eq!(story.run(next).status, Status::Testing, "it waits for the lock");
    assert_eq!(story.movers().iter().filter(|who| **who == "pushway").count(), 2);
    // Once they have looked, they free it by hand, and the next run goes on.
    let world = story.world();
    let free = |by: &str| {
        let (status, answer) =
            post(&world, by, "/v1/environments/web/staging/unlock", &json!({ "reason": "it serves" }));
        (status, answer["was"].clone())
    };
    assert_eq!(free("ada"), (200, json!(run.id)));
    assert_eq!(free("bob").0, 409, "a lock in use is not taken away");
    story.sim.run();
    assert_eq!(story.run(next).status, Status::Succeeded);
    assert_eq!(free("eve"), (200, Value::Null));
    assert!(world.audit().iter().any(|entry| entry.operation == "unlock" && entry.by.ends_with("/ada")));
}

#[test]
fn f30_a_first_deploy_that_fails_has_nothing_to_go_back_to() {
    for manner in [Manner::Aws, Manner::Emulator] {
        let mut story = Story::new();
        let world = story.world();
        let broken = parse(&format!("registry/first@sha256:{}", "1".repeat(64)));
        world.add_broken_service("fresh", "web", &broken, manner);
        let commit =
            story.commit_with(&[("pushway.yml", &PIPELINE.replace("cluster: demo", "cluster: fresh"))]);
        story.image_does(&commit, Behaviour::Crashes(3));
        let run = story.play_commit(&commit);
        assert_eq!(run.status, Status::FailedNoBaseline, "{manner:?}: {:?}", staging(&run).rollback);
        assert!(cause(&run).contains("code 3"), "{}", cause(&run));
    }
}

#[test]
fn a_first_deploy_that_works_is_a_success() {
    let mut story = Story::new();
    let world = story.world();
    let broken = parse(&format!("registry/first@sha256:{}", "1".repeat(64)));
    world.add_broken_service("fresh", "web", &broken, Manner::Emulator);
    world.add_url("web.example.com", "fresh", "web");
    let commit = story.commit_with(&[("pushway.yml", &PIPELINE.replace("cluster: demo", "cluster: fresh"))]);
    assert_eq!(story.play_commit(&commit).status, Status::Succeeded);
}

#[test]
fn someone_elses_deploy_in_between_is_never_a_success_and_is_left_alone() {
    for after in [2, 30] {
        let mut story = Story::new();
        let theirs = parse(&format!("registry/theirs@sha256:{}", "2".repeat(64)));
        let definition = story.world().define_by_hand("theirs", &theirs);
        story.world().with_service("demo", "web", |service| {
            service.meddler = Some((SignedDuration::from_secs(after), definition.clone()));
        });
        // Validation must not run before they come.
        let sick = answered(503, "");
        if after > 15 {
            story.world().script_probes(std::iter::repeat_n(sick, 4));
        }
        let run = story.play();
        assert_ne!(run.status, Status::Succeeded, "after {after} s");
        assert_ne!(run.status, Status::RolledBack, "after {after} s: nobody brought the old version back");
        assert_eq!(story.movers().last(), Some(&"someone"), "after {after} s: {:?}", story.service().moves);
    }
}

#[test]
fn f34_a_success_needs_our_image_in_every_running_task() {
    let mut story = Story::new();
    let id = {
        let commit = story.commit();
        story.push("main", &commit)
    };
    // Someone deploys between the verdict and the checks.
    story.sim.run_until(|world| {
        world.runs()[0].environments.first().is_some_and(|state| state.deployment.is_some())
    });
    let theirs = parse(&format!("registry/theirs@sha256:{}", "2".repeat(64)));
    let definition = story.world().define_by_hand("theirs", &theirs);
    story.world().with_service("demo", "web", |service| {
        for task in &mut service.tasks {
            task.task_definition.clone_from(&definition);
        }
    });
    story.sim.run();
    assert_ne!(story.run(id).status, Status::Succeeded);
}

#[test]
fn an_image_by_tag_is_refused_and_the_service_is_not_touched() {
    let mut story = Story::new();
    let exported = [("IMAGE".to_owned(), "registry/web:latest".to_owned())].into();
    story.world().script_build(JobStage::Build, "image", None, BuildScript::Succeeds(exported));
    let run = story.play();
    assert_eq!(run.status, Status::Failed);
    assert!(cause(&run).contains("by digest"), "{}", cause(&run));
    assert_eq!(story.movers(), [""; 0]);
}

/// A run that has begun to build, for what changes after it was planned.
fn building(story: &mut Story, pipeline: &str) -> pushway_core::ids::RunId {
    let commit = story.commit_with(&[("pushway.yml", pipeline)]);
    let id = story.push("main", &commit);
    story.sim.run_until(|world| !world.builds().is_empty());
    id
}

#[test]
fn a_service_that_is_gone_by_the_time_of_its_deploy_is_refused() {
    let mut story = Story::new();
    let id = building(&mut story, PIPELINE);
    story.world().with_service("demo", "web", |service| service.is_active = false);
    story.sim.run();
    story.check();
    let run = story.run(id);
    assert_eq!(run.status, Status::Failed);
    assert!(cause(&run).contains("has no active service"), "{}", cause(&run));
    assert_eq!(story.movers(), [""; 0]);
}

#[test]
fn a_container_that_is_gone_by_the_time_of_its_deploy_is_refused_by_name() {
    let mut story = Story::new();
    let id = building(&mut story, PIPELINE);
    let theirs = story.world().define_container_by_hand("api", &old_image());
    story.world().with_service("demo", "web", |service| {
        for rollout in &mut service.rollouts {
            rollout.task_definition.clone_from(&theirs);
        }
    });
    story.sim.run();
    let run = story.run(id);
    assert_eq!(run.status, Status::Failed);
    assert!(cause(&run).contains("no container \"web\", only api"), "{}", cause(&run));
}

#[test]
fn f10_an_older_push_that_comes_late_never_goes_over_a_newer_one() {
    let mut story = Story::new();
    let (older, newer) = (story.commit(), story.commit());
    // The older push is recorded, but its execution has to wait for the sweep.
    story.world().inject_on("start_execution", 1, Injected::Retryable);
    let older = story.push("main", &older);
    story.world().advance(SignedDuration::from_secs(1));
    let newer = (story.push("main", &newer), newer);
    story.sim.run();
    story.check();
    let late = story.run(older);
    assert_eq!((late.status, late.superseded_by), (Status::Superseded, Some(newer.0)));
    assert_eq!(story.run(newer.0).status, Status::Succeeded);
    assert_eq!(story.serving(), [image_of(&newer.1).digest().to_string()]);
    assert_eq!(story.movers(), ["pushway"], "the older one has moved the service");
}

#[test]
fn a41_a_service_of_another_account_is_reached_with_that_accounts_role_in_every_call() {
    const AWS: &str = "    aws: { role: \"arn:aws:iam::111122223333:role/pushway-target\", external_id: \"7f3a-web\", region: eu-west-1 }\n";
    let place = Place {
        role: Some("arn:aws:iam::111122223333:role/pushway-target".into()),
        external_id: Some("7f3a-web".into()),
        region: Some("eu-west-1".into()),
        pipeline: Some(parse("web")),
    };
    for (behaviour, status) in [
        (Behaviour::Healthy, Status::Succeeded),
        (Behaviour::Crashes(3), Status::RolledBack),
        (Behaviour::Sick(500), Status::RolledBack),
    ] {
        let mut story = Story::new();
        story.world().with_service("demo", "web", |service| service.place = place.clone());
        // A call without the role would not even see the service.
        let commit = story.commit_with(&[("pushway.yml", &format!("{PIPELINE}{AWS}"))]);
        story.image_does(&commit, behaviour);
        let run = story.play_commit(&commit);
        assert_eq!(run.status, status, "{behaviour:?}: {:?}", run.cause);
        assert_eq!(staging(&run).rollout.as_ref().map(|rollout| &rollout.place), Some(&place));
        if behaviour == Behaviour::Crashes(3) {
            let evidence = &run.cause.as_ref().unwrap().evidence;
            assert!(evidence.iter().any(|line| line.starts_with("log: ")), "{evidence:?}");
        }
        let (_, other) = (story.commit(), story.commit());
        let run = story.play_commit(&other);
        assert_eq!(run.status, Status::Rejected, "without the role nothing is seen");
        assert!(cause(&run).contains("no cluster \"demo\""), "{}", cause(&run));
    }
}
