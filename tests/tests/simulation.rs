//! Stories of whole runs: what a user would notice, from push to verdict.
//!
//! The real state machine runs the real handlers; `Story::play` also checks what must hold at every end.

use jiff::SignedDuration;
use pushway_core::fact::{JobStage, TestSummary};
use pushway_core::run::{Run, Status};
use pushway_core::testing::{Behaviour, BuildScript};
use pushway_tests::sim::Events;
use pushway_tests::sim::story::{PIPELINE, Story, image_of};

fn cause(run: &Run) -> String {
    let cause = run.cause.as_ref().unwrap_or_else(|| panic!("{} has no cause", run.status));
    format!("{}: {}", cause.stage, cause.summary)
}

fn failing_tests() -> BuildScript {
    BuildScript::FailsTests(TestSummary {
        passed: 41,
        failed: 1,
        skipped: 0,
        failing: vec!["cart::adds_two_items".into()],
        ..TestSummary::default()
    })
}

#[test]
fn a_good_push_is_built_tested_deployed_and_validated() {
    let mut story = Story::new();
    let commit = story.commit();
    let run = story.play_commit(&commit);
    assert_eq!(run.status, Status::Succeeded, "{:?}", run.cause);
    assert_eq!(story.serving(), [image_of(&commit).digest().to_string()]);
    assert_eq!(story.movers(), ["pushway"]);
    assert_eq!(story.world().builds().len(), 2);
    let record = &story.world().environment_records()[0];
    let current = record.current.as_ref().unwrap();
    assert_eq!((current.run, &current.commit), (run.id, &commit));
    assert_eq!(record.holder, None);
    let story_of_states: Vec<&str> = vec![
        "Plan",
        "IsThereWork",
        "Build",
        "RunBuildJob",
        "Test",
        "RunTestJob",
        "Environments",
        "Acquire",
        "Deploy",
        "Validate",
        "Watch",
        "Release",
        "Finish",
        "Done",
    ];
    assert_eq!(story.sim.trace(), story_of_states);
}

#[test]
fn the_tests_get_what_the_build_made() {
    let mut story = Story::new();
    let commit = story.commit();
    story.play_commit(&commit);
    let builds = story.world().builds();
    let unit = builds.iter().find(|build| build.request.job.stage == JobStage::Test).unwrap();
    assert_eq!(unit.request.variables["PUSHWAY_BUILD_IMAGE_IMAGE"], image_of(&commit).to_string());
    assert_eq!(unit.request.commit, commit);
}

#[test]
fn a_failed_unit_test_stops_the_run_and_is_named() {
    let mut story = Story::new();
    story.world().script_build(JobStage::Test, "unit", None, failing_tests());
    let run = story.play();
    assert_eq!(run.status, Status::Failed);
    assert_eq!(cause(&run), "test/unit: 1 of 42 tests failed: cart::adds_two_items");
    assert_eq!(story.movers(), [""; 0], "nothing is deployed");
    assert_eq!(story.world().environment_records(), []);
}

#[test]
fn a_failed_build_is_told_by_its_phase_and_nothing_is_tested() {
    let mut story = Story::new();
    let script = BuildScript::FailsIn("PRE_BUILD".into(), "COMMAND_EXECUTION_ERROR: docker login".into());
    story.world().script_build(JobStage::Build, "image", None, script);
    let run = story.play();
    assert_eq!(run.status, Status::Failed);
    assert_eq!(cause(&run), "build/image: phase PRE_BUILD failed: COMMAND_EXECUTION_ERROR: docker login");
    assert_eq!(story.world().builds().len(), 1);
}

#[test]
fn a_flaky_job_with_retries_is_built_again_and_the_run_goes_on() {
    let mut story = Story::new();
    let pipeline =
        PIPELINE.replace("timeout: 10m }\nenvironments", "timeout: 10m, retries: 2 }\nenvironments");
    assert_ne!(pipeline, PIPELINE);
    story.world().script_build(JobStage::Test, "unit", Some(1), failing_tests());
    story.world().script_build(JobStage::Test, "unit", Some(2), BuildScript::Faults);
    let commit = story.commit_with(&[("pushway.yml", &pipeline)]);
    let run = story.play_commit(&commit);
    assert_eq!(run.status, Status::Succeeded, "{:?}", run.cause);
    assert_eq!(run.jobs[1].attempt, 3);
    assert_eq!(story.world().builds().len(), 4);
}

#[test]
fn a_build_without_its_promised_output_has_failed() {
    let mut story = Story::new();
    story.world().script_build(JobStage::Build, "image", None, BuildScript::Succeeds([].into()));
    let run = story.play();
    assert_eq!(run.status, Status::Failed);
    assert!(cause(&run).contains("did not export IMAGE"), "{}", cause(&run));
}

#[test]
fn f17_a_build_that_hangs_is_stopped_at_its_deadline() {
    let mut story = Story::new();
    story.world().script_build(JobStage::Build, "image", None, BuildScript::Hangs);
    let run = story.play();
    assert_eq!(run.status, Status::Failed);
    assert!(cause(&run).contains("told to stop"), "{}", cause(&run));
    assert!(story.world().builds()[0].was_stopped);
}

#[test]
fn a_build_that_ends_badly_by_itself_says_how() {
    for (script, words) in [
        (BuildScript::TimesOut, "ran into its timeout"),
        (BuildScript::IsStopped, "the build was stopped"),
        (BuildScript::Faults, "CodeBuild itself failed"),
        (BuildScript::Vanishes, "CodeBuild knows no build"),
    ] {
        let mut story = Story::new();
        story.world().script_build(JobStage::Build, "image", None, script.clone());
        let run = story.play();
        assert_eq!(run.status, Status::Failed, "{script:?}");
        assert!(cause(&run).contains(words), "{script:?}: {}", cause(&run));
    }
}

#[test]
fn a_failed_job_takes_its_siblings_down_and_leaves_no_build_behind() {
    let mut story = Story::new();
    let pipeline = PIPELINE.replace("test:\n", "  docs: { buildspec: buildspec.yml }\ntest:\n");
    assert_ne!(pipeline, PIPELINE);
    let script = BuildScript::FailsIn("BUILD".into(), "exit status 1".into());
    story.world().script_build(JobStage::Build, "docs", None, script);
    story.world().script_build(JobStage::Build, "image", None, BuildScript::Hangs);
    let commit = story.commit_with(&[("pushway.yml", &pipeline)]);
    let run = story.play_commit(&commit);
    assert_eq!(run.status, Status::Failed);
    assert!(cause(&run).starts_with("build/docs"), "{}", cause(&run));
    let hanging = story.world().builds().into_iter().find(|build| build.script == BuildScript::Hangs);
    assert!(hanging.unwrap().was_stopped, "an orphaned build would go on costing money");
}

#[test]
fn f7_a_run_ends_by_the_sweep_alone_when_every_event_is_lost() {
    for (behaviour, status) in [
        (Behaviour::Healthy, Status::Succeeded),
        (Behaviour::Crashes(3), Status::RolledBack),
        (Behaviour::Sick(500), Status::RolledBack),
    ] {
        let mut story = Story::new();
        story.sim.events = Events::Lost;
        let commit = story.commit();
        story.image_does(&commit, behaviour);
        let run = story.play_commit(&commit);
        assert_eq!(run.status, status, "{behaviour:?}");
        let took = run.updated_at.duration_since(run.received_at);
        assert!(took < SignedDuration::from_mins(10), "{behaviour:?} took {took}");
    }
}

#[test]
fn f7_a_run_ends_by_events_alone_when_the_sweep_never_runs() {
    let mut story = Story::new();
    story.sim.sweeps = false;
    assert_eq!(story.play().status, Status::Succeeded);
}

#[test]
fn f19_without_events_and_sweep_the_workflow_itself_ends_the_run() {
    let mut story = Story::new();
    story.sim.events = Events::Lost;
    story.sim.sweeps = false;
    let commit = story.commit();
    let id = story.push("main", &commit);
    story.sim.run_for(SignedDuration::from_hours(2));
    let run = story.run(id);
    assert_eq!(run.status, Status::Failed);
    assert!(cause(&run).contains("no answer in time"), "{}", cause(&run));
}

#[test]
fn f19_when_nobody_looks_at_a_deploy_any_more_it_is_undone_and_people_are_called() {
    let mut story = Story::new();
    let commit = story.commit();
    let id = story.push("main", &commit);
    story.sim.run_until(|world| world.done("move_service") == 1);
    story.sim.events = Events::Lost;
    story.sim.sweeps = false;
    story.sim.run_for(SignedDuration::from_hours(2));
    let run = story.run(id);
    // The old version serves again, but nobody has seen it: that is not called "rolled back".
    assert_eq!(run.status, Status::RollbackFailed, "{:?}", story.sim.trace());
    assert_eq!(story.movers(), ["pushway", "pushway"]);
    assert!(story.world().environment_records()[0].is_held_by(id));
}

#[test]
fn f9_f20_events_that_come_many_times_change_nothing() {
    let mut story = Story::new();
    story.sim.events = Events::Times(10);
    let run = story.play();
    assert_eq!(run.status, Status::Succeeded);
    assert_eq!(story.world().answered(), 6, "each of the six waits is answered once");
    assert_eq!(story.sim.troubles, [""; 0], "and nobody is woken for it");
}
