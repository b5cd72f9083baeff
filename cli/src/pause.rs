//! `pushway continue` and `pushway go-back`: a deployment that waits for a person in the middle.

use std::process::ExitCode;

use anyhow::Context as _;
use pushway_core::ids::{EnvironmentName, RunId};
use pushway_core::messages::checkpoints::place;
use pushway_core::run::{EnvironmentState, Run};
use serde_json::{Value, json};

use crate::client::{At, Client};
use crate::output;

/// What goes on.
#[derive(clap::Args)]
#[command(after_help = "Example: pushway continue 01890a5d-ac96-774b-bcce-b302099a8057 production")]
pub(crate) struct Continue {
    /// The run whose deployment waits.
    run: RunId,
    /// The environment; may be left out where the run waits in one only.
    environment: Option<EnvironmentName>,
    /// Words to keep with it.
    #[arg(long)]
    comment: Option<String>,
}

/// What goes back.
#[derive(clap::Args)]
#[command(
    after_help = "Example: pushway go-back 01890a5d-ac96-774b-bcce-b302099a8057 production --reason 'slower than before'"
)]
pub(crate) struct GoBack {
    /// The run whose deployment waits.
    run: RunId,
    /// The environment; may be left out where the run waits in one only.
    environment: Option<EnvironmentName>,
    /// Why: the author of the push reads it.
    #[arg(long)]
    reason: String,
}

/// Lets it go on.
pub(crate) async fn go_on(at: &At, as_json: bool, args: &Continue) -> anyhow::Result<ExitCode> {
    let order = json!({ "comment": args.comment });
    say(&at.client().await?, as_json, (args.run, args.environment.as_ref()), "continue", &order).await
}

/// Lets it go back.
pub(crate) async fn go_back(at: &At, as_json: bool, args: &GoBack) -> anyhow::Result<ExitCode> {
    let order = json!({ "reason": args.reason });
    say(&at.client().await?, as_json, (args.run, args.environment.as_ref()), "go-back", &order).await
}

async fn say(
    client: &Client,
    as_json: bool,
    (id, wanted): (RunId, Option<&EnvironmentName>),
    verb: &str,
    order: &Value,
) -> anyhow::Result<ExitCode> {
    let run: Run = client.get(&["v1", "runs", &id.to_string()], &[]).await?;
    let waits = |state: &&EnvironmentState| match wanted {
        Some(wanted) => state.name == *wanted,
        None => state.paused().is_some(),
    };
    let state = run.environments.iter().find(waits);
    let state = state.with_context(|| format!("run {id} waits for nobody; see `pushway run show {id}`"))?;
    if let (Some(point), false) = (state.paused(), as_json) {
        output::note(&format!("{} waits {}", state.name, place(point.served)));
    }
    let path = ["v1", "runs", &id.to_string(), "environments", state.name.as_str(), verb].map(str::to_owned);
    let answer: Value = client.post(&path, order).await?;
    if as_json {
        output::json(&answer)?;
    } else {
        output::line(&format!("noted, ECS asks within half a minute; follow it: pushway run watch {id}"))?;
    }
    Ok(ExitCode::SUCCESS)
}
