//! What people do with their deploys, each behaviour on the running installation: approvals, freezes, the way back,
//! and someone who deploys by hand in between.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use pushway_local::{Emulator, Engine, loopback};
use pushway_tests::repository::root;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::{Repository, contains, ended, id, output, pushway, shown, text};

/// Longer than the sweep needs to find out, which wakes each minute.
const PATIENCE: Duration = Duration::from_secs(150);
const PIPELINE: &str = "hello-ecs";

pub(crate) fn story(repository: &Repository) {
    let service = Service::of_the_demo();
    let approved = approval_of_a_push_is_void_once_a_newer_one_asks(repository, &service);
    people_go_back_and_freezes_hold_back_what_is_new(repository, &service, &approved);
    who_deploys_by_hand_in_between_is_noticed(repository, &service);
    an_image_that_does_not_exist_is_rolled_back_at_once(repository, &service);
    what_keeps_exiting_is_not_waited_for_though_no_breaker_watches(repository, &service);
    two_pipelines_take_turns_at_one_service(repository, &service);
}

/// Pushes a version; gives the run's id.
fn begin(repository: &Repository, version: &str) -> String {
    std::fs::write(repository.folder.join("VERSION"), format!("{version}\n")).expect("write");
    repository.begin(&format!("version {version}"))
}

fn approval_of_a_push_is_void_once_a_newer_one_asks(repository: &Repository, service: &Service) -> String {
    let (without, with) = ("  - name: production\n", "  - name: production\n    approval: { timeout: 1h }\n");
    repository.edit("pushway.yml", without, with);
    let older = begin(repository, "1.3.0");
    until(&older, |run| run["environments"][0]["approval"].is_object());
    let newer = begin(repository, "1.4.0");
    until(&newer, |run| run["environments"][0]["approval"].is_object());
    let voided = ended(&older);
    assert_eq!((text(&voided["status"]), text(&voided["superseded_by"])), ("superseded", newer.as_str()));
    assert!(!pushway(&["approve", &older, "production"]).status.success(), "what is void was approved");

    let waiting: Value = serde_json::from_str(&output(&["approvals", "--json"])).expect("JSON");
    let [waiting] = waiting["approvals"].as_array().expect("a list").as_slice() else {
        panic!("{waiting:#}")
    };
    assert_eq!(text(&waiting["run_id"]), newer);
    let request = &waiting["approval"]["request"];
    let images = |of: &Value| text(&of["images"]["web"]).rsplit('@').next().unwrap_or_default().to_owned();
    assert_eq!(images(&request["serving"]), service.digest(), "it shows what serves");
    assert_ne!(images(request), images(&request["serving"]));
    contains(&request["pushes"], "version 1.3.0");

    output(&["approve", &newer, "--comment", "seen it"]);
    let run = ended(&newer);
    assert_eq!(run["status"], "succeeded", "{run:#}");
    service.serves("1.4.0");
    assert_eq!(service.digest(), images(request), "what was approved is what is deployed");
    repository.edit("pushway.yml", with, without);
    newer
}

fn people_go_back_and_freezes_hold_back_what_is_new(
    repository: &Repository,
    service: &Service,
    before: &str,
) {
    let run = rolled_back(&["--reason", "the colours are wrong"]);
    service.serves("1.2.0");
    assert_eq!(run["jobs"], json!([]), "nothing is built for a rollback");
    assert_eq!(run["source"]["trigger"]["reason"], "the colours are wrong");

    output(&["env", "freeze", PIPELINE, "production", "--reason", "sale until Monday"]);
    let frozen = begin(repository, "1.5.0");
    until(&frozen, |run| run["environments"][0]["blocked"].is_string());
    let told = output(&["run", "show", &frozen]);
    assert!(told.contains("sale until Monday"), "{told}");
    // The way back stays open.
    rolled_back(&["--reason", "they were right after all", "--to", before]);
    service.serves("1.4.0");
    let told = output(&["env", "show", PIPELINE, "production"]);
    assert!(told.contains("sale until Monday") && told.contains(before), "{told}");
    output(&["env", "unfreeze", PIPELINE, "production"]);
    let run = ended(&frozen);
    assert_eq!(run["status"], "succeeded", "{run:#}");
    service.serves("1.5.0");
}

fn who_deploys_by_hand_in_between_is_noticed(repository: &Repository, service: &Service) {
    // A revision of someone's own: neither ours nor what served before.
    let theirs = service.register_copy();
    let meddling = {
        let (service, theirs) = (service.clone(), theirs.clone());
        std::thread::spawn(move || service.move_once_it_moves(&theirs))
    };
    let run = ended(&begin(repository, "1.6.0"));
    meddling.join().expect("someone deployed by hand");
    assert_eq!(run["status"], "failed", "{run:#}");
    contains(&run["cause"]["summary"], "someone else has started deployment");
    assert_eq!(service.primary(), theirs, "nobody takes back what a person has done");
    service.serves("1.5.0");
    // The next push goes over it.
    let run = ended(&begin(repository, "1.7.0"));
    assert_eq!(run["status"], "succeeded", "{run:#}");
    service.serves("1.7.0");
}

fn an_image_that_does_not_exist_is_rolled_back_at_once(repository: &Repository, service: &Service) {
    let (real, absent) = (
        "IMAGE=$(sh ci/push-image.sh)",
        "IMAGE=$(sh ci/push-image.sh | sed 's/sha256:.*/sha256:0000000000000000000000000000000000000000000000000000000000000000/')",
    );
    repository.edit("buildspec.yml", real, absent);
    let run = ended(&begin(repository, "1.8.0"));
    assert_eq!(run["status"], "rolled_back", "{run:#}");
    contains(&run["environments"][0]["deploy"]["failure"]["kind"], "image_unavailable");
    service.serves("1.7.0");
    repository.edit("buildspec.yml", absent, real);
}

fn what_keeps_exiting_is_not_waited_for_though_no_breaker_watches(
    repository: &Repository,
    service: &Service,
) {
    service.set_breaker(false);
    let (serves, exits) = ("CMD [\"serve\"]", "CMD [\"server\"]");
    repository.edit("Dockerfile", serves, exits);
    let run = ended(&begin(repository, "1.9.0"));
    assert_eq!(run["status"], "rolled_back", "{run:#}");
    contains(&run["environments"][0]["deploy"]["failure"]["kind"], "keeps_exiting");
    contains(&run["cause"]["summary"], "exited with code 2");
    assert_eq!(run["environments"][0]["rollback"]["outcome"]["by"], "pushway", "{run:#}");
    service.serves("1.7.0");
    repository.edit("Dockerfile", exits, serves);
    service.set_breaker(true);
}

fn two_pipelines_take_turns_at_one_service(repository: &Repository, service: &Service) {
    let path = repository.folder.join("pushway.yml");
    let first = std::fs::read_to_string(&path).expect("read");
    let folder = repository.folder.join(".pushway");
    std::fs::create_dir_all(&folder).expect("create");
    std::fs::write(folder.join("a.yml"), &first).expect("write");
    let second =
        first.replace("pipeline: hello-ecs", "pipeline: second").replace("name: production", "name: live");
    std::fs::write(folder.join("b.yml"), second).expect("write");
    std::fs::remove_file(&path).expect("remove");
    let one = ended(&begin(repository, "2.0.0"));
    let commit = text(&one["source"]["commit"]);
    let explained: Value =
        serde_json::from_str(&output(&["explain", "--commit", commit, "--json"])).expect("JSON");
    let explained = explained["explanations"].as_array().expect("explanations");
    let runs: Vec<Value> = explained.iter().map(|told| ended(text(&told["run"]))).collect();
    assert_eq!(runs.len(), 2, "{explained:#?}");
    let mut held: Vec<(String, String)> = runs
        .iter()
        .map(|run| {
            assert_eq!(run["status"], "succeeded", "{run:#}");
            let journal = output(&["run", "watch", &id(run), "--json"]);
            let at = |wanted: &str| {
                let mut entries = journal.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
                let entry = entries.find(|entry| entry["fact"]["fact"] == wanted).expect("the fact");
                text(&entry["at"]).to_owned()
            };
            (at("lock_taken"), at("validated"))
        })
        .collect();
    held.sort();
    assert!(held[0].1 <= held[1].0, "both were at the service at once: {held:?}");
    service.serves("2.0.0");
    std::fs::remove_dir_all(&folder).expect("remove");
    std::fs::write(&path, first).expect("write");
}

/// Rolls back, and gives the run, which must succeed.
fn rolled_back(args: &[&str]) -> Value {
    let started = output(&[&["rollback", PIPELINE, "production"], args].concat());
    let run = ended(started.trim());
    assert_eq!(run["status"], "succeeded", "{run:#}");
    assert_eq!(id(&run), started.trim());
    run
}

/// Looks at a run until there is something to see.
fn until(run: &str, seen: impl Fn(&Value) -> bool) {
    let begun = Instant::now();
    loop {
        let shown = shown(run);
        if seen(&shown) {
            return;
        }
        assert!(begun.elapsed() < PATIENCE && shown["over"] != true, "it never came: {shown:#}");
        std::thread::sleep(Duration::from_millis(300));
    }
}

/// The demo's service, as its orchestrator and its load balancer show it.
#[derive(Clone)]
struct Service {
    emulator: Emulator,
    url: String,
}

impl Service {
    fn of_the_demo() -> Self {
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
    fn primary(&self) -> String {
        let service = self.described();
        let mut deployments = service["deployments"].as_array().expect("deployments").iter();
        let primary =
            deployments.find(|deployment| deployment["status"] == "PRIMARY").expect("a primary one");
        text(&primary["taskDefinition"]).to_owned()
    }

    /// The digest of the image that runs; all tasks must agree.
    fn digest(&self) -> String {
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
    fn register_copy(&self) -> String {
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
        text(&self.ecs("RegisterTaskDefinition", copy)["taskDefinition"]["taskDefinitionArn"]).to_owned()
    }

    fn set_breaker(&self, enable: bool) {
        let breaker = json!({ "deploymentCircuitBreaker": { "enable": enable, "rollback": enable } });
        self.ecs(
            "UpdateService",
            json!({ "cluster": PIPELINE, "service": "web", "deploymentConfiguration": breaker }),
        );
    }

    /// Waits until someone moves the service, and moves it elsewhere at once.
    fn move_once_it_moves(&self, revision: &str) {
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

    /// Waits until this version answers, and no other.
    fn serves(&self, version: &str) {
        let begun = Instant::now();
        loop {
            let client = loopback::client().expect("a client");
            let answer = block_on(async { client.get(&self.url).send().await?.text().await });
            let answer = answer.unwrap_or_else(|error| error.to_string());
            if answer.contains(&format!("version {version}")) {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "it serves {answer:?}, not {version}");
            std::thread::sleep(Duration::from_millis(300));
        }
    }
}

/// One for all calls, which share their connections.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a runtime"));

fn block_on<T>(future: impl Future<Output = T>) -> T {
    RUNTIME.block_on(future)
}
