//! Rules of EventBridge and schedules of EventBridge Scheduler through the ports on AWS, request by request,
//! against a server that speaks both services' protocols (JSON 1.1 and REST) and gives the answers that their API
//! References document. Whatever is asked beyond the script fails.

use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use pushway_aws::{Aws, Settings};
use pushway_core::fact::Scheduled;
use pushway_core::plan::Place;
use pushway_core::ports::{
    Fault, MoveSchedules as _, Pointed, ReadSchedules as _, ReadTargets as _, RunTasks as _,
};
use pushway_core::scheduled::{Starter, StarterRef};
use pushway_core::views::{ServiceRef, TaskRequest};
use serde_json::{Value, json};

use crate::serve;

const OLD: &str = "arn:aws:ecs:eu-central-1:1:task-definition/report:7";
const NEW: &str = "arn:aws:ecs:eu-central-1:1:task-definition/report:8";
const CLUSTER: &str = "arn:aws:ecs:eu-central-1:1:cluster/demo";

/// What is asked, in order, and what is answered: a body, or an error's code.
type Script = Vec<(&'static str, Value, Result<Value, &'static str>)>;

struct FakeAws {
    aws: Aws,
    left: Arc<Mutex<Script>>,
}

impl FakeAws {
    async fn start(script: Script) -> Self {
        let left = Arc::new(Mutex::new(script));
        let asked = Arc::clone(&left);
        let answer = move |method: Method, uri: Uri, headers: HeaderMap, body: Bytes| {
            let asked = Arc::clone(&asked);
            async move { reply(&mut asked.lock().expect("it is there"), &method, &uri, &headers, &body) }
        };
        let config = serve(axum::Router::new().fallback(answer)).await;
        Self { aws: Aws::with_config(&config, Settings::for_table("unused")), left }
    }

    /// Everything was asked for.
    fn done(self) {
        let left = self.left.lock().expect("it is there");
        assert!(left.is_empty(), "never asked: {left:?}");
    }
}

fn reply(
    script: &mut Script,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    body: &Bytes,
) -> (StatusCode, HeaderMap, String) {
    let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
    let asked = match target.rsplit_once('.') {
        Some((_, operation)) => operation.to_owned(),
        None => format!("{method} {uri}"),
    };
    let length = headers.get("content-length").and_then(|length| length.to_str().ok()).unwrap_or("0");
    assert_eq!(length, body.len().to_string(), "{asked}");
    let body: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
    let mut headers = HeaderMap::new();
    let mut error = |code: &str, message: &str| {
        headers.insert("x-amzn-errortype", code.parse().expect("a code"));
        (StatusCode::BAD_REQUEST, json!({ "__type": code, "message": message }).to_string())
    };
    let wanted = (!script.is_empty()).then(|| script.remove(0));
    let (status, text) = match wanted {
        Some((what, expected, answer)) if what == asked && expected == body => match answer {
            Ok(answer) => (StatusCode::OK, answer.to_string()),
            Err(code) => error(code, "no"),
        },
        wanted => error("NotInTheScript", &format!("asked {asked} with {body}, and not {wanted:?}")),
    };
    (status, headers, text)
}

fn rule() -> StarterRef {
    at(Starter::Rule { bus: "default".into(), name: "nightly".into(), target: None })
}

fn schedule() -> StarterRef {
    at(Starter::Schedule { group: "jobs".into(), name: "nightly".into() })
}

fn at(starter: Starter) -> StarterRef {
    StarterRef { place: Place::default(), starter }
}

fn task(at: &StarterRef, target: &str) -> Scheduled {
    Scheduled { starter: at.starter.clone(), target: target.into() }
}

/// A target as EventBridge keeps it, with all that a deploy must not lose, and a field that no SDK knows yet.
fn target(definition: &str) -> Value {
    json!({
        "Id": "task", "Arn": CLUSTER, "RoleArn": "arn:aws:iam::1:role/ecsEventsRole",
        "Input": "{\"containerOverrides\":[{\"name\":\"report\",\"command\":[\"run\",\"--all\"],\"environment\":[{\"name\":\"A\",\"value\":\"1\"}]}]}",
        "EcsParameters": {
            "TaskDefinitionArn": definition, "TaskCount": 2, "LaunchType": "FARGATE", "PlatformVersion": "1.4.0",
            "Group": "night", "EnableECSManagedTags": true, "PropagateTags": "TASK_DEFINITION",
            "NetworkConfiguration": { "awsvpcConfiguration": {
                "Subnets": ["subnet-1"], "SecurityGroups": ["sg-1"], "AssignPublicIp": "DISABLED",
            } },
            "Tags": [{ "Key": "team", "Value": "x" }], "SomethingNew": { "Depth": 1 },
        },
        "RetryPolicy": { "MaximumRetryAttempts": 3, "MaximumEventAgeInSeconds": 3600 },
        "DeadLetterConfig": { "Arn": "arn:aws:sqs:eu-central-1:1:dead" },
        "AlsoNew": [1, 2],
    })
}

/// A target that is no task.
fn function() -> Value {
    json!({ "Id": "function", "Arn": "arn:aws:lambda:eu-central-1:1:function:f" })
}

fn list(targets: &[Value]) -> (&'static str, Value, Result<Value, &'static str>) {
    let asked = json!({ "Rule": "nightly", "EventBusName": "default" });
    ("ListTargetsByRule", asked, Ok(json!({ "Targets": targets, "NextToken": null })))
}

const GET: &str = "GET /schedules/nightly?groupName=jobs";
const PUT: &str = "PUT /schedules/nightly";

/// A schedule as `GetSchedule` tells it, nulls included.
fn scheduled(definition: &str) -> Value {
    let mut target = target(definition);
    target.as_object_mut().expect("a map").remove("Id");
    json!({
        "Arn": "arn:aws:scheduler:eu-central-1:1:schedule/jobs/nightly", "GroupName": "jobs", "Name": "nightly",
        "CreationDate": 1_790_000_000.123, "LastModificationDate": 1_790_000_001.5,
        "ScheduleExpression": "cron(0 3 * * ? *)", "ScheduleExpressionTimezone": "Europe/Berlin",
        "StartDate": 1_790_000_000.25, "EndDate": null, "Description": "figures", "State": "DISABLED",
        "FlexibleTimeWindow": { "Mode": "FLEXIBLE", "MaximumWindowInMinutes": 15 }, "KmsKeyArn": "arn:aws:kms:x",
        "ActionAfterCompletion": "NONE", "Target": target, "NewerThanThis": "kept",
    })
}

/// What goes back of it.
fn sent_back(definition: &str) -> Value {
    let mut whole = scheduled(definition);
    let fields = whole.as_object_mut().expect("a map");
    fields.retain(|field, value| {
        !["Arn", "Name", "CreationDate", "LastModificationDate"].contains(&field.as_str()) && !value.is_null()
    });
    whole
}

fn describe(asked: &str) -> (&'static str, Value, Result<Value, &'static str>) {
    let definition = json!({
        "taskDefinitionArn": OLD, "taskRoleArn": "arn:aws:iam::1:role/reportTaskRole",
        "containerDefinitions": [{ "name": "report", "image": "registry/report:1" }],
    });
    let asked = json!({ "taskDefinition": asked, "include": ["TAGS"] });
    ("DescribeTaskDefinition", asked, Ok(json!({ "taskDefinition": definition })))
}

#[tokio::test]
async fn of_a_rules_target_nothing_but_the_task_definition_changes() {
    let put = json!({ "Rule": "nightly", "EventBusName": "default", "Targets": [target(NEW)] });
    let done = || json!({ "FailedEntryCount": 0, "FailedEntries": [] });
    let fake =
        FakeAws::start(vec![list(&[function(), target(OLD)]), ("PutTargets", put.clone(), Ok(done()))]).await;
    let pointed = fake.aws.point(&Place::default(), &task(&rule(), "task"), OLD, NEW).await;
    assert_eq!(pointed, Ok(Pointed::There));
    fake.done();
    // A call that succeeds may have failed for the target.
    for (code, retryable) in [("ConcurrentModificationException", true), ("ValidationException", false)] {
        let failed =
            json!({ "FailedEntryCount": 1, "FailedEntries": [{ "TargetId": "task", "ErrorCode": code }] });
        let fake = FakeAws::start(vec![list(&[target(OLD)]), ("PutTargets", put.clone(), Ok(failed))]).await;
        let pointed = fake.aws.point(&Place::default(), &task(&rule(), "task"), OLD, NEW).await;
        assert_eq!(matches!(pointed, Err(Fault::Retryable(_))), retryable, "{code}: {pointed:?}");
        assert!(pointed.is_err());
        fake.done();
    }
}

#[tokio::test]
async fn of_a_schedule_nothing_but_the_task_definition_changes() {
    let fake = FakeAws::start(vec![
        (GET, Value::Null, Ok(scheduled(OLD))),
        (PUT, sent_back(NEW), Ok(json!({ "ScheduleArn": "x" }))),
    ])
    .await;
    let pointed = fake.aws.point(&Place::default(), &task(&schedule(), "nightly"), OLD, NEW).await;
    assert_eq!(pointed, Ok(Pointed::There));
    fake.done();
    for (code, retryable) in [("ConflictException", true), ("ValidationException", false)] {
        let fake =
            FakeAws::start(vec![(GET, Value::Null, Ok(scheduled(OLD))), (PUT, sent_back(NEW), Err(code))])
                .await;
        let pointed = fake.aws.point(&Place::default(), &task(&schedule(), "nightly"), OLD, NEW).await;
        assert_eq!(matches!(pointed, Err(Fault::Retryable(_))), retryable, "{code}: {pointed:?}");
        fake.done();
    }
}

#[tokio::test]
async fn what_names_something_else_is_left_alone() {
    let other = "arn:aws:ecs:eu-central-1:1:task-definition/report:9";
    for (definition, expected) in [(NEW, Pointed::There), (other, Pointed::Elsewhere(other.into()))] {
        let fake = FakeAws::start(vec![list(&[target(definition)])]).await;
        let pointed = fake.aws.point(&Place::default(), &task(&rule(), "task"), OLD, NEW).await;
        assert_eq!(pointed, Ok(expected.clone()));
        fake.done();
        let fake = FakeAws::start(vec![(GET, Value::Null, Ok(scheduled(definition)))]).await;
        let pointed = fake.aws.point(&Place::default(), &task(&schedule(), "nightly"), OLD, NEW).await;
        assert_eq!(pointed, Ok(expected));
        fake.done();
    }
    let fake = FakeAws::start(vec![list(&[function()])]).await;
    let pointed = fake.aws.point(&Place::default(), &task(&rule(), "task"), OLD, NEW).await;
    assert_eq!(pointed, Ok(Pointed::Gone));
    let fake = FakeAws::start(vec![(GET, Value::Null, Err("ResourceNotFoundException"))]).await;
    let pointed = fake.aws.point(&Place::default(), &task(&schedule(), "nightly"), OLD, NEW).await;
    assert_eq!(pointed, Ok(Pointed::Gone));
}

#[tokio::test]
async fn what_is_started_is_told_with_its_revision_and_images() {
    let fake = FakeAws::start(vec![list(&[function(), target(OLD)]), describe(OLD)]).await;
    let views = fake.aws.scheduled(&rule()).await.unwrap().unwrap();
    let [view] = &views[..] else { panic!("one task: {views:?}") };
    assert_eq!((view.target.as_str(), view.cluster.as_str()), ("task", CLUSTER));
    assert!(view.is_pinned());
    assert_eq!(view.images["report"], "registry/report:1");
    assert_eq!(view.roles, ["arn:aws:iam::1:role/reportTaskRole"]);
    assert_eq!(view.starting_role.as_deref(), Some("arn:aws:iam::1:role/ecsEventsRole"));
    fake.done();
    // Without a revision the family's latest is started.
    let latest = "arn:aws:ecs:eu-central-1:1:task-definition/report";
    let fake = FakeAws::start(vec![(GET, Value::Null, Ok(scheduled(latest))), describe("report")]).await;
    let views = fake.aws.scheduled(&schedule()).await.unwrap().unwrap();
    assert_eq!((views[0].named.as_str(), views[0].revision.as_str()), (latest, OLD));
    assert!(!views[0].is_pinned());
    fake.done();
    let asked = json!({ "Rule": "nightly", "EventBusName": "default" });
    let fake = FakeAws::start(vec![("ListTargetsByRule", asked, Err("ResourceNotFoundException"))]).await;
    assert_eq!(fake.aws.scheduled(&rule()).await, Ok(None));
}

#[tokio::test]
async fn the_tasks_that_were_started_are_those_of_the_revision() {
    let list = |status: &str, arns: Value| {
        let asked = json!({ "cluster": CLUSTER, "family": "report", "desiredStatus": status });
        ("ListTasks", asked, Ok(json!({ "taskArns": arns })))
    };
    let task = |arn: &str, definition: &str, code: i32| {
        let container = json!({ "name": "report", "exitCode": code });
        json!({
            "taskArn": arn, "taskDefinitionArn": definition, "lastStatus": "STOPPED", "desiredStatus": "STOPPED",
            "stopCode": "EssentialContainerExited", "containers": [container],
        })
    };
    let asked = json!({ "cluster": CLUSTER, "tasks": ["a", "b"] });
    let described = json!({ "tasks": [task("a", OLD, 0), task("b", NEW, 3)] });
    let fake = FakeAws::start(vec![
        list("RUNNING", json!([])),
        list("STOPPED", json!(["a", "b"])),
        ("DescribeTasks", asked, Ok(described)),
    ])
    .await;
    let tasks = fake.aws.started(&Place::default(), CLUSTER, NEW).await.unwrap();
    let [only] = &tasks[..] else { panic!("one: {tasks:?}") };
    assert_eq!((only.arn.as_str(), only.containers[0].exit_code), ("b", Some(3)));
    fake.done();
}

#[tokio::test]
async fn a_preflight_sees_whether_it_is_turned_on() {
    let asked = json!({ "Name": "nightly", "EventBusName": "default" });
    for (state, is_on) in [("ENABLED", true), ("DISABLED", false)] {
        let described = ("DescribeRule", asked.clone(), Ok(json!({ "Name": "nightly", "State": state })));
        let fake = FakeAws::start(vec![list(&[target(OLD)]), describe(OLD), described]).await;
        assert_eq!(fake.aws.scheduled_target(&rule()).await.unwrap().is_on, is_on);
        fake.done();
    }
    let get = || (GET, Value::Null, Ok(scheduled(OLD)));
    let fake = FakeAws::start(vec![get(), describe(OLD), get()]).await;
    assert!(!fake.aws.scheduled_target(&schedule()).await.unwrap().is_on);
    fake.done();
}

#[tokio::test]
async fn a_task_is_run_once_just_as_its_rule_starts_it() {
    let request = |command: &[&str]| TaskRequest {
        service: ServiceRef {
            place: Place::default(),
            cluster: CLUSTER.into(),
            service: "rule nightly".into(),
        },
        definition: None,
        scheduled: Some(task(&rule(), "task")),
        task_definition: NEW.into(),
        container: "report".into(),
        command: command.iter().map(ToString::to_string).collect(),
        mark: "run-1".into(),
    };
    let run = |command: Value| {
        json!({
            "cluster": CLUSTER, "taskDefinition": NEW, "count": 1, "startedBy": "run-1", "clientToken": "run-1",
            "launchType": "FARGATE", "platformVersion": "1.4.0",
            "networkConfiguration": { "awsvpcConfiguration": {
                "subnets": ["subnet-1"], "securityGroups": ["sg-1"], "assignPublicIp": "DISABLED",
            } },
            "overrides": { "containerOverrides": [{
                "name": "report", "command": command, "environment": [{ "name": "A", "value": "1" }],
            }] },
        })
    };
    for (command, expected) in
        [(&[][..], json!(["run", "--all"])), (&["run", "--dry"], json!(["run", "--dry"]))]
    {
        let started = json!({ "tasks": [{ "taskArn": "arn:task" }], "failures": [] });
        let fake = FakeAws::start(vec![list(&[target(OLD)]), ("RunTask", run(expected), Ok(started))]).await;
        assert_eq!(fake.aws.run_task(&request(command)).await, Ok("arn:task".to_owned()));
        fake.done();
    }
}
