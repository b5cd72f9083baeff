//! `cargo xtask`: what a contributor runs. `demo` shows the main job, `test` runs every test,
//! `lint` reads the sources, `package` lays the functions out for `sam deploy`.
//!
//! It drives the same programs that a user does and knows nothing about runs but what the API tells.

mod bench;
mod browser;
mod demo;
mod example;
mod fuzz;
mod lint;
mod package;
mod process;
mod test;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(bin_name = "cargo xtask", max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Set everything up on this machine and play the main job with real pushes.
    Demo(demo::Args),
    /// Set everything up and run every test.
    Test(test::Args),
    /// Throw inputs at every parser of outside bytes, guided by coverage.
    Fuzz(fuzz::Args),
    /// Measure a promise about speed; fails if it does not hold.
    #[command(subcommand)]
    Bench(bench::Verb),
    /// Check format, lints, dependencies and templates.
    Lint,
    /// Build the functions and lay them out under target/lambda, where template.yaml expects them.
    Package(package::Args),
}

#[tokio::main]
async fn main() -> ExitCode {
    let done = match Cli::parse().verb {
        Verb::Demo(args) => demo::main(&args).await,
        Verb::Test(args) => test::main(&args).await,
        Verb::Fuzz(args) => fuzz::main(&args),
        Verb::Bench(verb) => bench::main(&verb),
        Verb::Lint => lint::main().await,
        Verb::Package(args) => package::main(&args),
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            process::say(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// The root of the repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_path_buf).unwrap_or_default()
}
