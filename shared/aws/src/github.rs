//! GitHub's REST API: files at a commit ("Get repository content") and where refs point ("Get a commit").
//!
//! The token is the hook's own; it goes to the hook's API only and into no message.

use std::time::Duration;

use pushway_core::ids::{RefKind, RefName, RepositoryPath};
use pushway_core::ports::{Answer, Fault, HeadView, Secrets as _};
use pushway_core::source::{Hook, Source};
use reqwest::{Client, Response, StatusCode, Url, redirect};
use serde::Deserialize;

use crate::Aws;
use crate::codecommit::commit_id;
use crate::files::{MAX_FILE_BYTES, readable};

/// The API where the hook names no other.
const API: &str = "https://api.github.com";
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
const TIMEOUT: Duration = Duration::from_secs(10);
/// A moved repository answers with one redirect.
const MAX_REDIRECTS: usize = 2;

/// A commit, as far as it is needed.
#[derive(Deserialize)]
struct Commit {
    sha: String,
    commit: Details,
}

#[derive(Deserialize)]
struct Details {
    #[serde(default)]
    message: String,
    author: Option<Author>,
}

#[derive(Deserialize)]
struct Author {
    #[serde(default)]
    name: String,
}

impl Aws {
    /// A file of a GitHub repository at the source's commit.
    pub(crate) async fn github_file(
        &self,
        hook: &Hook,
        source: &Source,
        path: &RepositoryPath,
    ) -> Answer<Option<String>> {
        let segments: Vec<&str> = std::iter::once("contents").chain(path.as_str().split('/')).collect();
        let mut url = repository_url(hook, &segments)?;
        url.query_pairs_mut().append_pair("ref", source.commit.as_str());
        let what = format!("read {path} of {}", hook.repository);
        let Some(answer) = self.github(hook, url, "application/vnd.github.raw+json", &what).await? else {
            return Ok(None);
        };
        readable(path, body(answer, MAX_FILE_BYTES + 1, &what).await?).map(Some)
    }

    /// Where a ref of a GitHub repository points now.
    pub(crate) async fn github_head(&self, hook: &Hook, git_ref: &RefName) -> Answer<Option<HeadView>> {
        let short = git_ref.as_str().strip_prefix("refs/").unwrap_or(git_ref.as_str());
        let named = match git_ref.kind() {
            RefKind::Branch(_) | RefKind::Tag(_) => short,
            RefKind::Other => git_ref.as_str(),
        };
        let url = repository_url(hook, &["commits", named])?;
        let what = format!("ask where {git_ref} of {} points", hook.repository);
        let Some(answer) = self.github(hook, url, "application/vnd.github+json", &what).await? else {
            return Ok(None);
        };
        // A commit's answer lists its files too, so it may be long.
        let bytes = body(answer, 8 * 1024 * 1024, &what).await?;
        let commit: Commit = serde_json::from_slice(&bytes)
            .map_err(|error| Fault::Permanent(format!("{what}: the answer can't be read: {error}")))?;
        let author = commit.commit.author.map(|author| author.name).unwrap_or_default();
        Ok(Some(HeadView { commit: commit_id(&commit.sha)?, message: commit.commit.message, author }))
    }

    /// One GET; `None` where GitHub knows no such thing.
    async fn github(&self, hook: &Hook, url: Url, accept: &str, what: &str) -> Answer<Option<Response>> {
        let client = Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TIMEOUT)
            .redirect(redirect::Policy::limited(MAX_REDIRECTS))
            .user_agent("pushway")
            .build()
            .map_err(|error| Fault::Permanent(format!("{what}: no HTTP client: {error}")))?;
        let mut request =
            client.get(url).header("accept", accept).header("x-github-api-version", "2022-11-28");
        if let Some(name) = &hook.credentials {
            let secret = self.secret(name).await?;
            let token = String::from_utf8_lossy(secret.expose()).trim().to_owned();
            request = request.bearer_auth(token);
        }
        let unreachable = |error: reqwest::Error| {
            let kind = if error.is_timeout() { "no answer in time" } else { "no connection" };
            Fault::Retryable(format!("{what}: {kind}: {}", root(&error)))
        };
        let answer = request.send().await.map_err(unreachable)?;
        match answer.status() {
            status if status.is_success() => Ok(Some(answer)),
            StatusCode::NOT_FOUND => Ok(None),
            status => Err(refusal(status, is_rate_limited(&answer), what)),
        }
    }
}

/// `<api>/repos/<owner>/<name>/<segments>`, each segment percent-encoded.
fn repository_url(hook: &Hook, segments: &[&str]) -> Answer<Url> {
    let wrong = |problem: String| Fault::Permanent(format!("the hook {}: {problem}; mend the hook", hook.id));
    let api = hook.api_url.as_deref().unwrap_or(API);
    let mut url = Url::parse(api).map_err(|error| wrong(format!("its API URL can't be read: {error}")))?;
    let parts: Vec<&str> = hook.repository.split('/').collect();
    let [owner, name] = parts[..] else {
        return Err(wrong(format!("its repository {:?} is not of the form owner/name", hook.repository)));
    };
    if !matches!(url.scheme(), "http" | "https") {
        return Err(wrong("its API URL must begin with https://".into()));
    }
    url.path_segments_mut()
        .map_err(|()| wrong("its API URL has no path".into()))?
        .pop_if_empty()
        .extend(["repos", owner, name])
        .extend(segments);
    Ok(url)
}

/// GitHub says "too much" with 429, or with 403 and one of these headers (REST API, "Rate limits").
fn is_rate_limited(answer: &Response) -> bool {
    let header = |name| answer.headers().get(name);
    answer.status() == StatusCode::TOO_MANY_REQUESTS
        || header("retry-after").is_some()
        || header("x-ratelimit-remaining").is_some_and(|left| left.as_bytes() == b"0")
}

fn refusal(status: StatusCode, is_rate_limited: bool, what: &str) -> Fault {
    match status {
        _ if is_rate_limited => {
            Fault::Retryable(format!("{what}: GitHub asks to slow down (status {status})"))
        }
        _ if status.is_server_error() => Fault::Retryable(format!("{what}: GitHub answers {status}")),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Fault::Permanent(format!(
            "{what}: GitHub answers {status}; give the hook `credentials`: the name of a secret that holds a \
             token which may read the repository's contents"
        )),
        _ => Fault::Permanent(format!("{what}: GitHub answers {status}")),
    }
}

/// At most `most` bytes of a body.
async fn body(mut answer: Response, most: usize, what: &str) -> Answer<Vec<u8>> {
    let mut bytes = Vec::new();
    let broken = |error: reqwest::Error| Fault::Retryable(format!("{what}: the answer broke off: {error}"));
    while let Some(chunk) = answer.chunk().await.map_err(broken)? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() >= most {
            bytes.truncate(most);
            break;
        }
    }
    Ok(bytes)
}

/// The innermost cause: reqwest's own text names the URL only.
pub(crate) fn root(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hook(repository: &str, api_url: Option<&str>) -> Hook {
        serde_json::from_value(serde_json::json!({
            "id": "web", "provider": "github", "repository": repository,
            "clone_url": "https://github.com/o/web.git", "api_url": api_url,
        }))
        .unwrap()
    }

    #[test]
    fn path_segments_are_encoded_and_stay_inside_the_repository() {
        let url = repository_url(&hook("o/web", None), &["contents", "ci", "a b#?.yml"]).unwrap();
        assert_eq!(url.as_str(), "https://api.github.com/repos/o/web/contents/ci/a%20b%23%3F.yml");
        let url = repository_url(&hook("o/web", Some("https://git.example.com/api/v3/")), &["x"]).unwrap();
        assert_eq!(url.as_str(), "https://git.example.com/api/v3/repos/o/web/x");
        let url = repository_url(&hook("o/web", None), &["commits", "heads/release/1"]).unwrap();
        assert_eq!(url.path(), "/repos/o/web/commits/heads%2Frelease%2F1");
    }

    #[test]
    fn a_hook_that_names_no_repository_says_so() {
        for repository in ["web", "a/b/c"] {
            let Err(Fault::Permanent(text)) = repository_url(&hook(repository, None), &[]) else {
                panic!("{repository} was taken")
            };
            assert!(text.contains("owner/name"), "{text}");
        }
        assert!(repository_url(&hook("o/web", Some("file:///etc")), &[]).is_err());
    }

    #[test]
    fn refusals_are_told_apart_by_what_helps() {
        let retryable = |status, limited| {
            matches!(refusal(StatusCode::from_u16(status).unwrap(), limited, "read"), Fault::Retryable(_))
        };
        assert!(retryable(403, true) && retryable(429, true) && retryable(502, false));
        assert!(!retryable(403, false) && !retryable(401, false) && !retryable(422, false));
    }
}
