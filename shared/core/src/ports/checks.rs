//! What checks ask of the world: answers over HTTP, alarms, metrics, the targets of load balancers.

use std::future::Future;

use jiff::Timestamp;

use super::Answer;
use crate::plan::Place;
use crate::views::{AlarmView, MetricQuery, MetricSeries, ServiceRef, TargetGroupView};

/// Reads alarms.
pub trait ReadAlarms: Sync {
    /// The alarms of these names, at most 100; one that does not exist is left out.
    fn alarms(&self, place: &Place, names: &[String]) -> impl Future<Output = Answer<Vec<AlarmView>>> + Send;
}

/// Reads metrics.
pub trait ReadMetrics: Sync {
    /// The values of the wanted queries by the minute, from `since` to `until`.
    fn metrics(
        &self,
        place: &Place,
        queries: &[MetricQuery],
        since: Timestamp,
        until: Timestamp,
    ) -> impl Future<Output = Answer<Vec<MetricSeries>>> + Send;
}

/// Reads the targets of load balancers.
pub trait ReadTargetHealth: Sync {
    /// The target groups that the service's tasks are in; none where it has no load balancer.
    fn targets(&self, at: &ServiceRef) -> impl Future<Output = Answer<Vec<TargetGroupView>>> + Send;
}

/// A GET that a check makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeRequest {
    /// The address.
    pub url: url::Url,
    /// How long it may take, redirects and body included.
    pub timeout: std::time::Duration,
    /// Whether redirects are followed, at most three.
    pub follows: bool,
}

/// What a probe saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Probed {
    /// An answer.
    Answer(ProbeAnswer),
    /// No answer, and why.
    Nothing(String),
    /// An address on the way may not be probed; it got no request.
    Refused(String),
}

/// An answer over HTTP, in the server's own words: whoever shows them must escape them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProbeAnswer {
    /// HTTP status code.
    pub status: u16,
    /// Headers by their lower-case names, bounded in number and length, lossily decoded.
    pub headers: Vec<(String, String)>,
    /// At most 64 KiB of the body, lossily decoded.
    pub body: String,
    /// Whether that is all of the body.
    pub is_whole: bool,
    /// How long it took from the first lookup to the last byte.
    pub took: std::time::Duration,
}

/// Probes addresses outside.
pub trait Probes: Sync {
    /// One request and its answer.
    fn probe(&self, request: &ProbeRequest) -> impl Future<Output = Probed> + Send;
    /// Waits between two probes.
    fn pause(&self, time: std::time::Duration) -> impl Future<Output = ()> + Send;
}
