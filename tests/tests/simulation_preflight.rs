//! Stories of what is found out before anything is spent.

use pushway_core::preflight::{BalancerFacts, Level};
use pushway_core::run::{Run, Status};
use pushway_core::testing::{Breaker, FakeService, Injected};
use pushway_tests::sim::story::{PIPELINE, Story};
use serde_json::json;

fn play(pipeline: &str, change: impl FnOnce(&mut FakeService)) -> (Story, Run) {
    let mut story = Story::new();
    story.world().with_service("demo", "web", change);
    let commit = story.commit_with(&[("pushway.yml", pipeline)]);
    let run = story.play_commit(&commit);
    (story, run)
}

#[test]
fn what_can_never_be_deployed_is_rejected_before_anything_is_built() {
    type Change = fn(&mut FakeService);
    let cases: [(String, Change, &str); 5] = [
        (PIPELINE.replace("cluster: demo", "cluster: dmeo"), |_| (), "there is no cluster \"dmeo\""),
        (PIPELINE.replace("service: web", "service: wbe"), |_| (), "no active service \"wbe\""),
        (PIPELINE.into(), |service| service.is_active = false, "takes no deployment"),
        (
            PIPELINE.into(),
            |service| service.settings.controller = "EXTERNAL".into(),
            "deployment controller EXTERNAL",
        ),
        (PIPELINE.replace("{ web: \"${", "{ wbe: \"${"), |_| (), "no container \"wbe\", only web"),
    ];
    for (pipeline, change, words) in cases {
        let (story, run) = play(&pipeline, change);
        assert_eq!(run.status, Status::Rejected, "{words}: {:?}", run.cause);
        let cause = run.cause.as_ref().unwrap();
        assert!(cause.stage == "environment staging" && cause.summary.contains(words), "{cause:?}");
        assert!(story.world().builds().is_empty() && story.movers().is_empty(), "something was spent");
    }
}

#[test]
fn a_role_that_may_not_be_passed_is_named_before_anything_is_built() {
    let mut story = Story::new();
    let pipeline = PIPELINE.replace("service: web, ", "service: web, task_definition: web.json, ");
    let definition = json!({
        "family": "web", "containerDefinitions": [{ "name": "web" }],
        "taskRoleArn": "arn:aws:iam::000000000000:role/webTaskRole",
        "executionRoleArn": "arn:aws:iam::000000000000:role/Administrator",
    });
    let commit = story.commit_with(&[("pushway.yml", &pipeline), ("web.json", &definition.to_string())]);
    let run = story.play_commit(&commit);
    assert_eq!(run.status, Status::Rejected);
    let cause = run.cause.unwrap();
    assert!(
        cause.summary.contains("role/Administrator") && cause.summary.contains("TaskRoleArns"),
        "{cause:?}"
    );
}

#[test]
fn warnings_and_notes_stay_with_a_run_that_goes_on() {
    let (_, run) = play(PIPELINE, |service| {
        service.breaker = Breaker::Off;
        service.balancers = vec![BalancerFacts {
            name: "web-tg".into(),
            interval_seconds: 30,
            healthy_threshold: 5,
            deregistration_seconds: 300,
        }];
    });
    assert_eq!(run.status, Status::Succeeded, "{:?}", run.cause);
    let levels: Vec<Level> = run.findings.iter().map(|finding| finding.level).collect();
    assert_eq!(levels, [Level::Warning, Level::Note]);
    assert!(run.findings[1].text.contains("at least 450 s"), "{:?}", run.findings);
}

#[test]
fn a_target_that_can_not_be_looked_at_rejects_nothing() {
    for what in [Injected::Retryable, Injected::Permanent] {
        let mut story = Story::new();
        story.world().inject_on("target", 1, what);
        let run = story.play();
        assert_eq!(run.status, Status::Succeeded, "{what:?}: {:?}", run.cause);
        assert!(run.findings[0].text.contains("could not be looked at"), "{:?}", run.findings);
    }
}
