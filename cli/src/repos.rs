//! `pushway repos`: the connected repositories and how well they are looked after.

use std::process::ExitCode;

use jiff::Timestamp;
use pushway_core::fact::bounded;
use pushway_core::forge::HookHealth;
use serde::Deserialize;
use serde_json::Value;

use crate::client::{At, Client};
use crate::output;

/// Characters of a problem that are shown; `--json` has the rest.
const PROBLEM_WIDTH: usize = 120;

/// What to list.
#[derive(clap::Args)]
#[command(after_help = "Example: pushway repos --json")]
pub(crate) struct Args {}

/// The API's list.
#[derive(Deserialize)]
pub(crate) struct List {
    pub(crate) repositories: Vec<Value>,
}

/// What is shown of one of them.
#[derive(Deserialize)]
struct Row {
    provider: String,
    hook: String,
    repository: String,
    webhook: Option<HookHealth>,
    reconciled_at: Option<Timestamp>,
    problem: Option<String>,
    #[serde(default)]
    is_truncated: Option<bool>,
    old_secret_until: Option<Timestamp>,
}

/// All of them.
pub(crate) async fn list(client: &Client) -> anyhow::Result<List> {
    client.get(&["v1", "repositories"], &[]).await
}

/// Lists them.
pub(crate) async fn main(at: &At, as_json: bool, _args: &Args) -> anyhow::Result<ExitCode> {
    let List { repositories } = list(&at.client().await?).await?;
    if as_json {
        output::json(&repositories)?;
        return Ok(ExitCode::SUCCESS);
    }
    if repositories.is_empty() {
        output::note("no repository is connected; see `pushway connect --help`");
        return Ok(ExitCode::SUCCESS);
    }
    let now = Timestamp::now();
    let rows = repositories.into_iter().map(|row| Ok(cells(&serde_json::from_value(row)?, now)));
    let head = ["PROVIDER", "REPOSITORY", "HOOK", "WEBHOOK", "RECONCILED", "PROBLEM"];
    output::table(&head, rows.collect::<anyhow::Result<_>>()?)?;
    Ok(ExitCode::SUCCESS)
}

fn cells(row: &Row, now: Timestamp) -> Vec<String> {
    let reconciled = match (row.reconciled_at, row.provider.as_str()) {
        (Some(at), _) => output::ago(now, at),
        // Nobody can ask such a server; its hook keeps what it could not deliver.
        (None, "git") => "by its hook".into(),
        (None, _) => "never".into(),
    };
    vec![
        row.provider.clone(),
        row.repository.clone(),
        row.hook.clone(),
        row.webhook.as_ref().map_or_else(|| "unknown".into(), health),
        reconciled,
        bounded(&problem(row, now), PROBLEM_WIDTH),
    ]
}

fn health(health: &HookHealth) -> String {
    match health {
        HookHealth::Healthy => "healthy".into(),
        HookHealth::Failing { reason } => format!("failing: {reason}"),
        HookHealth::Disabled { until: Some(until), reason } => format!("off until {until}: {reason}"),
        HookHealth::Disabled { until: None, reason } => format!("off: {reason}"),
        HookHealth::Gone => "gone; connect again".into(),
        HookHealth::Unknown => "unknown".into(),
    }
}

fn problem(row: &Row, now: Timestamp) -> String {
    if let Some(problem) = &row.problem {
        return problem.clone();
    }
    if row.is_truncated == Some(true) {
        return "more branches than are looked at; old ones may be missed".into();
    }
    match row.old_secret_until.filter(|until| *until > now) {
        Some(until) => format!("the old secret is taken until {until}"),
        None => String::new(),
    }
}
