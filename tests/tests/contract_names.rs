//! One name in five places, and every sample event is one that its function takes.

use std::collections::BTreeSet;

use aws_lambda_events::event::apigw::{ApiGatewayV2httpRequest, ApiGatewayV2httpRequestContext};
use pushway_core::checkpoint::STAGE;
use pushway_core::contract::{
    EnvironmentTask, FinishInput, JobInput, LockInput, RunInput, ValidateEvent, ValidateInput,
};
use pushway_core::delivery::{Delivery, codecommit, ecr, github};
use pushway_core::signature::{Secret, verify_github};
use pushway_tests::repository::{entries, json, many, pascal, resources, root, template, text};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// What the sample delivery is signed with.
const SAMPLE_SECRET: &str = "sample-secret";

#[test]
fn a_function_has_one_name_in_five_places() {
    let folders = entries("functions");
    assert!(!folders.is_empty());
    // Folders in events/ hold what other parties send, by their names.
    let is_sample = |name: &String| root().join(format!("events/{name}.json")).is_file();
    let samples: BTreeSet<String> = entries("events").into_iter().filter(is_sample).collect();
    assert_eq!(folders, samples, "folders of functions/ and samples of events/");

    let template = template();
    let functions = resources(&template, "AWS::Serverless::Function");
    let logical: BTreeSet<String> = functions.iter().map(|(id, _)| (*id).to_owned()).collect();
    let wanted: BTreeSet<String> = folders.iter().map(|name| pascal(name) + "Function").collect();
    assert_eq!(logical, wanted, "logical ids in template.yaml");

    for name in &folders {
        let manifest = text(format!("functions/{name}/Cargo.toml"));
        assert!(manifest.contains(&format!("[package]\nname = \"{name}\"\n")), "crate of functions/{name}");
        assert!(manifest.contains(&format!("[[bin]]\nname = \"{name}\"\n")), "binary of functions/{name}");
        let id = pascal(name);
        let (_, function) =
            functions.iter().find(|(logical, _)| *logical == format!("{id}Function")).unwrap();
        assert_eq!(function["CodeUri"], format!("target/lambda/{name}/"), "{id}Function");
        assert_eq!(function["Role"]["Fn::GetAtt"], format!("{id}Role.Arn"), "{id}Function");
        let group = &template["Resources"][format!("{id}LogGroup")]["Properties"]["LogGroupName"]["Fn::Sub"];
        assert_eq!(*group, format!("/pushway/${{AWS::StackName}}/functions/{name}"), "{id}LogGroup");
    }
}

#[test]
fn a_substitution_of_the_state_machine_is_named_after_its_function() {
    let template = template();
    let machine = &template["Resources"]["Pipeline"]["Properties"]["DefinitionSubstitutions"];
    for (name, value) in machine.as_object().unwrap().iter().filter(|(name, _)| *name != "Partition") {
        let function = name.strip_suffix("Arn").unwrap_or_else(|| panic!("{name} does not end with Arn"));
        assert_eq!(value["Fn::GetAtt"], format!("{function}.Arn"), "substitution {name}");
    }
}

/// The sample as its function's type, which must say all that the sample says.
fn sample<T: DeserializeOwned + Serialize>(name: &str) -> T {
    let path = format!("events/{name}.json");
    let event = json(&path);
    let read: T = serde_json::from_value(event.clone()).unwrap_or_else(|error| panic!("{path}: {error}"));
    let written = serde_json::to_value(&read).expect("an input is JSON");
    assert_eq!(written, event, "{path} holds what its function does not read");
    read
}

#[test]
fn samples_of_states_are_inputs_of_the_contract() {
    let run = sample::<RunInput>("plan").run_id;
    let runs = [
        sample::<JobInput>("start-build").run_id,
        sample::<EnvironmentTask>("deploy").run_id,
        match sample::<ValidateInput>("validate") {
            ValidateInput::Validate(task) => task.run_id,
            ValidateInput::Watch(_) => panic!("events/validate.json is of the state Validate"),
        },
        sample::<EnvironmentTask>("rollback").run_id,
        sample::<FinishInput>("finish").run_id,
        match sample::<LockInput>("lock") {
            LockInput::Acquire(task) => task.run_id,
            LockInput::Release(_) | LockInput::Turn(_) => panic!("events/lock.json is the one with a token"),
        },
    ];
    assert!(runs.iter().all(|other| *other == run), "the samples tell of one run");
}

#[test]
fn the_sample_of_ecs_hook_is_read_as_one_and_not_as_a_state() {
    let event = json("events/ecs/lifecycle-hook.json");
    match serde_json::from_value(event.clone()).unwrap() {
        ValidateEvent::Hook(hook) => {
            let (run, environment) = hook.about().unwrap();
            assert_eq!(run, sample::<RunInput>("plan").run_id);
            assert_eq!((environment.as_str(), hook.lifecycle_stage.as_str()), ("production", STAGE));
            assert_eq!(hook.resource_arn, event["resourceArn"].as_str().unwrap());
        }
        ValidateEvent::State(state) => panic!("{state:?}"),
    }
    let state = serde_json::from_value(json("events/validate.json")).unwrap();
    assert!(matches!(state, ValidateEvent::State(ValidateInput::Validate(_))));
}

fn request(name: &str) -> (ApiGatewayV2httpRequest, Value) {
    let event = json(&format!("events/{name}.json"));
    (serde_json::from_value(event.clone()).expect("an HTTP API's event"), event)
}

#[test]
fn the_sample_delivery_is_signed_and_read() {
    let (request, event) = request("webhook");
    assert_eq!(request.path_parameters.get("provider").map(String::as_str), Some("github"));
    let body = request.body.unwrap();
    let header = |name: &str| request.headers.get(name).unwrap().to_str().unwrap().to_owned();
    let secret = Secret::new(SAMPLE_SECRET).unwrap();
    let signature = header(github::headers::SIGNATURE);
    verify_github(&secret, &signature, body.as_bytes()).expect("events/webhook.json is signed");
    assert_eq!(event["headers"]["content-length"], body.len().to_string());
    let (kind, delivery) = (header(github::headers::EVENT), header(github::headers::DELIVERY));
    match github::parse(&kind, &delivery, body.as_bytes()) {
        Ok(Delivery::Pushes(pushes)) => assert_eq!(pushes[0].git_ref.as_str(), "refs/heads/main"),
        other => panic!("events/webhook.json: {other:?}"),
    }
}

#[test]
fn the_samples_of_the_http_api_ask_for_its_routes() {
    let template = template();
    for (name, route) in [("webhook", "WebhookRoute"), ("api", "SignedApiRoute")] {
        let (request, _) = request(name);
        let key = &template["Resources"][route]["Properties"]["RouteKey"];
        assert_eq!(request.route_key.as_deref(), key.as_str(), "events/{name}.json");
        let ApiGatewayV2httpRequestContext { route_key, .. } = request.request_context;
        assert_eq!(route_key.as_deref(), key.as_str(), "events/{name}.json");
    }
}

#[test]
fn the_samples_of_codecommit_and_ecr_are_read() {
    let claim = codecommit::parse(json("events/push.json")).unwrap();
    assert_eq!(claim.git_ref.as_str(), "refs/heads/main");
    let tag = codecommit::parse(json("events/codecommit/tag.json")).unwrap();
    assert_eq!((tag.git_ref.as_str(), tag.before), ("refs/tags/v1.2.0", None));
    assert_eq!(codecommit::parse(json("events/codecommit/branch_deleted.json")).unwrap().commit, None);
    let image = ecr::parse(json("events/ecr/push.json")).unwrap();
    let digest = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
    assert_eq!(
        (image.image().unwrap().to_string(), image.tag.as_deref()),
        (format!("111122223333.dkr.ecr.eu-central-1.amazonaws.com/base/rust@{digest}"), Some("1.95"))
    );
    assert!(ecr::parse(json("events/ecr/delete.json")).unwrap_err().to_string().contains("DELETE"));
}

/// Whether an event pattern matches, as far as this template's patterns go: lists of exact values.
fn matches(pattern: &Value, event: &Value, project: &str) -> bool {
    let Value::Object(fields) = pattern else { return false };
    fields.iter().all(|(name, wanted)| match wanted {
        Value::Object(_) => matches(wanted, &event[name], project),
        wanted => many(wanted).into_iter().any(|value| match value {
            Value::Object(reference) => {
                let is_trusted = reference["Ref"] == "BuildProject";
                assert!(is_trusted || reference["Ref"] == "UntrustedProject");
                is_trusted && event[name] == project
            }
            value => *value == event[name],
        }),
    })
}

#[test]
fn samples_of_events_match_the_rule_of_their_function() {
    let template = template();
    for name in ["push", "build-completed", "deploy-progress"] {
        let event = json(&format!("events/{name}.json"));
        let function = &template["Resources"][pascal(name) + "Function"]["Properties"];
        let rules: Vec<&Value> = function["Events"].as_object().unwrap().values().collect();
        let matched = rules.iter().filter(|rule| matches(&rule["Properties"]["Pattern"], &event, "pushway"));
        assert_eq!(matched.count(), 1, "rules that match events/{name}.json");
        let mut foreign = event.clone();
        foreign["source"] = "aws.signer".into();
        assert!(!rules.iter().any(|rule| matches(&rule["Properties"]["Pattern"], &foreign, "pushway")));
    }
    assert_eq!(json("events/sweep.json")["source"], "aws.scheduler");
}
