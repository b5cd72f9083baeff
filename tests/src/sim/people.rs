//! People: they ask the API as IAM lets them, and try again while no answer comes.

use pushway_core::testing::World;
use serde_json::{Value, json};

use super::functions::invoke;

/// The ARN of a person.
pub fn arn(name: &str) -> String {
    format!("arn:aws:sts::000000000000:assumed-role/people/{name}")
}

/// Posts to the API in a person's name; gives status and body. A call that gets no answer is made again, with
/// the same idempotency key, as the CLI does.
///
/// # Panics
/// When the API never answers, or not with JSON.
pub fn post(world: &World, name: &str, path: &str, body: &Value) -> (u64, Value) {
    let key = format!("{name} {path} {body}").chars().take(200).collect::<String>();
    ask(world, "POST", name, path, &key, &body.to_string())
}

/// Gets from the API; gives status and body.
///
/// # Panics
/// When the API never answers, or not with JSON.
pub fn get(world: &World, path: &str) -> (u64, Value) {
    ask(world, "GET", "reader", path, "none", "")
}

fn ask(world: &World, method: &str, name: &str, path: &str, key: &str, body: &str) -> (u64, Value) {
    for _ in 0..5 {
        let request = signed(method, name, path, &[("idempotency-key", key)], body);
        let Some(answer) = send(world, &request) else { continue };
        if answer.status < 500 {
            return (answer.status, answer.json());
        }
    }
    panic!("{method} {path} is never answered")
}

/// What the API has answered.
#[derive(Debug, Clone)]
pub struct Answer {
    /// HTTP status.
    pub status: u64,
    /// Its headers, in lower case.
    pub headers: Value,
    /// Its body, as it came.
    pub body: String,
}

impl Answer {
    /// The body as JSON.
    ///
    /// # Panics
    /// When it is none.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    /// A header's text; empty where there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers[name].as_str().unwrap_or_default()
    }
}

/// A request that the gateway has found signed by someone of the account, as it hands it on. `path` may have a query.
pub fn signed(method: &str, name: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Value {
    let mut request = unsigned(method, &format!("/iam{path}"), headers, body);
    request["requestContext"]["authorizer"] = json!({ "iam": {
        "accessKey": "k", "accountId": "1", "callerId": "c", "principalOrgId": "o", "userArn": arn(name), "userId": "u",
    } });
    request
}

/// A request as the gateway hands it on without looking at who sends it. `path` may have a query.
pub fn unsigned(method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Value {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let own = [("content-type", "application/json")];
    let headers: serde_json::Map<String, Value> =
        own.iter().chain(headers).map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
    // The gateway hands cookies on by themselves.
    let cookies: Vec<&str> =
        headers.get("cookie").and_then(Value::as_str).map_or_else(Vec::new, |all| all.split("; ").collect());
    json!({
        "cookies": cookies,
        "version": "2.0", "routeKey": "$default", "rawPath": path, "rawQueryString": query,
        "headers": headers, "isBase64Encoded": false, "body": body,
        "requestContext": {
            "accountId": "1", "apiId": "a", "domainName": "d", "domainPrefix": "d", "requestId": "r1",
            "routeKey": "$default", "stage": "$default", "time": "", "timeEpoch": 0,
            "http": { "method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1", "userAgent": "t" },
        },
    })
}

/// Makes a token as an administrator; gives its text.
///
/// # Panics
/// When none is made.
pub fn token(world: &World, name: &str, scopes: &[&str], days: u16) -> String {
    let order = json!({ "name": name, "scopes": scopes, "days": days }).to_string();
    let made = send(world, &signed("POST", "ada", "/v1/tokens", &[], &order));
    let made = made.map(|made| made.json()).unwrap_or_default();
    made["token"].as_str().unwrap_or_else(|| panic!("{made}")).to_owned()
}

/// The cookie of a session, as the sign-in gives it.
///
/// # Panics
/// When nobody can sign in by this token.
pub fn cookie(world: &World, token: &str) -> String {
    let form = format!("token={token}&next=%2F");
    let own = [("sec-fetch-site", "same-origin"), ("content-type", "application/x-www-form-urlencoded")];
    let answer = send(world, &unsigned("POST", "/sign-in", &own, &form));
    let answer = answer.unwrap_or_else(|| panic!("it answers"));
    let cookie = answer.header("set-cookie").split(';').next().unwrap_or_default().to_owned();
    assert!(answer.status == 303 && !cookie.is_empty(), "{answer:?}");
    cookie
}

/// Hands a request to the API once; `None` where its process died or failed.
pub fn send(world: &World, request: &Value) -> Option<Answer> {
    let answer = invoke(world, "api", request.clone()).ok()?;
    Some(Answer {
        status: answer["statusCode"].as_u64().unwrap_or_default(),
        headers: answer["headers"].clone(),
        body: answer["body"].as_str().unwrap_or_default().to_owned(),
    })
}
