//! The installation: an engine in a folder of its own with the repository's tools and packaged functions,
//! used as people use it, by the `pushway` command and its HTTP API.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use pushway_aws::Aws;
use pushway_aws::account::Account;
use pushway_core::ids::RunId;
use pushway_core::ports::{Notices as _, Reconciliations as _, SubscriptionRecords as _};
use pushway_core::reconcile::GRACE;
use pushway_core::source::Hook;
use pushway_local::{Engine, Layout, Options, Running, deploy, loopback, relay, tools};
use pushway_tests::repository::root;
use pushway_tests::sim::story::parse;
use serde_json::Value;
use tempfile::TempDir;

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(90);

/// The installation; taken down in the end, whatever happens.
pub(crate) struct Installation {
    running: Running,
    outputs: BTreeMap<String, String>,
    ports: Aws,
    http: reqwest::Client,
    codecommit: String,
    folder: Folder,
}

/// The engine's folder.
struct Folder(TempDir);

impl Drop for Folder {
    fn drop(&mut self) {
        let down = Command::new(program()).args(["local", "down", "--project"]).arg(self.0.path()).output();
        assert!(down.is_ok_and(|down| down.status.success()), "the engine could not be stopped");
    }
}

fn program() -> PathBuf {
    root().join("target/debug/pushway").canonicalize().expect("built by `cargo xtask test`")
}

/// Looks until there is something to see.
pub(crate) async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(seen) = look().await {
            return seen;
        }
        assert!(begun.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

impl Installation {
    /// Deploys it where functions reach `CodeCommit` at an address.
    pub(crate) async fn start(codecommit: &str) -> Self {
        let shared = Layout::new(&root()).expect("the repository");
        tools::install(&shared, &|_| ()).await.expect("the tools");
        let folder = Folder(tempfile::tempdir().expect("a folder for the engine"));
        let engine = Engine::new(folder.0.path()).expect("an engine");
        std::fs::create_dir_all(engine.layout().root()).expect("create a folder");
        std::os::unix::fs::symlink(shared.venv(), engine.layout().venv()).expect("share the tools");
        let supervisor: [OsString; 5] = [
            program().into(),
            "local".into(),
            "supervise".into(),
            "--project".into(),
            folder.0.path().into(),
        ];
        let endpoints = BTreeMap::from([("CODECOMMIT".to_owned(), codecommit.to_owned())]);
        let options = Options { docker: false, endpoints, ..Options::default() };
        let running = engine.up(&options, &supervisor, &|_| ()).await.expect("start the engine");
        let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "x86_64" };
        let parameters = [("Architecture", architecture)];
        let template = root().join("template.yaml");
        let outputs = deploy::deploy(&running, "pushway", &template, &parameters).await.expect("deploy");
        let emulator = running.emulator().expect("a client");
        let credentials = emulator.credentials().clone();
        let account = Account::emulated(emulator.endpoint(), emulator.region(), credentials).await;
        let ports = account.ports(&outputs["TableName"]);
        let http = loopback::client().expect("a client");
        Self { running, outputs, ports, http, codecommit: codecommit.to_owned(), folder }
    }

    /// What a verb tells in JSON; it must succeed.
    pub(crate) fn pushway(&self, args: &[&str]) -> Value {
        self.pushway_with(args, &[], "")
    }

    /// The same with more in its environment, and something to read.
    pub(crate) fn pushway_with(&self, args: &[&str], environment: &[(String, String)], input: &str) -> Value {
        let mut command = self.command();
        command.arg("--json").args(args).envs(environment.iter().cloned());
        let mut child = command.stdin(Stdio::piped()).spawn().expect("start pushway");
        child.stdin.take().expect("its input").write_all(input.as_bytes()).expect("write");
        let output = child.wait_with_output().expect("its end");
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "pushway {args:?} failed with {}: {told}", output.status);
        serde_json::from_slice(&output.stdout).expect("JSON")
    }

    /// Follows a run to its end and gives it.
    pub(crate) fn ended(&self, id: &str) -> Value {
        // The exit code is the run's, which is for the caller to judge.
        self.command().args(["run", "watch", id]).output().expect("start pushway");
        let run = self.pushway(&["run", "show", id]);
        assert_eq!(run["over"], true, "run {id} does not end: {run:#}");
        run
    }

    /// The same, and it has succeeded.
    pub(crate) fn succeeded(&self, id: &str) -> Value {
        let run = self.ended(id);
        assert_eq!(run["status"], "succeeded", "{run:#}");
        run
    }

    /// The log of the runs' only job.
    pub(crate) fn log(&self, id: &str) -> String {
        let output =
            self.command().args(["run", "logs", id, "test", "unit"]).output().expect("start pushway");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn command(&self) -> Command {
        let mut command = Command::new(program());
        command.current_dir(self.folder.0.path()).stdin(Stdio::null());
        for name in ["PUSHWAY_URL", "PUSHWAY_TABLE", "PUSHWAY_WEBHOOKS"] {
            command.env_remove(name);
        }
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// The environment of someone who works with this account as with any of AWS.
    pub(crate) fn environment(&self) -> Vec<(String, String)> {
        let mut all = self.running.env().expect("the environment");
        let mut add = |name: &str, value: &str| all.push((name.to_owned(), value.to_owned()));
        add("AWS_ENDPOINT_URL_CODECOMMIT", &self.codecommit);
        add("PUSHWAY_TABLE", &self.outputs["TableName"]);
        all
    }

    /// Posts to an address as anyone may; gives status and body.
    pub(crate) async fn post(&self, url: &str, headers: &[(String, String)], body: &str) -> (u16, Value) {
        let mut request = self.http.post(url).body(body.to_owned());
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let answer = request.send().await.expect("an answer");
        let status = answer.status().as_u16();
        (status, serde_json::from_slice(&answer.bytes().await.expect("its body")).unwrap_or_default())
    }

    /// An address of the API.
    pub(crate) fn api(&self, path: &str) -> String {
        let host = self.outputs["ApiUrl"].trim_start_matches("https://");
        let id = host.split('.').next().expect("the API's id");
        format!("{}{path}", self.running.api_url(id))
    }

    /// Brings an event of AWS to the functions whose rules match it.
    pub(crate) async fn event(&self, event: &Value) {
        let emulator = self.running.emulator().expect("a client");
        assert_eq!(relay::deliver(&emulator, event).await.expect("the rules"), 1, "no rule takes {event}");
    }

    /// Wakes the sweep, as its schedule does each minute, and waits for its end.
    pub(crate) async fn sweep(&self) {
        let emulator = self.running.emulator().expect("a client");
        let call = async |method, path: &str, body: Vec<u8>| {
            let answer = emulator.rest("lambda", method, path, body, &[]).await.expect("an answer of Lambda");
            serde_json::from_slice::<Value>(&answer.body).expect("JSON")
        };
        let all = call(http::Method::GET, "/2015-03-31/functions/?MaxItems=50", Vec::new()).await;
        let names = all["Functions"].as_array().expect("functions").iter();
        let mut names = names.filter_map(|function| function["FunctionName"].as_str());
        let sweep = names.find(|name| name.contains("SweepFunction")).expect("the function sweep");
        let path = format!("/2015-03-31/functions/{sweep}/invocations");
        let swept = call(http::Method::POST, &path, b"{}".to_vec()).await;
        assert!(swept["failed"].is_u64(), "the sweep failed: {swept}");
    }

    /// Runs of a pipeline, newest first.
    pub(crate) fn runs(&self, pipeline: &str) -> Vec<Value> {
        let page = self.pushway(&["runs", "--pipeline", pipeline]);
        page["runs"].as_array().expect("runs").clone()
    }

    /// What explains a commit.
    pub(crate) fn explained(&self, commit: &str) -> Vec<Value> {
        let told = self.pushway(&["explain", "--commit", commit]);
        told["explanations"].as_array().expect("explanations").clone()
    }

    /// Lets what could not be told of a run be due now.
    pub(crate) async fn hurry_notice(&self, run: &str) {
        let mut notice = self.ports.notice(parse::<RunId>(run)).await.expect("the notice");
        if notice.next_at.is_some() {
            notice.next_at = Some(ago(1));
            notice.version += 1;
            // Whoever was faster has told it.
            let _ = self.ports.put_notice(&notice).await.expect("a write");
            self.sweep().await;
        }
    }

    /// Compares the heads of a hook's repository, as if what is missing had been so for a minute.
    pub(crate) async fn reconcile(&self, hook: &Hook) {
        if let Some(mut known) = self.ports.reconciliation(hook).await.expect("the reconciliation") {
            known.next_at = ago(1);
            known.missing.values_mut().for_each(|since| *since = ago(GRACE.as_secs() + 1));
            known.version += 1;
            let _ = self.ports.put_reconciliation(&known).await.expect("a write");
        }
        self.sweep().await;
    }

    /// Starts what was due in the last minute, as if nobody had looked since; false where nothing ever is.
    pub(crate) async fn start_due(&self, hook: &Hook) -> bool {
        let Some(mut wanted) = self.ports.subscriptions(hook).await.expect("the subscriptions") else {
            return false;
        };
        wanted.done_until = ago(60);
        wanted.version += 1;
        let _ = self.ports.put_subscriptions(&wanted).await.expect("a write");
        self.sweep().await;
        true
    }
}

fn ago(seconds: i64) -> Timestamp {
    Timestamp::now() - SignedDuration::from_secs(seconds)
}
