//! API tokens, sessions, the audit list, and orders under idempotency keys.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;
use pushway_core::access::TokenRecord;
use pushway_core::audit::AuditEntry;
use pushway_core::ids::{RunId, TokenName};
use pushway_core::keys::{self, Key};
use pushway_core::order::{Begun, KEPT, Order};
use pushway_core::ports::{Answer, AuditTrail, Fault, Orders, Sessions, Tokens, Written};
use pushway_core::session::SessionRecord;

use super::versioned::indexed;
use super::{IS_NEW, Item, item, number, parsed, text};
use crate::Aws;
use crate::errors::fault;
use crate::time::{day, sortable};

/// An audit entry's end sorts right after the entry itself.
const END: &str = "#end";
const ENTRIES_BEFORE: &str = "pk = :pk AND sk < :before";
/// Sorts after every id: the letter comes after the hex digits.
const AFTER_ALL: &str = "g";
/// The order may be replaced only while it is the one that was met.
const IS_THE_ONE_MET: &str = "#data = :met";

impl Tokens for Aws {
    async fn token(&self, name: &TokenName) -> Answer<Option<TokenRecord>> {
        self.thing(keys::token(name)).await
    }

    async fn put_token(&self, record: &TokenRecord) -> Answer<Written> {
        let mut item = item(keys::token(&record.name), record)?;
        indexed(&mut item, keys::OPEN_TOKENS, record.created_at);
        self.put_versioned(item, record.version).await
    }

    async fn tokens(&self) -> Answer<Vec<TokenRecord>> {
        let (least, most) = (text(sortable(Timestamp::UNIX_EPOCH)), text(sortable(Timestamp::MAX)));
        let mut records = Vec::new();
        for key in self.open_between(keys::OPEN_TOKENS, least, most).await? {
            records.extend(self.thing::<TokenRecord>(key).await?);
        }
        Ok(records)
    }
}

impl Sessions for Aws {
    async fn put_session(&self, record: &SessionRecord) -> Answer<()> {
        let mut item = item(keys::session(&record.digest), record)?;
        item.insert("expires_at".into(), number(record.ends_at.as_second()));
        self.put_over(item).await
    }

    async fn session(&self, digest: &str) -> Answer<Option<SessionRecord>> {
        self.thing(keys::session(digest)).await
    }

    async fn end_session(&self, digest: &str) -> Answer<()> {
        self.remove(keys::session(digest)).await
    }
}

impl AuditTrail for Aws {
    async fn note(&self, entry: &AuditEntry) -> Answer<()> {
        let end = if entry.status.is_some() { END } else { "" };
        let key = Key { pk: keys::audit_day(day(entry.at)), sk: format!("{}{end}", entry.id) };
        let written = self.put_if(item(key, entry)?, |put| put.condition_expression(IS_NEW)).await?;
        // An id is a time and ten random bytes.
        let taken = |_| Fault::Retryable(format!("the audit list has another entry {}", entry.id));
        written.map_err(taken)
    }

    async fn noted(&self, day: Date, before: Option<RunId>, limit: usize) -> Answer<Vec<AuditEntry>> {
        let before = before.map_or_else(|| AFTER_ALL.to_owned(), |id| id.to_string());
        // An entry takes two items, and the last one's end may be cut off.
        let most = i32::try_from(limit * 2).unwrap_or(i32::MAX);
        let page = self
            .dynamodb
            .query()
            .table_name(&self.settings.table)
            .consistent_read(true)
            .key_condition_expression(ENTRIES_BEFORE)
            .expression_attribute_values(":pk", text(keys::audit_day(day)))
            .expression_attribute_values(":before", text(before))
            .scan_index_forward(false)
            .limit(most)
            .send()
            .await
            .map_err(|error| fault("dynamodb Query", &error))?;
        let mut entries: BTreeMap<RunId, AuditEntry> = BTreeMap::new();
        for item in page.items() {
            let entry: AuditEntry = parsed(item, "data")?;
            // The end comes first, and says all that the entry says.
            entries.entry(entry.id).or_insert(entry);
        }
        Ok(entries.into_values().rev().take(limit).collect())
    }
}

impl Orders for Aws {
    async fn begin_order(&self, order: &Order) -> Answer<Begun> {
        let Some(met) = self.put_order(order, None).await? else { return Ok(Begun::Ours) };
        let begun = order.meets(&met);
        if begun != Begun::Ours {
            return Ok(begun);
        }
        // Whoever takes over an old order first has it.
        Ok(if self.put_order(order, Some(&met)).await?.is_none() { Begun::Ours } else { Begun::AtWork })
    }

    async fn end_order(&self, order: &Order) -> Answer<()> {
        match order.reply {
            Some(_) => self.put_over(kept(order)?).await,
            None => self.remove(keys::order(&order.key)).await,
        }
    }
}

impl Aws {
    /// Stores an item, whatever lies there.
    async fn put_over(&self, item: Item) -> Answer<()> {
        let put = self.dynamodb.put_item().table_name(&self.settings.table).set_item(Some(item));
        put.send().await.map(drop).map_err(|error| fault("dynamodb PutItem", &error))
    }

    /// Removes an item, if it is there.
    async fn remove(&self, key: Key) -> Answer<()> {
        let delete = self.dynamodb.delete_item().table_name(&self.settings.table);
        let delete = delete.key("pk", text(key.pk)).key("sk", text(key.sk));
        delete.send().await.map(drop).map_err(|error| fault("dynamodb DeleteItem", &error))
    }

    /// Stores an order where none lies, or where the one that was met still lies; else what lies there.
    async fn put_order(&self, order: &Order, met: Option<&Order>) -> Answer<Option<Order>> {
        let met = met.map(super::json).transpose()?;
        let written = self.put_if(kept(order)?, |put| match met {
            None => put.condition_expression(IS_NEW),
            Some(met) => put
                .condition_expression(IS_THE_ONE_MET)
                .expression_attribute_names("#data", "data")
                .expression_attribute_values(":met", text(met)),
        });
        match written.await? {
            Ok(()) => Ok(None),
            Err(Some(stored)) => parsed(&stored, "data").map(Some),
            // It was there a moment ago: whoever carried it out has dropped it.
            Err(None) => Err(Fault::Retryable("an order was dropped while it was taken over".into())),
        }
    }
}

/// An order's item, which the table deletes some time after it has ended.
fn kept(order: &Order) -> Answer<Item> {
    let mut item = item(keys::order(&order.key), order)?;
    item.insert("expires_at".into(), number((order.at + KEPT).as_second()));
    Ok(item)
}
