//! Stories of deploys that can't come to anything: they end at once, with the reason, and not before it is
//! sure. What is kept of them with the run.

use jiff::SignedDuration;
use pushway_core::fact::{DeployFailure, DeployFailureKind, Fact, OutOfBand};
use pushway_core::ids::{ImageDigestRef, RunId};
use pushway_core::run::{Run, Status};
use pushway_core::testing::{Behaviour, Breaker, Manner};
use pushway_tests::sim::Events;
use pushway_tests::sim::story::{PIPELINE, Story, image_of, old_image, parse};

const NO_MANIFEST: &str = "CannotPullContainerError: manifest for registry/web not found: manifest unknown";
const NO_SECRET: &str = "ResourceInitializationError: unable to pull secrets or registry auth: unable to \
                         retrieve secret from asm: AccessDeniedException: not authorized to perform: \
                         secretsmanager:GetSecretValue";
const SLOW_REGISTRY: &str = "CannotPullContainerError: pull image manifest has been retried 5 time(s): dial tcp: \
                             i/o timeout";

fn failure(run: &Run) -> &DeployFailure {
    let verdict = run.environments[0].deploy.as_ref().unwrap_or_else(|| panic!("no verdict"));
    verdict.failure.as_ref().unwrap_or_else(|| panic!("it succeeded"))
}

/// From the service being told to move to the verdict.
fn took(story: &Story, id: RunId) -> SignedDuration {
    let journal = story.world().stored_journal(id);
    let at = |wanted: fn(&Fact) -> bool| {
        journal.iter().find(|entry| wanted(&entry.fact)).unwrap_or_else(|| panic!("no such fact")).at
    };
    let ended = at(|fact| matches!(fact, Fact::DeployEnded { .. }));
    ended.duration_since(at(|fact| matches!(fact, Fact::DeployStarted { .. })))
}

fn play(behaviour: Behaviour, events: Events) -> (Story, Run) {
    let mut story = Story::new();
    story.sim.events = events;
    // A breaker would take its time, and the deadline is ten minutes away.
    story.world().with_service("demo", "web", |service| service.breaker = Breaker::Off);
    let commit = story.commit();
    story.image_does(&commit, behaviour);
    let run = story.play_commit(&commit);
    (story, run)
}

#[test]
fn f29_what_can_not_start_is_rolled_back_within_seconds_and_says_why() {
    for (behaviour, kind, words) in [
        (Behaviour::CantStart(NO_MANIFEST), DeployFailureKind::ImageUnavailable, "the image can't be pulled"),
        (Behaviour::CantStart(NO_SECRET), DeployFailureKind::SecretDenied, "a secret of the task definition"),
        (Behaviour::NoRoom, DeployFailureKind::NoCapacity, "there is no room for the new tasks"),
    ] {
        let (story, run) = play(behaviour, Events::Once);
        assert_eq!((run.status, failure(&run).kind), (Status::RolledBack, kind));
        assert!(failure(&run).cause.summary.starts_with(words), "{}", failure(&run).cause.summary);
        assert!(
            took(&story, run.id) < SignedDuration::from_secs(10),
            "{kind:?} took {}",
            took(&story, run.id)
        );
        assert_eq!(story.movers(), ["pushway", "pushway"], "{kind:?}");
        assert_eq!(story.serving(), [old_image().digest().to_string()], "{kind:?}");
    }
}

#[test]
fn f29_without_events_the_sweep_finds_that_there_is_no_hope() {
    let (story, run) = play(Behaviour::CantStart(NO_MANIFEST), Events::Lost);
    assert_eq!((run.status, failure(&run).kind), (Status::RolledBack, DeployFailureKind::ImageUnavailable));
    assert!(took(&story, run.id) <= SignedDuration::from_secs(75), "{}", took(&story, run.id));
}

#[test]
fn a_registry_that_is_slow_for_once_is_waited_for() {
    let (story, run) = play(Behaviour::StartsLater(SLOW_REGISTRY), Events::Once);
    assert_eq!(run.status, Status::Succeeded);
    assert_eq!(story.movers(), ["pushway"]);
}

#[test]
fn f29_a_container_that_ends_alike_three_times_is_not_waited_for() {
    for manner in [Manner::Aws, Manner::Emulator] {
        let mut story = Story::new();
        story.world().with_service("demo", "web", |service| {
            (service.breaker, service.manner) = (Breaker::Off, manner);
        });
        let commit = story.commit();
        story.image_does(&commit, Behaviour::Crashes(3));
        let run = story.play_commit(&commit);
        assert_eq!((run.status, failure(&run).kind), (Status::RolledBack, DeployFailureKind::KeepsExiting));
        let stopped = story.service().tasks.iter().filter(|task| task.is_stopped).count();
        assert_eq!(stopped, 3, "{manner:?}: neither sooner nor later");
    }
}

#[test]
fn the_card_of_a_failed_deploy_is_kept_with_the_run() {
    let mut story = Story::new();
    let commit = story.commit();
    story.image_does(&commit, Behaviour::Crashes(3));
    let run = story.play_commit(&commit);
    let card = failure(&run).card.as_ref().unwrap();
    assert_eq!(card.tasks[0].reason, "Essential container in task exited");
    assert_eq!(card.tasks[0].containers[0].exit_code, Some(3));
    assert_eq!(card.changes, [format!("web: image: {} → {}", old_image(), image_of(&commit))]);
    assert_eq!(card.log.len(), 1);
    let (_, run) = play(Behaviour::NoRoom, Events::Once);
    let card = failure(&run).card.as_ref().unwrap();
    assert!(card.said[0].contains("Capacity is unavailable"), "{:?}", card.said);
    // The lines that people are shown hold all of it.
    let evidence = run.cause.unwrap().evidence.join("\n");
    assert!(evidence.contains("changed: web: image: ") && evidence.contains("service: (service web) was"));
}

#[test]
fn f30_a_first_deploy_without_hope_has_nothing_to_go_back_to() {
    let mut story = Story::new();
    let broken = parse(&format!("registry/first@sha256:{}", "1".repeat(64)));
    story.world().add_broken_service("fresh", "web", &broken, Manner::Aws);
    let pipeline = PIPELINE.replace("cluster: demo", "cluster: fresh");
    let commit = story.commit_with(&[("pushway.yml", &pipeline)]);
    story.image_does(&commit, Behaviour::CantStart(NO_MANIFEST));
    let run = story.play_commit(&commit);
    assert_eq!(run.status, Status::FailedNoBaseline);
    assert_eq!(failure(&run).kind, DeployFailureKind::ImageUnavailable);
}

/// How much later than the service's own end of the rollout the verdict is there, at most, wherever between
/// two sweeps the push comes.
fn latest(behaviour: Behaviour, rollout: SignedDuration, events: Events) -> SignedDuration {
    let late = (0..60).step_by(3).map(|offset| {
        let mut story = Story::new();
        story.sim.run_for(SignedDuration::from_secs(offset));
        let commit = story.commit();
        story.image_does(&commit, behaviour);
        let id = story.push("main", &commit);
        // The builds' events come: else the sweep that finds the last build would set the deploy's time.
        story.sim.run_until(|world| world.done("move_service") == 1);
        story.sim.events = events;
        story.sim.run();
        story.check();
        took(&story, id) - rollout
    });
    late.max().unwrap_or_default()
}

#[test]
fn f7_a_verdict_comes_within_a_second_of_its_event_and_within_70_seconds_without_any() {
    // The service is steady after 15 seconds; the third crash trips its breaker after 15 too.
    let rollout = SignedDuration::from_secs(15);
    for behaviour in [Behaviour::Healthy, Behaviour::Crashes(3)] {
        let told = latest(behaviour, rollout, Events::Once);
        assert!(told <= SignedDuration::from_secs(1), "{behaviour:?}: {told}");
        let swept = latest(behaviour, rollout, Events::Lost);
        assert!(swept > SignedDuration::ZERO, "{behaviour:?} was told of by nobody");
        assert!(swept <= SignedDuration::from_secs(70), "{behaviour:?}: {swept}");
    }
}

#[test]
fn someone_who_deployed_in_between_is_told_of_by_the_next_run_and_by_the_environment() {
    let mut story = Story::new();
    let first = story.play();
    assert_eq!(first.environments[0].rollout.as_ref().unwrap().out_of_band, None, "nothing is known before");
    let second = story.play();
    assert_eq!(second.environments[0].rollout.as_ref().unwrap().out_of_band, None, "that was us");
    let theirs: ImageDigestRef = parse(&format!("registry/theirs@sha256:{}", "2".repeat(64)));
    let definition = story.world().define_by_hand("theirs", &theirs);
    story.world().with_service("demo", "web", |service| {
        for rollout in &mut service.rollouts {
            rollout.task_definition.clone_from(&definition);
        }
        for task in &mut service.tasks {
            task.task_definition.clone_from(&definition);
        }
    });
    let third = story.play();
    assert_eq!(third.status, Status::Succeeded);
    let change = third.environments[0].rollout.as_ref().unwrap().out_of_band.clone().unwrap();
    let expected = second.environments[0].rollout.as_ref().unwrap().task_definition.clone();
    assert_eq!(change, OutOfBand { found: definition, expected, run: second.id });
    assert_eq!(story.world().environment_records()[0].current.as_ref().unwrap().over, Some(change.clone()));
    let words = pushway_core::messages::deploys::out_of_band(&change);
    assert!(words.contains("it ran theirs:"), "{words}");
}

#[test]
fn what_pushway_has_rolled_back_or_left_behind_itself_is_not_out_of_band() {
    for hold in [false, true] {
        let mut story = Story::new();
        story.play();
        let pipeline = if hold { format!("{PIPELINE}    on_failure: hold\n") } else { PIPELINE.into() };
        let sick = story.commit_with(&[("pushway.yml", &pipeline)]);
        story.image_does(&sick, Behaviour::Sick(500));
        story.play_commit(&sick);
        let next = story.play();
        assert_eq!(next.environments[0].rollout.as_ref().unwrap().out_of_band, None, "hold: {hold}");
    }
}
