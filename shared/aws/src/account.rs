//! What a person with AWS credentials does from a terminal: connect a repository, ask the API.
//!
//! Not a port: no function runs this. Requests to the API are signed (`SigV4`, service `execute-api`), which
//! is all the sign-in there is: who may invoke the API in AWS may read the history.

use std::time::{Duration, SystemTime};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials as _;
use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_secretsmanager::operation::create_secret::CreateSecretError;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use pushway_core::keys;
use pushway_core::ports::{Answer, Fault};
use pushway_core::signature::Secret;
use pushway_core::source::Hook;
use url::Url;

use crate::{Aws, Settings};

/// Longer than any function of the API may take.
const API_TIMEOUT: Duration = Duration::from_secs(30);

/// An AWS account as one person may use it.
#[derive(Clone, Debug)]
pub struct Account {
    config: SdkConfig,
}

/// An answer of the API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiAnswer {
    /// HTTP status.
    pub status: u16,
    /// The body, which is JSON if the API itself gave it.
    pub body: String,
}

impl Account {
    /// The account of the standard credential chain: environment, profile, role.
    pub async fn from_environment() -> Self {
        Self { config: aws_config::defaults(BehaviorVersion::latest()).load().await }
    }

    /// An emulator's account.
    pub async fn emulated(endpoint: &str, region: &str, credentials: Credentials) -> Self {
        let config = aws_config::defaults(BehaviorVersion::latest())
            .endpoint_url(endpoint)
            .region(Region::new(region.to_owned()))
            .credentials_provider(credentials)
            .load()
            .await;
        Self { config }
    }

    /// The ports on the installation's table.
    pub fn ports(&self, table: &str) -> Aws {
        Aws::with_config(&self.config, Settings::for_table(table))
    }

    /// Registers a hook in the installation's table, with the secret its deliveries are signed with. A
    /// secret that exists already is kept and given back: connecting again must not cut a forge off.
    pub async fn connect(&self, table: &str, hook: &Hook, fresh: Secret) -> Answer<Secret> {
        let secret = match &hook.secret {
            Some(name) => self.keep_secret(name, fresh).await?,
            None => fresh,
        };
        let key = keys::hook(hook.provider, hook.id.as_str());
        let data = serde_json::to_string(hook).map_err(|error| Fault::Permanent(error.to_string()))?;
        aws_sdk_dynamodb::Client::new(&self.config)
            .put_item()
            .table_name(table)
            .item("pk", AttributeValue::S(key.pk))
            .item("sk", AttributeValue::S(key.sk))
            .item("data", AttributeValue::S(data))
            .send()
            .await
            .map_err(|error| crate::errors::fault("dynamodb PutItem", &error))?;
        Ok(secret)
    }

    async fn keep_secret(&self, name: &str, fresh: Secret) -> Answer<Secret> {
        let client = aws_sdk_secretsmanager::Client::new(&self.config);
        let text =
            std::str::from_utf8(fresh.expose()).map_err(|error| Fault::Permanent(error.to_string()))?;
        let created = client.create_secret().name(name).secret_string(text).send().await;
        match created {
            Ok(_) => return Ok(fresh),
            Err(error)
                if error.as_service_error().is_some_and(CreateSecretError::is_resource_exists_exception) => {}
            Err(error) => return Err(crate::errors::fault("secretsmanager CreateSecret", &error)),
        }
        let known = client.get_secret_value().secret_id(name).send().await;
        let known = known.map_err(|error| crate::errors::fault("secretsmanager GetSecretValue", &error))?;
        let known = known.secret_string().and_then(Secret::new);
        known.ok_or_else(|| Fault::Permanent(format!("secret {name} is empty; delete it and connect again")))
    }

    /// Asks the API with a signed GET.
    pub async fn get(&self, http: &reqwest::Client, url: &Url) -> Answer<ApiAnswer> {
        let permanent = |error: &dyn std::fmt::Display| Fault::Permanent(error.to_string());
        let provider = self.config.credentials_provider();
        let provider = provider.ok_or_else(|| {
            Fault::Permanent("no AWS credentials are configured; see `aws configure`".into())
        })?;
        let credentials = provider.provide_credentials().await.map_err(|error| permanent(&error))?;
        let region = self.config.region().map_or("us-east-1", Region::as_ref);
        let identity = credentials.into();
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(region)
            .name("execute-api")
            .time(SystemTime::now())
            .settings(SigningSettings::default())
            .build()
            .map_err(|error| permanent(&error))?;
        let signable =
            SignableRequest::new("GET", url.as_str(), std::iter::empty(), SignableBody::Bytes(&[]))
                .map_err(|error| permanent(&error))?;
        let (instructions, _) =
            sign(signable, &parameters.into()).map_err(|error| permanent(&error))?.into_parts();
        let mut request = http.get(url.clone()).timeout(API_TIMEOUT);
        for (name, value) in instructions.headers() {
            request = request.header(name, value);
        }
        let answer = request.send().await.map_err(|error| Fault::Retryable(format!("GET {url}: {error}")))?;
        let status = answer.status().as_u16();
        let body = answer.text().await.map_err(|error| Fault::Retryable(format!("GET {url}: {error}")))?;
        Ok(ApiAnswer { status, body })
    }
}
