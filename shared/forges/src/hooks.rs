//! Webhooks at the forges: one for each address, with pushes and pull requests.
//!
//! "Repository webhooks" (GitHub), "Project webhooks API" (GitLab), "Webhooks" (Bitbucket Cloud),
//! "repoCreateHook" (Gitea). Some forges refuse a second webhook of the same address and some make it, so
//! it is looked for first: connecting twice must not deliver twice.

use jiff::Timestamp;
use pushway_core::forge::HookHealth;
use pushway_core::ports::{Answer, Fault};
use pushway_core::signature::Secret;
use pushway_core::source::Provider;
use reqwest::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::Api;
use crate::http::Listing;
use crate::messages;
use crate::text::{Id, quoted};

/// A webhook, in the words of any of the forges.
#[derive(Deserialize)]
struct Webhook {
    id: Option<Id>,
    /// Bitbucket's id.
    uuid: Option<String>,
    /// Where deliveries go (GitLab, Bitbucket); at GitHub it is the webhook's own address.
    url: Option<String>,
    /// Where deliveries go (GitHub, Gitea).
    config: Option<Config>,
    active: Option<bool>,
    /// GitLab's view.
    alert_status: Option<String>,
    disabled_until: Option<Timestamp>,
    /// GitHub's view.
    last_response: Option<LastResponse>,
}

#[derive(Deserialize)]
struct Config {
    url: Option<String>,
}

#[derive(Deserialize)]
struct LastResponse {
    code: Option<u16>,
    message: Option<String>,
}

impl Webhook {
    fn target(&self) -> Option<&str> {
        self.config.as_ref().map_or(self.url.as_deref(), |config| config.url.as_deref())
    }

    fn name(self) -> Option<String> {
        self.uuid.or(self.id.map(|id| id.to_string()))
    }
}

/// Makes the webhook that delivers to `url`, or renews the one that does; gives its id.
pub(crate) async fn create(api: &Api, url: &str, secret: &Secret) -> Answer<String> {
    if let Some(id) = find(api, url).await? {
        update(api, &id, url, secret).await?;
        return Ok(id);
    }
    let ask = api.ask(Method::POST, &["hooks"], "make the webhook").json(body(api.provider, url, secret));
    let reply = api.send(&ask).await?;
    if matches!(reply.status, StatusCode::CONFLICT | StatusCode::UNPROCESSABLE_ENTITY) {
        // Someone made it in the meantime; any other objection is told as it is.
        let Some(id) = find(api, url).await? else { return Err(reply.refusal()) };
        update(api, &id, url, secret).await?;
        return Ok(id);
    }
    if reply.status == StatusCode::NOT_FOUND {
        return Err(unmanageable(api, &reply.refusal()));
    }
    let reply = reply.done()?;
    reply.json::<Webhook>()?.name().ok_or_else(|| reply.broken(&"it has no id"))
}

/// Gives a webhook this address and secret, and switches it on; what GitLab switched off only a test
/// delivery from its settings page brings back.
pub(crate) async fn update(api: &Api, id: &str, url: &str, secret: &Secret) -> Answer<()> {
    let method = match api.provider {
        Provider::Github | Provider::Gitea => Method::PATCH,
        _ => Method::PUT,
    };
    let ask = api.ask(method, &["hooks", id], "renew the webhook").json(body(api.provider, url, secret));
    let reply = api.send(&ask).await?;
    if reply.status == StatusCode::NOT_FOUND {
        return Err(unmanageable(api, &reply.refusal()));
    }
    reply.done().map(drop)
}

/// Removes a webhook; one that is not there is as good.
pub(crate) async fn delete(api: &Api, id: &str) -> Answer<()> {
    api.send(&api.ask(Method::DELETE, &["hooks", id], "remove the webhook")).await?.found().map(drop)
}

/// How the forge sees a webhook.
pub(crate) async fn health(api: &Api, id: &str) -> Answer<HookHealth> {
    let ask = api.get(&["hooks", id], "ask for the webhook");
    Ok(api.read::<Webhook>(ask).await?.map_or(HookHealth::Gone, |webhook| seen(api.provider, webhook)))
}

fn seen(provider: Provider, webhook: Webhook) -> HookHealth {
    let forge = messages::name(provider);
    if webhook.active == Some(false) {
        return HookHealth::Disabled { until: None, reason: format!("it is switched off at {forge}") };
    }
    match (provider, webhook.alert_status.as_deref(), webhook.last_response) {
        (Provider::Gitlab, Some(status), _) if status != "executable" => HookHealth::Disabled {
            until: webhook.disabled_until,
            reason: format!("{forge} says {} after failed deliveries", quoted(status)),
        },
        // A webhook that has delivered nothing yet has no code.
        (Provider::Github, _, Some(LastResponse { code: Some(code), message }))
            if !(200..300).contains(&code) =>
        {
            let reason = format!("{code} {}", quoted(&message.unwrap_or_default()));
            HookHealth::Failing { reason: reason.trim_end().to_owned() }
        }
        (Provider::Gitlab, Some(_), _) | (Provider::Github, _, Some(_)) => HookHealth::Healthy,
        // Bitbucket and Gitea tell of the switch only.
        _ => HookHealth::Unknown,
    }
}

/// The id of the webhook that delivers to this address.
async fn find(api: &Api, url: &str) -> Answer<Option<String>> {
    let size = match api.provider {
        Provider::Bitbucket => "pagelen",
        Provider::Gitea => "limit",
        _ => "per_page",
    };
    let ask = api.get(&["hooks"], "list the webhooks").query(size, "50");
    match api.list::<Webhook>(ask).await? {
        Listing::Items { items, .. } => {
            Ok(items.into_iter().find(|webhook| webhook.target() == Some(url)).and_then(Webhook::name))
        }
        Listing::Unchanged => Ok(None),
        Listing::Absent => {
            Err(unmanageable(api, &Fault::Permanent(format!("list the webhooks of {}", api.repository))))
        }
    }
}

/// Forges hide what a token may not see: a repository's webhooks are then "not found".
fn unmanageable(api: &Api, fault: &Fault) -> Fault {
    Fault::Permanent(messages::unwelcome(&format!("{fault}: not found"), api.provider))
}

/// What a webhook is made of, for making and renewing alike.
fn body(provider: Provider, url: &str, secret: &Secret) -> Value {
    let secret = String::from_utf8_lossy(secret.expose());
    match provider {
        Provider::Gitlab => json!({
            "url": url, "token": secret, "name": "Pushway", "enable_ssl_verification": true,
            "push_events": true, "tag_push_events": true, "merge_requests_events": true,
        }),
        Provider::Bitbucket => json!({
            "url": url, "secret": secret, "description": "Pushway", "active": true,
            "events": ["repo:push", "pullrequest:created", "pullrequest:updated"],
        }),
        _ => json!({
            // GitHub's only name, and Gitea's kind of the same shape; each passes over the other's.
            "name": "web", "type": "gitea", "active": true, "events": ["push", "pull_request"],
            "config": { "url": url, "secret": secret, "content_type": "json", "insecure_ssl": "0" },
        }),
    }
}
