//! Every step is made to fail, every step is repeated, by a loop: a new step is tested without a new test.
//!
//! Each scenario is played once without faults to count its calls. Then it is played again for every call
//! and every kind of fault. Whatever goes wrong, the story's invariants hold at its end; where the fault can
//! be got over, the verdict is the same as without it.

use std::panic::{AssertUnwindSafe, catch_unwind};

use jiff::SignedDuration;
use proptest::prelude::*;
use pushway_core::approval::ApprovalState;
use pushway_core::ids::CommitSha;
use pushway_core::run::{Run, Status};
use pushway_core::testing::{Behaviour, Breaker, Injected, Manner, World};
use pushway_tests::sim::story::{PIPELINE, Story, old_image};
use pushway_tests::sim::{Events, people};
use serde_json::json;

/// One fault of each effect, for variations of what is played with all of them.
const SHARPEST: [Injected; 3] = [Injected::Permanent, Injected::AnswerLost, Injected::DiesBefore];

/// What happens on a stage that is set: a push and what its image does.
type Scenario = fn(&mut Story);

/// Pushes until the webhook has taken it, as people and forges do.
fn push(story: &mut Story, commit: &CommitSha) {
    // Two pushes of one moment have no order; these have.
    story.world().advance(SignedDuration::from_millis(1));
    let post = story.post_of("main", commit);
    for _ in 0..5 {
        if story.send(&post).is_ok_and(|answered| answered.status < 300) {
            return;
        }
    }
    panic!("the webhook never took it");
}

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

fn play(scenario: Scenario, faults: &[(usize, Injected)], events: Events) -> Story {
    let mut story = Story::new();
    story.sim.events = events;
    for (number, what) in faults {
        story.world().inject_at(*number, *what);
    }
    scenario(&mut story);
    story.sim.run();
    story.check();
    story
}

/// How the runs came out. A fault may hold an older push up until a newer one serves: then it is superseded,
/// which is as good as having been deployed before.
fn statuses(story: &Story) -> Vec<Status> {
    let came_out = |run: &Run| if run.status == Status::Superseded { Status::Succeeded } else { run.status };
    story.world().runs().iter().map(came_out).collect()
}

/// Plays the scenario with every fault at every call.
fn at_every_call(scenario: Scenario, expected: &[Status], events: Events, kinds: &[Injected]) {
    let plain = play(scenario, &[], events);
    assert_eq!(statuses(&plain), expected);
    let mut wrong = Vec::new();
    for number in 0..plain.world().call_count() {
        for &what in kinds {
            let played = catch_unwind(AssertUnwindSafe(|| play(scenario, &[(number, what)], events)));
            let problem = match played {
                Err(panic) => Some(words(panic.as_ref())),
                // What can't be got over may end the run, but a verdict stays the truth: `check` has seen to it.
                Ok(_) if what == Injected::Permanent => None,
                Ok(story) if statuses(&story) == expected => None,
                Ok(story) => Some(format!("came out as {:?}", statuses(&story))),
            };
            if let Some(problem) = problem {
                let call = plain.world().calls()[number].clone();
                wrong.push(format!("{what:?} at {number} ({} {}): {problem}", call.verb, call.about));
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

fn words(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("?").chars().take(600).collect()
}

#[test]
fn f9_f11_f12_f13_f28_a_green_run_survives_a_fault_at_every_call() {
    at_every_call(green, &[Status::Succeeded], Events::Once, &Injected::ALL);
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
