//! `pushway run stop` and `pushway run retry`: what people do to a run as a whole.

use std::process::ExitCode;

use pushway_core::ids::RunId;
use pushway_core::source::RetryFrom;
use pushway_core::steering::{RetryAnswer, StopAnswer};
use serde_json::json;

use crate::client::Client;
use crate::output;
use crate::watch::watch;

/// What to stop.
#[derive(clap::Args)]
#[command(
    after_help = "Example: pushway run stop 01890a5d-ac96-774b-bcce-b302099a8057 --reason 'wrong branch'"
)]
pub(crate) struct Stop {
    /// The run's id.
    run: RunId,
    /// Why: the author of the push reads it.
    #[arg(long)]
    reason: String,
}

/// What to retry.
#[derive(clap::Args)]
#[command(
    after_help = "Example: pushway run retry 01890a5d-ac96-774b-bcce-b302099a8057 --from-failed --watch"
)]
pub(crate) struct Retry {
    /// The run's id.
    run: RunId,
    /// Keep its plan and all that was good in it: only what failed, and what comes after, is done again.
    #[arg(long)]
    from_failed: bool,
    /// Follow the new run to its end; exits with 0 if it succeeds, with 1 if not, and with 3 if that can't be seen.
    #[arg(long)]
    watch: bool,
}

/// Stops a run.
pub(crate) async fn stop(client: &Client, as_json: bool, args: &Stop) -> anyhow::Result<ExitCode> {
    let path = ["v1", "runs", &args.run.to_string(), "stop"].map(str::to_owned);
    let answer: StopAnswer = client.post(&path, &json!({ "reason": args.reason })).await?;
    if as_json {
        output::json(&answer)?;
        return Ok(ExitCode::SUCCESS);
    }
    output::line(&format!("stopped by {}: {}", answer.stop.by, answer.stop.reason))?;
    for words in &answer.follows {
        output::line(words)?;
    }
    if !answer.over {
        output::note(&format!("follow it to its end: pushway run watch {}", args.run));
    }
    Ok(ExitCode::SUCCESS)
}

/// Retries a run.
pub(crate) async fn retry(client: &Client, as_json: bool, args: &Retry) -> anyhow::Result<ExitCode> {
    let from = if args.from_failed { RetryFrom::Failed } else { RetryFrom::Start };
    let path = ["v1", "runs", &args.run.to_string(), "retry"].map(str::to_owned);
    let answer: RetryAnswer = client.post(&path, &json!({ "from": from })).await?;
    if as_json && args.watch {
        output::json_line(&answer)?;
    } else if as_json {
        output::json(&answer)?;
    } else {
        output::line(&answer.run_id.to_string())?;
        for note in &answer.notes {
            output::note(note);
        }
    }
    if args.watch {
        return watch(client, as_json, answer.run_id).await;
    }
    if !as_json {
        let word = if answer.new { "started" } else { "was started before" };
        output::note(&format!("{word}; follow it: pushway run watch {}", answer.run_id));
    }
    Ok(ExitCode::SUCCESS)
}
