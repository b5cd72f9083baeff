//! `pushway commit`: which runs a commit had, and where it serves.

use std::process::ExitCode;

use jiff::Timestamp;
use pushway_core::deployments::{CommitDeployment, CommitView};
use pushway_core::ids::CommitSha;
use serde_json::Value;

use crate::client::At;
use crate::output;
use crate::runs;

/// Which commit.
#[derive(clap::Args)]
#[command(after_help = "Example: pushway commit 4b825dc642cb6eb9a060e54bf8d69288fbee4904")]
pub(crate) struct Args {
    /// Its full id.
    commit: CommitSha,
}

/// Shows it.
pub(crate) async fn main(at: &At, as_json: bool, args: &Args) -> anyhow::Result<ExitCode> {
    let answer: Value = at.client().await?.get(&["v1", "commits", args.commit.as_str()], &[]).await?;
    if as_json {
        output::json(&answer)?;
        return Ok(ExitCode::SUCCESS);
    }
    let view: CommitView = serde_json::from_value(answer)?;
    let now = Timestamp::now();
    let rows: Vec<Vec<String>> = view.deployments.iter().map(|deployment| row(deployment, now)).collect();
    if rows.is_empty() {
        output::note("it was deployed nowhere, or longer ago than environments remember");
    } else {
        output::table(&["PIPELINE", "ENVIRONMENT", "SINCE", "BY RUN", "NOW"], rows)?;
        output::line("")?;
    }
    runs::show(&view.runs)?;
    Ok(ExitCode::SUCCESS)
}

fn row(deployment: &CommitDeployment, now: Timestamp) -> Vec<String> {
    let fate = match (&deployment.replaced, &deployment.left_broken_by) {
        (Some(replaced), _) => format!(
            "replaced {} by {} (run {})",
            output::ago(now, replaced.at),
            replaced.commit.short(),
            replaced.by
        ),
        (None, Some(run)) => format!("not certain: run {run} failed there and was not undone"),
        (None, None) => "serves".into(),
    };
    vec![
        deployment.pipeline.to_string(),
        deployment.environment.to_string(),
        output::ago(now, deployment.since),
        deployment.run.to_string(),
        fate,
    ]
}
