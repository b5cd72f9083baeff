//! The ports of `pushway-core` on AWS, one file per service.
//!
//! The only crate that names the AWS SDK. It translates: a port's verb into calls, answers into views,
//! errors into `Fault`. It decides nothing about runs; what it can't translate it reports with the call's
//! name, the service's code and message.

pub mod account;
mod announce;
mod artifacts;
mod buildspec;
mod canned;
mod clock;
mod cloudwatch;
mod codebuild;
mod codecommit;
mod creation;
mod definition_view;
mod dynamo;
mod ecr;
mod ecs;
mod ecs_deployments;
mod ecs_hooks;
mod elb;
mod errors;
mod forges;
mod guard;
mod guarded;
mod issuer;
pub mod lambda;
mod logs;
mod patience;
mod places;
mod probe;
mod raw;
mod schedules;
mod secrets;
pub mod settings;
mod sfn;
mod targets;
mod task_definition;
mod tasks;
mod time;
#[cfg(test)]
mod wire;

use std::sync::Arc;
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};

pub use dynamo::meter::Meter;
pub use settings::{BadSetting, Settings};

/// How long a connection may take to open.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// How long one attempt may take: the longest call is `UpdateService`, which may stop containers first.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(20);
/// How often a call is made at most, the first time included.
const MAX_ATTEMPTS: u32 = 3;

/// Every port on AWS. Cheap to clone; the clones share connections and caches.
#[derive(Clone, Debug)]
pub struct Aws {
    settings: Arc<Settings>,
    secrets: secrets::Cache,
    cursor_key: dynamo::sealing::Known,
    issuer_known: issuer::Known,
    meter: dynamo::meter::Metered,
    forges: pushway_forges::Connections,
    codebuild: aws_sdk_codebuild::Client,
    codecommit: aws_sdk_codecommit::Client,
    dynamodb: aws_sdk_dynamodb::Client,
    eventbridge: aws_sdk_eventbridge::Client,
    places: places::Places,
    registry: ecr::Registry,
    s3: aws_sdk_s3::Client,
    secretsmanager: aws_sdk_secretsmanager::Client,
    sfn: aws_sdk_sfn::Client,
    sns: aws_sdk_sns::Client,
}

impl Aws {
    /// Clients for the region and credentials that the process's environment names. Makes no call.
    pub async fn new(settings: Settings) -> Self {
        let config = aws_config::defaults(BehaviorVersion::latest()).load().await;
        Self::with_config(&config, settings)
    }

    /// Where runs have their pages, if the installation says so.
    pub fn pages(&self) -> Option<&str> {
        self.settings.pages.as_deref()
    }

    /// The same with a meter that counts what lists of runs cost; asking for the figures makes each answer longer.
    #[must_use]
    pub fn metered(self) -> (Self, Arc<Meter>) {
        let (metered, meter) = dynamo::meter::Metered::start();
        (Self { meter: metered, ..self }, meter)
    }

    /// Clients for a given configuration; timeouts and retries are Pushway's own.
    pub fn with_config(config: &SdkConfig, settings: Settings) -> Self {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .operation_attempt_timeout(ATTEMPT_TIMEOUT)
            .build();
        let config = config
            .to_builder()
            .timeout_config(timeouts)
            .retry_config(RetryConfig::standard().with_max_attempts(MAX_ATTEMPTS))
            .build();
        Self {
            settings: Arc::new(settings),
            secrets: secrets::Cache::default(),
            cursor_key: dynamo::sealing::Known::default(),
            issuer_known: issuer::Known::default(),
            meter: dynamo::meter::Metered::default(),
            forges: pushway_forges::Connections::default(),
            codebuild: aws_sdk_codebuild::Client::new(&config),
            codecommit: aws_sdk_codecommit::Client::new(&config),
            dynamodb: aws_sdk_dynamodb::Client::new(&config),
            eventbridge: aws_sdk_eventbridge::Client::new(&config),
            places: places::Places::new(&config),
            registry: ecr::Registry::new(&config),
            s3: artifacts::client(&config),
            secretsmanager: aws_sdk_secretsmanager::Client::new(&config),
            sfn: aws_sdk_sfn::Client::new(&config),
            sns: aws_sdk_sns::Client::new(&config),
        }
    }
}

impl pushway_core::ports::InsightSettings for Aws {
    fn prices(&self) -> &pushway_core::prices::Prices {
        &self.settings.prices
    }

    fn has_public_badges(&self) -> bool {
        self.settings.public_badges
    }
}
