//! The table: one file per kind of thing kept in it.
//!
//! An item is its key, the thing as JSON in `data`, and plain attributes only where a condition or an index
//! needs them. Expressions are constants; values are always bound (row A29). Reads of the base table are
//! consistent. A write whose answer was lost must look like success to the one who wrote (row F13), so
//! every failed condition is followed by a look at what is stored.

mod access;
mod bulk;
mod catalog;
mod deliveries;
mod environments;
#[cfg(test)]
mod fake;
mod figures;
mod history;
mod hooks;
pub(crate) mod meter;
mod overdue;
mod plans;
mod repositories;
mod runs;
pub(crate) mod sealing;
mod test_cases;
#[cfg(test)]
mod tests;
mod versioned;
mod waits;

use std::collections::HashMap;

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::put_item::builders::PutItemFluentBuilder;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{
    AttributeValue, CancellationReason, Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem,
};
use pushway_core::keys::Key;
use pushway_core::ports::{Answer, Fault};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Aws;
use crate::errors::{classify, fault, incomplete};

/// Indexes of the table, as the template names them.
mod index {
    /// Runs of a pipeline: `pipeline_pk`, `run_id`, with `summary`.
    pub(super) const BY_PIPELINE: &str = "by_pipeline";
    /// Runs of a day: `day_pk`, `run_id`, with `summary`.
    pub(super) const BY_DAY: &str = "by_day";
    /// Runs of a pipeline and ref: `ref_pk`, `run_id`, with `summary`.
    pub(super) const BY_REF: &str = "by_ref";
    /// Runs of a commit: `commit_pk`, `run_id`, with `summary`.
    pub(super) const BY_COMMIT: &str = "by_commit";
    /// Open runs and waits, oldest first; pipelines and environments by name: `open_pk`, `open_at`, keys only.
    pub(super) const OPEN: &str = "open";
}

/// The condition of an item that must be new.
const IS_NEW: &str = "attribute_not_exists(pk)";
/// Items are refused above this size, in bytes: `DynamoDB`'s own limit of 400 KB counts names and keys too.
const MAX_ITEM_BYTES: usize = 350 * 1024;
/// Writes that one transaction may hold. `DynamoDB` takes 100 (row F23); none of ours needs more than a few, and one
/// that grows with its input is a mistake that is better found here.
const MAX_TRANSACTION: usize = 25;
/// The attribute of a run's files that holds what its delivery told of older commits, as JSON.
const HISTORY: &str = "history";

type Item = HashMap<String, AttributeValue>;

fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

fn number(value: impl std::fmt::Display) -> AttributeValue {
    AttributeValue::N(format!("{value}"))
}

/// An item of this key that holds `thing`.
fn item(key: Key, thing: &impl Serialize) -> Answer<Item> {
    let data = json(thing)?;
    if data.len() > MAX_ITEM_BYTES {
        let Key { pk, sk } = key;
        return Err(Fault::Permanent(format!(
            "{pk} {sk} would take {} KiB, and an item may take {} KiB; make the pipeline smaller",
            data.len() / 1024,
            MAX_ITEM_BYTES / 1024
        )));
    }
    Ok(HashMap::from([
        ("pk".to_owned(), text(key.pk)),
        ("sk".to_owned(), text(key.sk)),
        ("data".to_owned(), text(data)),
    ]))
}

fn json(thing: &impl Serialize) -> Answer<String> {
    serde_json::to_string(thing).map_err(|error| Fault::Permanent(format!("write an item as JSON: {error}")))
}

fn string<'a>(item: &'a Item, name: &str) -> Answer<&'a str> {
    match item.get(name) {
        Some(AttributeValue::S(value)) => Ok(value),
        _ => Err(Fault::Permanent(format!("an item of the table has no text {name:?}"))),
    }
}

/// The JSON in an attribute.
fn parsed<T: DeserializeOwned>(item: &Item, name: &str) -> Answer<T> {
    let unreadable = |error| {
        let (pk, sk) = (string(item, "pk").unwrap_or("?"), string(item, "sk").unwrap_or("?"));
        Fault::Permanent(format!("{name} of the item {pk} {sk} can't be read: {error}"))
    };
    serde_json::from_str(string(item, name)?).map_err(unreadable)
}

/// Whether `stored` is the very thing that `written` tried to store.
fn is_ours(stored: Option<&Item>, written: &Item) -> bool {
    stored.and_then(|stored| stored.get("data")).is_some_and(|data| Some(data) == written.get("data"))
}

/// A token that makes repeats of one transaction within ten minutes one transaction.
fn transaction_token(parts: &[&str]) -> String {
    use sha2::Digest as _;
    let mut hash = sha2::Sha256::new();
    for part in parts {
        hash.update(part.len().to_be_bytes());
        hash.update(part);
    }
    hex::encode(&hash.finalize()[..16])
}

/// The reasons of a transaction that was cancelled because of what others wrote; an error otherwise.
fn lost_race(call: &str, error: &SdkError<TransactWriteItemsError>) -> Answer<Vec<CancellationReason>> {
    let Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) = error.as_service_error()
    else {
        return Err(fault(call, error));
    };
    let reasons = cancelled.cancellation_reasons();
    let other = reasons.iter().find(|reason| {
        !matches!(reason.code(), None | Some("None" | "ConditionalCheckFailed" | "TransactionConflict"))
    });
    match other {
        Some(reason) => Err(classify(call, 400, reason.code(), reason.message())),
        None => Ok(reasons.to_vec()),
    }
}

impl Aws {
    /// A whole item, read consistently.
    async fn item(&self, key: Key) -> Answer<Option<Item>> {
        let answer = self
            .dynamodb
            .get_item()
            .table_name(&self.settings.table)
            .key("pk", text(key.pk))
            .key("sk", text(key.sk))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| fault("dynamodb GetItem", &error))?;
        Ok(answer.item)
    }

    /// The thing under a key, read consistently.
    async fn thing<T: DeserializeOwned>(&self, key: Key) -> Answer<Option<T>> {
        self.item(key).await?.map(|item| parsed(&item, "data")).transpose()
    }

    /// A put into the table that shows the stored item where its condition fails.
    fn put(&self, item: Item, condition: &'static str) -> aws_sdk_dynamodb::types::builders::PutBuilder {
        Put::builder()
            .table_name(&self.settings.table)
            .set_item(Some(item))
            .condition_expression(condition)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
    }

    /// Puts an item under the condition that `under` sets; `Err` inside shows what lies there instead, if anything
    /// does. A writer that meets its own item has written: the answer to it was lost (row F13).
    async fn put_if(
        &self,
        item: Item,
        under: impl FnOnce(PutItemFluentBuilder) -> PutItemFluentBuilder,
    ) -> Answer<Result<(), Option<Item>>> {
        let call = self
            .dynamodb
            .put_item()
            .table_name(&self.settings.table)
            .set_item(Some(item.clone()))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let Err(error) = under(call).send().await else { return Ok(Ok(())) };
        match error.as_service_error() {
            Some(PutItemError::ConditionalCheckFailedException(refused)) => {
                let stored = refused.item();
                Ok(if is_ours(stored, &item) { Ok(()) } else { Err(stored.cloned()) })
            }
            _ => Err(fault("dynamodb PutItem", &error)),
        }
    }

    /// Writes all or nothing; `Err(reasons)` inside where others wrote first.
    async fn transact(
        &self,
        token: String,
        puts: impl IntoIterator<Item = aws_sdk_dynamodb::types::builders::PutBuilder>,
    ) -> Answer<Result<(), Vec<CancellationReason>>> {
        let mut call = self.dynamodb.transact_write_items().client_request_token(token);
        let puts: Vec<_> = puts.into_iter().collect();
        if puts.len() > MAX_TRANSACTION {
            return Err(Fault::Permanent(format!(
                "a transaction of {} writes was asked for, and one may hold {MAX_TRANSACTION}; this is a mistake in \
                 Pushway",
                puts.len()
            )));
        }
        for put in puts {
            let put = put.build().map_err(|error| incomplete("dynamodb TransactWriteItems", error))?;
            call = call.transact_items(TransactWriteItem::builder().put(put).build());
        }
        match call.send().await {
            Ok(_) => Ok(Ok(())),
            Err(error) => lost_race("dynamodb TransactWriteItems", &error).map(Err),
        }
    }
}
