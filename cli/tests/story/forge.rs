//! A forge of one repository, `group/web`, in GitLab's shapes: the repository, its branches, its webhooks.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};

use crate::serve;

/// The commit of its one branch.
pub(crate) const HEAD: &str = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";

#[derive(Default)]
struct Hooks {
    made: usize,
    there: BTreeMap<usize, Value>,
}

#[derive(Clone)]
pub(crate) struct Forge {
    pub(crate) address: SocketAddr,
    hooks: Arc<Mutex<Hooks>>,
}

impl Forge {
    /// Starts one that knows one token.
    pub(crate) async fn start(token: &'static str) -> Self {
        let hooks = Arc::<Mutex<Hooks>>::default();
        let state = (token, Arc::clone(&hooks));
        Self { address: serve(Router::new().fallback(answer).with_state(state)).await, hooks }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The webhooks that are there.
    pub(crate) fn hooks(&self) -> Vec<Value> {
        self.hooks.lock().unwrap().there.values().cloned().collect()
    }
}

async fn answer(
    State((token, hooks)): State<(&'static str, Arc<Mutex<Hooks>>)>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let authorization = parts.headers.get("authorization").and_then(|value| value.to_str().ok());
    if authorization != Some(&format!("Bearer {token}")) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let Some(path) = parts.uri.path().strip_prefix("/api/v4/projects/group%2Fweb") else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let mut hooks = hooks.lock().unwrap();
    let id = path.strip_prefix("/hooks/").and_then(|id| id.parse::<usize>().ok());
    let value = match (&parts.method, path, id) {
        (&Method::GET, "", _) => json!({
            "id": 7, "path_with_namespace": "group/web", "default_branch": "trunk",
            "http_url_to_repo": "https://git.example.com/group/web.git",
        }),
        (&Method::GET, "/repository/branches", _) => json!([{ "name": "trunk", "commit": { "id": HEAD } }]),
        (&Method::GET, "/hooks", _) => hooks.there.values().cloned().collect(),
        (&Method::POST, "/hooks", _) => {
            hooks.made += 1;
            let id = hooks.made;
            let mut hook = body;
            hook["id"] = json!(id);
            hooks.there.insert(id, hook.clone());
            return (StatusCode::CREATED, axum::Json(hook)).into_response();
        }
        (&Method::PUT, _, Some(id)) if hooks.there.contains_key(&id) => {
            let mut hook = body;
            hook["id"] = json!(id);
            hooks.there.insert(id, hook.clone());
            hook
        }
        (&Method::DELETE, _, Some(id)) if hooks.there.remove(&id).is_some() => {
            return StatusCode::NO_CONTENT.into_response();
        }
        _ => return StatusCode::NOT_FOUND.into_response(),
    };
    axum::Json(value).into_response()
}
