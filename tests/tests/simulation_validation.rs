//! Stories of what is checked after a deploy: by whom a success is believed, and what ends it again.

use jiff::SignedDuration;
use pushway_core::fact::{JobStage, RollbackOutcome, RollbackOwner, TestSummary};
use pushway_core::ids::CommitSha;
use pushway_core::run::{Run, Status};
use pushway_core::testing::{BuildScript, Injected, digest_of};
use pushway_core::views::{AlarmState, TargetHealth};
use pushway_tests::sim::story::{PIPELINE, Story, image_of, old_image, parse};

fn cause(run: &Run) -> String {
    let cause = run.cause.as_ref().unwrap_or_else(|| panic!("{} has no cause", run.status));
    format!("{}: {}", cause.stage, cause.summary)
}

/// The usual pipeline with other checks.
fn with_checks(checks: &str) -> String {
    let (before, _) = PIPELINE.split_once("    validate:\n").unwrap_or_else(|| panic!("it has checks"));
    format!("{before}    validate:\n{checks}")
}

fn restored(run: &Run) -> bool {
    let restored = RollbackOutcome::Restored { by: RollbackOwner::Pushway };
    run.environments[0].rollback_outcome() == Some(&restored)
}

#[test]
fn f34_the_old_version_behind_a_slow_front_is_waited_for_and_never_believed() {
    for (lag, status) in [(20, Status::Succeeded), (600, Status::RolledBack)] {
        let mut story = Story::new();
        story.world().set_front_lag(SignedDuration::from_secs(lag));
        let first: CommitSha = parse(&format!("{:040x}", 0xc0_0001));
        let version = digest_of(&first);
        let pipeline = with_checks(&format!(
            "      - http: {{ url: \"http://web.example.com/\", attempts: 40, need: 3, interval: 2s, \
             version: {{ header: x-version, equals: \"{version}\" }} }}\n"
        ));
        let commit = story.commit_with(&[("pushway.yml", &pipeline)]);
        assert_eq!(commit, first);
        let run = story.play_commit(&commit);
        assert_eq!(run.status, status, "{lag} s: {:?}", run.environments[0].checks);
        let check = &run.environments[0].checks[1];
        if status == Status::Succeeded {
            assert!(check.samples > 3 && check.good == 3, "{check:?}");
        } else {
            assert!(cause(&run).contains("another version answers"), "{}", cause(&run));
            assert_eq!(check.good, 0, "{check:?}");
            assert_eq!(story.serving(), [old_image().digest().to_string()]);
        }
    }
}

/// Plays the usual push with other checks, in a world that was prepared.
fn checked(checks: &str, prepare: impl FnOnce(&Story)) -> Run {
    let mut story = Story::new();
    prepare(&story);
    let commit = story.commit_with(&[("pushway.yml", &with_checks(checks))]);
    story.play_commit(&commit)
}

#[test]
fn alarms_are_looked_at_more_than_once_and_an_absent_one_is_never_good() {
    let check = "      - alarms: { names: [web-5xx], attempts: 20, need: 3, interval: 10s }\n";
    let run = checked(check, |story| {
        let world = story.world();
        world.set_alarm("web-5xx", SignedDuration::ZERO, AlarmState::Alarm);
        world.set_alarm("web-5xx", SignedDuration::from_secs(150), AlarmState::Ok);
    });
    assert_eq!(run.status, Status::Succeeded, "{:?}", run.cause);
    assert!(run.environments[0].checks[1].good == 3, "{:?}", run.environments[0].checks);
    let run = checked(check, |_| {});
    assert_eq!(run.status, Status::RolledBack);
    assert!(cause(&run).contains("there is no alarm \"web-5xx\""), "{}", cause(&run));
}

#[test]
fn a_metric_without_data_fails_and_one_that_comes_late_is_waited_for() {
    let check = "      - metrics: { expression: latency, below: \"0.5\", attempts: 12, need: 2 }\n";
    for (value, status, words) in [
        (None, Status::RolledBack, "has no data since the new version came"),
        (Some(0.7), Status::RolledBack, "\"latency\" is 0.7, not below 0.5"),
        (Some(0.2), Status::Succeeded, "\"latency\" is 0.2, below 0.5"),
    ] {
        let run = checked(check, |story| story.world().set_metric("latency", SignedDuration::ZERO, value));
        assert_eq!(run.status, status, "{value:?}: {:?}", run.environments[0].checks);
        let check = &run.environments[0].checks[1];
        assert!(check.detail.contains(words), "{check:?}");
        assert!(check.samples > 2, "the first minute is not over at once: {check:?}");
    }
}

#[test]
fn a_canary_is_compared_with_its_baseline() {
    let check = "      - metrics: { queries: { new: { namespace: N, name: canary }, old: { namespace: N, name: stable } }, \
                 expression: new, baseline: old, below: 2, attempts: 12, need: 2 }\n";
    for (canary, status) in [(3.0, Status::Succeeded), (4.0, Status::RolledBack)] {
        let run = checked(check, |story| {
            story.world().set_metric("canary", SignedDuration::ZERO, Some(canary));
            story.world().set_metric("stable", SignedDuration::ZERO, Some(2.0));
        });
        assert_eq!(run.status, status, "{:?}", run.environments[0].checks);
    }
}

#[test]
fn targets_must_be_healthy_and_a_service_without_any_proves_nothing() {
    use TargetHealth::{Healthy, Other, Unhealthy};
    let check = "      - ecs: { healthy: 2, attempts: 6, need: 2, interval: 10s }\n";
    for (first, then, status, words) in [
        (vec![Healthy, Other], vec![Healthy, Healthy], Status::Succeeded, "2 targets are healthy"),
        (
            vec![Healthy],
            vec![Healthy],
            Status::RolledBack,
            "1 targets of targetgroup/web/1 are healthy, not 2",
        ),
        (vec![], vec![Healthy, Healthy, Unhealthy], Status::RolledBack, "failed with these codes: [502]"),
    ] {
        let run = checked(check, |story| {
            story.world().set_targets("web", SignedDuration::ZERO, &first);
            story.world().set_targets("web", SignedDuration::from_secs(130), &then);
        });
        assert_eq!(run.status, status, "{:?}", run.environments[0].checks);
        let check = &run.environments[0].checks[1];
        assert!(check.detail.contains(words), "{check:?}");
    }
    let run = checked(check, |_| {});
    assert_eq!(run.status, Status::RolledBack);
    assert!(cause(&run).contains("no load balancer"), "{}", cause(&run));
}

/// A probe, a job, and a probe after it.
const JOB: &str =
    "      - http: { url: \"http://web.example.com/healthz\", attempts: 5, need: 2, interval: 1s }
      - job: { name: smoke, buildspec: ci/unit.yml, reports: [\"junit/*.xml\"], retries: 1 }
      - http: { url: \"http://web.example.com/again\", attempts: 5, need: 2, interval: 1s }
";

/// The name by which the build of the usual job check is known.
const SMOKE: &str = "0-1-smoke";

fn tests(failing: &[&str]) -> TestSummary {
    let failing: Vec<String> = failing.iter().map(ToString::to_string).collect();
    TestSummary {
        passed: 7,
        failed: u32::try_from(failing.len()).unwrap_or(u32::MAX),
        skipped: 0,
        failing,
        ..TestSummary::default()
    }
}

#[test]
fn a_job_that_checks_is_built_once_and_the_checks_go_on_after_it() {
    let mut story = Story::new();
    story.world().script_build(JobStage::Check, SMOKE, None, BuildScript::Passes(tests(&[])));
    let commit = story.commit_with(&[("pushway.yml", &with_checks(JOB))]);
    let run = story.play_commit(&commit);
    assert_eq!(run.status, Status::Succeeded, "{:?}", run.cause);
    let checks = &run.environments[0].checks;
    let names: Vec<&str> = checks.iter().map(|check| check.check.as_str()).collect();
    assert_eq!(
        names[1..],
        ["GET http://web.example.com/healthz", "job smoke", "GET http://web.example.com/again"]
    );
    assert_eq!((checks[2].good, checks[2].samples), (7, 7));
    let probes = |about: &str| {
        let calls = story.world().calls();
        calls.iter().filter(|call| call.verb == "probe" && call.about.contains(about)).count()
    };
    assert_eq!(
        (probes("healthz"), probes("again")),
        (2, 2),
        "what was checked before the job is not asked again"
    );
    let builds = story.world().builds();
    let smoke = builds.iter().find(|build| build.request.job.stage == JobStage::Check).unwrap();
    let variables = &smoke.request.variables;
    assert_eq!(variables["PUSHWAY_ENVIRONMENT"], "staging");
    assert_eq!(variables["PUSHWAY_IMAGE_WEB"], image_of(&commit).to_string());
    assert_eq!(builds.len(), 3);
}

#[test]
fn a_job_that_fails_names_the_test_and_rolls_back() {
    let mut story = Story::new();
    let failing = BuildScript::FailsTests(tests(&["cart::is_not_empty"]));
    story.world().script_build(JobStage::Check, SMOKE, None, failing);
    let commit = story.commit_with(&[("pushway.yml", &with_checks(JOB))]);
    let run = story.play_commit(&commit);
    assert_eq!(run.status, Status::RolledBack);
    assert!(
        cause(&run).contains("job smoke did not hold: 1 of 8 tests failed: cart::is_not_empty"),
        "{}",
        cause(&run)
    );
    assert!(restored(&run));
    let builds = story.world().builds();
    let tries = builds.iter().filter(|build| build.request.job.stage == JobStage::Check).count();
    assert_eq!(tries, 2, "it was tried again once, as the file says");
}

#[test]
fn a_job_that_works_the_second_time_is_good_and_one_that_hangs_is_stopped() {
    let mut story = Story::new();
    story.world().script_build(JobStage::Check, SMOKE, Some(1), BuildScript::Faults);
    let commit = story.commit_with(&[("pushway.yml", &with_checks(JOB))]);
    let run = story.play_commit(&commit);
    assert_eq!(run.status, Status::Succeeded, "{:?}", run.cause);

    let mut story = Story::new();
    story.world().script_build(JobStage::Check, SMOKE, None, BuildScript::Hangs);
    let commit = story.commit_with(&[("pushway.yml", &with_checks(JOB))]);
    let run = story.play_commit(&commit);
    assert_eq!(run.status, Status::RolledBack);
    assert!(cause(&run).contains("told to stop"), "{}", cause(&run));
    let builds = story.world().builds();
    assert!(builds.iter().filter(|build| build.script == BuildScript::Hangs).all(|build| build.was_stopped));
}

#[test]
fn a_job_that_can_not_be_started_fails_the_check() {
    let mut story = Story::new();
    let commit = story.commit_with(&[("pushway.yml", &with_checks(JOB))]);
    let id = story.push("main", &commit);
    story.sim.run_until(|world| world.done("move_service") == 1);
    story.world().inject_on("start_build", 1, Injected::Permanent);
    story.sim.run();
    story.check();
    let run = story.run(id);
    assert_eq!(run.status, Status::RolledBack);
    assert!(cause(&run).contains("CodeBuild did not start the build"), "{}", cause(&run));
}
