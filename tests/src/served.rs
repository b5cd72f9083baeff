//! The API and its pages over HTTP, on a world in memory: for programs that ask as browsers and fuzzers do.
//!
//! What the gateway does to a request is done here: who signs is not looked at, the rest is handed on.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use pushway_core::testing::World;
use serde_json::Value;

use crate::sim::functions;
use crate::sim::people::unsigned;

/// Serves a world on a port of this machine; gives the address.
///
/// # Panics
/// When no port is free.
pub async fn serve(world: Arc<World>) -> String {
    let listener =
        tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap_or_else(|error| panic!("{error}"));
    let address = listener.local_addr().unwrap_or_else(|error| panic!("{error}"));
    let app = Router::new().fallback(answer).with_state(world);
    tokio::spawn(async move { axum::serve(listener, app).await });
    format!("http://{address}")
}

async fn answer(
    State(world): State<Arc<World>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let text = |value: &axum::http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers: HashMap<String, String> =
        headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect();
    let mut own: Vec<(&str, &str)> = vec![("content-type", "")];
    own.extend(headers.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let mut request = unsigned(method.as_str(), path, &own, "");
    request["body"] = base64::engine::general_purpose::STANDARD.encode(&body).into();
    request["isBase64Encoded"] = true.into();
    let answered = tokio::task::spawn_blocking(move || functions::invoke(&world, "api", request)).await;
    match answered {
        Ok(Ok(answer)) => response(&answer),
        other => (StatusCode::BAD_GATEWAY, format!("{other:?}")).into_response(),
    }
}

fn response(answer: &Value) -> Response {
    let status = answer["statusCode"].as_u64().and_then(|status| u16::try_from(status).ok()).unwrap_or(502);
    let text = answer["body"].as_str().unwrap_or_default();
    let body = if answer["isBase64Encoded"] == true {
        base64::engine::general_purpose::STANDARD.decode(text).unwrap_or_default()
    } else {
        text.as_bytes().to_vec()
    };
    let mut response = Response::builder().status(status);
    for (name, value) in answer["headers"].as_object().into_iter().flatten() {
        response = response.header(name, value.as_str().unwrap_or_default());
    }
    for cookie in answer["cookies"].as_array().into_iter().flatten() {
        response = response.header("set-cookie", cookie.as_str().unwrap_or_default());
    }
    response.body(body.into()).unwrap_or_else(|error| panic!("{error}"))
}
