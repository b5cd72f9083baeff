//! `pushway run watch`: a run is followed to its end.
//!
//! A network that fails for a while says nothing about the run: it is looked for again for minutes. Where it stays out
//! of sight, that is an exit code of its own, which nobody takes for a run that failed.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use pushway_core::fact::Entry;
use pushway_core::ids::RunId;
use pushway_core::run::{Run, Status};
use serde::Deserialize;

use crate::client::{Client, Unanswered};
use crate::facts::{clock, tell};
use crate::live::Board;
use crate::{output, words};

/// How often a watched run is asked for.
const PAUSE: Duration = Duration::from_secs(1);
/// For how long a run is looked for that can't be seen.
const PATIENCE: Duration = Duration::from_mins(10);

/// How a run ended could not be seen. It has an exit code of its own.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Unseen(pub(crate) RunId);

impl std::fmt::Display for Unseen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "how run {} ends could not be seen", self.0)
    }
}

#[derive(Deserialize)]
struct Journal {
    journal: Vec<Entry>,
}

/// Follows a run; the exit code says whether it succeeded.
pub(crate) async fn watch(client: &Client, as_json: bool, id: RunId) -> anyhow::Result<ExitCode> {
    let status = follow(client, as_json, id).await.context(Unseen(id))?;
    Ok(if status == Status::Succeeded { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn follow(client: &Client, as_json: bool, id: RunId) -> anyhow::Result<Status> {
    let mut seen = 0;
    let mut lost: Option<Instant> = None;
    let mut board = if as_json { None } else { Board::on_terminal() };
    loop {
        let (run, news) = match look(client, id, seen).await {
            Ok(found) => found,
            Err(error) if error.is::<Unanswered>() && lost.is_none_or(|lost| lost.elapsed() < PATIENCE) => {
                if lost.is_none() {
                    let minutes = PATIENCE.as_secs() / 60;
                    note(board.as_ref(), &format!("{error:#}; trying again for {minutes} minutes"))?;
                    lost = Some(Instant::now());
                }
                tokio::time::sleep(PAUSE).await;
                continue;
            }
            Err(error) => return Err(error),
        };
        if lost.take().is_some() {
            note(board.as_ref(), "the API answers again")?;
        }
        for entry in &news {
            let told = format!("{}  {}", clock(entry.at), tell(&entry.fact));
            match &board {
                Some(board) => board.say(&told)?,
                None if as_json => output::json_line(entry)?,
                None => output::line(&told)?,
            }
        }
        seen = news.last().map_or(seen, |entry| entry.seq + 1);
        if let Some(board) = &mut board {
            board.show(&run, jiff::Timestamp::now());
        }
        if run.status.is_terminal() {
            if let Some(board) = board {
                board.end();
            }
            if !as_json {
                words::describe_cause(&run)?;
            }
            return Ok(run.status);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// The run, and what has happened in it since the first `seen` facts.
async fn look(client: &Client, id: RunId, seen: u64) -> anyhow::Result<(Run, Vec<Entry>)> {
    let path = id.to_string();
    let run: Run = client.get(&["v1", "runs", &path], &[]).await?;
    if run.version <= seen {
        return Ok((run, Vec::new()));
    }
    let Journal { mut journal } = client.get(&["v1", "runs", &path, "journal"], &[]).await?;
    journal.retain(|entry| entry.seq >= seen);
    Ok((run, journal))
}

fn note(board: Option<&Board>, text: &str) -> anyhow::Result<()> {
    if let Some(board) = board {
        return board.say(text);
    }
    output::note(text);
    Ok(())
}
