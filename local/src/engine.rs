//! `Engine`: starts, inspects and stops the laptop engine of one project.
//!
//! `up` installs what is missing in the foreground, then starts the supervisor as a process of its own and
//! waits for it. What runs is written in `engine.json`; from it, and from the mark that every process of
//! an engine carries, `up` and `down` also clear away what a crash left. It never starts children itself:
//! that is the supervisor's.

use std::{
    collections::BTreeMap, fs::File, os::unix::fs::OpenOptionsExt as _, path::Path, process::Stdio,
    time::Duration,
};

use anyhow::{Context as _, bail};
use rustix::process::Signal;
use serde::{Deserialize, Serialize};

use crate::{
    Emulator, Progress,
    docker::{self, Containers},
    layout::Layout,
    process::{self, ProcessId},
    tools,
};

/// A start takes about two seconds; an own dockerd on a busy machine takes most of the rest.
const LONGEST_START: Duration = Duration::from_secs(90);
/// The emulator removes its containers when it ends, and dockerd waits ten seconds for each of its own.
const LONGEST_STOP: Duration = Duration::from_secs(40);

/// What a start is asked for.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Options {
    /// The region that everything happens in.
    pub region: String,
    /// Whether a container engine is needed (ECS and `docker` in builds); without one, ECS runs nothing.
    pub docker: bool,
    /// The user's `DOCKER_HOST`, if set.
    pub docker_host: Option<String>,
    /// Who answers functions for an AWS service that the emulator lacks: the service's name as in the SDK's
    /// variable (`CODECOMMIT` of `AWS_ENDPOINT_URL_CODECOMMIT`) to an address on loopback.
    #[serde(default)]
    pub endpoints: BTreeMap<String, String>,
}

impl Default for Options {
    fn default() -> Self {
        Self { region: "us-east-1".to_owned(), docker: true, docker_host: None, endpoints: BTreeMap::new() }
    }
}

/// Where a running engine listens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoints {
    /// The emulator: `AWS_ENDPOINT_URL`.
    pub aws: String,
    /// The build worker: `AWS_ENDPOINT_URL_CODEBUILD`.
    pub codebuild: String,
    /// The base of the git remotes, for clones: `<git>/<name>.git`.
    pub git: String,
    /// The region everything is in.
    pub region: String,
    /// The container engine in use.
    pub containers: Containers,
}

impl Endpoints {
    /// The emulator's port, as text.
    pub(crate) fn port(&self) -> &str {
        self.aws.rsplit(':').next().unwrap_or_default()
    }
}

/// How far an engine is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "phase")]
pub enum Phase {
    /// The supervisor is starting its children.
    Starting,
    /// Everything answers.
    Ready {
        /// Where.
        endpoints: Endpoints,
    },
    /// The supervisor gave up.
    Failed {
        /// Why, for a human.
        reason: String,
    },
}

/// The content of `engine.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// How far.
    #[serde(flatten)]
    pub phase: Phase,
    /// The supervising process.
    pub supervisor: ProcessId,
    /// Its children by name.
    pub children: Vec<(String, ProcessId)>,
}

/// What `status` found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// Nothing runs.
    Down,
    /// The supervisor lives; see its phase.
    Up(State),
    /// The supervisor gave up or was killed; `down` and `up` clear it away.
    Crashed(State),
}

/// A running engine.
#[derive(Debug, Clone)]
pub struct Running {
    /// Its folders.
    pub layout: Layout,
    /// Its addresses.
    pub endpoints: Endpoints,
}

impl Running {
    /// A client of the emulator, signed as the account's root.
    pub fn emulator(&self) -> anyhow::Result<Emulator> {
        Emulator::root(&self.endpoints.aws, &self.endpoints.region)
    }

    /// The environment in which `aws`, `sam`, an SDK and `docker` reach this engine and nothing else.
    pub fn env(&self) -> anyhow::Result<Vec<(String, String)>> {
        let mut env = self.emulator()?.env();
        env.push(("AWS_ENDPOINT_URL_CODEBUILD".to_owned(), self.endpoints.codebuild.clone()));
        let host = self.endpoints.containers.host();
        env.extend(host.map(|host| ("DOCKER_HOST".to_owned(), host.to_owned())));
        Ok(env)
    }

    /// The public address of an HTTP API, without a trailing slash. Browsers and curl find it; a program
    /// may need `loopback::client`.
    pub fn api_url(&self, api_id: &str) -> String {
        format!("http://{api_id}.execute-api.localhost:{}", self.port())
    }

    /// The emulator's port, as text: part of the names of its HTTP APIs and container images.
    pub fn port(&self) -> &str {
        self.endpoints.port()
    }
}

/// The laptop engine of one project.
#[derive(Debug, Clone)]
pub struct Engine {
    layout: Layout,
}

impl Engine {
    /// The engine of the project at `project`, an existing folder; nothing is started or read.
    pub fn new(project: &Path) -> anyhow::Result<Self> {
        Ok(Self { layout: Layout::new(project)? })
    }

    /// Its folders.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Starts the engine and waits until everything answers; one that runs already is returned as it is.
    /// `supervisor` is the command line that ends in `supervise(project)`, e.g. `[current_exe, "local",
    /// "supervise", "--project", "."]`.
    pub async fn up(
        &self,
        options: &Options,
        supervisor: &[std::ffi::OsString],
        progress: Progress<'_>,
    ) -> anyhow::Result<Running> {
        self.layout.create()?;
        let _lock = self.lock()?;
        match self.status() {
            Status::Up(State { phase: Phase::Ready { endpoints }, .. }) => {
                return Ok(Running { layout: self.layout.clone(), endpoints });
            }
            Status::Down => {}
            Status::Up(_) | Status::Crashed(_) => progress("clearing away what an earlier engine left"),
        }
        self.clear().await?;
        tools::install(&self.layout, progress).await?;
        if options.docker {
            let log = self.layout.logs().join("docker-install.log");
            if let docker::Found::Own(_) =
                docker::prepare(options.docker_host.as_deref(), &log, progress).await?
            {
                progress("no container engine answers; starting one for this project in .pushway/docker");
            }
        }
        write_private(&self.layout.options_file(), &serde_json::to_vec_pretty(options)?)?;
        progress("starting the emulator, the build worker and the event relay");
        let supervisor = self.spawn_supervisor(supervisor)?;
        self.wait_until_ready(supervisor).await
    }

    /// Stops everything and forgets its state; true if anything ran. What was pushed and installed stays.
    pub async fn down(&self) -> anyhow::Result<bool> {
        if !self.layout.local().exists() {
            return Ok(false);
        }
        let _lock = self.lock()?;
        let was = self.status();
        let left = self.clear().await?;
        Ok(was != Status::Down || left)
    }

    /// What runs, from `engine.json` and the process table.
    pub fn status(&self) -> Status {
        match read_state(&self.layout) {
            Some(state) if matches!(state.phase, Phase::Failed { .. }) => Status::Crashed(state),
            Some(state) if state.supervisor.is_alive() => Status::Up(state),
            Some(state) => Status::Crashed(state),
            None => Status::Down,
        }
    }

    /// The running engine, or an error that says how to start it.
    pub fn running(&self) -> anyhow::Result<Running> {
        match self.status() {
            Status::Up(State { phase: Phase::Ready { endpoints }, .. }) => {
                Ok(Running { layout: self.layout.clone(), endpoints })
            }
            _ => bail!("the laptop engine is not running; start it with `pushway local up`"),
        }
    }

    fn lock(&self) -> anyhow::Result<File> {
        let path = self.layout.lock_file();
        let file = File::create(&path).with_context(|| format!("open {}", path.display()))?;
        if file.try_lock().is_err() {
            bail!("another `pushway local` is starting or stopping this engine; wait for it");
        }
        Ok(file)
    }

    /// Ends the supervisor the good way if it lives, then whatever else is left. True if anything was.
    async fn clear(&self) -> anyhow::Result<bool> {
        let state = read_state(&self.layout);
        if let Some(state) = &state {
            state.supervisor.signal(Signal::TERM);
            let deadline = tokio::time::Instant::now() + LONGEST_STOP;
            while state.supervisor.is_alive() && tokio::time::Instant::now() < deadline {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            state.supervisor.signal(Signal::KILL);
        }
        // Containers of an own dockerd first: it would wait ten seconds for each before it ends itself.
        let contained = process::contained(&docker::own_containers(&self.layout));
        process::end(&contained, Duration::from_millis(500)).await;
        // Then the children one by one, the last first: dockerd needs its own children to end well.
        for (_, child) in state.iter().flat_map(|state| state.children.iter().rev()) {
            process::end(&[*child], Duration::from_secs(15)).await;
        }
        let left = process::marked(&self.layout);
        process::end(&left, Duration::from_secs(15)).await;
        docker::unmount(&self.layout).await?;
        // A user's engine outlives ours, and so would the containers of an emulator that was killed.
        if let Some(Phase::Ready { endpoints }) = state.as_ref().map(|state| &state.phase) {
            endpoints.containers.remove_ours(&self.layout, Some(endpoints.port())).await?;
        }
        let _absent = std::fs::remove_file(self.layout.state_file());
        Ok(state.is_some() || !left.is_empty() || !contained.is_empty())
    }

    fn spawn_supervisor(&self, command_line: &[std::ffi::OsString]) -> anyhow::Result<ProcessId> {
        use std::os::unix::process::CommandExt as _;
        let (program, args) = command_line.split_first().context("the supervisor's command line is empty")?;
        let path = self.layout.logs().join("supervisor.log");
        let _absent = std::fs::remove_file(&path);
        let log = process::open_log(&path)?;
        let errors = log.try_clone().context("share the log file")?;
        let mut command = std::process::Command::new(program);
        command.args(args).current_dir(self.layout.project()).env(process::MARK, self.layout.local());
        // A group of its own: a Ctrl-C at the terminal is for `up`, not for the engine.
        command.process_group(0).stdin(Stdio::null()).stdout(log).stderr(errors);
        let child = command.spawn().with_context(|| format!("start {}", program.display()))?;
        ProcessId::of(child.id())
            .with_context(|| format!("the supervisor ended at once; see {}", path.display()))
    }

    async fn wait_until_ready(&self, supervisor: ProcessId) -> anyhow::Result<Running> {
        let log = self.layout.logs().join("supervisor.log");
        let deadline = tokio::time::Instant::now() + LONGEST_START;
        loop {
            let state = read_state(&self.layout).filter(|state| state.supervisor == supervisor);
            match state.map(|state| state.phase) {
                Some(Phase::Ready { endpoints }) => {
                    return Ok(Running { layout: self.layout.clone(), endpoints });
                }
                Some(Phase::Failed { reason }) => bail!("the laptop engine did not start: {reason}"),
                _ if !supervisor.is_alive() => {
                    bail!("the supervisor ended; see {}:\n{}", log.display(), process::tail(&log, 12))
                }
                _ if tokio::time::Instant::now() > deadline => {
                    bail!("the laptop engine is not ready after {LONGEST_START:?}; see {}", log.display())
                }
                _ => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }
}

/// Reads `engine.json`; one that cannot be read counts as none, for what it named is found by its mark.
pub(crate) fn read_state(layout: &Layout) -> Option<State> {
    serde_json::from_slice(&std::fs::read(layout.state_file()).ok()?).ok()
}

/// Writes `engine.json` at once as a whole, so that a reader never sees half of it.
pub(crate) fn write_state(layout: &Layout, state: &State) -> anyhow::Result<()> {
    write_private(&layout.state_file(), &serde_json::to_vec_pretty(state)?)
}

fn write_private(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let fresh = path.with_extension("json.new");
    let write = || {
        let _absent = std::fs::remove_file(&fresh);
        let mut file = File::options().write(true).create_new(true).mode(0o600).open(&fresh)?;
        std::io::Write::write_all(&mut file, bytes)?;
        std::fs::rename(&fresh, path)
    };
    write().with_context(|| format!("write {}", path.display()))
}
