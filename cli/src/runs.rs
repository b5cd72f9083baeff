//! `pushway runs`: the history, newest first.

use std::process::ExitCode;

use pushway_core::fact::bounded;
use pushway_core::ids::{PipelineName, RunId};
use pushway_core::summary::RunSummary;
use serde::{Deserialize, Serialize};

use crate::client::At;
use crate::output;

/// Characters of a line that say what happened; `pushway run show` has the rest.
const WHAT_WIDTH: usize = 100;

/// What to list.
#[derive(clap::Args)]
#[command(after_help = "Example: pushway runs --pipeline web --limit 5")]
pub(crate) struct Args {
    /// Only runs of this pipeline.
    #[arg(long)]
    pipeline: Option<PipelineName>,
    /// Only runs older than this one.
    #[arg(long, value_name = "RUN")]
    before: Option<RunId>,
    /// At most this many.
    #[arg(long, default_value_t = 25, value_parser = clap::value_parser!(u16).range(1..=100))]
    limit: u16,
}

#[derive(Serialize, Deserialize)]
struct Page {
    runs: Vec<RunSummary>,
    next: Option<RunId>,
}

/// What happened, or what it is about; a retry says so.
fn what(run: &RunSummary) -> String {
    let words = run.cause.as_ref().unwrap_or(&run.message);
    run.retry_of.map_or_else(|| words.clone(), |of| format!("retry of {of}: {words}"))
}

/// Lists runs.
pub(crate) async fn main(at: &At, as_json: bool, args: &Args) -> anyhow::Result<ExitCode> {
    let mut query = vec![("limit", args.limit.to_string())];
    query.extend(args.pipeline.iter().map(|pipeline| ("pipeline", pipeline.to_string())));
    query.extend(args.before.iter().map(|before| ("before", before.to_string())));
    let page: Page = at.client().await?.get(&["v1", "runs"], &query).await?;
    if as_json {
        output::json(&page)?;
        return Ok(ExitCode::SUCCESS);
    }
    if page.runs.is_empty() {
        output::note("no runs yet; push to a connected repository");
        return Ok(ExitCode::SUCCESS);
    }
    let now = jiff::Timestamp::now();
    let row = |run: &RunSummary| {
        vec![
            run.id.to_string(),
            run.status.to_string(),
            run.pipeline.as_ref().map_or_else(|| run.repository.clone(), ToString::to_string),
            format!("{} {}", run.git_ref.short(), run.commit.short()),
            output::ago(now, run.received_at),
            bounded(&what(run), WHAT_WIDTH),
        ]
    };
    output::table(
        &["RUN", "STATUS", "PIPELINE", "COMMIT", "WHEN", "WHAT"],
        page.runs.iter().map(row).collect(),
    )?;
    // A short page may still name a next one: quiet days are skipped a few at a time.
    if let Some(next) = page.next.filter(|_| page.runs.len() >= usize::from(args.limit)) {
        output::note(&format!("older ones: pushway runs --before {next}"));
    }
    Ok(ExitCode::SUCCESS)
}
