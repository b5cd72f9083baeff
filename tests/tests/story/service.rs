//! The demo's service, as its orchestrator and its load balancer show it: the truth that runs are held to.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use pushway_local::{Emulator, Engine, loopback};
use pushway_tests::repository::root;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::{PATIENCE, text};

pub(crate) const PIPELINE: &str = "hello-ecs";

/// The service.
#[derive(Clone)]
pub(crate) struct Service {
    emulator: Emulator,
    url: String,
}

impl Service {
    pub(crate) fn of_the_demo() -> Self {
        let running = Engine::new(&root()).expect("an engine").running().expect("it runs");
        let file = root().join(".pushway/demo/hello-ecs/pushway.yml");
        let file = std::fs::read_to_string(file).expect("the demo's pipeline file");
        let url = file
            .split("url: \"")
            .nth(1)
            .and_then(|rest| rest.split('"').next())
            .expect("the check's address");
        Self { emulator: running.emulator().expect("a client"), url: url.to_owned() }
    }

    fn ecs(&self, operation: &str, body: Value) -> Value {
        let target = format!("AmazonEC2ContainerServiceV20141113.{operation}");
        let call = self.emulator.json("ecs", &target, body);
        block_on(call).unwrap_or_else(|error| panic!("{operation}: {error:#}"))
    }

    fn described(&self) -> Value {
        self.ecs("DescribeServices", json!({ "cluster": PIPELINE, "services": ["web"] }))["services"][0]
            .clone()
    }

    /// The revision that the service moves to or serves from.
    pub(crate) fn primary(&self) -> String {
        let service = self.described();
        let mut deployments = service["deployments"].as_array().expect("deployments").iter();
        let primary =
            deployments.find(|deployment| deployment["status"] == "PRIMARY").expect("a primary one");
        text(&primary["taskDefinition"]).to_owned()
    }

    /// The digest of the image that runs; all tasks must agree.
    pub(crate) fn digest(&self) -> String {
        let tasks = json!({ "cluster": PIPELINE, "serviceName": "web", "desiredStatus": "RUNNING" });
        let tasks = self.ecs("ListTasks", tasks)["taskArns"].clone();
        let tasks = self.ecs("DescribeTasks", json!({ "cluster": PIPELINE, "tasks": tasks }));
        let containers = tasks["tasks"].as_array().expect("tasks").iter().flat_map(|task| {
            task["containers"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|container| text(&container["imageDigest"]))
        });
        let digests: std::collections::BTreeSet<_> = containers.collect();
        assert_eq!(digests.len(), 1, "{tasks:#}");
        digests.into_iter().collect()
    }

    /// A revision that is as the one that serves.
    pub(crate) fn register_copy(&self) -> String {
        let copy = self.definition();
        text(&self.ecs("RegisterTaskDefinition", copy)["taskDefinition"]["taskDefinitionArn"]).to_owned()
    }

    /// What serves, as it could be registered again.
    fn definition(&self) -> Value {
        let known = self.ecs("DescribeTaskDefinition", json!({ "taskDefinition": self.primary() }));
        let mut copy = known["taskDefinition"].clone();
        let fields = copy.as_object_mut().expect("a definition");
        for told in [
            "taskDefinitionArn",
            "revision",
            "status",
            "requiresAttributes",
            "compatibilities",
            "registeredAt",
            "registeredBy",
            "tags",
        ] {
            fields.remove(told);
        }
        fields.retain(|_, value| !value.is_null());
        copy
    }

    /// Definitions of a task and of a service like the demo's, as a repository may hold them.
    pub(crate) fn definitions(&self, family: &str) -> (Value, Value) {
        let mut task = self.definition();
        task["family"] = family.into();
        let known = self.described();
        let service = json!({
            "desiredCount": 1,
            "launchType": "FARGATE",
            "networkConfiguration": known["networkConfiguration"],
            "deploymentConfiguration": { "deploymentCircuitBreaker": { "enable": true, "rollback": true } },
        });
        (task, service)
    }

    /// Has a rule and a schedule, both called `nightly`, start what the service runs; gives their targets.
    pub(crate) fn schedule_tasks(&self) -> [Value; 2] {
        let service = self.described();
        let network = service["networkConfiguration"]["awsvpcConfiguration"].clone();
        let subnets = network["subnets"].clone();
        let role = "arn:aws:iam::000000000000:role/nightly-EventsRole";
        let target = json!({
            "Arn": service["clusterArn"],
            "RoleArn": role,
            "Input": "{\"containerOverrides\":[]}",
            "EcsParameters": {
                "TaskDefinitionArn": self.primary(),
                "TaskCount": 1,
                "LaunchType": "FARGATE",
                "NetworkConfiguration": { "awsvpcConfiguration": { "Subnets": subnets } },
            },
        });
        let mut of_rule = target.clone();
        of_rule["Id"] = "job".into();
        self.events("PutRule", json!({ "Name": "nightly", "ScheduleExpression": "rate(1 day)" }));
        self.events("PutTargets", json!({ "Rule": "nightly", "Targets": [of_rule] }));
        let schedule = json!({
            "ScheduleExpression": "rate(1 day)",
            "FlexibleTimeWindow": { "Mode": "OFF" },
            "Target": target,
        });
        self.scheduler(http::Method::POST, schedule.to_string());
        self.scheduled_tasks()
    }

    /// The targets of the rule and the schedule.
    pub(crate) fn scheduled_tasks(&self) -> [Value; 2] {
        let rule = self.events("ListTargetsByRule", json!({ "Rule": "nightly" }))["Targets"][0].clone();
        [rule, self.scheduler(http::Method::GET, String::new())["Target"].clone()]
    }

    fn events(&self, operation: &str, body: Value) -> Value {
        let target = format!("AWSEvents.{operation}");
        let call = self.emulator.json("events", &target, body);
        block_on(call).unwrap_or_else(|error| panic!("{operation}: {error:#}"))
    }

    fn scheduler(&self, method: http::Method, body: String) -> Value {
        let headers = [("content-type".to_owned(), "application/json".to_owned())];
        let call = self.emulator.rest("scheduler", method, "/schedules/nightly", body.into_bytes(), &headers);
        let answer = block_on(call).unwrap_or_else(|error| panic!("scheduler: {error:#}"));
        serde_json::from_slice(&answer.body).expect("JSON")
    }

    /// The image of a revision's container `web`.
    pub(crate) fn image(&self, revision: &str) -> String {
        let known = self.ecs("DescribeTaskDefinition", json!({ "taskDefinition": revision }));
        let containers = known["taskDefinition"]["containerDefinitions"].as_array().expect("containers");
        let web = containers.iter().find(|container| container["name"] == "web").expect("web");
        text(&web["image"]).to_owned()
    }

    pub(crate) fn delete(&self, service: &str) {
        self.ecs("DeleteService", json!({ "cluster": PIPELINE, "service": service, "force": true }));
    }

    /// How many tasks of a revision run or are remembered.
    pub(crate) fn tasks_of(&self, revision: &str) -> usize {
        let arns = |status: &str| {
            let tasks = json!({ "cluster": PIPELINE, "serviceName": "web", "desiredStatus": status });
            self.ecs("ListTasks", tasks)["taskArns"].as_array().cloned().expect("a list")
        };
        let tasks = [arns("RUNNING"), arns("STOPPED")].concat();
        let tasks = self.ecs("DescribeTasks", json!({ "cluster": PIPELINE, "tasks": tasks }));
        let tasks = tasks["tasks"].as_array().expect("tasks");
        tasks.iter().filter(|task| task["taskDefinitionArn"] == revision).count()
    }

    pub(crate) fn desired(&self) -> usize {
        let desired = self.described()["desiredCount"].as_u64().expect("a number");
        usize::try_from(desired).expect("few")
    }

    pub(crate) fn set_breaker(&self, enable: bool) {
        // Room for what goes back while what fails still starts: the emulator would not look again later.
        let breaker = json!({
            "deploymentCircuitBreaker": { "enable": enable, "rollback": enable },
            "maximumPercent": 400,
        });
        self.ecs(
            "UpdateService",
            json!({ "cluster": PIPELINE, "service": "web", "deploymentConfiguration": breaker }),
        );
    }

    /// Waits until someone moves the service, and moves it elsewhere at once.
    pub(crate) fn move_once_it_moves(&self, revision: &str) {
        let (before, begun) = (self.primary(), Instant::now());
        while self.primary() == before {
            assert!(begun.elapsed() < PATIENCE, "nobody moves the service");
            std::thread::sleep(Duration::from_millis(10));
        }
        self.ecs(
            "UpdateService",
            json!({ "cluster": PIPELINE, "service": "web", "taskDefinition": revision }),
        );
    }

    /// The version that answers.
    pub(crate) fn version(&self) -> String {
        let answer = self.answer();
        let version = answer.split("version ").nth(1).and_then(|rest| rest.split_whitespace().next());
        version.unwrap_or_else(|| panic!("no version in {answer:?}")).to_owned()
    }

    /// Waits until this version answers, and no other.
    pub(crate) fn serves(&self, version: &str) {
        let begun = Instant::now();
        loop {
            let answer = self.answer();
            if answer.contains(&format!("version {version}")) {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "it serves {answer:?}, not {version}");
            std::thread::sleep(Duration::from_millis(300));
        }
    }

    fn answer(&self) -> String {
        let client = loopback::client().expect("a client");
        let answer = block_on(async { client.get(&self.url).send().await?.text().await });
        answer.unwrap_or_else(|error| error.to_string())
    }
}

/// One for all calls, which share their connections.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a runtime"));

fn block_on<T>(future: impl Future<Output = T>) -> T {
    RUNTIME.block_on(future)
}
