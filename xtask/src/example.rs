//! The demo's own copy of `examples/hello-ecs`: a git repository that is edited, committed and pushed as a
//! user would, and the infrastructure it is deployed to.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};
use pushway_local::{Engine, Running, deploy};
use serde_json::{Value, json};

use crate::process::{command, read, run, say};
use crate::root;

/// The example's name: folder, stack, cluster, repository.
const NAME: &str = "hello-ecs";
/// Who commits in the demo.
const AUTHOR: [&str; 4] = ["-c", "user.name=Pushway demo", "-c", "user.email=demo@pushway.invalid"];

/// The example, ready to be pushed.
pub(crate) struct Example {
    folder: PathBuf,
    running: Running,
    environment: BTreeMap<String, String>,
    url: String,
}

impl Example {
    /// Copies the example, creates its infrastructure, and lets a version 0.9.0 of it run there.
    pub(crate) async fn prepare(
        engine: &Engine,
        environment: BTreeMap<String, String>,
    ) -> anyhow::Result<Self> {
        let running = engine.running()?;
        let folder = engine.layout().root().join("demo").join(NAME);
        // The copy and its remote are the demo's own: what an earlier demo has pushed is not built upon.
        for old in [&folder, &running.layout.git().join(format!("{NAME}.git"))] {
            if old.exists() {
                fs::remove_dir_all(old).with_context(|| format!("remove {}", old.display()))?;
            }
        }
        fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
        let from = root().join("examples").join(NAME);
        run(Command::new("cp").arg("-R").arg(from.join(".")).arg(&folder))?;
        let _absent = fs::remove_dir_all(folder.join("target"));
        say("creating the example's infrastructure, with version 0.9.0 of the service on it");
        let template = folder.join("infrastructure.yaml");
        deploy::deploy(&running, NAME, &template, &[]).await?;
        let mut example = Self { folder, running, environment, url: String::new() };
        example.write("VERSION", "0.9.0\n")?;
        example.git(&["init", "--quiet", "--initial-branch=main"])?;
        example.write(".gitignore", "/target\n")?;
        example.commit("start with 0.9.0")?;
        let mut image = command(&example.folder, "sh", &["ci/push-image.sh"]);
        image.envs(&example.environment);
        image.env("PATH", example.path()?);
        let image = read(&mut image)?;
        let parameters = [("Image", image.trim())];
        let outputs = deploy::deploy(&example.running, NAME, &template, &parameters).await?;
        let balancer = outputs.get("LoadBalancerName").context("the example's stack has no load balancer")?;
        // The emulator serves load balancers under a path of its own address.
        example.url = format!("http://127.0.0.1:{}/_alb/{balancer}/", example.running.port());
        example.replace("pushway.yml", "http://hello-ecs.example.com/", &example.url.clone())?;
        Ok(example)
    }

    /// Replaces text in a file; it must be there.
    pub(crate) fn replace(&self, file: &str, old: &str, new: &str) -> anyhow::Result<()> {
        let path = self.folder.join(file);
        let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        if !text.contains(old) {
            bail!("{file} of the example has no {old:?} any more; the demo must follow it");
        }
        self.write(file, &text.replacen(old, new, 1))
    }

    /// Writes a file.
    pub(crate) fn write(&self, file: &str, text: &str) -> anyhow::Result<()> {
        let path = self.folder.join(file);
        fs::write(&path, text).with_context(|| format!("write {}", path.display()))
    }

    /// Commits everything.
    pub(crate) fn commit(&self, message: &str) -> anyhow::Result<()> {
        self.git(&["add", "--all"])?;
        let commit = [&AUTHOR[..], &["commit", "--quiet", "--allow-empty", "--message", message]].concat();
        self.git(&commit)
    }

    /// The commit that is checked out.
    pub(crate) fn head(&self) -> anyhow::Result<String> {
        Ok(read(&mut command(&self.folder, "git", &["rev-parse", "HEAD"]))?.trim().to_owned())
    }

    /// Where the repository is.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Runs the remote's post-receive hook again for a push that was delivered before.
    pub(crate) fn deliver_again(&self, before: &str, after: &str) -> anyhow::Result<String> {
        use std::io::Write as _;
        let remote = self.running.layout.git().join(format!("{NAME}.git"));
        let mut hook = command::<&str>(&remote, remote.join("hooks/post-receive"), &[]);
        hook.env("GIT_DIR", ".").stdin(std::process::Stdio::piped());
        hook.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
        let mut child = hook.spawn().context("start the post-receive hook")?;
        if let Some(mut input) = child.stdin.take() {
            writeln!(input, "{before} {after} refs/heads/main")?;
        }
        let output = child.wait_with_output()?;
        Ok(String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    }

    /// What the service answers through its load balancer.
    pub(crate) async fn served(&self) -> anyhow::Result<String> {
        let answer = pushway_local::loopback::client()?
            .get(&self.url)
            .send()
            .await
            .context("ask the load balancer")?;
        Ok(answer.text().await?)
    }

    /// The digests of the images that the service's tasks run.
    pub(crate) async fn running_digests(&self) -> anyhow::Result<Vec<String>> {
        let emulator = self.running.emulator()?;
        let call = async |operation: &str, body: Value| {
            emulator.json("ecs", &format!("AmazonEC2ContainerServiceV20141113.{operation}"), body).await
        };
        let tasks =
            call("ListTasks", json!({ "cluster": NAME, "serviceName": "web", "desiredStatus": "RUNNING" }))
                .await?;
        let tasks = call("DescribeTasks", json!({ "cluster": NAME, "tasks": tasks["taskArns"] })).await?;
        let containers =
            tasks["tasks"].as_array().into_iter().flatten().filter_map(|task| task["containers"].as_array());
        Ok(containers
            .flatten()
            .filter_map(|container| Some(container["imageDigest"].as_str()?.to_owned()))
            .collect())
    }

    fn git(&self, args: &[&str]) -> anyhow::Result<()> {
        run(&mut command(&self.folder, "git", args))
    }

    /// The tools' own folder first: `aws` is there.
    fn path(&self) -> anyhow::Result<std::ffi::OsString> {
        let own = std::env::var_os("PATH").unwrap_or_default();
        let folders = std::iter::once(self.running.layout.venv_bin()).chain(std::env::split_paths(&own));
        Ok(std::env::join_paths(folders)?)
    }
}
