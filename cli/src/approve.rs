//! `pushway approvals`, `approve` and `reject`: deploys that wait for people.

use std::process::ExitCode;

use anyhow::{Context as _, bail};
use pushway_core::approval::ApprovalState;
use pushway_core::ids::{EnvironmentName, RunId};
use pushway_core::messages::checkpoints::waits;
use pushway_core::messages::{approvals_given, who_may};
use pushway_core::protection::Approvers;
use pushway_core::run::{CheckpointState, Run};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::client::{At, Client};
use crate::output;
use crate::question::{describe, short};

/// Nothing to choose.
#[derive(clap::Args)]
#[command(after_help = "Example: pushway approvals")]
pub(crate) struct List {}

/// What to approve.
#[derive(clap::Args)]
#[command(
    after_help = "Example: pushway approve 01890a5d-ac96-774b-bcce-b302099a8057 production --comment 'seen on staging'"
)]
pub(crate) struct Approve {
    /// The run that asks.
    run: RunId,
    /// The environment; may be left out where the run asks for one only.
    environment: Option<EnvironmentName>,
    /// Only if this is what is asked for: the digest that `pushway approvals` shows, or its beginning.
    #[arg(long, value_name = "DIGEST")]
    digest: Option<String>,
    /// Words to keep with it.
    #[arg(long)]
    comment: Option<String>,
}

/// What to reject.
#[derive(clap::Args)]
#[command(
    after_help = "Example: pushway reject 01890a5d-ac96-774b-bcce-b302099a8057 production --reason 'not on a Friday'"
)]
pub(crate) struct Reject {
    /// The run that asks.
    run: RunId,
    /// The environment; may be left out where the run asks for one only.
    environment: Option<EnvironmentName>,
    /// Why: the author of the push reads it.
    #[arg(long)]
    reason: String,
}

#[derive(Deserialize)]
struct Paused {
    run_id: RunId,
    pipeline: Option<String>,
    environment: EnvironmentName,
    pause: CheckpointState,
    #[serde(default)]
    approvers: Approvers,
}

#[derive(Deserialize)]
struct Listed {
    run_id: RunId,
    pipeline: Option<String>,
    environment: EnvironmentName,
    approval: ApprovalState,
}

/// Lists what waits.
pub(crate) async fn list(at: &At, as_json: bool, _: &List) -> anyhow::Result<ExitCode> {
    let answer: Value = at.client().await?.get(&["v1", "approvals"], &[]).await?;
    if as_json {
        output::json(&answer)?;
        return Ok(ExitCode::SUCCESS);
    }
    let listed: Vec<Listed> = serde_json::from_value(answer["approvals"].clone())
        .context("read the approvals; is this `pushway` older than the installation?")?;
    // An installation of before there were pauses lists none.
    let paused: Vec<Paused> = serde_json::from_value(answer["pauses"].clone()).unwrap_or_default();
    if listed.is_empty() && paused.is_empty() {
        output::note("nothing waits for approval");
    }
    for Paused { run_id, pipeline, environment, pause, approvers } in paused {
        let pipeline = pipeline.as_deref().unwrap_or("?");
        output::line(&format!("{environment} of {pipeline}, run {run_id}"))?;
        output::line(&format!("  {}", waits(pause.served)))?;
        if !approvers.is_anyone() {
            output::line(&format!("  may be continued by {}", who_may(&approvers)))?;
        }
    }
    for listed in listed {
        let pipeline = listed.pipeline.as_deref().unwrap_or("?");
        output::line(&format!("{} of {pipeline}, run {}", listed.environment, listed.run_id))?;
        for line in describe(&listed.approval) {
            output::line(&format!("  {line}"))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Consents.
pub(crate) async fn approve(at: &At, as_json: bool, args: &Approve) -> anyhow::Result<ExitCode> {
    let client = at.client().await?;
    let (environment, asked) = asked(&client, args.run, args.environment.as_ref()).await?;
    let digest = asked.request.digest.as_str();
    if let Some(wanted) = args.digest.as_deref()
        && !(wanted.len() >= 8 && digest.starts_with(wanted))
    {
        bail!(
            "run {} asks for {}, not for {wanted}; look at `pushway approvals` again",
            args.run,
            short(digest)
        );
    }
    if !as_json {
        for line in describe(&asked) {
            output::note(&line);
        }
    }
    let order = json!({ "digest": digest, "comment": args.comment });
    let answer: Value = client.post(&path(args.run, &environment, "approve"), &order).await?;
    if as_json {
        output::json(&answer)?;
    } else if answer["granted"] == true {
        output::line(&format!("approved; follow it: pushway run watch {}", args.run))?;
    } else {
        let state: ApprovalState = serde_json::from_value(answer["approval"].clone())?;
        output::line(&format!("noted; {}", approvals_given(&state)))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Refuses.
pub(crate) async fn reject(at: &At, as_json: bool, args: &Reject) -> anyhow::Result<ExitCode> {
    let client = at.client().await?;
    let (environment, _) = asked(&client, args.run, args.environment.as_ref()).await?;
    let order = json!({ "reason": args.reason });
    let answer: Value = client.post(&path(args.run, &environment, "reject"), &order).await?;
    if as_json {
        output::json(&answer)?;
    } else {
        output::line(&format!("rejected; run {} ends", args.run))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What the run asks for, in the environment that is meant.
async fn asked(
    client: &Client,
    id: RunId,
    wanted: Option<&EnvironmentName>,
) -> anyhow::Result<(EnvironmentName, ApprovalState)> {
    let run: Run = client.get(&["v1", "runs", &id.to_string()], &[]).await?;
    let asks = run.environments.iter().filter_map(|state| Some((&state.name, state.approval.as_ref()?)));
    let meant = |(name, state): &(&EnvironmentName, &ApprovalState)| match wanted {
        Some(wanted) => *name == wanted,
        None => state.is_open(),
    };
    let found = asks.filter(meant).map(|(name, state)| (name.clone(), state.clone())).next_back();
    found.with_context(|| format!("run {id} asks for no approval; `pushway approvals` lists what waits"))
}

fn path<'p>(run: RunId, environment: &'p EnvironmentName, verb: &'p str) -> [String; 6] {
    ["v1", "runs", &run.to_string(), "environments", environment.as_str(), verb].map(str::to_owned)
}
