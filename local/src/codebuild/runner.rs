//! One build from its queue to its end.
//!
//! Each phase is opened and closed in the record, in the log, and raced against the build's deadline and a
//! request to stop; whatever happens, the build ends with a terminal status, its processes are dead and its
//! last event is sent. It must not panic and must not be cancelled half way by anyone but these two.

use std::{
    future::Future,
    path::PathBuf,
    sync::{Arc, OnceLock},
    time::Duration,
};

use anyhow::Context as _;
use serde_json::Value;
use tokio::{
    process::Command,
    sync::{SemaphorePermit, watch},
    time::Instant,
};

use super::{
    Worker,
    buildspec::{self, Buildspec},
    environment::{Environment, search_path},
    events, finish,
    logs::{self, Log, Shipper},
    order::Order,
    record::{Build, Context, PhaseType, Status},
    role,
    shell::{Container, Place, Shell, kill_strays},
    source::Git,
};
use crate::Emulator;

/// How long the container engine may take to say whether it has an image.
const INSPECT: Duration = Duration::from_secs(10);
/// The largest buildspec that is read.
const BUILDSPEC_BYTES: u64 = 1024 * 1024;

/// What all steps of one build share.
pub(super) struct Run {
    pub(super) worker: Arc<Worker>,
    pub(super) id: String,
    pub(super) order: Order,
    pub(super) log: Arc<Log>,
    /// The build's own folder, gone after it.
    pub(super) root: PathBuf,
    stop: watch::Receiver<bool>,
    deadline: OnceLock<Instant>,
}

/// Runs the admitted build `id` to its end. `submitted` is its first event.
pub(super) async fn run(worker: Arc<Worker>, id: String, order: Order, submitted: Value) {
    // A lost event is the sweep's to make good, as on AWS: delivery is best effort.
    let _ = worker.config.events.send(submitted).await;
    let status = match open(&worker, &id, &order) {
        Ok(run) => {
            let status = run.whole().await;
            // Files of another user (a container's root) may stay; the next build has its own folder.
            let _ = tokio::fs::remove_dir_all(&run.root).await;
            status
        }
        Err(error) => {
            let context = Context::new("INTERNAL_SERVICE_ERROR", format!("{error:#}"));
            worker.store.update(&id, |build| build.end(Status::Fault, context));
            Status::Fault
        }
    };
    if let Some(build) = worker.store.update(&id, |build| build.complete(status)) {
        let _ = worker.config.events.send(events::state_change(&build, &order)).await;
    }
}

fn open(worker: &Arc<Worker>, id: &str, order: &Order) -> anyhow::Result<Run> {
    let uuid = id.rsplit(':').next().unwrap_or_default();
    let root = worker.config.work_dir.join(uuid);
    std::fs::create_dir_all(root.join("control")).context("make the build's folder")?;
    let log = Log::open(&root.join("log"), &worker.limits).context("open the build's log")?;
    Ok(Run {
        worker: Arc::clone(worker),
        id: id.to_owned(),
        order: order.clone(),
        log: Arc::new(log),
        root,
        stop: worker.store.stop_signal(id).context("the build is unknown")?,
        deadline: OnceLock::new(),
    })
}

impl Run {
    async fn whole(&self) -> Status {
        let _permit = match self.queued().await {
            Ok(permit) => permit,
            Err(cut) => return cut,
        };
        let timeout = self.worker.limits.minute * self.order.timeout_minutes;
        let _ = self.deadline.set(Instant::now() + timeout);
        // Not a phase of CodeBuild, and the log's first line.
        let container = match self.uncut(self.container()).await {
            Ok(container) => container,
            Err(cut) => return cut,
        };
        let role = match self.phase(PhaseType::Provisioning, self.provision()).await {
            Ok(role) => role,
            Err(status) => return self.finalize(status),
        };
        let shipper =
            self.build().map(|build| Shipper::start(Arc::clone(&self.log), role.clone(), build.logs));
        let status = match self.phase(PhaseType::DownloadSource, self.download(&role, container)).await {
            Ok((spec, mut shell)) => {
                let status = finish::commands_and_uploads(self, &spec, &mut shell, &role).await;
                shell.kill().await;
                status
            }
            Err(status) => {
                kill_strays(self.id.clone()).await;
                status
            }
        };
        let status = self.finalize(status);
        if let Some(shipper) = shipper {
            shipper.finish().await;
        }
        status
    }

    fn finalize(&self, status: Status) -> Status {
        if status == Status::Succeeded || status == Status::Failed {
            self.update(|build| build.begin(PhaseType::Finalizing));
            self.update(|build| build.end(Status::Succeeded, Context::default()));
        }
        status
    }

    async fn queued(&self) -> Result<SemaphorePermit<'_>, Status> {
        let timeout = self.worker.limits.minute * self.order.queued_timeout_minutes;
        let mut stop = self.stop.clone();
        let (status, context) = tokio::select! {
            permit = self.worker.permits.acquire() => match permit {
                Ok(permit) => {
                    self.update(|build| build.end(Status::Succeeded, Context::default()));
                    return Ok(permit);
                }
                Err(error) => (Status::Fault, Context::new("INTERNAL_SERVICE_ERROR", error.to_string())),
            },
            _ = stop.wait_for(|stop| *stop) => (Status::Stopped, Context::default()),
            () = tokio::time::sleep(timeout) => {
                (Status::TimedOut, Context::new("BUILD_TIMED_OUT", "Build has timed out in the queue."))
            }
        };
        self.update(|build| build.end(status, context));
        Err(status)
    }

    /// Runs `work` as the phase `kind`. Errors: `FAILED`, `STOPPED` or `TIMED_OUT`.
    pub(super) async fn phase<T>(
        &self,
        kind: PhaseType,
        work: impl Future<Output = Result<T, Context>>,
    ) -> Result<T, Status> {
        self.update(|build| build.begin(kind));
        self.log.say(&format!("Entering phase {}", kind.name()));
        let (result, status, context) = match self.uncut(work).await {
            Ok(Ok(done)) => (Ok(done), Status::Succeeded, Context::default()),
            Ok(Err(context)) => (Err(Status::Failed), Status::Failed, context),
            Err(cut @ Status::TimedOut) => {
                (Err(cut), cut, Context::new("BUILD_TIMED_OUT", "Build has timed out."))
            }
            Err(cut) => (Err(cut), cut, Context::default()),
        };
        let shown = serde_json::to_value(status).unwrap_or_default();
        let shown = shown.as_str().unwrap_or_default();
        self.log.say(&format!("Phase complete: {} State: {shown}", kind.name()));
        self.log
            .say(&format!("Phase context status code: {} Message: {}", context.status_code, context.message));
        self.update(|build| build.end(status, context));
        result
    }

    /// Runs `work` unless the build is stopped or times out first.
    pub(super) async fn uncut<T>(&self, work: impl Future<Output = T>) -> Result<T, Status> {
        let mut stop = self.stop.clone();
        let deadline = self.deadline.get().copied();
        let timed_out = async {
            match deadline {
                Some(deadline) => tokio::time::sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => Err(Status::Stopped),
            () = timed_out => Err(Status::TimedOut),
            done = work => Ok(done),
        }
    }

    pub(super) fn update(&self, change: impl FnOnce(&mut Build)) {
        self.worker.store.update(&self.id, change);
    }

    pub(super) fn build(&self) -> Option<Build> {
        self.worker.store.get(&self.id)
    }

    /// The build's own part of its id.
    pub(super) fn uuid(&self) -> &str {
        self.id.rsplit(':').next().unwrap_or_default()
    }

    async fn provision(&self) -> Result<Emulator, Context> {
        let denied = |error: anyhow::Error| Context::new("ACCESS_DENIED", format!("{error:#}"));
        let session = format!("AWSCodeBuild-{}", self.uuid());
        let role = role::assume(&self.worker, &self.order, &session).await.map_err(denied)?;
        if let Some(build) = self.build() {
            logs::create_stream(&role, &build.logs).await.context("create the log stream").map_err(denied)?;
        }
        Ok(role)
    }

    async fn download(
        &self,
        role: &Emulator,
        container: Option<Container>,
    ) -> Result<(Buildspec, Shell), Context> {
        let source = self.root.join("src");
        let search_path = search_path(&self.worker.config);
        let git = Git { build_id: &self.id, search_path: &search_path };
        let commit = git.fetch(&self.order, &source).await.map_err(|error| {
            let version = self.order.source_version.as_deref().unwrap_or("HEAD");
            let message = format!("{error:#} for primary source and source version {version}");
            Context::new("CLIENT_ERROR", message)
        })?;
        self.update(|build| build.resolved_source_version = commit);
        self.log.say(&format!("CODEBUILD_SRC_DIR={}", source.display()));
        let spec = self.buildspec(&source).map_err(|told| Context::new("YAML_FILE_ERROR", told))?;
        for phase in &spec.unknown_phases {
            self.log.say(&format!("Ignoring phases/{phase}: there is no such phase"));
        }
        let resolved = Environment::resolve(&self.order, &spec.env, role).await;
        let mut environment = resolved.map_err(|error| Context::new("CLIENT_ERROR", format!("{error:#}")))?;
        if let Some(build) = self.build() {
            environment.add_standard(&build, &self.order, &source.to_string_lossy(), role);
        }
        if let Some(host) = &self.worker.config.docker_host {
            environment.variables.insert("DOCKER_HOST".to_owned(), host.clone());
        }
        if container.is_none() {
            environment.add_host(&self.worker.config);
        }
        self.log.hide(&environment.secrets);
        let place = Place {
            build_id: self.id.clone(),
            shell: if spec.env.shell.as_deref() == Some("bash") { "bash" } else { "sh" }.to_owned(),
            root: self.root.clone(),
            control: self.root.join("control"),
            variables: environment.variables,
            source,
            search_path,
            container,
        };
        Ok((spec, Shell::new(place, Arc::clone(&self.log))))
    }

    fn buildspec(&self, source: &std::path::Path) -> Result<Buildspec, String> {
        let setting = self.order.buildspec.as_deref().unwrap_or(buildspec::DEFAULT_PATH);
        if buildspec::is_inline(setting) {
            return buildspec::parse("buildspec", setting);
        }
        let absent =
            |error: std::io::Error| format!("the YAML file {setting} does not exist in the source: {error}");
        let path = source.join(setting).canonicalize().map_err(absent)?;
        if !path.starts_with(source) {
            return Err(format!("the YAML file {setting} is outside the source"));
        }
        if path.metadata().map_err(absent)?.len() > BUILDSPEC_BYTES {
            return Err(format!("the YAML file {setting} is larger than {BUILDSPEC_BYTES} bytes"));
        }
        let text = std::fs::read_to_string(&path).map_err(|error| format!("{setting}: {error}"))?;
        buildspec::parse(setting, &text)
    }

    /// The container to run in, where the engine has the project's image; says which way it is.
    async fn container(&self) -> Option<Container> {
        let config = &self.worker.config;
        let image = self.order.image.clone();
        let search_path = search_path(config);
        let docker =
            std::env::split_paths(&search_path).map(|folder| folder.join("docker")).find(|p| p.is_file());
        if let Some(docker) = docker {
            let mut inspect = Command::new(&docker);
            inspect.args(["image", "inspect", "--format", "{{.Id}}", "--", &image]).kill_on_drop(true);
            inspect.stdin(std::process::Stdio::null());
            if let Some(host) = &config.docker_host {
                inspect.env("DOCKER_HOST", host);
            }
            let found = tokio::time::timeout(INSPECT, inspect.output()).await;
            if matches!(found, Ok(Ok(output)) if output.status.success()) {
                self.log.say(&format!("Running in a container of the local image {image}"));
                return Some(Container {
                    docker,
                    docker_host: config.docker_host.clone(),
                    name: format!("pushway-build-{}", self.uuid()),
                    has_engine: self.order.is_privileged,
                    image,
                });
            }
        }
        self.log.say(&format!(
            "Running in a shell of this machine: the image {image} is not in the local container engine"
        ));
        None
    }
}
