//! ECS through the ports on AWS, request by request, against a server that speaks ECS' JSON 1.1 protocol and
//! gives the answers that the Amazon ECS API Reference documents. Whatever is asked beyond the script fails.

use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use pushway_aws::{Aws, Settings};
use pushway_core::checkpoint::CheckHook;
use pushway_core::fact::RollbackOwner;
use pushway_core::plan::{Place, Strategy};
use pushway_core::ports::{Fault, MoveServices as _, ReadServices as _};
use pushway_core::service_deployment::{ServiceDeploymentStatus, ServiceDeploymentView};
use pushway_core::strategy::{DeploymentSettings, Movement};
use pushway_core::views::ServiceRef;
use serde_json::{Value, json};

use crate::serve;

const DEPLOYMENT: &str = "arn:aws:ecs:eu-central-1:1:service-deployment/demo/web/NCWGC2ZR-taawPAYrIaU5";
const OURS: &str = "arn:aws:ecs:eu-central-1:1:task-definition/web:8";

/// What is asked, in order, and what is answered: a body, or an error's code.
type Script = Vec<(&'static str, Value, Result<Value, &'static str>)>;

struct FakeEcs {
    aws: Aws,
    left: Arc<Mutex<Script>>,
}

impl FakeEcs {
    async fn start(script: Script) -> Self {
        Self::start_with(script, Settings::for_table("unused")).await
    }

    async fn start_with(script: Script, settings: Settings) -> Self {
        let left = Arc::new(Mutex::new(script));
        let asked = Arc::clone(&left);
        let answer = move |headers: HeaderMap, body: Bytes| {
            let asked = Arc::clone(&asked);
            async move { reply(&mut asked.lock().expect("it is there"), &headers, &body) }
        };
        let config = serve(axum::Router::new().fallback(answer)).await;
        Self { aws: Aws::with_config(&config, settings), left }
    }

    /// Everything was asked for.
    fn done(self) {
        let left = self.left.lock().expect("it is there");
        assert!(left.is_empty(), "never asked: {left:?}");
    }
}

fn reply(
    script: &mut Script,
    headers: &HeaderMap,
    body: &Bytes,
) -> (StatusCode, [(&'static str, &'static str); 1], String) {
    const JSON: [(&str, &str); 1] = [("content-type", "application/x-amz-json-1.1")];
    assert_eq!(headers["content-type"], "application/x-amz-json-1.1");
    let target = headers["x-amz-target"].to_str().expect("it is there");
    let asked: Value = serde_json::from_slice(body).expect("it is there");
    let unexpected = |text: String| {
        (StatusCode::BAD_REQUEST, JSON, json!({ "__type": "Unexpected", "message": text }).to_string())
    };
    if script.is_empty() {
        return unexpected(format!("{target} {asked} is beyond the script"));
    }
    let (operation, request, answer) = script.remove(0);
    if target != format!("AmazonEC2ContainerServiceV20141113.{operation}") || asked != request {
        return unexpected(format!("{target} {asked}, and not {operation} {request}"));
    }
    match answer {
        Ok(body) => (StatusCode::OK, JSON, body.to_string()),
        Err(code) => (StatusCode::BAD_REQUEST, JSON, json!({ "__type": code, "message": "no" }).to_string()),
    }
}

/// The settings of a function that sets hooks.
fn settings() -> Settings {
    Settings {
        hook_function: Some("arn:function".into()),
        hook_role: Some("arn:role".into()),
        ..Settings::for_table("unused")
    }
}

fn at() -> ServiceRef {
    ServiceRef { place: Place::default(), cluster: "demo".into(), service: "web".into() }
}

/// `DescribeServices`' answer for a service that has a deployment of `definition` under way.
fn service(definition: &str, more: &Value) -> Value {
    let mut service = json!({
        "serviceArn": "arn:aws:ecs:eu-central-1:1:service/demo/web",
        "serviceName": "web",
        "status": "ACTIVE",
        "desiredCount": 1,
        "deployments": [
            { "id": "ecs-svc/2", "status": "PRIMARY", "taskDefinition": definition, "rolloutState": "IN_PROGRESS" },
            { "id": "ecs-svc/1", "status": "ACTIVE", "taskDefinition": "web:7", "rolloutState": "COMPLETED" },
        ],
    });
    for (key, value) in more.as_object().expect("it is there") {
        service[key] = value.clone();
    }
    service
}

fn describe_services(more: &Value) -> (&'static str, Value, Result<Value, &'static str>) {
    let asked = json!({ "cluster": "demo", "services": ["web"] });
    ("DescribeServices", asked, Ok(json!({ "services": [service("web:7", more)], "failures": [] })))
}

/// What a service is set to before anyone asks for a strategy.
fn configured() -> Value {
    json!({
        "maximumPercent": 200,
        "minimumHealthyPercent": 100,
        "deploymentCircuitBreaker": { "enable": true, "rollback": true },
        "strategy": "ROLLING",
        "bakeTimeInMinutes": 0,
    })
}

#[tokio::test]
async fn a_service_is_moved_as_it_is_set_unless_the_plan_says_otherwise() {
    let update = json!({ "cluster": "demo", "service": "web", "taskDefinition": OURS });
    let answer = json!({ "service": service(OURS, &json!({})) });
    let fake = FakeEcs::start(vec![("UpdateService", update, Ok(answer))]).await;
    let id = fake.aws.move_service(&at(), OURS, &Movement::default()).await;
    assert_eq!(id, Ok("ecs-svc/2".into()));
    fake.done();
}

#[tokio::test]
async fn a_strategy_is_put_into_what_the_service_is_set_to() {
    let canary = Strategy::Canary { percent: 10, hold_minutes: 5, bake_minutes: 2 };
    let linear = Strategy::Linear { step: 20, every_minutes: 2, bake_minutes: 5 };
    let alarms = json!({ "alarmNames": ["web-5xx"], "enable": true, "rollback": true });
    for (strategy, names, changed) in [
        (
            canary,
            vec!["web-5xx".to_owned()],
            json!({
                "strategy": "CANARY",
                "bakeTimeInMinutes": 2,
                "canaryConfiguration": { "canaryPercent": 10.0, "canaryBakeTimeInMinutes": 5 },
                "alarms": alarms,
            }),
        ),
        (
            linear,
            vec![],
            json!({
                "strategy": "LINEAR",
                "bakeTimeInMinutes": 5,
                "linearConfiguration": { "stepPercent": 20.0, "stepBakeTimeInMinutes": 2 },
            }),
        ),
        (
            Strategy::BlueGreen { bake_minutes: 3 },
            vec![],
            json!({ "strategy": "BLUE_GREEN", "bakeTimeInMinutes": 3 }),
        ),
        (
            Strategy::AsConfigured,
            vec!["web-5xx".to_owned()],
            json!({ "bakeTimeInMinutes": 0, "alarms": alarms }),
        ),
    ] {
        let mut wanted = configured();
        for (key, value) in changed.as_object().unwrap() {
            wanted[key] = value.clone();
        }
        let update = json!({
            "cluster": "demo",
            "service": "web",
            "taskDefinition": OURS,
            "deploymentConfiguration": wanted,
        });
        let set = json!({ "deploymentConfiguration": configured() });
        let fake = FakeEcs::start(vec![
            describe_services(&set),
            ("UpdateService", update, Ok(json!({ "service": service(OURS, &set) }))),
        ])
        .await;
        let moved =
            fake.aws.move_service(&at(), OURS, &Movement { strategy, alarms: names, hook: None }).await;
        assert_eq!(moved, Ok("ecs-svc/2".into()), "{strategy:?}");
        fake.done();
    }
}

#[tokio::test]
async fn our_hook_is_put_beside_those_of_others_and_taken_off_again() {
    let theirs = json!({ "hookTargetArn": "arn:theirs", "roleArn": "arn:their-role", "lifecycleStages": ["POST_SCALE_UP"], "hookDetails": { "bucket": "b" } });
    let hook = |run: &str, minutes: u32| {
        json!({
            "targetType": "AWS_LAMBDA",
            "hookTargetArn": "arn:function",
            "roleArn": "arn:role",
            "lifecycleStages": ["PRE_PRODUCTION_TRAFFIC_SHIFT"],
            "hookDetails": { "pushway": { "run": run, "environment": "staging" } },
            "timeoutConfiguration": { "timeoutInMinutes": minutes, "action": "ROLLBACK" },
        })
    };
    let (old, new) = ("01937b2e-6c80-7d3a-9c41-5f0a8be2d417", "01937b2e-6c80-7d3a-9c41-5f0a8be2d418");
    let wanted = CheckHook::new(new.parse().unwrap(), "staging".parse().unwrap(), 601);
    let strategy = Strategy::BlueGreen { bake_minutes: 3 };
    for (has, asks, gets) in [
        (json!([theirs]), Some(&wanted), json!([theirs, hook(new, 11)])),
        (json!([hook(old, 5), theirs]), Some(&wanted), json!([theirs, hook(new, 11)])),
        (json!([hook(old, 5)]), None, json!([])),
        (json!([theirs]), None, json!([theirs])),
        (json!([]), None, json!(null)),
    ] {
        let mut set = configured();
        set["lifecycleHooks"] = has.clone();
        let mut configuration = configured();
        configuration["strategy"] = json!("BLUE_GREEN");
        configuration["bakeTimeInMinutes"] = json!(3);
        if !gets.is_null() {
            configuration["lifecycleHooks"] = gets;
        }
        let update = json!({
            "cluster": "demo",
            "service": "web",
            "taskDefinition": OURS,
            "deploymentConfiguration": configuration,
        });
        let set = json!({ "deploymentConfiguration": set });
        let script = vec![
            describe_services(&set),
            ("UpdateService", update, Ok(json!({ "service": service(OURS, &set) }))),
        ];
        let fake = FakeEcs::start_with(script, settings()).await;
        let movement = Movement { strategy, alarms: Vec::new(), hook: asks.cloned() };
        assert_eq!(fake.aws.move_service(&at(), OURS, &movement).await, Ok("ecs-svc/2".into()), "{has}");
        fake.done();
    }
}

#[tokio::test]
async fn a_function_that_may_set_no_hook_says_what_is_missing() {
    let set = json!({ "deploymentConfiguration": configured() });
    let fake = FakeEcs::start(vec![describe_services(&set)]).await;
    let run = "01937b2e-6c80-7d3a-9c41-5f0a8be2d417".parse().unwrap();
    let hook = Some(CheckHook::new(run, "staging".parse().unwrap(), 600));
    let movement = Movement { strategy: Strategy::BlueGreen { bake_minutes: 3 }, alarms: Vec::new(), hook };
    let Err(Fault::Permanent(said)) = fake.aws.move_service(&at(), OURS, &movement).await else {
        panic!("it was moved unasked")
    };
    assert!(said.contains("PUSHWAY_HOOK_FUNCTION_ARN"), "{said}");
    fake.done();
}

/// `ListServiceDeployments`, `DescribeServiceRevisions` and `DescribeServiceDeployments`, as they follow.
fn records(record: &Value) -> Script {
    let list = json!({ "cluster": "demo", "service": "web", "maxResults": 20 });
    let revision = |id: u32| format!("arn:aws:ecs:eu-central-1:1:service-revision/demo/web/{id}");
    let brief = |arn: &str, id: u32, created: u32| json!({ "serviceDeploymentArn": arn, "targetServiceRevisionArn": revision(id), "createdAt": created, "status": "SUCCESSFUL" });
    // Newest first, as ECS lists them; another deployment of ours came before.
    let briefs = json!({ "serviceDeployments": [brief("theirs", 3, 30), brief(DEPLOYMENT, 2, 20), brief("before", 2, 10)] });
    let revisions = json!({ "serviceRevisionArns": [revision(2), revision(3)] });
    let defined = json!({ "serviceRevisions": [
        { "serviceRevisionArn": revision(2), "taskDefinition": OURS },
        { "serviceRevisionArn": revision(3), "taskDefinition": "web:9" },
    ] });
    let described = json!({ "serviceDeployments": [record], "failures": [] });
    vec![
        ("ListServiceDeployments", list, Ok(briefs)),
        ("DescribeServiceRevisions", revisions, Ok(defined)),
        ("DescribeServiceDeployments", json!({ "serviceDeploymentArns": [DEPLOYMENT] }), Ok(described)),
    ]
}

async fn read(record: &Value) -> ServiceDeploymentView {
    let fake = FakeEcs::start(records(record)).await;
    let view = fake.aws.service_deployment(&at(), OURS).await.expect("it is there").expect("it is there");
    fake.done();
    view
}

#[tokio::test]
async fn a_deployments_record_is_found_by_the_revision_that_it_brings() {
    use ServiceDeploymentStatus as Status;
    for (status, expected) in [
        ("PENDING", Status::Pending),
        ("IN_PROGRESS", Status::InProgress),
        ("SUCCESSFUL", Status::Successful),
        ("STOP_REQUESTED", Status::StopRequested),
        ("STOPPED", Status::Stopped),
        ("ROLLBACK_REQUESTED", Status::RollbackRequested),
        ("ROLLBACK_IN_PROGRESS", Status::RollbackInProgress),
        ("ROLLBACK_SUCCESSFUL", Status::RollbackSuccessful),
        ("ROLLBACK_FAILED", Status::RollbackFailed),
        ("SOMETHING_NEW", Status::InProgress),
    ] {
        let record = json!({
            "serviceDeploymentArn": DEPLOYMENT,
            "status": status,
            "lifecycleStage": "BAKE_TIME",
            "deploymentConfiguration": { "strategy": "CANARY" },
        });
        let view = read(&record).await;
        assert_eq!((view.arn.as_str(), view.status, view.is_rolling), (DEPLOYMENT, expected, false));
    }
}

#[tokio::test]
async fn a_record_tells_who_made_the_deployment_go_back() {
    let record = |more: Value| {
        let mut record = json!({
            "serviceDeploymentArn": DEPLOYMENT,
            "status": "ROLLBACK_SUCCESSFUL",
            "finishedAt": 1_790_000_000.5,
            "rollback": { "reason": "because", "serviceRevisionArn": "r", "startedAt": 1_789_999_000 },
            "alarms": { "alarmNames": ["web-5xx"], "status": "MONITORING", "triggeredAlarmNames": [] },
            "deploymentCircuitBreaker": { "failureCount": 0, "threshold": 3, "status": "MONITORING" },
        });
        for (key, value) in more.as_object().unwrap() {
            record[key] = value.clone();
        }
        record
    };
    let alarm = json!({ "alarms": { "alarmNames": ["web-5xx", "x"], "status": "TRIGGERED", "triggeredAlarmNames": ["web-5xx"] } });
    let view = read(&record(alarm)).await;
    assert_eq!(
        (view.stopper(), view.alarms.as_slice()),
        (RollbackOwner::Alarm, ["web-5xx".to_owned()].as_slice())
    );
    assert_eq!((view.reason.as_str(), view.is_rolling, view.finished_at.is_some()), ("because", true, true));
    let breaker =
        json!({ "deploymentCircuitBreaker": { "failureCount": 3, "threshold": 3, "status": "TRIGGERED" } });
    assert_eq!(read(&record(breaker)).await.stopper(), RollbackOwner::Service);
    assert_eq!(read(&record(json!({}))).await.stopper(), RollbackOwner::Person);
    for (status, expected) in [
        ("FAILED", RollbackOwner::Service),
        ("TIMED_OUT", RollbackOwner::Service),
        ("SUCCEEDED", RollbackOwner::Person),
        ("AWAITING_ACTION", RollbackOwner::Person),
    ] {
        let hook = json!({ "hookId": "h", "targetType": "AWS_LAMBDA", "targetArn": "arn:function", "status": status });
        let view = read(&record(json!({ "lifecycleHookDetails": [hook] }))).await;
        assert_eq!(view.stopper(), expected, "{status}");
    }
}

#[tokio::test]
async fn where_no_record_can_be_had_the_services_own_view_has_to_do() {
    let list = || json!({ "cluster": "demo", "service": "web", "maxResults": 20 });
    for answer in [
        // The emulator's answer, and that of a role which may not ask.
        Ok(json!({ "serviceDeployments": [] })),
        Err("AccessDeniedException"),
        Err("UnsupportedFeatureException"),
        Err("ServiceNotFoundException"),
    ] {
        let fake = FakeEcs::start(vec![("ListServiceDeployments", list(), answer)]).await;
        assert_eq!(fake.aws.service_deployment(&at(), OURS).await, Ok(None));
        fake.done();
    }
    let fake =
        FakeEcs::start(vec![("ListServiceDeployments", list(), Err("InvalidParameterException"))]).await;
    let failed = fake.aws.service_deployment(&at(), OURS).await;
    assert!(matches!(failed, Err(Fault::Permanent(_))), "{failed:?}");
}

#[tokio::test]
async fn a_deployment_is_told_to_go_back_and_one_that_is_over_is_left_alone() {
    let asked = || json!({ "serviceDeploymentArn": DEPLOYMENT, "stopType": "ROLLBACK" });
    for (answer, expected) in [
        (Ok(json!({ "serviceDeploymentArn": DEPLOYMENT })), Ok(true)),
        (Err("ConflictException"), Ok(false)),
        (Err("ServiceDeploymentNotFoundException"), Ok(false)),
    ] {
        let fake = FakeEcs::start(vec![("StopServiceDeployment", asked(), answer)]).await;
        assert_eq!(fake.aws.stop_deployment(&at(), DEPLOYMENT).await, expected);
        fake.done();
    }
    let fake = FakeEcs::start(vec![("StopServiceDeployment", asked(), Err("AccessDeniedException"))]).await;
    assert!(matches!(fake.aws.stop_deployment(&at(), DEPLOYMENT).await, Err(Fault::Permanent(_))));
}

#[tokio::test]
async fn a_service_shows_what_strategies_need_of_it() {
    let balancer = |advanced: Value| json!({ "targetGroupArn": "blue", "containerName": "web", "containerPort": 80, "advancedConfiguration": advanced });
    let alternate = || {
        balancer(json!({ "alternateTargetGroupArn": "green", "productionListenerRule": "r", "roleArn": "x" }))
    };
    let connect = json!({ "deployments": [{ "id": "1", "status": "PRIMARY", "taskDefinition": "web:7", "serviceConnectConfiguration": { "enabled": true } }] });
    for (more, controller, fixed_balancers, shifting) in [
        (json!({}), "", 0, 0),
        (json!({ "deploymentController": { "type": "CODE_DEPLOY" } }), "CODE_DEPLOY", 0, 0),
        (json!({ "deploymentController": { "type": "ECS" }, "loadBalancers": [alternate()] }), "ECS", 0, 1),
        (json!({ "loadBalancers": [alternate(), { "targetGroupArn": "other" }] }), "", 1, 1),
        (connect, "", 0, 1),
    ] {
        let definition = json!({ "taskDefinition": { "taskDefinitionArn": "web:7", "containerDefinitions": [{ "name": "web" }] } });
        let asked = json!({ "taskDefinition": "web:7", "include": ["TAGS"] });
        let fake =
            FakeEcs::start(vec![describe_services(&more), ("DescribeTaskDefinition", asked, Ok(definition))])
                .await;
        let view = fake.aws.service(&at()).await.unwrap().unwrap();
        let expected = DeploymentSettings { controller: controller.into(), fixed_balancers, shifting };
        assert_eq!(view.settings, expected, "{more}");
        fake.done();
    }
}
