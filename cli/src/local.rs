//! `pushway local up|down|status|push|logs`: the whole installation on this machine.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use pushway_core::source::Provider;
use pushway_local::engine::Phase;
use pushway_local::{Engine, Options, Running, Status, deploy, git};
use serde_json::json;
use url::Url;

use crate::installation::{Laptop, address, hook_id};
use crate::{connect, hook, output};

/// Name of the installation's stack on the laptop.
pub(crate) const STACK: &str = "pushway";
/// The name of the remote that `push` adds to a repository.
const REMOTE: &str = "pushway";

/// What to do with the laptop engine of a folder.
#[derive(clap::Subcommand)]
pub(crate) enum Verb {
    /// Start it and deploy the installation to it; what runs already is kept.
    #[command(after_help = "Example: pushway local up")]
    Up(Project),
    /// Stop it and clean up after it.
    #[command(after_help = "Example: pushway local down")]
    Down(Project),
    /// Say what runs and where.
    #[command(after_help = "Example: pushway local status")]
    Status(Project),
    /// Push the current branch of a repository to it, which starts a run.
    #[command(after_help = "Example: pushway local push ../web")]
    Push(Push),
    /// Print what the engine's parts have logged.
    #[command(after_help = "Example: pushway local logs")]
    Logs(Logs),
    /// Own the engine's processes. `up` starts it.
    #[command(hide = true)]
    Supervise(Project),
}

/// Which folder's engine.
#[derive(clap::Args)]
pub(crate) struct Project {
    /// The folder of the installation: the one with template.yaml.
    #[arg(long, default_value = ".")]
    project: PathBuf,
}

/// What to push.
#[derive(clap::Args)]
pub(crate) struct Push {
    /// The repository.
    #[arg(default_value = ".")]
    repository: PathBuf,
    #[command(flatten)]
    project: Project,
}

/// What to print.
#[derive(clap::Args)]
pub(crate) struct Logs {
    #[command(flatten)]
    project: Project,
    /// At most this many lines of each part.
    #[arg(long, default_value_t = 40)]
    lines: usize,
}

/// Runs a verb.
pub(crate) async fn main(as_json: bool, verb: &Verb) -> anyhow::Result<ExitCode> {
    match verb {
        Verb::Up(at) => up(as_json, &at.project).await,
        Verb::Down(at) => down(&at.project).await,
        Verb::Status(at) => status(as_json, &at.project),
        Verb::Push(push) => push_to(push).await,
        Verb::Logs(logs) => print_logs(logs),
        Verb::Supervise(at) => pushway_local::supervise(&at.project).await.map(|()| ExitCode::SUCCESS),
    }
}

async fn up(as_json: bool, project: &Path) -> anyhow::Result<ExitCode> {
    let template = project.join("template.yaml");
    if !template.exists() {
        bail!("{} is not the folder of an installation: it has no template.yaml", project.display());
    }
    if !project.join("target/lambda").is_dir() {
        bail!("the functions are not packaged; run `cargo xtask package` in {}", project.display());
    }
    let engine = Engine::new(project)?;
    let own = std::env::current_exe().context("find this program")?;
    let folder = project.canonicalize().context("find the project folder")?;
    let supervisor: Vec<OsString> = [
        own.into_os_string(),
        "local".into(),
        "supervise".into(),
        "--project".into(),
        folder.into_os_string(),
    ]
    .into();
    let options = Options { docker_host: std::env::var("DOCKER_HOST").ok(), ..Options::default() };
    let running = engine.up(&options, &supervisor, &output::note).await?;
    output::note("deploying the installation");
    let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "x86_64" };
    let parameters = [("Architecture", architecture), ("ValidationAllowPrivate", "127.0.0.0/8")];
    let outputs = deploy::deploy(&running, STACK, &template, &parameters).await?;
    let url = |name: &str| {
        let text = outputs.get(name).with_context(|| format!("the installation has no output {name}"))?;
        reachable(&running, text)
    };
    let (api, webhooks) = (url("ApiUrl")?, url("WebhookUrl")?);
    if as_json {
        let environment: std::collections::BTreeMap<_, _> = running.env()?.into_iter().collect();
        output::json(
            &json!({ "api": api, "webhooks": webhooks, "environment": environment, "outputs": outputs }),
        )?;
    } else {
        output::line(&format!("Pushway runs on this machine: {api}"))?;
        output::note("next: pushway local push <repository>, pushway runs, pushway local down");
        output::note(
            "its dashboard is there, too; `pushway token create me --scope run --scope approve` lets you in",
        );
    }
    Ok(ExitCode::SUCCESS)
}

async fn down(project: &Path) -> anyhow::Result<ExitCode> {
    let ran = Engine::new(project)?.down().await?;
    output::note(if ran { "stopped and cleaned up" } else { "nothing ran" });
    Ok(ExitCode::SUCCESS)
}

fn status(as_json: bool, project: &Path) -> anyhow::Result<ExitCode> {
    let status = Engine::new(project)?.status();
    let (word, state) = match &status {
        Status::Down => ("down", None),
        Status::Up(state) => ("up", Some(state)),
        Status::Crashed(state) => ("crashed", Some(state)),
    };
    if as_json {
        output::json(&json!({ "status": word, "state": state }))?;
    } else {
        output::line(word)?;
        match state.map(|state| &state.phase) {
            Some(Phase::Ready { endpoints }) => {
                output::line(&format!("emulator     {}", endpoints.aws))?;
                output::line(&format!("build worker {}", endpoints.codebuild))?;
                output::line(&format!("git          {}", endpoints.git))?;
            }
            Some(Phase::Failed { reason }) => output::line(reason)?,
            Some(Phase::Starting) | None => {}
        }
    }
    Ok(if matches!(status, Status::Up(_)) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn push_to(push: &Push) -> anyhow::Result<ExitCode> {
    let running = Engine::new(&push.project.project)?.running()?;
    let folder =
        push.repository.canonicalize().with_context(|| format!("find {}", push.repository.display()))?;
    let name = folder
        .file_name()
        .and_then(|name| name.to_str())
        .context("the repository's folder has no plain name")?;
    let git = |args: &[&str]| {
        let mut command = std::process::Command::new("git");
        command.arg("-C").arg(&folder).args(args);
        command
    };
    let commit = git(&["rev-parse", "--quiet", "--verify", "HEAD"]).output().context("start git")?;
    if !commit.status.success() {
        bail!("{} is not a git repository with a commit; nothing to push", folder.display());
    }
    let remote = remote(running, name).await?;
    let known = git(&["remote", "get-url", REMOTE]).output().context("start git")?;
    let verb = if known.status.success() { "set-url" } else { "add" };
    let path = remote.path.to_str().context("the remote's path is not UTF-8")?;
    run(git(&["remote", verb, REMOTE, path]))?;
    run(git(&["push", REMOTE, "HEAD"]))?;
    Ok(ExitCode::SUCCESS)
}

/// The remote for a repository of this name, connected to the installation.
async fn remote(running: Running, name: &str) -> anyhow::Result<git::Repository> {
    let laptop = Laptop::of(running).await?;
    let config = laptop.running.layout.git().join(format!("{name}.hook.json"));
    let own = std::env::current_exe().context("find this program")?;
    let command: Vec<OsString> = [
        own.into_os_string(),
        "hook".into(),
        "post-receive".into(),
        "--config".into(),
        config.clone().into_os_string(),
    ]
    .into();
    let repository = git::create(&laptop.running.layout, name, &command).await?;
    let clone_url = repository.clone_url(&laptop.running.endpoints.git);
    let hook =
        connect::new_hook(Provider::Git, hook_id(name).map_err(anyhow::Error::msg)?, name, &clone_url)?;
    let secret = connect::register(&laptop.account().await?, laptop.output("TableName")?, &hook).await?;
    let url = address(&laptop.url("WebhookUrl")?, &hook)?;
    hook::Config::new(url, name, &secret).write(&config)?;
    Ok(repository)
}

/// The installation's outputs name AWS's own hosts; here the emulator answers for them.
pub(crate) fn reachable(running: &Running, output: &str) -> anyhow::Result<Url> {
    let mut url = Url::parse(output).with_context(|| format!("output {output:?} is not an address"))?;
    let host = url.host_str().unwrap_or_default().to_owned();
    let id = host.split('.').next().unwrap_or_default();
    let base = Url::parse(&running.api_url(id))?;
    // Scheme first: a URL of another special scheme takes host and port as they are.
    url.set_scheme(base.scheme()).map_err(|()| anyhow::anyhow!("{url} can't be reached here"))?;
    url.set_host(base.host_str())?;
    url.set_port(base.port()).map_err(|()| anyhow::anyhow!("{url} can't be reached here"))?;
    Ok(url)
}

fn run(mut command: std::process::Command) -> anyhow::Result<()> {
    let status = command.status().context("start git")?;
    if !status.success() {
        bail!("git failed with {status}");
    }
    Ok(())
}

fn print_logs(logs: &Logs) -> anyhow::Result<ExitCode> {
    let engine = Engine::new(&logs.project.project)?;
    let folder = engine.layout().logs();
    let entries = std::fs::read_dir(&folder)
        .with_context(|| format!("no logs in {}; was the engine ever up?", folder.display()))?;
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    for path in paths.iter().filter(|path| path.is_file()) {
        output::line(&format!("==> {} <==", path.display()))?;
        let text = String::from_utf8_lossy(&std::fs::read(path)?).into_owned();
        let lines: Vec<&str> = text.lines().collect();
        for line in &lines[lines.len().saturating_sub(logs.lines)..] {
            output::line(line)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
