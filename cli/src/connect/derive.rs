//! The hook of a repository, from what was given, what is known and what the forge told. Pure.
//!
//! Clone URLs become arguments of git and hosts that builds trust: only https and ssh are taken, and nothing
//! that git could read as an option (row A15).

use anyhow::{Error, bail};
use pushway_core::clone_url;
use pushway_core::forge::RepositoryView;
use pushway_core::ids::HookId;
use pushway_core::plan::SecretRef;
use pushway_core::source::{Hook, Provider};
use pushway_forges::{Connections, Forge};
use url::Url;

use super::Args;

/// Whether a provider is asked through `pushway-forges`.
pub(super) fn has_rest_api(provider: Provider) -> bool {
    !matches!(provider, Provider::Git | Provider::Codecommit)
}

/// A hook with nothing but what it can't do without.
pub(crate) fn new_hook(
    provider: Provider,
    id: HookId,
    repository: &str,
    clone_url: &str,
) -> anyhow::Result<Hook> {
    let secret = (provider != Provider::Codecommit).then(|| format!("pushway/hooks/{provider}/{id}"));
    Ok(Hook {
        secret,
        id,
        provider,
        repository: repository.to_owned(),
        repository_id: None,
        clone_url: clone_url::check(clone_url).map_err(Error::msg)?,
        credentials: None,
        api_url: None,
        forge_hook: None,
        default_branch: None,
        clone_login: None,
        old_secret_until: None,
    })
}

/// The hook before the forge is asked: what is given, else what is known of it. Its clone URL may still be
/// a guess, or empty.
pub(super) fn wished(args: &Args, id: HookId, known: Option<&Hook>) -> anyhow::Result<Hook> {
    let provider = args.provider;
    let of_known = |field: fn(&Hook) -> Option<&String>| known.and_then(field).cloned();
    let api_url = args.api_url.as_ref().map(|url| api_address(provider, url));
    let api_url = api_url.or_else(|| of_known(|known| known.api_url.as_ref()));
    // Checked for real once the forge was asked.
    let stand_in = "https://example.com/";
    let mut hook = Hook { api_url, ..new_hook(provider, id, &args.repository, stand_in)? };
    hook.clone_url = guessed_clone_url(&hook).unwrap_or_default();
    hook.credentials = args.credentials.clone().or_else(|| of_known(|known| known.credentials.as_ref()));
    hook.default_branch =
        args.default_branch.clone().or_else(|| of_known(|known| known.default_branch.as_ref()));
    if let Some(known) = known {
        hook.clone_url.clone_from(&known.clone_url);
        hook.clone_login.clone_from(&known.clone_login);
        hook.forge_hook.clone_from(&known.forge_hook);
        hook.old_secret_until = known.old_secret_until;
    }
    if let Some(url) = &args.clone_url {
        hook.clone_url = clone_url::check(url).map_err(Error::msg)?;
    }
    if let Some(name) = args.credentials.as_ref().filter(|name| !name.starts_with("pushway/")) {
        bail!("the functions may read secrets whose names begin with pushway/; {name:?} does not");
    }
    if has_rest_api(provider) {
        // Makes no call: tells an address or a name that can't be right.
        Forge::new(&Connections::default(), &hook, None)?;
    }
    Ok(hook)
}

/// Takes in what the forge told, and refuses what can't be.
pub(super) fn settle(
    args: &Args,
    hook: &mut Hook,
    view: Option<RepositoryView>,
    known: Option<&Hook>,
) -> anyhow::Result<()> {
    if let Some(view) = view {
        hook.repository = view.name;
        hook.repository_id = Some(view.id);
        if args.clone_url.is_none() {
            hook.clone_url = view.clone_url;
        }
        if args.default_branch.is_none() {
            hook.default_branch = view.default_branch.or(hook.default_branch.take());
        }
    }
    if hook.clone_url.is_empty() {
        bail!("give --clone-url: a {} repository's name does not tell where it is", hook.provider);
    }
    hook.clone_url = clone_url::check(&hook.clone_url).map_err(Error::msg)?;
    if let Some(known) = known {
        let same_id = hook.repository_id.is_some() && hook.repository_id == known.repository_id;
        // Two names may make one id: a/b.c and a.b/c.
        if !same_id && !known.repository.eq_ignore_ascii_case(&hook.repository) {
            bail!(
                "hook {} belongs to repository {}; choose another id with --hook, or disconnect that one first",
                known.id,
                known.repository
            );
        }
        hook.repository_id = hook.repository_id.take().or_else(|| known.repository_id.clone());
    }
    Ok(())
}

/// Where builds find the token that they clone with, where Pushway has written it.
pub(super) struct CloneSecret {
    pub(super) name: String,
    pub(super) reference: SecretRef,
}

/// The secret of a hook's builds.
pub(super) fn clone_secret(hook: &Hook) -> CloneSecret {
    let name = format!("build/clone/{}.{}", hook.provider, hook.id);
    let reference = SecretRef::SecretsManager { name: name.clone(), json_key: Some("token".into()) };
    CloneSecret { name, reference }
}

/// The API of a forge whose own address was given: each forge has it at one path.
fn api_address(provider: Provider, url: &Url) -> String {
    let path = api_path(provider);
    let mut url = url.clone();
    if url.path() == "/" && !path.is_empty() {
        url.set_path(path);
    }
    url.to_string().trim_end_matches('/').to_owned()
}

fn api_path(provider: Provider) -> &'static str {
    match provider {
        Provider::Github => "/api/v3",
        Provider::Gitlab => "/api/v4",
        Provider::Gitea => "/api/v1",
        Provider::Bitbucket | Provider::Git | Provider::Codecommit => "",
    }
}

/// Where a repository is cloned from, as far as its name and the forge's API tell.
fn guessed_clone_url(hook: &Hook) -> Option<String> {
    let public = match hook.provider {
        Provider::Github => Some("https://github.com"),
        Provider::Gitlab => Some("https://gitlab.com"),
        Provider::Bitbucket => Some("https://bitbucket.org"),
        Provider::Gitea | Provider::Git | Provider::Codecommit => None,
    };
    let forge = match &hook.api_url {
        Some(api) => api.strip_suffix(api_path(hook.provider)).filter(|forge| forge.len() < api.len()),
        None => public,
    };
    forge.map(|forge| format!("{forge}/{}.git", hook.repository))
}

#[cfg(test)]
mod tests;
