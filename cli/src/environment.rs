//! `pushway env unlock`: frees an environment that a failed rollback has kept locked.
//!
//! It works on the installation's table with the caller's own AWS credentials: who may write there may do
//! this, nobody else.

use std::process::ExitCode;

use pushway_aws::account::Account;
use pushway_core::ids::{EnvironmentName, PipelineName};
use pushway_core::settle::{Unlocked, unlock};

use crate::installation::Laptop;
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
    let ports = if let Some(table) = &args.table {
        Account::from_environment().await.ports(table)
    } else {
        let laptop = Laptop::find("--table or PUSHWAY_TABLE").await?;
        laptop.account().await?.ports(laptop.output("TableName")?)
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
