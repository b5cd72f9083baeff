//! `pushway env unlock`: frees an environment that a failed rollback has kept locked.
//!
//! It works on the installation's table with the caller's own AWS credentials: who may write there may do
//! this, nobody else.

use std::process::ExitCode;

use anyhow::Context as _;
use pushway_aws::account::Account;
use pushway_core::ids::{EnvironmentName, PipelineName};
use pushway_core::settle::{Unlocked, unlock};
use pushway_local::{Engine, deploy};

use crate::output;

/// What to do with an environment.
#[derive(clap::Subcommand)]
pub(crate) enum Verb {
    /// Free it after a failed rollback, once you have looked at the service; see docs/operations.md.
    #[command(after_help = "Example: pushway env unlock web production --table pushway-Table-1ABC")]
    Unlock(Unlock),
}

/// Which environment.
#[derive(clap::Args)]
pub(crate) struct Unlock {
    /// Its pipeline.
    pipeline: PipelineName,
    /// Its name.
    environment: EnvironmentName,
    /// The installation's table: output TableName of its stack. Without it, the laptop engine of this folder
    /// is meant.
    #[arg(long, env = "PUSHWAY_TABLE")]
    table: Option<String>,
}

/// Runs a verb; exits with 1 if the environment is in use.
pub(crate) async fn main(verb: &Verb) -> anyhow::Result<ExitCode> {
    let Verb::Unlock(args) = verb;
    let ports = match &args.table {
        Some(table) => Account::from_environment().await.ports(table),
        None => on_the_laptop().await?,
    };
    let name = format!("{} of {}", args.environment, args.pipeline);
    match unlock(&ports, &args.pipeline, &args.environment).await? {
        Unlocked::WasFree => output::line(&format!("{name} was not locked"))?,
        Unlocked::Freed(run) => {
            output::line(&format!("{name} is free; run {run} had kept it locked"))?;
            output::note("a run that waits for it goes on within a minute");
        }
        Unlocked::InUse(run) => {
            output::error(&format!("{name} is in use by run {run}, which is not over; wait for it"));
            return Ok(ExitCode::FAILURE);
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn on_the_laptop() -> anyhow::Result<pushway_aws::Aws> {
    let here = std::env::current_dir().context("find the current folder")?;
    let emulator = Engine::new(&here)?.running()?.emulator()?;
    let outputs = deploy::outputs(&emulator, crate::local::STACK).await?;
    let table = outputs.get("TableName").context("the laptop's installation has no output TableName")?;
    let credentials = emulator.credentials().clone();
    Ok(Account::emulated(emulator.endpoint(), emulator.region(), credentials).await.ports(table))
}
