//! The shell that runs a build's commands: one instance for the whole build, in a container or here.
//!
//! As in version 0.2 of the buildspec, variables and the working folder carry over from command to
//! command and phase to phase. Commands reach the shell as files, never as arguments; values reach it as
//! environment variables. It knows nothing of phases. Whatever a build leaves running is killed with it.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::{
    io::AsyncWriteExt as _,
    process::{Child, ChildStdin, Command},
    sync::mpsc::{UnboundedReceiver, unbounded_channel},
};
use uuid::Uuid;

use super::{
    logs::Log,
    pump::{StepEnd, pump},
};

/// Runs the steps named on its standard input and announces their ends. `$1` is the control folder, `$2`
/// the mark. A step that ends the shell (`exit`, `set -e`) leaves its variables and folder for the next.
const DRIVER: &str = r#"
__codebuild=$1 __codebuild_mark=$2
shift 2
exec 9<&0 8>&1 </dev/null 2>&1
if [ -f "$__codebuild/env" ]; then
  . "$__codebuild/env"
  cd "$(cat "$__codebuild/cwd")"
fi
trap 'export -p >"$__codebuild/env"; pwd >"$__codebuild/cwd"' EXIT
while read -r __codebuild_step <&9; do
  . "$__codebuild/step-$__codebuild_step" 8>&- 9<&-
  printf '\n\036%s %s %s\n' "$__codebuild_mark" "$__codebuild_step" "$?" >&8
done
"#;

/// How long the rest of a dead shell's output is waited for.
const LAST_OUTPUT: Duration = Duration::from_millis(300);
/// Passes over the process table: what forks while it is killed is found by the next pass.
const KILL_PASSES: usize = 20;

/// A container to run in.
pub(super) struct Container {
    /// The container engine's client, absolute.
    pub(super) docker: PathBuf,
    pub(super) docker_host: Option<String>,
    pub(super) image: String,
    pub(super) name: String,
    /// Whether it may use the container engine, which is what builds want privileged mode for. No more
    /// rights come with it: this machine is somebody's.
    pub(super) has_engine: bool,
}

/// Where and how a build's commands run.
pub(super) struct Place {
    pub(super) build_id: String,
    /// `sh` or `bash`.
    pub(super) shell: String,
    /// The build's folder; a container sees it under the same path.
    pub(super) root: PathBuf,
    pub(super) source: PathBuf,
    pub(super) control: PathBuf,
    pub(super) variables: BTreeMap<String, String>,
    /// The host's `PATH` for finding the shell or the client.
    pub(super) search_path: String,
    pub(super) container: Option<Container>,
}

struct Live {
    child: Child,
    stdin: ChildStdin,
    ends: UnboundedReceiver<StepEnd>,
}

/// The shell of one build.
pub(super) struct Shell {
    place: Place,
    log: Arc<Log>,
    live: Option<Live>,
    /// Process groups started so far.
    groups: Vec<Pid>,
    steps: usize,
}

impl Shell {
    /// A shell that starts with its first step.
    pub(super) fn new(place: Place, log: Arc<Log>) -> Self {
        Self { place, log, live: None, groups: Vec::new(), steps: 0 }
    }

    /// The build's source folder.
    pub(super) fn source(&self) -> &Path {
        &self.place.source
    }

    /// The folder that steps write to as `"$__codebuild"`.
    pub(super) fn control(&self) -> &Path {
        &self.place.control
    }

    /// Runs `script` and answers its exit status. Errors: the shell cannot be started or spoken to.
    pub(super) async fn run(&mut self, script: &str) -> anyhow::Result<i32> {
        self.steps += 1;
        let step = self.steps;
        tokio::fs::write(self.place.control.join(format!("step-{step}")), script)
            .await
            .context("write the command for the shell")?;
        if self.live.is_none() {
            self.live = Some(self.start().context("start the build's shell")?);
        }
        let Some(live) = &mut self.live else { return Ok(1) };
        // A shell that died between two steps does not read; its end says so below.
        let _ = live.stdin.write_all(format!("{step}\n").as_bytes()).await;
        loop {
            tokio::select! {
                biased;
                Some((number, status)) = live.ends.recv() => {
                    if number == step {
                        return Ok(status);
                    }
                }
                ended = live.child.wait() => {
                    let ended = ended.context("wait for the build's shell")?;
                    let status = ended.code().or_else(|| signal_status(ended)).unwrap_or(1);
                    // The stream ends with the shell unless something it left behind still holds it.
                    let rest = async { while live.ends.recv().await.is_some() {} };
                    let _ = tokio::time::timeout(LAST_OUTPUT, rest).await;
                    self.live = None;
                    return Ok(status);
                }
            }
        }
    }

    fn start(&mut self) -> anyhow::Result<Live> {
        let mark = Uuid::now_v7().to_string();
        let mut command = match &self.place.container {
            None => self.host_command(),
            Some(container) => self.container_command(container),
        };
        let mut child = command
            .args(["-c", DRIVER, "codebuild"])
            .arg(&self.place.control)
            .arg(&mark)
            .current_dir(&self.place.source)
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let group = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        self.groups.extend(group);
        let stdin = child.stdin.take().context("the shell has no input")?;
        let stdout = child.stdout.take().context("the shell has no output")?;
        let stderr = child.stderr.take().context("the shell has no error output")?;
        let (sender, ends) = unbounded_channel();
        // What the container engine's client complains of; the commands' own goes with their output.
        tokio::spawn(pump(stderr, mark.clone(), Arc::clone(&self.log), unbounded_channel().0));
        tokio::spawn(pump(stdout, mark, Arc::clone(&self.log), sender));
        Ok(Live { child, stdin, ends })
    }

    fn host_command(&self) -> Command {
        let mut command = Command::new(&self.place.shell);
        command.env_clear().envs(&self.place.variables);
        command
    }

    fn container_command(&self, container: &Container) -> Command {
        let place = &self.place;
        let mut command = Command::new(&container.docker);
        command.env_clear().env("PATH", &place.search_path);
        command.args(["run", "--rm", "--interactive", "--network", "host", "--name", &container.name]);
        command.arg("--workdir").arg(&place.source);
        command.arg("--volume").arg(mount(&place.root));
        if let Some(host) = &container.docker_host {
            command.env("DOCKER_HOST", host);
            if let Some(socket) = host.strip_prefix("unix://").filter(|_| container.has_engine) {
                command.arg("--volume").arg(mount(Path::new(socket)));
            }
        }
        for (name, value) in &place.variables {
            // By name alone the client passes its own value on, which keeps secrets out of the process
            // list; the names that would change the client itself are passed whole.
            if matches!(name.as_str(), "PATH" | "HOME")
                || name.starts_with("LD_")
                || name.starts_with("DOCKER_")
            {
                command.arg("--env").arg(format!("{name}={value}"));
            } else {
                command.env(name, value).arg("--env").arg(name);
            }
        }
        command.args(["--entrypoint", &place.shell, "--", &container.image]);
        command
    }

    /// Kills everything the build started and has not ended.
    pub(super) async fn kill(&mut self) {
        self.kill_groups();
        // After the client is dead it can create no container that this would miss.
        if let Some(container) = self.place.container.as_ref().filter(|_| !self.groups.is_empty()) {
            let _ = kill_container(container).kill_on_drop(true).status().await;
        }
        if self.place.container.is_none() {
            kill_strays(self.place.build_id.clone()).await;
        }
        self.groups.clear();
        if let Some(mut live) = self.live.take() {
            let _ = live.child.wait().await;
        }
    }

    fn kill_groups(&self) {
        for group in &self.groups {
            // It may have ended by itself.
            let _ = kill_process_group(*group, Signal::KILL);
        }
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        if self.groups.is_empty() {
            return;
        }
        self.kill_groups();
        match &self.place.container {
            None => kill_strays_now(&self.place.build_id),
            // Nobody is left to wait for it.
            Some(container) => drop(kill_container(container).spawn()),
        }
    }
}

fn kill_container(container: &Container) -> Command {
    let mut command = Command::new(&container.docker);
    command.args(["rm", "--force", "--volumes", "--", &container.name]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    if let Some(host) = &container.docker_host {
        command.env("DOCKER_HOST", host);
    }
    command
}

fn mount(path: &Path) -> std::ffi::OsString {
    let mut both = path.as_os_str().to_owned();
    both.push(":");
    both.push(path);
    both
}

fn signal_status(status: std::process::ExitStatus) -> Option<i32> {
    use std::os::unix::process::ExitStatusExt as _;
    // As shells report it.
    status.signal().map(|signal| 128 + signal)
}

/// Kills processes of the build that left their process group (`setsid`), known by the variable they
/// inherited. Where there is no `/proc` only groups are killed.
pub(super) async fn kill_strays(build_id: String) {
    let _ = tokio::task::spawn_blocking(move || kill_strays_now(&build_id)).await;
}

fn kill_strays_now(build_id: &str) {
    let mark = format!("CODEBUILD_BUILD_ID={build_id}");
    for _ in 0..KILL_PASSES {
        let Ok(processes) = std::fs::read_dir("/proc") else { return };
        let mut is_clean = true;
        for process in processes.flatten() {
            let Some(id) = process.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else {
                continue;
            };
            let environment = std::fs::read(process.path().join("environ")).unwrap_or_default();
            if environment.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes())
                && let Some(pid) = Pid::from_raw(id)
            {
                is_clean = false;
                let _ = kill_process(pid, Signal::KILL);
            }
        }
        if is_clean {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}
