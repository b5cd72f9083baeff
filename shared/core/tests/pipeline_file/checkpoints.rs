//! What must hold while the traffic moves, as the file says it.

use pushway_core::plan::{Check, Checkpoints, Target};

use super::{changed, problems, read};

fn with(strategy: &str) -> String {
    changed("strategy: rolling\n        timeout: 10m", &format!("strategy: {strategy}"))
}

fn read_strategy(strategy: &str) -> (Checkpoints, u32) {
    let plan = read(&with(strategy)).plan;
    let Target::Ecs(target) = plan.environments[0].target.clone() else { panic!("it is a service") };
    (target.checkpoints, target.timeout_seconds)
}

#[test]
fn checks_and_a_pause_come_on_top_of_the_default_timeout() {
    let http = r#"{ http: { url: "https://example.com", attempts: 2, interval: 5s, timeout: 5s } }"#;
    let alarms = "{ alarms: { names: [a], attempts: 3, interval: 19s } }";
    let minutes = |minutes: u32| minutes * 60;
    let (points, timeout) =
        read_strategy(&format!("{{ blue_green: {{ bake: 5m, test: [{http}, {alarms}] }} }}"));
    assert!(matches!(points.test[..], [Check::Http(_), Check::Alarms(_)]) && points.during.is_empty());
    assert_eq!(timeout, minutes(15 + 5) + 20 + 60);
    let more = format!("test: [{http}], during: [{alarms}], pause: 30m");
    let (points, timeout) =
        read_strategy(&format!("{{ linear: {{ step: 40, every: 1m, bake: 0m, {more} }} }}"));
    assert_eq!((points.during.len(), points.pause_seconds), (1, Some(minutes(30))));
    // Two further steps, each after a minute and its checks.
    assert_eq!(timeout, minutes(15 + 2) + 20 + 2 * 60 + minutes(30));
    assert_eq!(read_strategy("{ canary: {} }").0, Checkpoints::default());
}

#[test]
fn what_has_no_place_in_a_deployment_is_refused() {
    insta::assert_snapshot!(problems(&with("{ blue_green: { during: [], test: [{ job: { buildspec: b.yml } }] } }")), @r"
    pushway.yml:25:35: unknown key `during` in `blue_green`
    25 |         strategy: { blue_green: { during: [], test: [{ job: { buildspec: b.yml } }] } }
       |                                   ^
    hint: `blue_green` takes bake, test, pause

    pushway.yml:25:56: unknown key `job` in a check of a strategy
    25 |         strategy: { blue_green: { during: [], test: [{ job: { buildspec: b.yml } }] } }
       |                                                        ^
    hint: a check of a strategy takes http, alarms, metrics
    ");
    insta::assert_snapshot!(problems(&with("{ canary: { test: [], pause: 4h, during: [{ ecs: {} }, {}] } }")), @r"
    pushway.yml:25:37: `test` is empty
    25 |         strategy: { canary: { test: [], pause: 4h, during: [{ ecs: {} }, {}] } }
       |                                     ^
    hint: add a check, or remove the key

    pushway.yml:25:48: `pause` is `4h`
    25 |         strategy: { canary: { test: [], pause: 4h, during: [{ ecs: {} }, {}] } }
       |                                                ^
    hint: give between 1m and 3h

    pushway.yml:25:63: unknown key `ecs` in a check of a strategy
    25 |         strategy: { canary: { test: [], pause: 4h, during: [{ ecs: {} }, {}] } }
       |                                                               ^
    hint: a check of a strategy takes http, alarms, metrics

    pushway.yml:25:74: a check is of one kind
    25 |         strategy: { canary: { test: [], pause: 4h, during: [{ ecs: {} }, {}] } }
       |                                                                          ^
    hint: write one of http, alarms, metrics, and a list entry for each check
    ");
    let long = "{ canary: { pause: 10m, hold: 1m, bake: 1m } }\n        timeout: 12m";
    insta::assert_snapshot!(problems(&with(long)), @r"
    pushway.yml:26:18: the strategy waits 12m by itself, and the deploy may take 12m only
    26 |         timeout: 12m
       |                  ^
    hint: shorten its waits, or raise `timeout`, up to 3h
    ");
}

#[test]
fn another_account_can_not_ask() {
    let aws =
        "aws: { role: \"arn:aws:iam::111122223333:role/a\", external_id: \"x:y\" }\n    deploy:\n      ecs:";
    let text = with("{ canary: { pause: 10m } }").replacen("deploy:\n      ecs:", aws, 1);
    insta::assert_snapshot!(problems(&text), @r#"
    pushway.yml:20:10: the strategy's `test`, `during` and `pause` need ECS to ask this installation, which it can't from another account or region
    20 |     aws: { role: "arn:aws:iam::111122223333:role/a", external_id: "x:y" }
       |          ^
    hint: take them out of `strategy` and put the checks into `validate`, or deploy from an installation there
    "#);
}
