//! The `OpenID` Connect issuer that people may sign in with: Amazon Cognito, or any other.
//!
//! Optional, set by a parameter of the template. It says which of the issuer's groups may do what; what its tokens
//! must say is in `jwt.rs`. The authorization code flow with PKCE (RFC 7636) is begun here, as a pure function of
//! random bytes; `OpenID` Connect Core 1.0, section 3.1.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::Digest as _;
use subtle::ConstantTimeEq as _;
use url::{Host, Url};

use crate::access::Scopes;

/// The group that everyone belongs to whom the issuer knows.
const EVERYONE: &str = "*";
/// What begins the names of secrets that functions may read.
const SECRETS: &str = "pushway/";
/// How long someone may take to sign in at the issuer.
pub const PATIENCE: SignedDuration = SignedDuration::from_mins(10);

/// An issuer, as the installation is set to it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IssuerSettings {
    /// Its identifier, as its tokens have it: an address of scheme https, or of this machine.
    pub issuer: String,
    /// What people call it; its host without it.
    #[serde(default)]
    pub name: Option<String>,
    /// The client as which people sign in.
    pub client_id: String,
    /// Name of the secret that holds the client's own secret, where it has one.
    #[serde(default)]
    pub client_secret: Option<String>,
    /// What access tokens must be made for; the client, without it.
    #[serde(default)]
    pub audience: Option<String>,
    /// What is asked for at the sign-in.
    #[serde(default = "asked_for")]
    pub scopes: Vec<String>,
    /// The claim that says who someone is.
    #[serde(default = "email")]
    pub name_claim: String,
    /// The claim that says which groups someone belongs to.
    #[serde(default = "groups")]
    pub groups_claim: String,
    /// What the members of each group may do; `*` is everyone.
    pub groups: BTreeMap<String, Scopes>,
}

fn asked_for() -> Vec<String> {
    vec!["openid".into(), EMAIL.into()]
}

fn email() -> String {
    EMAIL.into()
}

fn groups() -> String {
    "groups".into()
}

/// The claim that counts only where the issuer says that it has checked it.
pub(crate) const EMAIL: &str = "email";

impl IssuerSettings {
    /// Reads them from JSON; the error says what is wrong.
    pub fn read(text: &str) -> Result<Self, String> {
        let settings: Self = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let issuer: Url =
            settings.issuer.parse().map_err(|error| format!("issuer {:?}: {error}", settings.issuer))?;
        if !is_safe(&issuer) || issuer.query().is_some() || issuer.fragment().is_some() {
            return Err(format!("issuer {:?} must be an address that begins with https://", settings.issuer));
        }
        if settings.client_id.is_empty() {
            return Err("client_id is empty; the issuer shows it where the client was made".into());
        }
        if settings.client_secret.as_ref().is_some_and(|name| !name.starts_with(SECRETS)) {
            return Err(format!("client_secret must be the name of a secret that begins with {SECRETS}"));
        }
        if settings.groups.is_empty() || settings.groups.values().any(Scopes::is_empty) {
            return Err(
                "groups must give each group some of the scopes read, run, approve, admin, such as {\"*\": [\"read\"]}"
                    .into(),
            );
        }
        Ok(settings)
    }

    /// Where it says what it has (`OpenID` Connect Discovery 1.0, section 4).
    pub fn discovery(&self) -> String {
        format!("{}/.well-known/openid-configuration", self.issuer.trim_end_matches('/'))
    }

    /// The name by which people know it.
    pub fn shown(&self) -> String {
        let host = || self.issuer.parse::<Url>().ok()?.host_str().map(str::to_owned);
        self.name.clone().or_else(host).unwrap_or_default()
    }

    /// Whether an address is one that secrets may travel to: over TLS, or within this machine where the issuer itself
    /// lies there.
    pub fn may_ask(&self, url: &Url) -> bool {
        let is_here = self.issuer.parse().is_ok_and(|issuer: Url| issuer.scheme() == "http");
        is_safe(url) && (url.scheme() == "https" || is_here)
    }

    /// What the members of these groups may do, all together.
    pub fn scopes_of(&self, groups: &BTreeSet<String>) -> Scopes {
        let own = self.groups.iter().filter(|(group, _)| *group == EVERYONE || groups.contains(*group));
        own.flat_map(|(_, scopes)| scopes.iter()).collect()
    }
}

/// TLS, or an address of this machine.
fn is_safe(url: &Url) -> bool {
    let is_loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    url.scheme() == "https" || (url.scheme() == "http" && is_loopback)
}

/// A sign-in that was begun, as the browser keeps it meanwhile, sealed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    state: String,
    nonce: String,
    verifier: String,
    /// Where to go afterwards.
    pub next: String,
    begun_at: Timestamp,
}

impl std::fmt::Debug for Attempt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Attempt(…)")
    }
}

/// Why an attempt can't be gone on with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this sign-in was begun in another browser, or too long ago; sign in again")]
pub struct BadAttempt;

impl Attempt {
    /// A new one, of random bytes.
    pub fn new(random: [[u8; 32]; 3], next: &str, now: Timestamp) -> Self {
        let [state, nonce, verifier] = random.map(|bytes| BASE64.encode(bytes));
        Self { state, nonce, verifier, next: next.to_owned(), begun_at: now }
    }

    /// Where the browser is sent to.
    pub fn address(&self, settings: &IssuerSettings, authorization: &Url, redirect: &str) -> Url {
        let challenge = BASE64.encode(sha2::Sha256::digest(self.verifier.as_bytes()));
        let mut url = authorization.clone();
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &settings.client_id)
            .append_pair("redirect_uri", redirect)
            .append_pair("scope", &settings.scopes.join(" "))
            .append_pair("state", &self.state)
            .append_pair("nonce", &self.nonce)
            .append_pair("code_challenge", &challenge)
            .append_pair("code_challenge_method", "S256");
        url
    }

    /// The code that came back, ready to be redeemed, if it came back to where it was asked for and in time.
    pub fn back(
        &self,
        state: &str,
        code: &str,
        redirect: &str,
        now: Timestamp,
    ) -> Result<Redemption, BadAttempt> {
        let is_ours = bool::from(self.state.as_bytes().ct_eq(state.as_bytes()));
        if !is_ours || now.duration_since(self.begun_at) > PATIENCE {
            return Err(BadAttempt);
        }
        let (code, redirect) = (code.to_owned(), redirect.to_owned());
        Ok(Redemption { code, verifier: self.verifier.clone(), redirect })
    }

    /// What the ID token must repeat.
    pub fn nonce(&self) -> &str {
        &self.nonce
    }
}

/// A code that the issuer gives an ID token for.
#[derive(Clone, PartialEq, Eq)]
pub struct Redemption {
    /// The code.
    pub code: String,
    /// What its challenge was made of.
    pub verifier: String,
    /// Where it was sent to.
    pub redirect: String,
}

impl std::fmt::Debug for Redemption {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Redemption(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Scope;

    const GOOD: &str = r#"{ "issuer": "https://login.example.com/pool", "client_id": "pushway",
        "groups": { "platform": ["admin"], "leads": ["approve", "run"], "*": ["read"] } }"#;

    #[test]
    fn settings_are_read_whole_and_what_is_wrong_is_named() {
        let settings = IssuerSettings::read(GOOD).unwrap();
        assert_eq!(settings.discovery(), "https://login.example.com/pool/.well-known/openid-configuration");
        assert_eq!((settings.shown().as_str(), settings.name_claim.as_str()), ("login.example.com", "email"));
        for (from, to, told) in [
            ("https://login", "http://login", "begins with https://"),
            ("https://login.example.com/pool", "login", "issuer \"login\""),
            ("/pool", "/pool?a=b", "begins with https://"),
            ("\"pushway\"", "\"\"", "client_id is empty"),
            ("\"client_id\"", "\"client_secret\": \"elsewhere\", \"client_id\"", "begins with pushway/"),
            ("\"client_id\"", "\"clientid\": \"x\", \"client_id\"", "unknown field `clientid`"),
            ("[\"read\"]", "[]", "each group"),
            ("[\"read\"]", "[\"write\"]", "unknown variant `write`"),
        ] {
            let error = IssuerSettings::read(&GOOD.replacen(from, to, 1)).unwrap_err();
            assert!(error.contains(told), "{to}: {error}");
        }
    }

    #[test]
    fn secrets_travel_over_tls_or_within_this_machine() {
        let far = IssuerSettings::read(GOOD).unwrap();
        let near =
            IssuerSettings::read(&GOOD.replace("https://login.example.com", "http://127.0.0.1:9")).unwrap();
        let may = |settings: &IssuerSettings, url: &str| settings.may_ask(&url.parse().unwrap());
        assert!(may(&far, "https://tokens.example.com/token") && may(&near, "http://127.0.0.1:9/token"));
        assert!(!may(&far, "http://127.0.0.1:9/token") && !may(&near, "http://tokens.example.com/token"));
    }

    #[test]
    fn groups_add_up_and_everyone_is_one_of_them() {
        let settings = IssuerSettings::read(GOOD).unwrap();
        let may = |groups: &[&str]| {
            let groups = groups.iter().map(|group| (*group).to_owned()).collect();
            settings.scopes_of(&groups).iter().collect::<Vec<_>>()
        };
        assert_eq!(may(&["others"]), [Scope::Read]);
        assert_eq!(may(&["leads", "platform"]), Scope::ALL);
        // Nobody becomes an administrator by a group that is named like everyone.
        assert_eq!(may(&["*"]), [Scope::Read]);
    }

    #[test]
    fn a33_a_code_counts_in_the_browser_that_asked_for_it_and_for_ten_minutes() {
        let now = Timestamp::UNIX_EPOCH;
        let attempt = Attempt::new([[1; 32], [2; 32], [3; 32]], "/runs", now);
        let settings = IssuerSettings::read(GOOD).unwrap();
        let at = "https://login.example.com/authorize?tenant=1".parse().unwrap();
        let url = attempt.address(&settings, &at, "https://p/sign-in/callback");
        let sent: BTreeMap<String, String> = url.query_pairs().into_owned().collect();
        assert_eq!((sent["tenant"].as_str(), sent["scope"].as_str()), ("1", "openid email"));
        assert_eq!((&sent["nonce"], &sent["code_challenge_method"]), (&attempt.nonce, &"S256".to_owned()));
        assert!(!url.as_str().contains(&attempt.verifier), "only its hash goes out");
        let back = |state: &str, now| attempt.back(state, "c", "r", now);
        assert_eq!(back(&sent["state"], now + PATIENCE).unwrap().verifier, attempt.verifier);
        assert_eq!(back(&sent["nonce"], now), Err(BadAttempt));
        assert_eq!(back("", now), Err(BadAttempt));
        assert_eq!(back(&sent["state"], now + PATIENCE + SignedDuration::from_secs(1)), Err(BadAttempt));
        assert_eq!(format!("{attempt:?}"), "Attempt(…)");
    }
}
