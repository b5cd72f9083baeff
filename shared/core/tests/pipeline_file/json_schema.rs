//! The published JSON Schema says what the parser says, as far as a schema can.

use std::sync::LazyLock;

use jsonschema::Validator;
use proptest::prelude::*;
use proptest::sample::select;
use pushway_core::pipeline_file::{JSON_SCHEMA, limits, parse};
use serde_json::{Map, Value, json};

use super::{GOOD, changed};

fn schema() -> Value {
    serde_json::from_str(JSON_SCHEMA).unwrap()
}

static VALIDATOR: LazyLock<Validator> = LazyLock::new(|| jsonschema::draft202012::new(&schema()).unwrap());

/// The file as JSON, which is YAML too.
fn is_accepted(file: &Value) -> bool {
    parse("pushway.yml", &file.to_string()).is_ok()
}

/// Some of the keys of a map.
fn some_of(entries: Vec<(&'static str, BoxedStrategy<Value>)>) -> BoxedStrategy<Map<String, Value>> {
    let optional: Vec<_> = entries
        .into_iter()
        .map(|(key, value)| prop::option::of(value.prop_map(move |v| (key.to_owned(), v))))
        .collect();
    optional.prop_map(|entries| entries.into_iter().flatten().collect()).boxed()
}

fn one_of(values: Value) -> BoxedStrategy<Value> {
    let Value::Array(values) = values else { unreachable!("called with lists") };
    select(values).boxed()
}

fn job() -> BoxedStrategy<Value> {
    some_of(vec![
        ("image", one_of(json!(["rust:1", "rust:${ref.name}", "aws/codebuild/standard:7.0"]))),
        ("compute", one_of(json!(["small", "xlarge"]))),
        ("arch", one_of(json!(["arm64", "x86_64"]))),
        ("timeout", one_of(json!(["5m", "1h 30m", "20 minutes"]))),
        ("retries", one_of(json!([0, 5]))),
        ("needs", one_of(json!([[], ["lint"], ["lint", "other"]]))),
        ("matrix", one_of(json!([{"v": ["1", "2"]}, {"a": ["x"], "b_1": ["y", "z"]}]))),
        ("env", one_of(json!([{}, {"A": ""}, {"A": "${commit.sha}", "_b2": "$${B}"}]))),
        (
            "secrets",
            one_of(json!([{}, {"T": "ssm:/a/b"}, {"T": "secretsmanager:a@b:key", "U": "secretsmanager:a"}])),
        ),
        ("outputs", one_of(json!([[], ["IMAGE"], ["IMAGE", "OTHER_1"]]))),
        ("reports", one_of(json!([[], ["junit/*.xml"]]))),
    ])
    .prop_map(|mut job| {
        job.insert("buildspec".into(), json!("ci/b.yml"));
        Value::Object(job)
    })
    .boxed()
}

fn environment() -> BoxedStrategy<Value> {
    let image = format!("web@sha256:{}", "a".repeat(64));
    let http = some_of(vec![
        ("status", one_of(json!([100, 204, 599]))),
        ("body_contains", one_of(json!(["ok", "${commit.short}"]))),
        ("attempts", one_of(json!([3, 10, 20]))),
        ("need", one_of(json!([1, 3]))),
        ("interval", one_of(json!(["1s", "10s"]))),
        ("timeout", one_of(json!(["1s", "5s"]))),
        ("header", one_of(json!([{}, {"X-A": "b", "c_d": "${commit.sha}"}]))),
        ("json", one_of(json!([{}, {"/a~1b/0": "true", "/": ""}]))),
        ("latency", one_of(json!([{"below": "500ms"}, {"percentile": 50, "below": "1s"}]))),
        (
            "version",
            one_of(
                json!([{"header": "x-version", "equals": "1"}, {"json": "/v", "equals": "${commit.sha}"}]),
            ),
        ),
        ("follow", one_of(json!([true, false]))),
    ]);
    let http = (http, one_of(json!(["https://example.com/${ref.name}", "http://localhost:80"])));
    let http = http.prop_map(|(mut http, url)| {
        http.insert("url".into(), url);
        json!({ "http": http })
    });
    let others = one_of(json!([
        {"ecs": {"healthy": 2, "attempts": 3}}, {"alarms": {"names": ["a"], "interval": "1s"}},
        {"metrics": {"expression": "x", "above": "-1.5e3", "need": 1}},
        {"metrics": {"queries": {"a": "1", "b": {"namespace": "N", "name": "m", "dimensions": {"D": "${ref.name}"}}},
            "expression": "a / b", "baseline": "b", "below": 1, "attempts": 2}},
        {"job": {"name": "smoke", "buildspec": "b.yml", "retries": 1, "reports": ["j/*.xml"], "env": {"A": "${run.id}"}}},
        {"ecs": {}, "alarms": {"names": ["a"]}}, {}, {"metrics": {"expression": "x", "below": 1, "above": 0}},
    ]));
    let check = prop_oneof![3 => http, 1 => others];
    let strategies = json!([
        "rolling",
        "canary",
        {"blue_green": {"bake": "1m"}},
        {"canary": {"percent": 1, "hold": "1m", "bake": "0m"}},
        {"linear": {"step": 50, "every": "2m"}},
        {"blue_green": {"test": [{"http": {"url": "https://a.example", "attempts": 2}}], "pause": "2m"}},
        {"linear": {"during": [{"alarms": {"names": ["a"]}}, {"metrics": {"expression": "x", "below": 1}}]}},
        {"canary": {"test": [{"ecs": {}}]}},
    ]);
    let ecs = some_of(vec![
        ("strategy", one_of(strategies)),
        ("alarms", one_of(json!([["web-5xx", "web slow"]]))),
        ("timeout", one_of(json!(["1m", "3h"]))),
        ("task_definition", one_of(json!(["ecs/web.json", "web.json"]))),
    ]);
    let watch = some_of(vec![
        ("alarms", one_of(json!([["a"], ["a", "b ${ref.name}"]]))),
        ("metrics", one_of(json!([[], [{"expression": "x", "below": "0.5"}]]))),
        ("cpu", one_of(json!([1, 100]))),
        ("target_5xx", one_of(json!([5]))),
        ("container_insights", one_of(json!([{"restarts": 1}, {"cpu": 100, "memory": 1}]))),
    ]);
    let watch = (watch, one_of(json!(["1m", "3h"]))).prop_map(|(mut watch, time)| {
        watch.insert("for".into(), time);
        watch
    });
    let checks = prop::option::of(prop::collection::vec(check, 0..3));
    (ecs, checks, prop::option::of(watch), one_of(json!(["rollback", "hold"])), any::<bool>())
        .prop_map(move |(mut ecs, checks, watch, on_failure, place)| {
            ecs.insert("cluster".into(), json!("c"));
            ecs.insert("service".into(), json!("web-${pull_request.number}"));
            ecs.insert("images".into(), json!({ "web": image, "side": "${image.uri}" }));
            let mut environment =
                json!({ "name": "staging", "deploy": { "ecs": ecs }, "on_failure": on_failure });
            if place && on_failure == "hold" {
                environment["deploy"] = json!({ "ecs_scheduled_task": {
                    "rule": "jobs/night-${commit.short}", "target": "a.b_c", "images": { "web": "${image.uri}" }
                } });
            }
            if place {
                environment["before"] = json!([{ "ecs_task": {
                    "container": "web", "command": ["./migrate"], "task_definition": "a.json", "timeout": "5m"
                } }]);
                environment["aws"] = json!({
                    "role": "arn:aws:iam::111122223333:role/a/b", "external_id": "x:y", "region": "eu-west-1"
                });
            }
            if let Some(checks) = checks {
                environment["validate"] = json!(checks);
            }
            if let Some(watch) = watch {
                environment["watch"] = json!(watch);
            }
            environment
        })
        .boxed()
}

fn with_branches(mut push: Map<String, Value>) -> Value {
    push.insert("branches".into(), json!(["**", "!wip/**", "release/{1,2}", "[a-c]?"]));
    Value::Object(push)
}

/// Files of which most are good.
fn file() -> BoxedStrategy<Value> {
    let patterns = || one_of(json!([["main"], ["**", "!wip/**"], ["release/{1,2}", "[a-c]?"]]));
    let push =
        some_of(vec![("tags", one_of(json!([["v*"]]))), ("paths", patterns()), ("paths_ignore", patterns())]);
    let pull_request =
        some_of(vec![("branches", patterns()), ("paths", patterns()), ("paths_ignore", patterns())]);
    let schedules = json!([["rate(1 hour)"], ["cron(0 6 ? * 2#1 *)", {"expression": "rate(1 day)", "timezone": "Asia/Tokyo"}]]);
    let images = json!([{"repository": "base/rust"}, [{"repository": "ab", "tags": ["v*"]}, {"repository": "base/go"}]]);
    let on = some_of(vec![
        ("push", push.prop_map(with_branches).boxed()),
        ("pull_request", pull_request.prop_map(Value::Object).boxed()),
        ("schedule", one_of(schedules)),
        ("image", one_of(images)),
    ]);
    let jobs = || {
        (job(), job())
            .prop_map(|(lint, other)| json!({ "lint": lint, "other": other }))
            .prop_map(|mut jobs| {
                jobs["lint"]["needs"] = json!([]);
                jobs
            })
            .boxed()
    };
    let rest = some_of(vec![
        ("concurrency", one_of(json!(["parallel", "queued", "superseded"]))),
        ("variables", one_of(json!([{}, {"REGION": "eu-west-1"}]))),
        ("env", one_of(json!([{}, {"LOG": "info ${run.id}"}]))),
        ("build", jobs()),
        ("test", jobs()),
        ("environments", environment().prop_map(|environment| json!([environment])).boxed()),
    ]);
    (on, rest)
        .prop_map(|(on, mut file)| {
            file.insert("version".into(), json!(1));
            file.insert("pipeline".into(), json!("web"));
            file.insert("on".into(), Value::Object(on));
            Value::Object(file)
        })
        .boxed()
}

/// Writes a key that nobody knows into the map at `place`, counting only those with keys of the format.
fn add_unknown_key(value: &mut Value, key: &str, place: &mut usize) -> bool {
    match value {
        Value::Object(map) => {
            let names_jobs = ["build", "test"].contains(&key);
            let is_open = names_jobs
                || ["env", "secrets", "variables", "matrix", "images"].contains(&key)
                || ["header", "json", "queries", "dimensions"].contains(&key);
            if !is_open && *place == 0 {
                map.insert("colour".into(), json!("red"));
                return true;
            }
            *place -= usize::from(!is_open);
            let below = |key: &str| if names_jobs { "job".to_owned() } else { key.to_owned() };
            map.iter_mut().any(|(key, value)| add_unknown_key(value, &below(key), place))
        }
        Value::Array(list) => list.iter_mut().any(|item| add_unknown_key(item, key, place)),
        _ => false,
    }
}

#[test]
fn every_sample_passes_the_schema() {
    let from_a_file = changed(
        "images: { web: \"${build.image.IMAGE}\" }\n",
        "images: \"${build.image.imagedefinitions.json}\"\n",
    );
    for text in [GOOD, &from_a_file, include_str!("../../../../examples/hello-ecs/pushway.yml")] {
        parse("pushway.yml", text).unwrap();
        let value: Value = serde_saphyr::from_str(text).unwrap();
        VALIDATOR.validate(&value).unwrap();
    }
}

#[test]
fn the_schema_has_the_limits_of_the_parser() {
    let schema = schema();
    let max = |pointer: &str| {
        schema.pointer(pointer).and_then(Value::as_u64).map(|max| usize::try_from(max).unwrap())
    };
    for (pointer, limit) in [
        ("/properties/variables/maxProperties", limits::MAX_VARIABLES),
        ("/properties/environments/maxItems", limits::MAX_ENVIRONMENTS),
        ("/$defs/on/properties/schedule/maxItems", limits::MAX_SCHEDULES),
        ("/$defs/on/properties/image/anyOf/1/maxItems", limits::MAX_IMAGE_TRIGGERS),
        ("/$defs/patterns/maxItems", limits::MAX_PATTERNS),
        ("/$defs/patterns/items/maxLength", limits::MAX_PATTERN_BYTES),
        ("/$defs/env/maxProperties", limits::MAX_VARIABLES),
        ("/$defs/env/additionalProperties/maxLength", limits::MAX_VALUE_BYTES),
        ("/$defs/jobs/maxProperties", limits::MAX_JOBS),
        ("/$defs/job/properties/needs/maxItems", limits::MAX_JOBS),
        ("/$defs/job/properties/matrix/maxProperties", limits::MAX_MATRIX_KEYS),
        ("/$defs/job/properties/matrix/additionalProperties/maxItems", limits::MAX_JOBS),
        ("/$defs/job/properties/outputs/maxItems", limits::MAX_OUTPUTS),
        ("/$defs/job/properties/reports/maxItems", limits::MAX_REPORTS),
        ("/$defs/job/properties/retries/maximum", limits::MAX_RETRIES.into()),
        ("/$defs/environment/properties/validate/maxItems", limits::MAX_CHECKS),
        ("/$defs/images/anyOf/0/maxProperties", limits::MAX_IMAGES),
        ("/$defs/environment/properties/before/maxItems", limits::MAX_BEFORE),
        ("/$defs/ecs_task/properties/command/maxItems", limits::MAX_ARGUMENTS),
        ("/$defs/ecs_task/properties/command/items/maxLength", limits::MAX_ARGUMENT_BYTES),
        ("/$defs/ecs/properties/alarms/maxItems", limits::MAX_ALARMS),
        ("/$defs/ecs/properties/alarms/items/maxLength", limits::MAX_ALARM_BYTES),
        ("/$defs/blue_green/properties/test/maxItems", limits::MAX_CHECKPOINT_CHECKS),
        ("/$defs/canary/properties/during/maxItems", limits::MAX_CHECKPOINT_CHECKS),
        ("/$defs/linear/properties/during/maxItems", limits::MAX_CHECKPOINT_CHECKS),
        ("/$defs/canary/properties/percent/maximum", (*limits::CANARY_PERCENT.end()).into()),
        ("/$defs/canary/properties/percent/default", limits::DEFAULT_CANARY_PERCENT.into()),
        ("/$defs/linear/properties/step/minimum", (*limits::STEP_PERCENT.start()).into()),
        ("/$defs/linear/properties/step/default", limits::DEFAULT_STEP_PERCENT.into()),
        ("/$defs/http/properties/url/maxLength", limits::MAX_URL_BYTES),
        ("/$defs/http/properties/body_contains/maxLength", limits::MAX_BODY_BYTES),
        ("/$defs/http/properties/attempts/maximum", limits::MAX_ATTEMPTS.into()),
        ("/$defs/http/properties/attempts/default", limits::DEFAULT_ATTEMPTS.into()),
        ("/$defs/http/properties/need/default", limits::DEFAULT_NEED.into()),
        ("/$defs/http/properties/status/default", limits::DEFAULT_STATUS.into()),
        ("/$defs/queries/maxProperties", limits::MAX_QUERIES),
        ("/$defs/query/properties/dimensions/maxProperties", limits::MAX_DIMENSIONS),
        ("/$defs/query/properties/name/maxLength", limits::MAX_METRIC_NAME_BYTES),
        ("/$defs/watch/properties/metrics/maxItems", limits::MAX_MEASURES),
        ("/$defs/ecs_check/properties/healthy/maximum", limits::MAX_HEALTHY.into()),
        ("/$defs/alarms/maxItems", limits::MAX_ALARMS),
        ("/$defs/alarms/items/maxLength", limits::MAX_ALARM_BYTES),
        ("/$defs/expectations/maxProperties", limits::MAX_EXPECTATIONS),
        ("/$defs/expectations/additionalProperties/maxLength", limits::MAX_BODY_BYTES),
        ("/$defs/latency/properties/percentile/default", limits::DEFAULT_PERCENTILE.into()),
    ] {
        assert_eq!(max(pointer), Some(limit), "{pointer}");
    }
}

proptest! {
    #[test]
    fn what_the_parser_accepts_passes_the_schema(file in file()) {
        if is_accepted(&file) {
            let said = VALIDATOR.validate(&file).map_err(|error| error.to_string());
            prop_assert_eq!(said, Ok(()), "{}", file);
        }
    }

    #[test]
    fn an_unknown_key_fails_both(mut file in file(), place in 0..12_usize) {
        if add_unknown_key(&mut file, "", &mut { place }) {
            prop_assert!(!is_accepted(&file));
            prop_assert!(!VALIDATOR.is_valid(&file), "{}", file);
        }
    }
}

#[test]
fn most_generated_files_are_good_enough_to_tell() {
    use proptest::strategy::ValueTree as _;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let accepted = (0..500).filter(|_| is_accepted(&file().new_tree(&mut runner).unwrap().current())).count();
    assert!(accepted > 250, "{accepted} of 500");
}
