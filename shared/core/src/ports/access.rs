//! Tokens, sessions, the issuer, the audit list, and orders under idempotency keys.

use std::future::Future;

use jiff::civil::Date;
use url::Url;

use super::{Answer, Written};
use crate::access::TokenRecord;
use crate::audit::AuditEntry;
use crate::ids::{RunId, TokenName};
use crate::issuer::{IssuerSettings, Redemption};
use crate::jwt::Jwk;
use crate::order::{Begun, Order};
use crate::session::SessionRecord;

/// API tokens.
pub trait Tokens: Sync {
    /// What is kept of a token, read consistently.
    fn token(&self, name: &TokenName) -> impl Future<Output = Answer<Option<TokenRecord>>> + Send;
    /// Stores a record, if the stored version is still the one before it.
    fn put_token(&self, record: &TokenRecord) -> impl Future<Output = Answer<Written>> + Send;
    /// All of them, oldest first, at most 1,000.
    fn tokens(&self) -> impl Future<Output = Answer<Vec<TokenRecord>>> + Send;
}

/// Sessions of people who have signed in with the issuer.
pub trait Sessions: Sync {
    /// Keeps a session until it has ended.
    fn put_session(&self, record: &SessionRecord) -> impl Future<Output = Answer<()>> + Send;
    /// The session of a secret's digest, read consistently. One that has ended may still be there.
    fn session(&self, digest: &str) -> impl Future<Output = Answer<Option<SessionRecord>>> + Send;
    /// Removes it.
    fn end_session(&self, digest: &str) -> impl Future<Output = Answer<()>> + Send;
}

/// The `OpenID` Connect issuer that people may sign in with.
pub trait Issuer: Sync {
    /// What the installation is set to; `None` where there is none. All else is asked only where there is one.
    fn issuer(&self) -> Option<&IssuerSettings>;
    /// Where people sign in.
    fn authorization_endpoint(&self) -> impl Future<Output = Answer<Url>> + Send;
    /// Its key of this name. Whoever invents names does not make it be asked each time.
    fn issuer_key(&self, id: &str) -> impl Future<Output = Answer<Option<Jwk>>> + Send;
    /// The ID token for a code; the inner error is why it gives none, in its words.
    fn redeem(&self, code: &Redemption) -> impl Future<Output = Answer<Result<String, String>>> + Send;
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
