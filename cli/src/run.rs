//! `pushway run show|watch|logs|tests|stop|retry`: one run.

use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use pushway_core::api::{Jobs, RunView};
use pushway_core::check_builds;
use pushway_core::fact::{Entry, JobStage};
use pushway_core::ids::{JobName, RunId};
use pushway_core::ledger::RunLedger;
use pushway_core::messages::{self, deploys, stopped_by};
use pushway_core::prices::dollars;
use pushway_core::run::{EnvironmentState, JobState, Run, Status};
use pushway_core::views::LogLine;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::client::{At, Client};
use crate::facts::{clock, tell};
use crate::live::{Board, Words};
use crate::{output, question, steer, test_cases};

/// How often a watched run is asked for.
const WATCH_PAUSE: Duration = Duration::from_secs(1);

/// What to do with a run.
#[derive(clap::Subcommand)]
pub(crate) enum Verb {
    /// Show where it stands and why.
    #[command(after_help = "Example: pushway run show 01890a5d-ac96-774b-bcce-b302099a8057")]
    Show {
        /// The run's id.
        run: RunId,
    },
    /// Follow it to its end; exits with 0 only if it succeeds.
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
struct Journal {
    journal: Vec<Entry>,
}

#[derive(Deserialize)]
struct Log {
    lines: Vec<LogLine>,
    next: Option<String>,
    over: bool,
}

/// Looks at a run.
pub(crate) async fn main(at: &At, as_json: bool, verb: &Verb) -> anyhow::Result<ExitCode> {
    let client = at.client().await?;
    match verb {
        Verb::Show { run } => show(&client, as_json, *run).await,
        Verb::Watch { run } => watch(&client, as_json, *run).await,
        Verb::Open { run } => open(&client, as_json, *run),
        Verb::Stop(args) => steer::stop(&client, as_json, args).await,
        Verb::Retry(args) => steer::retry(&client, as_json, args).await,
        Verb::Logs { run, stage, job } => logs(&client, *run, *stage, job).await,
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
        describe(&view, &checks)?;
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

pub(crate) async fn watch(client: &Client, as_json: bool, id: RunId) -> anyhow::Result<ExitCode> {
    let path = id.to_string();
    let mut seen = 0;
    let mut board = if as_json { None } else { Board::on_terminal() };
    loop {
        let run: Run = client.get(&["v1", "runs", &path], &[]).await?;
        if run.version > seen {
            let journal: Journal = client.get(&["v1", "runs", &path, "journal"], &[]).await?;
            for entry in journal.journal.iter().filter(|entry| entry.seq >= seen) {
                let told = format!("{}  {}", clock(entry.at), tell(&entry.fact));
                match &board {
                    Some(board) => board.say(&told)?,
                    None if as_json => output::line(&serde_json::to_string(entry)?)?,
                    None => output::line(&told)?,
                }
            }
            seen = journal.journal.last().map_or(seen, |entry| entry.seq + 1);
        }
        if let Some(board) = &mut board {
            let words = Words { job: job_words, environment: environment_words };
            board.show(&run, &words, jiff::Timestamp::now());
        }
        if run.status.is_terminal() {
            if let Some(board) = board {
                board.end();
            }
            if !as_json {
                describe_cause(&run)?;
            }
            let good = run.status == Status::Succeeded;
            return Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        tokio::time::sleep(WATCH_PAUSE).await;
    }
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

async fn logs(client: &Client, id: RunId, stage: JobStage, job: &JobName) -> anyhow::Result<ExitCode> {
    let (id, stage) = (id.to_string(), stage.to_string());
    let path = ["v1", "runs", &id, "jobs", &stage, job.as_str(), "log"];
    let mut cursor: Option<String> = None;
    loop {
        let query: Vec<_> = cursor.iter().map(|cursor| ("cursor", cursor.clone())).collect();
        let log: Log = client.get(&path, &query).await?;
        for line in &log.lines {
            output::line(line.text.trim_end_matches(['\n', '\r']))?;
        }
        if log.over {
            return Ok(ExitCode::SUCCESS);
        }
        if cursor.is_none() && log.lines.is_empty() {
            output::note(&format!("{stage}/{job} has not written anything yet; waiting for it"));
        }
        if log.next == cursor {
            tokio::time::sleep(WATCH_PAUSE).await;
        }
        cursor = log.next;
    }
}

fn describe(view: &RunView, checks: &[JobState]) -> anyhow::Result<()> {
    let run = &view.run;
    let pipeline = run.pipeline.as_ref().map_or("no pipeline yet", |name| name.as_str());
    output::line(&format!("run      {}  {}", run.id, run.status))?;
    output::line(&format!("pipeline {pipeline}"))?;
    output::line(&format!(
        "commit   {} on {} of {}: {} ({})",
        run.source.commit.short(),
        run.source.git_ref.short(),
        run.source.repository,
        run.source.message,
        run.source.author
    ))?;
    if let Some(url) = &view.commit_url {
        output::line(&format!("at       {url}"))?;
    }
    output::line(&format!("received {}  changed {}", run.received_at, run.updated_at))?;
    if let Some(retry) = &run.source.retry {
        output::line(&format!("retry of {} from {} by {}", retry.of, retry.from.as_str(), retry.by))?;
    }
    if let Some(stop) = &run.stop {
        output::line(&stopped_by(stop))?;
    }
    for job in &run.jobs {
        output::line(&format!("  {:<24} {}", job.job.to_string(), job_words(run, job)))?;
    }
    for environment in &run.environments {
        output::line(&format!(
            "  {:<24} {}",
            format!("environment {}", environment.name),
            environment_words(environment)
        ))?;
        if let Some(approval) = &environment.approval {
            for line in question::describe(approval) {
                output::line(&format!("      {line}"))?;
            }
        }
        let change = environment.rollout.as_ref().and_then(|rollout| rollout.out_of_band.as_ref());
        if let Some(change) = change {
            output::line(&format!("      note: {}", deploys::out_of_band(change)))?;
        }
    }
    for check in checks {
        output::line(&format!("  {:<24} {}", check.job.to_string(), job_words(run, check)))?;
    }
    for finding in &run.findings {
        output::line(&format!("  {finding}"))?;
    }
    describe_cause(run)
}

fn describe_cause(run: &Run) -> anyhow::Result<()> {
    if let Some(rule) = &run.ignored_by {
        output::line(&format!("ignored: {rule}"))?;
    }
    if let Some(by) = run.superseded_by {
        output::line(&format!("superseded by run {by} of a newer push"))?;
    }
    let Some(cause) = &run.cause else { return Ok(()) };
    output::line(&format!("\n{} {}: {}", run.status, cause.stage, cause.summary))?;
    for line in &cause.evidence {
        output::line(&format!("    {line}"))?;
    }
    output::line(&format!("next: {}", cause.advice))
}

fn job_words(run: &Run, job: &JobState) -> String {
    let tests = job.end.as_ref().and_then(|end| end.tests.as_ref());
    let tests = tests.map_or_else(String::new, |tests| format!(", {}", messages::test_counts(tests)));
    if let Some(from) = job.taken_from {
        return format!("succeeded in run {from}{tests}");
    }
    let state = match &job.end {
        _ if job.attempt == 0 && run.status.is_terminal() => "not run",
        _ if job.attempt == 0 => "waiting",
        None if run.status.is_terminal() => "stopped",
        None => "running",
        Some(end) if end.failure.is_none() => "succeeded",
        Some(end) if end.will_retry => "failed, will be tried again",
        Some(_) => "failed",
    };
    let attempt = if job.attempt > 1 { format!(" (attempt {})", job.attempt) } else { String::new() };
    format!("{state}{attempt}{tests}")
}

fn environment_words(environment: &EnvironmentState) -> String {
    use pushway_core::fact::{RollbackOutcome, RollbackOwner};
    if let Some(outcome) = environment.rollback_outcome() {
        return match outcome {
            RollbackOutcome::Restored { by: RollbackOwner::Pushway } => {
                "failed; Pushway brought the old version back".into()
            }
            RollbackOutcome::Restored { by: RollbackOwner::Service } => {
                "failed; the service went back by itself".into()
            }
            RollbackOutcome::Restored { by: RollbackOwner::Alarm } => {
                "failed; the service went back because an alarm went off".into()
            }
            RollbackOutcome::Restored { by: RollbackOwner::Person } => {
                "failed; someone made the service go back".into()
            }
            RollbackOutcome::NotNeeded { reason } => format!("failed; nothing to roll back: {reason}"),
            RollbackOutcome::Held => "failed; held as it is, as pushway.yml says".into(),
            RollbackOutcome::NoBaseline => "failed; there is no older version to go back to".into(),
            RollbackOutcome::Failed { cause } => format!("FAILED AND NOT ROLLED BACK: {}", cause.summary),
        };
    }
    if let Some(from) = environment.kept_from {
        return format!("live since run {from}, left as it is");
    }
    match environment {
        state if state.rollback.is_some() => "rolling back".into(),
        state if state.is_live() => "live and validated".into(),
        state if state.has_failed() => "failed".into(),
        state if state.is_validated() => "deployed and validated, being watched".into(),
        state if state.deploy.is_some() => "deployed, being validated".into(),
        state if state.paused().is_some() => {
            pushway_core::messages::checkpoints::waits(state.paused().map_or(0, |point| point.served))
        }
        state if state.rollout.is_some() => "deploying".into(),
        state if state.fence.is_some() => "locked for this run".into(),
        EnvironmentState { approval: Some(approval), .. } if !approval.is_granted() => {
            match &approval.refusal {
                Some(refusal) => pushway_core::messages::refused(refusal),
                None => format!(
                    "waits for approval ({} of {}); pushway approve <run> {}",
                    approval.counted(),
                    approval.request.required,
                    environment.name
                ),
            }
        }
        EnvironmentState { blocked: Some(why), .. } => format!("waits: {why}"),
        _ => "waiting".into(),
    }
}
