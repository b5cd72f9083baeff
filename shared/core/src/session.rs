//! Sessions of people who have signed in with the issuer.
//!
//! The browser keeps a secret, the table its hash with who they are; signing out removes it, so a cookie that was
//! copied ends with it. What someone may do is taken from the issuer once, at the sign-in. Pure.

use std::fmt;
use std::str::FromStr;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::Digest as _;

use crate::access::Principal;

/// How long a session lasts: a day's work. Who has left a group keeps what it allowed for no longer.
pub const LASTS: SignedDuration = SignedDuration::from_hours(10);

const PREFIX: &str = "pws_";
/// Hex digits of a secret: 32 random bytes.
const SECRET_DIGITS: usize = 64;

/// What the browser keeps. Shown nowhere else.
#[derive(Clone, PartialEq, Eq)]
pub struct SessionSecret(String);

impl SessionSecret {
    /// A new one of 32 random bytes.
    pub fn new(random: [u8; 32]) -> Self {
        Self(hex::encode(random))
    }

    /// The text of the cookie.
    pub fn expose(&self) -> String {
        format!("{PREFIX}{}", self.0)
    }

    /// What the table knows it by: a hash. The secret is random, so no slow one is needed, and looking it up tells
    /// nobody how near a guess was.
    pub fn digest(&self) -> String {
        hex::encode(sha2::Sha256::digest(self.0.as_bytes()))
    }
}

impl fmt::Debug for SessionSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionSecret(…)")
    }
}

impl FromStr for SessionSecret {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        let secret = text.strip_prefix(PREFIX).ok_or(())?;
        let is_secret = secret.len() == SECRET_DIGITS && secret.bytes().all(|b| b.is_ascii_hexdigit());
        is_secret.then(|| Self(secret.to_owned())).ok_or(())
    }
}

/// What is kept of a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionRecord {
    /// SHA-256 of its secret, in hex.
    pub digest: String,
    /// Whose it is.
    pub principal: Principal,
    /// When it ends.
    pub ends_at: Timestamp,
}

impl SessionRecord {
    /// What is kept of a session that begins now.
    pub fn new(secret: &SessionSecret, principal: Principal, now: Timestamp) -> Self {
        Self { digest: secret.digest(), principal, ends_at: now + LASTS }
    }

    /// Whose session it is, while it lasts. The table deletes what has ended, but takes its time.
    pub fn holder(self, now: Timestamp) -> Option<Principal> {
        (now < self.ends_at).then_some(self.principal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_read_back_and_kept_as_a_hash() {
        let secret = SessionSecret::new([7; 32]);
        assert_eq!(secret.expose().parse(), Ok(secret.clone()));
        for bad in ["", "pws_", "pwt_ci_00", &secret.expose()[1..], &format!("{}0", secret.expose())] {
            assert!(bad.parse::<SessionSecret>().is_err(), "{bad}");
        }
        assert!(!secret.digest().contains(&"07".repeat(8)) && !format!("{secret:?}").contains("07"));
    }
}
