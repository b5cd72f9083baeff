//! Fakes of the forges: one server on loopback that speaks a provider's documented REST shapes.
//!
//! A test sets what the repository holds, scripts what goes wrong, and reads afterwards what was asked.
//! Every request is recorded before anything else. The fakes answer as the providers' references say and
//! decide nothing for Pushway: what they refuse, the provider refuses too.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::response::Response;
use futures_util::StreamExt as _;
use http::{HeaderMap, Method, StatusCode, Uri, header};
use pushway_core::source::{Hook, Provider};

pub mod bitbucket;
pub mod codecommit;
pub mod deliveries;
pub mod gitea;
pub mod github;
pub mod gitlab;
mod reply;
mod repository;
mod sample;

pub use reply::{Misbehaviour, Reply};
pub use repository::{Change, FakeCommit, FakeDelivery, FakeHook, FakePull, FakeRepository, FakeStatus};
pub use sample::repository_of;

use crate::sim::story::parse;

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The method.
    pub method: Method,
    /// The path below the API's base, still percent-encoded, without its first slash.
    pub path: String,
    /// The query's pairs, decoded.
    pub query: Vec<(String, String)>,
    /// All headers.
    pub headers: HeaderMap,
    /// The body as it came.
    pub body: Bytes,
}

impl Seen {
    /// A request to a provider's fake, as it came.
    pub fn new(provider: Provider, method: Method, uri: &Uri, headers: HeaderMap, body: Bytes) -> Self {
        let path = match provider {
            Provider::Github => uri.path().strip_prefix(ENTERPRISE).unwrap_or(uri.path()),
            provider => uri.path().strip_prefix(base(provider)).unwrap_or("?"),
        };
        let path = path.trim_start_matches('/').to_owned();
        let pairs = url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
        Self { method, path, query: pairs.into_owned().collect(), headers, body }
    }

    /// A header's text; empty where there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// A query parameter's value.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// A number of the query, or its default.
    pub fn number(&self, name: &str, default: usize) -> usize {
        self.parameter(name).and_then(|text| text.parse().ok()).unwrap_or(default)
    }

    /// The body as JSON; null where it is none.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The path's segments, each decoded by itself: an encoded slash stays inside its segment.
    pub fn segments(&self) -> Vec<String> {
        self.path.split('/').filter(|part| !part.is_empty()).map(decode).collect()
    }
}

/// What a matching request is answered with instead.
#[derive(Debug, Clone)]
struct Rule {
    method: Option<Method>,
    part: String,
    times: usize,
    does: Misbehaviour,
}

#[derive(Debug)]
struct Inner {
    provider: Provider,
    token: String,
    url: String,
    repository: FakeRepository,
    git: Option<PathBuf>,
    rules: Vec<Rule>,
    seen: Vec<Seen>,
}

type Shared = Arc<Mutex<Inner>>;

/// A forge of one repository on loopback; it ends with this value.
#[derive(Debug)]
pub struct FakeForge {
    inner: Shared,
    server: tokio::task::JoinHandle<()>,
}

impl Drop for FakeForge {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl FakeForge {
    /// Starts the fake of a provider that knows one token (for `CodeCommit`: an access key id, or an empty
    /// text for any).
    ///
    /// # Panics
    /// When no port of loopback can be had.
    pub async fn start(provider: Provider, token: &str, repository: FakeRepository) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.unwrap_or_else(|error| panic!("a port of loopback: {error}"));
        let address = listener.local_addr().unwrap_or_else(|error| panic!("its address: {error}"));
        let inner = Arc::new(Mutex::new(Inner {
            provider,
            token: token.to_owned(),
            url: format!("http://{address}"),
            repository,
            git: None,
            rules: Vec::new(),
            seen: Vec::new(),
        }));
        let router = axum::Router::new().fallback(answer).with_state(Arc::clone(&inner));
        let server = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                panic!("the fake forge: {error}");
            }
        });
        Self { inner, server }
    }

    /// Where the API begins, as `Hook::api_url` has it.
    pub fn api_url(&self) -> String {
        let inner = lock(&self.inner);
        format!("{}{}", inner.url, base(inner.provider))
    }

    /// Where the repository is cloned from.
    pub fn clone_url(&self) -> String {
        let inner = lock(&self.inner);
        inner.repository.clone_url(&inner.url)
    }

    /// A hook of this repository, with secrets named `pushway/<id>` and `pushway/<id>-token`.
    pub fn hook(&self, id: &str) -> Hook {
        let inner = lock(&self.inner);
        Hook {
            id: parse(id),
            provider: inner.provider,
            repository: inner.repository.name.clone(),
            repository_id: Some(parse(&inner.repository.id)),
            clone_url: inner.repository.clone_url(&inner.url),
            secret: (inner.provider != Provider::Codecommit).then(|| format!("pushway/{id}")),
            credentials: Some(format!("pushway/{id}-token")),
            api_url: Some(format!("{}{}", inner.url, base(inner.provider))),
            forge_hook: None,
            default_branch: Some(inner.repository.default_branch.clone()),
            clone_login: None,
            old_secret_until: None,
        }
    }

    /// Looks at the repository, or changes it.
    pub fn with<T>(&self, look: impl FnOnce(&mut FakeRepository) -> T) -> T {
        look(&mut lock(&self.inner).repository)
    }

    /// Serves the bare repository at `path` for clones, by the dumb HTTP protocol, and shows its refs and
    /// commits through the API.
    ///
    /// # Panics
    /// When git can't read it.
    pub fn serve_git(&self, path: &Path) {
        let mut inner = lock(&self.inner);
        inner.repository.import(path);
        inner.git = Some(path.to_owned());
    }

    /// Answers the next `times` requests of this method (any, if none) whose path or `X-Amz-Target` holds
    /// `part` with a misbehaviour. Rules are asked in the order in which they were made.
    pub fn script(&self, method: Option<Method>, part: &str, times: usize, does: Misbehaviour) {
        lock(&self.inner).rules.push(Rule { method, part: part.into(), times, does });
    }

    /// Whether everything that was scripted has happened.
    pub fn is_played_out(&self) -> bool {
        lock(&self.inner).rules.iter().all(|rule| rule.times == 0)
    }

    /// All requests so far, clones apart.
    pub fn requests(&self) -> Vec<Seen> {
        lock(&self.inner).seen.clone()
    }

    /// `GET path` of all requests so far, for asserts that read well.
    pub fn asked(&self) -> Vec<String> {
        lock(&self.inner).seen.iter().map(|seen| format!("{} {}", seen.method, seen.path)).collect()
    }
}

fn lock(inner: &Shared) -> MutexGuard<'_, Inner> {
    inner.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where an Enterprise Server has the API that is `https://api.github.com` elsewhere ("Getting started with
/// the REST API", GitHub Enterprise Server). The fake answers at both.
const ENTERPRISE: &str = "/api/v3";

/// The path below which a provider's API lies.
pub fn base(provider: Provider) -> &'static str {
    match provider {
        Provider::Gitlab => "/api/v4",
        Provider::Bitbucket => "/2.0",
        Provider::Gitea => "/api/v1",
        Provider::Github | Provider::Codecommit | Provider::Git => "",
    }
}

async fn answer(
    State(inner): State<Shared>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let (reply, does) = {
        let mut inner = lock(&inner);
        if let Some(file) = git_file(&inner, uri.path()) {
            return file.into_response(None);
        }
        let seen = Seen::new(inner.provider, method, &uri, headers, body);
        inner.seen.push(seen.clone());
        let does = scripted(&mut inner.rules, &seen);
        (reply(&mut inner, &seen, does.as_ref()), does)
    };
    if let Some(Misbehaviour::Slow(time)) = does {
        tokio::time::sleep(time).await;
    }
    reply.into_response(does.as_ref())
}

fn reply(inner: &mut Inner, seen: &Seen, does: Option<&Misbehaviour>) -> Reply {
    if let Some(reply) = does.and_then(|does| does.reply(inner.provider)) {
        return reply;
    }
    answered(inner.provider, &mut inner.repository, seen, &inner.token, &inner.url)
}

/// What a provider at `url` answers to a request, if nothing goes wrong.
pub fn answered(
    provider: Provider,
    repository: &mut FakeRepository,
    seen: &Seen,
    token: &str,
    url: &str,
) -> Reply {
    match provider {
        Provider::Github => github::answer(repository, seen, token, url),
        Provider::Gitlab => gitlab::answer(repository, seen, token, url),
        Provider::Bitbucket => bitbucket::answer(repository, seen, token, url),
        Provider::Gitea => gitea::answer(repository, seen, token, url),
        Provider::Codecommit => codecommit::answer(repository, seen, token, url),
        Provider::Git => Reply::status(404),
    }
}

fn scripted(rules: &mut [Rule], seen: &Seen) -> Option<Misbehaviour> {
    let target = seen.header("x-amz-target");
    let fits = |rule: &&mut Rule| {
        rule.times > 0
            && rule.method.as_ref().is_none_or(|method| *method == seen.method)
            && (seen.path.contains(&rule.part) || target.contains(&rule.part))
    };
    let rule = rules.iter_mut().find(fits)?;
    rule.times -= 1;
    Some(rule.does.clone())
}

/// A file of the bare repository, as gitprotocol-http(5) wants it for clones without a git process.
fn git_file(inner: &Inner, path: &str) -> Option<Reply> {
    let folder = inner.git.as_ref()?;
    let clone = inner.repository.clone_url("");
    let file = path.strip_prefix(&clone)?.strip_prefix('/')?;
    if file.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Some(Reply::status(404));
    }
    Some(match std::fs::read(folder.join(file)) {
        Ok(bytes) => Reply::raw(bytes, "application/octet-stream"),
        Err(_) => Reply::status(404),
    })
}

impl Reply {
    fn into_response(self, does: Option<&Misbehaviour>) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap_or(StatusCode::OK);
        for (name, value) in &self.headers {
            response.headers_mut().append(parse::<http::HeaderName>(name), parse(value));
        }
        *response.body_mut() = match does {
            // The length is that of the whole answer; the connection ends in its middle.
            Some(Misbehaviour::Truncated) => {
                response.headers_mut().insert(header::CONTENT_LENGTH, (self.body.len().max(2)).into());
                let half = Bytes::copy_from_slice(&self.body[..self.body.len() / 2]);
                // The pause lets the first half out before the connection breaks.
                let end = futures_util::stream::once(async {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    Err(std::io::Error::other("cut off"))
                });
                Body::from_stream(futures_util::stream::iter([Ok(half)]).chain(end))
            }
            _ => Body::from(self.body),
        };
        response
    }
}

fn decode(segment: &str) -> String {
    // The only decoder at hand is that of forms, for which a plus is a space.
    let text = format!("x={}", segment.replace('+', "%2B").replace('&', "%26"));
    let mut pairs = url::form_urlencoded::parse(text.as_bytes());
    pairs.next().map(|(_, value)| value.into_owned()).unwrap_or_default()
}

/// A `Slow` of this many milliseconds.
pub fn slow(millis: u64) -> Misbehaviour {
    Misbehaviour::Slow(Duration::from_millis(millis))
}
