//! One repository at one forge: its address, and questions below it.
//!
//! Every part of an address is percent-encoded on its own, so that no branch, path or name can lead out of
//! the repository. Says who asks; for a GitHub App it gets the token first.

use std::sync::Arc;

use jiff::Timestamp;
use pushway_core::ids::{CommitSha, InvalidId};
use pushway_core::ports::{Answer, Fault};
use pushway_core::source::{Hook, Provider};
use reqwest::{Method, Url};
use serde::de::DeserializeOwned;

use crate::app::{App, Token, Tokens};
use crate::client::LazyClient;
use crate::credentials::{Credentials, Header, Kind};
use crate::http::{self, Ask, Listing, Reply};
use crate::messages;

/// Connections and tokens that forges share. Cheap to clone; keep one per process.
#[derive(Clone, Debug, Default)]
pub struct Connections(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    client: LazyClient,
    tokens: Tokens,
}

#[cfg(feature = "testing")]
impl Connections {
    pub(crate) fn of(client: LazyClient) -> Self {
        Self(Arc::new(Shared { client, tokens: Tokens::default() }))
    }
}

/// A repository at its forge.
#[derive(Debug)]
pub(crate) struct Api {
    connections: Connections,
    pub(crate) provider: Provider,
    /// The repository's name there.
    pub(crate) repository: String,
    /// Where people find it, as far as that is known.
    pub(crate) clone_url: String,
    /// The forge's API.
    base: Url,
    /// The repository's address: all questions lie below it.
    root: Url,
    credentials: Option<Credentials>,
}

impl Api {
    pub(crate) fn new(
        connections: &Connections,
        hook: &Hook,
        credentials: Option<Credentials>,
    ) -> Answer<Self> {
        let wrong =
            |problem: &str| Fault::Permanent(format!("the hook {}: {problem}; mend the hook", hook.id));
        let base = base(hook).map_err(|problem| wrong(&problem))?;
        let root = root(hook, &base).map_err(|problem| wrong(&problem))?;
        let is_app = matches!(&credentials, Some(Credentials(Kind::App(_))));
        if is_app && hook.provider != Provider::Github {
            return Err(wrong("its credentials are a GitHub App's, but its provider is not github"));
        }
        Ok(Self {
            connections: connections.clone(),
            provider: hook.provider,
            repository: hook.repository.clone(),
            clone_url: hook.clone_url.clone(),
            base,
            root,
            credentials,
        })
    }

    /// A question below the repository. `what` it is for is completed by the repository's name.
    pub(crate) fn ask(&self, method: Method, segments: &[&str], what: &str) -> Ask {
        Ask::new(method, below(&self.root, segments), format!("{what} of {}", self.repository))
    }

    pub(crate) fn get(&self, segments: &[&str], what: &str) -> Ask {
        self.ask(Method::GET, segments, what)
    }

    /// Sends a question.
    pub(crate) async fn send(&self, ask: &Ask) -> Answer<Reply> {
        let header = self.header().await?;
        let answer = http::send(&self.connections.0.client, self.provider, header.as_ref(), ask).await;
        if let (Err(Fault::Permanent(_)), Some(Credentials(Kind::App(app)))) = (&answer, &self.credentials) {
            self.connections.0.tokens.forget(&app.key(self.base.as_str()));
        }
        answer
    }

    /// The JSON that a question is answered with; `None` where the forge knows no such thing.
    pub(crate) async fn read<T: DeserializeOwned>(&self, ask: Ask) -> Answer<Option<T>> {
        self.send(&ask).await?.found()?.map(|reply| reply.json()).transpose()
    }

    /// A list, page by page.
    pub(crate) async fn list<T: DeserializeOwned>(&self, ask: Ask) -> Answer<Listing<T>> {
        http::list(ask, |ask| async move { self.send(&ask).await }).await
    }

    /// What is said of a repository that the forge does not show.
    pub(crate) fn unseen(&self) -> Fault {
        let forge = messages::name(self.provider);
        let text = format!("{forge} shows no repository {} to these credentials", self.repository);
        Fault::Permanent(messages::unwelcome(&text, self.provider))
    }

    async fn header(&self) -> Answer<Option<Header>> {
        match &self.credentials {
            None => Ok(None),
            Some(Credentials(Kind::Token(token))) => Header::token(self.provider, token).map(Some),
            Some(Credentials(Kind::Basic { username, password })) => {
                Header::basic(username, password).map(Some)
            }
            Some(Credentials(Kind::App(app))) => {
                Header::token(self.provider, &self.installation_token(app).await?).map(Some)
            }
        }
    }

    /// The token of an app's installation ("Create an installation access token for an app").
    async fn installation_token(&self, app: &App) -> Answer<String> {
        let (now, key, tokens) = (Timestamp::now(), app.key(self.base.as_str()), &self.connections.0.tokens);
        if let Some(token) = tokens.get(&key, now) {
            return Ok(token);
        }
        let url = below(&self.base, &["app", "installations", &app.installation, "access_tokens"]);
        let ask = Ask::new(Method::POST, url, format!("get an app's token for {}", self.repository));
        let header = Header::token(self.provider, &app.statement(now)?)?;
        let reply = http::send(&self.connections.0.client, self.provider, Some(&header), &ask).await?;
        let token: Token = reply.done()?.json()?;
        let text = token.token.clone();
        tokens.put(key, token);
        Ok(text)
    }
}

/// A commit id that a forge gave.
pub fn commit_id(text: &str) -> Answer<CommitSha> {
    text.parse()
        .map_err(|error: InvalidId| Fault::Permanent(format!("the forge answered an odd id: {error}")))
}

/// The forge's API: the hook's own, or the public one.
fn base(hook: &Hook) -> Result<Url, String> {
    let public = match hook.provider {
        Provider::Github => Some("https://api.github.com"),
        Provider::Gitlab => Some("https://gitlab.com/api/v4"),
        Provider::Bitbucket => Some("https://api.bitbucket.org/2.0"),
        Provider::Gitea => None,
        Provider::Git | Provider::Codecommit => return Err(format!("{} has no REST API", hook.provider)),
    };
    let text = hook.api_url.as_deref().or(public).ok_or_else(|| {
        format!("a {} has no public API; give its API URL (https://…/api/v1)", hook.provider)
    })?;
    let url = Url::parse(text).map_err(|error| format!("its API URL can't be read: {error}"))?;
    let is_loopback = matches!(url.host_str(), Some("127.0.0.1" | "localhost" | "[::1]"));
    if url.scheme() != "https" && !(url.scheme() == "http" && is_loopback) {
        return Err("its API URL must begin with https://, so that nobody can read the token".into());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("its API URL holds credentials; keep them in a secret that `credentials` names".into());
    }
    Ok(url)
}

/// The repository's address.
fn root(hook: &Hook, base: &Url) -> Result<Url, String> {
    let parts: Vec<&str> = hook.repository.split('/').collect();
    let odd = || format!("its repository {:?} is not of the form owner/name", hook.repository);
    // A `.` or `..` would vanish from the address and leave another repository's.
    if parts.iter().any(|part| matches!(*part, "" | "." | "..")) {
        return Err(odd());
    }
    let segments = match (hook.provider, &parts[..]) {
        // Groups nest, so the whole path is one part (GitLab Docs, "Namespaced paths").
        (Provider::Gitlab, [_, _, ..]) => vec!["projects", &hook.repository],
        (Provider::Bitbucket, [workspace, slug]) => vec!["repositories", workspace, slug],
        (Provider::Github | Provider::Gitea, [owner, name]) => vec!["repos", owner, name],
        _ => return Err(odd()),
    };
    Ok(below(base, &segments))
}

fn below(url: &Url, segments: &[&str]) -> Url {
    let mut url = url.clone();
    // An http address can always have segments.
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(segments);
    }
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    fn api(provider: &str, repository: &str, api_url: Option<&str>) -> Answer<Api> {
        let hook = serde_json::from_value(serde_json::json!({
            "id": "web", "provider": provider, "repository": repository,
            "clone_url": "https://forge.example.com/o/web.git", "api_url": api_url,
        }));
        Api::new(&Connections::default(), &hook.unwrap(), None)
    }

    #[test]
    fn addresses_are_encoded_part_by_part_and_stay_inside_the_repository() {
        let url = |provider, repository, api_url, segments: &[&str]| {
            api(provider, repository, api_url).unwrap().get(segments, "x").url.to_string()
        };
        let own = Some("https://git.example.com/api/v3/");
        for (got, expected) in [
            (
                url("github", "o/web", None, &["contents", "ci", "a b#?.yml"]),
                "https://api.github.com/repos/o/web/contents/ci/a%20b%23%3F.yml",
            ),
            (
                url("github", "o/web", own, &["commits", "heads/release/1"]),
                "https://git.example.com/api/v3/repos/o/web/commits/heads%2Frelease%2F1",
            ),
            (
                url("gitlab", "group/sub/web", None, &["repository", "files", "ci/x.yml", "raw"]),
                "https://gitlab.com/api/v4/projects/group%2Fsub%2Fweb/repository/files/ci%2Fx.yml/raw",
            ),
            (
                url("bitbucket", "o/web", None, &["src", "%2e%2e"]),
                "https://api.bitbucket.org/2.0/repositories/o/web/src/%252e%252e",
            ),
            (
                url("gitea", "o/web", Some("http://127.0.0.1:3000/api/v1"), &["branches"]),
                "http://127.0.0.1:3000/api/v1/repos/o/web/branches",
            ),
        ] {
            assert_eq!(got, expected);
        }
    }

    #[test]
    fn a_hook_that_can_not_be_right_says_what_to_mend() {
        for (provider, repository, api_url, expected) in [
            ("github", "web", None, "owner/name"),
            ("github", "a/b/c", None, "owner/name"),
            ("github", "o/..", None, "owner/name"),
            ("gitlab", "web", None, "owner/name"),
            ("gitea", "o/web", None, "give its API URL"),
            ("git", "o/web", None, "no REST API"),
            ("github", "o/web", Some("file:///etc"), "https://"),
            ("github", "o/web", Some("http://git.example.com"), "https://"),
            ("github", "o/web", Some("https://me:pw@git.example.com"), "holds credentials"),
        ] {
            let Err(Fault::Permanent(text)) = api(provider, repository, api_url) else {
                panic!("{repository} at {api_url:?} was taken")
            };
            assert!(text.contains(expected) && !text.contains("pw@"), "{text}");
        }
    }
}
