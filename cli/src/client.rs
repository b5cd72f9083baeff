//! Asking the installation's API: which one, and with whose credentials.
//!
//! The address comes from the command line, the environment, a profile of the user's or the laptop engine of this
//! folder, never from a repository's own files (row A47). A token is sent as bearer; without one, requests are signed
//! with AWS credentials.

use std::time::Duration;

use anyhow::{Context as _, bail};
use backon::{ExponentialBuilder, Retryable as _};
use clap::ArgMatches;
use clap::parser::ValueSource;
use pushway_aws::account::{Account, ApiAnswer, ApiCall};
use pushway_core::ports::Fault;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use url::Url;

use crate::installation::{Laptop, no_installation};
use crate::output;
use crate::profile::{self, Profile};

/// What the paths of signed requests begin with.
const SIGNED: &str = "iam";
/// How often a question or an order is given at most while no answer comes, or only one that it can't be done now.
const MAX_TRIES: usize = 4;
/// Between the first two tries; later ones are further apart.
const FIRST_PAUSE: Duration = Duration::from_millis(300);

/// Which installation is asked, and how one signs in to it.
#[derive(clap::Args)]
pub(crate) struct At {
    /// Address of the API: output ApiUrl of the installation's stack. Without it and a profile, the laptop engine of
    /// this folder is asked, and without that the profile `default`.
    #[arg(long, global = true, env = "PUSHWAY_URL", hide_env_values = true, value_name = "URL")]
    pub(crate) url: Option<Url>,
    /// Profile that holds address and token; `pushway login` makes one.
    #[arg(long, global = true, env = "PUSHWAY_PROFILE", hide_env_values = true, value_name = "NAME")]
    pub(crate) profile: Option<String>,
    /// Which of the two stand on the command line: those go before the environment's.
    #[arg(skip)]
    is_flag: IsFlag,
    /// API token, for machines that keep it in their environment.
    #[arg(skip = std::env::var("PUSHWAY_TOKEN").ok().filter(|token| !token.is_empty()))]
    token: Option<String>,
}

#[derive(Debug, Clone, Copy, Default)]
struct IsFlag {
    url: bool,
    profile: bool,
}

/// A client of one installation's API.
pub(crate) struct Client {
    base: Url,
    /// What named it, in words.
    named_by: String,
    http: reqwest::Client,
    sign_in: SignIn,
}

/// How one says who one is.
enum SignIn {
    Token(String),
    Aws(Box<Account>),
}

/// Nobody answered, or only to say that it can't be done now: later the same question may get its answer.
#[derive(Debug)]
pub(crate) struct Unanswered(String);

impl std::fmt::Display for Unanswered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unanswered {}

impl At {
    /// Notes what stands on the command line.
    pub(crate) fn note_flags(&mut self, words: &ArgMatches) {
        let stands = |name| words.value_source(name) == Some(ValueSource::CommandLine);
        self.is_flag = IsFlag { url: stands("url"), profile: stands("profile") };
    }

    /// The client for the installation that is meant.
    pub(crate) async fn client(&self) -> anyhow::Result<Client> {
        match (&self.url, &self.profile) {
            (Some(_), Some(name)) if self.is_flag.url == self.is_flag.profile => {
                let [url, profile] = if self.is_flag.url {
                    ["--url", "--profile"]
                } else {
                    ["PUSHWAY_URL", "PUSHWAY_PROFILE"]
                };
                bail!("both {url} and {profile} ({name}) name an installation; give one of them");
            }
            (Some(url), _) if self.is_flag.url || self.profile.is_none() => {
                let named_by = if self.is_flag.url { "--url" } else { "PUSHWAY_URL" };
                self.remote(named_by.into(), url.clone(), self.token.clone()).await
            }
            (_, Some(name)) => self.of_profile(name, profile::named(name)?).await,
            (_, None) => {
                if let Some(laptop) = Laptop::here().await? {
                    return self.local(&laptop).await;
                }
                let nowhere = || no_installation("--url, --profile, PUSHWAY_URL or PUSHWAY_PROFILE");
                self.of_profile(profile::DEFAULT, profile::default()?.ok_or_else(nowhere)?).await
            }
        }
    }

    async fn local(&self, laptop: &Laptop) -> anyhow::Result<Client> {
        let sign_in = match &self.token {
            Some(token) => SignIn::Token(token.clone()),
            None => SignIn::Aws(Box::new(laptop.account().await?)),
        };
        let (base, http) = (laptop.url("ApiUrl")?, pushway_local::loopback::client()?);
        Ok(Client { base, named_by: "the laptop engine of this folder".into(), http, sign_in })
    }

    async fn of_profile(&self, name: &str, profile: Profile) -> anyhow::Result<Client> {
        // The environment's token may be another installation's than the one that the command line names.
        let token = if self.is_flag.profile {
            profile.token.or_else(|| self.token.clone())
        } else {
            self.token.clone().or(profile.token)
        };
        self.remote(format!("profile {name}"), profile.url, token).await
    }

    async fn remote(&self, named_by: String, base: Url, token: Option<String>) -> anyhow::Result<Client> {
        profile::refuse_plain(&base)?;
        let sign_in = match token {
            Some(token) => SignIn::Token(token),
            None => SignIn::Aws(Box::new(Account::from_environment().await)),
        };
        let http = if base.scheme() == "http" {
            // It must not leave this machine: no other resolver is asked, and no proxy.
            pushway_local::loopback::client()?
        } else {
            // A redirect would carry the token elsewhere, and the API gives none.
            reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build()?
        };
        Ok(Client { base, named_by, http, sign_in })
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
        self.ask(&ApiCall { url, body: None, idempotency_key: None }).await
    }

    /// POST of an order. Says who gets it. It may be given again: its key makes it the same order.
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
        output::note(&format!("to {} ({})", self.base, self.named_by));
        self.ask(&call).await
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

    async fn ask<T: DeserializeOwned>(&self, call: &ApiCall) -> anyhow::Result<T> {
        let patience = ExponentialBuilder::default()
            .with_min_delay(FIRST_PAUSE)
            .with_jitter()
            .with_max_times(MAX_TRIES - 1);
        let may_be_answered_later = |error: &anyhow::Error| error.is::<Unanswered>();
        let body = (|| self.ask_once(call)).retry(patience).when(may_be_answered_later).await?;
        serde_json::from_str(&body).with_context(|| format!("read the answer of {}", call.url))
    }

    /// The body of a good answer.
    async fn ask_once(&self, call: &ApiCall) -> anyhow::Result<String> {
        let answer = match &self.sign_in {
            SignIn::Aws(account) => account.ask(&self.http, call).await,
            SignIn::Token(token) => call.send(call.request(&self.http).bearer_auth(token)).await,
        };
        let answer = answer.map_err(|fault| match fault {
            Fault::Retryable(words) => Unanswered(words).into(),
            fault => anyhow::Error::new(fault),
        })?;
        match answer.status {
            200..300 => Ok(answer.body),
            429 | 500.. => Err(Unanswered(self.refusal(&answer)).into()),
            _ => bail!("{}", self.refusal(&answer)),
        }
    }

    fn refusal(&self, answer: &ApiAnswer) -> String {
        let detail = serde_json::from_str::<Value>(&answer.body).ok();
        let detail =
            detail.as_ref().and_then(|problem| problem.get("detail").or(problem.get("message"))?.as_str());
        let (status, detail) = (answer.status, detail.unwrap_or("no reason given"));
        match (status, &self.sign_in) {
            (401 | 403, SignIn::Aws(_)) => format!(
                "the API refused your AWS credentials ({status}: {detail}); they need execute-api:Invoke on it"
            ),
            _ => format!("the API answered {status}: {detail}"),
        }
    }
}
