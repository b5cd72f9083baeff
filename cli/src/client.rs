//! Asking the installation's API: which one, and with whose credentials.
//!
//! The address comes from the command line, the environment, a profile of the user's or the laptop engine of this
//! folder, never from a repository's own files (row A47). A token is sent as bearer; without one, requests are signed
//! with AWS credentials.

use anyhow::{Context as _, bail};
use backon::{ExponentialBuilder, Retryable as _};
use pushway_aws::account::{Account, ApiAnswer, ApiCall};
use pushway_core::ports::{Answer, Fault};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use url::Url;

use crate::installation::Laptop;
use crate::profile::{self, Profile};

/// What the paths of signed requests begin with.
const SIGNED: &str = "iam";
/// How often an order is given at most while no answer comes.
const MAX_TRIES: usize = 3;

/// Which installation is asked, and how one signs in to it.
#[derive(clap::Args)]
pub(crate) struct At {
    /// Address of the API: output ApiUrl of the installation's stack. Without it and a profile, the laptop engine of
    /// this folder is asked.
    #[arg(long, global = true, env = "PUSHWAY_URL", hide_env_values = true, value_name = "URL")]
    pub(crate) url: Option<Url>,
    /// Profile that holds address and token; `pushway login` makes one.
    #[arg(long, global = true, env = "PUSHWAY_PROFILE", hide_env_values = true, value_name = "NAME")]
    pub(crate) profile: Option<String>,
    /// API token, for machines that keep it in their environment.
    #[arg(skip = std::env::var("PUSHWAY_TOKEN").ok().filter(|token| !token.is_empty()))]
    token: Option<String>,
}

/// A client of one installation's API.
pub(crate) struct Client {
    base: Url,
    http: reqwest::Client,
    sign_in: SignIn,
}

/// How one says who one is.
enum SignIn {
    Token(String),
    Aws(Box<Account>),
}

impl At {
    /// The client for the installation that is meant.
    pub(crate) async fn client(&self) -> anyhow::Result<Client> {
        if let Some(url) = &self.url {
            return self.remote(Profile { url: url.clone(), token: None }).await;
        }
        if let Some(name) = &self.profile {
            return self.remote(profile::named(name)?).await;
        }
        let laptop = match Laptop::find("--url, --profile, PUSHWAY_URL or PUSHWAY_PROFILE").await {
            Ok(laptop) => laptop,
            Err(nowhere) => return self.remote(profile::default()?.ok_or(nowhere)?).await,
        };
        let sign_in = match &self.token {
            Some(token) => SignIn::Token(token.clone()),
            None => SignIn::Aws(Box::new(laptop.account().await?)),
        };
        Ok(Client { base: laptop.url("ApiUrl")?, http: pushway_local::loopback::client()?, sign_in })
    }

    async fn remote(&self, profile: Profile) -> anyhow::Result<Client> {
        profile::refuse_plain(&profile.url)?;
        let sign_in = match self.token.clone().or(profile.token) {
            Some(token) => SignIn::Token(token),
            None => SignIn::Aws(Box::new(Account::from_environment().await)),
        };
        // A redirect would carry the token elsewhere, and the API gives none.
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build()?;
        Ok(Client { base: profile.url, http, sign_in })
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
        self.read(&call, &self.ask(&call).await?)
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
        let give = || self.ask(&call);
        let answer = give
            .retry(ExponentialBuilder::default().with_jitter().with_max_times(MAX_TRIES - 1))
            .when(|fault| matches!(fault, Fault::Retryable(_)))
            .await?;
        self.read(&call, &answer)
    }

    /// The address of a page of the dashboard.
    pub(crate) fn page(&self, path: &[&str]) -> anyhow::Result<Url> {
        self.at(None, path)
    }

    fn address(&self, path: &[impl AsRef<str>]) -> anyhow::Result<Url> {
        self.at(matches!(self.sign_in, SignIn::Aws(_)).then_some(SIGNED), path)
    }

    fn at(&self, prefix: Option<&str>, path: &[impl AsRef<str>]) -> anyhow::Result<Url> {
        let mut url = self.base.clone();
        url.path_segments_mut()
            .map_err(|()| anyhow::anyhow!("{} can't be an API's address", self.base))?
            .pop_if_empty()
            .extend(prefix)
            .extend(path);
        Ok(url)
    }

    async fn ask(&self, call: &ApiCall) -> Answer<ApiAnswer> {
        match &self.sign_in {
            SignIn::Aws(account) => account.ask(&self.http, call).await,
            SignIn::Token(token) => call.send(call.request(&self.http).bearer_auth(token)).await,
        }
    }

    fn read<T: DeserializeOwned>(&self, call: &ApiCall, answer: &ApiAnswer) -> anyhow::Result<T> {
        if (200..300).contains(&answer.status) {
            return serde_json::from_str(&answer.body)
                .with_context(|| format!("read the answer of {}", call.url));
        }
        let detail = serde_json::from_str::<Value>(&answer.body).ok();
        let detail =
            detail.as_ref().and_then(|problem| problem.get("detail").or(problem.get("message"))?.as_str());
        match (answer.status, &self.sign_in) {
            (401 | 403, SignIn::Aws(_)) => bail!(
                "the API refused your AWS credentials ({}); they need execute-api:Invoke on it",
                answer.status
            ),
            (status, _) => bail!("the API answered {status}: {}", detail.unwrap_or("no reason given")),
        }
    }
}
