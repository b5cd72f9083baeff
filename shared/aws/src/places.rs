//! Other accounts and regions: clients that have assumed a role, kept for each place.
//!
//! The role is assumed with the external id that it asks for, and with a source identity: the pipeline's
//! name, which every entry of the other account's trail then carries. Credentials are renewed by the SDK
//! before they end. Nothing is assumed before a client makes its first call.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use aws_config::{Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::future::ProvideCredentials as Provided;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use pushway_core::plan::Place;

use crate::Aws;

/// How many places are remembered: more than an installation has, few enough for a function's memory.
const MAX_PLACES: usize = 100;
/// Shows in the other account's trail who came.
const SESSION: &str = "pushway";

/// The services that a deploy uses in the place where its target lies.
#[derive(Clone, Debug)]
pub(crate) struct Clients {
    pub(crate) cloudwatch: aws_sdk_cloudwatch::Client,
    pub(crate) ecs: aws_sdk_ecs::Client,
    pub(crate) elb: aws_sdk_elasticloadbalancingv2::Client,
    pub(crate) eventbridge: aws_sdk_eventbridge::Client,
    pub(crate) logs: aws_sdk_cloudwatchlogs::Client,
    pub(crate) scheduler: aws_sdk_scheduler::Client,
}

impl Clients {
    pub(crate) fn new(config: &SdkConfig) -> Self {
        Self {
            cloudwatch: aws_sdk_cloudwatch::Client::new(config),
            ecs: aws_sdk_ecs::Client::new(config),
            elb: aws_sdk_elasticloadbalancingv2::Client::new(config),
            eventbridge: aws_sdk_eventbridge::Client::new(config),
            logs: aws_sdk_cloudwatchlogs::Client::new(config),
            scheduler: aws_sdk_scheduler::Client::new(config),
        }
    }
}

/// The clients of every place that was asked for so far.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    config: SdkConfig,
    own: Clients,
    others: Arc<Mutex<HashMap<Place, Clients>>>,
}

impl Places {
    pub(crate) fn new(config: &SdkConfig) -> Self {
        Self { config: config.clone(), own: Clients::new(config), others: Arc::default() }
    }

    fn at(&self, place: &Place) -> Clients {
        if place.is_own() {
            return self.own.clone();
        }
        let mut others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        if others.len() >= MAX_PLACES && !others.contains_key(place) {
            others.clear();
        }
        others.entry(place.clone()).or_insert_with(|| Clients::new(&self.config_for(place))).clone()
    }

    fn config_for(&self, place: &Place) -> SdkConfig {
        let mut config = self.config.to_builder();
        if let Some(region) = &place.region {
            config = config.region(Region::new(region.clone()));
        }
        if let Some(role) = &place.role {
            let assumed = AssumedRole {
                sts: aws_sdk_sts::Client::new(&self.config),
                role: role.clone(),
                external_id: place.external_id.clone(),
                source_identity: place.pipeline.as_ref().map(source_identity),
            };
            config = config.credentials_provider(SharedCredentialsProvider::new(assumed));
        }
        config.build()
    }
}

impl Aws {
    /// The clients of a place.
    pub(crate) fn at(&self, place: &Place) -> Clients {
        self.places.at(place)
    }
}

/// A source identity has at least two characters (AWS STS API Reference, `AssumeRole`), a pipeline's name
/// one.
fn source_identity(pipeline: &pushway_core::ids::PipelineName) -> String {
    match pipeline.as_str() {
        short if short.len() < 2 => format!("{short}_"),
        name => name.to_owned(),
    }
}

/// The SDK's own provider knows no source identity.
#[derive(Debug)]
struct AssumedRole {
    sts: aws_sdk_sts::Client,
    role: String,
    external_id: Option<String>,
    source_identity: Option<String>,
}

impl AssumedRole {
    async fn assume(&self) -> Result<Credentials, CredentialsError> {
        let answer = self
            .sts
            .assume_role()
            .role_arn(&self.role)
            .role_session_name(SESSION)
            .set_external_id(self.external_id.clone())
            .set_source_identity(self.source_identity.clone())
            .send()
            .await
            .map_err(CredentialsError::provider_error)?;
        let credentials = answer.credentials.ok_or_else(|| {
            CredentialsError::unhandled(format!("sts AssumeRole {}: no credentials came", self.role))
        })?;
        let expires = SystemTime::try_from(credentials.expiration).map_err(CredentialsError::unhandled)?;
        Ok(Credentials::new(
            credentials.access_key_id,
            credentials.secret_access_key,
            Some(credentials.session_token),
            Some(expires),
            "PushwayAssumedRole",
        ))
    }
}

impl ProvideCredentials for AssumedRole {
    fn provide_credentials<'a>(&'a self) -> Provided<'a>
    where
        Self: 'a,
    {
        Provided::new(self.assume())
    }
}
