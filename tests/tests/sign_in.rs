//! Signing in with an issuer, and its tokens at the API: what is believed, and what is not.

use std::collections::HashMap;
use std::sync::Arc;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::SignedDuration;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use pushway_aws::{Aws, Settings};
use pushway_core::cursor::seal;
use pushway_core::issuer::{Attempt, IssuerSettings, Redemption};
use pushway_core::jwt::{Jwk, JwkSet};
use pushway_core::ports::{Clock, Fault, Issuer as _, SealingKey as _};
use pushway_core::testing::World;
use pushway_tests::issuer::{CLIENT, Issuer, KEY, key, serve, sign};
use pushway_tests::sim::people::{Answer, send, unsigned};
use pushway_tests::sim::story::Story;
use serde_json::{Value, json};

const ADDRESS: &str = "https://login.example.com/pool";

/// A world with an issuer, and a run.
fn world() -> (Arc<World>, Issuer) {
    let mut story = Story::new();
    story.play();
    let world = story.world();
    let issuer = issuer_of(&world);
    world.set_issuer(issuer.in_memory());
    (world, issuer)
}

fn issuer_of(world: &Arc<World>) -> Issuer {
    let clock = world.clone();
    Issuer::at(ADDRESS, move || clock.now())
}

fn bearing(world: &World, token: &str, method: &str, path: &str, body: &str) -> Answer {
    let bearer = format!("Bearer {token}");
    send(world, &unsigned(method, path, &[("authorization", &bearer)], body)).expect("it answers")
}

fn me(world: &World, token: &str) -> Answer {
    bearing(world, token, "GET", "/v1/me", "")
}

/// Claims with some changed; null takes one away.
fn with(claims: &Value, changes: &[(&str, Value)]) -> Value {
    let mut claims = claims.clone();
    for (name, value) in changes {
        claims[*name] = value.clone();
    }
    let kept = claims.as_object().expect("claims").iter().filter(|(_, value)| !value.is_null());
    kept.map(|(name, value)| (name.clone(), value.clone())).collect::<serde_json::Map<_, _>>().into()
}

#[test]
fn a31_an_access_token_of_the_issuer_asks_by_the_groups_that_it_tells() {
    let (world, issuer) = world();
    let answer = me(&world, &issuer.token(&issuer.access())).json();
    let ada = json!({ "name": "person:ada@example.com", "scopes": ["read", "approve"], "groups": ["release", "staff"] });
    assert_eq!(answer, ada);
    let freeze = |claims: &Value| {
        let path = "/v1/environments/web/staging/freeze";
        bearing(&world, &issuer.token(claims), "POST", path, r#"{"reason":"sale"}"#).status
    };
    let nobody = with(&issuer.access(), &[("groups", Value::Null)]);
    assert_eq!(
        (me(&world, &issuer.token(&nobody)).json()["scopes"].clone(), freeze(&nobody)),
        (json!(["read"]), 403)
    );
    assert_eq!(freeze(&issuer.access()), 200);
    assert_eq!(world.audit().last().unwrap().by, "person:ada@example.com");
    // As Cognito makes them: no audience, but the client; as others do: several audiences, scopes as a list.
    let good = [
        [("aud", Value::Null), ("client_id", json!(CLIENT)), ("token_use", json!("access"))].to_vec(),
        [("aud", json!(["other", CLIENT])), ("scope", Value::Null), ("scp", json!(["openid"]))].to_vec(),
        [("groups", json!("release"))].to_vec(),
        [("email_verified", json!("true"))].to_vec(),
        [("exp", serde_json::from_str(&format!("{}.5", world.now().as_second())).unwrap())].to_vec(),
    ];
    for changes in good {
        let answer = me(&world, &issuer.token(&with(&issuer.access(), &changes)));
        assert_eq!(answer.status, 200, "{changes:?}: {}", answer.body);
    }
}

#[test]
fn a31_no_token_is_believed_that_says_something_else() {
    let (world, issuer) = world();
    let (claims, now) = (issuer.access(), world.now().as_second());
    for (told, changes) in [
        ("another issuer", [("iss", json!("https://login.example.com/pool/"))].to_vec()),
        ("another issuer", [("iss", Value::Null)].to_vec()),
        ("another client", [("aud", json!("other"))].to_vec()),
        ("another client", [("aud", json!([]))].to_vec()),
        ("another client", [("aud", Value::Null)].to_vec()),
        ("another client", [("aud", Value::Null), ("client_id", json!("other"))].to_vec()),
        // The client counts only where there is no audience.
        ("another client", [("aud", json!("other")), ("client_id", json!(CLIENT))].to_vec()),
        ("another kind", [("token_use", json!("id"))].to_vec()),
        ("another kind", [("scope", Value::Null)].to_vec()),
        ("another kind", [("scope", json!(""))].to_vec()),
        ("another kind", [("at_hash", json!("x"))].to_vec()),
        ("expired", [("exp", json!(now - 61))].to_vec()),
        ("does not count at this time", [("exp", Value::Null)].to_vec()),
        ("does not count at this time", [("exp", json!("tomorrow"))].to_vec()),
        ("does not count at this time", [("nbf", json!(now + 61))].to_vec()),
        ("does not count at this time", [("iat", json!(now + 61))].to_vec()),
        ("name that can be relied on", [("email_verified", json!(false))].to_vec()),
        ("name that can be relied on", [("email_verified", Value::Null)].to_vec()),
        ("name that can be relied on", [("email", json!("ada\n@example.com"))].to_vec()),
        // The sign of Kelvin is a small k in lower case, and another person.
        ("name that can be relied on", [("email", json!("\u{212a}im@example.com"))].to_vec()),
        ("name that can be relied on", [("email", json!("a".repeat(201)))].to_vec()),
    ] {
        let answer = me(&world, &issuer.token(&with(&claims, &changes)));
        assert_eq!(answer.status, 401, "{changes:?}: {}", answer.body);
        assert!(answer.body.contains(told), "{changes:?}: {}", answer.body);
    }
    // An end that is too large to add to is an end far away.
    assert_eq!(me(&world, &issuer.token(&with(&claims, &[("exp", json!(i64::MAX))]))).status, 200);
}

#[test]
fn a31_no_token_is_believed_that_the_issuer_has_not_signed() {
    let (world, issuer) = world();
    let claims = issuer.access();
    let (other, mut foreign) = key(KEY);
    let named = |kid: &str| Header { kid: Some(kid.into()), ..Header::new(Algorithm::ES256) };
    let own = issuer.token(&claims);
    let parts: Vec<&str> = own.split('.').collect();
    let unsigned = |header: Value| {
        let header = URL_SAFE_NO_PAD.encode(header.to_string());
        format!("{header}.{}.", parts[1])
    };
    // The text of the key that the issuer shows, as if it were a secret shared with it.
    let shown = serde_json::to_vec(&issuer.keys().keys[0]).unwrap();
    let symmetric = Header { kid: Some(KEY.into()), ..Header::new(Algorithm::HS256) };
    let mut within = named(KEY);
    foreign.common.key_id = Some(KEY.into());
    within.jwk = Some(foreign);
    let mut elsewhere = named(KEY);
    elsewhere.jku = Some("https://evil.example/keys".into());
    for (what, token) in [
        ("signed by another key", sign(&named(KEY), &claims, &other)),
        ("brings its own key", sign(&within, &claims, &other)),
        ("names where its key lies", sign(&elsewhere, &claims, &other)),
        ("no algorithm", unsigned(json!({ "alg": "none", "kid": KEY }))),
        ("no algorithm, spelt otherwise", unsigned(json!({ "alg": "nOnE", "kid": KEY }))),
        ("no signature", unsigned(json!({ "alg": "ES256", "kid": KEY }))),
        ("a shared secret", sign(&symmetric, &claims, &EncodingKey::from_secret(&shown))),
        ("a key of no name", sign(&Header::new(Algorithm::ES256), &claims, &other)),
        ("a key that is not known", sign(&named("key-2"), &claims, &other)),
        ("a path as a key", sign(&named("../../etc/passwd"), &claims, &other)),
        ("an address as a key", sign(&named("https://evil.example/keys"), &claims, &other)),
        ("a long name of a key", sign(&named(&"k".repeat(201)), &claims, &other)),
        ("other claims under the same signature", {
            let claims =
                URL_SAFE_NO_PAD.encode(with(&claims, &[("groups", json!(["platform"]))]).to_string());
            format!("{}.{claims}.{}", parts[0], parts[2])
        }),
        ("cut off", own[..own.len() - 10].to_owned()),
        ("no token", "a.b.c".to_owned()),
        ("nothing but dots", "..".to_owned()),
        ("too long", format!("{own}{}", "A".repeat(10 * 1024))),
    ] {
        let answer = me(&world, &token);
        assert_eq!(answer.status, 401, "{what}: {}", answer.body);
        assert!(!answer.body.contains("person:"), "{what}: {}", answer.body);
    }
}

#[test]
fn a31_extensions_that_must_be_understood_are_not() {
    let mut critical = Header { kid: Some("key-3".into()), ..Header::new(Algorithm::ES256) };
    critical.crit = Some(vec!["exp".into()]);
    let (ours, jwk) = key("key-3");
    let fresh = Story::new().world();
    let issuer = issuer_of(&fresh);
    let mut known = issuer.in_memory();
    known.keys = JwkSet { keys: vec![jwk] };
    fresh.set_issuer(known);
    assert_eq!(me(&fresh, &sign(&critical, &issuer.access(), &ours)).status, 401);
    critical.crit = None;
    assert_eq!(me(&fresh, &sign(&critical, &issuer.access(), &ours)).status, 200);
}

#[test]
fn a31_a_symmetric_key_is_none_even_if_the_issuer_shows_one() {
    let world = Story::new().world();
    let issuer = issuer_of(&world);
    let mut fake = issuer.in_memory();
    let shared: Jwk =
        serde_json::from_value(json!({ "kty": "oct", "kid": KEY, "k": URL_SAFE_NO_PAD.encode("shared") }))
            .unwrap();
    fake.keys = JwkSet { keys: vec![shared] };
    world.set_issuer(fake);
    let header = Header { kid: Some(KEY.into()), ..Header::new(Algorithm::HS256) };
    let token = sign(&header, &issuer.access(), &EncodingKey::from_secret(b"shared"));
    assert_eq!(me(&world, &token).status, 401);
}

#[test]
fn where_there_is_no_issuer_nobody_is_believed_and_nobody_is_sent_anywhere() {
    let world = Story::new().world();
    let issuer = issuer_of(&world);
    assert_eq!(me(&world, &issuer.token(&issuer.access())).status, 401);
    let page = |path: &str| send(&world, &unsigned("GET", path, &[], "")).expect("it answers");
    assert_eq!((page("/sign-in/issuer").status, page("/sign-in/callback?code=c&state=s").status), (404, 404));
    assert!(!page("/sign-in").body.contains("Sign in with"));
}

#[test]
fn the_documented_settings_are_read() {
    let page = pushway_tests::repository::text("docs/api.md");
    let (_, block) = page.split_once("```json\n").expect("an example");
    let settings = IssuerSettings::read(block.split_once("```").expect("its end").0).unwrap();
    assert_eq!(settings.groups_claim, "cognito:groups");
    // It stands in single quotes on the command line, which SAM ends at the next one.
    assert!(!block.split_once("```").unwrap().0.contains('\''));
}

/// A browser: the cookies that it keeps.
struct Browser<'w> {
    world: &'w World,
    cookies: HashMap<String, String>,
}

impl<'w> Browser<'w> {
    fn new(world: &'w World) -> Self {
        Self { world, cookies: HashMap::new() }
    }

    fn asks(&mut self, method: &str, path: &str, body: &str) -> Answer {
        let cookies: Vec<String> = self.cookies.iter().map(|(name, text)| format!("{name}={text}")).collect();
        let (cookies, kind) = (cookies.join("; "), "application/x-www-form-urlencoded");
        let headers = [
            ("cookie", cookies.as_str()),
            ("host", "ci.example.com"),
            ("sec-fetch-site", "same-origin"),
            ("content-type", kind),
        ];
        let answer = send(self.world, &unsigned(method, path, &headers, body)).expect("it answers");
        if let Some((cookie, _)) = answer.header("set-cookie").split_once(';') {
            for part in ["; Secure", "; HttpOnly", "; SameSite=Lax", "; Path=/"] {
                assert!(answer.header("set-cookie").contains(part), "{answer:?}");
            }
            let (name, text) = cookie.split_once('=').expect("a cookie");
            self.cookies.insert(name.to_owned(), text.to_owned());
        }
        answer
    }

    fn get(&mut self, path: &str) -> Answer {
        self.asks("GET", path, "")
    }

    /// Off to the issuer; what it is asked.
    fn leaves(&mut self, next: &str) -> HashMap<String, String> {
        let answer = self.get(&format!("/sign-in/issuer?next={next}"));
        assert_eq!(answer.status, 303, "{answer:?}");
        let there: url::Url = answer.header("location").parse().expect("an address");
        assert!(there.as_str().starts_with(&format!("{ADDRESS}/authorize?")), "{there}");
        there.query_pairs().into_owned().collect()
    }

    /// There and back again.
    fn signs_in(&mut self, issuer: &Issuer, next: &str) -> Answer {
        let asked = self.leaves(next);
        let state = asked["state"].clone();
        let code = issuer.authorize(asked);
        self.get(&format!("/sign-in/callback?code={code}&state={state}"))
    }
}

#[test]
fn somebody_signs_in_with_the_issuer_acts_and_signs_out() {
    let (world, issuer) = world();
    let mut ada = Browser::new(&world);
    let page = ada.get("/sign-in?next=%2Fapprovals");
    assert!(page.body.contains("Sign in with login.example.com"), "{}", page.body);
    assert!(page.body.contains("/sign-in/issuer?next=%2Fapprovals"), "{}", page.body);
    let asked = ada.leaves("%2Fapprovals");
    assert_eq!(asked["redirect_uri"], "https://ci.example.com/sign-in/callback");
    let back = ada.signs_in(&issuer, "%2Fapprovals");
    assert_eq!((back.status, back.header("location")), (303, "/approvals"), "{back:?}");
    let page = ada.get("/environments/web/staging").body;
    assert!(page.contains("person:ada@example.com"), "{page}");
    let proof =
        page.split("name=\"csrf\" value=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a form");
    let done =
        ada.asks("POST", "/environments/web/staging/freeze", &format!("csrf={proof}&once=1&reason=sale"));
    assert_eq!(done.status, 303, "{done:?}");
    let record = world.environment_records().into_iter().find_map(|record| record.freeze).expect("a freeze");
    assert_eq!(record.by, "person:ada@example.com");
    // The API takes no session, and the session no other text.
    assert_eq!(me(&world, &ada.cookies["__Host-pushway"]).status, 401);
    // Signing out ends it in every browser that has the cookie.
    let mut thief = Browser { world: &world, cookies: ada.cookies.clone() };
    assert_eq!(thief.get("/").status, 200);
    assert_eq!(ada.asks("POST", "/sign-out", &format!("csrf={proof}")).status, 303);
    assert_eq!((thief.get("/").status, ada.get("/").status), (303, 303));
    // A day's work later it is over by itself.
    assert_eq!(ada.signs_in(&issuer, "%2F").status, 303);
    world.advance(SignedDuration::from_mins(10 * 60 - 1));
    assert_eq!(ada.get("/").status, 200);
    world.advance(SignedDuration::from_mins(1));
    assert_eq!(ada.get("/").status, 303);
}

#[test]
fn a33_nobody_is_signed_in_by_a_code_that_their_own_browser_has_not_asked_for() {
    let (world, issuer) = world();
    let (mut ada, mut eve) = (Browser::new(&world), Browser::new(&world));
    // Eve's code in Ada's browser: Ada would act as Eve.
    let evil = eve.leaves("%2F");
    let (state, code) = (evil["state"].clone(), issuer.authorize(evil));
    let path = format!("/sign-in/callback?code={code}&state={state}");
    let refused = ada.get(&path);
    assert_eq!((refused.status, refused.header("set-cookie")), (401, ""), "{refused:?}");
    let own = ada.leaves("%2F");
    assert_eq!(ada.get(&path).status, 401, "the state is another one's");
    // Her own state with Eve's code: the issuer refuses the verifier.
    let mixed = ada.get(&format!("/sign-in/callback?code={code}&state={}", own["state"]));
    assert_eq!(mixed.status, 400);
    assert!(mixed.body.contains("asked for by someone else"), "{}", mixed.body);
    // A cookie that was made up is none, nor is what was sealed as something else.
    let known = Attempt::new([[1; 32], [2; 32], [3; 32]], "/", world.now());
    let key = pushway_tests::sim::block_on(world.sealing_key()).unwrap();
    let state = URL_SAFE_NO_PAD.encode([1; 32]);
    let with_cookie = |list: &str| {
        let sealed = seal(&key, &list, &known);
        let cookies = HashMap::from([("__Host-pushway-sign-in".to_owned(), sealed)]);
        Browser { world: &world, cookies }.get(&format!("/sign-in/callback?code=none&state={state}")).status
    };
    // This one is gone on with: it is the issuer that does not know the code.
    assert_eq!((with_cookie("sign-in"), with_cookie("runs")), (400, 401));
    ada.cookies.insert("__Host-pushway-sign-in".into(), "e30".into());
    assert_eq!(ada.get(&format!("/sign-in/callback?code={code}&state={}", own["state"])).status, 401);
    // What takes too long is not gone on with.
    let slow = ada.leaves("%2F");
    let (state, code) = (slow["state"].clone(), issuer.authorize(slow));
    world.advance(SignedDuration::from_mins(11));
    assert_eq!(ada.get(&format!("/sign-in/callback?code={code}&state={state}")).status, 401);
    // Another issuer's answer (RFC 9207).
    let asked = ada.leaves("%2F");
    let (state, code) = (asked["state"].clone(), issuer.authorize(asked));
    let path = format!("/sign-in/callback?code={code}&state={state}&iss=https%3A%2F%2Fevil.example");
    assert_eq!(ada.get(&path).status, 401);
    // What the issuer says no with is shown as text, and nobody leads elsewhere afterwards.
    let asked = ada.leaves("https%3A%2F%2Fevil.example%2F");
    let no =
        format!("/sign-in/callback?state={}&error=access_denied&error_description=%3Cb%3Eno", asked["state"]);
    let told = ada.get(&no);
    assert!(told.status == 400 && told.body.contains("&#60;b&#62;no"), "{told:?}");
    let back = ada.signs_in(&issuer, "https%3A%2F%2Fevil.example%2F");
    assert_eq!((back.status, back.header("location")), (303, "/"));
    assert!(ada.cookies.keys().all(|name| name.starts_with("__Host-")));
}

#[test]
fn a31_the_sign_in_takes_the_id_token_of_this_very_sign_in() {
    let story = Story::new();
    let world = story.world();
    let issuer = issuer_of(&world);
    let mut fake = issuer.in_memory();
    let next: Arc<std::sync::Mutex<Value>> = Arc::default();
    let (given, signer) = (next.clone(), issuer.clone());
    fake.redeem = Arc::new(move |_| Ok(signer.token(&given.lock().unwrap())));
    world.set_issuer(fake);
    let sign_in = |changes: &[(&str, Value)]| {
        let mut browser = Browser::new(&world);
        let asked = browser.leaves("%2F");
        *next.lock().unwrap() = with(&issuer.id(&asked["nonce"]), changes);
        let answer = browser.get(&format!("/sign-in/callback?code=c&state={}", asked["state"]));
        (answer.status, answer.body)
    };
    assert_eq!(sign_in(&[]).0, 303);
    assert_eq!(sign_in(&[("aud", json!([CLIENT, "other"])), ("azp", json!(CLIENT))]).0, 303);
    for (told, changes) in [
        ("another sign-in", ("nonce", json!("replayed"))),
        ("another sign-in", ("nonce", Value::Null)),
        ("another client", ("aud", json!("other"))),
        ("another client", ("aud", json!([CLIENT, "other"]))),
        ("another kind", ("token_use", json!("access"))),
        ("expired", ("exp", json!(0))),
        ("relied on", ("email_verified", json!(false))),
    ] {
        let (status, body) = sign_in(std::slice::from_ref(&changes));
        assert!(status == 401 && body.contains(told), "{changes:?}: {status} {body}");
    }
}

#[test]
fn somebody_of_no_group_is_told_so() {
    let story = Story::new();
    let world = story.world();
    let issuer = issuer_of(&world);
    let mut fake = issuer.in_memory();
    fake.settings.groups.remove("*");
    fake.settings.groups.remove("release");
    world.set_issuer(fake);
    let answer = Browser::new(&world).signs_in(&issuer, "%2F");
    assert_eq!((answer.status, answer.header("set-cookie")), (403, ""));
    assert!(
        answer.body.contains("person:ada@example.com") && answer.body.contains("release, staff"),
        "{}",
        answer.body
    );
}

fn aws(issuer: &Issuer, change: impl FnOnce(&mut Settings)) -> Aws {
    let config =
        SdkConfig::builder().behavior_version(BehaviorVersion::latest()).region(Region::new("eu-central-1"));
    let mut settings = Settings { issuer: Some(issuer.settings()), ..Settings::for_table("unused") };
    change(&mut settings);
    Aws::with_config(&config.build(), settings)
}

#[tokio::test]
async fn a31_an_issuer_is_asked_once_whatever_keys_tokens_name() {
    let issuer = serve(jiff::Timestamp::now, None).await;
    let aws = aws(&issuer, |_| ());
    let found = aws.issuer_key(KEY).await.unwrap();
    assert_eq!(found, issuer.keys().keys.pop());
    assert!(aws.authorization_endpoint().await.unwrap().path().ends_with("/authorize"));
    for name in 0..50 {
        assert_eq!(aws.clone().issuer_key(&format!("made-up-{name}")).await, Ok(None));
    }
    assert_eq!(issuer.asked(), ["discovery", "keys"]);
}

#[tokio::test]
async fn an_issuer_that_can_not_be_relied_on_is_not() {
    let issuer = serve(jiff::Timestamp::now, None).await;
    let address = issuer.settings().issuer;
    let trouble = async |issuer: &str| {
        let aws = aws(&self::issuer_of(&Story::new().world()), |settings| {
            settings.issuer.as_mut().unwrap().issuer = issuer.to_owned();
        });
        let Err(Fault::Retryable(why)) = aws.authorization_endpoint().await else {
            panic!("{issuer} is taken")
        };
        why
    };
    // The same place under another name.
    let why = trouble(&format!("{address}/")).await;
    assert!(why.contains("it calls itself") && why.contains(&address), "{why}");
    let why = trouble(&format!("{address}/absent")).await;
    assert!(why.contains("404"), "{why}");
    let why = trouble("http://127.0.0.1:9").await;
    assert!(why.contains("http://127.0.0.1:9 does not tell its endpoints"), "{why}");
}

#[tokio::test]
async fn a_code_is_redeemed_with_its_verifier() {
    let issuer = serve(jiff::Timestamp::now, None).await;
    let aws = aws(&issuer, |_| ());
    let challenge = URL_SAFE_NO_PAD.encode(<sha2::Sha256 as sha2::Digest>::digest("verifier"));
    let asked = [
        ("client_id", CLIENT),
        ("redirect_uri", "https://ci.example.com/sign-in/callback"),
        ("nonce", "n"),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
    ];
    let asked: HashMap<String, String> =
        asked.into_iter().map(|(name, text)| (name.to_owned(), text.to_owned())).collect();
    let redemption = |code: String, verifier: &str| Redemption {
        code,
        verifier: verifier.into(),
        redirect: "https://ci.example.com/sign-in/callback".into(),
    };
    let code = issuer.authorize(asked.clone());
    let token = aws.redeem(&redemption(code.clone(), "verifier")).await.unwrap().unwrap();
    assert_eq!(token.split('.').count(), 3);
    let refused = aws.redeem(&redemption(code, "verifier")).await.unwrap();
    assert_eq!(refused, Err("the code is not known".into()));
    let refused = aws.redeem(&redemption(issuer.authorize(asked), "guessed")).await.unwrap();
    assert_eq!(refused, Err("the code was asked for by someone else".into()));
}

/// Where a client's secret is read: a Secrets Manager that has one.
async fn secrets(secret: &'static str) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("its address");
    let answer =
        move || async move { json!({ "Name": "pushway/issuer", "SecretString": secret }).to_string() };
    tokio::spawn(async move { axum::serve(listener, axum::Router::new().fallback(answer)).await });
    format!("http://{address}")
}

#[tokio::test]
async fn a_client_that_has_a_secret_shows_it_to_the_issuer_alone() {
    const SECRET: &str = "a+b/c d:e%";
    let issuer = serve(jiff::Timestamp::now, Some(SECRET)).await;
    let with_secret = async |kept: &'static str| {
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("eu-central-1"))
            .endpoint_url(secrets(kept).await)
            .credentials_provider(SharedCredentialsProvider::new(Credentials::for_tests()))
            .build();
        let mut settings = issuer.settings();
        settings.client_secret = Some("pushway/issuer".into());
        let aws =
            Aws::with_config(&config, Settings { issuer: Some(settings), ..Settings::for_table("unused") });
        let redemption = Redemption {
            code: "absent".into(),
            verifier: "v".into(),
            redirect: "https://ci.example.com".into(),
        };
        aws.redeem(&redemption).await.unwrap()
    };
    // Past the secret: now it is the code that is not known.
    assert_eq!(with_secret(SECRET).await, Err("the code is not known".into()));
    assert_eq!(with_secret("another").await, Err("invalid_client".into()));
}
