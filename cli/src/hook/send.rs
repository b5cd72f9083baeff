//! Sends one delivery of a git server: signed at the moment it is sent, since old signatures are refused.
//!
//! Says by whose fault it did not arrive, so that one bad delivery keeps no other back.

use std::time::Duration;

use anyhow::Context as _;
use pushway_aws::account::chain;
use pushway_core::delivery::git::headers;
use pushway_core::fact::bounded;
use pushway_core::signature::{Secret, sign_standard};
use reqwest::StatusCode;
use serde_json::Value;

use super::config::Config;
use super::spool::{Deliver, Delivery, Undelivered};

/// For one delivery and its answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What sends deliveries of one repository.
pub(super) struct Sender {
    config: Config,
    secret: Secret,
    http: reqwest::Client,
}

impl Sender {
    pub(super) fn new(config: Config) -> anyhow::Result<Self> {
        let http = if config.url.scheme() == "http" {
            pushway_local::loopback::client()?
        } else {
            // An answer from elsewhere says nothing about the installation.
            let builder = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
            builder.build().context("build the http client")?
        };
        Ok(Self { secret: config.secret().context("the configured secret is empty")?, config, http })
    }
}

impl Deliver for Sender {
    async fn deliver(&self, delivery: &Delivery) -> Result<Value, Undelivered> {
        let timestamp = jiff::Timestamp::now().as_second().to_string();
        let body = delivery.body.as_bytes();
        let signature = sign_standard(&self.secret, delivery.id.as_str(), &timestamp, body);
        let request = self
            .http
            .post(self.config.url.clone())
            .timeout(TIMEOUT)
            .header("content-type", "application/json")
            .header(headers::ID, delivery.id.as_str())
            .header(headers::TIMESTAMP, &timestamp)
            .header(headers::SIGNATURE, signature)
            .body(delivery.body.clone());
        let unreachable = |error: reqwest::Error| Undelivered::Unreachable(chain(&error));
        let answer = request.send().await.map_err(unreachable)?;
        let status = answer.status();
        let text = answer.text().await.map_err(unreachable)?;
        if status.is_success() {
            return Ok(serde_json::from_str(&text).unwrap_or(Value::String(text)));
        }
        let why = format!("{status}: {}", bounded(&text, 500));
        Err(match status {
            // The delivery itself is bad, and stays so.
            StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE => Undelivered::Refused(why),
            // The rest can be mended: a secret, an address, the installation.
            _ => Undelivered::Later(why),
        })
    }
}
