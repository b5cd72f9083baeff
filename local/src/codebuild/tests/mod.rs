//! The worker as its users meet it: over HTTP, with real git, real shells and real processes.
//!
//! Only the emulator is a stand-in, for the six services a build asks.

mod artifacts;
mod attacks;
mod builds;
mod limits;

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use aws_credential_types::Credentials;
use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, Method, StatusCode, Uri},
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::mpsc, task::JoinHandle};

use super::{Config, Limits};
use crate::Emulator;

/// What the stand-in was told.
#[derive(Default)]
struct Told {
    lines: Mutex<Vec<String>>,
    batches: Mutex<Vec<usize>>,
    others: Mutex<Vec<String>>,
    /// What was put into buckets: path, and text.
    objects: Mutex<Vec<(String, String)>>,
}

struct World {
    folder: tempfile::TempDir,
    worker: Emulator,
    told: Arc<Told>,
    events: mpsc::Receiver<Value>,
    server: JoinHandle<anyhow::Result<()>>,
}

impl Drop for World {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn small_limits() -> Limits {
    Limits { log_bytes: 2 * 1024 * 1024, ..Limits::default() }
}

impl World {
    async fn new() -> Self {
        Self::within(small_limits()).await
    }

    async fn within(limits: Limits) -> Self {
        Self::with(limits, Vec::new()).await
    }

    /// A world whose builds find programs in these folders first.
    async fn with(limits: Limits, path: Vec<PathBuf>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let told = Arc::new(Told::default());
        let service = Router::new().fallback(emulate).with_state(Arc::clone(&told));
        let emulator_listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let emulator = client(&emulator_listener);
        tokio::spawn(async move { axum::serve(emulator_listener, service).await });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let worker = client(&listener);
        let (sender, events) = mpsc::channel(100);
        let config = Config {
            emulator,
            events: sender,
            work_dir: folder.path().join("builds"),
            path,
            // No engine listens there: every build runs in a shell.
            docker_host: Some("unix:///nonexistent/docker.sock".to_owned()),
        };
        let server = tokio::spawn(super::serve_within(listener, config, limits));
        Self { folder, worker, told, events, server }
    }

    async fn call(&self, operation: &str, body: Value) -> anyhow::Result<Value> {
        self.worker.json("codebuild", &format!("CodeBuild_20161006.{operation}"), body).await
    }

    async fn refused(&self, operation: &str, body: Value) -> (String, String) {
        let error = self.call(operation, body).await.unwrap_err();
        let error = error.downcast::<crate::AwsError>().unwrap();
        (error.code, error.message)
    }

    async fn start(&self, body: Value) -> String {
        let build = self.call("StartBuild", body).await.unwrap()["build"].clone();
        assert_eq!(build["buildStatus"], "IN_PROGRESS");
        assert_eq!(build["currentPhase"], "QUEUED");
        build["id"].as_str().unwrap().to_owned()
    }

    async fn get(&self, id: &str) -> Value {
        self.call("BatchGetBuilds", json!({"ids": [id]})).await.unwrap()["builds"][0].clone()
    }

    /// The build when `is_so` first holds.
    async fn when(&self, id: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let begin = Instant::now();
        loop {
            let build = self.get(id).await;
            if is_so(&build) {
                return build;
            }
            assert!(begin.elapsed() < Duration::from_secs(15), "waited too long: {build:#}\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn ended(&self, id: &str) -> Value {
        self.when(id, |build| build["buildComplete"] == true).await
    }

    /// Runs the inline `buildspec` without a source to its end.
    async fn run(&self, buildspec: &str) -> Value {
        let id = self.start(inline(buildspec)).await;
        self.ended(&id).await
    }

    fn log(&self) -> String {
        self.told.lines.lock().unwrap().join("\n")
    }

    /// A repository with `files` in one commit on `main`, and the commit.
    fn repository(&self, files: &[(&str, &str)]) -> (PathBuf, String) {
        let path = self.folder.path().join("repository");
        std::fs::create_dir_all(&path).unwrap();
        git(&path, &["init", "--quiet", "--initial-branch=main"]);
        for (name, text) in files {
            let file = path.join(name);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, text).unwrap();
        }
        git(&path, &["add", "--all"]);
        git(
            &path,
            &["-c", "user.name=T", "-c", "user.email=t@example.com", "commit", "--quiet", "-m", "one"],
        );
        let commit = git(&path, &["rev-parse", "HEAD"]);
        (path, commit)
    }
}

fn inline(buildspec: &str) -> Value {
    json!({"projectName": "web", "sourceTypeOverride": "NO_SOURCE", "buildspecOverride": buildspec})
}

fn client(listener: &TcpListener) -> Emulator {
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    Emulator::new(&endpoint, "eu-west-1", Credentials::from_keys("test", "test", None)).unwrap()
}

fn git(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git").arg("-C").arg(folder).args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// The phases as `NAME STATUS`.
fn phases(build: &Value) -> Vec<String> {
    let phases = build["phases"].as_array().unwrap().iter();
    phases
        .map(|phase| {
            let text = |name: &str| phase[name].as_str().unwrap_or_default().to_owned();
            format!("{} {}", text("phaseType"), text("phaseStatus")).trim().to_owned()
        })
        .collect()
}

/// The context of the phase `name`.
fn context(build: &Value, name: &str) -> (String, String) {
    let phase = build["phases"].as_array().unwrap().iter().find(|phase| phase["phaseType"] == name).unwrap();
    let text = |field: &str| phase["contexts"][0][field].as_str().unwrap().to_owned();
    (text("statusCode"), text("message"))
}

/// The emulator's part: projects, logs, sessions, parameters, secrets, buckets.
async fn emulate(
    State(told): State<Arc<Told>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, String) {
    if method == Method::PUT {
        // Only the build's own role writes there.
        assert!(headers.contains_key("x-amz-security-token") && headers.contains_key("x-amz-content-sha256"));
        let text = String::from_utf8(body.to_vec()).unwrap();
        told.objects.lock().unwrap().push((uri.path().to_owned(), text));
        return (StatusCode::OK, String::new());
    }
    let target =
        headers.get("x-amz-target").and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    if target.is_empty() {
        let is_role = body.starts_with(b"Action=GetRole&");
        assert!(is_role || body.starts_with(b"Action=AssumeRole&"), "{body:?}");
        return (StatusCode::OK, if is_role { role() } else { session() });
    }
    let is_session = headers.contains_key("x-amz-security-token");
    let input: Value = serde_json::from_slice(&body).unwrap();
    let refused =
        |kind: &str| (StatusCode::BAD_REQUEST, json!({"__type": kind, "message": kind}).to_string());
    let answer = match target.rsplit('.').next().unwrap() {
        "BatchGetProjects" if input["names"][0] == "web" => json!({"projects": [project()]}),
        "BatchGetProjects" => json!({"projects": [], "projectsNotFound": input["names"]}),
        "CreateLogStream" if told.others.lock().unwrap().is_empty() => {
            told.others.lock().unwrap().push(target);
            return refused("ResourceNotFoundException");
        }
        "PutLogEvents" => {
            let events = input["logEvents"].as_array().unwrap();
            let lines = events.iter().map(|event| event["message"].as_str().unwrap().to_owned());
            let lines: Vec<String> = lines.collect();
            let size = lines.iter().map(|line| line.len() + 26).sum();
            told.batches.lock().unwrap().push(size);
            assert!(size <= 1_048_576 && lines.len() <= 10_000, "{size} {}", lines.len());
            told.lines.lock().unwrap().extend(lines);
            json!({})
        }
        "GetParameter" if is_session => json!({"Parameter": {"Value": "from-parameter"}}),
        "GetSecretValue" if is_session => json!({"SecretString": r#"{"token":"hush-hush"}"#}),
        _ => {
            told.others.lock().unwrap().push(target);
            json!({})
        }
    };
    (StatusCode::OK, answer.to_string())
}

fn role() -> String {
    let trust = r#"{"Statement":[{"Effect":"Allow","Principal":{"Service":"codebuild.amazonaws.com"}}]}"#;
    let encoded: String = url::form_urlencoded::byte_serialize(trust.as_bytes()).collect();
    format!(
        "<GetRoleResponse><GetRoleResult><Role><RoleName>web</RoleName><AssumeRolePolicyDocument>{encoded}\
         </AssumeRolePolicyDocument></Role></GetRoleResult></GetRoleResponse>"
    )
}

fn session() -> String {
    "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult><Credentials>\
     <AccessKeyId>ASIAROLE</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>\
     <Expiration>2030-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>"
        .to_owned()
}

fn project() -> Value {
    json!({
        "name": "web",
        "arn": "arn:aws:codebuild:eu-west-1:000000000000:project/web",
        "source": {"type": "NO_SOURCE"},
        "sourceVersion": "",
        "artifacts": {"type": "NO_ARTIFACTS"},
        "environment": {
            "type": "LINUX_CONTAINER",
            "image": "aws/codebuild/standard:7.0",
            "computeType": "BUILD_GENERAL1_SMALL",
            "environmentVariables": [{"name": "FROM", "value": "project", "type": "PLAINTEXT"}],
            "privilegedMode": "false",
        },
        "serviceRole": "arn:aws:iam::000000000000:role/web",
        "timeoutInMinutes": 60,
        "created": 1_700_000_000,
    })
}
