//! Children, and what is left of them.
//!
//! A child is bound to its supervisor (`setpriv --pdeathsig`), writes one log file, and leads its own
//! process group. A process is named by pid *and* start time, so that a reused pid is never signalled;
//! descendants are found by a marker in their environment. Nothing here may end a process that does not
//! carry this engine's mark.

use std::{
    fs::File,
    io,
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};
use tokio::{
    process::{Child, Command},
    sync::oneshot,
};

use crate::layout::{Layout, find_program};

/// The environment variable that every process of an engine carries; its value is the engine's folder.
pub(crate) const MARK: &str = "PUSHWAY_ENGINE";

/// A process that cannot be mistaken for a later one with the same pid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessId {
    /// The kernel's number.
    pub pid: u32,
    /// When it started, in clock ticks since boot (field 22 of `/proc/<pid>/stat`).
    pub started: u64,
}

impl ProcessId {
    /// The process `pid`, if it lives; a zombie does not.
    pub fn of(pid: u32) -> Option<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name in brackets may hold blanks and brackets itself: fields count from the last one.
        let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
        if matches!(fields.next()?, "Z" | "X") {
            return None;
        }
        Some(Self { pid, started: fields.nth(18)?.parse().ok()? })
    }

    /// Whether this very process still runs.
    pub fn is_alive(self) -> bool {
        Self::of(self.pid) == Some(self)
    }

    /// Signals this very process; one that is gone is fine.
    pub(crate) fn signal(self, signal: Signal) {
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw);
        if let (true, Some(pid)) = (self.is_alive(), pid) {
            let _gone = kill_process(pid, signal);
        }
    }
}

/// Starts children from one thread that lives as long as this value: the parent-death signal follows the
/// *thread* that started a child (prctl(2), `PR_SET_PDEATHSIG`), and a runtime's threads come and go.
pub(crate) struct Spawner(std::sync::mpsc::Sender<(Command, oneshot::Sender<io::Result<Child>>)>);

impl Spawner {
    pub(crate) fn new() -> anyhow::Result<Self> {
        let (sender, orders) = std::sync::mpsc::channel::<(Command, oneshot::Sender<_>)>();
        let runtime = tokio::runtime::Handle::current();
        std::thread::Builder::new()
            .name("spawner".to_owned())
            .spawn(move || {
                let _context = runtime.enter();
                for (mut command, reply) in orders {
                    let _unread = reply.send(command.spawn());
                }
            })
            .context("start the spawner thread")?;
        Ok(Self(sender))
    }

    pub(crate) async fn spawn(&self, command: Command) -> anyhow::Result<Child> {
        let program = command.as_std().get_program().to_string_lossy().into_owned();
        let (reply, answer) = oneshot::channel();
        self.0.send((command, reply)).ok().context("the spawner thread is gone")?;
        answer.await.context("the spawner thread is gone")?.with_context(|| format!("start {program}"))
    }
}

/// A command for `program` that ends with its parent, by `TERM` so that it can clean up after itself, and
/// writes to `log`. Its environment is empty but for the mark.
pub(crate) fn bound_command(layout: &Layout, program: &Path, log: &Path) -> anyhow::Result<Command> {
    let mut command = if let Some(setpriv) = find_program("setpriv") {
        let mut command = Command::new(setpriv);
        command.args(["--pdeathsig", "TERM", "--"]).arg(program);
        command
    } else {
        Command::new(program)
    };
    let file = open_log(log)?;
    let errors = file.try_clone().context("share the log file")?;
    command.env_clear().env(MARK, layout.local()).process_group(0).kill_on_drop(true);
    command.stdin(Stdio::null()).stdout(file).stderr(errors);
    Ok(command)
}

/// Opens `log` for appending, creating its folder.
pub(crate) fn open_log(log: &Path) -> anyhow::Result<File> {
    if let Some(folder) = log.parent() {
        std::fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
    }
    File::options().create(true).append(true).open(log).with_context(|| format!("open {}", log.display()))
}

/// The last `count` lines of a log, for an error message; empty if it cannot be read.
pub(crate) fn tail(log: &Path, count: usize) -> String {
    let text = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

/// Asks `child` to end, waits up to `patience`, then makes it.
pub(crate) async fn stop(child: &mut Child, patience: Duration) {
    if let Some(process) = child.id().and_then(ProcessId::of) {
        process.signal(Signal::TERM);
    }
    if tokio::time::timeout(patience, child.wait()).await.is_err() {
        let _gone = child.kill().await;
    }
}

/// Every living process that carries this engine's mark, but for the caller itself.
pub(crate) fn marked(layout: &Layout) -> Vec<ProcessId> {
    let mut mark = format!("{MARK}=").into_bytes();
    mark.extend_from_slice(layout.local().as_os_str().as_encoded_bytes());
    all().filter(|process| carries(process.pid, &mark)).collect()
}

/// Every living process in a container whose id is among `containers`.
pub(crate) fn contained(containers: &[String]) -> Vec<ProcessId> {
    let inside = |pid: u32| {
        let cgroup = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
        containers.iter().any(|id| cgroup.contains(id.as_str()))
    };
    if containers.is_empty() { Vec::new() } else { all().filter(|process| inside(process.pid)).collect() }
}

/// Ends `processes`: `TERM`, up to `patience`, then `KILL`.
pub(crate) async fn end(processes: &[ProcessId], patience: Duration) {
    for process in processes {
        process.signal(Signal::TERM);
    }
    let deadline = Instant::now() + patience;
    while processes.iter().any(|process| process.is_alive()) && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for process in processes {
        process.signal(Signal::KILL);
    }
}

/// A living process named `name` that shares this one's network, if there is one.
pub(crate) fn neighbour(name: &str) -> Option<u32> {
    let network = |pid: &str| std::fs::read_link(format!("/proc/{pid}/ns/net")).ok();
    let own = network("self");
    all().map(|process| process.pid).find(|pid| {
        let found = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        found.trim_end() == name && network(&pid.to_string()) == own
    })
}

fn all() -> impl Iterator<Item = ProcessId> {
    let own = std::process::id();
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(move |pid| *pid != own).filter_map(ProcessId::of)
}

fn carries(pid: u32, mark: &[u8]) -> bool {
    let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    environment.split(|byte| *byte == 0).any(|variable| variable == mark)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reused_pid_is_another_process() {
        let own = ProcessId::of(std::process::id()).unwrap();
        assert!(own.is_alive());
        assert!(!ProcessId { started: own.started + 1, ..own }.is_alive());
        assert_eq!(ProcessId::of(0), None);
    }

    #[tokio::test]
    async fn leftovers_are_found_by_their_mark_and_only_they_are_ended() {
        let (ours, theirs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (ours, theirs) = (Layout::new(ours.path()).unwrap(), Layout::new(theirs.path()).unwrap());
        let start = |layout: &Layout| {
            // A grandchild that lost its parent: what a killed emulator leaves behind.
            let mut command = std::process::Command::new("sh");
            command.args(["-c", "sleep 60 & echo $!"]).env(MARK, layout.local()).stderr(Stdio::null());
            let mut shell = command.stdout(Stdio::piped()).spawn().unwrap();
            let mut line = String::new();
            let pipe = shell.stdout.take().unwrap();
            io::BufRead::read_line(&mut io::BufReader::new(pipe), &mut line).unwrap();
            shell.wait().unwrap();
            ProcessId::of(line.trim().parse().unwrap()).unwrap()
        };
        let (mine, other) = (start(&ours), start(&theirs));
        assert_eq!(marked(&ours), [mine]);
        end(&marked(&ours), Duration::from_secs(5)).await;
        assert!(!mine.is_alive());
        assert!(other.is_alive());
        end(&[other], Duration::from_secs(5)).await;
    }
}
