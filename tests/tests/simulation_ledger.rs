//! Stories of where a run's time and money went (the ledger), held against what really happened in them.

use jiff::SignedDuration;
use pushway_core::fact::JobStage;
use pushway_core::ids::RunId;
use pushway_core::ledger::{Kind, Ledger, RunLedger};
use pushway_core::messages::money::seconds;
use pushway_core::ports::{Clock as _, Plans as _};
use pushway_core::prices::Prices;
use pushway_core::run::{JobState, Run, Status};
use pushway_core::testing::{Behaviour, BuildScript, World};
use pushway_core::views::ServiceMessage;
use pushway_tests::sim::block_on;
use pushway_tests::sim::people::post;
use pushway_tests::sim::story::{PIPELINE, Post, SECRET, Story, push_body};
use serde_json::json;

fn ledger(story: &Story, id: RunId) -> RunLedger {
    let world = story.world();
    let plan = block_on(world.plan(id)).expect("the world answers");
    RunLedger::of(&story.run(id), &world.stored_journal(id), plan.as_ref(), &Prices::published())
}

/// The segments, a line each.
fn lines(ledger: &Ledger) -> String {
    let line = |part: &pushway_core::ledger::Segment| {
        format!("{:<12} {:<14} {}", part.kind.as_str(), part.name, seconds(part.milliseconds))
    };
    ledger.segments.iter().map(|part| line(part).trim().to_owned()).collect::<Vec<_>>().join("\n")
}

/// States that the interpreter has entered, each of which AWS would charge for. Those that were tried again are told
/// once; what they failed with is no state.
fn entered(story: &Story) -> usize {
    story.sim.trace().iter().filter(|state| !state.contains('!')).count()
}

#[test]
fn a_run_that_queues_is_approved_fails_and_is_rolled_back_has_all_of_it_in_its_ledger() {
    let mut story = Story::new();
    let pipeline = format!("{PIPELINE}    approval: {{ required: 2 }}\nconcurrency: queued\n");
    let first = story.commit_with(&[("pushway.yml", &pipeline)]);
    story.push("main", &first);
    story.sim.run_for(SignedDuration::from_secs(20));
    let commit = story.commit_with(&[("pushway.yml", &pipeline)]);
    story.image_does(&commit, Behaviour::Sick(500));
    let id = story.push("main", &commit);
    story.sim.run_until(|world| {
        world.stored_run(id).is_some_and(|run| run.environments.iter().any(|state| state.approval.is_some()))
    });
    let digest = story.run(id).environments[0].approval.clone().unwrap().request.digest;
    for (name, hours) in [("ada", 1), ("bob", 2)] {
        story.sim.run_for(SignedDuration::from_hours(hours));
        let path = format!("/v1/runs/{id}/environments/staging/approve");
        assert_eq!(post(&story.world(), name, &path, &json!({ "digest": digest })).0, 200);
    }
    story.sim.run();
    assert_eq!(story.run(id).status, Status::RolledBack);
    let RunLedger { time, .. } = ledger(&story, id);
    insta::assert_snapshot!(lines(&time), @r"
    queue                       1 min 0 s
    provisioning build/image    8.0 s
    work         build/image    32.0 s
    provisioning test/unit      8.0 s
    work         test/unit      32.0 s
    approval     staging        3 h 0 min
    health       staging        15.0 s
    checks       staging        9.0 s
    rollback     staging        15.0 s
    ");
    insta::assert_snapshot!(time.summary(), @"3 h 3 min in all: waiting for people 3 h 0 min, jobs and tasks 1 min 4 s, waiting for other runs 1 min 0 s, waiting for a build machine 16.0 s, rollout 15.0 s, rollback 15.0 s, checks 9.0 s");
    assert!(time.is_over && time.total(Kind::Rollback) > 0);
}

#[test]
fn people_who_are_asked_again_by_a_new_rule_are_waited_for_again() {
    let mut story = Story::new();
    let steer = |story: &Story, verb: &str, body: &serde_json::Value| {
        let path = format!("/v1/environments/web/staging/{verb}");
        assert_eq!(post(&story.world(), "root", &path, body).0, 200);
    };
    story.know_staging();
    steer(&story, "freeze", &json!({ "reason": "sale" }));
    let commit =
        story.commit_with(&[("pushway.yml", &format!("{PIPELINE}    approval: {{ timeout: 8h }}\n"))]);
    let id = story.push("main", &commit);
    let asks = |world: &World| {
        let approval = |run: Run| run.environments.first().and_then(|state| state.approval.clone());
        world.stored_run(id).and_then(approval).is_some_and(|approval| approval.is_open())
    };
    let approve = |story: &Story, name: &str| {
        let digest = story.run(id).environments[0].approval.clone().unwrap().request.digest;
        let path = format!("/v1/runs/{id}/environments/staging/approve");
        assert_eq!(post(&story.world(), name, &path, &json!({ "digest": digest })).0, 200);
    };
    story.sim.run_until(asks);
    story.sim.run_for(SignedDuration::from_hours(1));
    approve(&story, "ada");
    story.sim.run_for(SignedDuration::from_hours(4));
    steer(&story, "protect", &json!({ "required": 2 }));
    story.sim.run_until(asks);
    story.sim.run_for(SignedDuration::from_hours(2));
    approve(&story, "bob");
    story.sim.run_for(SignedDuration::from_hours(5));
    steer(&story, "unfreeze", &json!({}));
    story.sim.run();
    assert_eq!(story.run(id).status, Status::Succeeded);
    let RunLedger { time, .. } = ledger(&story, id);
    let hours = |kind| time.total(kind) / 3_600_000;
    assert_eq!((hours(Kind::Approval), hours(Kind::Window)), (3, 9), "{}", lines(&time));
}

#[test]
fn a_build_that_hangs_until_it_is_stopped_was_waited_for_and_is_not_our_own() {
    let mut story = Story::new();
    story.world().script_build(JobStage::Test, "unit", None, BuildScript::Hangs);
    let run = story.play();
    let RunLedger { time, .. } = ledger(&story, run.id);
    let minutes = |kind| time.total(kind) / 60_000;
    assert!(minutes(Kind::Work) >= 10 && minutes(Kind::Own) < 2, "{time:?}");
}

#[test]
fn what_goes_on_counts_up_to_now_for_whoever_looks_and_up_to_the_last_fact_for_the_record() {
    let mut story = Story::new();
    let commit =
        story.commit_with(&[("pushway.yml", &format!("{PIPELINE}    approval: {{ required: 1 }}\n"))]);
    let id = story.push("main", &commit);
    story.sim.run_until(|world| {
        world.stored_run(id).is_some_and(|run| run.environments.iter().any(|state| state.approval.is_some()))
    });
    let told = ledger(&story, id).time;
    let journal = story.world().stored_journal(id);
    let at = |hours| Ledger::so_far(told.to + SignedDuration::from_hours(hours), &journal, None);
    assert_eq!(at(3).total(Kind::Approval), 3 * 3_600_000);
    assert_eq!(at(3).totals.iter().map(|total| total.milliseconds).sum::<u64>(), at(3).milliseconds);
    assert_eq!((at(3).milliseconds, at(3).is_over), (told.milliseconds + 3 * 3_600_000, false));
    // One that waits for the environment of another run is told so before it has it.
    let ends = |world: &World, id| {
        let jobs = world.stored_run(id).map(|run| run.jobs).unwrap_or_default();
        jobs.len() == 2 && jobs.iter().all(JobState::has_succeeded)
    };
    let mut waiting = Story::new();
    let watched = format!("{PIPELINE}    watch: {{ for: 1h }}\n");
    let commits = [&watched; 2].map(|file| waiting.commit_with(&[("pushway.yml", file)]));
    let ids = commits.map(|commit| {
        let id = waiting.push("main", &commit);
        waiting.sim.run_until(|world| ends(world, id));
        waiting.sim.run_for(SignedDuration::from_mins(5));
        id
    });
    let journal = waiting.world().stored_journal(ids[1]);
    let behind = Ledger::so_far(waiting.world().now(), &journal, None);
    let waited = behind.total(Kind::Queue);
    let since = journal.last().map(|entry| waiting.world().now().duration_since(entry.at));
    assert_eq!(since.map(|since| since.as_millis()), Some(i128::from(waited)), "{behind:?}");
    assert!(waited >= 300_000 && behind.total(Kind::Own) == 0, "{behind:?}");
    // A clock that is behind takes nothing away.
    assert_eq!((told.total(Kind::Approval), &at(-1)), (0, &told));
    // Once it is over, nobody's clock counts.
    let mut story = Story::new();
    let run = story.play();
    let (over, journal) = (ledger(&story, run.id).time, story.world().stored_journal(run.id));
    assert_eq!(Ledger::so_far(over.to + SignedDuration::from_hours(1), &journal, None), over);
}

#[test]
fn of_jobs_side_by_side_the_one_that_was_waited_for_counts() {
    let mut story = Story::new();
    let pipeline = PIPELINE.replace(
        "environments:",
        "  lint: { buildspec: ci/unit.yml, timeout: 10m }\n  after: { buildspec: ci/unit.yml, needs: [lint], timeout: 10m }\nenvironments:",
    );
    let faults = BuildScript::Faults;
    story.world().script_build(JobStage::Test, "lint", Some(1), faults);
    let pipeline =
        pipeline.replace("lint: { buildspec: ci/unit.yml,", "lint: { buildspec: ci/unit.yml, retries: 1,");
    let commit = story.commit_with(&[("pushway.yml", &pipeline)]);
    let run = story.play_commit(&commit);
    assert_eq!(run.status, Status::Succeeded, "{:?}", run.cause);
    let RunLedger { time, usage, money } = ledger(&story, run.id);
    let jobs = time.jobs.iter().map(|job| format!("{}#{} {}", job.job, job.attempt, job.is_critical));
    insta::assert_snapshot!(jobs.collect::<Vec<_>>().join("\n"), @r"
    build/image#1 true
    test/unit#1 false
    test/lint#1 true
    test/lint#2 true
    test/after#1 true
    ");
    insta::assert_snapshot!(lines(&time), @r"
    provisioning build/image    8.0 s
    work         build/image    32.0 s
    provisioning test/lint      8.0 s
    work         test/lint      32.0 s
    own                         1.0 s
    provisioning test/lint      8.0 s
    work         test/lint      32.0 s
    own                         1.0 s
    provisioning test/after     8.0 s
    work         test/after     32.0 s
    health       staging        15.0 s
    checks       staging        7.0 s
    ");
    // Five builds of 40 seconds, each of which is a whole minute.
    assert_eq!(usage.build_minutes, [("arm1.small".to_owned(), 5)].into());
    assert_eq!(money.items[0].nano_dollars, 5 * 3_400_000);
    // One was tried again after a fault of CodeBuild, and one once the job before it was done.
    assert_eq!(usage.transitions as usize, entered(&story) + 2, "{:#?}", story.sim.trace());
}

#[test]
fn a_build_that_was_cut_off_costs_what_it_ran_until_then() {
    let mut story = Story::new();
    let pipeline = PIPELINE.replace("buildspec.yml,", "buildspec.yml, arch: arm64,");
    let commit = story.commit_with(&[("pushway.yml", &pipeline)]);
    let id = story.push("main", &commit);
    let builds = |world: &World| world.stored_run(id).is_some_and(|run| run.jobs[0].build.is_some());
    story
        .sim
        .run_until(|world| world.stored_run(id).is_some_and(|run| !run.jobs.is_empty()) && builds(world));
    assert_eq!(ledger(&story, id).usage.build_minutes, [].into(), "it still runs");
    story.world().advance(SignedDuration::from_secs(200));
    let path = format!("/v1/runs/{id}/stop");
    assert_eq!(post(&story.world(), "ada", &path, &json!({ "reason": "no" })).0, 202);
    story.sim.run();
    let stopped = story.run(id);
    assert!(stopped.status == Status::Stopped && stopped.jobs[0].end.is_none(), "{stopped:?}");
    let RunLedger { usage, money, .. } = ledger(&story, id);
    // Three minutes and twenty seconds, on the machine that was planned.
    assert_eq!(usage.build_minutes, [("arm1.small".to_owned(), 4)].into());
    assert_eq!((usage.estimated_minutes, money.items[0].nano_dollars), (4, 4 * 3_400_000));
    // One that nobody has cut off is told by CodeBuild.
    let next = story.commit();
    let run = story.play_commit(&next);
    let usage = ledger(&story, run.id).usage;
    assert_eq!((usage.estimated_minutes, usage.build_minutes), (0, [("arm1.small".to_owned(), 2)].into()));
}

#[test]
fn the_states_that_aws_charges_for_are_those_that_a_run_enters() {
    let healthy = |_: &mut Story| {};
    let red = |story: &mut Story| {
        story.world().script_build(
            JobStage::Test,
            "unit",
            None,
            BuildScript::FailsIn("BUILD".into(), "no".into()),
        );
    };
    let sick = |story: &mut Story| story.world().set_behaviour(&next_image(), Behaviour::Sick(500));
    let crashing = |story: &mut Story| story.world().set_behaviour(&next_image(), Behaviour::Crashes(3));
    let stories: [&dyn Fn(&mut Story); 4] = [&healthy, &red, &sick, &crashing];
    let statuses = [Status::Succeeded, Status::Failed, Status::RolledBack, Status::RolledBack];
    for (set, status) in stories.into_iter().zip(statuses) {
        let mut story = Story::new();
        set(&mut story);
        let run = story.play();
        assert_eq!(run.status, status);
        let usage = ledger(&story, run.id).usage;
        assert_eq!(usage.transitions as usize, entered(&story), "{status}: {:#?}", story.sim.trace());
        assert!(usage.invocations > usage.transitions / 2 && usage.writes > 0 && usage.requests == 1);
    }
}

/// The image that the first commit of a story makes.
fn next_image() -> pushway_core::ids::ImageDigestRef {
    let commit = Story::new().commit();
    pushway_tests::sim::story::image_of(&commit)
}

#[test]
fn pauses_of_a_strategy_and_its_checks_are_told_from_its_rollout() {
    let mut story = Story::new();
    let test = r#"[{ http: { url: "http://web.example.com/", attempts: 2, need: 1, interval: 1s } }]"#;
    let strategy = format!("strategy: {{ canary: {{ hold: 2m, bake: 3m, during: {test} }} }}");
    let text = PIPELINE.replace("timeout: 10m }\n    validate", &format!("{strategy} }}\n    validate"));
    let commit = story.commit_with(&[("pushway.yml", &text)]);
    let run = story.play_commit(&commit);
    assert_eq!(run.status, Status::Succeeded, "{:?}", run.cause);
    let RunLedger { time, .. } = ledger(&story, run.id);
    insta::assert_snapshot!(lines(&time), @r"
    provisioning build/image    8.0 s
    work         build/image    32.0 s
    provisioning test/unit      8.0 s
    work         test/unit      32.0 s
    health       staging        15.0 s
    bake         staging        5 min 0 s
    checks       staging        7.0 s
    ");
}

#[test]
fn who_retries_a_push_days_later_has_not_waited_for_its_delivery() {
    let mut story = Story::new();
    let world = story.world();
    let commit = story.commit();
    let mut body = push_body("main", &commit);
    body["repository"]["pushed_at"] = json!((world.now() - SignedDuration::from_secs(4)).as_second());
    let id = story.send(&Post::github("push", "d1", &body.to_string(), SECRET)).expect("it is taken").run();
    story.sim.run();
    world.advance(SignedDuration::from_hours(70));
    let (_, again) = post(&world, "ada", &format!("/v1/runs/{id}/retry"), &json!({ "from": "start" }));
    story.sim.run();
    let delivery = |run: &str| {
        let (_, ledger) = pushway_tests::sim::people::get(&world, &format!("/v1/runs/{run}/ledger"));
        let totals = ledger["totals"].as_array().expect("totals").clone();
        totals.iter().find(|total| total["kind"] == "delivery").map(|total| total["milliseconds"].clone())
    };
    assert_eq!(delivery(&id.to_string()), Some(json!(4_000)));
    assert_eq!(delivery(again["run_id"].as_str().expect("a run")), None);
}

#[test]
fn delivery_a_freeze_draining_and_a_watch_are_each_told_apart() {
    let mut story = Story::new();
    let world = story.world();
    let pipeline = format!("{PIPELINE}    watch: {{ for: 3m }}\n");
    let commit = story.commit_with(&[("pushway.yml", &pipeline)]);
    let at = "/v1/environments/web/staging";
    story.know_staging();
    assert_eq!(post(&world, "ada", &format!("{at}/freeze"), &json!({ "reason": "sale" })).0, 200);
    let mut body = push_body("main", &commit);
    body["repository"]["pushed_at"] = json!((world.now() - SignedDuration::from_secs(4)).as_second());
    let id = story.send(&Post::github("push", "d1", &body.to_string(), SECRET)).expect("it is taken").run();
    let is_blocked = |world: &World| {
        world.stored_run(id).is_some_and(|run| run.environments.iter().any(|state| state.blocked.is_some()))
    };
    story.sim.run_until(is_blocked);
    story.sim.run_for(SignedDuration::from_hours(1));
    assert_eq!(post(&world, "ada", &format!("{at}/unfreeze"), &json!({})).0, 200);
    story
        .sim
        .run_until(|world| world.stored_run(id).is_some_and(|run| run.environments[0].deployment.is_some()));
    let says = |after: i64, what: &str| ServiceMessage {
        at: Some(world.now() + SignedDuration::from_secs(after)),
        text: format!("(service web) has begun draining connections on 1 tasks.{what}"),
    };
    // Of another deploy; of the first task; of the last one.
    let said = [says(9, ""), says(3, ""), says(-3_600, "")];
    world.with_service("demo", "web", |service| service.said.extend(said));
    story.sim.run();
    assert_eq!(story.run(id).status, Status::Succeeded, "{:?}", story.run(id).cause);
    insta::assert_snapshot!(lines(&ledger(&story, id).time), @"
    delivery                    4.0 s
    provisioning build/image    8.0 s
    work         build/image    32.0 s
    provisioning test/unit      8.0 s
    work         test/unit      32.0 s
    window       staging        1 h 1 min
    health       staging        14.0 s
    drain        staging        1.0 s
    checks       staging        7.0 s
    watch        staging        3 min 38 s
    ");
}
