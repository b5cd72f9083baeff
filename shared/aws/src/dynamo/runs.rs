//! Runs: the snapshot with its version, and beside it one item per fact.
//!
//! A fact and the snapshot it leads to are written together or not at all.

use aws_sdk_dynamodb::types::AttributeValue;
use pushway_core::fact::Entry;
use pushway_core::ids::RunId;
use pushway_core::keys;
use pushway_core::ports::{Answer, ReadRuns, Runs, Written};
use pushway_core::run::{Run, Status};
use pushway_core::summary::RunSummary;

use super::{IS_NEW, Item, is_ours, item, json, number, string, text, transaction_token};
use crate::Aws;
use crate::time::{day, sortable};

/// The snapshot may be replaced only while it is the one that the fact was applied to.
const IS_PREDECESSOR: &str = "#version = :expected";

impl ReadRuns for Aws {
    async fn load(&self, id: RunId) -> Answer<Option<Run>> {
        self.thing(keys::run(id)).await
    }
}

impl Runs for Aws {
    async fn append(&self, run: &Run, entry: &Entry) -> Answer<Written> {
        let snapshot = snapshot(run)?;
        let fact = fact(run.id, entry)?;
        let token = transaction_token(&[string(&snapshot, "data")?, string(&fact, "data")?]);
        let puts = [
            self.put(snapshot, IS_PREDECESSOR)
                .expression_attribute_names("#version", "version")
                .expression_attribute_values(":expected", number(entry.seq)),
            self.put(fact.clone(), IS_NEW),
        ];
        let Err(reasons) = self.transact(token, puts).await? else { return Ok(Written::Stored) };
        let stored = reasons.get(1).and_then(|reason| reason.item());
        Ok(if is_ours(stored, &fact) { Written::Stored } else { Written::Conflict })
    }
}

/// A fact's item.
pub(super) fn fact(id: RunId, entry: &Entry) -> Answer<Item> {
    item(keys::fact(id, entry.seq), entry)
}

/// The snapshot's item, with what the indexes need of it.
pub(super) fn snapshot(run: &Run) -> Answer<Item> {
    let mut item = item(keys::run(run.id), run)?;
    let mut set = |name: &str, value: AttributeValue| item.insert(name.to_owned(), value);
    set("version", number(run.version));
    set("status", text(run.status.as_str()));
    set("summary", text(json(&RunSummary::from(run))?));
    set("run_id", text(run.id.to_string()));
    set("commit_pk", text(keys::commit_index(&run.source.commit)));
    // A push that started nothing is kept, but lists of runs are about runs.
    if run.status != Status::Ignored {
        set("day_pk", text(keys::day_index(day(run.received_at))));
        if let Some(pipeline) = &run.pipeline {
            set("pipeline_pk", text(keys::pipeline_index(pipeline)));
            set("ref_pk", text(keys::ref_index(pipeline, &run.source.git_ref)));
        }
    }
    if !run.status.is_terminal() {
        set("open_pk", text(keys::OPEN_RUNS));
        set("open_at", text(sortable(run.updated_at)));
    }
    Ok(item)
}
