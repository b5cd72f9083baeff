//! The engine, really run: from an empty folder to an answered request, and from a crash to nothing left.
//!
//! The first story needs no container engine; `containers` uses the one that answers, or starts one as root.
//! The Python tools are those of the checkout, installed there when absent; that takes about a minute once,
//! each story about ten seconds.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod containers;
mod support;

use std::path::{Path, PathBuf};

use pushway_local::{AwsError, Emulator, Engine, Options, Running, Status, deploy, loopback, relay};
use serde_json::{Value, json};

use support::{crash, eventually, project, up};

#[tokio::test(flavor = "multi_thread")]
async fn from_nothing_to_an_answer_and_from_a_crash_to_nothing() {
    let project = project().await;
    let (folder, engine) = (project.folder.path(), &project.engine);
    let options = Options { docker: false, ..Options::default() };
    assert_eq!(engine.status(), Status::Down);
    assert!(engine.running().is_err());
    let running = up(engine, &options).await;
    assert_eq!(up(engine, &options).await.endpoints, running.endpoints, "a second start changes nothing");

    let template = write_example(folder);
    let hostile = "a b\"c' \\ $(x) = ,";
    let log = folder.join("events");
    let parameters = [("Word", hostile), ("Log", log.to_str().unwrap())];
    let outputs = deploy::deploy(&running, "example", &template, &parameters).await.unwrap();
    assert_eq!(outputs["Word"], hostile);
    let again = deploy::deploy(&running, "example", &template, &parameters).await.unwrap();
    assert_eq!(again, outputs, "deploying what is there is fine");

    let answer = loopback::client().unwrap().get(running.api_url(&outputs["Api"])).send().await.unwrap();
    assert_eq!(answer.text().await.unwrap(), running.endpoints.codebuild, "functions find the build worker");

    policies_are_enforced(&running).await;
    events_arrive(&running, &log).await;
    a_crash_leaves_nothing(engine, &options).await;
}

/// A user without a policy may do nothing, and what it signs is checked.
async fn policies_are_enforced(running: &Running) {
    let (at, root) = (&running.endpoints, running.emulator().unwrap());
    let iam = async |action: &str| {
        root.query("iam", action, &[("UserName", "nobody"), ("Version", "2010-05-08")]).await.unwrap()
    };
    iam("CreateUser").await;
    let xml = iam("CreateAccessKey").await;
    let word = |tag: &str| xml.split(&format!("<{tag}>")).nth(1).unwrap().split('<').next().unwrap();
    let refusal = async |secret: &str| {
        let key = aws_credential_types::Credentials::from_keys(word("AccessKeyId"), secret, None);
        let user = Emulator::new(&at.aws, &at.region, key).unwrap();
        let error = user.json("dynamodb", "DynamoDB_20120810.ListTables", json!({})).await.unwrap_err();
        error.downcast_ref::<AwsError>().unwrap().code.clone()
    };
    assert_eq!(refusal(word("SecretAccessKey")).await, "AccessDeniedException");
    assert_ne!(refusal("guessed").await, "AccessDeniedException");
    root.json("dynamodb", "DynamoDB_20120810.ListTables", json!({})).await.unwrap();
}

/// What the build worker hands over arrives if a rule matches; what ECS does is seen and arrives, too.
async fn events_arrive(running: &Running, log: &Path) {
    let emulator = running.emulator().unwrap();
    let build = |status: &str| {
        json!({ "version": "0", "id": "1", "detail-type": "CodeBuild Build State Change",
                "source": "aws.codebuild", "account": "000000000000", "time": "2026-01-02T03:04:05Z",
                "region": "us-east-1", "resources": [], "detail": { "build-status": status } })
    };
    assert_eq!(relay::deliver(&emulator, &build("IN_PROGRESS")).await.unwrap(), 0, "no rule wants it");
    assert_eq!(relay::deliver(&emulator, &build("FAILED")).await.unwrap(), 1);

    let ecs = async |operation: &str, body: Value| {
        let target = format!("AmazonEC2ContainerServiceV20141113.{operation}");
        emulator.json("ecs", &target, body).await.unwrap()
    };
    ecs("CreateCluster", json!({ "clusterName": "demo" })).await;
    let container = json!({ "name": "web", "image": "none", "memory": 16 });
    ecs("RegisterTaskDefinition", json!({ "family": "web", "containerDefinitions": [container] })).await;
    let service =
        json!({ "cluster": "demo", "serviceName": "web", "taskDefinition": "web", "desiredCount": 0 });
    ecs("CreateService", service).await;
    let noted = || std::fs::read_to_string(log).unwrap_or_default();
    eventually("the events reached the function", noted, async || {
        let got = noted();
        let events: Vec<Value> = got.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let of = |source: &str, key: &str, value: &str| {
            events.iter().any(|event| event["source"] == source && event["detail"][key] == value)
        };
        assert!(!of("aws.codebuild", "build-status", "IN_PROGRESS"));
        of("aws.codebuild", "build-status", "FAILED")
            && of("aws.ecs", "eventName", "SERVICE_DEPLOYMENT_IN_PROGRESS")
            && of("aws.ecs", "eventName", "SERVICE_DEPLOYMENT_COMPLETED")
    })
    .await;
}

async fn a_crash_leaves_nothing(engine: &Engine, options: &Options) {
    let Status::Up(state) = engine.status() else { panic!("it runs") };
    crash(state.supervisor);
    eventually(
        "the children died with the supervisor",
        || format!("{state:?}"),
        async || state.children.iter().all(|(_, child)| !child.is_alive()),
    )
    .await;
    assert!(matches!(engine.status(), Status::Crashed(_)));
    let running = up(engine, options).await;
    assert_ne!(Status::Down, engine.status());
    let Status::Up(fresh) = engine.status() else { panic!("it runs again") };
    assert!(engine.down().await.unwrap());
    assert!(!engine.down().await.unwrap(), "nothing is left to stop");
    assert_eq!(engine.status(), Status::Down);
    assert!(fresh.children.iter().all(|(_, child)| !child.is_alive()));
    assert!(
        tokio::net::TcpStream::connect(running.endpoints.aws.trim_start_matches("http://")).await.is_err()
    );
}

/// A function that notes its events and answers with the build worker's address, two rules and an HTTP API.
fn write_example(folder: &Path) -> PathBuf {
    let function = folder.join("function");
    std::fs::create_dir(&function).unwrap();
    let bootstrap = function.join("bootstrap");
    std::fs::write(&bootstrap, include_str!("example/bootstrap.py")).unwrap();
    std::fs::set_permissions(&bootstrap, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let template = folder.join("template.yaml");
    std::fs::write(&template, include_str!("example/template.yaml")).unwrap();
    template
}
