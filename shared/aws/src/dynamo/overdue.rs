//! What the sweep looks through: the sparse index of open runs and waits.

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;
use pushway_core::ids::RunId;
use pushway_core::keys::{self, Key};
use pushway_core::ports::{Answer, Overdue};
use pushway_core::wait::{SWEEP_PATIENCE, WAIT_PATIENCE, Wait};

use super::repositories::key_of;
use super::{index, text};
use crate::Aws;
use crate::errors::fault;

/// How many open things one sweep looks at, oldest first. Each costs a few short calls, so that this many
/// fit into the function's time; beyond it, younger waits would miss their heartbeats.
const MOST: usize = 1_000;
const OPENED_BETWEEN: &str = "open_pk = :open_pk AND open_at BETWEEN :from AND :until";

impl Overdue for Aws {
    async fn waits(&self, now: Timestamp) -> Answer<Vec<Wait>> {
        let mut waits = Vec::new();
        for key in self.open_before(keys::OPEN_WAITS, now - WAIT_PATIENCE).await? {
            // The index may still show a wait that is closed.
            waits.extend(self.thing::<Wait>(key).await?);
        }
        Ok(waits)
    }

    async fn silent_runs(&self, now: Timestamp) -> Answer<Vec<RunId>> {
        let keys = self.open_before(keys::OPEN_RUNS, now - SWEEP_PATIENCE).await?;
        let id = |key: Key| key.pk.rsplit('#').next().and_then(|id| id.parse().ok());
        Ok(keys.into_iter().filter_map(id).collect())
    }
}

impl Aws {
    /// Keys of what was open and untouched since before `until`, oldest first.
    async fn open_before(&self, kind: &str, until: Timestamp) -> Answer<Vec<Key>> {
        let until = text(crate::time::sortable(until));
        self.open_between(kind, text(crate::time::sortable(Timestamp::UNIX_EPOCH)), until).await
    }

    /// Keys in a partition of the index from one time to another, oldest first.
    pub(super) async fn open_between(
        &self,
        partition: &str,
        least: AttributeValue,
        most: AttributeValue,
    ) -> Answer<Vec<Key>> {
        let (mut found, mut from) = (Vec::new(), None);
        loop {
            let page = self
                .dynamodb
                .query()
                .table_name(&self.settings.table)
                .index_name(index::OPEN)
                .key_condition_expression(OPENED_BETWEEN)
                .expression_attribute_values(":open_pk", AttributeValue::S(partition.to_owned()))
                .expression_attribute_values(":from", least.clone())
                .expression_attribute_values(":until", most.clone())
                .set_exclusive_start_key(from)
                .send()
                .await
                .map_err(|error| fault("dynamodb Query", &error))?;
            for item in page.items() {
                found.push(key_of(item)?);
            }
            from = page.last_evaluated_key;
            if from.is_none() || found.len() >= MOST {
                found.truncate(MOST);
                return Ok(found);
            }
        }
    }
}
