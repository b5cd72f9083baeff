//! Functions that are killed in the middle of their work: retries and the sweep finish what they began.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::service::Service;
use crate::{Repository, begin, ended};

/// Every function that a run needs once its push has been taken, by its name in the template.
const FUNCTIONS: [&str; 9] = [
    "PlanFunction",
    "StartBuildFunction",
    "BuildCompletedFunction",
    "LockFunction",
    "DeployFunction",
    "DeployProgressFunction",
    "ValidateFunction",
    "FinishFunction",
    "SweepFunction",
];
/// Processor time, in nanoseconds, that only an invocation takes from one look to the next.
const WORK: u64 = 1_000_000;
/// How long after it has begun to work a function is killed: the first time in the middle of an event, the second time
/// at once, which is while its new process still starts.
const MOMENTS: [Duration; 2] = [Duration::from_millis(5), Duration::ZERO];

pub(crate) fn story(repository: &Repository, service: &Service) {
    let before = service.primary();
    let killer = Killer::begin();
    let run = ended(&begin(repository, "3.0.0"));
    let killed = killer.end();
    assert_eq!(run["status"], "succeeded", "{run:#}\nkilled: {killed:?}");
    for function in FUNCTIONS {
        assert!(
            killed.get(function).is_some_and(|times| *times > 0),
            "{function} was not killed: {killed:?}"
        );
    }
    service.serves("3.0.0");
    let after = service.primary();
    assert_ne!(after, before);
    assert_eq!(service.tasks_of(&after), service.desired(), "one rollout");
}

/// Kills each function while it works, twice if it works that often.
struct Killer {
    over: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<BTreeMap<&'static str, usize>>,
}

impl Killer {
    fn begin() -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let thread = std::thread::spawn({
            let over = over.clone();
            move || kill_until(&over)
        });
        Self { over, thread }
    }

    fn end(self) -> BTreeMap<&'static str, usize> {
        self.over.store(true, Ordering::Relaxed);
        self.thread.join().expect("the killer lives")
    }
}

fn kill_until(over: &AtomicBool) -> BTreeMap<&'static str, usize> {
    let mut killed = BTreeMap::new();
    let mut seen = BTreeMap::new();
    while !over.load(Ordering::Relaxed) {
        for (pid, function) in functions() {
            let Some(worked) = worked(pid) else { continue };
            let before = seen.insert(pid, worked);
            let times = killed.get(function).copied().unwrap_or_default();
            let Some(moment) = MOMENTS.get(times) else { continue };
            if worked < before.unwrap_or_default() + WORK {
                continue;
            }
            std::thread::sleep(*moment);
            let pid = rustix::process::Pid::from_raw(pid).expect("a process");
            if rustix::process::kill_process(pid, rustix::process::Signal::KILL).is_ok() {
                killed.insert(function, times + 1);
            }
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    killed
}

/// The functions' processes, by what the emulator tells each of them of itself.
fn functions() -> Vec<(i32, &'static str)> {
    let processes = fs::read_dir("/proc").expect("/proc").flatten();
    let pids = processes.filter_map(|process| process.file_name().to_str()?.parse::<i32>().ok());
    pids.filter_map(|pid| {
        let environment = fs::read(format!("/proc/{pid}/environ")).ok()?;
        let name = environment.split(|byte| *byte == 0).find_map(|variable| {
            std::str::from_utf8(variable).ok()?.strip_prefix("AWS_LAMBDA_FUNCTION_NAME=")
        })?;
        let function = FUNCTIONS.into_iter().find(|function| name.contains(&format!("-{function}-")))?;
        Some((pid, function))
    })
    .collect()
}

/// Processor time that a process' threads have used, in nanoseconds; `None` where it is gone.
fn worked(pid: i32) -> Option<u64> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten();
    let used = |thread: fs::DirEntry| {
        let told = fs::read_to_string(thread.path().join("schedstat")).ok()?;
        told.split(' ').next()?.parse::<u64>().ok()
    };
    Some(threads.filter_map(used).sum())
}
