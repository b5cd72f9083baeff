//! An `OpenID` Connect issuer of our own: it signs tokens of any shape, and lets a browser sign in as Ada.
//!
//! Its keys are made anew for each test. Over HTTP it holds a code's redemption against what the code was asked for
//! with: client, address, PKCE (RFC 7636, section 4.6), and the client's secret where it has one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use pushway_core::issuer::{IssuerSettings, Redemption};
use pushway_core::jwt::{Jwk, JwkSet};
use pushway_core::testing::FakeIssuer;
use serde_json::{Value, json};
use sha2::Digest as _;

/// The client that the issuer knows.
pub const CLIENT: &str = "pushway";
/// The name of its one key.
pub const KEY: &str = "key-1";

/// An issuer.
#[derive(Clone)]
pub struct Issuer(Arc<Inner>);

struct Inner {
    address: String,
    key: EncodingKey,
    jwk: Jwk,
    clock: Box<dyn Fn() -> Timestamp + Send + Sync>,
    codes: Mutex<HashMap<String, HashMap<String, String>>>,
    asked: Mutex<Vec<String>>,
    secret: Option<String>,
}

/// A fresh key, and what the issuer shows of it.
///
/// # Panics
/// When none can be made.
pub fn key(id: &str) -> (EncodingKey, Jwk) {
    let made = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new());
    let made = made.unwrap_or_else(|error| panic!("{error}"));
    let key = EncodingKey::from_ec_der(made.as_ref());
    let mut jwk = Jwk::from_encoding_key(&key, Algorithm::ES256).unwrap_or_else(|error| panic!("{error}"));
    jwk.common.key_id = Some(id.to_owned());
    (key, jwk)
}

/// A token of any shape.
///
/// # Panics
/// When the header does not go with the key.
pub fn sign(header: &Header, claims: &Value, key: &EncodingKey) -> String {
    jsonwebtoken::encode(header, claims, key).unwrap_or_else(|error| panic!("{error}"))
}

impl Issuer {
    /// An issuer that lies at an address, and whose clock says what `clock` does.
    pub fn at(address: &str, clock: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self::with_secret(address, clock, None)
    }

    /// One whose client has a secret.
    pub fn with_secret(
        address: &str,
        clock: impl Fn() -> Timestamp + Send + Sync + 'static,
        secret: Option<&str>,
    ) -> Self {
        let (key, jwk) = key(KEY);
        let (codes, asked) = (Mutex::default(), Mutex::default());
        let secret = secret.map(str::to_owned);
        Self(Arc::new(Inner {
            address: address.to_owned(),
            key,
            jwk,
            clock: Box::new(clock),
            codes,
            asked,
            secret,
        }))
    }

    /// What an installation is set to that lets people sign in with it.
    ///
    /// # Panics
    /// When they can't be read.
    pub fn settings(&self) -> IssuerSettings {
        let settings = json!({
            "issuer": self.0.address, "client_id": CLIENT,
            "groups": { "release": ["approve"], "platform": ["admin"], "*": ["read"] },
        });
        IssuerSettings::read(&settings.to_string()).unwrap_or_else(|error| panic!("{error}"))
    }

    /// The issuer as the ports of a world in memory.
    ///
    /// # Panics
    /// When its address is none.
    pub fn in_memory(&self) -> FakeIssuer {
        let issuer = self.clone();
        FakeIssuer {
            settings: self.settings(),
            authorization_endpoint: format!("{}/authorize", self.0.address)
                .parse()
                .unwrap_or_else(|error| panic!("{error}")),
            keys: self.keys(),
            redeem: Arc::new(move |code: &Redemption| {
                issuer.redeem(&code.code, &code.verifier, &code.redirect)
            }),
        }
    }

    /// Its keys, as it shows them.
    pub fn keys(&self) -> JwkSet {
        JwkSet { keys: vec![self.0.jwk.clone()] }
    }

    /// Which of its addresses were asked, in order.
    pub fn asked(&self) -> Vec<String> {
        self.0.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Claims of an access token of Ada, who is of the group `release`.
    pub fn access(&self) -> Value {
        let now = (self.0.clock)().as_second();
        json!({
            "iss": self.0.address, "aud": CLIENT, "sub": "u-1", "scope": "openid email", "email": "Ada@Example.com",
            "email_verified": true, "groups": ["release", "staff"], "iat": now, "nbf": now, "exp": now + 3600,
        })
    }

    /// Claims of an ID token of hers.
    pub fn id(&self, nonce: &str) -> Value {
        let mut claims = self.access();
        claims["scope"].take();
        claims["nonce"] = json!(nonce);
        claims
    }

    /// Signs claims as the issuer does.
    pub fn token(&self, claims: &Value) -> String {
        sign(&Header { kid: Some(KEY.into()), ..Header::new(Algorithm::ES256) }, claims, &self.0.key)
    }

    /// Takes a request of a browser that wants to sign in; gives the code.
    pub fn authorize(&self, query: HashMap<String, String>) -> String {
        let mut codes = self.0.codes.lock().unwrap_or_else(PoisonError::into_inner);
        let code = format!("code-{}", codes.len());
        codes.insert(code.clone(), query);
        code
    }

    /// The ID token for a code, once.
    fn redeem(&self, code: &str, verifier: &str, redirect: &str) -> Result<String, String> {
        let asked = self.0.codes.lock().unwrap_or_else(PoisonError::into_inner).remove(code);
        let asked = asked.ok_or("the code is not known")?;
        let challenge = URL_SAFE_NO_PAD.encode(sha2::Sha256::digest(verifier));
        if asked["code_challenge"] != challenge || asked["code_challenge_method"] != "S256" {
            return Err("the code was asked for by someone else".into());
        }
        if asked["redirect_uri"] != redirect || asked["client_id"] != CLIENT {
            return Err("the code was asked for from elsewhere".into());
        }
        Ok(self.token(&self.id(&asked["nonce"])))
    }

    /// Whether the client has shown its secret, if it has one (RFC 6749, section 2.3.1).
    fn knows(&self, headers: &HeaderMap) -> bool {
        let Some(secret) = &self.0.secret else { return true };
        let sent = headers.get(header::AUTHORIZATION).and_then(|sent| sent.to_str().ok());
        let wanted: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
        sent == Some(&format!("Basic {}", STANDARD.encode(format!("{CLIENT}:{wanted}"))))
    }
}

/// Serves an issuer on a port of this machine; it lies at the address that it is given.
///
/// # Panics
/// When no port is free.
pub async fn serve(clock: impl Fn() -> Timestamp + Send + Sync + 'static, secret: Option<&str>) -> Issuer {
    let listener =
        tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap_or_else(|error| panic!("{error}"));
    let address = listener.local_addr().unwrap_or_else(|error| panic!("{error}"));
    let issuer = Issuer::with_secret(&format!("http://{address}"), clock, secret);
    let app = Router::new()
        .route("/.well-known/openid-configuration", get(discovery))
        .route("/keys", get(keys))
        .route("/authorize", get(authorize))
        .route("/token", post(redeem))
        .with_state(issuer.clone());
    tokio::spawn(async move { axum::serve(listener, app).await });
    issuer
}

fn note(issuer: &Issuer, what: &str) {
    issuer.0.asked.lock().unwrap_or_else(PoisonError::into_inner).push(what.to_owned());
}

async fn discovery(State(issuer): State<Issuer>) -> Json<Value> {
    note(&issuer, "discovery");
    let at = |path: &str| format!("{}/{path}", issuer.0.address);
    Json(json!({
        "issuer": issuer.0.address, "authorization_endpoint": at("authorize"), "token_endpoint": at("token"),
        "jwks_uri": at("keys"), "response_types_supported": ["code"],
    }))
}

async fn keys(State(issuer): State<Issuer>) -> Json<JwkSet> {
    note(&issuer, "keys");
    Json(issuer.keys())
}

async fn authorize(
    State(issuer): State<Issuer>,
    Query(query): Query<HashMap<String, String>>,
) -> Html<String> {
    let (redirect, state) = (query["redirect_uri"].clone(), query["state"].clone());
    let code = issuer.authorize(query);
    Html(format!(
        "<!doctype html><title>Issuer</title><a href=\"{redirect}?code={code}&amp;state={state}\">Go on as Ada</a>"
    ))
}

async fn redeem(State(issuer): State<Issuer>, headers: HeaderMap, body: String) -> Response {
    note(&issuer, "token");
    let form: HashMap<String, String> = url::form_urlencoded::parse(body.as_bytes()).into_owned().collect();
    if !issuer.knows(&headers) {
        return (StatusCode::UNAUTHORIZED, Json(json!({ "error": "invalid_client" }))).into_response();
    }
    match issuer.redeem(&form["code"], &form["code_verifier"], &form["redirect_uri"]) {
        Ok(token) => Json(json!({ "id_token": token, "token_type": "Bearer" })).into_response(),
        Err(why) => {
            let told = json!({ "error": "invalid_grant", "error_description": why });
            (StatusCode::BAD_REQUEST, Json(told)).into_response()
        }
    }
}
