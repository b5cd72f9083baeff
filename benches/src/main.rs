//! `webhook-burst`: 1,000 pushes in 10 seconds at the webhook function, run as Lambda runs it.
//!
//! The function's own binary answers, in several execution environments, against the laptop engine's
//! emulator, without the emulator's gateway and function runner in between. It asserts the promise: 99 of
//! 100 answers within 500 ms, and each push recorded as one run with one execution. It is a program and not a
//! test, because its figures depend on what else the machine does.

mod deliveries;
mod figures;
mod installation;
mod load;
mod runtime;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser;
use serde_json::json;

use figures::{Figures, say};
use installation::Installation;
use runtime::Runtime;

/// What the promise says of the slowest of 100 answers.
const BUDGET: Duration = Duration::from_millis(500);

#[derive(Parser)]
#[command(max_term_width = 100)]
struct Cli {
    /// The webhook function's binary.
    #[arg(long, default_value = "target/debug/webhook")]
    function: PathBuf,
    /// How many distinct pushes.
    #[arg(long, default_value_t = 1000)]
    pushes: u32,
    /// In how many seconds they come.
    #[arg(long, default_value_t = 10)]
    seconds: u32,
    /// How many execution environments answer; each takes one delivery at a time.
    #[arg(long, default_value_t = 8)]
    environments: u32,
    #[command(subcommand)]
    own: Option<Own>,
}

#[derive(clap::Subcommand)]
enum Own {
    /// Own the emulator; started by this program itself.
    #[command(hide = true)]
    Supervise { project: PathBuf },
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match &cli.own {
        Some(Own::Supervise { project }) => pushway_local::supervise(project).await.map(|()| true),
        None => measure(&cli).await,
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            say(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

async fn measure(cli: &Cli) -> anyhow::Result<bool> {
    let function = cli.function.canonicalize().with_context(|| {
        format!("there is no {}; run it as: cargo xtask bench webhook", cli.function.display())
    })?;
    let installation = Installation::up().await?;
    let installation = Arc::new(installation);
    let measured = burst(cli, &installation, &function).await;
    installation.down().await?;
    measured
}

/// Measures and judges; whether the promise holds.
async fn burst(cli: &Cli, installation: &Arc<Installation>, function: &Path) -> anyhow::Result<bool> {
    let pace = load::Pace { count: cli.pushes, within: Duration::from_secs(cli.seconds.into()) };
    say("reference: one conditional PutItem for each push");
    let reference = Figures::of(load::reference(installation, pace).await?);
    say(&format!("starting {} execution environments", cli.environments));
    let runtime = Runtime::start(cli.environments, function, &installation.function_environment()).await?;
    let runtime = Arc::new(runtime);
    let cold = Figures::of(load::warm_up(&runtime, cli.environments).await?);
    say(&format!("{} pushes in {} s, some of them twice", cli.pushes, cli.seconds));
    let answers = load::burst(&runtime, pace).await?;
    drop(runtime);
    let warm = Figures::of(answers.times.iter().map(|time| time.answered).collect());
    let handling = Figures::of(answers.times.iter().map(|time| time.handled).collect());
    let recorded = installation.recorded(cli.environments).await?;
    let is_fast = warm.p99 <= BUDGET;
    let is_once = answers.are_right() && recorded.is_once_each(cli.pushes);
    let report = json!({
        "webhook_ms": warm, "handler_ms": handling, "cold_ms": cold, "reference_put_item_ms": reference,
        "ratio_p50": warm.ratio(&reference, |figures| figures.p50),
        "ratio_p99": warm.ratio(&reference, |figures| figures.p99),
        "answers": answers.counts, "recorded": recorded, "environments": cli.environments,
        "within_budget": is_fast, "once_each": is_once,
    });
    figures::print(&serde_json::to_string_pretty(&report)?)?;
    say(&format!(
        "{} pushes in {} s: half of the answers within {:.0} ms, 99 of 100 within {:.0} ms, the slowest {:.0} ms \
         ({:.1} times a bare PutItem at p50); {} runs and {} executions recorded",
        cli.pushes,
        cli.seconds,
        figures::ms(warm.p50),
        figures::ms(warm.p99),
        figures::ms(warm.max),
        warm.ratio(&reference, |figures| figures.p50),
        recorded.runs,
        recorded.executions,
    ));
    if !is_fast {
        say(&format!("too slow: 99 of 100 answers must come within {} ms", BUDGET.as_millis()));
    }
    if !is_once {
        say("not once each: see `answers` and `recorded` above");
    }
    Ok(is_fast && is_once)
}
