//! Who may ask the API for what: scopes, who asks, and API tokens.
//!
//! A token is shown once, when it is made; the table keeps a hash of its secret. What is unknown, wrong, expired or
//! revoked is refused in the same way, and only who holds the right secret learns that it has expired. Pure.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::Digest as _;
use subtle::ConstantTimeEq as _;

use crate::ids::TokenName;
use crate::issuer::BadAttempt;
use crate::jwt::BadJwt;

/// What someone may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Look at everything but tokens and the audit list.
    Read,
    /// Start, retry and stop runs.
    Run,
    /// Consent to deploys, roll back, freeze.
    Approve,
    /// Everything, tokens, rules of environments and the audit list included.
    Admin,
}

impl Scope {
    /// All of them, least first.
    pub const ALL: [Self; 4] = [Self::Read, Self::Run, Self::Approve, Self::Admin];

    /// The name in tokens, requests and messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Run => "run",
            Self::Approve => "approve",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Scope {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let known = || Self::ALL.map(Self::as_str).join(", ");
        let found = Self::ALL.into_iter().find(|scope| scope.as_str() == text);
        found.ok_or_else(|| format!("unknown scope {text:?}; use some of {}", known()))
    }
}

/// What someone may do, all together.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Scopes(BTreeSet<Scope>);

impl Scopes {
    /// Whether they suffice: every scope lets one read, and `admin` is all of them.
    pub fn allow(&self, wanted: Scope) -> bool {
        let reads = wanted == Scope::Read && !self.0.is_empty();
        reads || self.0.contains(&wanted) || self.0.contains(&Scope::Admin)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each of them, least first.
    pub fn iter(&self) -> impl Iterator<Item = Scope> {
        self.0.iter().copied()
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().collect())
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<&str> = self.iter().map(Scope::as_str).collect();
        f.write_str(&words.join(", "))
    }
}

/// Someone whose word was checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Principal {
    /// Who, as runs and the audit list keep it: an ARN, `token:<name>` or `person:<name>`.
    pub name: String,
    /// What they may do.
    pub scopes: Scopes,
    /// Names of the groups that the issuer says they belong to; none for tokens and AWS credentials.
    pub groups: BTreeSet<String>,
}

impl Principal {
    /// Someone with AWS credentials that may invoke the API: the account's own policies say who that is.
    pub fn of_account(arn: String) -> Self {
        Self { name: arn, scopes: Scopes::from_iter([Scope::Admin]), groups: BTreeSet::new() }
    }
}

/// A token as its holder has it: `pwt_<name>_<secret>`. Shown nowhere else.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    /// Its name.
    pub name: TokenName,
    secret: String,
}

/// What a token's text begins with, so that scanners for leaked secrets can find it.
const PREFIX: &str = "pwt_";
/// Hex digits of a secret: 32 random bytes.
const SECRET_DIGITS: usize = 64;

impl Token {
    /// A new token of 32 random bytes.
    pub fn new(name: TokenName, random: [u8; 32]) -> Self {
        Self { name, secret: hex::encode(random) }
    }

    /// The whole text, for the one who asked for the token.
    pub fn expose(&self) -> String {
        format!("{PREFIX}{}_{}", self.name, self.secret)
    }

    /// What the table keeps.
    pub fn digest(&self) -> String {
        hex::encode(sha2::Sha256::digest(self.secret.as_bytes()))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({}, …)", self.name)
    }
}

/// A text that is no token. Does not repeat it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is no API token; `pushway token create` makes one")]
pub struct NoToken;

impl FromStr for Token {
    type Err = NoToken;
    fn from_str(text: &str) -> Result<Self, NoToken> {
        let (name, secret) =
            text.strip_prefix(PREFIX).and_then(|rest| rest.split_once('_')).ok_or(NoToken)?;
        let is_secret = secret.len() == SECRET_DIGITS && secret.bytes().all(|b| b.is_ascii_hexdigit());
        let name = name.parse().map_err(|_| NoToken)?;
        is_secret.then(|| Self { name, secret: secret.to_owned() }).ok_or(NoToken)
    }
}

/// What is kept of a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenRecord {
    /// Its name, never used again.
    pub name: TokenName,
    /// How often the record was stored.
    pub version: u64,
    /// SHA-256 of its secret, in hex. The secret is random, so no slow hash is needed.
    pub digest: String,
    /// What its holder may do.
    pub scopes: Scopes,
    /// Who made it.
    pub created_by: String,
    /// When.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
    /// Who has ended it before that, and when.
    pub revoked: Option<Revoked>,
}

/// That a token was ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Revoked {
    /// By whom.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

/// Why a token is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It is none, or another one.
    #[error("this token is not known; `pushway token create` makes one")]
    Unknown,
    /// It has ended.
    #[error("this token has expired; `pushway token create` makes another")]
    Expired,
    /// Someone has ended it.
    #[error("this token was revoked; `pushway token create` makes another")]
    Revoked,
    /// A sign-in that was not begun here.
    #[error(transparent)]
    Attempt(#[from] BadAttempt),
    /// It is of the issuer that people sign in with, and does not count.
    #[error(transparent)]
    Issuer(#[from] BadJwt),
}

/// A token lives a day at least, and a leap year at most.
pub const TOKEN_DAYS: std::ops::RangeInclusive<u16> = 1..=366;

impl TokenRecord {
    /// What is kept of a token that `by` makes for `days`.
    pub fn new(token: &Token, scopes: Scopes, by: String, now: Timestamp, days: u16) -> Self {
        Self {
            name: token.name.clone(),
            version: 1,
            digest: token.digest(),
            scopes,
            created_by: by,
            created_at: now,
            expires_at: now + SignedDuration::from_hours(i64::from(days) * 24),
            revoked: None,
        }
    }

    /// Who its holder is, if the token is the one that was made and has not ended.
    pub fn check(&self, token: &Token, now: Timestamp) -> Result<Principal, Refused> {
        if !bool::from(self.digest.as_bytes().ct_eq(token.digest().as_bytes())) {
            return Err(Refused::Unknown);
        }
        if self.revoked.is_some() {
            return Err(Refused::Revoked);
        }
        if self.expires_at <= now {
            return Err(Refused::Expired);
        }
        let name = format!("token:{}", self.name);
        Ok(Principal { name, scopes: self.scopes.clone(), groups: BTreeSet::new() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token() -> Token {
        Token::new("ci".parse().unwrap(), [7; 32])
    }

    #[test]
    fn a_token_is_read_back_and_shown_to_nobody() {
        let token = token();
        assert_eq!(token.expose().parse(), Ok(token.clone()));
        assert_eq!(format!("{token:?}"), "Token(ci, …)");
        for wrong in
            ["", "pwt_ci", "pwt_ci_12", "ghp_ci_00", &token.expose()[1..], &format!("{}0", token.expose())]
        {
            assert_eq!(wrong.parse::<Token>(), Err(NoToken), "{wrong}");
        }
        let record = TokenRecord::new(&token, Scopes::default(), "arn".into(), Timestamp::UNIX_EPOCH, 1);
        assert!(!serde_json::to_string(&record).unwrap().contains(&token.secret));
    }

    #[test]
    fn a_token_counts_while_it_is_the_one_and_has_not_ended() {
        let now = Timestamp::UNIX_EPOCH;
        let mut record = TokenRecord::new(&token(), Scopes::from_iter([Scope::Run]), "arn".into(), now, 1);
        let other = Token::new("ci".parse().unwrap(), [8; 32]);
        assert_eq!(record.check(&token(), now).unwrap().name, "token:ci");
        assert_eq!(record.check(&other, now), Err(Refused::Unknown));
        assert_eq!(record.check(&token(), record.expires_at), Err(Refused::Expired));
        assert_eq!(record.check(&other, record.expires_at), Err(Refused::Unknown));
        record.revoked = Some(Revoked { by: "ada".into(), at: now });
        assert_eq!(record.check(&token(), now), Err(Refused::Revoked));
    }

    #[test]
    fn each_scope_reads_and_admin_does_all() {
        let may = |own: &[Scope]| {
            let own: Scopes = own.iter().copied().collect();
            Scope::ALL
                .into_iter()
                .filter(|wanted| own.allow(*wanted))
                .map(Scope::as_str)
                .collect::<Vec<_>>()
                .join(" ")
        };
        assert_eq!(may(&[]), "");
        assert_eq!(may(&[Scope::Read]), "read");
        assert_eq!(may(&[Scope::Run]), "read run");
        assert_eq!(may(&[Scope::Approve]), "read approve");
        assert_eq!(may(&[Scope::Admin]), "read run approve admin");
    }
}
