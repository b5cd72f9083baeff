//! What there is: environments and pipelines, by name, from the index and in batches from the table.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::types::KeysAndAttributes;
use pushway_core::claim::PipelineClaim;
use pushway_core::environment::EnvironmentRecord;
use pushway_core::ids::{EnvironmentName, PipelineName};
use pushway_core::keys::{self, Key};
use pushway_core::ports::{Answer, EnvironmentPage, Fault, ListEnvironments, ListPipelines, PipelinePage};
use serde::de::DeserializeOwned;

use super::repositories::key_of;
use super::{index, parsed, text};
use crate::Aws;
use crate::errors::{fault, incomplete};

const LISTED: &str = "open_pk = :list AND open_at BETWEEN :least AND :most";
const ITS_JSON: &str = "pk, sk, #json";
/// What `BatchGetItem` takes, and so what a page holds.
const BATCH: usize = 100;
/// How often what was not given is asked for again.
const TRIES: u32 = 5;
/// Environments of a pipeline at most that are named: far more than a pipeline file may hold.
const NAMES: usize = 500;

/// Sorts before every name.
const BEFORE_ALL: &str = "!";
/// Sorts after every name, and after whatever follows one.
const AFTER_ALL: &str = "~";

/// A stretch of a list: from the least place to the greatest, both included.
struct Stretch {
    list: &'static str,
    least: String,
    most: String,
}

impl ListEnvironments for Aws {
    async fn environments(
        &self,
        pipeline: Option<&PipelineName>,
        after: Option<&(PipelineName, EnvironmentName)>,
        limit: usize,
    ) -> Answer<EnvironmentPage> {
        let (keys, has_more) = self.listed(&environments(pipeline, after), limit.clamp(1, BATCH)).await?;
        let last = keys.last().filter(|_| has_more).and_then(|key| keys::environment_of(&key.pk));
        let mut environments: Vec<EnvironmentRecord> = self.batch(keys, "data").await?;
        environments.sort_by(|a, b| (&a.pipeline, &a.name).cmp(&(&b.pipeline, &b.name)));
        Ok(EnvironmentPage { environments, next: last })
    }

    async fn environment_names(&self, pipeline: &PipelineName) -> Answer<Vec<EnvironmentName>> {
        let (keys, _) = self.listed(&environments(Some(pipeline), None), NAMES).await?;
        Ok(keys.iter().filter_map(|key| Some(keys::environment_of(&key.pk)?.1)).collect())
    }
}

impl ListPipelines for Aws {
    async fn pipelines(&self, after: Option<&PipelineName>, limit: usize) -> Answer<PipelinePage> {
        let least = after.map_or_else(|| BEFORE_ALL.to_owned(), |after| behind(after.as_str()));
        let stretch = Stretch { list: keys::LISTED_PIPELINES, least, most: AFTER_ALL.into() };
        let (keys, has_more) = self.listed(&stretch, limit.clamp(1, BATCH)).await?;
        let mut pipelines: Vec<PipelineClaim> = self.batch(keys, "data").await?;
        pipelines.sort_by(|a, b| a.pipeline.cmp(&b.pipeline));
        let next = pipelines.last().filter(|_| has_more).map(|last| last.pipeline.clone());
        Ok(PipelinePage { pipelines, next })
    }
}

fn environments(pipeline: Option<&PipelineName>, after: Option<&(PipelineName, EnvironmentName)>) -> Stretch {
    let (first, most) = match pipeline {
        // The mark that parts a pipeline's name from an environment's is no part of either.
        Some(pipeline) => (format!("{pipeline}#"), format!("{pipeline}#{AFTER_ALL}")),
        None => (BEFORE_ALL.to_owned(), AFTER_ALL.to_owned()),
    };
    let after = after.map(|(pipeline, name)| behind(&keys::environment_place(pipeline, name)));
    let least = after.map_or(first.clone(), |after| after.max(first));
    Stretch { list: keys::LISTED_ENVIRONMENTS, least, most }
}

/// What sorts behind a place and before every other one: names hold nothing as small as a space.
fn behind(place: &str) -> String {
    format!("{place} ")
}

impl Aws {
    /// Keys of a stretch of a list, and whether it goes on behind them.
    async fn listed(&self, stretch: &Stretch, limit: usize) -> Answer<(Vec<Key>, bool)> {
        let Stretch { list, least, most } = stretch;
        if least > most {
            return Ok((Vec::new(), false));
        }
        let (mut found, mut from) = (Vec::new(), None);
        loop {
            let answer = self
                .dynamodb
                .query()
                .table_name(&self.settings.table)
                .index_name(index::OPEN)
                .key_condition_expression(LISTED)
                .expression_attribute_values(":list", text(*list))
                .expression_attribute_values(":least", text(least))
                .expression_attribute_values(":most", text(most))
                .limit(i32::try_from(limit - found.len()).unwrap_or(i32::MAX))
                .set_exclusive_start_key(from)
                .send()
                .await
                .map_err(|error| fault("dynamodb Query", &error))?;
            for item in answer.items() {
                found.push(key_of(item)?);
            }
            from = answer.last_evaluated_key;
            if from.is_none() || found.len() >= limit {
                return Ok((found, from.is_some()));
            }
        }
    }

    /// The JSON in an attribute of the items under keys, in any order; what is gone meanwhile is left out. Eventually
    /// consistent, as lists are.
    pub(super) async fn batch<T: DeserializeOwned>(&self, keys: Vec<Key>, attribute: &str) -> Answer<Vec<T>> {
        let mut things = Vec::with_capacity(keys.len());
        for keys in keys.chunks(BATCH) {
            let key = |key: &Key| {
                HashMap::from([("pk".to_owned(), text(&key.pk)), ("sk".to_owned(), text(&key.sk))])
            };
            let wanted = KeysAndAttributes::builder()
                .set_keys(Some(keys.iter().map(key).collect()))
                .projection_expression(ITS_JSON)
                .expression_attribute_names("#json", attribute)
                .build();
            let mut wanted = Some(wanted.map_err(|error| incomplete("dynamodb BatchGetItem", error))?);
            for pause in 0..TRIES {
                let Some(asked) = wanted.take() else { break };
                let answer = self
                    .dynamodb
                    .batch_get_item()
                    .request_items(&self.settings.table, asked)
                    .send()
                    .await
                    .map_err(|error| fault("dynamodb BatchGetItem", &error))?;
                let given = answer.responses().and_then(|tables| tables.get(&self.settings.table));
                for item in given.into_iter().flatten() {
                    things.push(parsed(item, attribute)?);
                }
                wanted = answer.unprocessed_keys.and_then(|mut left| left.remove(&self.settings.table));
                if wanted.is_some() {
                    tokio::time::sleep(Duration::from_millis(50 << pause)).await;
                }
            }
            if wanted.is_some() {
                return Err(Fault::Retryable("dynamodb BatchGetItem: throttled".into()));
            }
        }
        Ok(things)
    }
}
