//! `pushway rotate-secret`: a new signing secret for a hook, with an overlap in which both are taken (row
//! A9).
//!
//! The secret's store keeps the old one as the version before; the hook says until when it counts. Only one
//! old secret is ever taken, so that a rotation waits until the last one's overlap is over.

use std::process::ExitCode;

use anyhow::{Context as _, bail};
use jiff::{SignedDuration, Timestamp};
use pushway_core::ids::HookId;
use pushway_core::ports::Secrets as _;
use pushway_core::signature::Secret;
use pushway_core::source::{Hook, Provider};
use pushway_forges::{Connections, Credentials, Forge};
use serde_json::json;

use crate::connect::{fresh_secret, settings};
use crate::installation::{Installation, Place, hook_id};
use crate::output;

/// A longer overlap would keep a leaked secret in use.
const LONGEST_OVERLAP: SignedDuration = SignedDuration::from_hours(7 * 24);

/// Whose secret to rotate.
#[derive(clap::Args)]
#[command(after_help = "Example: pushway rotate-secret gitlab group/web --overlap 24h")]
pub(crate) struct Args {
    /// Where the repository lives.
    provider: Provider,
    /// Its hook, or its name as it was connected.
    #[arg(value_parser = hook_id)]
    hook: HookId,
    #[command(flatten)]
    place: Place,
    /// How long the old secret is taken too: from 0s, for one that has leaked, to 168h.
    #[arg(long, default_value = "24h", value_parser = overlap)]
    overlap: SignedDuration,
    /// Print the new secret.
    #[arg(long)]
    show_secret: bool,
}

fn overlap(text: &str) -> Result<SignedDuration, String> {
    let overlap: SignedDuration = text.parse().map_err(|_| "write it as 24h, 30m or 0s".to_owned())?;
    if overlap.is_negative() || overlap > LONGEST_OVERLAP {
        return Err("an overlap is from 0s to 168h".into());
    }
    Ok(overlap)
}

/// Rotates a secret.
pub(crate) async fn main(as_json: bool, args: &Args) -> anyhow::Result<ExitCode> {
    let at = args.place.find().await?;
    let mut hook = at.hook(args.provider, &args.hook).await?;
    let Some(name) = hook.secret.clone() else {
        bail!("deliveries of {} are not signed; there is no secret to rotate", hook.provider);
    };
    let now = Timestamp::now();
    let until = until(&hook, args.overlap, now)?;
    let secret = fresh_secret()?;
    at.account.write_secret(&name, &secret).await?;
    hook.old_secret_until = Some(until);
    at.account.put_hook(&at.table, &hook).await.with_context(|| {
        format!("the new secret is stored as {name}, but the old one is refused from now on; rotate again with --overlap 0s, then enter the new one at the forge")
    })?;
    let told = match tell_forge(&at, &hook, &secret).await {
        Ok(true) => "the webhook at the forge has the new secret: nothing is left to do".to_owned(),
        Ok(false) => by_hand(&hook, "there is no token to tell the forge with"),
        Err(error) => by_hand(&hook, &format!("{error:#}")),
    };
    let shown = args.show_secret.then(|| String::from_utf8_lossy(secret.expose()).into_owned());
    if as_json {
        output::json(&json!({ "hook": hook, "secret": shown, "next": told }))?;
        return Ok(ExitCode::SUCCESS);
    }
    let old =
        if args.overlap.is_zero() { "refused from now on".into() } else { format!("taken until {until}") };
    output::line(&format!("hook {} has a new secret; the old one is {old}", hook.id))?;
    if let Some(secret) = &shown {
        output::line(&format!("webhook secret: {secret}"))?;
    }
    output::note(&told);
    if shown.is_none() {
        output::note(&format!("it lies in Secrets Manager as {name}; --show-secret prints it"));
    }
    Ok(ExitCode::SUCCESS)
}

/// Until when the old secret is taken. A third secret would push the one before out, though its overlap was
/// promised; a leaked one must not wait.
fn until(hook: &Hook, overlap: SignedDuration, now: Timestamp) -> anyhow::Result<Timestamp> {
    if let Some(open) = hook.old_secret_until.filter(|until| *until > now && !overlap.is_zero()) {
        bail!(
            "the last rotation's overlap goes on until {open}; wait for it, or cut it short with --overlap 0s"
        );
    }
    Ok(now.checked_add(overlap)?)
}

/// Gives the forge's webhook the new secret, where there is a token to do it with.
async fn tell_forge(at: &Installation, hook: &Hook, secret: &Secret) -> anyhow::Result<bool> {
    let (Some(id), Some(name)) = (&hook.forge_hook, &hook.credentials) else { return Ok(false) };
    let url = at.address(hook)?.context("give --webhooks, so that the webhook keeps its address")?;
    let credentials = Credentials::parse(&at.ports().secret(name).await?)?;
    let forge = Forge::new(&Connections::default(), hook, Some(credentials))?;
    forge.update_hook(id, url.as_str(), secret).await?;
    Ok(true)
}

fn by_hand(hook: &Hook, why: &str) -> String {
    match hook.provider {
        Provider::Git => {
            "put the new secret into the hook's configuration on the git server: connect again with --hook-config".into()
        }
        provider => format!("{why}; enter the new secret at the forge: {}", settings(provider)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a9_one_old_secret_at_a_time_for_a_bounded_while() {
        let now: Timestamp = "2026-03-01T00:00:00Z".parse().unwrap();
        let id: HookId = "web".parse().unwrap();
        let mut hook =
            crate::connect::new_hook(Provider::Github, id, "o/web", "https://github.com/o/web").unwrap();
        let day = SignedDuration::from_hours(24);
        assert_eq!(until(&hook, day, now).unwrap(), now + day);
        hook.old_secret_until = Some(now + SignedDuration::from_secs(1));
        assert!(until(&hook, day, now).unwrap_err().to_string().contains("2026-03-01T00:00:01Z"));
        assert_eq!(until(&hook, SignedDuration::ZERO, now).unwrap(), now);
        hook.old_secret_until = Some(now);
        assert!(until(&hook, day, now).is_ok());

        assert_eq!(overlap("24h").unwrap(), day);
        for wrong in ["-1h", "169h", "soon", "24"] {
            assert!(overlap(wrong).is_err(), "{wrong}");
        }
    }
}
