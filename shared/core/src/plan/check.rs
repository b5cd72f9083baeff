//! Checks of a deployed environment, as the plan keeps them.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::Url;

use super::{JobPlan, Measure};

/// A check of a deployed environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    /// Ask over HTTP.
    Http(Box<HttpCheck>),
    /// Look at the service's tasks and the targets of its load balancer.
    Ecs(EcsCheck),
    /// Look at alarms.
    Alarms(AlarmsCheck),
    /// Look at a figure made of metrics.
    Metrics(MetricsCheck),
    /// Run a job of its own.
    Job(Box<JobPlan>),
}

/// How often a check looks: it holds if `need` of at most `attempts` looks are good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Looks {
    /// How often to look at most, at least 1.
    pub attempts: u16,
    /// How many good looks are enough, 1 to `attempts`.
    pub need: u16,
    /// The pause between two looks, in seconds.
    pub interval_seconds: u16,
}

/// Every running task has the built images, and the targets of the service's load balancer are healthy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EcsCheck {
    /// How many targets of each group must be healthy at least.
    pub healthy: u16,
    /// How often to look.
    #[serde(flatten)]
    pub looks: Looks,
}

/// No alarm rings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AlarmsCheck {
    /// Names of alarms of `CloudWatch`.
    pub names: Vec<String>,
    /// How often to look.
    #[serde(flatten)]
    pub looks: Looks,
}

/// A figure made of metrics is as it must be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MetricsCheck {
    /// The figure and its bound.
    #[serde(flatten)]
    pub measure: Measure,
    /// How often to look.
    #[serde(flatten)]
    pub looks: Looks,
}

/// An HTTP probe: it holds if `need` of at most `attempts` answers are as wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HttpCheck {
    /// `http` or `https`, without user name and password.
    pub url: Url,
    /// The wanted status, 100 to 599.
    pub status: u16,
    /// A text that the body must contain.
    #[serde(default)]
    pub body_contains: Option<String>,
    /// Headers by their lower-case names, and a text that each must contain.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub header: BTreeMap<String, String>,
    /// Values in a body of JSON, by JSON pointers (RFC 6901).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub json: BTreeMap<String, String>,
    /// How fast the answers must be. With it every attempt is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<Latency>,
    /// What only the new version answers. With it the good answers must come in a row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<VersionProof>,
    /// Whether redirects are followed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub follow: bool,
    /// How often to ask at most, at least 1.
    pub attempts: u16,
    /// How many good answers are enough, 1 to `attempts`.
    pub need: u16,
    /// The pause between two attempts, in seconds.
    pub interval_seconds: u16,
    /// How long one attempt may take, in seconds.
    pub timeout_seconds: u16,
}

/// A bound on the time that answers take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Latency {
    /// Which of the times counts, 1 to 100: 95 means that 95 of 100 are as fast.
    pub percentile: u8,
    /// In milliseconds; the time must be below.
    pub below_millis: u32,
}

/// Where an answer shows which version gave it, and what the new one shows there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum VersionProof {
    /// In a header.
    Header {
        /// The header's lower-case name.
        name: String,
        /// Its value.
        equals: String,
    },
    /// In a body of JSON.
    Json {
        /// A JSON pointer.
        pointer: String,
        /// The value there.
        equals: String,
    },
}

impl Check {
    /// The longest time that the check can keep a function, in seconds: nobody waits for a job.
    pub fn longest_seconds(&self) -> u32 {
        match self {
            Self::Job(_) => 0,
            Self::Http(check) => check.longest_seconds(),
            Self::Ecs(check) => check.looks.longest_seconds(),
            Self::Alarms(check) => check.looks.longest_seconds(),
            Self::Metrics(check) => check.looks.longest_seconds(),
        }
    }
}

impl Looks {
    /// The longest time that all looks can take, in seconds: one is a call or two.
    fn longest_seconds(self) -> u32 {
        u32::from(self.attempts).saturating_mul(u32::from(self.interval_seconds) + 1)
    }
}

impl HttpCheck {
    /// The longest time that the whole check can take, in seconds.
    pub fn longest_seconds(&self) -> u32 {
        u32::from(self.attempts)
            .saturating_mul(u32::from(self.interval_seconds) + u32::from(self.timeout_seconds))
    }
}
