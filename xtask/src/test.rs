//! `cargo xtask test`: sets up and runs every test of the repository. The end-to-end tests among them run the
//! demo and deploy the installation to an emulator, so what they need is made ready here.

use std::process::ExitCode;

use pushway_local::{Engine, docker, tools};

use crate::process::{command, say};
use crate::{browser, fuzz, package, root};

/// The packages of the fuzzer that asks the API for what its document promises.
const API_FUZZER: &str = include_str!("../../tests/schemathesis.txt");

/// How to test.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// How long each fuzz target runs; 0 leaves them to the tests that replay their seeds.
    #[arg(long, default_value_t = 60)]
    fuzz_seconds: u32,
}

/// Runs every test.
pub(crate) async fn main(args: &Args) -> anyhow::Result<ExitCode> {
    let root = root();
    package::debug_with_tests()?;
    let engine = Engine::new(&root)?;
    let layout = engine.layout();
    tools::install(layout, &say).await?;
    tools::install_into(layout, &layout.root().join("schemathesis"), API_FUZZER, &say).await?;
    browser::prepare(&root, &layout.logs().join("chromium-install.log")).await?;
    let log = engine.layout().logs().join("docker-install.log");
    docker::prepare(std::env::var("DOCKER_HOST").ok().as_deref(), &log, &say).await?;
    let fuzzer = if args.fuzz_seconds == 0 { None } else { Some(fuzz::build()?) };
    // Beside the tests, which wait more than they work.
    let fuzzing = fuzzer.map(|program| {
        let seconds = args.fuzz_seconds;
        std::thread::spawn(move || fuzz::all_hold(&program, seconds))
    });
    // Standard output is the test runner's own: its summary is what a reader looks for.
    let status = command(&root, "cargo", &["test", "--workspace", "--no-fail-fast"]).status()?;
    let holds = match fuzzing.map(std::thread::JoinHandle::join) {
        None => true,
        Some(held) => held.map_err(|_| anyhow::anyhow!("the fuzzing died"))??,
    };
    if !holds {
        say("a fuzz target broke; its input and how to replay it are shown above the tests");
    }
    Ok(if status.success() && holds { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
