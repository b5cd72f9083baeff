//! What is watched after the checks, as the plan keeps it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Measure;

/// A watch over an environment. That tasks of the new version go on is always part of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WatchPlan {
    /// For how long, in seconds.
    pub for_seconds: u32,
    /// Names of alarms of `CloudWatch` that must not ring.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alarms: Vec<String>,
    /// Figures made of metrics that must be as they must be.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub metrics: Vec<Measure>,
    /// The most of its reserved CPU that the service may use, in percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<u8>,
    /// The most of its reserved memory that the service may use, in percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<u8>,
    /// The share of errors 5xx among the targets' answers that is too much, in percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_5xx: Option<u8>,
    /// What Container Insights tells, where the cluster has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container_insights: Option<InsightsPlan>,
}

/// What is watched of Container Insights' figures.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct InsightsPlan {
    /// How many restarts of a container inside a running task, by its policy, are too many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restarts: Option<u8>,
    /// The most of its CPU that the busiest task may use, in percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<u8>,
    /// The most of its memory that the busiest task may use, in percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<u8>,
}
