//! The rules of the state machine, read from its file (rows F19, F21; the rules in statemachine/README.md).

use std::collections::{BTreeMap, BTreeSet};

use pushway_core::contract::{
    EnvironmentTask, FinishInput, JobInput, LockInput, RunInput, ValidateInput, errors,
};
use pushway_core::pipeline_file;
use pushway_tests::repository::{json, many, resources, state_machine, template, text, texts};
use serde_json::{Value, json as value};

/// What this state machine may take of the 25,000 events that Step Functions allows a history.
const MAX_EVENTS: u64 = 1_250;

/// A state with its name and the states beside it.
struct State<'m> {
    name: &'m str,
    body: &'m Value,
    beside: &'m Value,
    /// The `Map` that it is inside of.
    map: Option<&'m Value>,
}

fn states<'m>(machine: &'m Value, map: Option<&'m Value>) -> Vec<State<'m>> {
    let beside = &machine["States"];
    let mut all = Vec::new();
    for (name, body) in beside.as_object().expect("a machine has states") {
        all.push(State { name, body, beside, map });
        if body["Type"] == "Map" {
            all.extend(states(&body["ItemProcessor"], Some(body)));
        }
    }
    all
}

fn tasks(machine: &Value) -> Vec<State<'_>> {
    let mut tasks = states(machine, None);
    tasks.retain(|state| state.body["Type"] == "Task");
    assert!(tasks.len() > 5);
    tasks
}

fn is_callback(task: &State) -> bool {
    task.body["Resource"].as_str().is_some_and(|resource| resource.ends_with(".waitForTaskToken"))
}

/// The function that a task invokes: `StartBuild`.
fn function(task: &Value) -> &str {
    let name = task["Parameters"]["FunctionName"].as_str().expect("a task names its function");
    name.strip_prefix("${").and_then(|name| name.strip_suffix("FunctionArn}")).expect("by a substitution")
}

#[test]
fn state_names_are_unique() {
    let machine = state_machine();
    let mut names = BTreeSet::new();
    for state in states(&machine, None) {
        assert!(names.insert(state.name), "two states are named {}", state.name);
    }
}

#[test]
fn f19_no_task_waits_for_ever() {
    let machine = state_machine();
    for task in tasks(&machine) {
        let timeout = task.body["TimeoutSeconds"].as_u64();
        let timeout = timeout.unwrap_or_else(|| panic!("{} has no TimeoutSeconds", task.name));
        let heartbeat = task.body["HeartbeatSeconds"].as_u64();
        if is_callback(&task) {
            let heartbeat = heartbeat.unwrap_or_else(|| panic!("{} has no HeartbeatSeconds", task.name));
            // The sweep sends one each minute, and may be late or fail for a while.
            assert!((600..timeout).contains(&heartbeat), "heartbeat of {}", task.name);
        } else {
            assert_eq!(heartbeat, None, "{} waits for no token", task.name);
        }
    }
}

/// A pipeline file with these many jobs and environments, and timeouts.
fn pipeline(jobs: usize, environments: usize, job: &str, deploy: &str) -> String {
    let stage = |prefix: &str| -> String {
        let one = |n| format!("  {prefix}{n}: {{ buildspec: b.yml, timeout: {job} }}\n");
        (0..jobs).map(one).collect()
    };
    let environment = |n| {
        format!(
            "  - name: e{n}\n    deploy: {{ ecs: {{ cluster: c, service: s{n}, timeout: {deploy}, images: \
             {{ web: \"r@sha256:{}\" }} }} }}\n    validate: [ {{ http: {{ url: \"https://e.example/\" }} }} ]\n",
            "0".repeat(64)
        )
    };
    let environments: String = (0..environments).map(environment).collect();
    format!(
        "version: 1\npipeline: p\non: {{ push: {{ branches: [main] }} }}\nbuild:\n{}test:\n{}environments:\n{environments}",
        stage("b"),
        stage("t")
    )
}

fn accepts(file: &str) -> bool {
    pipeline_file::parse("pushway.yml", file).is_ok()
}

/// The largest count that a pipeline file may have, asked of the reader itself.
fn largest(file: impl Fn(usize) -> String) -> u64 {
    let count = (1..1_000).take_while(|count| accepts(&file(*count))).last();
    u64::try_from(count.expect("a file with one of each is fine")).expect("a count")
}

#[test]
fn a_state_waits_longer_than_the_longest_work() {
    let machine = state_machine();
    let timeout = |wanted: &str| {
        let task = tasks(&machine).into_iter().find(|task| task.name == wanted).expect("the state exists");
        task.body["TimeoutSeconds"].as_u64().unwrap()
    };
    let (job, deploy) = (8 * 3600, 3 * 3600);
    assert!(accepts(&pipeline(1, 1, "8h", "3h")) && !accepts(&pipeline(1, 1, "481m", "3h")));
    assert!(!accepts(&pipeline(1, 1, "8h", "181m")));
    // A build waits an hour for a machine at most (`QueuedTimeoutInMinutes`), and is told of late.
    assert!(timeout("RunBuildJob") > job + 3600 + 600 && timeout("RunTestJob") > job + 3600 + 600);
    assert!(timeout("Deploy") > deploy + 600 && timeout("Rollback") > deploy + 600);
    // Each build of a check that is a job is a try of its own.
    assert!(timeout("Validate") > job + 3600 + 600);
    assert!(timeout("Watch") > u64::from(*pipeline_file::limits::WATCH_SECONDS.end()) + 600);

    // A function's own timeout comes first: its error says more than the state's.
    let template = template();
    let functions: BTreeMap<_, _> = resources(&template, "AWS::Serverless::Function").into_iter().collect();
    for task in tasks(&machine) {
        let name = format!("{}Function", function(task.body));
        let own = functions[name.as_str()]["Timeout"].as_u64().unwrap();
        assert!(own < timeout(task.name), "{name} may run longer than {} waits", task.name);
    }
}

#[test]
fn every_retry_is_bounded_and_jittered_and_names_known_errors() {
    let machine = state_machine();
    let known = |error: &str| {
        errors::ALL.contains(&error)
            || ["States.", "Lambda.", "Sandbox.", "Runtime."].iter().any(|prefix| error.starts_with(prefix))
    };
    for task in tasks(&machine) {
        let retries = many(&task.body["Retry"]);
        let all: BTreeSet<&str> = retries.iter().flat_map(|retry| texts(&retry["ErrorEquals"])).collect();
        let again = all.contains(errors::RETRYABLE) && all.contains("Lambda.TooManyRequestsException");
        assert!(again || all.contains("States.ALL"), "{} does not try again", task.name);
        for error in &all {
            assert!(known(error), "{} knows no error {error}", task.name);
        }
        for never in [
            errors::PERMANENT,
            errors::JOB_FAILED,
            errors::DEPLOY_FAILED,
            errors::VALIDATION_FAILED,
            errors::WATCH_FAILED,
            errors::STOPPED,
        ] {
            assert!(!all.contains(never), "{} tries {never} again", task.name);
        }
        let is_job = function(task.body) == "StartBuild";
        assert_eq!(all.contains(errors::JOB_RETRY), is_job, "{} and {}", task.name, errors::JOB_RETRY);
        assert_eq!(all.contains(errors::CHECK_READY), task.name == "Validate", "{}", task.name);
        for retry in retries {
            assert!(retry["MaxAttempts"].as_u64().is_some_and(|n| (1..=20).contains(&n)), "{}", task.name);
            assert_eq!(retry["JitterStrategy"], "FULL", "{}", task.name);
            assert!(retry["IntervalSeconds"].as_u64().is_some_and(|n| n > 0), "{}", task.name);
            assert!(retry["MaxDelaySeconds"].as_u64().is_some(), "{}", task.name);
        }
    }
    for state in states(&machine, None) {
        for catch in many(&state.body["Catch"]) {
            assert!(texts(&catch["ErrorEquals"]).iter().all(|error| known(error)), "{}", state.name);
        }
    }
}

/// Whether `name` surely leads to a state of the function `finish`, inside of its own machine; a failure
/// inside of a `Map` goes on at the `Map`.
fn reaches_finish(machine: &Value, beside: &Value, name: &str, map: Option<&Value>) -> bool {
    let state = &beside[name];
    if state["Type"] == "Task" && function(state) == "Finish" {
        return true;
    }
    match state["Next"].as_str() {
        Some(next) => {
            reaches_finish(machine, beside, next, map) && failure_finishes(machine, beside, state, map)
        }
        None => {
            state["Type"] == "Fail"
                && map.is_some_and(|map| failure_finishes(machine, &machine["States"], map, None))
        }
    }
}

/// Whether a failure of `state` surely leads to the function `finish`.
fn failure_finishes(machine: &Value, beside: &Value, state: &Value, map: Option<&Value>) -> bool {
    let all = many(&state["Catch"]).into_iter().find(|catch| texts(&catch["ErrorEquals"]) == ["States.ALL"]);
    match (all, map) {
        (Some(catch), _) => {
            let next = catch["Next"].as_str().expect("a catch leads somewhere");
            reaches_finish(machine, beside, next, map)
        }
        (None, Some(map)) => failure_finishes(machine, &machine["States"], map, None),
        (None, None) => false,
    }
}

#[test]
fn every_failure_ends_in_finish() {
    let machine = state_machine();
    for state in states(&machine, None) {
        let kind = state.body["Type"].as_str().unwrap_or_default();
        let fails = kind == "Map" || (kind == "Task" && function(state.body) != "Finish");
        if fails {
            let finishes = failure_finishes(&machine, state.beside, state.body, state.map);
            assert!(finishes, "a failure of {} does not end in finish", state.name);
        }
        for catch in many(&state.body["Catch"]) {
            assert_eq!(catch["ResultPath"], "$.error", "{} would lose the run's id", state.name);
        }
    }
}

#[test]
fn substitutions_are_used_and_defined() {
    let definition = text("statemachine/pipeline.asl.json");
    let used: BTreeSet<&str> = definition
        .split("${")
        .skip(1)
        .filter_map(|rest| rest.split_once('}'))
        .map(|(name, _)| name)
        .collect();
    let template = template();
    let pipeline = &template["Resources"]["Pipeline"]["Properties"];
    assert_eq!(pipeline["DefinitionUri"], "statemachine/pipeline.asl.json");
    let substitutions = pipeline["DefinitionSubstitutions"].as_object().unwrap();
    assert_eq!(used, substitutions.keys().map(String::as_str).collect());

    // And these functions, no others, may be invoked.
    let role = &template["Resources"]["PipelineRole"]["Properties"]["Policies"][0]["PolicyDocument"];
    let statements = many(&role["Statement"]);
    let invoke = statements.iter().find(|statement| texts(&statement["Action"]) == ["lambda:InvokeFunction"]);
    let granted: BTreeSet<String> =
        many(&invoke.unwrap()["Resource"]).into_iter().map(Value::to_string).collect();
    let functions = substitutions.iter().filter(|(name, _)| *name != "Partition");
    assert_eq!(granted, functions.map(|(_, value)| value.to_string()).collect());
}

/// The payload of a task with samples put where paths stand.
fn payload(task: &State) -> Value {
    let sample = |path: &str| match path {
        "$.run_id" => json("events/plan.json")["run_id"].clone(),
        "$.job" => "image".into(),
        "$.environment" => "production".into(),
        "$.error" => value!({ "Error": "States.Timeout" }),
        "$$.Task.Token" => "token".into(),
        "$$.State.RetryCount" => 2.into(),
        other => panic!("{} uses {other}, which state does not carry", task.name),
    };
    let fields = task.body["Parameters"]["Payload"].as_object().expect("a task has a payload");
    let filled = fields.iter().map(|(name, value)| match name.strip_suffix(".$") {
        Some(name) => (name.to_owned(), sample(value.as_str().unwrap_or_default())),
        None => (name.clone(), value.clone()),
    });
    Value::Object(filled.collect())
}

#[test]
fn payloads_are_inputs_of_the_contract() {
    let machine = state_machine();
    for task in tasks(&machine) {
        let payload = payload(&task);
        let written = payload.clone();
        let read = match function(task.body) {
            "Plan" => serde_json::from_value::<RunInput>(payload).map(|input| value!(input)),
            "StartBuild" => serde_json::from_value::<JobInput>(payload).map(|input| value!(input)),
            "Lock" => serde_json::from_value::<LockInput>(payload).map(|input| value!(input)),
            "Deploy" | "Rollback" => {
                serde_json::from_value::<EnvironmentTask>(payload).map(|input| value!(input))
            }
            "Validate" => serde_json::from_value::<ValidateInput>(payload).map(|input| value!(input)),
            "Finish" => serde_json::from_value::<FinishInput>(payload).map(|input| value!(input)),
            other => panic!("{} invokes {other}, which the contract does not know", task.name),
        };
        let read = read.unwrap_or_else(|error| panic!("{}: {error}", task.name));
        for (name, value) in written.as_object().unwrap().iter().filter(|(name, _)| *name != "error") {
            assert_eq!(
                read[name],
                *value,
                "{} says {name}, which {} does not read",
                task.name,
                function(task.body)
            );
        }
        assert_eq!(written.get("task_token").is_some(), is_callback(&task), "token of {}", task.name);
    }
}

/// Events that a green pass writes from `start` on (Step Functions API Reference, `HistoryEvent`): a state is
/// entered and left, a task is scheduled, started, submitted where it waits for a token, and succeeds; a
/// `Map` starts and succeeds, and so does each of its iterations.
fn events(machine: &Value, counts: &BTreeMap<&str, u64>) -> u64 {
    let (mut name, mut sum) = (machine["StartAt"].as_str(), 0);
    while let Some(here) = name {
        let state = &machine["States"][here];
        sum += match state["Type"].as_str() {
            Some("Task") if state["Resource"].as_str().is_some_and(|r| r.ends_with("Token")) => 6,
            Some("Task") => 5,
            Some("Map") => {
                let items = counts[state["ItemsPath"].as_str().expect("a map has items")];
                4 + items * (2 + events(&state["ItemProcessor"], counts))
            }
            _ => 2,
        };
        name = state["Next"].as_str().or_else(|| state["Choices"][0]["Next"].as_str());
    }
    sum
}

#[test]
fn f21_the_longest_plan_leaves_room_in_the_history() {
    let jobs = largest(|count| pipeline(count, 1, "10m", "10m"));
    let environments = largest(|count| pipeline(1, count, "10m", "10m"));
    assert!(jobs >= 10 && environments >= 5, "{jobs} jobs, {environments} environments");
    let counts = BTreeMap::from([("$.build", jobs), ("$.test", jobs), ("$.environments", environments)]);
    // The execution starts and succeeds.
    let green = 2 + events(&state_machine(), &counts);
    assert!(
        green <= MAX_EVENTS,
        "{jobs} jobs in each stage and {environments} environments take {green} events, and {MAX_EVENTS} are the \
         budget; allow fewer in shared/core/src/pipeline_file"
    );
    // Each attempt of a job that is tried again writes four more; a job is tried again ten times at most
    // (five times for its build, five times for the function).
    let all_tried_again = green + 2 * jobs * 10 * 4;
    assert!(all_tried_again < 25_000 / 2, "{all_tried_again}");
}
