//! What people read of a forge's answers: each sentence says what was asked and what to do next.
//!
//! A forge's own words are quoted, cut short; no token is in them, since `http` takes it out first.

use pushway_core::fact::bounded;
use pushway_core::source::Provider;
use reqwest::StatusCode;

/// The name people know a forge by.
pub(crate) fn name(provider: Provider) -> &'static str {
    match provider {
        Provider::Github => "GitHub",
        Provider::Gitlab => "GitLab",
        Provider::Bitbucket => "Bitbucket",
        Provider::Gitea => "Gitea",
        Provider::Git => "git",
        Provider::Codecommit => "CodeCommit",
    }
}

/// What a token must be allowed to do, in the words of each forge's settings page.
pub(crate) fn wanted(provider: Provider) -> &'static str {
    match provider {
        Provider::Github => {
            "a fine-grained token or an app with contents: read, pull requests: read, commit statuses: write \
             and webhooks: write, or a classic token with the scopes repo and admin:repo_hook"
        }
        Provider::Gitlab => "a project access token of the role maintainer with the scope api",
        Provider::Bitbucket => {
            "a repository access token, or an API token with its user's e-mail address, with the scopes \
             repository:write, pullrequest and webhook"
        }
        Provider::Gitea => {
            "a token with the scope write:repository, of a user who administers the repository"
        }
        Provider::Git | Provider::Codecommit => "no token",
    }
}

/// The message in a failure's body: `message` (GitHub, GitLab, Gitea), `error.message` (Bitbucket), `error`.
pub(crate) fn told(body: &[u8]) -> String {
    let value: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let texts = [&value["message"], &value["error"]["message"], &value["error"]];
    let text = texts.into_iter().find(|text| !text.is_null()).map(|text| match text {
        serde_json::Value::String(text) => text.clone(),
        // GitLab answers an object of lists where several fields are wrong.
        other => other.to_string(),
    });
    let mut text = text.unwrap_or_default();
    // GitHub's message is often "Validation Failed"; what failed is beside it.
    for error in value["errors"].as_array().into_iter().flatten() {
        if let Some(more) = error["message"].as_str() {
            text = format!("{text}: {more}");
        }
    }
    bounded(&text, 300)
}

/// A failure and what the forge said of it.
pub(crate) fn refused(what: &str, provider: Provider, status: StatusCode, told: &str) -> String {
    let forge = name(provider);
    if told.is_empty() {
        return format!("{what}: {forge} answers {status}");
    }
    format!("{what}: {forge} answers {status}: {told}")
}

/// A refusal to talk to us at all.
pub(crate) fn unwelcome(refused: &str, provider: Provider) -> String {
    format!("{refused}; let the hook's credentials name a secret that holds {}", wanted(provider))
}

/// A forge that wants to be left alone.
pub(crate) fn limited(what: &str, provider: Provider, status: StatusCode) -> String {
    format!("{what}: {} asks to slow down (status {status})", name(provider))
}
