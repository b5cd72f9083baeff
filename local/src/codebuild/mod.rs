//! The build worker: `CodeBuild`'s protocol, answered by really running the build on this machine.
//!
//! The emulator keeps the projects and everything else; this room takes over the operations about builds
//! and reports, runs each buildspec in a fresh folder, and tells the relay of state changes. Operations it
//! does not know go to the emulator untouched. It must never decide anything about a run, and never let
//! data of a build (names, refs, variables, locations) become part of a command line it composes.

mod artifacts;
mod buildspec;
mod environment;
mod events;
mod files;
mod finish;
mod junit;
mod logs;
mod operations;
mod order;
mod phases;
mod protocol;
mod pump;
mod record;
mod reports;
mod role;
mod runner;
mod shell;
mod source;
mod store;
#[cfg(test)]
mod tests;

use std::{path::PathBuf, sync::Arc, time::Duration};

use anyhow::Context as _;
use tokio::sync::{Mutex, Semaphore};

use crate::Emulator;

/// What the build worker needs to know.
pub struct Config {
    /// The emulator that keeps projects, roles, secrets and logs.
    pub emulator: Emulator,
    /// Where `CodeBuild Build State Change` events go, each a whole `EventBridge` event.
    pub events: tokio::sync::mpsc::Sender<serde_json::Value>,
    /// Where builds get their folders; made when absent.
    pub work_dir: PathBuf,
    /// Folders put before the worker's own `PATH` for every build.
    pub path: Vec<PathBuf>,
    /// The container engine (`unix:///…`), given to builds as `DOCKER_HOST`.
    pub docker_host: Option<String>,
}

/// Bounds of the worker. Tests make them small; nothing else changes them.
#[derive(Clone, Copy)]
struct Limits {
    /// How long a minute of a build's timeouts lasts.
    minute: Duration,
    /// Builds that run at once; the others are `QUEUED`.
    concurrent: usize,
    /// Log bytes kept per build, counted as `CloudWatch` Logs counts them.
    log_bytes: u64,
    /// Log lines kept per build.
    log_lines: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            minute: Duration::from_mins(1),
            concurrent: 4,
            log_bytes: 64 * 1024 * 1024,
            // The emulator holds every line in memory at about a kilobyte each.
            log_lines: 200_000,
        }
    }
}

/// What all builds share.
struct Worker {
    config: Config,
    limits: Limits,
    permits: Semaphore,
    store: store::Store,
    /// Held while a role's trust policy is widened; see `role`.
    trust: Mutex<()>,
}

/// Stops every build when the server goes away, so that no process of theirs stays behind.
struct StopAll(Arc<Worker>);

impl Drop for StopAll {
    fn drop(&mut self) {
        self.0.store.stop_all();
    }
}

/// Judges a buildspec without running anything; `name` is what the complaint calls the file.
pub fn check_buildspec(name: &str, text: &str) -> Result<(), String> {
    buildspec::parse(name, text).map(drop)
}

/// Reads a `JUnit` report without keeping it: how many test cases it has.
pub fn check_report(name: &str, text: &str) -> Result<usize, String> {
    junit::parse(name, text).map(|cases| cases.len())
}

/// Serves the `CodeBuild` protocol on `listener` until it is dropped; dropping it stops the builds.
///
/// Errors: the work folder cannot be made, or the listener fails.
pub async fn serve(listener: tokio::net::TcpListener, config: Config) -> anyhow::Result<()> {
    serve_within(listener, config, Limits::default()).await
}

async fn serve_within(
    listener: tokio::net::TcpListener,
    config: Config,
    limits: Limits,
) -> anyhow::Result<()> {
    std::fs::create_dir_all(&config.work_dir)
        .with_context(|| format!("make the build folder {}", config.work_dir.display()))?;
    let work_dir = config.work_dir.canonicalize().context("resolve the build folder")?;
    let worker = Arc::new(Worker {
        config: Config { work_dir, ..config },
        limits,
        permits: Semaphore::new(limits.concurrent),
        store: store::Store::default(),
        trust: Mutex::new(()),
    });
    let _stop = StopAll(Arc::clone(&worker));
    axum::serve(listener, protocol::router(worker)).await.context("serve the codebuild protocol")
}
