//! The supervisor: the process that owns everything an engine runs.
//!
//! It starts the children in order, writes `engine.json` as it goes, serves the build worker, the git
//! remote and the relay itself, and takes all down together: on TERM or Ctrl-C, or when one of them ends,
//! for half an engine would only hang its users. It decides nothing about runs.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, bail};
use serde_json::json;
use tokio::{
    net::TcpListener,
    process::Child,
    signal::unix::{SignalKind, signal},
    sync::mpsc,
    task::JoinSet,
};

use crate::{
    Emulator, codebuild,
    docker::{self, Containers},
    ecs,
    engine::{Endpoints, Options, Phase, State, write_state},
    git,
    layout::Layout,
    log, loopback,
    process::{self, ProcessId, Spawner, bound_command, stop, tail},
    relay,
};

/// The emulator, as it is run here.
const EMULATOR: &str = include_str!("../emulator.py");
/// The emulator answers after less than a second on an idle machine.
const LONGEST_START: Duration = Duration::from_secs(30);
/// More events than a demo makes; beyond it the build worker waits, and nothing is dropped.
const PENDING_EVENTS: usize = 1024;

/// Runs the engine of the project at `project` as `Engine::up` asked for, until it is told to end.
/// Errors: a child cannot be started or ended by itself; `engine.json` then holds the reason.
pub async fn supervise(project: &Path) -> anyhow::Result<()> {
    let layout = Layout::new(project)?;
    let own = ProcessId::of(std::process::id()).context("/proc cannot be read")?;
    let state = State { phase: Phase::Starting, supervisor: own, children: Vec::new() };
    write_state(&layout, &state)?;
    let mut supervisor = Supervisor {
        layout,
        state,
        spawner: Spawner::new()?,
        children: Vec::new(),
        containers: Containers::Off,
    };
    let mut told = Told::new()?;
    let result = tokio::select! {
        result = supervisor.run() => result,
        () = told.end() => Ok(()),
    };
    supervisor.stop().await;
    match &result {
        Ok(()) => {
            log::fact("engine stopped", json!({}));
            let _absent = std::fs::remove_file(supervisor.layout.state_file());
        }
        Err(error) => {
            let reason = format!("{error:#}");
            log::fact("engine failed", json!({ "error": reason }));
            supervisor.state.phase = Phase::Failed { reason };
            supervisor.state.children.clear();
            write_state(&supervisor.layout, &supervisor.state)?;
        }
    }
    result
}

struct Supervisor {
    layout: Layout,
    state: State,
    spawner: Spawner,
    /// In the order of their start; stopped in the reverse one.
    children: Vec<(&'static str, Child)>,
    containers: Containers,
}

impl Supervisor {
    /// Starts everything and returns, with an error, when a part of it ends.
    async fn run(&mut self) -> anyhow::Result<()> {
        let options: Options = std::fs::read(self.layout.options_file())
            .map_err(anyhow::Error::from)
            .and_then(|bytes| Ok(serde_json::from_slice(&bytes)?))
            .context("read the options that `pushway local up` leaves; start the engine with it")?;
        if options.docker {
            self.start_docker(&options).await?;
        }
        let codebuild = TcpListener::bind("127.0.0.1:0").await.context("open a port for the build worker")?;
        let git = TcpListener::bind("127.0.0.1:0").await.context("open a port for the git remote")?;
        let emulator_port = free_port().await?;
        let endpoints = Endpoints {
            aws: format!("http://127.0.0.1:{emulator_port}"),
            codebuild: format!("http://{}", codebuild.local_addr()?),
            git: format!("http://{}", git.local_addr()?),
            region: options.region.clone(),
            containers: self.containers.clone(),
        };
        let emulator = self.start_emulator(emulator_port, &endpoints, &options).await?;
        let mut parts = self.start_parts(&emulator, codebuild, git);
        self.state.phase = Phase::Ready { endpoints };
        write_state(&self.layout, &self.state)?;
        log::fact("engine ready", json!({ "aws": emulator.endpoint() }));
        let children = &mut self.children;
        tokio::select! {
            ended = parts.join_next() => match ended {
                Some(Ok((part, Err(error)))) => Err(error.context(format!("the {part} ended"))),
                Some(Ok((part, Ok(())))) => bail!("the {part} ended"),
                Some(Err(error)) => Err(error).context("a part of the engine ended"),
                None => bail!("nothing runs"),
            },
            ended = first_to_end(children) => bail!("{ended} by itself; see its log"),
        }
    }

    async fn start_docker(&mut self, options: &Options) -> anyhow::Result<()> {
        self.containers = match docker::find(options.docker_host.as_deref()).await {
            docker::Found::Users(host) => Containers::Users { host },
            docker::Found::Own(dockerd) => {
                let (child, host) = docker::start(&self.layout, &dockerd, &self.spawner).await?;
                self.own("dockerd", child)?;
                Containers::Own { host }
            }
            docker::Found::Missing(advice) => bail!("{advice}"),
        };
        let removed = self.containers.remove_ours(&self.layout, None).await?;
        log::fact(
            "container engine ready",
            json!({ "containers": self.containers, "leftovers_removed": removed }),
        );
        Ok(())
    }

    async fn start_emulator(
        &mut self,
        port: u16,
        endpoints: &Endpoints,
        options: &Options,
    ) -> anyhow::Result<Emulator> {
        let emulator = Emulator::root(&endpoints.aws, &endpoints.region)?;
        let scratch = self.layout.scratch();
        let _absent = std::fs::remove_dir_all(&scratch);
        std::fs::create_dir_all(&scratch).with_context(|| format!("create {}", scratch.display()))?;
        let log = self.layout.logs().join("emulator.log");
        let _absent = std::fs::remove_file(&log);
        let program = self.layout.root().join("emulator.py");
        std::fs::write(&program, EMULATOR).with_context(|| format!("write {}", program.display()))?;
        let mut command = bound_command(&self.layout, &self.layout.venv_bin().join("python"), &log)?;
        command.arg(&program).current_dir(&scratch).envs(self.emulator_env(port, endpoints, &emulator));
        let others = options.endpoints.iter();
        command.envs(others.map(|(service, url)| (format!("AWS_ENDPOINT_URL_{service}"), url)));
        let child = self.spawner.spawn(command).await?;
        self.own("emulator", child)?;
        self.wait_for_emulator(&emulator, &log).await?;
        Ok(emulator)
    }

    /// The emulator's environment, which its functions inherit: what they need, and nothing of the user's.
    fn emulator_env(&self, port: u16, endpoints: &Endpoints, emulator: &Emulator) -> Vec<(String, OsString)> {
        let mut env: Vec<(String, OsString)> =
            emulator.env().into_iter().map(|(name, value)| (name, value.into())).collect();
        let mut add = |name: &str, value: OsString| env.push((name.to_owned(), value));
        add("AWS_ENDPOINT_URL_CODEBUILD", endpoints.codebuild.clone().into());
        add("GATEWAY_PORT", port.to_string().into());
        add("BIND_HOST", "127.0.0.1".into());
        add("AUTH", "true".into());
        add("IOT_MTLS_ENABLED", "0".into());
        add("SFTP_ENABLED", "0".into());
        add("MINISTACK_REGION", endpoints.region.clone().into());
        // Becomes the label of its containers, by which only they are removed.
        add("MINISTACK_HOSTNAME", self.layout.instance().into());
        add("HOME", self.layout.home().into());
        add("TMPDIR", self.layout.scratch().into());
        add("PATH", search_path(&self.layout));
        match &self.containers {
            // A socket that is not there: the emulator would look for docker's default one.
            Containers::Off => {
                let nowhere = self.layout.scratch().join("no-docker.sock");
                add("DOCKER_HOST", format!("unix://{}", nowhere.display()).into());
            }
            containers => containers.host().into_iter().for_each(|host| add("DOCKER_HOST", host.into())),
        }
        env
    }

    async fn wait_for_emulator(&mut self, emulator: &Emulator, log: &Path) -> anyhow::Result<()> {
        let client = loopback::client()?;
        let url = format!("{}/_ministack/ready", emulator.endpoint());
        let deadline = tokio::time::Instant::now() + LONGEST_START;
        loop {
            if client.get(&url).send().await.is_ok_and(|answer| answer.status().is_success()) {
                return Ok(());
            }
            if let Some((_, child)) = self.children.last_mut()
                && let Some(status) = child.try_wait().context("look after the emulator")?
            {
                bail!("the emulator ended with {status}; see {}:\n{}", log.display(), tail(log, 12));
            }
            if tokio::time::Instant::now() > deadline {
                bail!("the emulator did not answer within {LONGEST_START:?}; see {}", log.display());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// What runs inside this process: each part goes on until it fails, and is stopped by being dropped.
    fn start_parts(
        &self,
        emulator: &Emulator,
        codebuild: TcpListener,
        git: TcpListener,
    ) -> JoinSet<(&'static str, anyhow::Result<()>)> {
        let (events, received) = mpsc::channel(PENDING_EVENTS);
        let config = codebuild::Config {
            emulator: emulator.clone(),
            events: events.clone(),
            work_dir: self.layout.builds(),
            path: vec![self.layout.venv_bin()],
            docker_host: self.containers.host().map(str::to_owned),
        };
        let repositories = self.layout.git();
        let (for_relay, for_ecs) = (emulator.clone(), emulator.clone());
        let mut parts = JoinSet::new();
        parts.spawn(async move { ("build worker", codebuild::serve(codebuild, config).await) });
        parts.spawn(async move { ("git remote", git::serve(git, repositories).await) });
        parts.spawn(async move {
            relay::run(for_relay, received).await;
            ("event relay", Ok(()))
        });
        parts.spawn(async move {
            ecs::watch(for_ecs, events).await;
            ("ecs watcher", Ok(()))
        });
        parts
    }

    /// Takes a started child in, and writes it down so that a crash of ours does not lose it.
    fn own(&mut self, name: &'static str, child: Child) -> anyhow::Result<()> {
        if let Some(process) = child.id().and_then(ProcessId::of) {
            self.state.children.push((name.to_owned(), process));
        }
        self.children.push((name, child));
        write_state(&self.layout, &self.state)
    }

    /// Stops the emulator before the container engine, for it removes its containers when it ends.
    async fn stop(&mut self) {
        let port = match &self.state.phase {
            Phase::Ready { endpoints } => Some(endpoints.port().to_owned()),
            Phase::Starting | Phase::Failed { .. } => None,
        };
        while let Some((name, mut child)) = self.children.pop() {
            stop(&mut child, Duration::from_secs(15)).await;
            log::fact("child stopped", json!({ "child": name }));
            if name != "dockerd"
                && let Err(error) = self.containers.remove_ours(&self.layout, port.as_deref()).await
            {
                log::fact("containers not removed", json!({ "error": format!("{error:#}") }));
            }
        }
        process::end(&process::marked(&self.layout), Duration::from_secs(3)).await;
        let _absent = std::fs::remove_dir_all(self.layout.scratch());
    }
}

/// Which child ended first, and how.
async fn first_to_end(children: &mut [(&'static str, Child)]) -> String {
    loop {
        for (name, child) in &mut *children {
            if let Ok(Some(status)) = child.try_wait() {
                return format!("the {name} ended with {status}");
            }
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// The signals that end an engine. A closing terminal is none of them.
struct Told {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
    _hangup: tokio::signal::unix::Signal,
}

impl Told {
    fn new() -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("listen for signals");
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            // Listening is what keeps it from ending the process.
            _hangup: listen(SignalKind::hangup())?,
        })
    }

    async fn end(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// A port that was free a moment ago; the emulator opens it itself.
async fn free_port() -> anyhow::Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").await.context("find a free port")?;
    Ok(listener.local_addr()?.port())
}

/// The tools first, then the user's own search path.
fn search_path(layout: &Layout) -> OsString {
    let users = std::env::var_os("PATH").unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin".into());
    let folders = std::iter::once(layout.venv_bin()).chain(std::env::split_paths(&users));
    std::env::join_paths(folders.collect::<Vec<PathBuf>>()).unwrap_or(users)
}
