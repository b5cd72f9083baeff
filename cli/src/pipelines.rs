//! `pushway pipelines` and `pushway env ls`: what there is, what ran last, what serves.

use std::process::ExitCode;

use jiff::Timestamp;
use pushway_core::deployments::{EnvironmentSummary, PipelineSummary};
use pushway_core::ids::PipelineName;
use pushway_core::messages;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::client::{At, Client};
use crate::output;

/// Pages that are asked for at most: a list that never ends must not keep the terminal.
const MAX_PAGES: usize = 100;

/// What to list.
#[derive(clap::Args)]
#[command(after_help = "Example: pushway pipelines --json")]
pub(crate) struct Args {}

/// Which environments to list.
#[derive(clap::Args)]
#[command(after_help = "Example: pushway env ls --pipeline web")]
pub(crate) struct Environments {
    /// Only those of this pipeline.
    #[arg(long)]
    pipeline: Option<PipelineName>,
}

/// Lists pipelines.
pub(crate) async fn main(at: &At, as_json: bool, _args: &Args) -> anyhow::Result<ExitCode> {
    let pipelines: Vec<PipelineSummary> = all(&at.client().await?, "pipelines", &[]).await?;
    let now = Timestamp::now();
    let row = |pipeline: &PipelineSummary| {
        let last = pipeline.last_run.as_ref();
        let names: Vec<String> = pipeline.environments.iter().map(ToString::to_string).collect();
        vec![
            pipeline.name.to_string(),
            format!("{} {}", pipeline.provider, pipeline.repository),
            last.map(|run| run.status.to_string()).unwrap_or_default(),
            last.map(|run| output::ago(now, run.received_at)).unwrap_or_default(),
            names.join(", "),
        ]
    };
    let head = ["PIPELINE", "REPOSITORY", "LAST RUN", "WHEN", "ENVIRONMENTS"];
    show(
        as_json,
        &head,
        &pipelines,
        row,
        "no pipeline has run yet; push a pushway.yml to a connected repository",
    )
}

/// Lists environments.
pub(crate) async fn environments(at: &At, as_json: bool, args: &Environments) -> anyhow::Result<ExitCode> {
    let query: Vec<(&str, String)> =
        args.pipeline.iter().map(|pipeline| ("pipeline", pipeline.to_string())).collect();
    let environments: Vec<EnvironmentSummary> = all(&at.client().await?, "environments", &query).await?;
    let now = Timestamp::now();
    let row = |environment: &EnvironmentSummary| {
        let current = environment.current.as_ref();
        let serves = match (&environment.left_broken_by, current) {
            (Some(run), _) => format!("what run {run} has left broken"),
            (None, Some(current)) => format!("{} {}", current.git_ref.short(), current.commit.short()),
            (None, None) => "nothing yet".into(),
        };
        vec![
            environment.pipeline.to_string(),
            environment.name.to_string(),
            serves,
            current.map(|current| output::ago(now, current.since)).unwrap_or_default(),
            state(environment),
        ]
    };
    let head = ["PIPELINE", "ENVIRONMENT", "SERVES", "SINCE", "NOW"];
    show(as_json, &head, &environments, row, "nothing was deployed yet")
}

/// Who is at it, waits, or stands in the way.
fn state(environment: &EnvironmentSummary) -> String {
    let EnvironmentSummary { lock, queue, asking, freeze, protection, .. } = environment;
    let parts = [
        freeze.as_ref().map(|freeze| format!("frozen by {}: {}", freeze.by, freeze.reason)),
        lock.as_ref().map(|holder| format!("run {} deploys", holder.run)),
        (!queue.is_empty()).then(|| format!("{} queued", queue.len())),
        (!asking.is_empty()).then(|| format!("{} waiting for consent or their time", asking.len())),
        protection.as_ref().map(messages::protection),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
}

/// All pages of a list that goes by names.
async fn all<T: DeserializeOwned>(
    client: &Client,
    list: &str,
    query: &[(&str, String)],
) -> anyhow::Result<Vec<T>> {
    let (mut things, mut cursor) = (Vec::new(), None::<String>);
    for _ in 0..MAX_PAGES {
        let mut query = query.to_vec();
        query.push(("limit", "100".into()));
        query.extend(cursor.map(|cursor| ("cursor", cursor)));
        let mut page: Map<String, Value> = client.get(&["v1", list], &query).await?;
        things.extend(serde_json::from_value::<Vec<T>>(page.remove(list).unwrap_or_default())?);
        cursor = page.get("next").and_then(Value::as_str).map(str::to_owned);
        if cursor.is_none() {
            break;
        }
    }
    Ok(things)
}

fn show<T: Serialize>(
    as_json: bool,
    head: &[&str],
    things: &[T],
    row: impl Fn(&T) -> Vec<String>,
    none: &str,
) -> anyhow::Result<ExitCode> {
    if as_json {
        output::json(&things)?;
    } else if things.is_empty() {
        output::note(none);
    } else {
        output::table(head, things.iter().map(row).collect())?;
    }
    Ok(ExitCode::SUCCESS)
}
