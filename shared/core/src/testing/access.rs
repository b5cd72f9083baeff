//! Tokens, the audit list and orders in memory.

use std::collections::BTreeMap;

use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::World;
use crate::access::TokenRecord;
use crate::audit::AuditEntry;
use crate::ids::{RunId, TokenName};
use crate::order::{Begun, Order};
use crate::ports::{Answer, AuditTrail, Orders, Tokens, Written};

/// What is kept of those who ask.
#[derive(Debug, Default)]
pub(super) struct Access {
    tokens: BTreeMap<TokenName, TokenRecord>,
    audit: BTreeMap<RunId, AuditEntry>,
    orders: BTreeMap<String, Order>,
}

impl World {
    /// The audit list, oldest first.
    pub fn audit(&self) -> Vec<AuditEntry> {
        self.lock().access.audit.values().cloned().collect()
    }
}

impl Tokens for World {
    async fn token(&self, name: &TokenName) -> Answer<Option<TokenRecord>> {
        self.call("token", name, |state| Ok(state.access.tokens.get(name).cloned())).await
    }

    async fn put_token(&self, record: &TokenRecord) -> Answer<Written> {
        self.call("put_token", &record.name, |state| {
            let tokens = &mut state.access.tokens;
            let stored = tokens.get(&record.name);
            if stored == Some(record) {
                return Ok(Written::Stored);
            }
            if stored.map_or(0, |stored| stored.version) + 1 != record.version {
                return Ok(Written::Conflict);
            }
            tokens.insert(record.name.clone(), record.clone());
            Ok(Written::Stored)
        })
        .await
    }

    async fn tokens(&self) -> Answer<Vec<TokenRecord>> {
        self.call("tokens", "all", |state| {
            let mut all: Vec<_> = state.access.tokens.values().cloned().collect();
            all.sort_by_key(|record| record.created_at);
            Ok(all)
        })
        .await
    }
}

impl AuditTrail for World {
    async fn note(&self, entry: &AuditEntry) -> Answer<()> {
        self.call("note", &entry.operation, |state| {
            state.access.audit.insert(entry.id, entry.clone());
            Ok(())
        })
        .await
    }

    async fn noted(&self, day: Date, before: Option<RunId>, limit: usize) -> Answer<Vec<AuditEntry>> {
        self.call("noted", day, |state| {
            let of_day = |entry: &&AuditEntry| entry.at.to_zoned(TimeZone::UTC).date() == day;
            let older = |entry: &&AuditEntry| before.is_none_or(|before| entry.id < before);
            let entries = state.access.audit.values().rev().filter(of_day).filter(older);
            Ok(entries.take(limit).cloned().collect())
        })
        .await
    }
}

impl Orders for World {
    async fn begin_order(&self, order: &Order) -> Answer<Begun> {
        self.call("begin_order", &order.key, |state| {
            let orders = &mut state.access.orders;
            let begun = match orders.get(&order.key) {
                Some(stored) if stored == order => Begun::Ours,
                Some(stored) => order.meets(stored),
                None => Begun::Ours,
            };
            if begun == Begun::Ours {
                orders.insert(order.key.clone(), order.clone());
            }
            Ok(begun)
        })
        .await
    }

    async fn end_order(&self, order: &Order) -> Answer<()> {
        self.call("end_order", &order.key, |state| {
            match order.reply {
                Some(_) => state.access.orders.insert(order.key.clone(), order.clone()),
                None => state.access.orders.remove(&order.key),
            };
            Ok(())
        })
        .await
    }
}
