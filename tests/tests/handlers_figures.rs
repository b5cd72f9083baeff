//! The figures of runs: noted once by whoever tells of them, whatever dies on the way, and without touching a run; and
//! what the API answers from them.

use jiff::SignedDuration;
use pushway_core::figures::{Figures, Outcome};
use pushway_core::ids::{CommitSha, RunId};
use pushway_core::run::{Run, Status};
use pushway_core::testing::{Behaviour, BuildScript, Injected};
use pushway_tests::sim::invoke;
use pushway_tests::sim::people::{Answer, get, post, send, signed, unsigned};
use pushway_tests::sim::story::{PIPELINE, Story};
use serde_json::{Value, json};

fn tell(story: &Story, run: RunId) -> Value {
    let record = json!({ "eventName": "MODIFY", "dynamodb": {
        "Keys": { "pk": { "S": format!("RUN#{run}") }, "sk": { "S": "META" } }, "SequenceNumber": "7",
    } });
    invoke(&story.world(), "notify", json!({ "Records": [record] })).unwrap_or_else(|_| json!("died"))
}

fn figures(story: &Story, run: RunId) -> Option<Figures> {
    story.world().stored_figures().into_iter().find(|figures| figures.run == run)
}

/// Pushes this commit a while after whatever was before, plays to the end, and tells of it.
fn play(story: &mut Story, commit: &CommitSha) -> Run {
    story.world().advance(SignedDuration::from_mins(10));
    let run = story.play_commit(commit);
    assert_eq!(tell(story, run.id)["batchItemFailures"], json!([]));
    run
}

#[test]
fn a_run_that_is_over_has_figures_once_and_they_are_small() {
    let mut story = Story::new();
    let commit = story.commit();
    let id = story.push("main", &commit);
    story.sim.run_until(|world| world.stored_run(id).is_some_and(|run| run.status == Status::Deploying));
    tell(&story, id);
    assert_eq!(figures(&story, id), None, "it goes on");
    story.sim.run();
    let run = story.run(id);
    tell(&story, id);
    let noted = figures(&story, id).expect("it is over");
    assert_eq!((noted.status, noted.environments[0].outcome), (Status::Succeeded, Outcome::Deployed));
    assert_eq!(noted.environments[0].leads.len(), 1, "the first version brings itself alone");
    assert!(noted.build_seconds >= 80 && noted.queue_seconds == 16, "{noted:?}");
    assert!(serde_json::to_string(&noted).unwrap().len() < 1_024, "{noted:?}");
    // Later, with another record beside it, nothing of it changes.
    let next = story.commit();
    play(&mut story, &next);
    tell(&story, id);
    assert_eq!(figures(&story, id), Some(noted));
    assert_eq!(story.run(id), run, "the run is as it was");
}

#[test]
fn f9_a_teller_that_dies_over_figures_is_followed_by_another() {
    for at in ["put_figures", "journal", "plan", "environment", "list"] {
        for what in [Injected::DiesBefore, Injected::DiesAfter, Injected::Retryable, Injected::Permanent] {
            let mut story = Story::new();
            let run = story.play();
            story.world().inject_on(at, 1, what);
            let first = tell(&story, run.id);
            if matches!(what, Injected::Retryable | Injected::Permanent) {
                assert_eq!(
                    first["batchItemFailures"][0]["itemIdentifier"], "7",
                    "{at}: it is handed over again"
                );
            }
            tell(&story, run.id);
            assert_eq!(story.world().stored_figures().len(), 1, "{at} {what:?}");
            assert_eq!(story.run(run.id), run);
        }
    }
}

#[test]
fn a_deployment_brings_the_pushes_that_went_no_further_before_it() {
    let mut story = Story::new();
    let first = story.commit();
    assert_eq!(play(&mut story, &first).status, Status::Succeeded);
    // One that fails its test, one that is rolled back, and then a good one.
    let failing = BuildScript::FailsIn("BUILD".into(), "exit status 1".into());
    let red = story.commit_with(&[("pushway.yml", &PIPELINE.replace("unit: {", "other: {"))]);
    story.world().script_build(pushway_core::fact::JobStage::Test, "other", None, failing);
    assert_eq!(play(&mut story, &red).status, Status::Failed);
    let sick = story.commit();
    story.image_does(&sick, Behaviour::Sick(500));
    let rolled_back = play(&mut story, &sick);
    let undone = figures(&story, rolled_back.id).unwrap().environments.remove(0);
    assert_eq!((undone.outcome, undone.leads.len()), (Outcome::RolledBack, 0));
    assert!(undone.at > undone.began_at);
    let good = story.commit();
    let run = play(&mut story, &good);
    let leads = figures(&story, run.id).unwrap().environments.remove(0).leads;
    assert_eq!(leads.len(), 3, "{leads:?}");
    assert!(leads.is_sorted() && leads[1] >= leads[0] + 600 && leads[2] >= leads[1] + 600, "{leads:?}");
    // What failed before it was let near an environment has touched none.
    let red = story.world().stored_figures().into_iter().find(|figures| figures.status == Status::Failed);
    assert_eq!(red.unwrap().environments, []);
}

/// The leads of what a run brought to staging, in minutes.
fn leads(story: &Story, run: RunId) -> Vec<u32> {
    let leads = figures(story, run).expect("it is over").environments.remove(0).leads;
    leads.into_iter().map(|seconds| seconds / 60).collect()
}

#[test]
fn a_push_is_brought_once_from_when_it_was_pushed_whatever_people_do_with_it() {
    let mut story = Story::new();
    let first = story.commit();
    play(&mut story, &first);
    // One that is refused, and one that fails and is retried twice.
    let asking = format!("{PIPELINE}    approval: {{ required: 1 }}\n");
    let refused = story.commit_with(&[("pushway.yml", &asking)]);
    story.world().advance(SignedDuration::from_mins(10));
    let id = story.push("main", &refused);
    story.sim.run_until(|world| {
        let asks = |run: Run| run.environments.iter().any(|state| state.approval.is_some());
        world.stored_run(id).is_some_and(asks)
    });
    let path = format!("/v1/runs/{id}/environments/staging/reject");
    assert_eq!(post(&story.world(), "ada", &path, &json!({ "reason": "no" })).0, 200);
    story.sim.run();
    assert_eq!(story.run(id).status, Status::Rejected);
    let wanted = story.commit();
    let fails = BuildScript::FailsIn("BUILD".into(), "exit status 1".into());
    story.world().script_build(pushway_core::fact::JobStage::Test, "unit", None, fails);
    let mut run = play(&mut story, &wanted);
    for status in [Status::Failed, Status::Succeeded] {
        assert_eq!(run.status, Status::Failed);
        story.world().advance(SignedDuration::from_hours(1));
        if status == Status::Succeeded {
            let good = BuildScript::Succeeds(std::collections::BTreeMap::new());
            story.world().script_build(pushway_core::fact::JobStage::Test, "unit", None, good);
        }
        let path = format!("/v1/runs/{}/retry", run.id);
        let (_, answer) = post(&story.world(), "ada", &path, &json!({ "from": "start" }));
        let again: RunId = answer["run_id"].as_str().unwrap().parse().unwrap();
        story.sim.run();
        tell(&story, again);
        run = story.run(again);
        assert_eq!(run.status, status, "{:?}", run.cause);
    }
    // The one that was retried, two hours ago, and before it the one that was refused.
    let told = leads(&story, run.id);
    assert!(told.len() == 2 && (120..125).contains(&told[0]) && (130..140).contains(&told[1]), "{told:?}");
    // Once more by hand and by another retry: nothing new is brought.
    let path = format!("/v1/runs/{}/retry", run.id);
    for (path, order) in [
        (path.as_str(), json!({ "from": "start" })),
        ("/v1/runs", json!({ "provider": "github", "hook": "web", "ref": "refs/heads/main" })),
    ] {
        story.world().advance(SignedDuration::from_hours(1));
        let (_, answer) = post(&story.world(), "ada", path, &order);
        let again: RunId = answer["run_id"].as_str().unwrap_or_else(|| panic!("{answer}")).parse().unwrap();
        story.sim.run();
        tell(&story, again);
        assert_eq!(story.run(again).status, Status::Succeeded);
        assert_eq!(leads(&story, again), [0_u32; 0]);
    }
}

#[test]
fn a_retry_brings_nothing_that_was_pushed_after_its_push_and_the_next_deployment_does() {
    let mut story = Story::new();
    let first = story.commit();
    play(&mut story, &first);
    let script = |story: &Story, script| {
        story.world().script_build(pushway_core::fact::JobStage::Test, "unit", None, script);
    };
    script(&story, BuildScript::FailsIn("BUILD".into(), "exit status 1".into()));
    let (older, newer) = (story.commit(), story.commit());
    let (older, newer) = (play(&mut story, &older), play(&mut story, &newer));
    assert_eq!((older.status, newer.status), (Status::Failed, Status::Failed));
    script(&story, BuildScript::Succeeds(std::collections::BTreeMap::new()));
    let path = format!("/v1/runs/{}/retry", older.id);
    let (_, answer) = post(&story.world(), "ada", &path, &json!({ "from": "start" }));
    let again: RunId = answer["run_id"].as_str().unwrap().parse().unwrap();
    story.sim.run();
    tell(&story, again);
    assert_eq!(story.run(again).status, Status::Succeeded, "{:?}", story.run(again).cause);
    assert_eq!(leads(&story, again).len(), 1);
    let last = story.commit();
    let last = play(&mut story, &last);
    assert_eq!(leads(&story, last.id).len(), 2, "its own push, and the one that the retry came before");
}

#[test]
fn a_retry_brings_its_push_though_another_branch_has_deployed_meanwhile() {
    let mut story = Story::new();
    let fails = BuildScript::FailsIn("BUILD".into(), "exit status 1".into());
    let script = |story: &Story, script| {
        story.world().script_build(pushway_core::fact::JobStage::Test, "unit", None, script);
    };
    script(&story, fails);
    let wanted = story.commit();
    let red = play(&mut story, &wanted);
    assert_eq!(red.status, Status::Failed);
    script(&story, BuildScript::Succeeds(std::collections::BTreeMap::new()));
    let other = story.commit();
    let id = story.push("release/1", &other);
    story.sim.run();
    assert_eq!(story.run(id).status, Status::Succeeded);
    story.world().advance(SignedDuration::from_hours(1));
    let path = format!("/v1/runs/{}/retry", red.id);
    let (_, answer) = post(&story.world(), "ada", &path, &json!({ "from": "start" }));
    let again: RunId = answer["run_id"].as_str().unwrap().parse().unwrap();
    story.sim.run();
    tell(&story, again);
    assert_eq!(story.run(again).status, Status::Succeeded);
    let told = leads(&story, again);
    assert!(told.len() == 1 && (60..70).contains(&told[0]), "{told:?}");
}

#[test]
fn a_deploy_that_ended_before_it_moved_anything_is_no_deployment() {
    let mut story = Story::new();
    let pipeline = format!("{PIPELINE}    before: [ {{ ecs_task: {{ command: [a], timeout: 5m }} }} ]\n");
    let commit = story.commit_with(&[("pushway.yml", &pipeline)]);
    let id = story.push("main", &commit);
    story.sim.run_until(|world| {
        let runs = |run: Run| run.environments.iter().any(|state| !state.before.is_empty());
        world.stored_run(id).is_some_and(runs)
    });
    assert_eq!(
        post(&story.world(), "ada", &format!("/v1/runs/{id}/stop"), &json!({ "reason": "no" })).0,
        202
    );
    story.sim.run();
    tell(&story, id);
    let run = story.run(id);
    assert!(run.status.is_terminal() && run.environments[0].deployment.is_none(), "{run:?}");
    assert!(run.environments[0].rollout.is_some(), "it was prepared");
    assert_eq!(figures(&story, id).expect("it is over").environments, []);
}

#[test]
fn the_api_tells_a_runs_time_and_money_and_how_its_pipeline_delivers() {
    let mut story = Story::new();
    let first = story.commit();
    let run = play(&mut story, &first);
    let sick = story.commit();
    story.image_does(&sick, Behaviour::Sick(500));
    play(&mut story, &sick);
    let world = story.world();
    let (status, ledger) = get(&world, &format!("/v1/runs/{}/ledger", run.id));
    assert_eq!((status, &ledger["is_over"]), (200, &json!(true)));
    let sum: u64 = ledger["segments"]
        .as_array()
        .unwrap()
        .iter()
        .map(|part| part["milliseconds"].as_u64().unwrap())
        .sum();
    assert_eq!(ledger["milliseconds"], sum);
    // Two builds of less than a minute on the machine that the laptop and the default name.
    assert_eq!(ledger["usage"]["build_minutes"], json!({ "arm1.small": 2 }));
    assert!(ledger["money"]["nano_dollars"].as_u64().unwrap() > 2 * 3_400_000);
    let (status, answer) = get(&world, "/v1/insights?pipeline=web&days=7");
    assert_eq!((status, &answer["pipelines"][0]["runs"]), (200, &json!(2)));
    let staging = &answer["pipelines"][0]["environments"][0];
    assert_eq!(
        json!([
            staging["deployments"],
            staging["attempts"],
            staging["failed"],
            staging["change_failure_percent"]
        ]),
        json!([1, 2, 1, 50.0])
    );
    // Without a name it tells of those that ran; of one that never did, nothing.
    assert_eq!(get(&world, "/v1/insights").1["pipelines"][0]["pipeline"], "web");
    assert_eq!(get(&world, "/v1/insights?pipeline=other").1["pipelines"][0]["environments"], json!([]));
    assert_eq!(get(&world, "/v1/insights?environment=none").1["pipelines"][0]["environments"], json!([]));
    for wrong in ["days=0", "days=367", "pipeline=A%23B", "span=7"] {
        assert_eq!(get(&world, &format!("/v1/insights?{wrong}")).0, 400, "{wrong}");
    }
}

/// What anyone is shown at a badge's address.
fn anyone(story: &Story, path: &str) -> Answer {
    send(&story.world(), &unsigned("GET", path, &[], "")).expect("it answers")
}

#[test]
fn a_badge_shows_the_last_finished_run_of_a_branch_to_whom_the_installation_lets() {
    let mut story = Story::new();
    assert_eq!(anyone(&story, "/badge/web.svg").status, 401, "a name and a status are nobody's business");
    let signed =
        |story: &Story, path: &str| send(&story.world(), &signed("GET", "ada", path, &[], "")).unwrap();
    assert!(signed(&story, "/badge/web.svg").body.contains("web: unknown"));
    story.world().set_public_badges(true);
    let commit = story.commit();
    play(&mut story, &commit);
    let badge = anyone(&story, "/badge/web.svg");
    assert_eq!((badge.status, badge.header("content-type")), (200, "image/svg+xml"));
    assert!(badge.body.contains("web: succeeded"), "{}", badge.body);
    assert_eq!(badge.header("cache-control"), "max-age=60");
    assert!(badge.header("content-security-policy").contains("default-src 'none'"));
    let known = send(
        &story.world(),
        &unsigned("GET", "/badge/web.svg", &[("if-none-match", badge.header("etag"))], ""),
    );
    assert_eq!(known.expect("it answers").status, 304);
    // A run of another branch says nothing of this one, and one that goes on says nothing yet.
    let sick = story.commit();
    story.image_does(&sick, Behaviour::Sick(500));
    story.push("release/1", &sick);
    story.sim.run();
    // However many other branches' runs are newer.
    for _ in 0..101 {
        let other = story.commit();
        story.push("release/2", &other);
    }
    story.sim.run();
    let next = story.commit();
    let goes_on = story.push("main", &next);
    story.sim.run_until(|world| world.stored_run(goes_on).is_some_and(|run| run.status == Status::Building));
    assert!(anyone(&story, "/badge/web.svg").body.contains("web: succeeded"));
    assert!(anyone(&story, "/badge/web.svg?branch=release/1").body.contains("web: rolled back"));
    assert!(anyone(&story, "/badge/web.svg?branch=none").body.contains("web: unknown"));
    // What is no name is a text like any other, and what is not there looks like what nothing is known of.
    let hostile = anyone(&story, "/badge/%3Cscript%3Ealert(1)%3C%2Fscript%3E.svg");
    assert!(!hostile.body.contains("<script") && !hostile.body.contains("alert(1)</"), "{}", hostile.body);
    assert_eq!(anyone(&story, "/badge/nothing.svg").status, 200);
    assert_eq!(anyone(&story, "/badge/web.png").status, 404);
    assert_eq!(anyone(&story, "/v1/runs").status, 401, "badges alone are open");
}
