//! `cargo xtask bench`: promises about speed, measured on this machine. Each fails if its promise does not
//! hold; its figures are explained in `docs/benchmarks.md`.

use std::process::ExitCode;

use crate::process::{command, run};
use crate::{package, root};

/// What to measure.
#[derive(clap::Subcommand)]
pub(crate) enum Verb {
    /// 1,000 pushes in 10 seconds at the webhook function.
    Webhook {
        /// Measure the function as it is built for AWS; takes minutes to build.
        #[arg(long)]
        release: bool,
        /// Options of the program `webhook-burst`; `--help` lists them.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        options: Vec<String>,
    },
    /// Pages of the history with a thousand runs in the table and with a million; filling it takes minutes.
    History {
        /// Options of the program `history-pages`; `--help` lists them.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        options: Vec<String>,
    },
}

/// Builds and measures.
pub(crate) fn main(verb: &Verb) -> anyhow::Result<ExitCode> {
    package::debug()?;
    let root = root();
    let program = |name: &str| root.join("target/debug").join(name);
    let mut bench = match verb {
        Verb::Webhook { release, options } => {
            let mut burst = command(&root, program("webhook-burst"), options);
            if *release {
                run(&mut command(
                    &root,
                    "cargo",
                    &["build", "--quiet", "--release", "--package", "webhook"],
                ))?;
                burst.args(["--function", "target/release/webhook"]);
            }
            burst
        }
        Verb::History { options } => command(&root, program("history-pages"), options),
    };
    let status = bench.status()?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
