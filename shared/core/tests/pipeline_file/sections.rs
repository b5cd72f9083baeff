//! What a person reads after a mistake in a trigger, a job or an environment.

use pushway_core::gate::{ApprovalRule, Window};
use pushway_core::pipeline_file::parse;
use pushway_core::plan::{Strategy, Target};

use super::{GOOD, changed, problems};

#[test]
fn an_expression_names_a_job_that_exists() {
    insta::assert_snapshot!(problems(&changed("${build.image.IMAGE}", "${build.imgae.IMAGE}")), @r#"
    pushway.yml:24:24: `build` has no job `imgae`
    24 |         images: { web: "${build.imgae.IMAGE}" }
       |                        ^
    hint: did you mean `image`?
    "#);
}

#[test]
fn an_output_is_declared_by_its_job() {
    insta::assert_snapshot!(problems(&changed("[IMAGE]", "[DIGEST]")), @r#"
    pushway.yml:24:24: the job `image` does not declare the output `IMAGE`
    24 |         images: { web: "${build.image.IMAGE}" }
       |                        ^
    hint: add `IMAGE` to `outputs` of the job, and export it in its buildspec

    pushway.yml:45:58: the job `image` does not declare the output `IMAGE`
    45 |       ecs: { cluster: demo, service: web, images: { web: "${build.image.IMAGE}" } }
       |                                                          ^
    hint: add `IMAGE` to `outputs` of the job, and export it in its buildspec
    "#);
}

#[test]
fn an_expression_is_one_of_the_closed_list() {
    insta::assert_snapshot!(problems(&changed("\"${build.image.IMAGE}\"", "\"${build.image.IMAGE}-x\"")), @r#"
    pushway.yml:24:24: `${build.image.IMAGE}` is only known after its job, so it can only stand alone in `images`
    24 |         images: { web: "${build.image.IMAGE}-x" }
       |                        ^
    hint: write ${build.<job>.<OUTPUT>} there and nothing around it
    "#);
}

#[test]
fn an_image_comes_from_the_build_stage() {
    insta::assert_snapshot!(problems(&changed("${build.image.IMAGE}", "${test.unit.IMAGE}")), @r#"
    pushway.yml:24:24: an image must come from the build stage, not from `test`
    24 |         images: { web: "${test.unit.IMAGE}" }
       |                        ^
    hint: what was tested is what is deployed: let a job of `build` export it, ${build.<job>.<OUTPUT>}
    "#);
}

#[test]
fn an_image_by_tag_is_refused_with_the_reason() {
    insta::assert_snapshot!(problems(&changed("\"${build.image.IMAGE}\"", "web:latest")), @r"
    pushway.yml:24:24: the image `web:latest` is not fixed by a digest
    24 |         images: { web: web:latest }
       |                        ^
    hint: a tag can move between test and deploy: write ${build.<job>.<OUTPUT>}, or repository@sha256:<digest>
    ");
}

#[test]
fn expressions_elsewhere_are_refused() {
    insta::assert_snapshot!(problems(&changed("REGION: \"eu\"", "REGION: \"${build.image.IMAGE}\"")), @r#"
    pushway.yml:5:33: `${build.image.IMAGE}` is only known after its job, so it can only stand alone in `images`
    5 | env: { LOG_LEVEL: info, REGION: "${build.image.IMAGE}" }
      |                                 ^
    hint: write ${build.<job>.<OUTPUT>} there and nothing around it
    "#);
}

#[test]
fn two_environments_cannot_share_a_name() {
    insta::assert_snapshot!(problems(&changed("name: production", "name: staging")), @r"
    pushway.yml:43:11: the environment `staging` is already defined in line 19
    43 |   - name: staging
       |           ^
    hint: give each environment a name of its own
    ");
}

#[test]
fn a_watch_has_an_end_and_names_alarms() {
    insta::assert_snapshot!(problems(&changed("watch: { for: 5m, alarms: [", "watch: { for: 4h, alarms: [\"arn:aws:x\", ")), @r#"
    pushway.yml:41:19: `for` is `4h`
    41 |     watch: { for: 4h, alarms: ["arn:aws:x", "web-5xx ${commit.short}"] }
       |                   ^
    hint: give between 1m and 3h

    pushway.yml:41:32: `arn:aws:x` is not the name of an alarm
    41 |     watch: { for: 4h, alarms: ["arn:aws:x", "web-5xx ${commit.short}"] }
       |                                ^
    hint: write the name that CloudWatch shows, not the ARN
    "#);
}

#[test]
fn container_insights_are_watched_by_at_least_one_figure() {
    let of = |figures: &str| {
        changed("watch: { for: 5m,", &format!("watch: {{ for: 5m, container_insights: {figures},"))
    };
    let file =
        parse("pushway.yml", &of("{ restarts: 1, memory: 95 }")).unwrap_or_else(|wrong| panic!("{wrong}"));
    let watched = file.plan.environments[0].watch.clone().and_then(|watch| watch.container_insights).unwrap();
    assert_eq!((watched.restarts, watched.cpu, watched.memory), (Some(1), None, Some(95)));
    insta::assert_snapshot!(problems(&of("{}")), @r#"
    pushway.yml:41:43: `container_insights` is empty
    41 |     watch: { for: 5m, container_insights: {}, alarms: ["web-5xx ${commit.short}"] }
       |                                           ^
    hint: add `restarts`, `cpu` or `memory`, or remove the key
    "#);
    insta::assert_snapshot!(problems(&of("{ restarts: 0, disk: 3 }")), @r#"
    pushway.yml:41:55: `restarts` is 0
    41 |     watch: { for: 5m, container_insights: { restarts: 0, disk: 3 }, alarms: ["web-5xx ${commit.short}"] }
       |                                                       ^
    hint: give a number from 1 to 100

    pushway.yml:41:58: unknown key `disk` in `container_insights`
    41 |     watch: { for: 5m, container_insights: { restarts: 0, disk: 3 }, alarms: ["web-5xx ${commit.short}"] }
       |                                                          ^
    hint: `container_insights` takes restarts, cpu, memory
    "#);
}

fn strategy_of(text: &str) -> (Strategy, u32) {
    let source = changed("strategy: rolling\n        timeout: 10m", text);
    let file = parse("pushway.yml", &source).unwrap_or_else(|problems| panic!("{problems}"));
    let Target::Ecs(target) = &file.plan.environments[0].target else { panic!("a service") };
    (target.strategy, target.timeout_seconds)
}

#[test]
fn gates_of_an_environment_are_read() {
    let gates = "    approval: { required: 2, timeout: 8h }\n    irreversible: true\n    windows:\n      \
        - { days: \"Mon-Wed,fri\", from: \"09:00\", to: \"24:00\", timezone: Europe/Berlin }\n      \
        - { days: sat-mon, from: \"00:00\", to: \"06:30\" }";
    let file = parse("pushway.yml", &changed("    on_failure: hold", gates)).unwrap();
    let environment = &file.plan.environments[0];
    assert_eq!(environment.approval, Some(ApprovalRule { required: 2, timeout_seconds: 8 * 3600 }));
    assert!(environment.irreversible);
    let windows = [
        Window { days: vec![1, 2, 3, 5], from: 540, to: 1440, timezone: "Europe/Berlin".into() },
        Window { days: vec![1, 6, 7], from: 0, to: 390, timezone: "UTC".into() },
    ];
    assert_eq!(environment.windows, windows);
    let other = &file.plan.environments[1];
    assert!(other.approval.is_none() && other.windows.is_empty() && !other.irreversible);
}

#[test]
fn gates_that_can_not_be_meant_are_refused() {
    let gates = "    approval: { required: 0, timeout: 30d }\n    irreversible: 1\n    windows:\n      \
        - { days: weekdays, from: \"9:00\", to: \"25:00\", timezone: Europe/Bonn }\n      \
        - { days: mon, from: \"22:00\", to: \"06:00\" }";
    insta::assert_snapshot!(problems(&changed("    on_failure: hold", gates)), @r#"
    pushway.yml:42:27: `required` is 0
    42 |     approval: { required: 0, timeout: 30d }
       |                           ^
    hint: give a number from 1 to 10

    pushway.yml:42:39: `timeout` is not a duration: `30d`
    42 |     approval: { required: 0, timeout: 30d }
       |                                       ^
    hint: write whole numbers with their units: 90s, 20m, 2h or 1h30m

    pushway.yml:43:19: `irreversible` must be true or false, but here is a number
    43 |     irreversible: 1
       |                   ^
    hint: write true or false here

    pushway.yml:45:17: `weekdays` is not a list of days
    45 |       - { days: weekdays, from: "9:00", to: "25:00", timezone: Europe/Bonn }
       |                 ^
    hint: write days of the week and ranges of them: `mon-fri`, or `mon,wed,sat-sun`

    pushway.yml:45:33: `9:00` of `from` is not a time of the day
    45 |       - { days: weekdays, from: "9:00", to: "25:00", timezone: Europe/Bonn }
       |                                 ^
    hint: write hours and minutes, from 00:00 to 24:00

    pushway.yml:45:45: `25:00` of `to` is not a time of the day
    45 |       - { days: weekdays, from: "9:00", to: "25:00", timezone: Europe/Bonn }
       |                                             ^
    hint: write hours and minutes, from 00:00 to 24:00

    pushway.yml:45:64: there is no time zone `Europe/Bonn`
    45 |       - { days: weekdays, from: "9:00", to: "25:00", timezone: Europe/Bonn }
       |                                                                ^
    hint: give its IANA name, such as Europe/Berlin or UTC

    pushway.yml:46:9: the window ends at `06:00`, not after it begins at `22:00`
    46 |       - { days: mon, from: "22:00", to: "06:00" }
       |         ^
    hint: write two windows for one that goes on over midnight: until 24:00, and from 00:00
    "#);
}

#[test]
fn a_strategy_is_a_word_or_a_map_and_its_waits_come_on_top_of_the_default_timeout() {
    let minutes = |minutes: u32| minutes * 60;
    let canary = Strategy::Canary { percent: 10, hold_minutes: 5, bake_minutes: 5 };
    assert_eq!(strategy_of("strategy: canary"), (canary, minutes(15 + 10)));
    let canary = Strategy::Canary { percent: 25, hold_minutes: 30, bake_minutes: 0 };
    let text = "strategy: { canary: { percent: 25, hold: 30m, bake: 0m } }\n        timeout: 31m";
    assert_eq!(strategy_of(text), (canary, minutes(31)));
    let linear = Strategy::Linear { step: 20, every_minutes: 2, bake_minutes: 5 };
    assert_eq!(strategy_of("strategy: linear"), (linear, minutes(15 + 13)));
    assert_eq!(strategy_of("strategy: { linear: {} }"), (linear, minutes(15 + 13)));
    let blue_green = Strategy::BlueGreen { bake_minutes: 10 };
    assert_eq!(strategy_of("strategy: { blue_green: { bake: 10m } }"), (blue_green, minutes(15 + 10)));
    assert_eq!(strategy_of("strategy: rolling"), (Strategy::Rolling, minutes(15)));
    assert_eq!(strategy_of("alarms: [web-5xx]"), (Strategy::AsConfigured, minutes(15)));
    let long = "strategy: { blue_green: { bake: 2h50m } }";
    assert_eq!(strategy_of(long), (Strategy::BlueGreen { bake_minutes: 170 }, minutes(180)));
}

#[test]
fn a_strategy_that_could_not_be_followed_is_refused() {
    let said = |text: &str| problems(&changed("strategy: rolling\n        timeout: 10m", text));
    insta::assert_snapshot!(said("strategy: canray"), @r"
    pushway.yml:25:19: `strategy` cannot be `canray`
    25 |         strategy: canray
       |                   ^
    hint: did you mean `canary`?
    ");
    insta::assert_snapshot!(said("strategy: { canary: { percent: 0, hold: 90s, weight: 3 } }"), @r"
    pushway.yml:25:40: `percent` is 0
    25 |         strategy: { canary: { percent: 0, hold: 90s, weight: 3 } }
       |                                        ^
    hint: give a number from 1 to 99

    pushway.yml:25:49: `hold` must be whole minutes
    25 |         strategy: { canary: { percent: 0, hold: 90s, weight: 3 } }
       |                                                 ^
    hint: ECS counts in minutes: write 2m, not 90s

    pushway.yml:25:54: unknown key `weight` in `canary`
    25 |         strategy: { canary: { percent: 0, hold: 90s, weight: 3 } }
       |                                                      ^
    hint: `canary` takes percent, hold, bake, test, during, pause
    ");
    insta::assert_snapshot!(said("strategy: { canary: {}, linear: {} }"), @r"
    pushway.yml:25:19: `strategy` takes one of blue_green, canary and linear, and has canary, linear
    25 |         strategy: { canary: {}, linear: {} }
       |                   ^
    hint: write a word, such as `strategy: rolling`, or a map such as `{ canary: { percent: 10, hold: 5m } }`
    ");
    insta::assert_snapshot!(said("strategy: {}"), @r"
    pushway.yml:25:19: `strategy` takes one of blue_green, canary and linear, and has none
    25 |         strategy: {}
       |                   ^
    hint: write a word, such as `strategy: rolling`, or a map such as `{ canary: { percent: 10, hold: 5m } }`
    ");
    insta::assert_snapshot!(said("strategy: { linear: { step: 3, every: 1h } }"), @r"
    pushway.yml:25:19: the strategy waits 1985m by itself, and the deploy may take 3h only
    25 |         strategy: { linear: { step: 3, every: 1h } }
       |                   ^
    hint: shorten its waits, or raise `timeout`, up to 3h
    ");
    insta::assert_snapshot!(said("strategy: { blue_green: { bake: 10m } }\n        timeout: 10m"), @r"
    pushway.yml:26:18: the strategy waits 10m by itself, and the deploy may take 10m only
    26 |         timeout: 10m
       |                  ^
    hint: shorten its waits, or raise `timeout`, up to 3h
    ");
    insta::assert_snapshot!(said("alarms: [\"a,b\"]"), @r#"
    pushway.yml:25:18: `a,b` is not the name of an alarm
    25 |         alarms: ["a,b"]
       |                  ^
    hint: name each CloudWatch alarm in an item of its own, without commas
    "#);
    insta::assert_snapshot!(said("alarms: [a, a]"), @r"
    pushway.yml:25:21: `a` is listed twice in `alarms`
    25 |         alarms: [a, a]
       |                     ^
    hint: keep one of the two
    ");
}

#[test]
fn targets_of_later_versions_say_so() {
    insta::assert_snapshot!(problems(&changed("      ecs: { cluster: demo, service: web, images", "      lambda: { function: web, images")), @r#"
    pushway.yml:45:7: `lambda` is not supported by this version of Pushway; remove it
    45 |       lambda: { function: web, images: { web: "${build.image.IMAGE}" } }
       |       ^
    hint: the targets are `ecs` and `ecs_scheduled_task`
    "#);
}

#[test]
fn a_trigger_that_lists_nothing_is_refused() {
    insta::assert_snapshot!(problems(&changed("tags: [\"v*\"] }", "paths: [\"web/**\"] }\n  schedule: []")), @r"
    pushway.yml:5:13: `schedule` is empty
    5 |   schedule: []
      |             ^
    hint: add an expression, or remove the key
    ");
}

#[test]
fn a_pattern_is_checked() {
    insta::assert_snapshot!(problems(&changed("branches: [main,", "branches: [\"[a\", refs/heads/main,")), @r#"
    pushway.yml:4:22: `[a` is not a valid pattern: unclosed character class; missing ']'
    4 |   push: { branches: ["[a", refs/heads/main, "release/**", "!release/old"], tags: ["v*"] }
      |                      ^
    hint: `*` matches within a part of the name, `**` across parts, `{a,b}` either

    pushway.yml:4:28: the pattern `refs/heads/main` begins with `refs/`, but patterns are compared with the short name
    4 |   push: { branches: ["[a", refs/heads/main, "release/**", "!release/old"], tags: ["v*"] }
      |                            ^
    hint: write main, not refs/heads/main
    "#);
}

#[test]
fn exclusions_alone_match_nothing() {
    insta::assert_snapshot!(problems(&changed("tags: [\"v*\"]", "tags: [\"!v*\"]")), @r#"
    pushway.yml:4:65: every pattern excludes, so nothing can match
    4 |   push: { branches: [main, "release/**", "!release/old"], tags: ["!v*"] }
      |                                                                 ^
    hint: put an including pattern first: ["**", "!wip/**"]
    "#);
}

#[test]
fn a_push_without_refs_is_refused() {
    insta::assert_snapshot!(problems(&changed("{ branches: [main, \"release/**\", \"!release/old\"], tags: [\"v*\"] }", "{}")), @r"
    pushway.yml:4:9: `push` names neither branches nor tags
    4 |   push: {}
      |         ^
    hint: say which pushes count: push: {branches: [main]}
    ");
}

#[test]
fn reserved_names_are_refused() {
    insta::assert_snapshot!(problems(&changed("REGION:", "AWS_REGION:")), @r#"
    pushway.yml:5:25: the variable name `AWS_REGION` is reserved
    5 | env: { LOG_LEVEL: info, AWS_REGION: "eu" }
      |                         ^
    hint: names that begin with AWS_, CODEBUILD_ or PUSHWAY_ are set by the build itself; choose another
    "#);
}

#[test]
fn a_secret_is_never_shown() {
    insta::assert_snapshot!(problems(&changed("ssm:/web/key", "hunter2-is-the-key")), @r#"
    pushway.yml:14:50: this is not a reference to a secret
    14 |     secrets: { TOKEN: "secretsmanager:npm", KEY: …
       |                                                  ^
    hint: write secretsmanager:<name>, secretsmanager:<name>:<json key> or ssm:<name>; if a real secret stood here, replace it with a new one now
    "#);
}

#[test]
fn a_variable_is_not_also_a_secret() {
    insta::assert_snapshot!(problems(&changed("TOKEN:", "LOG_LEVEL:")), @r#"
    pushway.yml:14:16: `LOG_LEVEL` is set both in `env` and in `secrets`
    14 |     secrets: { LOG_LEVEL: "secretsmanager:npm", KEY: "ssm:/web/key" }
       |                ^
    hint: keep one of the two; `env` of the pipeline counts for every job
    "#);
}

#[test]
fn a_check_has_an_address_of_the_web() {
    insta::assert_snapshot!(problems(&changed("https://staging.example.com/healthz", "file:///etc/passwd")), @r"
    pushway.yml:29:16: `url` has the scheme `file`
    29 |           url: file:///etc/passwd
       |                ^
    hint: only http and https can be checked
    ");
}

#[test]
fn a_check_holds_no_password() {
    insta::assert_snapshot!(problems(&changed("https://staging", "https://admin:hunter2@staging")), @r"
    pushway.yml:29:16: `url` holds a user name or password
    29 |           url: …
       |                ^
    hint: use an address that answers a health check without them
    ");
}

#[test]
fn a_check_ends_in_time() {
    insta::assert_snapshot!(problems(&changed("attempts: 20", "attempts: 400")), @r"
    pushway.yml:28:7: the checks can take 4800s together, and at most 12m are allowed
    28 |       - http:
       |       ^
    hint: lower `attempts`, `interval` or `timeout`: a check takes attempts × (interval + timeout)
    ");
}

#[test]
fn a_check_cannot_need_more_than_it_tries() {
    insta::assert_snapshot!(problems(&changed("need: 5", "need: 50")), @r"
    pushway.yml:33:17: `need` is 50, but there are only 20 attempts
    33 |           need: 50
       |                 ^
    hint: raise `attempts` or lower `need`
    ");
}

#[test]
fn a_status_is_one_of_http() {
    insta::assert_snapshot!(problems(&changed("status: 204", "status: 600")), @r"
    pushway.yml:30:19: `status` is 600
    30 |           status: 600
       |                   ^
    hint: give a number from 100 to 599
    ");
}

#[test]
fn what_a_check_wants_is_told_where_it_is_wrong() {
    let wrong = [
        ("header: { Content-Type: json }", "header: { \"a b\": json }"),
        ("/db/ready", "db.ready"),
        ("header: X-Version, ", ""),
        ("below: 500ms", "below: 61s"),
        ("follow: true", "follow: sometimes"),
    ];
    let text = wrong.iter().fold(GOOD.to_owned(), |text, (from, to)| text.replacen(from, to, 1));
    insta::assert_snapshot!(problems(&text), @r#"
    pushway.yml:36:21: `a b` is not the name of a header
    36 |           header: { "a b": json }
       |                     ^
    hint: use letters, digits and hyphens, such as x-version

    pushway.yml:37:19: `db.ready` is not a JSON pointer
    37 |           json: { db.ready: "true" }
       |                   ^
    hint: begin with a slash and name the way to the value: /status or /items/0/name

    pushway.yml:38:20: `version` names no place, or two
    38 |           version: { equals: "${commit.sha}" }
       |                    ^
    hint: say where an answer shows its version: {header: x-version, equals: …} or {json: /version, equals: …}

    pushway.yml:39:45: `below` is `61s`
    39 |           latency: { percentile: 90, below: 61s }
       |                                             ^
    hint: give between 1ms and 60000ms

    pushway.yml:40:19: `follow` must be true or false, but here is text
    40 |           follow: sometimes
       |                   ^
    hint: write true or false here
    "#);
}

#[test]
fn a_check_is_of_one_kind_and_a_figure_has_one_bound() {
    let checks = "- { http: { url: \"http://web.internal/\" }, ecs: {} }\n      - metrics: { queries: { A: x }, expression: x, above: \
                  0.5 }\n      - metrics: { expression: x }\n      - {}\n      - httq: {}";
    insta::assert_snapshot!(problems(&changed("- http: { url: \"http://web.internal/\" }", checks)), @r#"
    pushway.yml:47:9: a check is of one kind
    47 |       - { http: { url: "http://web.internal/" }, ecs: {} }
       |         ^
    hint: write one of http, ecs, alarms, metrics, job, and a list entry for each check

    pushway.yml:48:31: `A` is not a name for a query
    48 |       - metrics: { queries: { A: x }, expression: x, above: 0.5 }
       |                               ^
    hint: begin with a lower-case letter and use letters, digits and underscores; pushway… is taken

    pushway.yml:48:61: `above` is not a number to compare with
    48 |       - metrics: { queries: { A: x }, expression: x, above: 0.5 }
       |                                                             ^
    hint: write a whole number, or a fraction in quotes: "0.5"

    pushway.yml:49:18: a figure has one bound
    49 |       - metrics: { expression: x }
       |                  ^
    hint: write either `below: 1` or `above: 1`

    pushway.yml:50:9: a check is of one kind
    50 |       - {}
       |         ^
    hint: write one of http, ecs, alarms, metrics, job, and a list entry for each check

    pushway.yml:51:9: unknown key `httq` in a check
    51 |       - httq: {}
       |         ^
    hint: did you mean `http`?
    "#);
}

#[test]
fn a_pipeline_does_something() {
    insta::assert_snapshot!(problems("version: 1\npipeline: web\non: { push: { tags: ['*'] } }\n"), @r"
    pushway.yml:1:1: the pipeline does nothing
    hint: add a job under `build` or `test`, or an entry under `environments`
    ");
}

#[test]
fn the_version_is_one_that_is_known() {
    insta::assert_snapshot!(problems(&changed("version: 1", "version: 2")), @r"
    pushway.yml:1:10: version 2 of the file format is not known to this version of Pushway
    1 | version: 2
      |          ^
    hint: write `version: 1`
    ");
}
