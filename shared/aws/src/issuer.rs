//! The `OpenID` Connect issuer, asked over HTTP: what it says of itself and its keys, kept for an hour in a process, and
//! ID tokens for codes (RFC 6749, section 4.1.3).
//!
//! Only addresses that the issuer's own document names are asked, and only such that secrets may travel to; no redirect
//! is followed. What can't be read is never half believed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use pushway_core::fact::bounded;
use pushway_core::issuer::{IssuerSettings, Redemption};
use pushway_core::jwt::{Jwk, JwkSet};
use pushway_core::ports::{Answer, Fault, Issuer, Secrets};
use pushway_core::signature::Secret;
use pushway_forges::{body_at_most, root};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use reqwest::{Client, RequestBuilder, StatusCode, redirect};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::sync::Mutex;
use url::Url;
use url::form_urlencoded::{Serializer, byte_serialize};

use crate::Aws;

/// How long keys count without being asked for again.
const KEPT: Duration = Duration::from_hours(1);
/// How long they count while it can't be asked.
const KEPT_AT_MOST: Duration = Duration::from_hours(24);
/// How often it is asked at most, whatever keys tokens name (row A31).
const PAUSE: Duration = Duration::from_secs(30);
/// People wait meanwhile.
const TIMEOUT: Duration = Duration::from_secs(5);
/// What is read of an answer: documents and key sets take a few KB.
const MAX_BYTES: usize = 256 * 1024;

/// What is known of the issuer in this process.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// When it was last asked, and whether it answered.
    asked: Option<(Instant, bool)>,
    document: Option<Arc<Document>>,
}

/// What it says of itself.
#[derive(Debug)]
struct Document {
    read_at: Instant,
    authorization_endpoint: Url,
    token_endpoint: Url,
    takes_basic: bool,
    keys: JwkSet,
}

/// Its discovery document (`OpenID` Connect Discovery 1.0, section 3).
#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    authorization_endpoint: Url,
    token_endpoint: Url,
    jwks_uri: Url,
    #[serde(default = "basic")]
    token_endpoint_auth_methods_supported: Vec<String>,
}

const BASIC: &str = "client_secret_basic";

fn basic() -> Vec<String> {
    vec![BASIC.into()]
}

/// What a code is answered with: an ID token, or why there is none (RFC 6749, section 5.2).
#[derive(Deserialize)]
struct Redeemed {
    id_token: Option<String>,
    error: Option<String>,
    error_description: Option<String>,
}

impl Issuer for Aws {
    fn issuer(&self) -> Option<&IssuerSettings> {
        self.settings.issuer.as_ref()
    }

    async fn authorization_endpoint(&self) -> Answer<Url> {
        Ok(self.document(|_| true).await?.authorization_endpoint.clone())
    }

    async fn issuer_key(&self, id: &str) -> Answer<Option<Jwk>> {
        let document = self.document(|document| document.keys.find(id).is_some()).await?;
        Ok(document.keys.find(id).cloned())
    }

    async fn redeem(&self, code: &Redemption) -> Answer<Result<String, String>> {
        let (settings, document) = (set(self.issuer())?, self.document(|_| true).await?);
        let secret = match &settings.client_secret {
            Some(name) => Some(self.secret(name).await?),
            None => None,
        };
        let secret = secret.as_ref().map(Secret::expose);
        let request = redemption(settings, &document, code, secret)?;
        let (status, body) = ask(settings, "give an ID token for a code", request).await?;
        match read::<Redeemed>(settings, "give an ID token for a code", &body) {
            Ok(Redeemed { id_token: Some(token), .. }) if status.is_success() => Ok(Ok(token)),
            Ok(Redeemed { error: Some(error), error_description: why, .. }) if status.is_client_error() => {
                Ok(Err(bounded(&why.unwrap_or(error), 300)))
            }
            _ => Err(unusable(settings, "give an ID token for a code", &status)),
        }
    }
}

impl Aws {
    /// What the issuer says of itself, asked again if that is old or not enough.
    async fn document(&self, is_enough: impl Fn(&Document) -> bool) -> Answer<Arc<Document>> {
        let settings = set(self.issuer())?;
        // Whoever comes meanwhile waits for the same answer.
        let mut state = self.issuer_known.0.lock().await;
        let known = state.document.clone().filter(|known| known.read_at.elapsed() < KEPT_AT_MOST);
        let enough = known.clone().filter(|known| is_enough(known));
        if let Some(document) = enough.as_ref().filter(|known| known.read_at.elapsed() < KEPT) {
            return Ok(document.clone());
        }
        match state.asked.filter(|(at, _)| at.elapsed() < PAUSE) {
            // It has just said what it has, and that is all.
            Some((_, true)) => return known.ok_or_else(|| silent(settings)),
            Some((_, false)) => return enough.ok_or_else(|| silent(settings)),
            None => {}
        }
        let found = discover(settings).await;
        state.asked = Some((Instant::now(), found.is_ok()));
        match found {
            Ok(document) => {
                let document = Arc::new(document);
                state.document = Some(document.clone());
                Ok(document)
            }
            // While it can't be asked, what it said last still holds.
            Err(fault) => enough.ok_or(fault),
        }
    }
}

fn set(settings: Option<&IssuerSettings>) -> Answer<&IssuerSettings> {
    settings.ok_or_else(|| Fault::Permanent("there is no issuer; set the parameter Issuer".into()))
}

fn silent(settings: &IssuerSettings) -> Fault {
    Fault::Retryable(format!("{} could not be asked a moment ago", settings.issuer))
}

async fn discover(settings: &IssuerSettings) -> Answer<Document> {
    let what = "tell its endpoints";
    let address = settings.discovery().parse().map_err(|_| unusable(settings, what, &"no address"))?;
    let found: Discovery = get(settings, what, address).await?;
    if found.issuer != settings.issuer {
        let other = format!("it calls itself {:?}; give that as issuer, letter by letter", found.issuer);
        return Err(unusable(settings, what, &other));
    }
    for url in [&found.authorization_endpoint, &found.token_endpoint, &found.jwks_uri] {
        if !settings.may_ask(url) {
            return Err(unusable(settings, what, &format!("{url} is not https")));
        }
    }
    Ok(Document {
        keys: get(settings, "tell its keys", found.jwks_uri).await?,
        read_at: Instant::now(),
        authorization_endpoint: found.authorization_endpoint,
        token_endpoint: found.token_endpoint,
        takes_basic: found.token_endpoint_auth_methods_supported.iter().any(|method| method == BASIC),
    })
}

async fn get<T: DeserializeOwned>(settings: &IssuerSettings, what: &str, url: Url) -> Answer<T> {
    let (status, body) = ask(settings, what, client()?.get(url)).await?;
    if status == StatusCode::OK {
        read(settings, what, &body)
    } else {
        Err(unusable(settings, what, &status))
    }
}

/// The request that a code is redeemed with.
fn redemption(
    settings: &IssuerSettings,
    document: &Document,
    code: &Redemption,
    secret: Option<&[u8]>,
) -> Answer<RequestBuilder> {
    let mut form = Serializer::new(String::new());
    form.append_pair("grant_type", "authorization_code")
        .append_pair("code", &code.code)
        .append_pair("redirect_uri", &code.redirect)
        .append_pair("client_id", &settings.client_id)
        .append_pair("code_verifier", &code.verifier);
    let mut request = client()?.post(document.token_endpoint.clone());
    if let Some(secret) = secret {
        let secret = std::str::from_utf8(secret).map(str::trim);
        let secret = secret.map_err(|_| Fault::Permanent("the client's secret is no text".into()))?;
        if document.takes_basic {
            // Both parts are encoded as in a form first (RFC 6749, section 2.3.1).
            let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
            let both = format!("{}:{}", encoded(&settings.client_id), encoded(secret));
            request = request.header(AUTHORIZATION, format!("Basic {}", BASE64.encode(both)));
        } else {
            form.append_pair("client_secret", secret);
        }
    }
    Ok(request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(form.finish()))
}

/// Status and body of an answer.
async fn ask(
    settings: &IssuerSettings,
    what: &str,
    request: RequestBuilder,
) -> Answer<(StatusCode, Vec<u8>)> {
    let broken = |error: reqwest::Error| unusable(settings, what, &root(&error));
    let answer = request.send().await.map_err(broken)?;
    let status = answer.status();
    let (body, is_cut) = body_at_most(answer, MAX_BYTES).await.map_err(broken)?;
    if is_cut { Err(unusable(settings, what, &"its answer is too long")) } else { Ok((status, body)) }
}

fn read<T: DeserializeOwned>(settings: &IssuerSettings, what: &str, body: &[u8]) -> Answer<T> {
    serde_json::from_slice(body).map_err(|error| unusable(settings, what, &error))
}

fn unusable(settings: &IssuerSettings, what: &str, why: &dyn std::fmt::Display) -> Fault {
    Fault::Retryable(format!("{} does not {what}: {why}", settings.issuer))
}

/// A client of its own for the few calls there are: the SDK's speaks AWS, and the probes' refuses what is private.
fn client() -> Answer<Client> {
    let made = Client::builder().timeout(TIMEOUT).redirect(redirect::Policy::none()).build();
    made.map_err(|error| Fault::Permanent(format!("no HTTP client: {}", root(&error))))
}
