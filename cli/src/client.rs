//! Asking the installation's API: which one, and with whose credentials.
//!
//! The address comes from the command line, the environment or the laptop engine of this folder, never from
//! a repository's own files (row A47).

use anyhow::{Context as _, bail};
use backon::{ExponentialBuilder, Retryable as _};
use pushway_aws::account::{Account, ApiAnswer, ApiCall};
use pushway_core::delivery::git_hook::is_private;
use pushway_core::ports::Fault;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use url::Url;

use crate::installation::Laptop;

/// How often an order is given at most while no answer comes.
const MAX_TRIES: usize = 3;

/// Which installation is asked.
#[derive(clap::Args)]
pub(crate) struct At {
    /// Address of the API: output ApiUrl of the installation's stack. Without it, the laptop engine of this
    /// folder is asked.
    #[arg(long, global = true, env = "PUSHWAY_URL", hide_env_values = true, value_name = "URL")]
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
            if !is_private(url) {
                bail!(
                    "the API's address {url} is not https; requests to it would show your signature to everyone"
                );
            }
            let account = Account::from_environment().await;
            return Ok(Client { base: url.clone(), http: reqwest::Client::new(), account });
        }
        let laptop = Laptop::find("--url or PUSHWAY_URL").await?;
        Ok(Client {
            base: laptop.url("ApiUrl")?,
            http: pushway_local::loopback::client()?,
            account: laptop.account().await?,
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
        let mut url = self.address(path)?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let call = ApiCall { url, body: None, idempotency_key: None };
        read(&call, &self.account.ask(&self.http, &call).await?)
    }

    /// POST of an order. It is given again while no answer comes: its key makes it the same order.
    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        path: &[impl AsRef<str>],
        body: &impl Serialize,
    ) -> anyhow::Result<T> {
        let mut key = [0; 16];
        getrandom::fill(&mut key).map_err(|error| anyhow::anyhow!("read randomness: {error}"))?;
        let call = ApiCall {
            url: self.address(path)?,
            body: Some(serde_json::to_string(body)?),
            idempotency_key: Some(hex::encode(key)),
        };
        let give = || self.account.ask(&self.http, &call);
        let answer = give
            .retry(ExponentialBuilder::default().with_jitter().with_max_times(MAX_TRIES - 1))
            .when(|fault| matches!(fault, Fault::Retryable(_)))
            .await?;
        read(&call, &answer)
    }

    fn address(&self, path: &[impl AsRef<str>]) -> anyhow::Result<Url> {
        let mut url = self.base.clone();
        url.path_segments_mut()
            .map_err(|()| anyhow::anyhow!("{} can't be an API's address", self.base))?
            .pop_if_empty()
            .extend(path);
        Ok(url)
    }
}

fn read<T: DeserializeOwned>(call: &ApiCall, answer: &ApiAnswer) -> anyhow::Result<T> {
    if !(200..300).contains(&answer.status) {
        let detail = serde_json::from_str::<Value>(&answer.body).ok();
        let detail =
            detail.as_ref().and_then(|problem| problem.get("detail").or(problem.get("message"))?.as_str());
        match answer.status {
            401 | 403 => bail!(
                "the API refused your AWS credentials ({}); they need execute-api:Invoke on it",
                answer.status
            ),
            status => bail!("the API answered {status}: {}", detail.unwrap_or("no reason given")),
        }
    }
    serde_json::from_str(&answer.body).with_context(|| format!("read the answer of {}", call.url))
}
