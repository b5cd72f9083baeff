//! `pushway connect`: ties a repository to the installation, so that its pushes start runs.
//!
//! With a token it does everything: asks the forge for the repository, makes the webhook there, notes where
//! the branches are, so that connecting starts nothing. Without one it says what to enter at the forge.
//! Connecting again renews what is given and keeps the rest, the signing secret above all. Secrets go to
//! Secrets Manager; one is printed only on request.

mod derive;
mod forge;
mod told;

use std::io::{IsTerminal as _, Read as _};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use pushway_aws::account::Account;
use pushway_core::ids::HookId;
use pushway_core::plan::SecretRef;
use pushway_core::ports::{Hooks as _, Secrets as _};
use pushway_core::signature::Secret;
use pushway_core::source::{CloneLogin, Hook, Provider};
use pushway_forges::Credentials;
use serde_json::json;
use url::Url;

pub(crate) use derive::new_hook;
use told::Connected;
pub(crate) use told::settings;

use crate::installation::{Installation, Place, hook_id};

/// More than any token or app key.
const MAX_CREDENTIALS_BYTES: u64 = 64 * 1024;

/// What to connect.
#[derive(clap::Args)]
#[command(
    after_help = "Example: pushway connect github octo/web --token-stdin < token.txt\n\nWhat a token must be allowed to do, by provider: docs/sources.md"
)]
pub(crate) struct Args {
    /// Where it lives: github, gitlab, bitbucket, gitea, git or codecommit.
    provider: Provider,
    /// Its name there: owner/name, or the repository's name.
    repository: String,
    #[command(flatten)]
    place: Place,
    /// The id in the webhook's address; by default the repository's name with dots for slashes.
    #[arg(long, value_name = "ID")]
    hook: Option<HookId>,
    /// The forge's API where it is not the public one: GitHub Enterprise Server, self-managed GitLab, Gitea.
    #[arg(long, value_name = "URL")]
    api_url: Option<Url>,
    /// Where builds clone from, where the forge can't be asked.
    #[arg(long, value_name = "URL")]
    clone_url: Option<String>,
    /// The branch whose pipeline file says what schedules and images start; by default the forge's own.
    #[arg(long, value_name = "BRANCH")]
    default_branch: Option<String>,
    /// Read a token for the forge's API from standard input: the token alone, or JSON with `token`, with
    /// `username` and `password`, or with `app_id`, `installation_id` and `private_key` of a GitHub App.
    #[arg(long, conflicts_with = "credentials")]
    token_stdin: bool,
    /// Name of a Secrets Manager secret that holds such a token already; it begins with pushway/.
    #[arg(long, value_name = "SECRET")]
    credentials: Option<String>,
    /// The secret that builds clone with, such as secretsmanager:build/clone/web:token, instead of the token
    /// for the API.
    #[arg(long, value_name = "SECRET", requires = "clone_user")]
    clone_secret: Option<SecretRef>,
    /// The user that the clone secret belongs to.
    #[arg(long, value_name = "USER", requires = "clone_secret")]
    clone_user: Option<String>,
    /// Let builds clone without a secret: the repository is public.
    #[arg(long, conflicts_with = "clone_secret")]
    no_clone_secret: bool,
    /// Write the configuration of a plain git server's hook to this file, readable for its owner only.
    #[arg(long, value_name = "FILE")]
    hook_config: Option<PathBuf>,
    /// Print the secret that deliveries are signed with.
    #[arg(long)]
    show_secret: bool,
}

/// Connects a repository.
pub(crate) async fn main(as_json: bool, args: &Args) -> anyhow::Result<ExitCode> {
    let connected = connect(&args.place.find().await?, args).await?;
    if let Some(path) = &args.hook_config {
        let url = connected.url.clone().context("give --webhooks, so that the file can name the address")?;
        crate::hook::Config::new(url, &connected.hook.repository, &connected.secret).write(path)?;
    }
    told::report(as_json, args.show_secret, args.hook_config.as_deref(), &connected)?;
    Ok(ExitCode::SUCCESS)
}

async fn connect(at: &Installation, args: &Args) -> anyhow::Result<Connected> {
    let (ports, provider) = (at.ports(), args.provider);
    if args.hook_config.is_some() && provider != Provider::Git {
        bail!("--hook-config is for provider git; {provider} needs no hook on a server");
    }
    let id = args.hook.clone().map_or_else(|| hook_id(&args.repository), Ok).map_err(anyhow::Error::msg)?;
    let known = ports.hook(provider, id.as_str()).await?;
    let mut hook = derive::wished(args, id, known.as_ref())?;
    let given = if args.token_stdin { Some(token_from_stdin()?) } else { None };
    let credentials = match (&given, &hook.credentials) {
        (Some(text), _) => Some(Credentials::parse(text)?),
        (None, Some(name)) => Some(Credentials::parse(&ports.secret(name).await?)?),
        (None, None) => None,
    };
    let mut notes = Vec::new();
    let view = forge::repository(at, &hook, credentials.clone(), &mut notes).await?;
    derive::settle(args, &mut hook, view, known.as_ref())?;
    if let Some(text) = &given {
        let name = format!("pushway/credentials/{provider}/{}", hook.id);
        at.account.write_secret(&name, text).await?;
        hook.credentials = Some(name);
    }
    give_login(at, args, &mut hook, credentials.as_ref()).await?;
    let secret = register(&at.account, &at.table, &hook).await?;
    forge::note_heads(&ports, &hook, &mut notes).await?;
    let url = at.address(&hook)?;
    let made = match (&url, credentials) {
        (Some(url), Some(credentials)) if derive::has_rest_api(provider) => {
            hook.forge_hook = Some(forge::webhook(&hook, credentials, url, &secret).await?);
            at.account.put_hook(&at.table, &hook).await?;
            true
        }
        _ => false,
    };
    Ok(Connected { hook, url, secret, is_made: made, notes })
}

/// Writes hook and secret; gives the secret that counts.
pub(crate) async fn register(account: &Account, table: &str, hook: &Hook) -> anyhow::Result<Secret> {
    let fresh = fresh_secret()?;
    let secret = match &hook.secret {
        Some(name) => account.keep_secret(name, fresh).await?,
        None => fresh,
    };
    account.put_hook(table, hook).await?;
    Ok(secret)
}

/// A new signing secret: 32 random bytes in hex, which every forge takes.
pub(crate) fn fresh_secret() -> anyhow::Result<Secret> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| anyhow::anyhow!("read randomness: {error}"))?;
    Secret::new(hex::encode(bytes)).context("make a secret")
}

/// Lets builds clone a private repository of a forge that CodeBuild can't fetch from by itself. They may
/// read only what lies below `build/`, so the token is written there.
async fn give_login(
    at: &Installation,
    args: &Args,
    hook: &mut Hook,
    credentials: Option<&Credentials>,
) -> anyhow::Result<()> {
    if args.no_clone_secret {
        hook.clone_login = None;
        return Ok(());
    }
    if let (Some(user), Some(token)) = (&args.clone_user, &args.clone_secret) {
        hook.clone_login = Some(CloneLogin { user: user.clone(), token: token.clone() });
        return Ok(());
    }
    let own = derive::clone_secret(hook);
    let is_own = hook.clone_login.as_ref().is_none_or(|login| login.token == own.reference);
    let clones = matches!(hook.provider, Provider::Gitlab | Provider::Bitbucket | Provider::Gitea);
    let login = credentials.and_then(|credentials| credentials.clone_login(hook.provider));
    if let Some((user, token)) = login.filter(|_| is_own && clones) {
        let text = Secret::new(json!({ "token": token }).to_string()).context("the token is empty")?;
        at.account.write_secret(&own.name, &text).await?;
        hook.clone_login = Some(CloneLogin { user: user.to_owned(), token: own.reference });
    }
    Ok(())
}

/// What standard input holds, as the JSON that is stored.
fn token_from_stdin() -> anyhow::Result<Secret> {
    if std::io::stdin().is_terminal() {
        bail!(
            "--token-stdin reads a file or a pipe, since a terminal would show the token: … --token-stdin < token.txt"
        );
    }
    let mut text = String::new();
    let mut input = std::io::stdin().take(MAX_CREDENTIALS_BYTES);
    input.read_to_string(&mut text).context("read the token from standard input")?;
    as_stored(&text).context("standard input holds no token")
}

/// Credentials as they are stored: JSON, whatever form they were given in.
fn as_stored(text: &str) -> Option<Secret> {
    let text = text.trim();
    match text {
        "" => None,
        json if json.starts_with('{') => Secret::new(json),
        token => Secret::new(json!({ "token": token }).to_string()),
    }
}
