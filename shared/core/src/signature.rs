//! Signatures of deliveries, checked over the raw bytes before anything else reads them.
//!
//! GitHub: HMAC-SHA256 in hex (GitHub Docs, "Validating webhook deliveries"). Plain git servers: the
//! Standard Webhooks form, which also binds id and time. Every refusal is the same to the outside.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, Mac as _};
use jiff::{SignedDuration, Timestamp};

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

    fn mac(&self, parts: &[&[u8]]) -> Hmac<sha2::Sha256> {
        // An HMAC key may have any length (RFC 2104), so `new` has nothing to refuse.
        let mut mac =
            <Hmac<sha2::Sha256> as hmac::Mac>::new_from_slice(&self.0).unwrap_or_else(|_| unreachable!());
        for part in parts {
            mac.update(part);
        }
        mac
    }
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

/// Signs as GitHub does: the value of `X-Hub-Signature-256`.
pub fn sign_github(secret: &Secret, body: &[u8]) -> String {
    format!("sha256={}", hex::encode(secret.mac(&[body]).finalize().into_bytes()))
}

/// Checks `X-Hub-Signature-256` in constant time.
pub fn verify_github(secret: &Secret, header: &str, body: &[u8]) -> Result<(), BadSignature> {
    let digits = header.strip_prefix("sha256=").ok_or(BadSignature)?;
    // GitHub writes lower-case digits only; another spelling of the same value is not its work.
    if digits.len() != 64 || !digits.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)) {
        return Err(BadSignature);
    }
    let claimed = hex::decode(digits).map_err(|_| BadSignature)?;
    secret.mac(&[body]).verify_slice(&claimed).map_err(|_| BadSignature)
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
