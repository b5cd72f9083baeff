//! Signatures of deliveries, checked over the raw bytes before anything else reads them.
//!
//! GitHub and Bitbucket: HMAC-SHA256 in hex (GitHub Docs, "Validating webhook deliveries"; Atlassian
//! Support, "Manage webhooks"). Gitea: the same without a prefix. GitLab: a plain token, or a signing token.
//! Plain git servers and signing tokens: the Standard Webhooks form, which also binds id and time. Every
//! refusal is the same to the outside, and which way is taken the provider and the secret say, never the
//! delivery.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, Mac as _};
use jiff::{SignedDuration, Timestamp};

use crate::delivery::{bitbucket, git, gitea, github, gitlab};
use crate::source::Provider;

/// A secret's bytes; shown nowhere.
#[derive(Clone)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// A secret; refused where it is empty, since anyone can sign with nothing.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Option<Self> {
        let bytes = bytes.into();
        (!bytes.is_empty()).then_some(Self(bytes))
    }

    /// The secret itself, for the one call that needs it.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// The key of a secret that is a signing token: `whsec_` and base64 (Standard Webhooks, "Signature
    /// scheme"). `None` for any other secret; an error for a token that holds no key.
    fn signing_key(&self) -> Option<Result<Self, BadSignature>> {
        let encoded = self.0.strip_prefix(b"whsec_")?;
        Some(BASE64.decode(encoded).ok().and_then(Self::new).ok_or(BadSignature))
    }

    fn mac(&self, parts: &[&[u8]]) -> Hmac<sha2::Sha256> {
        mac(&self.0, parts)
    }
}

/// HMAC-SHA256 under a key, of parts one after another; to be finished, or held against a tag in constant time.
pub fn mac(key: &[u8], parts: &[&[u8]]) -> Hmac<sha2::Sha256> {
    // An HMAC key may have any length (RFC 2104), so `new` has nothing to refuse.
    let mut mac = <Hmac<sha2::Sha256> as hmac::Mac>::new_from_slice(key).unwrap_or_else(|_| unreachable!());
    for part in parts {
        mac.update(part);
    }
    mac
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// The signature does not fit. Says no more, so that a forger learns nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the signature does not fit")]
pub struct BadSignature;

/// How far the stamp of a Standard Webhooks delivery may be from our clock.
pub const TOLERANCE: SignedDuration = SignedDuration::from_mins(5);

/// Checks a delivery as its provider signs it. `header` gives a header's text, or an empty one.
pub fn verify<'h>(
    provider: Provider,
    secret: &Secret,
    header: impl Fn(&'static str) -> &'h str,
    body: &[u8],
    now: Timestamp,
) -> Result<(), BadSignature> {
    let stamp = || Stamp {
        id: header(git::headers::ID),
        timestamp: header(git::headers::TIMESTAMP),
        signatures: header(git::headers::SIGNATURE),
    };
    match provider {
        Provider::Github => verify_github(secret, header(github::headers::SIGNATURE), body),
        Provider::Bitbucket => verify_github(secret, header(bitbucket::headers::SIGNATURE), body),
        Provider::Gitea => {
            let given = gitea::headers::SIGNATURE.map(&header);
            verify_hex(secret, given.into_iter().find(|text| !text.is_empty()).unwrap_or_default(), body)
        }
        Provider::Gitlab => match secret.signing_key() {
            Some(key) => verify_standard(&key?, &stamp(), body, now),
            None => verify_token(secret, header(gitlab::headers::TOKEN)),
        },
        Provider::Git => verify_standard(secret, &stamp(), body, now),
        // Its events come by EventBridge and are read back.
        Provider::Codecommit => Err(BadSignature),
    }
}

/// Signs as GitHub does: the value of `X-Hub-Signature-256`.
pub fn sign_github(secret: &Secret, body: &[u8]) -> String {
    format!("sha256={}", hex::encode(secret.mac(&[body]).finalize().into_bytes()))
}

/// Checks `X-Hub-Signature-256` in constant time.
pub fn verify_github(secret: &Secret, header: &str, body: &[u8]) -> Result<(), BadSignature> {
    verify_hex(secret, header.strip_prefix("sha256=").ok_or(BadSignature)?, body)
}

/// Checks 64 hex digits of an HMAC-SHA256 in constant time.
fn verify_hex(secret: &Secret, digits: &str, body: &[u8]) -> Result<(), BadSignature> {
    // The forges write lower-case digits only; another spelling of the same value is not their work.
    if digits.len() != 64 || !digits.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)) {
        return Err(BadSignature);
    }
    let claimed = hex::decode(digits).map_err(|_| BadSignature)?;
    secret.mac(&[body]).verify_slice(&claimed).map_err(|_| BadSignature)
}

/// Compares a plain token in constant time, whatever its length: what is compared are digests of both.
fn verify_token(secret: &Secret, token: &str) -> Result<(), BadSignature> {
    let own = secret.mac(&[&secret.0]).finalize().into_bytes();
    secret.mac(&[token.as_bytes()]).verify_slice(&own).map_err(|_| BadSignature)
}

/// The three headers of a Standard Webhooks delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp<'a> {
    /// `webhook-id`
    pub id: &'a str,
    /// `webhook-timestamp`: seconds since 1970.
    pub timestamp: &'a str,
    /// `webhook-signature`: space-separated `v1,<base64>`.
    pub signatures: &'a str,
}

/// Signs as the Standard Webhooks specification says: the value of `webhook-signature`.
pub fn sign_standard(secret: &Secret, id: &str, timestamp: &str, body: &[u8]) -> String {
    let mac = secret.mac(&[id.as_bytes(), b".", timestamp.as_bytes(), b".", body]);
    format!("v1,{}", BASE64.encode(mac.finalize().into_bytes()))
}

/// Checks a Standard Webhooks delivery: one of its signatures must fit, and its stamp must be fresh.
pub fn verify_standard(
    secret: &Secret,
    stamp: &Stamp<'_>,
    body: &[u8],
    now: Timestamp,
) -> Result<(), BadSignature> {
    let seconds: i64 = stamp.timestamp.parse().map_err(|_| BadSignature)?;
    let at = Timestamp::from_second(seconds).map_err(|_| BadSignature)?;
    if now.duration_since(at).abs() > TOLERANCE {
        return Err(BadSignature);
    }
    let mac = secret.mac(&[stamp.id.as_bytes(), b".", stamp.timestamp.as_bytes(), b".", body]);
    let fits = |signature: &str| {
        let claimed = signature.strip_prefix("v1,").and_then(|text| BASE64.decode(text).ok());
        claimed.is_some_and(|claimed| mac.clone().verify_slice(&claimed).is_ok())
    };
    // A sender that rotates its secret sends a few signatures; more than that is noise.
    if stamp.signatures.split(' ').take(8).any(fits) { Ok(()) } else { Err(BadSignature) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Secret {
        Secret::new(text).unwrap()
    }

    #[test]
    fn a1_only_githubs_own_spelling_of_the_right_value_passes() {
        // The vector of GitHub's documentation.
        let secret = secret("It's a Secret to Everybody");
        let body = b"Hello, World!";
        let right = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
        assert_eq!(sign_github(&secret, body), format!("sha256={right}"));
        assert_eq!(verify_github(&secret, &format!("sha256={right}"), body), Ok(()));
        let upper = right.to_uppercase();
        for forged in [
            "",
            "sha256=",
            right,
            &format!("sha1={right}"),
            &format!("sha256={upper}"),
            &format!("sha256={}", &right[1..]),
            &format!("sha256={right}0"),
            &format!("sha256={right},sha256={right}"),
            "sha256=ü",
            &format!(" sha256={right}"),
        ] {
            assert_eq!(verify_github(&secret, forged, body), Err(BadSignature), "{forged}");
        }
    }

    #[test]
    fn a5_standard_stamps_are_fresh_and_any_of_their_signatures_may_fit() {
        let secret = secret("whsec");
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let good = sign_standard(&secret, "d1", "1800000000", b"{}");
        let check = |id, timestamp, signatures: &str, now| {
            verify_standard(&secret, &Stamp { id, timestamp, signatures }, b"{}", now)
        };
        assert_eq!(check("d1", "1800000000", &good, now), Ok(()));
        assert_eq!(check("d1", "1800000000", &format!("v1,AAAA v2,xx {good}"), now), Ok(()));
        assert_eq!(check("d1", "1800000000", &good, now + SignedDuration::from_secs(300)), Ok(()));
        assert_eq!(check("d1", "1800000000", &good, now + SignedDuration::from_secs(301)), Err(BadSignature));
        assert_eq!(check("d1", "1800000000", &good, now - SignedDuration::from_secs(301)), Err(BadSignature));
        assert_eq!(check("d2", "1800000000", &good, now), Err(BadSignature), "the id is signed");
        assert_eq!(check("d1", "1800000001", &good, now), Err(BadSignature), "the time is signed");
        assert_eq!(check("d1", "x", &good, now), Err(BadSignature));
        assert_eq!(check("d1", "1800000000", &good.replace("v1,", "v2,"), now), Err(BadSignature));
    }

    #[test]
    fn a6_an_empty_secret_is_no_secret_and_none_is_ever_shown() {
        assert!(Secret::new("").is_none());
        assert_eq!(format!("{:?}", secret("hunter2")), "Secret(…)");
    }

    #[test]
    fn a6_a_plain_token_fits_whole_or_not_at_all() {
        let secret = secret("hunter2");
        assert_eq!(verify_token(&secret, "hunter2"), Ok(()));
        for wrong in ["", "hunter", "hunter22", "Hunter2", "hunter2\0", "\0hunter2", "2retnuh"] {
            assert_eq!(verify_token(&secret, wrong), Err(BadSignature), "{wrong:?}");
        }
    }

    #[test]
    fn a7_a_delivery_without_any_header_fits_nowhere() {
        for provider in Provider::ALL {
            for text in ["hunter2", "whsec_aHVudGVyMg==", "whsec_", "whsec_?"] {
                let now = Timestamp::UNIX_EPOCH;
                assert_eq!(
                    verify(provider, &secret(text), |_| "", b"{}", now),
                    Err(BadSignature),
                    "{provider}"
                );
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn a2_any_flipped_bit_fails(body in proptest::collection::vec(proptest::num::u8::ANY, 1..64), bit in 0usize..512) {
            let secret = secret("s");
            let header = sign_github(&secret, &body);
            let mut forged = body.clone();
            let bit = bit % (body.len() * 8);
            forged[bit / 8] ^= 1 << (bit % 8);
            proptest::prop_assert_eq!(verify_github(&secret, &header, &forged), Err(BadSignature));
        }
    }
}
