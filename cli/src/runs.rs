//! `pushway runs`: the history, newest first.

use std::fmt::Display;
use std::process::ExitCode;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use pushway_core::fact::bounded;
use pushway_core::ids::{CommitSha, EnvironmentName, PipelineName};
use pushway_core::run::Status;
use pushway_core::summary::RunSummary;
use serde::{Deserialize, Serialize};

use crate::client::At;
use crate::output;

/// Characters of a line that say what happened; `pushway run show` has the rest.
const WHAT_WIDTH: usize = 100;

/// What to list.
#[derive(clap::Args)]
#[command(after_help = "Example: pushway runs --pipeline web --status failed --since 7d\n\n\
                        By pipeline, by pipeline and branch, and by commit are answered at once however long the \
                        history is; other filters look through it bit by bit.")]
pub(crate) struct Args {
    /// Only runs of this pipeline.
    #[arg(long)]
    pipeline: Option<PipelineName>,
    /// Only runs of this branch, by its short name; of another ref by its full name (refs/tags/v1).
    #[arg(long, value_name = "REF")]
    branch: Option<String>,
    /// Only runs of this commit, by its full id.
    #[arg(long, value_name = "SHA")]
    commit: Option<CommitSha>,
    /// Only runs of commits whose author's name holds this text.
    #[arg(long)]
    author: Option<String>,
    /// Only runs that stand there: `succeeded`, `failed`, `rolled_back`, `deploying`, and so on.
    #[arg(long)]
    status: Option<Status>,
    /// Only runs that deploy to an environment of this name.
    #[arg(long)]
    environment: Option<EnvironmentName>,
    /// Only runs since then: a time, a day, or so long ago (90m, 12h, 7d).
    #[arg(long, value_name = "WHEN", value_parser = when)]
    since: Option<Timestamp>,
    /// Only runs before then.
    #[arg(long, value_name = "WHEN", value_parser = when)]
    until: Option<Timestamp>,
    /// Go on where a page has ended.
    #[arg(long)]
    cursor: Option<String>,
    /// At most this many.
    #[arg(long, default_value_t = 25, value_parser = clap::value_parser!(u16).range(1..=100))]
    limit: u16,
}

impl Args {
    fn query(&self) -> Vec<(&'static str, String)> {
        let text = |value: Option<&dyn Display>| value.map(ToString::to_string);
        let named = [
            ("pipeline", text(self.pipeline.as_ref().map(|it| it as &dyn Display))),
            ("branch", self.branch.clone()),
            ("commit", text(self.commit.as_ref().map(|it| it as &dyn Display))),
            ("author", self.author.clone()),
            ("status", text(self.status.as_ref().map(|it| it as &dyn Display))),
            ("environment", text(self.environment.as_ref().map(|it| it as &dyn Display))),
            ("since", text(self.since.as_ref().map(|it| it as &dyn Display))),
            ("until", text(self.until.as_ref().map(|it| it as &dyn Display))),
            ("cursor", self.cursor.clone()),
        ];
        let named = named.into_iter().filter_map(|(name, value)| Some((name, value?)));
        [("limit", self.limit.to_string())].into_iter().chain(named).collect()
    }
}

/// Characters of a day; whatever is longer is a time, whose hours are not to be lost.
const DAY: usize = "2026-11-01".len();

/// A time, a day in UTC, or how long ago.
fn when(text: &str) -> Result<Timestamp, String> {
    let day = |day: Date| Some(day.to_zoned(TimeZone::UTC).ok()?.timestamp());
    let text_of_day = (text.len() == DAY).then_some(text);
    let ago = |span: SignedDuration| Timestamp::now().checked_sub(span).ok();
    // A day is always 24 hours here: what is asked for is an age, not a date.
    let age = || match text.strip_suffix('d').map(str::parse::<i64>) {
        Some(Ok(days)) => days.checked_mul(24).map(SignedDuration::from_hours),
        _ => text.parse().ok(),
    };
    let found =
        text.parse().ok().or_else(|| text_of_day?.parse().ok().and_then(day)).or_else(|| age().and_then(ago));
    found.ok_or_else(|| {
        "give a time with its offset (2026-11-01T12:00:00Z), a day (2026-11-01) or an age (90m, 12h, 7d)"
            .into()
    })
}

#[derive(Serialize, Deserialize)]
struct Page {
    runs: Vec<RunSummary>,
    next: Option<String>,
}

/// What happened, or what it is about; a retry says so.
fn what(run: &RunSummary) -> String {
    let words = run.cause.as_ref().unwrap_or(&run.message);
    run.retry_of.map_or_else(|| words.clone(), |of| format!("retry of {of}: {words}"))
}

/// Lists runs.
pub(crate) async fn main(at: &At, as_json: bool, args: &Args) -> anyhow::Result<ExitCode> {
    let page: Page = at.client().await?.get(&["v1", "runs"], &args.query()).await?;
    if as_json {
        output::json(&page)?;
        return Ok(ExitCode::SUCCESS);
    }
    show(&page.runs)?;
    match &page.next {
        // A page may be short, or empty, and still have a next one: so much is looked at in one call.
        Some(next) => output::note(&format!("more: pushway runs with the same filters and --cursor {next}")),
        None if page.runs.is_empty() => output::note("no such runs; push to a connected repository"),
        None => {}
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes runs as a table.
pub(crate) fn show(runs: &[RunSummary]) -> anyhow::Result<()> {
    let now = Timestamp::now();
    let row = |run: &RunSummary| {
        vec![
            run.id.to_string(),
            run.status.to_string(),
            run.pipeline.as_ref().map_or_else(|| run.repository.clone(), ToString::to_string),
            format!("{} {}", run.git_ref.short(), run.commit.short()),
            output::ago(now, run.received_at),
            run.duration_seconds.map(output::long).unwrap_or_default(),
            environments(run),
            bounded(&what(run), WHAT_WIDTH),
        ]
    };
    let head = ["RUN", "STATUS", "PIPELINE", "COMMIT", "WHEN", "TOOK", "ENVIRONMENTS", "WHAT"];
    if runs.is_empty() { Ok(()) } else { output::table(&head, runs.iter().map(row).collect()) }
}

/// Where a run came to, in words.
fn environments(run: &RunSummary) -> String {
    let left_out = (run.environments_left_out > 0).then(|| format!("{} more", run.environments_left_out));
    let known = run.environments.iter().flatten();
    let told = known.map(|brief| format!("{} {}", brief.name, brief.state.as_str()));
    left_out.into_iter().chain(told).collect::<Vec<_>>().join(", ")
}
