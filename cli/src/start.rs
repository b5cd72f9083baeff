//! `pushway start` and `pushway approve-fork`: runs that a person asks for.

use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::Context as _;
use pushway_core::ids::{CommitSha, HookId, PipelineName, VariableName};
use pushway_core::listing::RunFilter;
use pushway_core::source::Provider;
use serde_json::{Value, json};

use crate::client::{At, Client};
use crate::installation::hook_id;
use crate::{output, repos};

/// What to start.
#[derive(clap::Args)]
#[command(after_help = "Example: pushway start github octo/web --ref main --var REGION=eu-west-1")]
pub(crate) struct Start {
    /// Where the repository lives.
    provider: Provider,
    /// Its hook, or its name as it was connected.
    #[arg(value_parser = hook_id)]
    hook: HookId,
    /// A branch, or a full ref such as refs/tags/v1; by default the repository's default branch.
    #[arg(long = "ref", value_name = "REF")]
    git_ref: Option<String>,
    /// A commit of it; by default its newest one.
    #[arg(long, value_name = "SHA")]
    commit: Option<CommitSha>,
    /// Only this pipeline, where the repository has several.
    #[arg(long)]
    pipeline: Option<PipelineName>,
    /// A value for a variable that the pipeline file declares; may be given several times.
    #[arg(long = "var", value_name = "NAME=VALUE", value_parser = variable)]
    variables: Vec<(VariableName, String)>,
}

/// What to approve.
#[derive(clap::Args)]
#[command(
    after_help = "Example: pushway approve-fork github octo/web --pull-request 42 --commit 4b825dc642cb6eb9a060e54bf8d69288fbee4904"
)]
pub(crate) struct ApproveFork {
    /// Where the repository lives.
    provider: Provider,
    /// Its hook, or its name as it was connected.
    #[arg(value_parser = hook_id)]
    hook: HookId,
    /// The pull request's number.
    #[arg(long, value_name = "NUMBER")]
    pull_request: u64,
    /// The commit that you have read: this one is built and no other.
    #[arg(long, value_name = "SHA")]
    commit: CommitSha,
}

fn variable(text: &str) -> Result<(VariableName, String), String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE")?;
    Ok((name.parse().map_err(|error| format!("{error}"))?, value.to_owned()))
}

/// Starts a run.
pub(crate) async fn main(at: &At, as_json: bool, args: &Start) -> anyhow::Result<ExitCode> {
    let client = at.client().await?;
    let git_ref = match &args.git_ref {
        Some(name) => RunFilter::branch(name)?,
        None => RunFilter::branch(&default_branch(&client, args).await?)?,
    };
    let variables: BTreeMap<_, _> = args.variables.iter().cloned().collect();
    let order = json!({
        "provider": args.provider, "hook": args.hook, "ref": git_ref, "commit": args.commit,
        "pipeline": args.pipeline, "variables": variables,
    });
    report(as_json, &client.post(&["v1", "runs"], &order).await?)
}

/// Lets one commit of a pull request be built.
pub(crate) async fn approve(at: &At, as_json: bool, args: &ApproveFork) -> anyhow::Result<ExitCode> {
    let number = args.pull_request.to_string();
    let path = [
        "v1",
        "repositories",
        args.provider.as_str(),
        args.hook.as_str(),
        "pull-requests",
        &number,
        "approve",
    ];
    let answer = at.client().await?.post(&path, &json!({ "commit": args.commit })).await?;
    report(as_json, &answer)
}

pub(crate) fn report(as_json: bool, answer: &Value) -> anyhow::Result<ExitCode> {
    if as_json {
        output::json(answer)?;
        return Ok(ExitCode::SUCCESS);
    }
    match (answer["run_id"].as_str(), answer["ignored"].as_str()) {
        (Some(run), _) => {
            output::line(run)?;
            let word = if answer["new"] == true { "started" } else { "was started before" };
            output::note(&format!("{word}; follow it: pushway run watch {run}"));
        }
        (None, rule) => output::line(&format!("nothing was started: {}", rule.unwrap_or("no rule is told")))?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn default_branch(client: &Client, args: &Start) -> anyhow::Result<String> {
    let list = repos::list(client).await?;
    let is_meant =
        |row: &&Value| row["provider"] == args.provider.as_str() && row["hook"] == args.hook.as_str();
    let row = list.repositories.iter().find(is_meant).with_context(|| {
        format!(
            "no {} repository is connected as {}; `pushway repos` lists those that are",
            args.provider, args.hook
        )
    })?;
    let branch = row["default_branch"].as_str().map(str::to_owned);
    branch.context("its default branch is not known: give --ref, or connect again with --default-branch")
}
