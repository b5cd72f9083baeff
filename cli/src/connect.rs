//! `pushway connect`: ties a repository to the installation, so that its pushes start runs.
//!
//! Writes the hook into the installation's table and its secret into Secrets Manager, with the caller's own
//! AWS credentials. The secret is printed only on request: a forge's settings page needs it once.

use std::process::ExitCode;

use anyhow::{Context as _, bail};
use pushway_aws::account::Account;
use pushway_core::ids::HookId;
use pushway_core::signature::Secret;
use pushway_core::source::{Hook, Provider};
use serde_json::json;
use url::Url;

use crate::output;

/// What to connect.
#[derive(clap::Args)]
#[command(
    after_help = "Example: pushway connect github octo/web --table pushway-Table-1ABC \\\n           --webhooks https://abc123.execute-api.eu-west-1.amazonaws.com/webhooks --show-secret"
)]
pub(crate) struct Args {
    /// Where it lives: github, git or codecommit.
    provider: Provider,
    /// Its name there: owner/name, or the repository's name.
    repository: String,
    /// The installation's table: output TableName of its stack.
    #[arg(long, env = "PUSHWAY_TABLE")]
    table: String,
    /// Where deliveries go: output WebhookUrl of the installation's stack.
    #[arg(long, env = "PUSHWAY_WEBHOOKS")]
    webhooks: Option<Url>,
    /// Where builds clone from; for GitHub it follows from the name.
    #[arg(long)]
    clone_url: Option<String>,
    /// Name of a Secrets Manager secret with a token that may read the repository's files.
    #[arg(long, value_name = "SECRET")]
    credentials: Option<String>,
    /// Print the secret that deliveries are signed with.
    #[arg(long)]
    show_secret: bool,
}

/// Connects a repository.
pub(crate) async fn main(as_json: bool, args: &Args) -> anyhow::Result<ExitCode> {
    let hook = hook(args)?;
    let account = Account::from_environment().await;
    let secret = register(&account, &args.table, &hook).await?;
    let url = args
        .webhooks
        .as_ref()
        .filter(|_| hook.secret.is_some())
        .map(|base| address(base, &hook))
        .transpose()?;
    let shown = hook.secret.is_some().then(|| String::from_utf8_lossy(secret.expose()).into_owned());
    let shown = shown.filter(|_| args.show_secret);
    if as_json {
        output::json(&json!({ "hook": hook, "url": url, "secret": shown }))?;
        return Ok(ExitCode::SUCCESS);
    }
    output::line(&format!("{} {} is connected as hook {}", hook.provider, hook.repository, hook.id))?;
    if let Some(url) = url {
        output::line(&format!("webhook address: {url} (content type application/json, event push)"))?;
    }
    match (&hook.secret, shown) {
        (Some(_), Some(secret)) => output::line(&format!("webhook secret: {secret}"))?,
        (Some(name), None) => {
            output::note(&format!("its secret lies in Secrets Manager as {name}; --show-secret prints it"));
        }
        (None, _) => {}
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes hook and secret; gives the secret that counts.
pub(crate) async fn register(account: &Account, table: &str, hook: &Hook) -> anyhow::Result<Secret> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| anyhow::anyhow!("read randomness: {error}"))?;
    let fresh = Secret::new(hex::encode(bytes)).context("make a secret")?;
    Ok(account.connect(table, hook, fresh).await?)
}

/// Where deliveries of a hook go.
pub(crate) fn address(webhooks: &Url, hook: &Hook) -> anyhow::Result<Url> {
    let mut url = webhooks.clone();
    url.path_segments_mut()
        .map_err(|()| anyhow::anyhow!("{webhooks} can't be an address of webhooks"))?
        .pop_if_empty()
        .extend([hook.provider.as_str(), hook.id.as_str()]);
    Ok(url)
}

/// The hook of a repository.
pub(crate) fn new_hook(provider: Provider, repository: &str, clone_url: &str) -> anyhow::Result<Hook> {
    let url = Url::parse(clone_url).with_context(|| format!("clone URL {clone_url:?}"))?;
    let is_loopback = matches!(url.host_str(), Some("127.0.0.1" | "localhost" | "[::1]"));
    match url.scheme() {
        "https" | "ssh" => {}
        "http" if is_loopback => {}
        scheme => bail!(
            "clone URL {clone_url:?} uses {scheme}; use https or ssh, so that nobody can put another source in"
        ),
    }
    if !url.username().is_empty() && url.scheme() != "ssh" || url.password().is_some() {
        bail!("clone URL {clone_url:?} holds credentials; they would be shown in every run");
    }
    let id: HookId = match provider {
        // Its events name the repository, and nothing else could find the hook.
        Provider::Codecommit => repository.parse()?,
        Provider::Github | Provider::Git => repository.replace('/', ".").parse()?,
    };
    let secret = (provider != Provider::Codecommit).then(|| format!("pushway/hooks/{provider}/{id}"));
    Ok(Hook {
        secret,
        id,
        provider,
        repository: repository.to_owned(),
        repository_id: None,
        clone_url: clone_url.to_owned(),
        credentials: None,
        api_url: None,
    })
}

fn hook(args: &Args) -> anyhow::Result<Hook> {
    let clone_url = match (&args.clone_url, args.provider) {
        (Some(url), _) => url.clone(),
        (None, Provider::Github) => format!("https://github.com/{}.git", args.repository),
        (None, provider) => {
            bail!("give --clone-url: a {provider} repository's name does not tell where it is")
        }
    };
    let mut hook = new_hook(args.provider, &args.repository, &clone_url)?;
    hook.credentials.clone_from(&args.credentials);
    Ok(hook)
}
