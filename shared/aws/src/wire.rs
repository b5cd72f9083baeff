//! What really goes over the wire, request by request, where the shape matters (tests only).
//!
//! A connection that writes down each request and answers as AWS documents it.

use std::sync::{Arc, Mutex};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use pushway_core::figures::Figures;
use pushway_core::plan::Place;
use pushway_core::ports::{
    CreateServices as _, Fault, FiguresQuery, MoveServices as _, ReadImages as _, ReadServices as _,
    ReadTasks as _, RunFigures as _, RunTasks as _, StartBuilds as _, TagView,
};
use pushway_core::source::Zone;
use pushway_core::strategy::Movement;
use pushway_core::views::{ServiceRef, TaskRef, TaskRequest};
use serde_json::{Value, json};

use crate::{Aws, Settings};

/// One request: operation, host, whose key signed it, body.
#[derive(Debug, Clone)]
struct Sent {
    operation: String,
    host: String,
    key: String,
    body: String,
}

impl Sent {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

type Answers = fn(&str) -> Value;

#[derive(Debug, Clone)]
struct Wire {
    sent: Arc<Mutex<Vec<Sent>>>,
    answers: Answers,
}

const ASSUMED: &str = "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult>\
    <Credentials><AccessKeyId>ASSUMED</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>\
    <Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>";

impl HttpConnector for Wire {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let header = |name: &str| request.headers().get(name).unwrap_or_default().to_owned();
        let key = header("authorization");
        let key = key.split("Credential=").nth(1).and_then(|rest| rest.split('/').next()).unwrap_or_default();
        let body = String::from_utf8(request.body().bytes().unwrap_or_default().to_vec()).unwrap();
        let target = header("x-amz-target");
        let operation = target.rsplit('.').next().filter(|name| !name.is_empty()).unwrap_or("AssumeRole");
        let host = url::Url::parse(request.uri()).unwrap().host_str().unwrap().to_owned();
        let answer = match operation {
            "AssumeRole" => ASSUMED.to_owned(),
            other => (self.answers)(other).to_string(),
        };
        let sent = Sent { operation: operation.to_owned(), host, key: key.to_owned(), body };
        self.sent.lock().unwrap().push(sent);
        HttpConnectorFuture::ready(Ok(HttpResponse::new(
            StatusCode::try_from(200).unwrap(),
            SdkBody::from(answer),
        )))
    }
}

fn ports(answers: Answers) -> (Aws, Arc<Mutex<Vec<Sent>>>) {
    let wire = Wire { sent: Arc::default(), answers };
    let sent = Arc::clone(&wire.sent);
    let config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-central-1"))
        .credentials_provider(SharedCredentialsProvider::new(Credentials::new(
            "OWN", "s", None, None, "test",
        )))
        .http_client(http_client_fn(move |_, _| SharedHttpConnector::new(wire.clone())))
        .build();
    let settings = Settings {
        build_project: Some("pushway".into()),
        untrusted_project: Some("pushway-untrusted".into()),
        artifacts: Some("bucket".into()),
        ..Settings::for_table("t")
    };
    (Aws::with_config(&config, settings), sent)
}

fn elsewhere() -> Place {
    Place {
        role: Some("arn:aws:iam::111122223333:role/target".into()),
        external_id: Some("7f3a:web".into()),
        region: Some("eu-west-1".into()),
        pipeline: Some("web".parse().unwrap()),
    }
}

fn service(place: Place) -> ServiceRef {
    ServiceRef { place, cluster: "demo".into(), service: "web".into() }
}

fn request(place: Place, definition: Option<Value>) -> TaskRequest {
    TaskRequest {
        service: service(place),
        definition,
        scheduled: None,
        task_definition: "arn:aws:ecs:eu-central-1:1:task-definition/web:7".into(),
        container: "web".into(),
        command: vec!["./migrate".into(), "up".into()],
        mark: "run-1".into(),
    }
}

/// As `DescribeServices` and `RunTask` answer for a service on Fargate.
fn fargate(operation: &str) -> Value {
    match operation {
        "DescribeServices" => json!({ "services": [{
            "status": "ACTIVE", "serviceName": "web", "platformVersion": "1.4.0", "launchType": "FARGATE",
            "desiredCount": 3,
            "networkConfiguration": { "awsvpcConfiguration": {
                "subnets": ["subnet-1"], "securityGroups": ["sg-1"], "assignPublicIp": "DISABLED",
            } },
        }] }),
        "RunTask" => json!({ "tasks": [{ "taskArn": "arn:task" }], "failures": [] }),
        "RegisterTaskDefinition" => json!({ "taskDefinition": { "taskDefinitionArn": "arn:web:8" } }),
        "CreateService" => json!({ "service": { "deployments": [{ "id": "ecs-svc/1" }] } }),
        _ => json!({}),
    }
}

#[tokio::test]
async fn a_task_runs_where_and_how_its_service_does_under_a_mark_that_is_its_token() {
    let (ports, sent) = ports(fargate);
    assert_eq!(ports.run_task(&request(Place::default(), None)).await, Ok("arn:task".into()));
    let sent = sent.lock().unwrap();
    assert_eq!(
        sent.last().unwrap().json(),
        json!({
            "cluster": "demo",
            "taskDefinition": "arn:aws:ecs:eu-central-1:1:task-definition/web:7",
            "count": 1,
            "launchType": "FARGATE",
            "platformVersion": "1.4.0",
            "networkConfiguration": { "awsvpcConfiguration": {
                "subnets": ["subnet-1"], "securityGroups": ["sg-1"], "assignPublicIp": "DISABLED",
            } },
            "overrides": { "containerOverrides": [{ "name": "web", "command": ["./migrate", "up"] }] },
            "startedBy": "run-1",
            "clientToken": "run-1",
        })
    );
}

#[tokio::test]
async fn a_strategy_of_capacity_providers_takes_the_place_of_the_launch_type() {
    let (ports, sent) = ports(|operation| match operation {
        "DescribeServices" => json!({ "services": [{
            "status": "ACTIVE", "launchType": "FARGATE",
            "capacityProviderStrategy": [{ "capacityProvider": "FARGATE_SPOT", "weight": 1, "base": 0 }],
        }] }),
        other => fargate(other),
    });
    ports.run_task(&request(Place::default(), None)).await.unwrap();
    let body = sent.lock().unwrap().last().unwrap().json();
    assert_eq!(body["capacityProviderStrategy"][0]["capacityProvider"], "FARGATE_SPOT");
    assert_eq!(body.get("launchType"), None);
}

#[tokio::test]
async fn a_task_that_finds_no_room_is_tried_again_and_one_that_can_not_run_is_not() {
    let refused =
        |answers: Answers| async move { ports(answers).0.run_task(&request(Place::default(), None)).await };
    let full: Answers = |operation| match operation {
        "RunTask" => json!({ "failures": [{ "reason": "RESOURCE:MEMORY" }] }),
        other => fargate(other),
    };
    assert!(matches!(refused(full).await, Err(Fault::Retryable(_))));
    let unfit: Answers = |operation| match operation {
        "RunTask" => json!({ "failures": [{ "reason": "ATTRIBUTE" }] }),
        other => fargate(other),
    };
    assert!(matches!(refused(unfit).await, Err(Fault::Permanent(_))));
}

#[tokio::test]
async fn a41_every_call_elsewhere_is_signed_with_the_assumed_role_and_goes_to_its_region() {
    let (ports, sent) = ports(fargate);
    let request = request(elsewhere(), None);
    ports.started_task(&request).await.unwrap();
    ports.run_task(&request).await.unwrap();
    let task = TaskRef { place: elsewhere(), cluster: "demo".into(), arn: "arn:task".into() };
    ports.task(&task).await.unwrap();
    ports.stop_task(&task, "over").await.unwrap();
    ports.service_arn(&service(elsewhere())).await.unwrap();
    ports.service_deployment(&service(elsewhere()), "arn:web:8").await.unwrap();
    ports.stop_deployment(&service(elsewhere()), "arn:deployment").await.unwrap();
    // And one at home, with one's own.
    ports.task(&TaskRef { place: Place::default(), ..task }).await.unwrap();
    let sent = sent.lock().unwrap();
    let (assumed, calls): (Vec<&Sent>, Vec<&Sent>) =
        sent.iter().partition(|sent| sent.operation == "AssumeRole");
    let [assumed] = assumed[..] else { panic!("the role was assumed {} times", assumed.len()) };
    let fields: std::collections::BTreeMap<String, String> =
        url::form_urlencoded::parse(assumed.body.as_bytes()).into_owned().collect();
    assert_eq!(fields["RoleArn"], "arn:aws:iam::111122223333:role/target");
    assert_eq!(fields["ExternalId"], "7f3a:web");
    assert_eq!(fields["SourceIdentity"], "web");
    assert_eq!((assumed.key.as_str(), assumed.host.contains("eu-central-1")), ("OWN", true));
    let (home, away) = calls.split_last().unwrap();
    assert_eq!(away.len(), 8, "{away:#?}");
    for call in away {
        assert_eq!(
            (call.key.as_str(), call.host.as_str()),
            ("ASSUMED", "ecs.eu-west-1.amazonaws.com"),
            "{call:?}"
        );
    }
    assert_eq!((home.key.as_str(), home.host.as_str()), ("OWN", "ecs.eu-central-1.amazonaws.com"));
}

#[tokio::test]
async fn a_definition_of_the_repository_is_registered_with_the_images_put_in() {
    let (ports, sent) = ports(fargate);
    let pinned = json!({
        "taskDefinition": {
            "family": "web", "cpu": "256", "memory": "512", "requiresCompatibilities": ["FARGATE"],
            "containerDefinitions": [
                { "name": "web", "environment": [{ "name": "A", "value": "1" }], "essential": true },
                { "name": "side", "image": "envoy:1" },
            ],
        },
        "tags": [{ "key": "team", "value": "x" }],
    });
    let image: pushway_core::ids::ImageDigestRef =
        format!("registry/web@sha256:{}", "a".repeat(64)).parse().unwrap();
    let images = [("web".to_owned(), image.clone())].into();
    let run = "01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap();
    assert_eq!(ports.register_file(&Place::default(), run, &pinned, &images).await, Ok("arn:web:8".into()));
    let body = sent.lock().unwrap().last().unwrap().json();
    assert_eq!(
        (&body["family"], &body["cpu"], &body["memory"]),
        (&json!("web"), &json!("256"), &json!("512"))
    );
    let containers = &body["containerDefinitions"];
    assert_eq!((&containers[0]["image"], &containers[1]["image"]), (&json!(image), &json!("envoy:1")));
    assert_eq!(containers[0]["environment"], json!([{ "name": "A", "value": "1" }]));
    assert_eq!(body["tags"].as_array().unwrap().len(), 2);
    // It asked ECS for nothing else: the file is the whole definition.
    assert_eq!(sent.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_service_is_created_as_its_definition_says_with_the_runs_revision() {
    let (ports, sent) = ports(fargate);
    let definition = json!({
        "desiredCount": 2, "launchType": "FARGATE",
        "networkConfiguration": { "awsvpcConfiguration": { "subnets": ["subnet-1"] } },
        "loadBalancers": [{ "targetGroupArn": "arn:tg", "containerName": "web", "containerPort": 8080 }],
        "deploymentConfiguration": { "deploymentCircuitBreaker": { "enable": true, "rollback": true } },
        "serviceConnectConfiguration": { "enabled": true, "namespace": "ns" },
    });
    let created = ports.create_service(&service(Place::default()), &definition, "arn:web:8", "token").await;
    assert_eq!(created, Ok("ecs-svc/1".into()));
    let body = sent.lock().unwrap().last().unwrap().json();
    for (field, value) in definition.as_object().unwrap() {
        assert_eq!(body[field], *value, "{field}");
    }
    let own = [
        ("cluster", "demo"),
        ("serviceName", "web"),
        ("taskDefinition", "arn:web:8"),
        ("clientToken", "token"),
    ];
    for (field, value) in own {
        assert_eq!(body[field], value, "{field}");
    }
}

#[tokio::test]
async fn a_service_that_exists_is_told_its_revision_and_nothing_else() {
    let (ports, sent) = ports(|operation| match operation {
        "UpdateService" => json!({ "service": { "deployments": [
            { "id": "ecs-svc/2", "status": "PRIMARY", "taskDefinition": "arn:web:8" },
        ] } }),
        other => fargate(other),
    });
    ports.move_service(&service(Place::default()), "arn:web:8", &Movement::default()).await.unwrap();
    // Neither a number of tasks nor anything else that may have been changed by others.
    let body = sent.lock().unwrap().last().unwrap().json();
    assert_eq!(body, json!({ "cluster": "demo", "service": "web", "taskDefinition": "arn:web:8" }));
}

#[tokio::test]
async fn a22_only_a_trusted_build_that_a_deploy_asks_for_a_file_leaves_artifacts() {
    let (ports, sent) = ports(|_| json!({ "build": { "id": "pushway:1" } }));
    let mut request = crate::codebuild::sample_request();
    ports.start_build(&request).await.unwrap();
    request.plan.image_files.push(pushway_core::image_file::ImageFile::Definitions);
    ports.start_build(&request).await.unwrap();
    request.zone = Zone::Untrusted;
    ports.start_build(&request).await.unwrap();
    let sent = sent.lock().unwrap();
    let artifacts: Vec<Value> = sent.iter().map(|sent| sent.json()["artifactsOverride"].clone()).collect();
    let wanted = json!({
        "type": "S3",
        "location": "bucket",
        "path": "runs/01890a5d-ac96-774b-bcce-b302099a8057/build-image-2",
        "name": "artifact",
        "namespaceType": "NONE",
        "packaging": "NONE",
        "overrideArtifactName": false,
        "encryptionDisabled": true,
    });
    assert_eq!(artifacts, [Value::Null, wanted, Value::Null]);
}

#[tokio::test]
async fn a42_a_tag_is_looked_up_in_the_registry_that_it_names() {
    let answers: Answers = |_| {
        let digest = format!("sha256:{}", "a".repeat(64));
        json!({ "imageDetails": [{ "imageDigest": digest, "imageTags": ["1"] }] })
    };
    let (ports, sent) = ports(answers);
    let tag = async |text: &str| {
        let pushway_core::ids::ImageUri::Tagged(image) = text.parse().unwrap() else { panic!("{text}") };
        ports.tag(&image).await.unwrap()
    };
    let found = tag("111122223333.dkr.ecr.eu-central-1.amazonaws.com/team/web:1").await;
    assert_eq!(found, TagView::Digest(format!("sha256:{}", "a".repeat(64)).parse().unwrap()));
    assert_eq!(tag("ghcr.io/team/web:1").await, TagView::Foreign);
    let sent = sent.lock().unwrap();
    let [only] = &sent[..] else { panic!("another registry was asked: {sent:?}") };
    let wanted = json!({
        "registryId": "111122223333", "repositoryName": "team/web", "imageIds": [{ "imageTag": "1" }],
    });
    assert_eq!((only.operation.as_str(), only.json()), ("DescribeImages", wanted));
}

#[tokio::test]
async fn figures_are_written_once_and_read_in_one_query_of_their_time() {
    let figures = json!({
        "run": "01890a5d-ac96-774b-bcce-b302099a8057", "pipeline": "web", "status": "failed",
        "git_ref": "refs/heads/main", "commit": "a".repeat(40), "pushed_at": "2026-11-25T00:00:00Z",
        "received_at": "2026-11-25T00:00:00Z", "ended_at": "2026-11-25T00:01:00Z", "queue_seconds": 1,
        "build_seconds": 2, "deploy_seconds": 0, "usage": {
            "transitions": 1, "invocations": 1, "lambda_gb_milliseconds": 1, "writes": 1, "requests": 1,
        },
    });
    let known: Figures = serde_json::from_value(figures).unwrap();
    let (ports, sent) = ports(|operation| match operation {
        "Query" => json!({ "Items": [], "Count": 0, "ScannedCount": 0 }),
        _ => json!({}),
    });
    ports.put_figures(&known).await.unwrap();
    let (since, until) = ("2026-11-01T00:00:00Z".parse().unwrap(), "2026-11-26T00:00:00Z".parse().unwrap());
    let query = FiguresQuery { pipeline: known.pipeline.clone(), since, until, limit: 1_000 };
    let page = ports.figures(&query).await.unwrap();
    assert_eq!((page.figures.len(), page.is_cut), (0, false));
    let sent = sent.lock().unwrap();
    let [put, query] = &sent[..] else { panic!("two calls: {sent:?}") };
    let (put, query) = (put.json(), query.json());
    assert_eq!(put["ConditionExpression"], "attribute_not_exists(pk)");
    assert_eq!(put["Item"]["pk"], json!({ "S": "STATS#web" }));
    assert_eq!(put["Item"]["sk"], json!({ "S": "01890a5d-ac96-774b-bcce-b302099a8057" }));
    let stored: Figures = serde_json::from_str(put["Item"]["data"]["S"].as_str().unwrap()).unwrap();
    assert_eq!(stored, known);
    let shape = json!([
        query["KeyConditionExpression"],
        query["ScanIndexForward"],
        query["Limit"],
        query["IndexName"]
    ]);
    assert_eq!(shape, json!(["pk = :pk AND sk BETWEEN :since AND :until", false, 1_001, null]));
    // Bounds that hold every run of the first and the last millisecond.
    let bound = |name: &str| query["ExpressionAttributeValues"][name]["S"].as_str().unwrap().to_owned();
    let id = |at, random| pushway_core::ids::RunId::new(at, [random; 10]).to_string();
    assert!(bound(":since") <= id(since, 0) && id(until, 0xff) <= bound(":until"), "{query}");
    assert_eq!(bound(":pk"), "STATS#web");
}
