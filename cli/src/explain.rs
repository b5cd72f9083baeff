//! `pushway explain`: why a push started what it started, or nothing; and what another pipeline file would
//! have made of it.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use pushway_core::explain::Explanation;
use pushway_core::ids::{CommitSha, DeliveryId, HookId, RunId};
use pushway_core::listing::RunFilter;
use pushway_core::source::Provider;
use serde_json::{Value, json};

use crate::client::{At, Client};
use crate::installation::hook_id;
use crate::output;

/// What to explain.
#[derive(clap::Args)]
#[command(
    group = clap::ArgGroup::new("what").required(true).args(["delivery", "commit", "branch", "run"]),
    after_help = "Example: pushway explain --branch main --repo github/octo/web\n         pushway explain --run 01890a5d-ac96-774b-bcce-b302099a8057 --file pushway.yml"
)]
pub(crate) struct Args {
    /// A delivery, by the id that its forge shows.
    #[arg(long, value_name = "ID", requires = "repo")]
    delivery: Option<DeliveryId>,
    /// A commit: all runs of it.
    #[arg(long, value_name = "SHA")]
    commit: Option<CommitSha>,
    /// A branch, or a full ref: its head, and who waits for whom.
    #[arg(long, value_name = "BRANCH", requires = "repo")]
    branch: Option<String>,
    /// A run, to try another pipeline file on; starts nothing.
    #[arg(long, requires = "file")]
    run: Option<RunId>,
    /// The repository: provider/hook, or provider and its name.
    #[arg(long, value_name = "REPOSITORY", value_parser = repository)]
    repo: Option<(Provider, HookId)>,
    /// The pipeline file to try.
    #[arg(long, requires = "run")]
    file: Option<PathBuf>,
}

fn repository(text: &str) -> Result<(Provider, HookId), String> {
    let (provider, hook) = text.split_once('/').ok_or("write provider/hook, such as github/octo/web")?;
    Ok((provider.parse()?, hook_id(hook)?))
}

/// Explains.
pub(crate) async fn main(at: &At, as_json: bool, args: &Args) -> anyhow::Result<ExitCode> {
    let client = at.client().await?;
    let answer = if let (Some(run), Some(file)) = (&args.run, &args.file) {
        try_file(&client, *run, file).await?
    } else {
        let (of, query) = question(args)?;
        client.get(&["v1", "explain", of], &query).await?
    };
    if as_json {
        output::json(&answer)?;
    } else {
        for line in lines(&answer)? {
            output::line(&line)?;
        }
    }
    // A file that would be rejected is a bad answer, as `pushway validate` says too.
    Ok(if answer["would"] == "reject" { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

async fn try_file(client: &Client, run: RunId, file: &PathBuf) -> anyhow::Result<Value> {
    let path = file.to_str().context("the file's path is not UTF-8")?;
    let text = std::fs::read_to_string(file).with_context(|| format!("read {path}"))?;
    client.post(&["v1", "explain"], &json!({ "run": run, "path": path, "file": text })).await
}

/// Which kind of thing is asked for, and which one.
fn question(args: &Args) -> anyhow::Result<(&'static str, Vec<(&'static str, String)>)> {
    if let Some(commit) = &args.commit {
        return Ok(("commit", vec![("commit", commit.to_string())]));
    }
    let Some((provider, hook)) = &args.repo else { bail!("give --repo provider/hook") };
    let mut query = vec![("provider", provider.to_string()), ("hook", hook.to_string())];
    if let Some(delivery) = &args.delivery {
        query.push(("delivery", delivery.to_string()));
        return Ok(("delivery", query));
    }
    let branch = args.branch.as_deref().unwrap_or_default();
    query.push(("ref", RunFilter::branch(branch)?.to_string()));
    Ok(("ref", query))
}

/// An answer as people read it.
fn lines(answer: &Value) -> anyhow::Result<Vec<String>> {
    if let Some(would) = answer["would"].as_str() {
        let pipeline =
            answer["pipeline"].as_str().map(|name| format!(" pipeline {name}")).unwrap_or_default();
        return Ok(vec![format!(
            "would {would}{pipeline}: {}",
            answer["because"].as_str().unwrap_or_default()
        )]);
    }
    let mut lines = Vec::new();
    if let Some(at) = answer["received_at"].as_str() {
        lines.push(format!("received at {at}"));
    }
    if let Some(head) = answer["head"]["commit"].as_str() {
        lines.push(format!("newest push known: {head}"));
    }
    if let Some(head) = answer["at_forge"].as_str() {
        lines.push(format!("accounted for at the forge: {head}"));
    }
    if let Some(since) = answer["missing_since"].as_str() {
        lines.push(format!("a head without a run was seen at {since}; it gets one within minutes"));
    }
    let told: Vec<Explanation> = serde_json::from_value(answer["explanations"].clone())
        .context("read the explanations; is this `pushway` older than the installation?")?;
    if told.is_empty() {
        lines.push("no run is known for it".into());
    }
    for told in told {
        let run = told.run.map_or_else(|| "no run".into(), |run| format!("run {run}"));
        let pipeline = told.pipeline.map(|pipeline| format!(" of {pipeline}")).unwrap_or_default();
        let status = told.status.map(|status| format!(", {status}")).unwrap_or_default();
        lines.push(format!("{run}{pipeline}{status}"));
        lines.push(format!("  by       {}", told.trigger));
        lines.push(format!("  because  {}", told.because));
    }
    Ok(lines)
}
