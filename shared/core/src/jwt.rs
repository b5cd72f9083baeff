//! Tokens of the issuer: which of them are believed, and whom they are of (row A31).
//!
//! Signed by a key that the issuer itself shows, with an algorithm of that key's own kind: no header chooses the key's
//! place, and nothing symmetric is taken. The API takes access tokens (RFC 9068), the sign-in ID tokens (`OpenID` Connect
//! Core 1.0, section 3.1.3.7), and neither the other's. Pure: keys come from a port, the time from the caller.

use std::collections::BTreeSet;

use jiff::Timestamp;
use jsonwebtoken::jwk::AlgorithmParameters;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::{Map, Value};

pub use jsonwebtoken::jwk::{Jwk, JwkSet};

use crate::access::Principal;
use crate::issuer::{EMAIL, IssuerSettings};

/// How far the issuer's clock may be off, in seconds.
const LEEWAY: i64 = 60;
/// Tokens that are longer are not looked at: a header holds at most this much.
const MAX_TOKEN: usize = 10 * 1024;
/// Bytes of a key's name, of a person's and of a group's.
const MAX_NAME: usize = 200;
/// Groups of one person that count: the largest issuers tell no more in a token.
const MAX_GROUPS: usize = 200;

/// Why a token of the issuer is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadJwt {
    /// It is none, or was not signed by the issuer.
    #[error("this token is not one that the issuer has signed; sign in there again")]
    NotSigned,
    /// Another issuer's.
    #[error("this token names another issuer")]
    OtherIssuer,
    /// It was made for someone else.
    #[error("this token was made for another client or audience; ask the issuer for one of Pushway's")]
    OtherAudience,
    /// An ID token where an access token is wanted, or the other way round.
    #[error(
        "this is a token of another kind; send the API an access token, which has scopes, not an ID token"
    )]
    OtherKind,
    /// It has ended.
    #[error("this token has expired; ask the issuer for another")]
    Expired,
    /// It has not begun, or says of no time that it is its end.
    #[error("this token does not count at this time; see whether the issuer's clock is right")]
    NotNow,
    /// It was asked for in another sign-in.
    #[error("this token belongs to another sign-in; sign in again")]
    OtherSignIn,
    /// It does not say whose it is.
    #[error("this token does not tell a name that can be relied on; see name_claim in docs/api.md")]
    NoName,
}

/// What a token is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use<'a> {
    /// To ask the API.
    Access,
    /// To say who signs in; the nonce that was sent along.
    SignIn(&'a str),
}

/// Whether a text looks like a token of an issuer at all: three parts with dots between.
pub fn is_jwt(text: &str) -> bool {
    text.len() <= MAX_TOKEN && text.bytes().filter(|byte| *byte == b'.').count() == 2
}

/// The name of the key that a token says it was signed with: a name to look up, and nothing else.
pub fn key_id(token: &str) -> Result<String, BadJwt> {
    let header = Some(token).filter(|token| is_jwt(token)).map(jsonwebtoken::decode_header);
    let header = header.ok_or(BadJwt::NotSigned)?.map_err(|_| BadJwt::NotSigned)?;
    header.kid.filter(|kid| (1..=MAX_NAME).contains(&kid.len())).ok_or(BadJwt::NotSigned)
}

/// Who a token is of, if it was signed with this key of the issuer and counts for this use now.
pub fn check(
    settings: &IssuerSettings,
    key: &Jwk,
    token: &str,
    wanted: Use<'_>,
    now: Timestamp,
) -> Result<Principal, BadJwt> {
    let claims = signed(key, token)?;
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    if text("iss") != Some(&settings.issuer) {
        return Err(BadJwt::OtherIssuer);
    }
    let time = |name: &str| claims.get(name).and_then(seconds);
    let now = now.as_second();
    match time("exp") {
        None => return Err(BadJwt::NotNow),
        Some(end) if end.saturating_add(LEEWAY) <= now => return Err(BadJwt::Expired),
        Some(_) => {}
    }
    if ["nbf", "iat"].into_iter().filter_map(time).any(|begin| begin > now + LEEWAY) {
        return Err(BadJwt::NotNow);
    }
    match wanted {
        Use::Access => access(settings, &claims)?,
        Use::SignIn(nonce) => sign_in(settings, &claims, nonce)?,
    }
    let name = name(&claims, &settings.name_claim).ok_or(BadJwt::NoName)?;
    let groups = words(claims.get(&settings.groups_claim));
    let scopes = settings.scopes_of(&groups);
    Ok(Principal { name: format!("person:{name}"), scopes, groups })
}

/// What a token says, if the key has signed it.
fn signed(key: &Jwk, token: &str) -> Result<Map<String, Value>, BadJwt> {
    let algorithms = match &key.algorithm {
        AlgorithmParameters::RSA(_) => vec![
            Algorithm::RS256,
            Algorithm::RS384,
            Algorithm::RS512,
            Algorithm::PS256,
            Algorithm::PS384,
            Algorithm::PS512,
        ],
        AlgorithmParameters::EllipticCurve(_) => vec![Algorithm::ES256, Algorithm::ES384],
        AlgorithmParameters::OctetKeyPair(_) => vec![Algorithm::EdDSA],
        _ => return Err(BadJwt::NotSigned),
    };
    let mut validation = Validation::new(algorithms[0]);
    validation.algorithms = algorithms;
    // These are looked at by `check`, with a clock that tests can set.
    validation.required_spec_claims.clear();
    (validation.validate_exp, validation.validate_aud) = (false, false);
    let key = DecodingKey::from_jwk(key).map_err(|_| BadJwt::NotSigned)?;
    let decoded = jsonwebtoken::decode::<Map<String, Value>>(token, &key, &validation);
    let decoded = decoded.map_err(|_| BadJwt::NotSigned)?;
    // What must be understood is not (RFC 7515, section 4.1.11).
    if decoded.header.crit.is_some() { Err(BadJwt::NotSigned) } else { Ok(decoded.claims) }
}

/// An access token: made for our audience; where it names none, for our client, as Cognito's are.
fn access(settings: &IssuerSettings, claims: &Map<String, Value>) -> Result<(), BadJwt> {
    let audience = settings.audience.as_deref().unwrap_or(&settings.client_id);
    let is_ours = match claims.get("aud") {
        None => claims.get("client_id").and_then(Value::as_str) == Some(&settings.client_id),
        Some(names) => words(Some(names)).contains(audience),
    };
    if !is_ours {
        return Err(BadJwt::OtherAudience);
    }
    let kind = claims.get("token_use").and_then(Value::as_str).unwrap_or("access");
    // Only an access token has scopes; only an ID token speaks of the access token beside it.
    let has_scopes = ["scope", "scp"].iter().any(|name| match claims.get(*name) {
        Some(Value::String(scopes)) => !scopes.is_empty(),
        Some(Value::Array(scopes)) => !scopes.is_empty(),
        _ => false,
    });
    if kind != "access" || !has_scopes || claims.contains_key("at_hash") {
        return Err(BadJwt::OtherKind);
    }
    Ok(())
}

/// An ID token: made for our client, and for this very sign-in.
fn sign_in(settings: &IssuerSettings, claims: &Map<String, Value>, nonce: &str) -> Result<(), BadJwt> {
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    let audiences = words(claims.get("aud"));
    let is_alone = audiences.len() == 1 || text("azp") == Some(&settings.client_id);
    if !audiences.contains(&settings.client_id) || !is_alone {
        return Err(BadJwt::OtherAudience);
    }
    if text("token_use").is_some_and(|kind| kind != "id") {
        return Err(BadJwt::OtherKind);
    }
    if nonce.is_empty() || text("nonce") != Some(nonce) { Err(BadJwt::OtherSignIn) } else { Ok(()) }
}

/// Who someone is: a name that can be shown in a line. An address counts where the issuer has checked it,
/// in ASCII alone: other letters have small ones that are somebody else's.
fn name(claims: &Map<String, Value>, claim: &str) -> Option<String> {
    let name = claims.get(claim)?.as_str()?;
    let is_checked = |verified: &Value| *verified == true || *verified == "true";
    if claim == EMAIL && !claims.get("email_verified").is_some_and(is_checked) {
        return None;
    }
    let is_known = claim != EMAIL || name.is_ascii();
    let is_plain =
        name.trim() == name && !name.chars().any(|c| c.is_control() || (c.is_whitespace() && c != ' '));
    let name = if claim == EMAIL { name.to_ascii_lowercase() } else { name.to_owned() };
    ((1..=MAX_NAME).contains(&name.len()) && is_plain && is_known).then_some(name)
}

/// A list of names as issuers write them: an array, or one text.
fn words(value: Option<&Value>) -> BTreeSet<String> {
    let one =
        |value: &Value| value.as_str().filter(|text| (1..=MAX_NAME).contains(&text.len())).map(str::to_owned);
    match value {
        Some(Value::Array(values)) => values.iter().filter_map(one).take(MAX_GROUPS).collect(),
        Some(value) => one(value).into_iter().collect(),
        None => BTreeSet::new(),
    }
}

/// A time in seconds; some issuers write fractions.
fn seconds(value: &Value) -> Option<i64> {
    let fraction = || value.as_f64().filter(|float| float.is_finite() && float.abs() < 1e12);
    value.as_i64().or_else(|| format!("{:.0}", fraction()?.floor()).parse().ok())
}
