//! Sessions of the dashboard: the token in a cookie that scripts can't read and that no other site can send along
//! with a form.
//!
//! Who signs in with a token has it as the cookie; who signs in with the issuer has the secret of a session that the
//! table keeps. Either is looked at again for every page, so what is revoked or ended counts at once. Pages take cookies
//! alone and the API takes none (row A33).

use aws_lambda_events::event::apigw::ApiGatewayV2httpRequest;
use hmac::{Hmac, Mac as _};
use http::header::{self, HeaderValue};
use jiff::SignedDuration;
use pushway_core::access::{Principal, Refused};
use pushway_core::issuer::PATIENCE;
use pushway_core::ports::{Clock, Sessions, Tokens};
use pushway_core::session::SessionSecret;
use pushway_core::signature;

use crate::principal;
use crate::reply::Problem;

/// A cookie of this name comes from this very host, over HTTPS, and counts for all of it (RFC 6265bis, "The __Host-
/// Prefix").
const COOKIE: &str = "__Host-pushway";
/// What keeps a sign-in at the issuer meanwhile.
const ATTEMPT: &str = "__Host-pushway-sign-in";
/// How long a browser keeps it; the token may end before.
const KEPT: SignedDuration = SignedDuration::from_hours(30 * 24);
/// What the proof in forms is a proof of.
const PURPOSE: &[u8] = b"a form of this session";

/// What a session's cookie says.
pub(crate) fn token(request: &ApiGatewayV2httpRequest) -> Option<&str> {
    cookie(request, COOKIE)
}

/// The sign-in that was begun, sealed.
pub(crate) fn attempted(request: &ApiGatewayV2httpRequest) -> Option<&str> {
    cookie(request, ATTEMPT)
}

/// A cookie. The gateway hands them on in a list of their own; the laptop engine's leaves them in their header.
fn cookie<'r>(request: &'r ApiGatewayV2httpRequest, wanted: &str) -> Option<&'r str> {
    let listed = request.cookies.iter().flatten().map(String::as_str);
    let header = request.headers.get(header::COOKIE).and_then(|cookies| cookies.to_str().ok());
    let cookies = listed.chain(header.into_iter().flat_map(|cookies| cookies.split(';')));
    cookies
        .filter_map(|cookie| cookie.trim().split_once('='))
        .find(|(name, _)| *name == wanted)
        .map(|(_, text)| text)
}

/// Whose session a cookie's text stands for.
pub(crate) async fn holder<P: Tokens + Sessions + Clock>(
    ports: &P,
    text: &str,
) -> Result<Principal, Problem> {
    let Ok(secret) = text.parse::<SessionSecret>() else { return principal::holder(ports, text).await };
    let record = ports.session(&secret.digest()).await?;
    Ok(record.and_then(|record| record.holder(ports.now())).ok_or(Refused::Expired)?)
}

/// The cookie that begins a session; `Lax`, so that a link to a run from a forge leads to the run.
pub(crate) fn begin(token: &str) -> Option<HeaderValue> {
    set(COOKIE, token, KEPT)
}

/// The cookie that keeps a sign-in until the issuer sends the browser back.
pub(crate) fn attempt(sealed: &str) -> Option<HeaderValue> {
    set(ATTEMPT, sealed, PATIENCE)
}

fn set(name: &str, text: &str, kept: SignedDuration) -> Option<HeaderValue> {
    let seconds = kept.as_secs();
    HeaderValue::try_from(format!("{name}={text}; Path=/; Max-Age={seconds}; Secure; HttpOnly; SameSite=Lax"))
        .ok()
}

/// The cookie that ends it.
pub(crate) fn end() -> HeaderValue {
    HeaderValue::from_static("__Host-pushway=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Lax")
}

fn mac(token: &str) -> Hmac<sha2::Sha256> {
    signature::mac(token.as_bytes(), &[PURPOSE])
}

/// What forms of a session send back: nobody can make it who does not know the token.
pub(crate) fn proof(token: &str) -> String {
    hex::encode(mac(token).finalize().into_bytes())
}

/// Whether a form was made for this session.
pub(crate) fn is_proof(token: &str, proof: &str) -> bool {
    hex::decode(proof).is_ok_and(|proof| mac(token).verify_slice(&proof).is_ok())
}

/// Whether a form comes from a page of this site, as far as the browser says: by `Sec-Fetch-Site` where it knows
/// that, else by `Origin`. One that says neither is no browser of these days.
pub(crate) fn is_own(request: &ApiGatewayV2httpRequest) -> bool {
    let text = |name: header::HeaderName| request.headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(site) = text(header::HeaderName::from_static("sec-fetch-site")) {
        return site == "same-origin";
    }
    let host = |origin: &str| Some(origin.split_once("://")?.1.to_owned());
    text(header::ORIGIN).and_then(host).as_deref() == text(header::HOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(headers: &[(&'static str, &'static str)]) -> ApiGatewayV2httpRequest {
        let mut request = ApiGatewayV2httpRequest::default();
        for (name, value) in headers {
            request.headers.insert(*name, HeaderValue::from_static(value));
        }
        request
    }

    #[test]
    fn a33_a_form_of_another_site_is_none_of_ours() {
        let host = ("host", "pushway.example.com");
        assert!(is_own(&with(&[host, ("sec-fetch-site", "same-origin")])));
        assert!(is_own(&with(&[host, ("origin", "https://pushway.example.com")])));
        for bad in [
            vec![host],
            vec![host, ("origin", "null")],
            vec![host, ("origin", "https://evil.example")],
            vec![host, ("origin", "https://pushway.example.com.evil.example")],
            vec![host, ("sec-fetch-site", "cross-site"), ("origin", "https://pushway.example.com")],
            vec![host, ("sec-fetch-site", "same-site")],
            vec![host, ("sec-fetch-site", "none")],
        ] {
            assert!(!is_own(&with(&bad)), "{bad:?}");
        }
    }

    #[test]
    fn a33_a_proof_is_of_one_session() {
        assert!(is_proof("one", &proof("one")));
        for bad in [proof("two"), String::new(), "zz".into(), proof("one")[..32].to_owned()] {
            assert!(!is_proof("one", &bad), "{bad}");
        }
    }
}
