//! Every step is made to fail, every step is repeated, by a loop: a new step is tested without a new test.
//!
//! Each scenario is played once without faults to count its calls. Then it is played again for every call
//! and every kind of fault. Whatever goes wrong, the story's invariants hold at its end; where the fault can
//! be got over, the verdict is the same as without it.

use jiff::SignedDuration;
use proptest::prelude::*;
use pushway_core::approval::ApprovalState;
use pushway_core::run::Status;
use pushway_core::testing::{Behaviour, Breaker, Injected, Manner, World};
use pushway_core::views::AlarmState;
use pushway_tests::sim::every_call::{SHARPEST, Scenario, at_every_call, play, push, statuses};
use pushway_tests::sim::story::{PIPELINE, Story, old_image};
use pushway_tests::sim::{Events, people};
use serde_json::json;

fn green(story: &mut Story) {
    let commit = story.commit();
    push(story, &commit);
}

fn image_does(story: &mut Story, behaviour: Behaviour) {
    let commit = story.commit();
    story.image_does(&commit, behaviour);
    push(story, &commit);
}

fn set(story: &Story, manner: Manner, breaker: Breaker) {
    story.world().with_service("demo", "web", |service| {
        service.manner = manner;
        service.breaker = breaker;
    });
}

#[test]
fn f9_f11_f12_f13_f28_a_green_run_survives_a_fault_at_every_call() {
    at_every_call(green, &[Status::Succeeded], Events::Once, &Injected::ALL);
}

/// A push whose version is watched; an alarm rings after so long.
fn watched(story: &mut Story, rings_after: Option<SignedDuration>) {
    story.world().set_alarm("web-5xx", SignedDuration::ZERO, AlarmState::Ok);
    if let Some(after) = rings_after {
        story.world().set_alarm("web-5xx", after, AlarmState::Alarm);
    }
    let pipeline = format!("{PIPELINE}    watch: {{ for: 30m, alarms: [web-5xx] }}\n");
    let commit = story.commit_with(&[("pushway.yml", &pipeline)]);
    push(story, &commit);
}

#[test]
fn f28_a_watch_survives_a_fault_at_every_call() {
    at_every_call(|story| watched(story, None), &[Status::Succeeded], Events::Once, &Injected::ALL);
}

#[test]
fn f28_an_alarm_in_a_watch_rolls_back_whatever_fault_comes() {
    let rings = |story: &mut Story| watched(story, Some(SignedDuration::from_mins(10)));
    at_every_call(rings, &[Status::RolledBack], Events::Once, &Injected::ALL);
}

#[test]
fn f28_checks_with_a_job_survive_a_fault_at_every_call() {
    fn scenario(story: &mut Story) {
        let checks = "      - job: { name: smoke, buildspec: ci/unit.yml }\n      - http: { url: \"http://web.example.com/\", interval: 1s }\n";
        let commit = story.commit_with(&[("pushway.yml", &format!("{PIPELINE}{checks}"))]);
        push(story, &commit);
    }
    at_every_call(scenario, &[Status::Succeeded], Events::Once, &Injected::ALL);
    at_every_call(scenario, &[Status::Succeeded], Events::Lost, &SHARPEST);
}

#[test]
fn f7_a_green_run_survives_a_fault_at_every_call_without_any_event() {
    at_every_call(green, &[Status::Succeeded], Events::Lost, &SHARPEST);
}

#[test]
fn f20_a_green_run_survives_a_fault_at_every_call_with_every_event_tripled() {
    at_every_call(green, &[Status::Succeeded], Events::Times(3), &SHARPEST);
}

#[test]
fn f32_a_crash_that_ecs_rolls_back_survives_a_fault_at_every_call() {
    fn scenario(story: &mut Story) {
        image_does(story, Behaviour::Crashes(3));
    }
    at_every_call(scenario, &[Status::RolledBack], Events::Once, &Injected::ALL);
}

#[test]
fn f32_the_same_with_the_emulators_manners() {
    fn scenario(story: &mut Story) {
        set(story, Manner::Emulator, Breaker::On);
        image_does(story, Behaviour::Crashes(3));
    }
    at_every_call(scenario, &[Status::RolledBack], Events::Once, &SHARPEST);
}

#[test]
fn f29_a_rollout_that_only_its_deadline_ends_survives_a_fault_at_every_call() {
    fn scenario(story: &mut Story) {
        set(story, Manner::Aws, Breaker::Off);
        image_does(story, Behaviour::NeverStable);
    }
    at_every_call(scenario, &[Status::RolledBack], Events::Once, &Injected::ALL);
}

#[test]
fn f28_a_failed_validation_survives_a_fault_at_every_call() {
    fn scenario(story: &mut Story) {
        image_does(story, Behaviour::Sick(500));
    }
    at_every_call(scenario, &[Status::RolledBack], Events::Once, &Injected::ALL);
}

#[test]
fn f31_a_rollback_that_fails_survives_a_fault_at_every_call() {
    fn scenario(story: &mut Story) {
        image_does(story, Behaviour::Sick(500));
        story.world().set_behaviour(&old_image(), Behaviour::Crashes(1));
    }
    at_every_call(scenario, &[Status::RollbackFailed], Events::Once, &SHARPEST);
}

#[test]
fn f30_a_first_deploy_that_fails_survives_a_fault_at_every_call() {
    fn scenario(story: &mut Story) {
        let world = story.world();
        world.with_service("demo", "web", |service| service.is_active = false);
        world.add_broken_service("fresh", "web", &old_image(), Manner::Aws);
        let pipeline = pushway_tests::sim::story::PIPELINE.replace("cluster: demo", "cluster: fresh");
        let commit = story.commit_with(&[("pushway.yml", &pipeline)]);
        story.image_does(&commit, Behaviour::Crashes(3));
        push(story, &commit);
    }
    at_every_call(scenario, &[Status::FailedNoBaseline], Events::Once, &Injected::ALL);
}

#[test]
fn f27_two_runs_for_one_environment_survive_a_fault_at_every_call() {
    fn scenario(story: &mut Story) {
        green(story);
        green(story);
    }
    at_every_call(scenario, &[Status::Succeeded, Status::Succeeded], Events::Once, &SHARPEST);
}

/// The pipeline asks two people, and both consent; then someone wants the version before back.
fn asked(story: &mut Story) {
    let pipeline = format!("{PIPELINE}    approval: {{ required: 2 }}\n");
    let commit = story.commit_with(&[("pushway.yml", &pipeline)]);
    push(story, &commit);
    let open = |world: &World| {
        let runs = world.runs();
        runs.iter().find_map(|run| {
            Some((run.id, run.environments.first()?.approval.clone().filter(ApprovalState::is_open)?))
        })
    };
    story.sim.run_until(|world| open(world).is_some() || world.all_over());
    let world = story.world();
    let Some((run, approval)) = open(&world) else { return };
    for name in ["ada", "bob"] {
        let path = format!("/v1/runs/{run}/environments/staging/approve");
        people::post(&world, name, &path, &json!({ "digest": approval.request.digest }));
    }
}

#[test]
fn f9_f13_an_approved_deploy_survives_a_fault_at_every_call() {
    at_every_call(asked, &[Status::Succeeded], Events::Once, &Injected::ALL);
}

#[test]
fn f9_what_an_approval_gathers_may_fail_and_die_at_every_call() {
    fn scenario(story: &mut Story) {
        green(story);
        story.sim.run();
        asked(story);
    }
    at_every_call(scenario, &[Status::Succeeded, Status::Succeeded], Events::Once, &SHARPEST);
}

#[test]
fn f37_a_rollback_by_hand_survives_a_fault_at_every_call() {
    fn scenario(story: &mut Story) {
        for _ in 0..2 {
            green(story);
            story.sim.run();
        }
        let body = json!({ "reason": "it is slow" });
        people::post(&story.world(), "ada", "/v1/environments/web/staging/rollback", &body);
    }
    at_every_call(scenario, &[Status::Succeeded; 3], Events::Once, &SHARPEST);
}

fn sick(story: &mut Story) {
    image_does(story, Behaviour::Sick(500));
}

fn two(story: &mut Story) {
    green(story);
    image_does(story, Behaviour::Crashes(3));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn f9_any_three_faults_that_can_be_got_over_change_no_verdict(
        which in 0usize..3, faults in proptest::collection::vec((0usize..250, 0usize..4), 3), lost in any::<bool>(),
    ) {
        const PASSING: [Injected; 4] =
            [Injected::Retryable, Injected::AnswerLost, Injected::DiesBefore, Injected::DiesAfter];
        let (scenario, expected): (Scenario, &[Status]) = [
            (green as Scenario, [Status::Succeeded].as_slice()),
            (sick, &[Status::RolledBack]),
            (two, &[Status::Succeeded, Status::RolledBack]),
        ][which];
        let faults: Vec<_> = faults.into_iter().map(|(number, what)| (number, PASSING[what])).collect();
        let events = if lost { Events::Lost } else { Events::Once };
        let story = play(scenario, &faults, events);
        let mut came_out = statuses(&story);
        came_out.sort_by_key(|status| *status != Status::Succeeded);
        prop_assert_eq!(came_out, expected);
    }
}
