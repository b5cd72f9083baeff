//! `CloudWatch`: alarms by name, values of metrics by the minute.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{
    AlarmType, CompositeAlarm, Dimension, Metric, MetricAlarm, MetricDataQuery, MetricDataResult, MetricStat,
    ScanBy, StateValue,
};
use jiff::{SignedDuration, Timestamp};
use pushway_core::plan::{MetricSource, Place};
use pushway_core::ports::{Answer, ReadAlarms, ReadMetrics};
use pushway_core::views::{AlarmState, AlarmView, MetricQuery, MetricSeries};

use crate::Aws;
use crate::errors::fault;
use crate::time::timestamp;

/// Values by the minute: what every metric of AWS has.
const PERIOD_SECONDS: i32 = 60;
/// Pages of values that are read: one holds 100,800 (API Reference, `GetMetricData`), more than any watch asks for.
const MAX_PAGES: usize = 5;

impl ReadAlarms for Aws {
    async fn alarms(&self, place: &Place, names: &[String]) -> Answer<Vec<AlarmView>> {
        let answer = self
            .at(place)
            .cloudwatch
            .describe_alarms()
            .set_alarm_names(Some(names.to_vec()))
            // Without it composite alarms are left out (API Reference, `DescribeAlarms`).
            .alarm_types(AlarmType::CompositeAlarm)
            .alarm_types(AlarmType::MetricAlarm)
            .max_records(100)
            .send()
            .await
            .map_err(|error| fault("cloudwatch DescribeAlarms", &error))?;
        let metric = answer.metric_alarms().iter().filter_map(of_metric);
        Ok(metric.chain(answer.composite_alarms().iter().filter_map(composite)).collect())
    }
}

fn of_metric(alarm: &MetricAlarm) -> Option<AlarmView> {
    view(alarm.alarm_name(), alarm.state_value(), alarm.state_reason())
}

fn composite(alarm: &CompositeAlarm) -> Option<AlarmView> {
    view(alarm.alarm_name(), alarm.state_value(), alarm.state_reason())
}

fn view(name: Option<&str>, state: Option<&StateValue>, reason: Option<&str>) -> Option<AlarmView> {
    let state = match state {
        Some(StateValue::Ok) => AlarmState::Ok,
        Some(StateValue::Alarm) => AlarmState::Alarm,
        _ => AlarmState::InsufficientData,
    };
    Some(AlarmView { name: name?.to_owned(), state, reason: reason.unwrap_or_default().to_owned() })
}

impl ReadMetrics for Aws {
    async fn metrics(
        &self,
        place: &Place,
        queries: &[MetricQuery],
        since: Timestamp,
        until: Timestamp,
    ) -> Answer<Vec<MetricSeries>> {
        // A minute that has just begun is asked for in vain, but an empty span of time is refused.
        let until = until.max(since + SignedDuration::from_secs(i64::from(PERIOD_SECONDS)));
        let cloudwatch = self.at(place).cloudwatch;
        let asked: Vec<MetricDataQuery> = queries.iter().map(query).collect();
        // A search gives several series of one id, told apart by their labels.
        let mut found: BTreeMap<(String, String), MetricSeries> = BTreeMap::new();
        let mut next = None;
        for _ in 0..MAX_PAGES {
            let answer = cloudwatch
                .get_metric_data()
                .set_metric_data_queries(Some(asked.clone()))
                .start_time(DateTime::from_secs(since.as_second()))
                .end_time(DateTime::from_secs(until.as_second()))
                .scan_by(ScanBy::TimestampDescending)
                .set_next_token(next)
                .send()
                .await
                .map_err(|error| fault("cloudwatch GetMetricData", &error))?;
            for result in answer.metric_data_results() {
                let Some(told) = series(result) else { continue };
                let key = (told.id.clone(), result.label().unwrap_or_default().to_owned());
                match found.entry(key) {
                    Entry::Occupied(mut known) => known.get_mut().points.extend(told.points),
                    Entry::Vacant(free) => drop(free.insert(told)),
                }
            }
            next = answer.next_token;
            if next.is_none() {
                break;
            }
        }
        // The newest values come first, so what is beyond the last page decides nothing.
        Ok(found.into_values().collect())
    }
}

fn query(query: &MetricQuery) -> MetricDataQuery {
    let asked = MetricDataQuery::builder().id(&query.id).return_data(query.is_wanted);
    match &query.source {
        MetricSource::Expression(expression) => asked.expression(expression).period(PERIOD_SECONDS).build(),
        MetricSource::Metric(wanted) => {
            let dimension =
                |(name, value): (&String, &String)| Dimension::builder().name(name).value(value).build();
            let metric = Metric::builder()
                .namespace(&wanted.namespace)
                .metric_name(&wanted.name)
                .set_dimensions(Some(wanted.dimensions.iter().map(dimension).collect()))
                .build();
            let statistic =
                MetricStat::builder().metric(metric).period(PERIOD_SECONDS).stat(&wanted.statistic);
            asked.metric_stat(statistic.build()).build()
        }
    }
}

fn series(result: &MetricDataResult) -> Option<MetricSeries> {
    let times = result.timestamps().iter().map(timestamp);
    let points = times.zip(result.values()).filter_map(|(at, value)| Some((at?, *value)));
    Some(MetricSeries { id: result.id.clone()?, points: points.collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_a_metric_with_all_its_dimensions_or_an_expression() {
        let source: MetricSource = serde_json::from_value(serde_json::json!({ "metric": {
            "namespace": "AWS/ECS", "name": "CPUUtilization", "statistic": "p90",
            "dimensions": { "ClusterName": "demo", "ServiceName": "web" },
        } }))
        .unwrap();
        let asked = query(&MetricQuery { id: "cpu".into(), source, is_wanted: false });
        let stat = asked.metric_stat.as_ref().unwrap();
        assert_eq!((asked.id(), asked.return_data, asked.expression()), (Some("cpu"), Some(false), None));
        assert_eq!((stat.stat(), stat.period()), (Some("p90"), Some(60)));
        let dimensions = stat.metric.as_ref().unwrap().dimensions();
        let dimensions: Vec<_> = dimensions.iter().map(|d| (d.name().unwrap(), d.value().unwrap())).collect();
        assert_eq!(dimensions, [("ClusterName", "demo"), ("ServiceName", "web")]);
        let source = MetricSource::Expression("cpu / 2".into());
        let asked = query(&MetricQuery { id: "half".into(), source, is_wanted: true });
        assert_eq!((asked.expression(), asked.return_data), (Some("cpu / 2"), Some(true)));
    }

    #[test]
    fn values_are_read_with_their_times() {
        let result = MetricDataResult::builder()
            .id("cpu")
            .timestamps(DateTime::from_secs(120))
            .timestamps(DateTime::from_secs(60))
            .values(2.0)
            .values(1.5)
            .build();
        let at = |second| Timestamp::from_second(second).unwrap();
        let wanted = MetricSeries { id: "cpu".into(), points: vec![(at(120), 2.0), (at(60), 1.5)] };
        assert_eq!(series(&result), Some(wanted));
    }
}
