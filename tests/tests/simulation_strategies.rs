//! Stories of ECS' own strategies: blue/green, canary and linear deployments that complete, go back by an
//! alarm, are stopped by a person or by Pushway. ECS is the one of `shared/core/src/testing/ecs_records.rs`, which
//! plays the documented states; the emulator plays rolling updates only.

use jiff::SignedDuration;
use pushway_core::fact::{DeployFailure, DeployFailureKind, Fact, RollbackOutcome, RollbackOwner};
use pushway_core::plan::Strategy;
use pushway_core::run::{Run, Status};
use pushway_core::service_deployment::ServiceDeploymentStatus;
use pushway_core::testing::{Behaviour, Injected};
use pushway_tests::sim::Events;
use pushway_tests::sim::every_call::{SHARPEST, Scenario, at_every_call, push};
use pushway_tests::sim::story::{PIPELINE, Story, image_of, old_image};

const CANARY: &str = "{ canary: { percent: 10, hold: 2m, bake: 1m } }";
const LINEAR: &str = "{ linear: { step: 50, every: 2m, bake: 1m } }";
const BLUE_GREEN: &str = "{ blue_green: { bake: 3m } }";
const ALL: [&str; 3] = [CANARY, LINEAR, BLUE_GREEN];

fn pipeline(strategy: &str) -> String {
    PIPELINE.replace(
        " }, timeout: 10m }",
        &format!(" }}, strategy: {strategy}, alarms: [web-5xx], timeout: 10m }}"),
    )
}

fn play(strategy: &str, behaviour: Behaviour, set: impl FnOnce(&Story)) -> (Story, Run) {
    let mut story = Story::new();
    set(&story);
    let commit = story.commit_with(&[("pushway.yml", &pipeline(strategy))]);
    story.image_does(&commit, behaviour);
    let run = story.play_commit(&commit);
    (story, run)
}

fn failure(run: &Run) -> &DeployFailure {
    let verdict = run.environments[0].deploy.as_ref().unwrap_or_else(|| panic!("no verdict"));
    verdict.failure.as_ref().unwrap_or_else(|| panic!("it succeeded"))
}

fn restored_by(run: &Run) -> Option<RollbackOwner> {
    match run.environments[0].rollback_outcome()? {
        RollbackOutcome::Restored { by } => Some(*by),
        outcome => panic!("{outcome:?}"),
    }
}

fn status(story: &Story) -> ServiceDeploymentStatus {
    story.service().records[0].view.status
}

#[test]
fn f29_a_strategy_is_done_only_when_its_last_bake_is_over() {
    for strategy in ALL {
        let (story, run) = play(strategy, Behaviour::Healthy, |_| {});
        assert_eq!(run.status, Status::Succeeded, "{strategy}: {:?}", run.cause);
        assert_eq!((story.movers(), status(&story)), (vec!["pushway"], ServiceDeploymentStatus::Successful));
        let journal = story.world().stored_journal(run.id);
        let at = |wanted: fn(&Fact) -> bool| journal.iter().find(|entry| wanted(&entry.fact)).unwrap().at;
        let took = at(|fact| matches!(fact, Fact::DeployEnded { .. }))
            .duration_since(at(|fact| matches!(fact, Fact::DeployStarted { .. })));
        // Fifteen seconds to get ready, three minutes of waits; ECS' event is answered at once.
        assert_eq!(took, SignedDuration::from_secs(15 + 180), "{strategy}");
    }
}

#[test]
fn the_service_gets_the_strategy_that_the_plan_asks_for_and_else_keeps_its_own() {
    let (story, _) = play(CANARY, Behaviour::Healthy, |_| {});
    let movement = story.service().movement;
    assert_eq!(movement.strategy, Strategy::Canary { percent: 10, hold_minutes: 2, bake_minutes: 1 });
    assert_eq!(movement.alarms, ["web-5xx"]);
    let mut story = Story::new();
    let blue_green = Strategy::BlueGreen { bake_minutes: 2 };
    story.world().with_service("demo", "web", |service| service.movement.strategy = blue_green);
    assert_eq!(story.play().status, Status::Succeeded);
    assert_eq!(story.service().movement.strategy, blue_green);
}

#[test]
fn f32_an_alarm_takes_a_deployment_back_and_the_run_says_which() {
    for strategy in ALL {
        let goes_off = Behaviour::Alarms(SignedDuration::from_secs(90));
        let (story, run) = play(strategy, goes_off, |_| {});
        assert_eq!((run.status, failure(&run).kind), (Status::RolledBack, DeployFailureKind::GivenUp));
        assert!(failure(&run).cause.summary.contains("alarm web-5xx went off"), "{:?}", failure(&run).cause);
        assert_eq!(restored_by(&run), Some(RollbackOwner::Alarm));
        assert_eq!(story.movers(), ["pushway", "service"], "{strategy}: Pushway only watches");
        assert_eq!(story.serving(), [old_image().digest().to_string()]);
        assert_eq!(status(&story), ServiceDeploymentStatus::RollbackSuccessful);
        // The old version is steady all the while: only ECS' record says when the traffic is back.
        let journal = story.world().stored_journal(run.id);
        let ended = journal.iter().find(|entry| matches!(entry.fact, Fact::RollbackEnded { .. })).unwrap();
        assert!(Some(ended.at) >= story.service().records[0].view.finished_at, "{strategy}: too early");
    }
}

#[test]
fn f32_a_person_who_stops_a_deployment_is_told_of_and_not_fought() {
    for strategy in ["rolling", CANARY, LINEAR, BLUE_GREEN] {
        let (story, run) = play(strategy, Behaviour::Healthy, |story| {
            story.world().with_service("demo", "web", |service| {
                service.stopper = Some(SignedDuration::from_secs(10));
            });
        });
        assert_eq!((run.status, failure(&run).kind), (Status::RolledBack, DeployFailureKind::Stopped));
        assert_eq!(restored_by(&run), Some(RollbackOwner::Person));
        assert_eq!(story.movers(), ["pushway", "someone"], "{strategy}");
        assert_eq!(story.serving(), [old_image().digest().to_string()], "{strategy}");
    }
}

#[test]
fn f29_a_deadline_stops_the_deployment_itself() {
    for strategy in ["rolling", CANARY, BLUE_GREEN] {
        let (story, run) = play(strategy, Behaviour::NeverStable, |_| {});
        assert_eq!(
            (run.status, failure(&run).kind),
            (Status::RolledBack, DeployFailureKind::DeadlineReached)
        );
        assert_eq!(restored_by(&run), Some(RollbackOwner::Pushway));
        assert_eq!(story.world().done("stop_deployment"), 1, "{strategy}");
        assert_eq!(story.world().done("move_service"), 1, "{strategy}: it is stopped, not moved once more");
        assert_eq!(status(&story), ServiceDeploymentStatus::RollbackSuccessful, "{strategy}");
        assert_eq!(story.serving(), [old_image().digest().to_string()], "{strategy}");
    }
}

#[test]
fn f29_what_has_no_hope_is_stopped_at_once_where_no_breaker_watches() {
    for strategy in ALL {
        let (story, run) = play(strategy, Behaviour::Crashes(3), |_| {});
        assert_eq!((run.status, failure(&run).kind), (Status::RolledBack, DeployFailureKind::KeepsExiting));
        assert_eq!(
            (story.world().done("stop_deployment"), restored_by(&run)),
            (1, Some(RollbackOwner::Pushway))
        );
    }
}

#[test]
fn a_failed_validation_goes_back_at_once_after_a_slow_way_there() {
    for strategy in ALL {
        let (story, run) = play(strategy, Behaviour::Sick(500), |_| {});
        assert_eq!((run.status, restored_by(&run)), (Status::RolledBack, Some(RollbackOwner::Pushway)));
        assert_eq!(story.movers(), ["pushway", "pushway"], "{strategy}");
        assert_eq!(story.serving(), [old_image().digest().to_string()]);
        let back = Strategy::BlueGreen { bake_minutes: 0 };
        assert_eq!(story.service().movement.strategy, back, "{strategy}");
    }
}

#[test]
fn a_service_that_can_not_be_moved_so_is_refused_untouched() {
    for (strategy, controller, fixed_balancers, shifting, words) in [
        (CANARY, "CODE_DEPLOY", 0, 1, "deployment controller CODE_DEPLOY"),
        (BLUE_GREEN, "ECS", 1, 0, "without an alternate target group"),
        (LINEAR, "ECS", 0, 0, "that could split its traffic"),
    ] {
        let mut story = Story::new();
        let commit = story.commit_with(&[("pushway.yml", &pipeline(strategy))]);
        let id = story.push("main", &commit);
        // What it was when the run was planned is another story: simulation_preflight.
        story.sim.run_until(|world| !world.builds().is_empty());
        story.world().with_service("demo", "web", |service| {
            service.settings.controller = controller.into();
            (service.settings.fixed_balancers, service.settings.shifting) = (fixed_balancers, shifting);
        });
        story.sim.run();
        story.check();
        let run = story.run(id);
        assert_eq!((run.status, failure(&run).kind), (Status::Failed, DeployFailureKind::Refused));
        assert!(failure(&run).cause.summary.contains(words), "{}", failure(&run).cause.summary);
        assert_eq!((story.movers(), story.world().done("register")), (vec![], 0));
    }
}

#[test]
fn f7_without_events_a_strategy_comes_to_the_same_end() {
    for (behaviour, expected) in [
        (Behaviour::Healthy, Status::Succeeded),
        (Behaviour::Alarms(SignedDuration::from_secs(90)), Status::RolledBack),
    ] {
        let (_, run) = {
            let mut story = Story::new();
            story.sim.events = Events::Lost;
            let commit = story.commit_with(&[("pushway.yml", &pipeline(CANARY))]);
            story.image_does(&commit, behaviour);
            let run = story.play_commit(&commit);
            (story, run)
        };
        assert_eq!(run.status, expected);
    }
}

#[test]
fn someone_elses_deploy_over_a_canary_is_diverged_and_left_alone() {
    let theirs = pushway_tests::sim::story::parse(&format!("registry/theirs@sha256:{}", "2".repeat(64)));
    let (story, run) = play(CANARY, Behaviour::Healthy, |story| {
        let definition = story.world().define_by_hand("theirs", &theirs);
        story.world().with_service("demo", "web", |service| {
            service.meddler = Some((SignedDuration::from_secs(60), definition));
        });
    });
    assert_eq!(failure(&run).kind, DeployFailureKind::Diverged);
    assert_eq!(story.movers(), ["pushway", "someone"]);
    assert!(![Status::Succeeded, Status::RolledBack].contains(&run.status));
}

fn pushed(story: &mut Story, strategy: &str, behaviour: Behaviour) {
    let commit = story.commit_with(&[("pushway.yml", &pipeline(strategy))]);
    story.image_does(&commit, behaviour);
    push(story, &commit);
    assert_ne!(image_of(&commit), old_image());
}

#[test]
fn f28_f35_each_strategy_survives_a_fault_at_every_call() {
    let canary: Scenario = |story| pushed(story, CANARY, Behaviour::Healthy);
    at_every_call(canary, &[Status::Succeeded], Events::Once, &SHARPEST);
    // What differs from here on is ECS' part: one kind of death is enough.
    let others: [Scenario; 2] = [
        |story| pushed(story, LINEAR, Behaviour::Healthy),
        |story| pushed(story, BLUE_GREEN, Behaviour::Healthy),
    ];
    for scenario in others {
        at_every_call(scenario, &[Status::Succeeded], Events::Once, &[Injected::DiesAfter]);
    }
}

#[test]
fn f32_a_deployment_that_pushway_stops_survives_a_fault_at_every_call() {
    let stopped: Scenario = |story| pushed(story, CANARY, Behaviour::Crashes(3));
    at_every_call(stopped, &[Status::RolledBack], Events::Once, &Injected::ALL);
}

#[test]
fn f32_a_deployment_that_goes_back_by_itself_survives_a_fault_at_every_call() {
    let alarm: Scenario = |story| pushed(story, BLUE_GREEN, Behaviour::Alarms(SignedDuration::from_secs(90)));
    let person: Scenario = |story| {
        let stops = Some(SignedDuration::from_secs(40));
        story.world().with_service("demo", "web", |service| service.stopper = stops);
        pushed(story, LINEAR, Behaviour::Healthy);
    };
    let invalid: Scenario = |story| pushed(story, CANARY, Behaviour::Sick(500));
    for scenario in [alarm, person, invalid] {
        at_every_call(scenario, &[Status::RolledBack], Events::Once, &SHARPEST);
    }
}
