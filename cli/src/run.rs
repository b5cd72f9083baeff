//! `pushway run show|watch|logs|tests|stop|retry`: one run.

use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use pushway_core::api::{Jobs, RunView};
use pushway_core::check_builds;
use pushway_core::fact::JobStage;
use pushway_core::ids::{JobName, RunId};
use pushway_core::ledger::RunLedger;
use pushway_core::prices::dollars;
use pushway_core::run::{JobState, Run};
use pushway_core::views::LogLine;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::client::{At, Client};
use crate::watch::{Unseen, watch};
use crate::{output, steer, test_cases, words};

/// How often more of a log is asked for.
const PAUSE: Duration = Duration::from_secs(1);

/// What to do with a run.
#[derive(clap::Subcommand)]
pub(crate) enum Verb {
    /// Show where it stands and why.
    #[command(after_help = "Example: pushway run show 01890a5d-ac96-774b-bcce-b302099a8057")]
    Show {
        /// The run's id.
        run: RunId,
    },
    /// Follow it to its end; exits with 0 if it succeeds, with 1 if not, and with 3 if that can't be seen.
    #[command(after_help = "Example: pushway run watch 01890a5d-ac96-774b-bcce-b302099a8057")]
    Watch {
        /// The run's id.
        run: RunId,
    },
    /// Stop it: nothing of it begins any more, and a deploy under way goes back.
    Stop(steer::Stop),
    /// Start the same push again, whole or from where it failed.
    Retry(steer::Retry),
    /// Print the log of a job; follows one that runs.
    #[command(after_help = "Example: pushway run logs 01890a5d-ac96-774b-bcce-b302099a8057 test unit")]
    Logs {
        /// The run's id.
        run: RunId,
        /// The job's stage: build, test, or check for a check of a deploy that is a job.
        stage: JobStage,
        /// The job's name, as `pushway run show` has it.
        job: JobName,
        /// As the build wrote it, colours and all; what a build writes can steer your terminal.
        #[arg(long)]
        raw: bool,
    },
    /// Open its page of the dashboard; prints the address, too.
    #[command(after_help = "Example: pushway run open 01890a5d-ac96-774b-bcce-b302099a8057")]
    Open {
        /// The run's id.
        run: RunId,
    },
    /// Show its tests: what failed, whether that is new or known or flaky, what was slow.
    Tests(test_cases::OfRun),
}

#[derive(Deserialize)]
struct Log {
    lines: Vec<LogLine>,
    next: Option<String>,
    over: bool,
}

/// Looks at a run.
pub(crate) async fn main(at: &At, as_json: bool, verb: &Verb) -> anyhow::Result<ExitCode> {
    let client = at.client().await;
    let client = if let Verb::Watch { run } = verb { client.context(Unseen(*run)) } else { client }?;
    match verb {
        Verb::Show { run } => show(&client, as_json, *run).await,
        Verb::Watch { run } => watch(&client, as_json, *run).await,
        Verb::Open { run } => open(&client, as_json, *run),
        Verb::Stop(args) => steer::stop(&client, as_json, args).await,
        Verb::Retry(args) => steer::retry(&client, as_json, args).await,
        Verb::Logs { run, stage, job, raw } => {
            let show = match (as_json, raw) {
                (true, _) => |line: &LogLine| output::json_line(line),
                (false, true) => |line: &LogLine| output::raw(text(line)),
                (false, false) => |line: &LogLine| output::line(&output::colourless(text(line))),
            };
            logs(&client, *run, *stage, job, show).await
        }
        Verb::Tests(args) => test_cases::of_run(&client, as_json, args).await,
    }
}

async fn show(client: &Client, as_json: bool, id: RunId) -> anyhow::Result<ExitCode> {
    let answer: Value = client.get(&["v1", "runs", &id.to_string()], &[]).await?;
    if as_json {
        output::json(&answer)?;
    } else {
        let view: RunView = serde_json::from_value(answer)
            .context("read the run; is this `pushway` older than the installation?")?;
        let checks = checks_of(client, &view.run).await?;
        words::describe(&view, &checks)?;
        if let Some(went) = where_it_went(client, id).await {
            output::line(&went)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The builds of its checks, whose names the run itself does not tell.
async fn checks_of(client: &Client, run: &Run) -> anyhow::Result<Vec<JobState>> {
    if !check_builds::has_any(run) {
        return Ok(Vec::new());
    }
    let jobs: Jobs = client.get(&["v1", "runs", &run.id.to_string(), "jobs"], &[]).await?;
    Ok(jobs.checks)
}

/// Where its time and money went, in two lines. An installation that is older can't say; all else is worth showing.
async fn where_it_went(client: &Client, id: RunId) -> Option<String> {
    let ledger: RunLedger = client.get(&["v1", "runs", &id.to_string(), "ledger"], &[]).await.ok()?;
    let money = dollars(ledger.money.nano_dollars);
    Some(format!("time     {}\nmoney    {money}, {}", ledger.time.summary(), ledger.money.basis))
}

fn open(client: &Client, as_json: bool, id: RunId) -> anyhow::Result<ExitCode> {
    let page = client.page(&["runs", &id.to_string()])?;
    if as_json {
        output::json(&json!({ "url": page }))?;
        return Ok(ExitCode::SUCCESS);
    }
    output::line(page.as_str())?;
    // Where nobody sits before a screen, the address is all that is wanted.
    if std::io::stdout().is_terminal()
        && let Err(error) = open::that_detached(page.as_str())
    {
        output::note(&format!("no browser could be started ({error}); open the address yourself"));
    }
    Ok(ExitCode::SUCCESS)
}

fn text(line: &LogLine) -> &str {
    line.text.trim_end_matches(['\n', '\r'])
}

async fn logs(
    client: &Client,
    id: RunId,
    stage: JobStage,
    job: &JobName,
    show: fn(&LogLine) -> anyhow::Result<()>,
) -> anyhow::Result<ExitCode> {
    let (id, stage) = (id.to_string(), stage.to_string());
    let path = ["v1", "runs", &id, "jobs", &stage, job.as_str(), "log"];
    let mut cursor: Option<String> = None;
    loop {
        let query: Vec<_> = cursor.iter().map(|cursor| ("cursor", cursor.clone())).collect();
        let log: Log = client.get(&path, &query).await?;
        for line in &log.lines {
            show(line)?;
        }
        if log.over {
            return Ok(ExitCode::SUCCESS);
        }
        if cursor.is_none() && log.lines.is_empty() {
            output::note(&format!("{stage}/{job} has not written anything yet; waiting for it"));
        }
        if log.next == cursor {
            tokio::time::sleep(PAUSE).await;
        }
        cursor = log.next;
    }
}
