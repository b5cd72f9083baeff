//! What connecting asks of a forge: the repository, its heads, the webhook.

use anyhow::{Context as _, bail};
use jiff::Timestamp;
use pushway_aws::Aws;
use pushway_core::forge::RepositoryView;
use pushway_core::ports::{ListBranches as _, Reconciliations as _};
use pushway_core::reconcile::Reconciliation;
use pushway_core::signature::Secret;
use pushway_core::source::{Hook, Provider};
use pushway_forges::{Connections, Credentials, Forge};
use url::Url;

use super::derive::has_rest_api;
use crate::installation::Installation;

/// The repository as its forge tells it; `None` where nobody can be asked.
pub(super) async fn repository(
    at: &Installation,
    hook: &Hook,
    credentials: Option<Credentials>,
    notes: &mut Vec<String>,
) -> anyhow::Result<Option<RepositoryView>> {
    let unseen = || format!("{} shows no repository {} to these credentials", hook.provider, hook.repository);
    match (hook.provider, credentials) {
        (Provider::Git, _) | (_, None) if hook.provider != Provider::Codecommit => Ok(None),
        (Provider::Codecommit, _) => match at.account.codecommit_repository(&hook.repository).await {
            Ok(None) => bail!("there is no CodeCommit repository {} in this region", hook.repository),
            Err(fault) if !hook.clone_url.is_empty() => {
                notes.push(format!("CodeCommit could not be asked: {fault}"));
                Ok(None)
            }
            found => Ok(found?),
        },
        (_, credentials) => {
            let forge = Forge::new(&Connections::default(), hook, credentials)?;
            Ok(Some(forge.repository().await?.with_context(unseen)?))
        }
    }
}

/// Notes where the branches are, so that what was pushed before starts nothing and what is pushed from now
/// on is missed by nobody. What was noted before stays.
pub(super) async fn note_heads(ports: &Aws, hook: &Hook, notes: &mut Vec<String>) -> anyhow::Result<()> {
    if hook.provider == Provider::Git || ports.reconciliation(hook).await?.is_some() {
        return Ok(());
    }
    if hook.credentials.is_none() && has_rest_api(hook.provider) {
        notes.push(
            "without a token nobody looks for pushes whose delivery was lost, files of private repositories \
             can't be read, and no statuses are shown; connect again with --token-stdin to have all of it"
                .into(),
        );
        return Ok(());
    }
    let now = Timestamp::now();
    let mut known = Reconciliation::new(hook.provider, hook.id.clone(), now);
    match ports.branches(hook, None).await {
        Ok(listing) => {
            known.compare(listing, &[]);
            known.done(now);
        }
        // The sweep's first listing does the same.
        Err(fault) => notes.push(format!("the branches could not be listed yet: {fault}")),
    }
    known.version = 1;
    ports.put_reconciliation(&known).await?;
    Ok(())
}

/// Makes the webhook at the forge, or renews it; gives its id there.
pub(super) async fn webhook(
    hook: &Hook,
    credentials: Credentials,
    url: &Url,
    secret: &Secret,
) -> anyhow::Result<String> {
    let forge = Forge::new(&Connections::default(), hook, Some(credentials))?;
    if let Some(id) = &hook.forge_hook
        && forge.update_hook(id, url.as_str(), secret).await.is_ok()
    {
        return Ok(id.clone());
    }
    // Also where the known one is gone: somebody may have deleted it at the forge.
    forge.create_hook(url.as_str(), secret).await.with_context(|| {
        format!(
            "{} is registered as hook {}, but its webhook could not be made; mend what follows and connect again",
            hook.repository, hook.id
        )
    })
}
