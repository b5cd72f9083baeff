//! What metrics are to say, as the plan keeps it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A figure made of metrics, and its bound.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Measure {
    /// Metrics and expressions by the names that expressions use.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub queries: BTreeMap<String, MetricSource>,
    /// The figure: metric math, a search, or the name of a query.
    pub expression: String,
    /// What it is divided by, where the ratio of two versions counts and not the figure itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline: Option<String>,
    /// What it must be.
    #[serde(flatten)]
    pub bound: Bound,
}

/// Where values come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MetricSource {
    /// A metric of `CloudWatch`.
    Metric(Metric),
    /// Metric math over the other queries, or a search.
    Expression(String),
}

/// A metric of `CloudWatch`, by the minute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Metric {
    /// Its namespace, such as `AWS/ECS`.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// How the values of a minute become one: `Average`, `Sum`, `p95`.
    pub statistic: String,
    /// Its dimensions, all of them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub dimensions: BTreeMap<String, String>,
}

/// What a figure must be; a decimal number as text, so that plans can be compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    /// Less than this.
    Below(String),
    /// More than this.
    Above(String),
}

impl Bound {
    /// Whether a figure is as it must be.
    pub fn holds(&self, figure: f64) -> bool {
        // A figure that is no number is neither.
        let number = |text: &str| text.parse::<f64>().unwrap_or(f64::NAN);
        match self {
            Self::Below(bound) => figure < number(bound),
            Self::Above(bound) => figure > number(bound),
        }
    }
}

impl std::fmt::Display for Bound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Below(bound) => write!(f, "below {bound}"),
            Self::Above(bound) => write!(f, "above {bound}"),
        }
    }
}
