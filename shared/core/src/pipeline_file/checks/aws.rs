//! Checks that look at AWS: targets, alarms, figures made of metrics.

use std::collections::BTreeMap;

use super::http::counts;
use crate::pipeline_file::expression::Scope;
use crate::pipeline_file::limits::{
    DEFAULT_LOOK_SECONDS, INTERVAL_SECONDS, MAX_DIMENSIONS, MAX_HEALTHY, MAX_METRIC_NAME_BYTES, MAX_QUERIES,
};
use crate::pipeline_file::reader::{Fields, Reader};
use crate::pipeline_file::watch::alarms;
use crate::pipeline_file::yaml::{Entry, MAX_TEXT_BYTES, Node, Value};
use crate::pipeline_file::{keys, messages};
use crate::plan::{AlarmsCheck, Bound, EcsCheck, Looks, Measure, Metric, MetricSource, MetricsCheck};

pub(super) fn ecs(reader: &mut Reader<'_>, node: &Node) -> Option<EcsCheck> {
    let fields = reader.fields(node, &keys::ECS_CHECK)?;
    let healthy = fields.get("healthy").and_then(|node| reader.integer(node, "healthy", 1..=MAX_HEALTHY));
    Some(EcsCheck { healthy: healthy.unwrap_or(1), looks: looks(reader, &fields) })
}

pub(super) fn alarms_check(reader: &mut Reader<'_>, node: &Node, scope: Scope<'_>) -> Option<AlarmsCheck> {
    let fields = reader.fields(node, &keys::ALARMS)?;
    let names =
        reader.required(&fields, "names", "[web-5xx]").map(|node| alarms(reader, node, "names", scope));
    let looks = looks(reader, &fields);
    Some(AlarmsCheck { names: names?, looks })
}

pub(super) fn metrics(reader: &mut Reader<'_>, node: &Node, scope: Scope<'_>) -> Option<MetricsCheck> {
    let fields = reader.fields(node, &keys::METRICS)?;
    let measure = measure_of(reader, node, &fields, scope);
    let looks = looks(reader, &fields);
    Some(MetricsCheck { measure: measure?, looks })
}

/// A figure without looks of its own, as a watch has it.
pub(in crate::pipeline_file) fn measure(
    reader: &mut Reader<'_>,
    node: &Node,
    scope: Scope<'_>,
) -> Option<Measure> {
    let fields = reader.fields(node, &keys::MEASURE)?;
    measure_of(reader, node, &fields, scope)
}

fn looks(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Looks {
    let (attempts, need) = counts(reader, fields);
    let interval = fields.get("interval").and_then(|node| reader.seconds(node, "interval", INTERVAL_SECONDS));
    let interval_seconds =
        interval.and_then(|seconds| u16::try_from(seconds).ok()).unwrap_or(DEFAULT_LOOK_SECONDS);
    Looks { attempts, need, interval_seconds }
}

fn measure_of(
    reader: &mut Reader<'_>,
    node: &Node,
    fields: &Fields<'_>,
    scope: Scope<'_>,
) -> Option<Measure> {
    let queries = fields.get("queries").map(|node| queries(reader, node, scope)).unwrap_or_default();
    let expression = reader
        .required(fields, "expression", "\"100 * errors / requests\"")
        .and_then(|node| text(reader, node, "expression", scope));
    let baseline = fields.get("baseline").map(|node| text(reader, node, "baseline", scope));
    let bound = match (fields.get("below"), fields.get("above")) {
        (Some(node), None) => number(reader, node, "below").map(Bound::Below),
        (None, Some(node)) => number(reader, node, "above").map(Bound::Above),
        _ => reader.fail(node.at, messages::one_bound()),
    };
    Some(Measure { queries, expression: expression?, baseline: baseline.flatten(), bound: bound? })
}

fn text(reader: &mut Reader<'_>, node: &Node, key: &str, scope: Scope<'_>) -> Option<String> {
    let text = scope.text(reader, node, key, 2048)?;
    if text.trim().is_empty() {
        reader.fail(node.at, messages::none_given(key, "an expression"))
    } else {
        Some(text)
    }
}

/// A number that is compared with, kept as it was written.
fn number(reader: &mut Reader<'_>, node: &Node, key: &str) -> Option<String> {
    match &node.value {
        Value::Integer(number) => return Some(number.to_string()),
        Value::Text(text) if text.len() <= 40 && text.parse::<f64>().is_ok_and(f64::is_finite) => {
            return Some(text.clone());
        }
        _ => {}
    }
    reader.fail(node.at, messages::not_a_number(key))
}

fn queries(reader: &mut Reader<'_>, node: &Node, scope: Scope<'_>) -> BTreeMap<String, MetricSource> {
    let mut queries = BTreeMap::new();
    for entry in reader.entries(node, "queries", MAX_QUERIES).unwrap_or_default() {
        let source = match &entry.value.value {
            Value::Map(_) => metric(reader, &entry.value, scope).map(MetricSource::Metric),
            _ => text(reader, &entry.value, "queries", scope).map(MetricSource::Expression),
        };
        if let (Some(id), Some(source)) = (query_id(reader, entry), source) {
            queries.insert(id, source);
        }
    }
    queries
}

/// A query's name (`CloudWatch` API Reference, `MetricDataQuery`, `Id`); Pushway's own begin with its name.
fn query_id(reader: &mut Reader<'_>, entry: &Entry) -> Option<String> {
    let id = entry.key.as_str();
    let is_id = (1..=50).contains(&id.len())
        && id.starts_with(|c: char| c.is_ascii_lowercase())
        && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && !id.starts_with("pushway");
    if is_id { Some(id.to_owned()) } else { reader.fail(entry.at, messages::bad_query_name(id)) }
}

fn metric(reader: &mut Reader<'_>, node: &Node, scope: Scope<'_>) -> Option<Metric> {
    let fields = reader.fields(node, &keys::QUERY)?;
    let mut name = |key, example| {
        reader
            .required(&fields, key, example)
            .and_then(|node| scope.text(reader, node, key, MAX_METRIC_NAME_BYTES))
    };
    let (namespace, metric) = (name("namespace", "AWS/ECS"), name("name", "CPUUtilization"));
    let statistic = fields
        .get("statistic")
        .map_or(Some("Average".to_owned()), |node| Some(reader.text(node, "statistic", 20)?.to_owned()));
    let mut dimensions = BTreeMap::new();
    let written =
        fields.get("dimensions").and_then(|node| reader.entries(node, "dimensions", MAX_DIMENSIONS));
    for entry in written.unwrap_or_default() {
        if let Some(value) = scope.text(reader, &entry.value, &entry.key, MAX_TEXT_BYTES.min(1024)) {
            dimensions.insert(entry.key.clone(), value);
        }
    }
    Some(Metric { namespace: namespace?, name: metric?, statistic: statistic?, dimensions })
}
