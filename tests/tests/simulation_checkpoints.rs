//! Stories of checkpoints: ECS asks before it moves traffic. ECS is the one of
//! `shared/core/src/testing/ecs_hooks.rs`, which plays the documented events and answers; the emulator plays no
//! hooks.

use jiff::SignedDuration;
use pushway_core::fact::{DeployFailure, DeployFailureKind, Fact, RollbackOutcome, RollbackOwner};
use pushway_core::ids::RunId;
use pushway_core::plan::Place;
use pushway_core::ports::MoveServices as _;
use pushway_core::run::{Run, Status};
use pushway_core::service_deployment::ServiceDeploymentStatus;
use pushway_core::strategy::Movement;
use pushway_core::testing::{Behaviour, HookCall, Injected, World};
use pushway_core::views::{AlarmState, ServiceRef};
use pushway_tests::sim::every_call::{Scenario, at_every_call, push, statuses};
use pushway_tests::sim::people::{get, post};
use pushway_tests::sim::story::{PIPELINE, Story, old_image};
use pushway_tests::sim::{Events, block_on, every_call, invoke};
use serde_json::{Value, json};

const TEST: &str =
    r#"test: [{ http: { url: "http://web.example.com/test", attempts: 3, need: 2, interval: 1s } }]"#;
const DURING: &str = r"during: [{ alarms: { names: [web-5xx], attempts: 2, need: 1, interval: 1s } }]";

fn blue_green(more: &str) -> String {
    format!("{{ blue_green: {{ bake: 1m, {more} }} }}")
}

fn canary(more: &str) -> String {
    format!("{{ canary: {{ percent: 10, hold: 2m, bake: 1m, {more} }} }}")
}

fn linear(more: &str) -> String {
    format!("{{ linear: {{ step: 40, every: 1m, bake: 1m, {more} }} }}")
}

fn pipeline(strategy: &str) -> String {
    PIPELINE.replace(" }, timeout: 10m }", &format!(" }}, strategy: {strategy}, timeout: 40m }}"))
}

fn story(strategy: &str, behaviour: Behaviour) -> (Story, RunId) {
    let mut story = Story::new();
    let commit = story.commit_with(&[("pushway.yml", &pipeline(strategy))]);
    story.image_does(&commit, behaviour);
    story.world().set_alarm("web-5xx", SignedDuration::ZERO, AlarmState::Ok);
    let id = story.push("main", &commit);
    (story, id)
}

fn play(strategy: &str, behaviour: Behaviour) -> (Story, Run) {
    let (mut story, id) = story(strategy, behaviour);
    story.sim.run();
    story.check();
    let run = story.run(id);
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

/// How many facts of checks at checkpoints the run has.
fn checked(story: &Story, run: &Run) -> usize {
    let journal = story.world().stored_journal(run.id);
    journal.iter().filter(|entry| matches!(entry.fact, Fact::CheckpointChecked { .. })).count()
}

#[test]
fn traffic_moves_once_the_checks_before_it_have_passed() {
    for (strategy, served, checks) in [
        (blue_green(TEST), vec![100], 1),
        (canary(&format!("{TEST}, {DURING}")), vec![10, 100], 2),
        (linear(&format!("{TEST}, {DURING}")), vec![40, 80, 100], 3),
        (canary(DURING), vec![10, 100], 1),
    ] {
        let (story, run) = play(&strategy, Behaviour::Healthy);
        assert_eq!(run.status, Status::Succeeded, "{strategy}: {:?}", run.cause);
        assert_eq!((story.service().served, checked(&story, &run)), (served, checks), "{strategy}");
        assert!(story.service().answers.iter().all(|answer| answer == "SUCCEEDED"));
        assert_eq!(story.movers(), ["pushway"]);
    }
}

#[test]
fn checks_that_take_long_are_made_one_invocation_after_another() {
    let check = r#"{ http: { url: "http://web.example.com/", attempts: 40, need: 40, interval: 2s } }"#;
    let (story, run) = play(&blue_green(&format!("test: [{check}, {check}]")), Behaviour::Healthy);
    assert_eq!((run.status, checked(&story, &run)), (Status::Succeeded, 2), "{:?}", run.cause);
    assert_eq!(story.service().answers, ["IN_PROGRESS", "SUCCEEDED"]);
}

#[test]
fn a_check_that_fails_keeps_the_traffic_where_it_was_and_ecs_goes_back() {
    for (strategy, served, place) in [
        (blue_green(TEST), vec![], "before any production traffic moved"),
        (canary(TEST), vec![], "before any production traffic moved"),
    ] {
        let (story, run) = play(&strategy, Behaviour::Sick(500));
        assert_eq!((run.status, failure(&run).kind), (Status::RolledBack, DeployFailureKind::CheckFailed));
        let summary = &run.cause.as_ref().unwrap().summary;
        assert!(summary.contains("GET http://web.example.com/test") && summary.contains(place), "{summary}");
        assert_eq!(failure(&run).cause.summary, *summary, "one word about it");
        // ECS goes back at our word: nobody stops it a second time.
        assert_eq!(restored_by(&run), Some(RollbackOwner::Pushway));
        assert_eq!((story.service().served, story.world().done("stop_deployment")), (served, 0));
        assert_eq!((story.movers(), story.world().done("move_service")), (vec!["pushway", "service"], 1));
        assert_eq!(story.serving(), [old_image().digest().to_string()]);
    }
}

#[test]
fn a_check_that_fails_while_a_part_is_served_stops_the_rest() {
    let (mut story, id) = story(&canary(&format!("{TEST}, {DURING}")), Behaviour::Healthy);
    story.sim.run_until(|world| world.fake_service("demo", "web").is_some_and(|web| web.served == [10]));
    story.world().set_alarm("web-5xx", SignedDuration::ZERO, AlarmState::Alarm);
    story.sim.run();
    story.check();
    let run = story.run(id);
    assert_eq!((run.status, failure(&run).kind), (Status::RolledBack, DeployFailureKind::CheckFailed));
    let summary = &failure(&run).cause.summary;
    assert!(summary.contains("web-5xx") && summary.contains("had 10 % of the traffic"), "{summary}");
    assert_eq!(story.service().served, [10], "the rest never came");
    assert_eq!(story.serving(), [old_image().digest().to_string()]);
}

/// What a person says through the API; gives the status and the body.
fn say(story: &Story, id: RunId, goes_on: bool) -> (u64, Value) {
    let (verb, body) =
        if goes_on { ("continue", json!({})) } else { ("go-back", json!({ "reason": "too slow" })) };
    post(&story.world(), "ada", &format!("/v1/runs/{id}/environments/staging/{verb}"), &body)
}

fn paused(world: &World) -> bool {
    world.runs().iter().any(|run| run.environments.iter().any(|state| state.paused().is_some()))
}

#[test]
fn a_person_lets_it_go_on_or_back() {
    for (strategy, at, go, back) in [
        (blue_green(&format!("{TEST}, pause: 30m")), 0, vec![100], vec![]),
        (canary("pause: 30m"), 10, vec![10, 100], vec![10]),
        (linear("pause: 30m"), 40, vec![40, 80, 100], vec![40]),
    ] {
        for goes_on in [true, false] {
            let (mut story, id) = story(&strategy, Behaviour::Healthy);
            story.sim.run_until(paused);
            let probes = story.world().done("probe");
            story.sim.run_for(SignedDuration::from_mins(10));
            assert!(story.service().answers.len() > 15, "{strategy}: ECS asks again and again");
            assert_eq!(story.world().done("probe"), probes, "{strategy}: a check is made once");
            let (_, listed) = get(&story.world(), "/v1/approvals");
            assert_eq!(listed["pauses"][0]["run_id"], json!(id), "{listed}");
            assert_eq!(listed["pauses"][0]["pause"]["served"], json!(at), "{listed}");
            let point = story.run(id).environments[0].paused().cloned().expect("it waits");
            assert_eq!(point.served, at, "{strategy}");
            for _ in 0..2 {
                assert_eq!(say(&story, id, goes_on).0, 200, "twice is once");
            }
            let (status, late) = say(&story, id, !goes_on);
            assert_eq!(status, 409, "{late}");
            story.sim.run();
            story.check();
            let run = story.run(id);
            if goes_on {
                assert_eq!((run.status, story.service().served), (Status::Succeeded, go.clone()));
            } else {
                assert_eq!(
                    (run.status, failure(&run).kind),
                    (Status::RolledBack, DeployFailureKind::Stopped)
                );
                let summary = &failure(&run).cause.summary;
                assert!(summary.contains("/ada said to go back (too slow)"), "{summary}");
                assert_eq!(
                    (story.service().served, restored_by(&run)),
                    (back.clone(), Some(RollbackOwner::Person))
                );
            }
        }
    }
}

#[test]
fn f29_a_person_who_says_nothing_is_not_waited_for_for_ever() {
    let (story, run) = play(&canary("pause: 5m"), Behaviour::Healthy);
    assert_eq!((run.status, failure(&run).kind), (Status::RolledBack, DeployFailureKind::NotContinued));
    assert!(
        failure(&run).cause.summary.contains("nobody said to go on in time"),
        "{:?}",
        failure(&run).cause
    );
    assert_eq!(story.service().served, [10]);
    assert_eq!(say(&story, run.id, true).0, 409);
}

#[test]
fn f29_a_deadline_in_the_middle_of_a_pause_stops_the_deployment() {
    let mut story = Story::new();
    let text = pipeline(&canary("pause: 5m")).replace("timeout: 40m", "timeout: 9m");
    let commit = story.commit_with(&[("pushway.yml", &text)]);
    let id = story.push("main", &commit);
    story.sim.run_until(|world| world.fake_service("demo", "web").is_some_and(|web| web.served == [10]));
    // Until the run can be asked for, most of its time has passed.
    story.world().inject_on("service_deployment", 14, Injected::Retryable);
    story.sim.run();
    story.check();
    let run = story.run(id);
    assert_eq!((run.status, failure(&run).kind), (Status::RolledBack, DeployFailureKind::NotContinued));
    let summary = &failure(&run).cause.summary;
    assert!(summary.contains("time was over while it waited for a person"), "{summary}");
    assert_eq!((story.service().served, restored_by(&run)), (vec![10], Some(RollbackOwner::Pushway)));
    assert_eq!(story.world().done("stop_deployment"), 1);
}

#[test]
fn f19_a_workflow_that_is_lost_in_the_middle_lets_nothing_through() {
    let (mut story, id) = story(&blue_green(&format!("{TEST}, pause: 30m")), Behaviour::Healthy);
    story.sim.run_until(paused);
    story.sim.kill_executions();
    story.sim.run();
    story.check();
    let run = story.run(id);
    // People must look, and find the old version.
    assert_eq!((run.status, story.service().served), (Status::RollbackFailed, vec![]));
    assert_eq!(story.service().answers.last().map(String::as_str), Some("FAILED"));
    assert_eq!(story.serving(), [old_image().digest().to_string()]);
}

#[test]
fn f7_without_events_a_checkpoint_comes_to_the_same_end() {
    for (behaviour, status) in
        [(Behaviour::Healthy, Status::Succeeded), (Behaviour::Sick(500), Status::RolledBack)]
    {
        let (mut story, id) = story(&canary(&format!("{TEST}, {DURING}")), behaviour);
        story.sim.events = Events::Lost;
        story.sim.run();
        story.check();
        assert_eq!(story.run(id).status, status);
    }
}

/// The invocation that ECS makes next, taken from it.
fn invocation(story: &mut Story) -> HookCall {
    loop {
        let next = story.world().next_change().unwrap_or_else(|| panic!("ECS asks nothing"));
        story.world().set_now(next);
        if let Some(call) = story.world().take_hook_calls().pop() {
            return call;
        }
        story.sim.run_for(SignedDuration::ZERO);
    }
}

fn ask(story: &Story, payload: Value) -> Value {
    invoke(&story.world(), "validate", payload).unwrap_or_else(|error| panic!("{error:?}"))
}

#[test]
fn a41_an_invocation_is_believed_in_what_it_is_about_only() {
    let (mut story, id) = story(&blue_green(TEST), Behaviour::Sick(500));
    story.sim.run_until(|world| world.done("move_service") == 1);
    story.sim.run_for(SignedDuration::from_secs(1));
    let call = invocation(&mut story);
    let before = story.run(id).version;
    let other = RunId::new(story.world().runs()[0].received_at, [7; 10]);
    let forged = |path: &str, value: Value| {
        let mut payload = call.payload.clone();
        *payload.pointer_mut(path).unwrap_or_else(|| panic!("{path}")) = value;
        payload
    };
    let theirs = "arn:aws:ecs:eu-central-1:000000000000:service-deployment/demo/web/theirs";
    for payload in [
        forged("/hookDetails/pushway/run", json!(other)),
        forged("/hookDetails/pushway/run", json!("no id")),
        forged("/hookDetails/pushway/environment", json!("production")),
        forged("/hookDetails", json!({ "theirs": 1 })),
        forged("/hookDetails", json!(null)),
        forged("/resourceArn", json!(theirs)),
        forged("/lifecycleStage", json!("POST_SCALE_UP")),
        json!({ "lifecycleStage": "PRE_PRODUCTION_TRAFFIC_SHIFT" }),
    ] {
        // A deployment of somebody else is never held up, and nothing is noted.
        assert_eq!(ask(&story, payload.clone())["hookStatus"], "SUCCEEDED", "{payload}");
        assert_eq!(story.run(id).version, before, "{payload}");
    }
    // A later checkpoint does not come before the first one.
    let weights = "/executionDetails/productionTrafficWeights";
    let mut early = json!({});
    early[call.payload["executionDetails"]["targetServiceRevisionArn"].as_str().unwrap()] = json!(50.0);
    assert_eq!(ask(&story, forged(weights, early))["hookStatus"], "IN_PROGRESS");
    assert_eq!(story.run(id).version, before);
    // Without weights it is the first checkpoint: nothing is skipped.
    let answer = ask(&story, forged(weights, json!({})));
    assert_eq!(answer, json!({ "hookStatus": "FAILED" }), "the version is sick");
    // What was found is kept: the check is not made again.
    let probes = story.world().done("probe");
    assert_eq!(ask(&story, call.payload.clone())["hookStatus"], "FAILED");
    assert_eq!(story.world().done("probe"), probes);
    story.world().answer_hook(&call, Some(answer));
    story.sim.run();
    story.check();
    assert_eq!(story.run(id).status, Status::RolledBack);
    // Long over: whoever is deployed with the hook that was left behind goes on at once.
    assert_eq!(ask(&story, call.payload)["hookStatus"], "SUCCEEDED");
}

#[test]
fn a_record_that_can_not_be_read_yet_lets_nothing_through() {
    let (mut story, id) = story(&blue_green(TEST), Behaviour::Healthy);
    story.sim.run_until(|world| world.done("move_service") == 1);
    story.sim.run_for(SignedDuration::from_secs(1));
    let call = invocation(&mut story);
    let records = story.world().with_service("demo", "web", |web| std::mem::take(&mut web.records)).unwrap();
    let answer = ask(&story, call.payload.clone());
    assert_eq!((&answer["hookStatus"], &answer["callBackDelay"]), (&json!("IN_PROGRESS"), &json!(30)));
    assert_eq!(answer["hookDetails"], call.payload["hookDetails"], "ECS need not remember it");
    story.world().with_service("demo", "web", |web| web.records = records);
    story.world().answer_hook(&call, Some(answer));
    story.sim.run();
    story.check();
    assert_eq!((story.run(id).status, story.service().served), (Status::Succeeded, vec![100]));
}

#[test]
fn f29_a_hook_whose_time_is_over_takes_the_deployment_back() {
    let (mut story, id) = story(&blue_green(TEST), Behaviour::Healthy);
    story.sim.run_until(|world| world.done("move_service") == 1);
    // ECS never shows its record: nothing can be let through.
    story.world().with_service("demo", "web", |web| {
        if let Some(hook) = &mut web.movement.hook {
            hook.timeout_minutes = 2;
        }
    });
    story.world().inject_on("service_deployment", 12, Injected::Retryable);
    story.sim.run_for(SignedDuration::from_mins(4));
    assert_eq!(story.service().answers.last().map(String::as_str), Some("TIMED_OUT"));
    story.sim.run();
    story.check();
    let run = story.run(id);
    assert_eq!((run.status, story.service().served), (Status::RolledBack, vec![]));
    assert_eq!(
        (failure(&run).kind, restored_by(&run)),
        (DeployFailureKind::GivenUp, Some(RollbackOwner::Service))
    );
    let summary = &failure(&run).cause.summary;
    assert!(
        summary.contains("a lifecycle hook of the service failed or gave no answer in time"),
        "{summary}"
    );
}

#[test]
fn a_canary_is_judged_by_its_own_figures() {
    let during = r#"during: [{ metrics: { queries: { canary: "1", base: "2" }, expression: canary,
        baseline: base, below: "1.5", attempts: 2, need: 1, interval: 1s } }]"#;
    let strategy = canary(&during.replace('\n', " "));
    for (value, status, served) in
        [(1.2, Status::Succeeded, vec![10, 100]), (3.0, Status::RolledBack, vec![10])]
    {
        let (mut story, id) = story(&strategy, Behaviour::Healthy);
        for (name, value) in [("1", value), ("canary", value), ("2", 1.0), ("base", 1.0)] {
            story.world().set_metric(name, SignedDuration::ZERO, Some(value));
        }
        story.sim.run();
        story.check();
        let run = story.run(id);
        assert_eq!((run.status, story.service().served), (status, served), "{:?}", run.cause);
    }
}

#[test]
fn a_service_without_traffic_to_hold_back_is_refused_untouched() {
    let mut story = Story::new();
    story.world().with_service("demo", "web", |service| service.settings.shifting = 0);
    let commit = story.commit_with(&[("pushway.yml", &pipeline(&blue_green(TEST)))]);
    let run = story.play_commit(&commit);
    assert_eq!(run.status, Status::Rejected, "before anything is built");
    assert!(run.cause.unwrap().summary.contains("no traffic that the strategy's `test`"));
    assert_eq!((story.movers(), story.world().builds().len()), (vec![], 0));
}

#[test]
fn a_service_that_moves_unasked_is_not_called_checked() {
    let (mut story, id) = story(&canary(TEST), Behaviour::Healthy);
    story.sim.run_until(|world| world.done("move_service") == 1);
    // Someone takes the hook off, and ECS asks nobody.
    let call = invocation(&mut story);
    story.world().answer_hook(&call, Some(json!({ "hookStatus": "SUCCEEDED" })));
    loop {
        story.sim.run_for(SignedDuration::ZERO);
        let next = story.world().next_change();
        let Some(next) = next.filter(|_| story.service().served != [10, 100]) else { break };
        story.world().set_now(next);
        for call in story.world().take_hook_calls() {
            story.world().answer_hook(&call, Some(json!({ "hookStatus": "SUCCEEDED" })));
        }
    }
    story.sim.run();
    story.check();
    let run = story.run(id);
    assert_eq!((run.status, failure(&run).kind), (Status::RolledBack, DeployFailureKind::CheckFailed));
    assert!(failure(&run).cause.summary.contains("without the checks"), "{:?}", failure(&run).cause);
}

#[test]
fn the_way_back_and_what_comes_later_ask_nobody() {
    let (mut story, run) = play(&blue_green(TEST), Behaviour::Healthy);
    assert!(story.service().movement.hook.is_some(), "it stays until the next move");
    assert_eq!(run.status, Status::Succeeded);
    // Someone moves the service as it is set, with the hook that was left there.
    let world = story.world();
    let theirs = world.define_by_hand("theirs", &old_image());
    let at = ServiceRef { place: Place::default(), cluster: "demo".into(), service: "web".into() };
    block_on(world.move_service(&at, &theirs, &Movement::default())).unwrap();
    story.sim.run_for(SignedDuration::from_mins(3));
    let service = story.service();
    assert_eq!(service.records.last().unwrap().view.status, ServiceDeploymentStatus::Successful);
    assert_eq!((service.served, service.answers), (vec![100, 100], vec!["SUCCEEDED".to_owned(); 2]));
    assert_eq!(story.run(run.id), run, "the run that is over knows nothing of it");
    // The checks after the deploy fail: the service is moved back, without a hook.
    let strategy = blue_green(r"test: [{ alarms: { names: [web-5xx], attempts: 1, need: 1 } }]");
    let (story, run) = play(&strategy, Behaviour::Sick(500));
    assert_eq!((run.status, story.service().served), (Status::RolledBack, vec![100]));
    assert!(story.service().movement.hook.is_none());
}

fn pushed(story: &mut Story, strategy: &str, behaviour: Behaviour) {
    let commit = story.commit_with(&[("pushway.yml", &pipeline(strategy))]);
    story.image_does(&commit, behaviour);
    story.world().set_alarm("web-5xx", SignedDuration::ZERO, AlarmState::Ok);
    push(story, &commit);
}

#[test]
fn f28_f35_checkpoints_survive_a_fault_at_every_call() {
    let good: Scenario = |story| pushed(story, &canary(&format!("{TEST}, {DURING}")), Behaviour::Healthy);
    at_every_call(good, &[Status::Succeeded], Events::Once, &[Injected::Retryable, Injected::AnswerLost]);
    let bad: Scenario = |story| pushed(story, &blue_green(TEST), Behaviour::Sick(500));
    at_every_call(bad, &[Status::RolledBack], Events::Once, &Injected::ALL);
}

/// A hook that dies is one that fails, and ECS goes back: the run says so, and nothing is left half-way.
#[test]
fn f28_a_function_that_dies_in_a_hook_costs_the_deploy_and_nothing_else() {
    let good: Scenario = |story| pushed(story, &canary(&format!("{TEST}, {DURING}")), Behaviour::Healthy);
    let plain = every_call::play(good, &[], Events::Once);
    let mut back = 0;
    for number in 0..plain.world().call_count() {
        let story = every_call::play(good, &[(number, Injected::DiesAfter)], Events::Once);
        let hook_died = story.service().answers.iter().any(|answer| answer == "NO_ANSWER");
        back += usize::from(hook_died);
        let expected = if hook_died { Status::RolledBack } else { Status::Succeeded };
        assert_eq!(statuses(&story), [expected], "call {number}");
        if hook_died {
            assert_eq!(restored_by(&story.world().runs()[0]), Some(RollbackOwner::Service), "call {number}");
        }
    }
    assert!(back > 5, "{back}");
}
