//! `CloudWatch` in memory: alarms and metrics as a test says; and the targets of load
//! balancers.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::World;
use crate::plan::{MetricSource, Place};
use crate::ports::{Answer, ReadAlarms, ReadMetrics, ReadTargetHealth};
use crate::views::{
    AlarmState, AlarmView, MetricQuery, MetricSeries, ServiceRef, TargetGroupView, TargetHealth, TargetView,
};

#[derive(Debug, Default)]
pub(super) struct CloudWatch {
    /// By name: its states, each from a time on.
    alarms: BTreeMap<String, Vec<(Timestamp, AlarmState)>>,
    /// Values by a query's metric or expression, each from a time on.
    metrics: BTreeMap<String, Vec<(Timestamp, Option<f64>)>>,
    /// By service: the health of its targets, each from a time on.
    targets: BTreeMap<String, Vec<(Timestamp, Vec<TargetHealth>)>>,
}

/// What a series is from a time on, at this time.
fn at<T: Clone>(series: &[(Timestamp, T)], now: Timestamp) -> Option<T> {
    let due = series.iter().filter(|(at, _)| *at <= now);
    due.max_by_key(|(at, _)| *at).map(|(_, value)| value.clone())
}

impl World {
    /// Puts an alarm into a state that it takes so long from now; one that is not known is created.
    pub fn set_alarm(&self, name: &str, after: SignedDuration, alarm: AlarmState) {
        let mut state = self.lock();
        let at = state.now + after;
        state.cloudwatch.alarms.entry(name.to_owned()).or_default().push((at, alarm));
    }

    /// Lets a metric, by its name or expression, have this value from so long from now on, or none.
    pub fn set_metric(&self, name: &str, after: SignedDuration, value: Option<f64>) {
        let mut state = self.lock();
        let at = state.now + after;
        state.cloudwatch.metrics.entry(name.to_owned()).or_default().push((at, value));
    }

    /// Lets a service have targets of this health from so long from now on.
    pub fn set_targets(&self, service: &str, after: SignedDuration, targets: &[TargetHealth]) {
        let mut state = self.lock();
        let at = state.now + after;
        state.cloudwatch.targets.entry(service.to_owned()).or_default().push((at, targets.to_vec()));
    }
}

impl ReadAlarms for World {
    async fn alarms(&self, _: &Place, names: &[String]) -> Answer<Vec<AlarmView>> {
        self.call("alarms", names.join(" "), |state| {
            let view = |name: &String| {
                let states = state.cloudwatch.alarms.get(name)?;
                let now = at(states, state.now)?;
                Some(AlarmView { name: name.clone(), state: now, reason: "Threshold Crossed".into() })
            };
            Ok(names.iter().filter_map(view).collect())
        })
        .await
    }
}

impl ReadMetrics for World {
    async fn metrics(
        &self,
        _: &Place,
        queries: &[MetricQuery],
        since: Timestamp,
        until: Timestamp,
    ) -> Answer<Vec<MetricSeries>> {
        let about = queries.iter().map(|query| query.id.as_str()).collect::<Vec<_>>().join(" ");
        self.call("metrics", about, |state| {
            // A minute shows once it is over.
            let first = since.as_second().div_euclid(60) + i64::from(since.as_second() % 60 != 0);
            let last = until.as_second().div_euclid(60) - 1;
            let minutes: Vec<Timestamp> =
                (first..=last).filter_map(|minute| Timestamp::from_second(minute * 60).ok()).collect();
            let series = |query: &MetricQuery| {
                let name = match &query.source {
                    MetricSource::Metric(metric) => &metric.name,
                    MetricSource::Expression(expression) => expression,
                };
                let name = searched(name).unwrap_or(name);
                let known = state.cloudwatch.metrics.get(name).map(Vec::as_slice).unwrap_or_default();
                let point = |minute: &Timestamp| Some((*minute, at(known, *minute).flatten()?));
                MetricSeries { id: query.id.clone(), points: minutes.iter().filter_map(point).collect() }
            };
            Ok(queries.iter().filter(|query| query.is_wanted).map(series).collect())
        })
        .await
    }
}

/// The metric that a search is for.
fn searched(expression: &str) -> Option<&str> {
    let (_, rest) = expression.strip_prefix("SEARCH(")?.split_once("MetricName=\"")?;
    rest.split('"').next()
}

impl ReadTargetHealth for World {
    async fn targets(&self, service: &ServiceRef) -> Answer<Vec<TargetGroupView>> {
        let name = service.service.rsplit('/').next().unwrap_or_default().to_owned();
        self.call("targets", &service.service, |state| {
            let known = state.cloudwatch.targets.get(&name).and_then(|known| at(known, state.now));
            let view = |(number, health): (usize, TargetHealth)| TargetView {
                id: format!("10.0.0.{number}"),
                health,
                reason: "Health checks failed with these codes: [502]".into(),
            };
            let prefix = "arn:aws:elasticloadbalancing:eu-central-1:000000000000";
            Ok(known
                .map(|targets| TargetGroupView {
                    arn: format!("{prefix}:targetgroup/{name}/1"),
                    balancer: Some(format!("{prefix}:loadbalancer/app/{name}/2")),
                    targets: targets.into_iter().enumerate().map(view).collect(),
                })
                .into_iter()
                .collect())
        })
        .await
    }
}
