//! Stories of tasks that a rule or a schedule starts.

use jiff::SignedDuration;
use pushway_core::fact::{DeployFailureKind, RollbackOutcome, RollbackOwner};
use pushway_core::ids::CommitSha;
use pushway_core::plan::Place;
use pushway_core::run::{Run, Status};
use pushway_core::scheduled::{Starter, StarterRef};
use pushway_core::testing::{FakeStarter, Injected, TaskScript};
use pushway_core::views::AlarmState;
use pushway_tests::sim::every_call::{at_every_call, push};
use pushway_tests::sim::story::{Story, image_of, old_image, parse};
use pushway_tests::sim::{Events, people};
use serde_json::json;

/// A repository that is a job of the night, and nothing else.
fn pipeline(target: &str, more: &str) -> String {
    format!(
        r#"version: 1
pipeline: web
on: {{ push: {{ branches: [main] }} }}
build:
  image: {{ buildspec: buildspec.yml, outputs: [IMAGE] }}
environments:
  - name: staging
    deploy: {{ ecs_scheduled_task: {{ {target}, images: {{ web: "${{build.image.IMAGE}}" }} }} }}
{more}"#
    )
}

fn rule() -> StarterRef {
    let starter = Starter::Rule { bus: Starter::DEFAULT.into(), name: "nightly".into(), target: None };
    StarterRef { place: Place::default(), starter }
}

fn schedule() -> StarterRef {
    let starter = Starter::Schedule { group: "jobs".into(), name: "nightly".into() };
    StarterRef { place: Place::default(), starter }
}

/// The usual cast with a rule, and a commit whose pipeline has `more` in its environment.
fn with_rule(story: &mut Story, more: &str) -> (String, CommitSha) {
    let old = story.world().add_starter(rule().starter, &old_image());
    (old, story.commit_with(&[("pushway.yml", &pipeline("rule: nightly", more))]))
}

fn starter(story: &Story) -> FakeStarter {
    story.world().fake_starter(&rule()).expect("it is there")
}

fn revision(run: &Run) -> String {
    run.environments[0].rollout.as_ref().expect("it was prepared").task_definition.clone()
}

fn cause(run: &Run) -> String {
    let cause = run.cause.as_ref().unwrap_or_else(|| panic!("{} has no cause", run.status));
    format!("{}: {}", cause.stage, cause.summary)
}

#[test]
fn a_push_brings_its_image_to_what_a_rule_or_a_schedule_starts() {
    for (at, target) in [(rule(), "rule: nightly"), (schedule(), "schedule: jobs/nightly")] {
        let mut story = Story::new();
        let old = story.world().add_starter(at.starter.clone(), &old_image());
        let commit = story.commit_with(&[("pushway.yml", &pipeline(target, ""))]);
        let run = story.play_commit(&commit);
        assert_eq!(run.status, Status::Succeeded, "{target}: {:?}", run.cause);
        let starter = story.world().fake_starter(&at).unwrap();
        assert_eq!(starter.names("task"), revision(&run));
        assert_eq!(starter.moves.len(), 1);
        let state = &run.environments[0];
        let rollout = state.rollout.as_ref().unwrap();
        assert_eq!(state.baseline().map(|baseline| &baseline.task_definition), Some(&old));
        assert_eq!(rollout.images["web"].digest(), image_of(&commit).digest());
        assert_eq!(story.world().bases()[&rollout.task_definition], old, "everything else is as it was");
        assert!(state.checks[0].check.contains("nightly starts the built image"), "{:?}", state.checks);
        // The service of the same cast is nobody's affair.
        assert_eq!(story.movers(), [""; 0]);
    }
}

#[test]
fn f28_a_scheduled_task_survives_a_fault_at_every_call() {
    let scenario = |story: &mut Story| {
        let (_, commit) = with_rule(story, "    before: [ { ecs_task: {} } ]\n    watch: { for: 2m }\n");
        push(story, &commit);
    };
    at_every_call(scenario, &[Status::Succeeded], Events::Once, &Injected::ALL);
}

#[test]
fn f28_f31_the_way_back_survives_a_fault_at_every_call() {
    let scenario = |story: &mut Story| {
        story.world().set_alarm("jobs", SignedDuration::ZERO, AlarmState::Alarm);
        let (_, commit) = with_rule(story, "    validate: [ { alarms: { names: [jobs], attempts: 1 } } ]\n");
        push(story, &commit);
    };
    at_every_call(scenario, &[Status::RolledBack], Events::Once, &Injected::ALL);
}

#[test]
fn a_check_that_fails_points_it_back() {
    let mut story = Story::new();
    story.world().set_alarm("jobs", SignedDuration::ZERO, AlarmState::Alarm);
    let (old, commit) =
        with_rule(&mut story, "    validate: [ { alarms: { names: [jobs], attempts: 1 } } ]\n");
    let run = story.play_commit(&commit);
    assert_eq!(run.status, Status::RolledBack);
    let restored = RollbackOutcome::Restored { by: RollbackOwner::Pushway };
    assert_eq!(run.environments[0].rollback_outcome(), Some(&restored));
    assert_eq!(starter(&story).names("task"), old);
    assert_eq!(starter(&story).moves, [("pushway", revision(&run)), ("pushway", old)]);
}

/// Someone points it elsewhere once it was looked at so many times: the first look prepares, the second reads
/// back, the third checks.
fn meddled(looks: u32, more: &str) -> (Story, Run, String) {
    let mut story = Story::new();
    let (_, commit) = with_rule(&mut story, more);
    let theirs = story.world().define_by_hand("job", &old_image());
    story.world().with_starter(&rule(), |starter| starter.meddler = Some((looks, theirs.clone())));
    let run = story.play_commit(&commit);
    (story, run, theirs)
}

#[test]
fn what_someone_else_has_written_meanwhile_is_never_overwritten() {
    // Between looking and writing.
    let (story, run, theirs) = meddled(0, "");
    assert_eq!(run.status, Status::Failed);
    assert!(
        cause(&run).contains("nothing was overwritten") && cause(&run).contains(&theirs),
        "{}",
        cause(&run)
    );
    assert_eq!(starter(&story).moves, [("someone", theirs)]);
    // After it was read back and found good: the check sees it.
    let (story, run, theirs) = meddled(1, "");
    assert_eq!(run.status, Status::Failed);
    assert!(cause(&run).contains(&format!("it starts {theirs}")), "{}", cause(&run));
    assert_eq!(starter(&story).names("task"), theirs);
    // While it is watched.
    let (story, run, theirs) = meddled(3, "    watch: { for: 5m }\n");
    assert_eq!(run.status, Status::Failed);
    assert!(cause(&run).contains(&theirs), "{}", cause(&run));
    assert_eq!(starter(&story).names("task"), theirs);
    let outcome = run.environments[0].rollback_outcome();
    assert!(
        matches!(outcome, Some(RollbackOutcome::NotNeeded { reason }) if reason.contains(&theirs)),
        "{outcome:?}"
    );
}

#[test]
fn a_change_right_after_the_writing_is_a_diverged_deploy() {
    let mut story = Story::new();
    let (_, commit) = with_rule(&mut story, "");
    let theirs = story.world().define_by_hand("job", &old_image());
    story.world().with_starter(&rule(), |starter| starter.overwriter = Some(theirs.clone()));
    let run = story.play_commit(&commit);
    assert_eq!(run.status, Status::Failed);
    let failure = run.environments[0].deploy.as_ref().and_then(|verdict| verdict.failure.as_ref());
    assert_eq!(failure.map(|failure| failure.kind), Some(DeployFailureKind::Diverged), "{}", cause(&run));
    assert_eq!(starter(&story).names("task"), theirs);
}

#[test]
fn a_rule_that_names_no_revision_is_pinned_before_a_new_one_is_registered() {
    for (script, status) in [
        (TaskScript::Exits(1, SignedDuration::from_secs(9)), Status::Failed),
        (TaskScript::Exits(0, SignedDuration::from_secs(9)), Status::Succeeded),
    ] {
        let mut story = Story::new();
        let (old, commit) = with_rule(&mut story, "    before: [ { ecs_task: {} } ]\n");
        let (family, _) = old.rsplit_once(':').unwrap();
        story.world().with_starter(&rule(), |starter| starter.tasks[0].1 = family.to_owned());
        story.world().script_tasks([script]);
        let run = story.play_commit(&commit);
        assert_eq!(run.status, status, "{:?}", run.cause);
        let moves = starter(&story).moves;
        assert_eq!(moves[0], ("pushway", old.clone()), "else the new revision would be started untried");
        let expected = if status == Status::Failed { old } else { revision(&run) };
        assert_eq!(starter(&story).names("task"), expected);
    }
}

#[test]
fn the_task_is_run_once_as_it_is_scheduled_and_its_exit_code_decides() {
    let mut story = Story::new();
    let (old, commit) = with_rule(&mut story, "    before: [ { ecs_task: {} } ]\n");
    story.world().script_tasks([TaskScript::Exits(3, SignedDuration::from_secs(9))]);
    let run = story.play_commit(&commit);
    assert_eq!(run.status, Status::Failed);
    assert!(cause(&run).contains("exited with code 3"), "{}", cause(&run));
    assert!(run.cause.as_ref().unwrap().evidence.iter().any(|line| line.starts_with("log: ")));
    assert_eq!(starter(&story).names("task"), old);
    let [task] = &story.world().fake_tasks()[..] else { panic!("one task") };
    assert_eq!(task.request.task_definition, revision(&run));
    assert_eq!(task.request.scheduled.as_ref().map(|scheduled| scheduled.target.as_str()), Some("task"));
}

#[test]
fn a_run_that_fails_while_it_is_watched_points_it_back() {
    let after = SignedDuration::from_secs(90);
    for (script, words) in [
        (TaskScript::Exits(2, after), "web exit code 2"),
        (TaskScript::CannotStart, "CannotPullContainerError"),
    ] {
        let mut story = Story::new();
        let (old, commit) = with_rule(&mut story, "    watch: { for: 10m }\n");
        let id = story.push("main", &commit);
        story.sim.run_for(SignedDuration::from_mins(6));
        let watch = story.run(id).environments[0].watch.clone().expect("it is watched");
        assert!(watch.start.is_some() && watch.end.is_none());
        story.world().start_scheduled(&rule(), TaskScript::Exits(0, after));
        story.world().start_scheduled(&rule(), script);
        story.sim.run();
        story.check();
        let run = story.run(id);
        assert_eq!(run.status, Status::RolledBack, "{:?}", run.cause);
        assert!(cause(&run).contains("turned sick") && cause(&run).contains(words), "{}", cause(&run));
        let evidence = &run.cause.as_ref().unwrap().evidence;
        assert!(
            evidence.iter().any(|line| line.starts_with("web of ") && line.ends_with(" began")),
            "{evidence:?}"
        );
        assert_eq!(starter(&story).names("task"), old);
    }
}

#[test]
fn runs_that_end_well_and_runs_of_the_old_image_are_no_sickness() {
    let mut story = Story::new();
    let (_, commit) = with_rule(&mut story, "    watch: { for: 10m }\n");
    story.world().start_scheduled(&rule(), TaskScript::Exits(1, SignedDuration::from_mins(8)));
    let id = story.push("main", &commit);
    story.sim.run_for(SignedDuration::from_mins(6));
    story.world().start_scheduled(&rule(), TaskScript::Exits(0, SignedDuration::from_mins(1)));
    story.sim.run();
    story.check();
    let run = story.run(id);
    assert_eq!(run.status, Status::Succeeded, "{:?}", run.cause);
    let end = run.environments[0].watch.as_ref().unwrap().end.as_ref().unwrap();
    assert_eq!(end.checks[1].detail, "1 run has ended");
}

#[test]
fn f37_a_rollback_by_hand_brings_an_older_image_back() {
    let mut story = Story::new();
    let (_, first) = with_rule(&mut story, "");
    let one = story.play_commit(&first);
    let second = story.commit_with(&[("pushway.yml", &pipeline("rule: nightly", ""))]);
    assert_eq!(story.play_commit(&second).status, Status::Succeeded);
    let asked = json!({ "reason": "wrong figures" });
    let (status, answer) =
        people::post(&story.world(), "ada", "/v1/environments/web/staging/rollback", &asked);
    assert_eq!(status, 202, "{answer}");
    story.sim.run();
    story.check();
    let back = story.world().runs().last().cloned().unwrap();
    assert_eq!(back.status, Status::Succeeded, "{:?}", back.cause);
    let rollout = back.environments[0].rollout.as_ref().unwrap();
    assert_eq!(rollout.images["web"].digest(), image_of(&first).digest());
    assert_eq!(story.world().bases()[&rollout.task_definition], revision(&one));
    assert_eq!(starter(&story).names("task"), rollout.task_definition);
}

#[test]
fn a41_a_rule_of_another_account_is_reached_with_that_accounts_role_in_every_call() {
    let place = Place {
        role: Some("arn:aws:iam::111122223333:role/pushway-target".into()),
        external_id: Some("7f3a-web".into()),
        region: Some("eu-west-1".into()),
        pipeline: Some(parse("web")),
    };
    let there = StarterRef { place: place.clone(), ..rule() };
    let mut story = Story::new();
    let aws = "    aws: { role: \"arn:aws:iam::111122223333:role/pushway-target\", external_id: \"7f3a-web\", region: eu-west-1 }\n    before: [ { ecs_task: {} } ]\n    watch: { for: 10m }\n";
    let (old, commit) = with_rule(&mut story, aws);
    // A call without the role would not even see the rule.
    story.world().with_starter(&rule(), |starter| starter.at.place = place);
    let id = story.push("main", &commit);
    story.sim.run_for(SignedDuration::from_mins(6));
    story.world().start_scheduled(&there, TaskScript::Exits(4, SignedDuration::from_secs(30)));
    story.sim.run();
    story.check();
    let run = story.run(id);
    assert_eq!(run.status, Status::RolledBack, "{:?}", run.cause);
    assert!(cause(&run).contains("exit code 4"), "{}", cause(&run));
    let starter = story.world().fake_starter(&there).unwrap();
    assert_eq!(starter.moves, [("pushway", revision(&run)), ("pushway", old)]);
}

#[test]
fn f27_two_pipelines_that_point_one_rule_take_turns() {
    let mut story = Story::new();
    let watched = pipeline("rule: nightly", "    watch: { for: 2m }\n");
    let other =
        watched.replace("pipeline: web", "pipeline: other").replace("rule: nightly", "rule: default/nightly");
    story.world().add_starter(rule().starter, &old_image());
    let commit = story.commit_with(&[(".pushway/a.yml", &watched), (".pushway/b.yml", &other)]);
    story.push("main", &commit);
    let mut seen = Vec::new();
    while !story.world().all_over() {
        story.sim.run_for(SignedDuration::from_secs(10));
        let why = |run: &Run| run.environments.first().and_then(|state| state.blocked.clone());
        seen.extend(story.world().runs().iter().filter_map(why));
    }
    story.sim.run();
    story.check();
    assert!(seen.iter().any(|why| why.contains("deploys to rule default/nightly for")), "{seen:?}");
    let statuses: Vec<_> = story.world().runs().iter().map(|run| run.status).collect();
    assert_eq!(statuses, [Status::Succeeded; 2]);
    assert_eq!(starter(&story).moves.len(), 2);
}

#[test]
fn a_target_that_is_not_there_or_not_clear_rejects_the_run() {
    let mut story = Story::new();
    let commit = story.commit_with(&[("pushway.yml", &pipeline("schedule: nightly", ""))]);
    let run = story.play_commit(&commit);
    assert_eq!(run.status, Status::Rejected);
    assert!(cause(&run).contains("there is no schedule nightly"), "{}", cause(&run));

    let (old, commit) = with_rule(&mut story, "");
    story.world().with_starter(&rule(), |starter| starter.tasks.push(("other".into(), old.clone())));
    let run = story.play_commit(&commit);
    assert_eq!(run.status, Status::Rejected);
    assert!(cause(&run).contains("starts several ECS tasks (task, other)"), "{}", cause(&run));

    let named = pipeline("rule: nightly, target: other", "");
    let commit = story.commit_with(&[("pushway.yml", &named)]);
    let run = story.play_commit(&commit);
    assert_eq!(run.status, Status::Succeeded, "{:?}", run.cause);
    assert_eq!(starter(&story).tasks, [("task".into(), old), ("other".into(), revision(&run))]);
}
