//! `pushway validate`: checks a pipeline file with the code that the installation plans with.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use pushway_core::pipeline_file::parse;

use crate::output;

/// Which file.
#[derive(clap::Args)]
#[command(after_help = "Example: pushway validate path/to/pushway.yml")]
pub(crate) struct Args {
    /// The pipeline file.
    #[arg(default_value = "pushway.yml")]
    file: PathBuf,
}

/// Checks a file; exits with 1 if it has problems.
pub(crate) fn main(as_json: bool, args: &Args) -> anyhow::Result<ExitCode> {
    let name = args.file.display().to_string();
    let text = std::fs::read_to_string(&args.file).with_context(|| format!("read {name}"))?;
    match parse(&name, &text) {
        Ok(file) if as_json => output::json(&file.plan)?,
        Ok(file) => {
            let plan = file.plan;
            let jobs = plan.build.len() + plan.test.len();
            output::line(&format!(
                "{name} is good: pipeline {}, {jobs} jobs, {} environments",
                plan.pipeline,
                plan.environments.len()
            ))?;
        }
        Err(problems) => {
            if as_json {
                output::json(&problems)?;
            } else {
                output::note(&problems.to_string());
            }
            return Ok(ExitCode::FAILURE);
        }
    }
    Ok(ExitCode::SUCCESS)
}
