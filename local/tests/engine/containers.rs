//! ECS with real containers: a rollout that the circuit breaker stops, told by events, and nothing left.

use std::{path::Path, process::Stdio};

use pushway_local::{Options, Running, Status};
use serde_json::{Value, json};

use crate::support::{crash, eventually, project, up};

/// One binary is both the good image and the bad one.
const PROGRAM: &str = r#"fn main() {
    if std::env::args().nth(1).as_deref() == Some("fail") { std::process::exit(3) }
    loop { std::thread::sleep(std::time::Duration::from_secs(1)) }
}"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_rollout_that_fails_is_told_and_leaves_no_container() {
    let docker_host = std::env::var("DOCKER_HOST").ok();
    let options = Options { docker: true, docker_host, ..Options::default() };
    if let pushway_local::docker::Found::Missing(advice) =
        pushway_local::docker::find(options.docker_host.as_deref()).await
    {
        // Only here: a laptop without a container engine still runs everything else.
        assert!(std::env::var_os("CI").is_none(), "{advice}");
        return;
    }
    let project = project().await;
    let running = up(&project.engine, &options).await;
    let image = push_image(&running, project.folder.path()).await;
    let service = json!({ "cluster": "demo", "serviceName": "web", "desiredCount": 1,
        "taskDefinition": task_definition(&running, &image, "serve").await,
        "deploymentConfiguration": { "deploymentCircuitBreaker": { "enable": true, "rollback": true } } });
    ecs(&running, "CreateCluster", json!({ "clusterName": "demo" })).await;
    ecs(&running, "CreateService", service).await;
    // The emulator calls a service's first deployment complete before any task runs; the second one is real.
    told(&running, "SERVICE_DEPLOYMENT_COMPLETED", 1).await;
    let again = json!({ "cluster": "demo", "service": "web", "forceNewDeployment": true });
    ecs(&running, "UpdateService", again).await;
    told(&running, "SERVICE_DEPLOYMENT_COMPLETED", 2).await;
    let bad = task_definition(&running, &image, "fail").await;
    ecs(&running, "UpdateService", json!({ "cluster": "demo", "service": "web", "taskDefinition": bad }))
        .await;
    told(&running, "SERVICE_DEPLOYMENT_FAILED", 1).await;
    // The rollback goes through its states once more.
    told(&running, "SERVICE_DEPLOYMENT_COMPLETED", 3).await;

    assert!(!containers(&running).is_empty());
    let Status::Up(state) = project.engine.status() else { panic!("it runs") };
    crash(state.supervisor);
    state.children.iter().filter(|(name, _)| name == "emulator").for_each(|(_, child)| crash(*child));
    assert!(project.engine.down().await.unwrap());
    assert!(state.children.iter().all(|(_, child)| !child.is_alive()));
    assert_eq!(containers(&running), "", "the containers went with the engine");
    assert_eq!(docker(&running, &["images", "--quiet", &format!("localhost:{}/web", running.port())]), "");
}

async fn ecs(running: &Running, operation: &str, body: Value) -> Value {
    let target = format!("AmazonEC2ContainerServiceV20141113.{operation}");
    running.emulator().unwrap().json("ecs", &target, body).await.unwrap()
}

async fn task_definition(running: &Running, image: &str, mood: &str) -> Value {
    let container = json!({ "name": "web", "image": image, "memory": 16, "command": ["/app", mood] });
    let body = json!({ "family": "web", "containerDefinitions": [container] });
    ecs(running, "RegisterTaskDefinition", body).await["taskDefinition"]["taskDefinitionArn"].take()
}

/// Waits until the watcher told of `name` at least `times`; without a rule an event ends in the log.
async fn told(running: &Running, name: &str, times: usize) {
    let log = running.layout.logs().join("supervisor.log");
    let read = || std::fs::read_to_string(&log).unwrap();
    eventually(&format!("{name} {times} times"), &read, async || read().matches(name).count() >= times).await;
}

/// Builds an image from nothing and pushes it to the emulated ECR; with any other name the emulator would
/// ask registries outside of this machine first. Returns its name there, by digest.
async fn push_image(running: &Running, folder: &Path) -> String {
    let emulator = running.emulator().unwrap();
    let target = "AmazonEC2ContainerRegistry_V20150921.CreateRepository";
    emulator.json("ecr", target, json!({ "repositoryName": "web" })).await.unwrap();
    let name = format!("localhost:{}/web", running.port());
    std::fs::write(folder.join("app.rs"), PROGRAM).unwrap();
    let script = format!(
        "rustc -C target-feature=+crt-static -C strip=symbols -o app app.rs; \
         tar c app | docker import - {name}:1 >/dev/null; docker push -q {name}:1 >/dev/null; \
         docker inspect -f '{{{{index .RepoDigests 0}}}}' {name}:1; docker rmi {name}:1 >/dev/null"
    );
    let mut shell = std::process::Command::new("sh");
    let output =
        shell.args(["-ec", &script]).current_dir(folder).envs(running.env().unwrap()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// The ids of the engine's containers, one per line; none if the engine that had them is gone.
fn containers(running: &Running) -> String {
    let label = format!("label=ministack.instance={}:{}", running.layout.instance(), running.port());
    docker(running, &["ps", "--all", "--quiet", "--filter", &label])
}

fn docker(running: &Running, args: &[&str]) -> String {
    let mut docker = std::process::Command::new("docker");
    docker.args(args).envs(running.env().unwrap()).stderr(Stdio::null());
    String::from_utf8(docker.output().unwrap().stdout).unwrap()
}
