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
    let request = json!({
        "version": "2.0", "routeKey": "$default", "rawPath": path, "rawQueryString": "",
        "headers": { "idempotency-key": key }, "isBase64Encoded": false, "body": body,
        "requestContext": {
            "accountId": "1", "apiId": "a", "domainName": "d", "domainPrefix": "d", "requestId": "r1",
            "routeKey": "$default", "stage": "$default", "time": "", "timeEpoch": 0,
            "authorizer": { "iam": {
                "accessKey": "k", "accountId": "1", "callerId": "c", "principalOrgId": "o", "userArn": arn(name), "userId": "u",
            } },
            "http": { "method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1", "userAgent": "t" },
        },
    });
    for _ in 0..5 {
        let Ok(answer) = invoke(world, "api", request.clone()) else { continue };
        let status = answer["statusCode"].as_u64().unwrap_or_default();
        if status < 500 {
            let body = answer["body"].as_str().unwrap_or_default();
            return (status, serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {body}")));
        }
    }
    panic!("{method} {path} is never answered")
}
