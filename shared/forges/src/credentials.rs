//! What a hook's secret of credentials holds, and the header it becomes.
//!
//! Parsed once, shown never: `Debug` redacts, errors quote nothing of it, and what a forge answers is
//! searched for it before anyone reads it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use pushway_core::ports::{Answer, Fault};
use pushway_core::signature::Secret;
use pushway_core::source::Provider;
use reqwest::header::HeaderValue;
use serde::Deserialize;

use crate::app::App;

/// What a forge knows Pushway by.
#[derive(Clone)]
pub struct Credentials(pub(crate) Kind);

#[derive(Clone)]
pub(crate) enum Kind {
    Token(String),
    Basic { username: String, password: String },
    App(App),
}

/// The JSON forms of a secret's text.
#[derive(Deserialize)]
#[serde(untagged)]
enum Form {
    Token { token: String },
    Basic { username: String, password: String },
    App { app_id: Id, installation_id: Id, private_key: String },
}

/// An id that people write as a number or as a text.
#[derive(Deserialize)]
#[serde(untagged)]
enum Id {
    Number(u64),
    Text(String),
}

impl From<Id> for String {
    fn from(id: Id) -> Self {
        match id {
            Id::Number(number) => number.to_string(),
            Id::Text(text) => text,
        }
    }
}

impl Credentials {
    /// Reads a secret's text: a bare token, or JSON of `token`; of `username` and `password`; or of
    /// `app_id`, `installation_id` and `private_key` (PEM) of a GitHub App.
    pub fn parse(secret: &Secret) -> Answer<Self> {
        let wrong = || {
            Fault::Permanent(
                "the secret of the hook's credentials can't be read; give it a bare token, or JSON with \
                 `token`, with `username` and `password`, or with `app_id`, `installation_id` and `private_key`"
                    .into(),
            )
        };
        let text = std::str::from_utf8(secret.expose()).map_err(|_| wrong())?.trim();
        let kind = if text.starts_with('{') {
            // serde's message might quote the secret.
            match serde_json::from_str(text).map_err(|_| wrong())? {
                Form::Token { token } => Kind::Token(token.trim().to_owned()),
                Form::Basic { username, password } => Kind::Basic { username, password },
                Form::App { app_id, installation_id, private_key } => {
                    Kind::App(App::new(app_id.into(), installation_id.into(), private_key))
                }
            }
        } else {
            Kind::Token(text.to_owned())
        };
        match &kind {
            // Anything else in a header would be a broken request, or two.
            Kind::Token(token) if token.is_empty() || !token.bytes().all(|b| b.is_ascii_graphic()) => {
                Err(wrong())
            }
            _ => Ok(Self(kind)),
        }
    }

    /// The user and the password with which git clones over HTTPS (GitLab Docs, "Project access tokens";
    /// Atlassian Support, "Using API tokens", "Using repository access tokens"; Gitea takes any user with a
    /// token). `None` for an app, whose tokens live an hour.
    pub fn clone_login(&self, provider: Provider) -> Option<(&str, &str)> {
        match (&self.0, provider) {
            (Kind::App(_), _) => None,
            // An API token: its account's e-mail address is for the REST API only.
            (Kind::Basic { username, password }, Provider::Bitbucket) if username.contains('@') => {
                Some(("x-bitbucket-api-token-auth", password))
            }
            (Kind::Basic { username, password }, _) => Some((username, password)),
            (Kind::Token(token), Provider::Gitlab) => Some(("oauth2", token)),
            (Kind::Token(token), Provider::Bitbucket) => Some(("x-token-auth", token)),
            (Kind::Token(token), _) => Some(("pushway", token)),
        }
    }
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self.0 {
            Kind::Token(_) => "Credentials(token …)",
            Kind::Basic { .. } => "Credentials(username and password …)",
            Kind::App(_) => "Credentials(app …)",
        })
    }
}

/// The value of an `Authorization` header.
#[derive(Clone)]
pub(crate) struct Header {
    value: HeaderValue,
    /// The part that must be shown nowhere.
    secret: String,
}

impl std::fmt::Debug for Header {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Header(…)")
    }
}

impl Header {
    /// A token's header: every forge takes `Bearer`, but Gitea documents its own word.
    pub(crate) fn token(provider: Provider, token: &str) -> Answer<Self> {
        let scheme = if provider == Provider::Gitea { "token" } else { "Bearer" };
        Self::new(&format!("{scheme} {token}"), token)
    }

    pub(crate) fn basic(username: &str, password: &str) -> Answer<Self> {
        Self::new(&format!("Basic {}", BASE64.encode(format!("{username}:{password}"))), password)
    }

    fn new(value: &str, secret: &str) -> Answer<Self> {
        let mut value = HeaderValue::from_str(value).map_err(|_| {
            Fault::Permanent("the credentials hold characters that no header may have".into())
        })?;
        value.set_sensitive(true);
        Ok(Self { value, secret: secret.to_owned() })
    }

    pub(crate) fn expose(&self) -> HeaderValue {
        self.value.clone()
    }

    /// A text of a forge without the secret, should the forge have repeated it.
    pub(crate) fn redact(&self, body: &[u8]) -> Vec<u8> {
        if self.secret.is_empty() {
            return body.to_vec();
        }
        String::from_utf8_lossy(body).replace(&self.secret, "…").into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<String, Fault> {
        Credentials::parse(&Secret::new(text).unwrap()).map(|credentials| format!("{credentials:?}"))
    }

    #[test]
    fn every_form_is_read_and_none_is_shown() {
        for (text, shown) in [
            ("ghp_hunter2\n", "Credentials(token …)"),
            (r#" {"token": "hunter2"}"#, "Credentials(token …)"),
            (
                r#"{"username": "ci@example.com", "password": "hunter2"}"#,
                "Credentials(username and password …)",
            ),
            (r#"{"app_id": 7, "installation_id": "8", "private_key": "hunter2"}"#, "Credentials(app …)"),
        ] {
            assert_eq!(parse(text).as_deref(), Ok(shown));
        }
        for wrong in
            ["{\"token\": 1, \"x\": \"hunter2\"}", "{hunter2", "hunter2 hunter2", "hunter2\nx: y", " "]
        {
            let Err(Fault::Permanent(text)) = parse(wrong) else { panic!("{wrong} was taken") };
            assert!(!text.contains("hunter2"), "{text}");
        }
    }

    #[test]
    fn headers_are_in_each_forges_own_words_and_leave_no_trace() {
        let shown = |header: Header| header.expose().to_str().unwrap().to_owned();
        assert_eq!(shown(Header::token(Provider::Github, "t").unwrap()), "Bearer t");
        assert_eq!(shown(Header::token(Provider::Gitea, "t").unwrap()), "token t");
        assert_eq!(shown(Header::basic("ci", "p:w").unwrap()), "Basic Y2k6cDp3");
        let header = Header::token(Provider::Gitlab, "hunter2").unwrap();
        assert_eq!(header.redact(b"bad token hunter2!"), "bad token …!".as_bytes());
        assert!(!format!("{:?}", header.expose()).contains("hunter2"));
    }
}
