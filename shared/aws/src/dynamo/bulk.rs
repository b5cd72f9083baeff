//! Many runs at once, as they are, for whoever fills a table to measure it. Nothing of Pushway's work writes so: there
//! is no condition and no journal.

use std::time::Duration;

use aws_sdk_dynamodb::types::{PutRequest, WriteRequest};
use pushway_core::ports::{Answer, Fault};
use pushway_core::run::Run;

use super::runs;
use crate::Aws;
use crate::errors::{fault, incomplete};

/// What `BatchWriteItem` takes.
const BATCH: usize = 25;
/// How often what was not taken is sent again.
const TRIES: u32 = 8;

impl Aws {
    /// Stores snapshots of runs with all that the indexes need of them.
    pub async fn store_runs(&self, all: &[Run]) -> Answer<()> {
        for batch in all.chunks(BATCH) {
            let mut writes = Vec::with_capacity(batch.len());
            for run in batch {
                let put = PutRequest::builder().set_item(Some(runs::snapshot(run)?)).build();
                let put = put.map_err(|error| incomplete("dynamodb BatchWriteItem", error))?;
                writes.push(WriteRequest::builder().put_request(put).build());
            }
            self.write_all(writes).await?;
        }
        Ok(())
    }

    async fn write_all(&self, mut writes: Vec<WriteRequest>) -> Answer<()> {
        for pause in 0..TRIES {
            let answer = self
                .dynamodb
                .batch_write_item()
                .request_items(&self.settings.table, writes)
                .send()
                .await
                .map_err(|error| fault("dynamodb BatchWriteItem", &error))?;
            let left = answer.unprocessed_items.and_then(|mut left| left.remove(&self.settings.table));
            writes = left.unwrap_or_default();
            if writes.is_empty() {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50 << pause)).await;
        }
        Err(Fault::Retryable(format!("dynamodb BatchWriteItem left {} items out", writes.len())))
    }
}
