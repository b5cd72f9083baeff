//! `cargo xtask test`: sets up and runs every test of the repository. The end-to-end story among them runs
//! the demo, so what it needs is made ready here.

use std::process::ExitCode;

use pushway_local::{Engine, docker, tools};

use crate::process::{command, say};
use crate::{package, root};

/// Runs every test.
pub(crate) async fn main() -> anyhow::Result<ExitCode> {
    let root = root();
    package::debug_with_tests()?;
    let engine = Engine::new(&root)?;
    tools::install(engine.layout(), &say).await?;
    let log = engine.layout().logs().join("docker-install.log");
    docker::prepare(std::env::var("DOCKER_HOST").ok().as_deref(), &log, &say).await?;
    // Standard output is the test runner's own: its summary is what a reader looks for.
    let status = command(&root, "cargo", &["test", "--workspace", "--no-fail-fast"]).status()?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
