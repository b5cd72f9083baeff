//! Tokens, the audit list, and orders under idempotency keys.

use std::future::Future;

use jiff::civil::Date;

use super::{Answer, Written};
use crate::access::TokenRecord;
use crate::audit::AuditEntry;
use crate::ids::{RunId, TokenName};
use crate::order::{Begun, Order};

/// API tokens.
pub trait Tokens: Sync {
    /// What is kept of a token, read consistently.
    fn token(&self, name: &TokenName) -> impl Future<Output = Answer<Option<TokenRecord>>> + Send;
    /// Stores a record, if the stored version is still the one before it.
    fn put_token(&self, record: &TokenRecord) -> impl Future<Output = Answer<Written>> + Send;
    /// All of them, oldest first, at most 1,000.
    fn tokens(&self) -> impl Future<Output = Answer<Vec<TokenRecord>>> + Send;
}

/// The list of who has changed what.
pub trait AuditTrail: Sync {
    /// Adds an entry, before the change; again with its status, after it.
    fn note(&self, entry: &AuditEntry) -> impl Future<Output = Answer<()>> + Send;
    /// The entries of a day (UTC), newest first, at most `limit`, older than `before`.
    fn noted(
        &self,
        day: Date,
        before: Option<RunId>,
        limit: usize,
    ) -> impl Future<Output = Answer<Vec<AuditEntry>>> + Send;
}

/// Orders under idempotency keys.
pub trait Orders: Sync {
    /// Takes the key for this order, if no other has it.
    fn begin_order(&self, order: &Order) -> impl Future<Output = Answer<Begun>> + Send;
    /// Keeps the order with its reply; without one, forgets it, so that it may be given again.
    fn end_order(&self, order: &Order) -> impl Future<Output = Answer<()>> + Send;
}
