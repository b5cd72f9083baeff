//! Tokens, sessions, an issuer, the audit list and orders in memory.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, OnceLock};

use jiff::civil::Date;
use jiff::tz::TimeZone;
use url::Url;

use super::World;
use crate::access::TokenRecord;
use crate::audit::AuditEntry;
use crate::ids::{RunId, TokenName};
use crate::issuer::{IssuerSettings, Redemption};
use crate::jwt::{Jwk, JwkSet};
use crate::order::{Begun, Order};
use crate::ports::{Answer, AuditTrail, Fault, Issuer, Orders, Sessions, Tokens, Written};
use crate::session::SessionRecord;

/// What is kept of those who ask.
#[derive(Debug, Default)]
pub(super) struct Access {
    tokens: BTreeMap<TokenName, TokenRecord>,
    audit: BTreeMap<RunId, AuditEntry>,
    orders: BTreeMap<String, Order>,
    sessions: BTreeMap<String, SessionRecord>,
}

/// What answers for an issuer.
pub struct FakeIssuer {
    /// What the installation is set to.
    pub settings: IssuerSettings,
    /// Where people sign in.
    pub authorization_endpoint: Url,
    /// Its keys.
    pub keys: JwkSet,
    /// The ID token for a code, or why there is none.
    pub redeem: Arc<Redeeming>,
}

/// What answers who redeems a code.
pub type Redeeming = dyn Fn(&Redemption) -> Result<String, String> + Send + Sync;

impl fmt::Debug for FakeIssuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeIssuer").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// The world's issuer, once a test has set it.
pub(super) type Set = OnceLock<FakeIssuer>;

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

impl World {
    /// Lets people sign in with an issuer from now on.
    ///
    /// # Panics
    /// When there is one.
    pub fn set_issuer(&self, issuer: FakeIssuer) {
        self.issuer.set(issuer).unwrap_or_else(|_| panic!("the world has an issuer"));
    }

    fn asked_issuer(&self) -> Answer<&FakeIssuer> {
        self.issuer.get().ok_or_else(|| Fault::Permanent("there is no issuer to ask".into()))
    }
}

impl Sessions for World {
    async fn put_session(&self, record: &SessionRecord) -> Answer<()> {
        self.call("put_session", &record.principal.name, |state| {
            state.access.sessions.insert(record.digest.clone(), record.clone());
            Ok(())
        })
        .await
    }

    async fn session(&self, digest: &str) -> Answer<Option<SessionRecord>> {
        self.call("session", "one", |state| Ok(state.access.sessions.get(digest).cloned())).await
    }

    async fn end_session(&self, digest: &str) -> Answer<()> {
        self.call("end_session", "one", |state| {
            state.access.sessions.remove(digest);
            Ok(())
        })
        .await
    }
}

impl Issuer for World {
    fn issuer(&self) -> Option<&IssuerSettings> {
        self.issuer.get().map(|issuer| &issuer.settings)
    }

    async fn authorization_endpoint(&self) -> Answer<Url> {
        let endpoint = self.asked_issuer()?.authorization_endpoint.clone();
        self.call("authorization_endpoint", "issuer", |_| Ok(endpoint)).await
    }

    async fn issuer_key(&self, id: &str) -> Answer<Option<Jwk>> {
        let key = self.asked_issuer()?.keys.find(id).cloned();
        self.call("issuer_key", id, |_| Ok(key)).await
    }

    async fn redeem(&self, code: &Redemption) -> Answer<Result<String, String>> {
        let answer = (self.asked_issuer()?.redeem)(code);
        self.call("redeem", "a code", |_| Ok(answer)).await
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
