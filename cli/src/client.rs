//! Asking the installation's API: which one, and with whose credentials.
//!
//! The address comes from the command line, the environment or the laptop engine of this folder, never from
//! a repository's own files (row A47).

use anyhow::{Context as _, bail};
use pushway_aws::account::Account;
use pushway_local::{Engine, Status};
use serde::de::DeserializeOwned;
use serde_json::Value;
use url::Url;

/// Which installation is asked.
#[derive(clap::Args)]
pub(crate) struct At {
    /// Address of the API: output ApiUrl of the installation's stack. Without it, the laptop engine of this
    /// folder is asked.
    #[arg(long, global = true, env = "PUSHWAY_URL", value_name = "URL")]
    url: Option<Url>,
}

/// A client of one installation's API.
pub(crate) struct Client {
    base: Url,
    http: reqwest::Client,
    account: Account,
}

impl At {
    /// The client for the installation that is meant.
    pub(crate) async fn client(&self) -> anyhow::Result<Client> {
        if let Some(url) = &self.url {
            let is_local =
                url.host_str().is_some_and(|host| host == "localhost" || host.ends_with(".localhost"));
            if url.scheme() != "https" && !is_local {
                bail!(
                    "the API's address {url} is not https; requests to it would show your signature to everyone"
                );
            }
            let account = Account::from_environment().await;
            return Ok(Client { base: url.clone(), http: reqwest::Client::new(), account });
        }
        let here = std::env::current_dir().context("find the current folder")?;
        let engine = Engine::new(&here)?;
        if engine.status() == Status::Down {
            bail!(
                "no installation is named: give --url or PUSHWAY_URL, or start one here with `pushway local up`"
            );
        }
        let running = engine.running()?;
        let emulator = running.emulator()?;
        let outputs = pushway_local::deploy::outputs(&emulator, crate::local::STACK).await?;
        let base = outputs
            .get("ApiUrl")
            .context("the laptop's installation has no output ApiUrl; run `pushway local up` again")?;
        let account =
            Account::emulated(emulator.endpoint(), emulator.region(), emulator.credentials().clone()).await;
        Ok(Client {
            base: crate::local::reachable(&running, base)?,
            http: pushway_local::loopback::client()?,
            account,
        })
    }
}

impl Client {
    /// GET of a path with query parameters.
    pub(crate) async fn get<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &[(&str, String)],
    ) -> anyhow::Result<T> {
        let mut url = self.base.clone();
        url.path_segments_mut()
            .map_err(|()| anyhow::anyhow!("{} can't be an API's address", self.base))?
            .pop_if_empty()
            .extend(path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let answer = self.account.get(&self.http, &url).await?;
        if !(200..300).contains(&answer.status) {
            let detail = serde_json::from_str::<Value>(&answer.body).ok();
            let detail = detail
                .as_ref()
                .and_then(|problem| problem.get("detail").or(problem.get("message"))?.as_str());
            match answer.status {
                401 | 403 => bail!(
                    "the API refused your AWS credentials ({}); they need execute-api:Invoke on it",
                    answer.status
                ),
                status => bail!("the API answered {status}: {}", detail.unwrap_or("no reason given")),
            }
        }
        serde_json::from_str(&answer.body).with_context(|| format!("read the answer of {url}"))
    }
}
