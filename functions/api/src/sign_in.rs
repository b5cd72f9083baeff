//! Signing in and out: with an API token, or with the issuer that the installation is set to.
//!
//! The issuer's way: the browser is sent there with a state that it keeps in a sealed cookie, comes back with a code,
//! and gets a session once the ID token for the code is believed (`pushway_core::jwt`).

use aws_lambda_events::event::apigw::ApiGatewayV2httpRequest;
use http::header::{self, HeaderValue};
use pushway_core::access::{Principal, Refused};
use pushway_core::cursor::{open, seal};
use pushway_core::fact::bounded;
use pushway_core::issuer::{Attempt, BadAttempt, IssuerSettings};
use pushway_core::jwt::{self, BadJwt, Use};
use pushway_core::ports::{Answer, Clock, Issuer, Random, SealingKey, Sessions};
use pushway_core::session::{SessionRecord, SessionSecret};
use pushway_dashboard::links;
use serde::Deserialize;

use crate::forms::go_to;
use crate::reply::{Problem, Reply};
use crate::session;

/// Where sign-ins at the issuer begin.
pub(crate) const BEGIN: &str = "/sign-in/issuer";
/// Where they come back to; the issuer must be told it.
pub(crate) const BACK: &str = "/sign-in/callback";
/// What attempts are sealed as.
const LIST: &str = "sign-in";
/// Addresses that are longer are not gone back to: the cookie would not take them.
const MAX_NEXT: usize = 500;

/// What the issuer sends the browser back with (RFC 6749, section 4.1.2; RFC 9207).
#[derive(Default, Deserialize)]
#[serde(default)]
struct Back {
    code: String,
    state: String,
    iss: Option<String>,
    error: Option<String>,
    error_description: Option<String>,
}

/// Who a token of the issuer is of.
pub(crate) async fn person<P: Issuer + Clock>(
    ports: &P,
    settings: &IssuerSettings,
    token: &str,
    wanted: Use<'_>,
) -> Result<Principal, Problem> {
    let id = jwt::key_id(token).map_err(Refused::from)?;
    let key = ports.issuer_key(&id).await?.ok_or(Refused::Issuer(BadJwt::NotSigned))?;
    Ok(jwt::check(settings, &key, token, wanted, ports.now()).map_err(Refused::from)?)
}

/// `GET /sign-in/issuer`: off to the issuer.
pub(crate) async fn begin<P>(
    ports: &P,
    request: &ApiGatewayV2httpRequest,
    next: &str,
) -> Result<Reply, Problem>
where
    P: Issuer + SealingKey + Random + Clock,
{
    let settings = asked(ports)?;
    let next = if next.len() > MAX_NEXT { "/" } else { links::local(next) };
    let random = [random(ports), random(ports), random(ports)];
    let attempt = Attempt::new(random, next, ports.now());
    let endpoint = ports.authorization_endpoint().await?;
    let there = attempt.address(settings, &endpoint, &redirect(request));
    let cookie = session::attempt(&seal(&ports.sealing_key().await?, &LIST, &attempt));
    let (Some(cookie), Ok(there)) = (cookie, HeaderValue::try_from(there.as_str())) else {
        return Err(Problem::BadRequest("the issuer's address can't be gone to".into()));
    };
    // Not `go_to`, which stays on this site.
    Ok(go_to("/").and(header::LOCATION, there).and(header::SET_COOKIE, cookie))
}

/// `GET /sign-in/callback`: back from the issuer.
pub(crate) async fn back<P>(ports: &P, request: &ApiGatewayV2httpRequest) -> Result<Reply, Problem>
where
    P: Issuer + Sessions + SealingKey + Random + Clock,
{
    let settings = asked(ports)?;
    let query = request.raw_query_string.as_deref().unwrap_or_default();
    let Back { code, state, iss, error, error_description: why } =
        serde_html_form::from_str(query).unwrap_or_default();
    if iss.is_some_and(|iss| iss != settings.issuer) {
        return Err(Refused::Issuer(BadJwt::OtherIssuer).into());
    }
    let begun = begun(ports, request).await.and_then(|attempt| {
        let code = attempt.back(&state, &code, &redirect(request), ports.now()).ok()?;
        Some((attempt, code))
    });
    let Some((attempt, code)) = begun else { return Err(Refused::from(BadAttempt).into()) };
    let given = match error {
        Some(error) => Err(bounded(&why.unwrap_or(error), 300)),
        None => ports.redeem(&code).await?,
    };
    let token = given
        .map_err(|why| Problem::BadRequest(format!("{} did not let you in: {why}", settings.shown())))?;
    let principal = person(ports, settings, &token, Use::SignIn(attempt.nonce())).await?;
    if principal.scopes.is_empty() {
        return Err(Problem::NoGroup(Box::new(principal)));
    }
    tracing::info!(by = principal.name, scopes = %principal.scopes, "signed in");
    let secret = SessionSecret::new(random(ports));
    ports.put_session(&SessionRecord::new(&secret, principal, ports.now())).await?;
    let cookie = session::begin(&secret.expose()).ok_or(Refused::Unknown)?;
    Ok(go_to(&attempt.next).and(header::SET_COOKIE, cookie))
}

/// The sign-in that this browser has begun.
pub(crate) async fn begun<P: SealingKey>(ports: &P, request: &ApiGatewayV2httpRequest) -> Option<Attempt> {
    let sealed = session::attempted(request)?;
    open(&ports.sealing_key().await.ok()?, &LIST, sealed).ok()
}

/// Ends the session that a cookie's text stands for. A token lives on: others may hold it, too.
pub(crate) async fn end<P: Sessions>(ports: &P, cookie: &str) -> Answer<()> {
    match cookie.parse::<SessionSecret>() {
        Ok(secret) => ports.end_session(&secret.digest()).await,
        Err(()) => Ok(()),
    }
}

/// 32 random bytes.
pub(crate) fn random<P: Random>(ports: &P) -> [u8; 32] {
    let mut random = [0; 32];
    for part in random.chunks_mut(8) {
        part.copy_from_slice(&ports.bytes()[..8]);
    }
    random
}

fn asked<P: Issuer>(ports: &P) -> Result<&IssuerSettings, Problem> {
    ports.issuer().ok_or_else(|| {
        Problem::NotFound("this installation has no issuer to sign in with; sign in with a token".into())
    })
}

/// Where the issuer is to send the browser back to: the host that was asked, which the gateway has checked and the
/// issuer holds against its own list.
fn redirect(request: &ApiGatewayV2httpRequest) -> String {
    let host = request.headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let is_here = ["127.0.0.1", "localhost"].contains(&host.split(':').next().unwrap_or_default());
    format!("{}://{host}{BACK}", if is_here { "http" } else { "https" })
}
