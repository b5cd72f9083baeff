//! The installation that a verb writes to: its account, its table, the address of its webhooks.
//!
//! Named on the command line or in the environment, else it is the laptop engine of this folder; never by a
//! repository's own files (row A47). Who may write to the table in AWS may use these verbs, nobody else.

use std::collections::BTreeMap;

use anyhow::{Context as _, bail};
use pushway_aws::Aws;
use pushway_aws::account::Account;
use pushway_core::delivery::git_hook::is_private;
use pushway_core::ids::HookId;
use pushway_core::ports::Hooks as _;
use pushway_core::source::{Hook, Provider};
use pushway_local::{Engine, Running, Status, deploy};
use url::Url;

/// Which installation is meant.
#[derive(clap::Args)]
pub(crate) struct Place {
    /// The installation's table: output TableName of its stack. Without it, the laptop engine of this folder
    /// is meant.
    #[arg(long, env = "PUSHWAY_TABLE", hide_env_values = true)]
    table: Option<String>,
    /// Where deliveries go: output WebhookUrl of the installation's stack.
    #[arg(long, env = "PUSHWAY_WEBHOOKS", hide_env_values = true, value_name = "URL")]
    webhooks: Option<Url>,
}

/// An installation that can be written to.
pub(crate) struct Installation {
    pub(crate) account: Account,
    pub(crate) table: String,
    pub(crate) webhooks: Option<Url>,
}

impl Place {
    /// The installation, found.
    pub(crate) async fn find(&self) -> anyhow::Result<Installation> {
        if let Some(url) = &self.webhooks
            && !is_private(url)
        {
            bail!("the webhooks' address {url} is not https; deliveries to it could be read on their way");
        }
        if let Some(table) = &self.table {
            let (table, webhooks) = (table.clone(), self.webhooks.clone());
            return Ok(Installation { account: Account::from_environment().await, table, webhooks });
        }
        let laptop = Laptop::find("--table or PUSHWAY_TABLE").await?;
        Ok(Installation {
            account: laptop.account().await?,
            table: laptop.output("TableName")?.to_owned(),
            webhooks: Some(laptop.url("WebhookUrl")?),
        })
    }
}

impl Installation {
    /// The ports on its table.
    pub(crate) fn ports(&self) -> Aws {
        self.account.ports(&self.table)
    }

    /// A hook that is there.
    pub(crate) async fn hook(&self, provider: Provider, id: &HookId) -> anyhow::Result<Hook> {
        self.ports().hook(provider, id.as_str()).await?.with_context(|| {
            format!("no {provider} repository is connected as {id}; `pushway repos` lists those that are")
        })
    }

    /// Where deliveries of a hook go, if it has any and the address is known.
    pub(crate) fn address(&self, hook: &Hook) -> anyhow::Result<Option<Url>> {
        let base = self.webhooks.as_ref().filter(|_| hook.secret.is_some());
        base.map(|base| address(base, hook)).transpose()
    }
}

/// The address of one hook below that of all webhooks.
pub(crate) fn address(webhooks: &Url, hook: &Hook) -> anyhow::Result<Url> {
    let mut url = webhooks.clone();
    url.path_segments_mut()
        .map_err(|()| anyhow::anyhow!("{webhooks} can't be an address of webhooks"))?
        .pop_if_empty()
        .extend([hook.provider.as_str(), hook.id.as_str()]);
    Ok(url)
}

/// A hook's id as people give it: as it is, or as the repository's name.
pub(crate) fn hook_id(text: &str) -> Result<HookId, String> {
    text.replace('/', ".").parse().map_err(|error| format!("{error}; give one with --hook"))
}

/// The installation on the laptop engine of this folder.
pub(crate) struct Laptop {
    pub(crate) running: Running,
    outputs: BTreeMap<String, String>,
}

impl Laptop {
    /// The engine of this folder; `instead` is what would name another installation.
    pub(crate) async fn find(instead: &str) -> anyhow::Result<Self> {
        Self::here().await?.ok_or_else(|| no_installation(instead))
    }

    /// The engine of this folder, if it was started. One that does not answer is an error: whoever started it means it
    /// and no other installation.
    pub(crate) async fn here() -> anyhow::Result<Option<Self>> {
        let here = std::env::current_dir().context("find the current folder")?;
        let engine = Engine::new(&here)?;
        if engine.status() == Status::Down {
            return Ok(None);
        }
        Self::of(engine.running()?).await.map(Some)
    }

    /// The installation on an engine that runs.
    pub(crate) async fn of(running: Running) -> anyhow::Result<Self> {
        let outputs = deploy::outputs(&running.emulator()?, crate::local::STACK).await?;
        Ok(Self { running, outputs })
    }

    /// An output of its stack.
    pub(crate) fn output(&self, name: &str) -> anyhow::Result<&str> {
        let output = self.outputs.get(name).map(String::as_str);
        output.with_context(|| {
            format!("the laptop's installation has no output {name}; run `pushway local up` again")
        })
    }

    /// An output of its stack that is an address, as it is reached from here.
    pub(crate) fn url(&self, name: &str) -> anyhow::Result<Url> {
        crate::local::reachable(&self.running, self.output(name)?)
    }

    /// The emulator's account.
    pub(crate) async fn account(&self) -> anyhow::Result<Account> {
        let emulator = self.running.emulator()?;
        Ok(Account::emulated(emulator.endpoint(), emulator.region(), emulator.credentials().clone()).await)
    }
}

/// Nothing says which installation is meant; `instead` is what would.
pub(crate) fn no_installation(instead: &str) -> anyhow::Error {
    anyhow::anyhow!("no installation is named: give {instead}, or start one here with `pushway local up`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a47_only_addresses_that_nobody_can_listen_to_are_taken() {
        for (text, good) in [
            ("https://abc.execute-api.eu-west-1.amazonaws.com/webhooks", true),
            ("http://127.0.0.1:4566/", true),
            ("http://[::1]:4566/", true),
            ("http://abc.execute-api.localhost:4566/", true),
            ("http://example.com/", false),
            ("http://localhost.example.com/", false),
            ("http://127.0.0.1.example.com/", false),
            ("ftp://localhost/", false),
            ("file:///etc/passwd", false),
        ] {
            assert_eq!(is_private(&Url::parse(text).unwrap()), good, "{text}");
        }
    }
}
