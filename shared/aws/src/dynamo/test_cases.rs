//! Test cases beside their runs, and what is remembered of them.
//!
//! Cases are many and alike, so they lie compressed (RFC 1951) in the attribute `data`: a tenth of the write and
//! read units. Compressing the same cases gives the same bytes, so a write that is repeated meets its own.

use std::io::{Read as _, Write as _};

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use jiff::SignedDuration;
use pushway_core::fact::JobId;
use pushway_core::ids::{CommitSha, PipelineName, RefName};
use pushway_core::keys::{self, Key};
use pushway_core::ports::{Answer, Clock as _, Fault, ReadTestCases, TestCases, TestsOf, Written};
use pushway_core::test_case::TestCase;
use pushway_core::test_history::{FLAKY_FOR, JobTests, PipelineTests, TestBase, TestedCommit};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{IS_NEW, Item, MAX_ITEM_BYTES, item, json, number, text};
use crate::Aws;
use crate::errors::fault;

/// That of a newer push stays, and of the same push that of a newer run. Ids of runs sort by time. What an older version
/// wrote last has no place.
const IS_NOT_OLDER: &str =
    "attribute_not_exists(push_place) OR push_place < :place OR (push_place = :place AND run_id <= :run)";
/// Most bytes that a packed item may grow to when it is read: a chunk and what JSON adds to it are far below.
const MAX_UNPACKED: u64 = 4 * 1024 * 1024;
/// How long after it was last tested a commit is remembered: a case is not flaky for longer than that.
const COMMITS_FOR: SignedDuration = FLAKY_FOR;

impl ReadTestCases for Aws {
    async fn job_tests(&self, of: &TestsOf) -> Answer<Option<JobTests>> {
        self.packed(keys::tests(of.run, &of.job, of.attempt, None)).await
    }

    async fn test_cases(&self, of: &TestsOf, chunk: u32) -> Answer<Vec<TestCase>> {
        let cases = self.packed(keys::tests(of.run, &of.job, of.attempt, Some(chunk))).await?;
        Ok(cases.unwrap_or_default())
    }

    async fn pipeline_tests(&self, pipeline: &PipelineName) -> Answer<PipelineTests> {
        let stored = self.thing(keys::pipeline_tests(pipeline)).await?;
        Ok(stored.unwrap_or_else(|| PipelineTests::new(pipeline.clone())))
    }
}

impl TestCases for Aws {
    async fn put_test_cases(&self, of: &TestsOf, chunk: u32, cases: &[TestCase]) -> Answer<()> {
        let item = packed(keys::tests(of.run, &of.job, of.attempt, Some(chunk)), &cases)?;
        let put = self.dynamodb.put_item().table_name(&self.settings.table).set_item(Some(item));
        put.send().await.map_err(|error| fault("dynamodb PutItem", &error))?;
        Ok(())
    }

    async fn put_job_tests(&self, of: &TestsOf, tests: &JobTests) -> Answer<Written> {
        let item = packed(keys::tests(of.run, &of.job, of.attempt, None), tests)?;
        let written = self.put_if(item, |put| put.condition_expression(IS_NEW)).await?;
        Ok(if written.is_ok() { Written::Stored } else { Written::Conflict })
    }

    async fn test_base(
        &self,
        pipeline: &PipelineName,
        git_ref: &RefName,
        job: &JobId,
    ) -> Answer<Option<TestBase>> {
        self.packed(keys::test_base(pipeline, git_ref, job)).await
    }

    async fn put_test_base(&self, base: &TestBase) -> Answer<()> {
        let mut item = packed(keys::test_base(&base.pipeline, &base.git_ref, &base.job), base)?;
        let run = text(base.run.to_string());
        let place = AttributeValue::N(base.place.to_string());
        item.insert("run_id".into(), run.clone());
        item.insert("push_place".into(), place.clone());
        let put = self
            .dynamodb
            .put_item()
            .table_name(&self.settings.table)
            .set_item(Some(item))
            .condition_expression(IS_NOT_OLDER)
            .expression_attribute_values(":run", run)
            .expression_attribute_values(":place", place);
        let Err(error) = put.send().await else { return Ok(()) };
        match error.as_service_error() {
            Some(PutItemError::ConditionalCheckFailedException(_)) => Ok(()),
            _ => Err(fault("dynamodb PutItem", &error)),
        }
    }

    async fn tested_commit(
        &self,
        pipeline: &PipelineName,
        commit: &CommitSha,
        job: &JobId,
    ) -> Answer<TestedCommit> {
        let stored = self.thing(keys::tested_commit(pipeline, commit, job)).await?;
        Ok(stored.unwrap_or_else(|| TestedCommit::new(pipeline.clone(), commit.clone(), job.clone())))
    }

    async fn put_tested_commit(&self, tested: &TestedCommit) -> Answer<Written> {
        let mut item = item(keys::tested_commit(&tested.pipeline, &tested.commit, &tested.job), tested)?;
        // Only for cleaning: what is read is judged by what it says.
        item.insert("expires_at".into(), number((self.now() + COMMITS_FOR).as_second()));
        self.put_versioned(item, tested.version).await
    }

    async fn put_pipeline_tests(&self, tests: &PipelineTests) -> Answer<Written> {
        let item = item(keys::pipeline_tests(&tests.pipeline), tests)?;
        self.put_versioned(item, tests.version).await
    }
}

impl Aws {
    /// The compressed thing under a key, read consistently.
    async fn packed<T: DeserializeOwned>(&self, key: Key) -> Answer<Option<T>> {
        let name = format!("{} {}", key.pk, key.sk);
        let Some(item) = self.item(key).await? else { return Ok(None) };
        unpacked(&item)
            .map(Some)
            .map_err(|why| Fault::Permanent(format!("the item {name} can't be read: {why}")))
    }
}

/// An item of this key that holds `thing`, compressed.
fn packed(key: Key, thing: &impl Serialize) -> Answer<Item> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    let bytes = encoder.write_all(json(thing)?.as_bytes()).and_then(|()| encoder.finish());
    let bytes = bytes.map_err(|error| Fault::Permanent(format!("compress an item: {error}")))?;
    if bytes.len() > MAX_ITEM_BYTES {
        let Key { pk, sk } = key;
        return Err(Fault::Permanent(format!("{pk} {sk} would take {} KiB", bytes.len() / 1024)));
    }
    Ok(Item::from([
        ("pk".to_owned(), text(key.pk)),
        ("sk".to_owned(), text(key.sk)),
        ("data".to_owned(), AttributeValue::B(Blob::new(bytes))),
    ]))
}

fn unpacked<T: DeserializeOwned>(item: &Item) -> Result<T, String> {
    let Some(AttributeValue::B(bytes)) = item.get("data") else { return Err("it holds no bytes".into()) };
    let mut plain = Vec::new();
    let mut reader = DeflateDecoder::new(bytes.as_ref()).take(MAX_UNPACKED);
    reader.read_to_end(&mut plain).map_err(|error| error.to_string())?;
    serde_json::from_slice(&plain).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use pushway_core::test_case::{CaseStatus, chunks};

    use super::*;

    #[test]
    fn f22_a_chunk_of_tests_is_read_as_it_was_written_and_is_far_below_an_items_limit() {
        let case = |number: u32| {
            TestCase::new("shop::cart", &format!("adds_{number}"), CaseStatus::Passed, u64::from(number), "")
        };
        let cases: Vec<TestCase> = (0..10_000).map(case).collect();
        for chunk in chunks(&cases) {
            let key = Key { pk: "p".into(), sk: "s".into() };
            let item = packed(key.clone(), &chunk).unwrap();
            assert_eq!(unpacked::<Vec<TestCase>>(&item).unwrap(), chunk);
            assert_eq!(packed(key, &chunk).unwrap(), item, "the same cases are the same bytes");
            let Some(AttributeValue::B(bytes)) = item.get("data") else { panic!("no bytes") };
            assert!(bytes.as_ref().len() < 64 * 1024, "{}", bytes.as_ref().len());
        }
        assert!(unpacked::<Vec<TestCase>>(&Item::new()).is_err());
    }
}
