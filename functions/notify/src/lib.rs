//! The table's stream: tells forges, the event bus and the topic what became of runs, and notes their figures.
//!
//! It never changes a run's result, and a sink that fails keeps nothing from going on: it is noted, and the
//! sweep tries it again (row F41). The stream only says which runs have changed; what is told is read back.

use std::collections::BTreeMap;

use pushway_core::contract::Failure;
use pushway_core::ids::RunId;
use pushway_core::keys;
use pushway_core::ports::{
    Announcements, Answer, Clock, CommitStatuses, Environments, History, Hooks, Notices, Plans, ReadRuns,
    RunFigures,
};
use pushway_core::settle::{note_figures, tell};
use serde::{Deserialize, Serialize};

/// A batch of the stream, as far as it is looked at (Lambda Developer Guide, "Using Lambda with DynamoDB").
#[derive(Debug, Deserialize)]
pub struct Batch {
    #[serde(rename = "Records")]
    records: Vec<Record>,
}

#[derive(Debug, Deserialize)]
struct Record {
    dynamodb: Change,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Change {
    keys: Keys,
    sequence_number: String,
}

#[derive(Debug, Deserialize)]
struct Keys {
    pk: Text,
    sk: Text,
}

#[derive(Debug, Deserialize)]
struct Text {
    #[serde(rename = "S")]
    s: String,
}

/// Which records are to be handed over again.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Failed {
    batch_item_failures: Vec<Item>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Item {
    item_identifier: String,
}

/// Tells of the runs that a batch says have changed; `pages` is where runs have their pages.
pub async fn handle<P>(ports: &P, pages: Option<&str>, batch: Batch) -> Result<Failed, Failure>
where
    P: ReadRuns
        + Plans
        + History
        + Environments
        + RunFigures
        + Hooks
        + Notices
        + CommitStatuses
        + Announcements
        + Clock,
{
    let mut failed = Failed::default();
    for (run, first) in changed(batch) {
        // Neither waits for the other, and both may be repeated.
        let told = or_log(&tell(ports, run, pages).await, run, "run not told of; it is tried again");
        let noted = or_log(&note_figures(ports, run).await, run, "figures not noted; they are tried again");
        if !told || !noted {
            failed.batch_item_failures.push(Item { item_identifier: first });
        }
    }
    Ok(failed)
}

/// Whether it went well; else it is logged.
fn or_log(outcome: &Answer<()>, run: RunId, trouble: &str) -> bool {
    if let Err(fault) = outcome {
        tracing::error!(run_id = %run, error = %fault, "{trouble}");
    }
    outcome.is_ok()
}

/// The runs of a batch, each with the first record that names it.
fn changed(batch: Batch) -> BTreeMap<RunId, String> {
    let mut runs = BTreeMap::new();
    for Record { dynamodb: Change { keys: Keys { pk, sk }, sequence_number } } in batch.records {
        if let Some(run) = keys::run_of(&pk.s).filter(|_| sk.s == keys::META) {
            runs.entry(run).or_insert(sequence_number);
        }
    }
    runs
}
