//! Deploys to tasks that a rule or a schedule starts.

use pushway_core::plan::Target;
use pushway_core::scheduled::Starter;

use super::{changed, parse, problems};

const TARGET: &str = "rule: jobs/nightly, target: report, ";

fn starter(text: &str) -> Starter {
    let file = parse("pushway.yml", &changed(TARGET, text)).unwrap_or_else(|problems| panic!("{problems}"));
    let Target::EcsScheduledTask(target) = &file.plan.environments[2].target else { panic!("another") };
    assert_eq!(target.images.len(), 1);
    target.starter.clone()
}

#[test]
fn a_name_stands_alone_or_after_what_it_lies_in() {
    let rule = |bus: &str, target: Option<&str>| Starter::Rule {
        bus: bus.into(),
        name: "nightly".into(),
        target: target.map(str::to_owned),
    };
    let schedule = |group: &str| Starter::Schedule { group: group.into(), name: "nightly".into() };
    for (text, expected) in [
        (TARGET, rule("jobs", Some("report"))),
        ("rule: nightly, ", rule("default", None)),
        ("rule: aws.partner/example.com/x/nightly, ", rule("aws.partner/example.com/x", None)),
        ("schedule: nightly, ", schedule("default")),
        ("schedule: jobs/nightly, ", schedule("jobs")),
    ] {
        assert_eq!(starter(text), expected, "{text}");
    }
}

#[test]
fn what_can_not_be_meant_is_refused() {
    insta::assert_snapshot!(problems(&changed(TARGET, "")), @r#"
    pushway.yml:51:27: a scheduled task is started by either a rule or a schedule
    51 |       ecs_scheduled_task: { images: { web: "${image.uri}" } }
       |                           ^
    hint: write `rule: <name>` for a rule of EventBridge, or `schedule: <name>` for one of EventBridge Scheduler
    "#);
    insta::assert_snapshot!(problems(&changed(TARGET, "rule: a, schedule: b, ")), @r#"
    pushway.yml:51:27: a scheduled task is started by either a rule or a schedule
    51 |       ecs_scheduled_task: { rule: a, schedule: b, images: { web: "${image.uri}" } }
       |                           ^
    hint: write `rule: <name>` for a rule of EventBridge, or `schedule: <name>` for one of EventBridge Scheduler
    "#);
    insta::assert_snapshot!(problems(&changed(TARGET, "schedule: a, target: t, ")), @r#"
    pushway.yml:51:27: a schedule has just one target
    51 |       ecs_scheduled_task: { schedule: a, target: t, images: { web: "${image.uri}" } }
       |                           ^
    hint: leave `target` out; only a rule may have several
    "#);
    insta::assert_snapshot!(problems(&changed(TARGET, "schedule: a/b/c, ")), @r#"
    pushway.yml:51:39: `a/b/c` is not a valid name for `schedule`
    51 |       ecs_scheduled_task: { schedule: a/b/c, images: { web: "${image.uri}" } }
       |                                       ^
    hint: use 1 to 64 letters, digits, dots, hyphens and underscores, with `<group>/` before it where it is not the default one
    "#);
    insta::assert_snapshot!(problems(&changed(TARGET, "rule: \"a:b\", target: x/y, ")), @r#"
    pushway.yml:51:50: `x/y` is not a valid name for `target`
    51 |       ecs_scheduled_task: { rule: "a:b", target: x/y, images: { web: "${image.uri}" } }
       |                                                  ^
    hint: use 1 to 64 letters, digits, dots, hyphens and underscores
    "#);
    let both = changed(
        "      ecs_scheduled_task",
        "      ecs: { cluster: c, service: s, images: {} }\n      ecs_scheduled_task",
    );
    insta::assert_snapshot!(problems(&both), @r#"
    pushway.yml:52:27: an environment deploys to one target
    52 |       ecs_scheduled_task: { rule: jobs/nightly, target: report, images: { web: "${image.uri}" } }
       |                           ^
    hint: write one of ecs, ecs_scheduled_task, and an environment for each target
    "#);
    let service = changed("alarms: [report-failed]", "cpu: 80, target_5xx: 5")
        .replace("    watch: { for: 5m, cpu", "    validate: [ { ecs: {} } ]\n    watch: { for: 5m, cpu");
    insta::assert_snapshot!(problems(&service), @r"
    pushway.yml:52:15: the check `ecs` looks at a service, and a scheduled task has none
    52 |     validate: [ { ecs: {} } ]
       |               ^
    hint: use `alarms`, `metrics` or a `job`, or run the task once with `before: [{ ecs_task: {} }]`

    pushway.yml:53:12: `cpu` of `watch` looks at a service, and a scheduled task has none
    53 |     watch: { for: 5m, cpu: 80, target_5xx: 5 }
       |            ^
    hint: use `alarms`, `metrics` or a `job`, or run the task once with `before: [{ ecs_task: {} }]`

    pushway.yml:53:12: `target_5xx` of `watch` looks at a service, and a scheduled task has none
    53 |     watch: { for: 5m, cpu: 80, target_5xx: 5 }
       |            ^
    hint: use `alarms`, `metrics` or a `job`, or run the task once with `before: [{ ecs_task: {} }]`
    ");
}
