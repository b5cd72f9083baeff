//! Orders that may be given twice: the reply to an idempotency key is kept, and given again.
//!
//! The rules are those of the IETF's draft "The Idempotency-Key HTTP Header Field": the same key with another request
//! is refused, and one whose first request is still at work is told to wait. Pure; storing is a conditional write.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::Digest as _;

/// How long a key is remembered.
pub const KEPT: SignedDuration = SignedDuration::from_hours(24);
/// After how long an order without a reply counts as dropped: longer than the function may take.
pub const PATIENCE: SignedDuration = SignedDuration::from_secs(60);

/// An order under a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Who gave it, and their key, hashed: the key is theirs alone.
    pub key: String,
    /// What makes it the same request: method, path and body, hashed.
    pub fingerprint: String,
    /// When it was begun.
    pub at: Timestamp,
    /// What it was answered with, once it was.
    pub reply: Option<KeptReply>,
}

/// A reply that is given again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptReply {
    /// HTTP status.
    pub status: u16,
    /// The body, as JSON.
    pub body: String,
}

/// What beginning an order came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begun {
    /// It is ours to carry out.
    Ours,
    /// It was carried out before.
    Answered(KeptReply),
    /// It is being carried out.
    AtWork,
    /// The key belongs to another request.
    Different,
}

impl Order {
    /// The order of a request.
    pub fn new(by: &str, key: &str, request: &[&[u8]], now: Timestamp) -> Self {
        Self { key: hash(&[by.as_bytes(), key.as_bytes()]), fingerprint: hash(request), at: now, reply: None }
    }

    /// What there is to do where `stored` lies under the key.
    pub fn meets(&self, stored: &Self) -> Begun {
        if stored.at + KEPT < self.at {
            return Begun::Ours;
        }
        if stored.fingerprint != self.fingerprint {
            return Begun::Different;
        }
        match &stored.reply {
            Some(reply) => Begun::Answered(reply.clone()),
            None if stored.at + PATIENCE < self.at => Begun::Ours,
            None => Begun::AtWork,
        }
    }
}

fn hash(parts: &[&[u8]]) -> String {
    let mut hash = sha2::Sha256::new();
    for part in parts {
        hash.update(part.len().to_be_bytes());
        hash.update(part);
    }
    hex::encode(hash.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_stands_for_one_request_of_one_caller() {
        let at = |seconds| Timestamp::from_second(seconds).unwrap();
        let order = |by, body: &[u8], seconds| Order::new(by, "k", &[b"POST", body], at(seconds));
        let first = order("ada", b"1", 0);
        assert_ne!(first.key, order("bob", b"1", 0).key);
        assert_eq!(order("ada", b"1", 30).meets(&first), Begun::AtWork);
        assert_eq!(order("ada", b"1", 90).meets(&first), Begun::Ours);
        assert_eq!(order("ada", b"2", 90).meets(&first), Begun::Different);
        let reply = KeptReply { status: 202, body: "{}".into() };
        let done = Order { reply: Some(reply.clone()), ..first };
        assert_eq!(order("ada", b"1", 90).meets(&done), Begun::Answered(reply));
        assert_eq!(order("ada", b"2", 86_401).meets(&done), Begun::Ours);
    }
}
