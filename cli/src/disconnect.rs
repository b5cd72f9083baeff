//! `pushway disconnect`: unties a repository from the installation. Its history stays.
//!
//! The webhook goes first, so that the forge stops to deliver; then the records; the secrets last, so that
//! whatever breaks in between can be done again.

use std::process::ExitCode;

use pushway_core::ids::HookId;
use pushway_core::ports::{Secrets as _, SubscriptionRecords as _};
use pushway_core::source::{Hook, Provider};
use pushway_forges::{Connections, Credentials, Forge};
use serde_json::json;

use crate::installation::{Installation, Place, hook_id};
use crate::output;

/// What to disconnect.
#[derive(clap::Args)]
#[command(after_help = "Example: pushway disconnect github octo/web --table pushway-Table-1ABC")]
pub(crate) struct Args {
    /// Where the repository lives.
    provider: Provider,
    /// Its hook, or its name as it was connected.
    #[arg(value_parser = hook_id)]
    hook: HookId,
    #[command(flatten)]
    place: Place,
}

/// Disconnects a repository.
pub(crate) async fn main(as_json: bool, args: &Args) -> anyhow::Result<ExitCode> {
    let at = args.place.find().await?;
    let hook = at.hook(args.provider, &args.hook).await?;
    let mut left = Vec::new();
    if let Err(why) = delete_webhook(&at, &hook).await {
        left.push(why);
    }
    let ports = at.ports();
    let wanted = ports.subscriptions(&hook).await?;
    at.account.forget_hook(&at.table, &hook, wanted.as_ref()).await?;
    let (own, foreign) = secrets(&hook);
    left.extend(foreign.into_iter().map(|name| format!("the secret {name}, which Pushway did not make")));
    let mut gone = Vec::new();
    for name in own {
        match at.account.drop_secret(&name).await {
            Ok(true) => gone.push(name),
            Ok(false) => {}
            Err(fault) => left.push(format!("the secret {name}: {fault}")),
        }
    }
    left.push("runs, journals and branches: the history stays".into());
    if as_json {
        output::json(&json!({ "hook": hook, "secrets_scheduled_for_deletion": gone, "left": left }))?;
        return Ok(ExitCode::SUCCESS);
    }
    output::line(&format!("{} {} is disconnected", hook.provider, hook.repository))?;
    for name in &gone {
        output::note(&format!("deleted in 7 days: the secret {name}"));
    }
    for what in &left {
        output::note(&format!("left: {what}"));
    }
    Ok(ExitCode::SUCCESS)
}

/// Deletes the webhook at the forge; else says what a person has to delete there.
async fn delete_webhook(at: &Installation, hook: &Hook) -> Result<(), String> {
    let by_hand = |why: &str| format!("the webhook at the forge: {why}; delete it there");
    match (hook.provider, &hook.forge_hook, &hook.credentials) {
        (Provider::Codecommit, ..) => Ok(()),
        (Provider::Git, ..) => {
            Err("hooks/post-receive of the repository on the git server; delete it there".into())
        }
        (_, Some(id), Some(name)) => {
            let delete = async || {
                let credentials = Credentials::parse(&at.ports().secret(name).await?)?;
                Forge::new(&Connections::default(), hook, Some(credentials))?.delete_hook(id).await
            };
            delete().await.map_err(|fault| by_hand(&fault.to_string()))
        }
        _ => Err(by_hand("it was not made by Pushway")),
    }
}

/// The secrets that Pushway made for a hook, and those that it was only told of.
fn secrets(hook: &Hook) -> (Vec<String>, Vec<String>) {
    let token = hook.clone_login.as_ref().map(|login| login.token.to_string());
    let clone =
        token.map(|token| token.trim_start_matches("secretsmanager:").trim_end_matches(":token").to_owned());
    let all = hook.secret.clone().into_iter().chain(hook.credentials.clone()).chain(clone);
    let (provider, id) = (hook.provider, &hook.id);
    let own = [
        format!("pushway/hooks/{provider}/{id}"),
        format!("pushway/credentials/{provider}/{id}"),
        format!("build/clone/{provider}.{id}"),
    ];
    all.partition(|name| own.contains(name))
}
