//! What `pushway connect` says: where deliveries go, and what is left for a person to enter at the forge.

use std::path::Path;

use pushway_core::signature::Secret;
use pushway_core::source::{Hook, Provider};
use serde_json::json;
use url::Url;

use crate::output;

/// A repository that is connected.
pub(super) struct Connected {
    pub(super) hook: Hook,
    /// Where its deliveries go, as far as that is known.
    pub(super) url: Option<Url>,
    pub(super) secret: Secret,
    /// Whether the webhook is made at the forge.
    pub(super) is_made: bool,
    pub(super) notes: Vec<String>,
}

/// Says it. The secret is in no text unless it was asked for (row A37).
pub(super) fn report(
    as_json: bool,
    show_secret: bool,
    config: Option<&Path>,
    connected: &Connected,
) -> anyhow::Result<()> {
    let Connected { hook, url, is_made, .. } = connected;
    let shown = (show_secret && hook.secret.is_some())
        .then(|| String::from_utf8_lossy(connected.secret.expose()).into_owned());
    if as_json {
        let value = json!({
            "hook": hook, "url": url, "secret": shown, "webhook_is_made": is_made, "notes": connected.notes,
        });
        return output::json(&value);
    }
    output::line(&format!("{} {} is connected as hook {}", hook.provider, hook.repository, hook.id))?;
    if let Some(url) = url {
        output::line(&format!("webhook address: {url}"))?;
    }
    if let Some(secret) = &shown {
        output::line(&format!("webhook secret: {secret}"))?;
    }
    for line in next_steps(connected, config, shown.is_some()) {
        output::note(&line);
    }
    connected.notes.iter().for_each(|note| output::note(&format!("note: {note}")));
    Ok(())
}

/// What is left to do, line by line.
fn next_steps(connected: &Connected, config: Option<&Path>, is_shown: bool) -> Vec<String> {
    let hook = &connected.hook;
    let Some(name) = &hook.secret else {
        return vec!["its pushes come by EventBridge: nothing is left to do".into()];
    };
    if connected.is_made {
        return vec!["its webhook is made at the forge: nothing is left to do".into()];
    }
    let mut lines = Vec::new();
    if connected.url.is_none() {
        lines.push(
            "connect again with --webhooks, output WebhookUrl of the stack, to learn the address".into(),
        );
    }
    match (hook.provider, config) {
        (Provider::Git, Some(config)) => lines.push(format!(
            "on the git server run: pushway hook install --repository <repository>.git --config {}",
            config.display()
        )),
        (Provider::Git, None) => lines.push(
            "connect again with --hook-config web.json, take that file to the git server, and run there: \
             pushway hook install --repository <repository>.git --config web.json"
                .into(),
        ),
        (provider, _) => lines.push(format!("enter at the forge: {}", settings(provider))),
    }
    if !is_shown && config.is_none() {
        lines.push(format!("its secret lies in Secrets Manager as {name}; --show-secret prints it"));
    }
    lines
}

/// What a webhook's form wants, in the words of each forge's settings page.
pub(crate) fn settings(provider: Provider) -> &'static str {
    match provider {
        Provider::Github => {
            "Settings, Webhooks, Add webhook: the address as Payload URL, content type application/json, the \
             secret, and as events Pushes and Pull requests"
        }
        Provider::Gitlab => {
            "Settings, Webhooks, Add new webhook: the address as URL, the secret as Secret token, and as \
             triggers Push events, Tag push events and Merge request events"
        }
        Provider::Bitbucket => {
            "Repository settings, Webhooks, Add webhook: the address as URL, the secret as Secret, and as \
             triggers Repository push, Pull request created and Pull request updated"
        }
        Provider::Gitea => {
            "Settings, Webhooks, Add webhook, Gitea or Forgejo: the address as target URL, method POST, content \
             type application/json, the secret, and as events Push and Pull request"
        }
        Provider::Git | Provider::Codecommit => "nothing",
    }
}
