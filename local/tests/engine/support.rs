//! A project folder, its engine, and the process that supervises it.

use std::{ffi::OsString, path::Path, time::Duration};

use pushway_local::{Engine, Layout, Options, ProcessId, Running};

const PROJECT: &str = "PUSHWAY_TEST_PROJECT";

/// The supervisor must be a process: this binary again, running only this.
#[tokio::test]
#[ignore = "run as a child by the stories below"]
async fn supervise() {
    if let Some(project) = std::env::var_os(PROJECT) {
        pushway_local::supervise(Path::new(&project)).await.unwrap();
    }
}

fn supervisor(project: &Path) -> Vec<OsString> {
    let mut assignment = OsString::from(format!("{PROJECT}="));
    assignment.push(project);
    let own = std::env::current_exe().unwrap();
    ["env".into(), assignment, own.into(), "--exact".into(), "support::supervise".into(), "--ignored".into()]
        .into()
}

/// Takes the engine down with the story, told to its end or not.
pub(crate) struct Project {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) engine: Engine,
}

impl Drop for Project {
    fn drop(&mut self) {
        let engine = self.engine.clone();
        let down = async move { engine.down().await.map(drop) };
        let end = std::thread::spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(down)
        });
        assert!(end.join().is_ok() || std::thread::panicking());
    }
}

/// A project folder whose tools are those of the checkout.
pub(crate) async fn project() -> Project {
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let shared = Layout::new(checkout).unwrap();
    pushway_local::tools::install(&shared, &|_| {}).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let engine = Engine::new(folder.path()).unwrap();
    std::fs::create_dir_all(engine.layout().root()).unwrap();
    std::os::unix::fs::symlink(shared.venv(), engine.layout().venv()).unwrap();
    Project { folder, engine }
}

pub(crate) async fn up(engine: &Engine, options: &Options) -> Running {
    engine.up(options, &supervisor(engine.layout().project()), &|_| {}).await.unwrap()
}

/// Ends `process` as a crash does.
pub(crate) fn crash(process: ProcessId) {
    let kill = std::process::Command::new("kill").args(["-KILL", &process.pid.to_string()]).status().unwrap();
    assert!(kill.success());
}

/// Waits for `what` to be true, as long as a busy machine may take; `or` tells why it is not.
pub(crate) async fn eventually(what: &str, or: impl Fn() -> String, mut is_true: impl AsyncFnMut() -> bool) {
    let deadline = std::time::Instant::now() + Duration::from_secs(30);
    while !is_true().await {
        assert!(std::time::Instant::now() < deadline, "{what}: did not come true\n{}", or());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
