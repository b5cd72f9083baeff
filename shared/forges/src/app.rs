//! GitHub Apps: the signed statement of who we are, and the installation token that it buys.
//!
//! GitHub Docs, "Generating a JSON Web Token (JWT) for a GitHub App" and "Authenticating as a GitHub App
//! installation". Tokens are kept in this process only and renewed five minutes before they end.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::{Algorithm, EncodingKey};
use pushway_core::ports::{Answer, Fault};
use serde::{Deserialize, Serialize};

/// A token that ends sooner than this is not used any more.
const SPARE: SignedDuration = SignedDuration::from_mins(5);
/// How long a statement counts: GitHub takes ten minutes at most, and clocks differ.
const STATEMENT_SECONDS: i64 = 9 * 60;
/// How far back it is dated: GitHub's advice against clocks that differ.
const DRIFT_SECONDS: i64 = 60;

/// A GitHub App and the installation that reaches the repository.
#[derive(Clone)]
pub(crate) struct App {
    id: String,
    pub(crate) installation: String,
    private_key: String,
}

/// What the statement says (RFC 7519).
#[derive(Serialize)]
struct Claims<'a> {
    iat: i64,
    exp: i64,
    iss: &'a str,
}

/// An installation token as GitHub gives it.
#[derive(Clone, Deserialize)]
pub(crate) struct Token {
    pub(crate) token: String,
    expires_at: Timestamp,
}

impl App {
    pub(crate) fn new(id: String, installation: String, private_key: String) -> Self {
        Self { id, installation, private_key }
    }

    /// What the app's installation token is remembered under.
    pub(crate) fn key(&self, api: &str) -> [String; 3] {
        [api.to_owned(), self.id.clone(), self.installation.clone()]
    }

    /// A statement, signed with the app's key, of who asks.
    pub(crate) fn statement(&self, now: Timestamp) -> Answer<String> {
        let wrong = |problem: &str| {
            Fault::Permanent(format!("the app's private_key {problem}; give the PEM file that GitHub made"))
        };
        // jsonwebtoken's own text might quote the key.
        let key = EncodingKey::from_rsa_pem(self.private_key.as_bytes())
            .map_err(|_| wrong("is no RSA key in PEM form"))?;
        let now = now.as_second();
        let claims = Claims { iat: now - DRIFT_SECONDS, exp: now + STATEMENT_SECONDS, iss: &self.id };
        jsonwebtoken::encode(&jsonwebtoken::Header::new(Algorithm::RS256), &claims, &key)
            .map_err(|_| wrong("can't sign"))
    }
}

/// Installation tokens got lately.
#[derive(Default)]
pub(crate) struct Tokens(Mutex<HashMap<[String; 3], Token>>);

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tokens(…)")
    }
}

impl Tokens {
    /// The token that is remembered under `key`, if it still counts for a while.
    pub(crate) fn get(&self, key: &[String; 3], now: Timestamp) -> Option<String> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let token = known.get(key)?;
        (token.expires_at.duration_since(now) > SPARE).then(|| token.token.clone())
    }

    pub(crate) fn put(&self, key: [String; 3], token: Token) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key, token);
    }

    /// Forgets a token that was refused: the app was installed anew, or its permissions changed.
    pub(crate) fn forget(&self, key: &[String; 3]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}
