//! One way to ask any forge: time limits, redirects, size limits, and what an answer means for the caller.
//!
//! A token goes to the forge's own address only and into no message. An answer that is cut off, too long
//! or not what the documentation promises is a fault; it is never read as far as it goes. Nothing is asked
//! twice here: whoever calls knows when to try again.

use pushway_core::fact::bounded;
use pushway_core::ports::{Answer, Fault};
use pushway_core::source::Provider;
use reqwest::header::{ACCEPT, AUTHORIZATION, ETAG, HeaderMap, IF_NONE_MATCH, LINK, LOCATION, USER_AGENT};
use reqwest::{Method, Response, StatusCode, Url};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::client::LazyClient;
use crate::credentials::Header;
use crate::{limits, messages};

/// A moved repository answers with one redirect, a forge behind a proxy with one more.
const MAX_REDIRECTS: usize = 2;
/// What is read of an answer: a page of 100 pull requests or branches is well below.
pub(crate) const MAX_ANSWER_BYTES: usize = 2 * 1024 * 1024;
/// What is read of a refusal: enough for its message.
const MAX_REFUSAL_BYTES: usize = 8 * 1024;
/// An entity tag that is kept for the next question: hashes are far below.
const MAX_ETAG_BYTES: usize = 512;
/// How many pages of a list are read.
const MAX_PAGES: usize = 10;

/// A question to a forge. It may hold a webhook's secret, so it is never shown.
#[derive(Clone)]
pub(crate) struct Ask {
    /// What it is for, as messages tell it: "read pushway.yml of o/web".
    pub(crate) what: String,
    pub(crate) method: Method,
    pub(crate) url: Url,
    accept: &'static str,
    etag: Option<String>,
    body: Option<Value>,
    most: usize,
}

impl Ask {
    pub(crate) fn new(method: Method, url: Url, what: String) -> Self {
        let (accept, etag, body, most) = ("application/json", None, None, MAX_ANSWER_BYTES);
        Self { what, method, url, accept, etag, body, most }
    }

    pub(crate) fn query(mut self, name: &str, value: &str) -> Self {
        self.url.query_pairs_mut().append_pair(name, value);
        self
    }

    pub(crate) fn accept(mut self, accept: &'static str) -> Self {
        self.accept = accept;
        self
    }

    /// Only what has changed since the answer that had this entity tag.
    pub(crate) fn unless(mut self, etag: Option<&str>) -> Self {
        self.etag = etag.map(str::to_owned);
        self
    }

    pub(crate) fn json(mut self, body: Value) -> Self {
        self.body = Some(body);
        self
    }

    /// Reads no more than this many bytes of the answer.
    pub(crate) fn most(mut self, bytes: usize) -> Self {
        self.most = bytes;
        self
    }
}

/// An answer that is neither a passing trouble nor a refusal to talk to us: 2xx, 304 and most of 4xx.
#[derive(Debug)]
pub(crate) struct Reply {
    what: String,
    provider: Provider,
    pub(crate) status: StatusCode,
    pub(crate) etag: Option<String>,
    link: Option<String>,
    /// What it was asked with.
    header: Option<Header>,
    /// The body, whole unless `is_cut`.
    pub(crate) body: Vec<u8>,
    /// Whether there was more than was to be read.
    pub(crate) is_cut: bool,
}

impl Reply {
    /// The reply, if the forge knows what was asked for.
    pub(crate) fn found(self) -> Answer<Option<Self>> {
        if self.status == StatusCode::NOT_FOUND { Ok(None) } else { self.done().map(Some) }
    }

    /// The reply, if it is a success.
    pub(crate) fn done(self) -> Answer<Self> {
        if self.status.is_success() { Ok(self) } else { Err(self.refusal()) }
    }

    /// What the forge says of a failure, in its own words.
    pub(crate) fn message(&self) -> String {
        messages::told(&self.body)
    }

    pub(crate) fn refusal(&self) -> Fault {
        let text = messages::refused(&self.what, self.provider, self.status, &self.message());
        Fault::Permanent(text)
    }

    /// The body's JSON.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Answer<T> {
        if self.is_cut {
            return Err(Fault::Permanent(format!(
                "{}: the answer of {} is longer than {} KiB",
                self.what,
                messages::name(self.provider),
                MAX_ANSWER_BYTES / 1024
            )));
        }
        serde_json::from_slice(&self.body).map_err(|error| self.broken(&error))
    }

    /// An answer that is not what the documentation promises; asking again may give a whole one.
    pub(crate) fn broken(&self, problem: &impl std::fmt::Display) -> Fault {
        let (forge, problem) = (messages::name(self.provider), problem.to_string());
        // What is wrong is often told by quoting it.
        let problem = self.header.as_ref().map_or(problem.clone(), |header| {
            String::from_utf8_lossy(&header.redact(problem.as_bytes())).into_owned()
        });
        let problem = bounded(&problem, 500);
        Fault::Retryable(format!("{}: the answer of {forge} can't be read: {problem}", self.what))
    }
}

/// Items of a list.
#[derive(Debug)]
pub(crate) enum Listing<T> {
    /// The forge knows no such list.
    Absent,
    /// It is as it was.
    Unchanged,
    /// What was read of it.
    Items {
        items: Vec<T>,
        /// Whether that is all.
        is_whole: bool,
        /// The first page's entity tag, where it was the only one.
        etag: Option<String>,
    },
}

/// A page in the form of Bitbucket; the others answer with a bare array and a `Link` header.
#[derive(serde::Deserialize)]
struct Wrapped<T> {
    values: Vec<T>,
    next: Option<String>,
}

/// Sends one question with the given header and follows redirects within the forge.
pub(crate) async fn send(
    client: &LazyClient,
    provider: Provider,
    header: Option<&Header>,
    ask: &Ask,
) -> Answer<Reply> {
    let mut url = ask.url.clone();
    for _ in 0..=MAX_REDIRECTS {
        let answer = once(client, provider, header, ask, url.clone()).await?;
        if !answer.status().is_redirection() || answer.status() == StatusCode::NOT_MODIFIED {
            return read(answer, provider, header, ask).await;
        }
        url = redirected(&answer, ask, provider)?;
    }
    Err(Fault::Permanent(format!("{}: {} redirects without end", ask.what, messages::name(provider))))
}

async fn once(
    client: &LazyClient,
    provider: Provider,
    header: Option<&Header>,
    ask: &Ask,
    url: Url,
) -> Answer<Response> {
    let made = client.get()?;
    let mut request =
        made.request(ask.method.clone(), url).header(USER_AGENT, "pushway").header(ACCEPT, ask.accept);
    if provider == Provider::Github {
        request = request.header("x-github-api-version", "2022-11-28");
    }
    if let Some(etag) = &ask.etag {
        request = request.header(IF_NONE_MATCH, etag);
    }
    if let Some(header) = header {
        request = request.header(AUTHORIZATION, header.expose());
    }
    if let Some(body) = &ask.body {
        request = request.json(body);
    }
    let answer = match request.build() {
        Ok(request) => client.answer(made, request).await,
        Err(error) => Err(error),
    };
    answer.map_err(|error| {
        let kind = if error.is_timeout() { "no answer in time" } else { "no connection" };
        let forge = messages::name(provider);
        Fault::Retryable(format!("{}: {kind} of {forge}: {}", ask.what, root(&error)))
    })
}

/// Where a redirect leads, if that is the same forge: anyone else must not see the token, nor may their
/// answer count as the forge's.
fn redirected(answer: &Response, ask: &Ask, provider: Provider) -> Answer<Url> {
    let status = answer.status();
    let location = answer.headers().get(LOCATION).and_then(|value| value.to_str().ok());
    let target = location.and_then(|location| answer.url().join(location).ok());
    let keeps_method = matches!(status.as_u16(), 301 | 302 | 307 | 308);
    match target {
        Some(target) if keeps_method && target.origin() == ask.url.origin() => Ok(target),
        Some(target) => Err(Fault::Permanent(format!(
            "{}: {} redirects ({status}) to {}, which is not followed; mend the hook's API URL and repository",
            ask.what,
            messages::name(provider),
            target.host_str().unwrap_or("nowhere"),
        ))),
        None => Err(Fault::Retryable(format!(
            "{}: {} redirects ({status}) and does not say where to",
            ask.what,
            messages::name(provider)
        ))),
    }
}

/// Reads an answer; passing trouble and refusals to talk to us are faults.
async fn read(answer: Response, provider: Provider, header: Option<&Header>, ask: &Ask) -> Answer<Reply> {
    let (status, headers) = (answer.status(), answer.headers().clone());
    let most = if status.is_success() { ask.most } else { MAX_REFUSAL_BYTES };
    let (mut body, is_cut) = match body_at_most(answer, most).await {
        Ok(read) => read,
        // What a failure says of itself is not worth a second failure.
        Err(_) if !status.is_success() => (Vec::new(), false),
        Err(error) => {
            let forge = messages::name(provider);
            return Err(Fault::Retryable(format!(
                "{}: the answer of {forge} broke off: {}",
                ask.what,
                root(&error)
            )));
        }
    };
    if !status.is_success() {
        body = header.map_or(body.clone(), |header| header.redact(&body));
    }
    let told = messages::told(&body);
    if let Some(seconds) = limits::asks_to_wait(status, &headers, &told) {
        let message = messages::limited(&ask.what, provider, status);
        return Err(Fault::Limited { message, seconds });
    }
    let text = || messages::refused(&ask.what, provider, status, &told);
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            Err(Fault::Permanent(messages::unwelcome(&text(), provider)))
        }
        StatusCode::REQUEST_TIMEOUT => Err(Fault::Retryable(text())),
        status if status.is_server_error() => Err(Fault::Retryable(text())),
        status => Ok(Reply {
            what: ask.what.clone(),
            provider,
            status,
            etag: text_of(&headers, ETAG.as_str()).filter(|etag| etag.len() <= MAX_ETAG_BYTES),
            link: text_of(&headers, LINK.as_str()),
            header: header.cloned(),
            body,
            is_cut,
        }),
    }
}

/// At most `most` bytes of a body, and whether there was more.
pub async fn body_at_most(mut answer: Response, most: usize) -> Result<(Vec<u8>, bool), reqwest::Error> {
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.chunk().await? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > most {
            bytes.truncate(most);
            return Ok((bytes, true));
        }
    }
    Ok((bytes, false))
}

fn text_of(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
}

/// The innermost cause: reqwest's own text names the URL only.
pub fn root(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    bounded(&cause.to_string(), 200)
}

/// Reads a list page by page, `send` being how one is asked for.
///
/// Of a page's link to the next only the query counts: where a forge lies behind a proxy, its links name
/// addresses that we can't or must not ask.
pub(crate) async fn list<T, F>(mut ask: Ask, mut send: impl FnMut(Ask) -> F) -> Answer<Listing<T>>
where
    T: DeserializeOwned,
    F: Future<Output = Answer<Reply>>,
{
    let mut all = Vec::new();
    for page in 1..=MAX_PAGES {
        let reply = send(ask.clone()).await?;
        if reply.status == StatusCode::NOT_MODIFIED && ask.etag.is_some() {
            return Ok(Listing::Unchanged);
        }
        let Some(reply) = reply.found()? else { return Ok(Listing::Absent) };
        let (items, next) = match reply.provider {
            Provider::Bitbucket => {
                let Wrapped { values, next } = reply.json::<Wrapped<T>>()?;
                (values, next)
            }
            _ => (reply.json()?, reply.link.as_deref().and_then(next_link).map(str::to_owned)),
        };
        all.extend(items);
        let Some(next) = next else {
            let etag = reply.etag.filter(|_| page == 1);
            return Ok(Listing::Items { items: all, is_whole: true, etag });
        };
        let next = ask.url.join(&next).map_err(|error| reply.broken(&error))?;
        ask.url.set_query(next.query());
        ask.etag = None;
    }
    Ok(Listing::Items { items: all, is_whole: false, etag: None })
}

/// The target of `rel="next"` in a `Link` header (RFC 8288).
fn next_link(header: &str) -> Option<&str> {
    header.split(',').find_map(|link| {
        let (target, parameters) = link.trim().strip_prefix('<')?.split_once('>')?;
        let is_next = parameters.split(';').any(|parameter| {
            let parameter = parameter.trim();
            parameter.eq_ignore_ascii_case("rel=\"next\"") || parameter.eq_ignore_ascii_case("rel=next")
        });
        is_next.then_some(target)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_link_to_the_next_page_is_told_from_the_others() {
        let header = r#"<https://h/x?page=1>; rel="prev", <https://h/x?page=3&per_page=100>; rel="next""#;
        assert_eq!(next_link(header), Some("https://h/x?page=3&per_page=100"));
        assert_eq!(next_link(r#"<https://h/x?page=1>; rel="last""#), None);
        assert_eq!(next_link("nonsense"), None);
    }
}
