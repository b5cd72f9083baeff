//! The end-to-end story, on the emulator with IAM enforced: the demo as a user runs it, then the bad input that a
//! user makes, then what people do with their deploys. Real pushes, real functions, real containers.
//!
//! One test, because it is one installation: the demo brings it up, the rest uses it, the end takes it down.
//! `cargo xtask test` builds the programs that it uses.

mod artifacts;
mod deploys;
mod failures;
mod kills;
mod pages;
mod scheduled;
mod service;

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use pushway_tests::repository::root;
use serde_json::Value;

use service::Service;

/// Longer than the sweep needs to find out, which wakes each minute.
const PATIENCE: Duration = Duration::from_secs(150);

#[test]
fn pushes_become_verified_deployments_or_honest_failures() {
    let engine = Engine::start();
    let repository = Repository { folder: root().join(".pushway/demo/hello-ecs") };

    // A branch nobody asked for: a run that ends at once, names the rule, and is not listed.
    repository.git(&["switch", "--quiet", "--create", "feature/x"]);
    let run = repository.push("work on a branch");
    assert_eq!(run["status"], "ignored", "{run:#}");
    contains(&run["ignored_by"], "branch feature/x matches none of on.push.branches");
    assert!(!listed().contains(&id(&run)), "an ignored run is listed");

    // The branch deleted again: told to the pusher, and no run.
    let before = listed();
    let told = repository.git(&["push", "pushway", "--delete", "feature/x"]);
    assert!(told.contains("refs/heads/feature/x was deleted; there is nothing to run"), "{told}");
    repository.git(&["switch", "--quiet", "main"]);
    repository.git(&["reset", "--quiet", "--hard", "HEAD"]);
    repository.edit("VERSION", "next", "1.2.0");

    // A wrong pipeline file: where and what, with a hint, visible in the run.
    repository.edit("pushway.yml", "buildspec: buildspec.yml", "buildspek: buildspec.yml");
    let run = repository.push("a typing error in the pipeline file");
    assert_eq!(run["status"], "rejected", "{run:#}");
    contains(&run["cause"]["summary"], "pushway.yml:7:");
    contains(&run["cause"]["evidence"], "buildspec");
    repository.edit("pushway.yml", "buildspek: buildspec.yml", "buildspec: ci/absent.yml");
    let run = repository.push("a buildspec that is not there");
    assert_eq!(run["status"], "rejected", "{run:#}");
    contains(&run["cause"]["summary"], "the commit has no buildspec \"ci/absent.yml\"");
    repository.edit("pushway.yml", "buildspec: ci/absent.yml", "buildspec: buildspec.yml");
    repository.git(&["mv", "pushway.yml", "elsewhere.yml"]);
    let run = repository.push("no pipeline file");
    assert_eq!(run["status"], "rejected", "{run:#}");
    contains(&run["cause"]["advice"], "add a pushway.yml");
    repository.git(&["mv", "elsewhere.yml", "pushway.yml"]);

    // A build that fails, and one that keeps no promise.
    repository.edit(
        "buildspec.yml",
        "IMAGE=$(sh ci/push-image.sh)",
        "echo the compiler is on strike && exit 3",
    );
    let run = repository.push("a build that fails");
    assert_eq!(run["status"], "failed", "{run:#}");
    contains(&run["cause"]["stage"], "build/image");
    contains(&run["cause"]["evidence"], "the compiler is on strike");
    let log = output(&["run", "logs", &id(&run), "build", "image"]);
    assert!(log.contains("the compiler is on strike"), "{log}");
    repository.edit("buildspec.yml", "echo the compiler is on strike && exit 3", "IMAGE=web:latest");
    let run = repository.push("an image by tag");
    assert_eq!(run["status"], "failed", "{run:#}");
    contains(&run["cause"]["summary"], "give the image by digest");
    repository.edit("buildspec.yml", "IMAGE=web:latest", "IMAGE=$(sh ci/push-image.sh)");

    // A service that is not there: nothing is built for it.
    repository.edit("pushway.yml", "service: web", "service: wep");
    let run = repository.push("a service that does not exist");
    assert_eq!(run["status"], "rejected", "{run:#}");
    contains(&run["cause"]["summary"], "has no active service \"wep\"");
    repository.edit("pushway.yml", "service: wep", "service: web");

    // A forged delivery: refused, and no run.
    let before_forging = listed();
    let told = forge(repository.git(&["rev-parse", "HEAD"]).trim());
    assert!(told.contains("401"), "{told}");
    assert_eq!(listed(), before_forging, "a forged delivery made a run");

    // And after all that a good push is as good as ever, and nobody has left a lock behind.
    let run = repository.push("a good version");
    assert_eq!(run["status"], "succeeded", "{run:#}");
    assert!(!run["findings"].to_string().contains("could not be looked at"), "{run:#}");
    assert!(listed().len() > before.len());

    deploy(&repository, &engine.address);
}

fn deploy(repository: &Repository, address: &str) {
    let service = Service::of_the_demo();
    deploys::story(repository, &service);
    failures::story(repository, &service);
    kills::story(repository, &service);
    scheduled::a_push_brings_a_rules_and_a_schedules_task_its_image(repository, &service);
    pages::story(repository, &service, address);
}

/// The installation that the demo has left running; taken down in the end, whatever happens.
struct Engine {
    /// Where the API and the dashboard are.
    address: String,
}

impl Engine {
    fn start() -> Self {
        let mut engine = Self { address: String::new() };
        let output = run(Command::new("target/debug/xtask").args(["demo", "--no-build", "--json", "--keep"]));
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "the demo failed with {}:\n{told}", output.status);
        assert!(told.contains("Pushway itself"), "the demo does not say where the time went:\n{told}");
        let address = told.lines().find_map(|line| line.strip_prefix("Pushway runs on this machine: "));
        engine.address = address.expect("the demo says where it runs").trim().into();
        let summary: Value =
            serde_json::from_slice(&output.stdout).expect("one JSON document on standard output");
        let scenes = summary["scenes"].as_array().expect("scenes");
        let statuses: Vec<String> = scenes
            .iter()
            .map(|scene| format!("{} {}", text(&scene["name"]), text(&scene["status"])))
            .collect();
        assert_eq!(
            statuses,
            [
                "a: first version succeeded",
                "b: second version succeeded",
                "c: exits at once rolled_back",
                "c: fails its health check rolled_back",
                "d: unit test fails failed",
            ]
        );
        // (e): the second delivery of (b) made no run, so the history holds the five, newest first.
        let history: Vec<&str> =
            summary["history"]["runs"].as_array().expect("runs").iter().map(|run| text(&run["id"])).collect();
        let pushed: Vec<&str> = scenes.iter().rev().map(|scene| text(&scene["run"])).collect();
        assert_eq!(history, pushed);
        engine
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        pushway(&["local", "down"]);
    }
}

/// What a command prints that must succeed.
fn output(args: &[&str]) -> String {
    let output = pushway(args);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "pushway {args:?} failed with {}: {told}", output.status);
    String::from_utf8(output.stdout).expect("UTF-8")
}

fn listed() -> Vec<String> {
    let page = output(&["runs", "--limit", "100", "--json"]);
    let page: Value = serde_json::from_str(&page).expect("JSON");
    page["runs"].as_array().expect("runs").iter().map(id).collect()
}

/// Delivers a push as someone would who does not know the secret; gives what he is told.
fn forge(head: &str) -> String {
    let folder = root().canonicalize().expect("the repository").join(".pushway/git");
    let config =
        std::fs::read_to_string(folder.join("hello-ecs.hook.json")).expect("the hook's configuration");
    let mut config: Value = serde_json::from_str(&config).expect("JSON");
    config["secret"] = "a guess".into();
    let forged = folder.join("forged.json");
    std::fs::write(&forged, config.to_string()).expect("write");
    std::fs::set_permissions(&forged, std::fs::Permissions::from_mode(0o600)).expect("chmod");
    let program = root().canonicalize().expect("the repository").join("target/debug/pushway");
    let mut hook = Command::new(program);
    hook.args(["hook", "post-receive", "--config"]).arg(&forged).current_dir(folder.join("hello-ecs.git"));
    hook.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut hook = hook.spawn().expect("start the hook");
    let line = format!("{} {head} refs/heads/main\n", "0".repeat(40));
    hook.stdin.take().expect("its input").write_all(line.as_bytes()).expect("write");
    let output = hook.wait_with_output().expect("its end");
    assert!(!output.status.success(), "a forged delivery was taken");
    // It is kept, for a wrong secret may be mended; this one is not to be sent with the right one later.
    std::fs::remove_dir_all(folder.join("hello-ecs.git/pushway/spool")).expect("the spool");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The demo's repository, in a user's hands.
struct Repository {
    folder: PathBuf,
}

impl Repository {
    /// Commits everything, pushes, waits for the run to end and gives it.
    fn push(&self, message: &str) -> Value {
        ended(&self.begin(message))
    }

    /// Commits everything and pushes; gives the run's id.
    fn begin(&self, message: &str) -> String {
        self.git(&["add", "--all"]);
        let author = ["-c", "user.name=Story", "-c", "user.email=story@pushway.invalid"];
        self.git(&[&author[..], &["commit", "--quiet", "--allow-empty", "--message", message]].concat());
        let output = pushway(&["local", "push", self.folder.to_str().expect("UTF-8")]);
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "the push of {message:?} failed: {told}");
        let run = told.split("Pushway: run ").nth(1).and_then(|rest| rest.split(' ').next());
        run.unwrap_or_else(|| panic!("the push of {message:?} started no run: {told}")).to_owned()
    }

    fn edit(&self, file: &str, old: &str, new: &str) {
        let path = self.folder.join(file);
        let text = std::fs::read_to_string(&path).expect("read");
        assert!(text.contains(old), "{file} has no {old:?}:\n{text}");
        std::fs::write(path, text.replacen(old, new, 1)).expect("write");
    }

    /// Runs git; gives what it told.
    fn git(&self, args: &[&str]) -> String {
        let output = run(Command::new("git").arg("-C").arg(&self.folder).args(args));
        let told =
            format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "git {args:?} failed: {told}");
        told
    }
}

/// Follows a run to its end and gives it.
fn ended(run: &str) -> Value {
    // The exit code is the run's, which is for the caller to judge.
    pushway(&["run", "watch", run]);
    let shown = shown(run);
    assert_eq!(shown["over"], true, "run {run} does not end: {shown:#}");
    shown
}

/// Pushes a version; gives the run's id.
fn begin(repository: &Repository, version: &str) -> String {
    std::fs::write(repository.folder.join("VERSION"), format!("{version}\n")).expect("write");
    repository.begin(&format!("version {version}"))
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

/// A run as it is.
fn shown(run: &str) -> Value {
    serde_json::from_str(&output(&["run", "show", run, "--json"])).expect("JSON")
}

fn pushway(args: &[&str]) -> Output {
    run(Command::new(Path::new("target/debug/pushway")).args(args))
}

fn run(command: &mut Command) -> Output {
    command
        .current_dir(root())
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

fn id(run: &Value) -> String {
    text(&run["id"]).to_owned()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("not a text: {value}"))
}

fn contains(value: &Value, wanted: &str) {
    let whole = value.to_string().replace("\\\"", "\"");
    assert!(whole.contains(wanted), "no {wanted:?} in {whole}");
}
