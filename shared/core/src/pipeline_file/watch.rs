//! The watch over an environment: for how long, and by what.

use super::checks::measure;
use super::expression::Scope;
use super::limits::{MAX_ALARM_BYTES, MAX_ALARMS, MAX_MEASURES, WATCH_SECONDS};
use super::reader::{Fields, Reader};
use super::yaml::Node;
use super::{keys, messages};
use crate::plan::{InsightsPlan, WatchPlan};

pub(super) fn watch(reader: &mut Reader<'_>, node: &Node, scope: Scope<'_>) -> Option<WatchPlan> {
    let fields = reader.fields(node, &keys::WATCH)?;
    let seconds =
        reader.required(&fields, "for", "5m").and_then(|node| reader.seconds(node, "for", WATCH_SECONDS));
    let names = fields.get("alarms").map(|node| alarms(reader, node, "alarms", scope)).unwrap_or_default();
    let mut metrics = Vec::new();
    if let Some(node) = fields.get("metrics") {
        let items = reader.list(node, "metrics", MAX_MEASURES).unwrap_or_default();
        metrics.extend(items.iter().filter_map(|item| measure(reader, item, scope)));
    }
    let [cpu, memory, target_5xx] = ["cpu", "memory", "target_5xx"].map(|key| small(reader, &fields, key));
    let container_insights = fields.get("container_insights").and_then(|node| insights(reader, node));
    Some(WatchPlan {
        for_seconds: seconds?,
        alarms: names,
        metrics,
        cpu,
        memory,
        target_5xx,
        container_insights,
    })
}

const KEYS: [&str; 3] = ["restarts", "cpu", "memory"];

fn insights(reader: &mut Reader<'_>, node: &Node) -> Option<InsightsPlan> {
    let fields = reader.fields(node, &keys::CONTAINER_INSIGHTS)?;
    let [restarts, cpu, memory] = KEYS.map(|key| small(reader, &fields, key));
    if KEYS.iter().all(|key| fields.get(key).is_none()) && !fields.are_foreign() {
        reader.report(node.at, messages::none_given("container_insights", "`restarts`, `cpu` or `memory`"));
    }
    Some(InsightsPlan { restarts, cpu, memory })
}

/// A number from 1 to 100.
fn small(reader: &mut Reader<'_>, fields: &Fields<'_>, key: &str) -> Option<u8> {
    let number = fields.get(key).and_then(|node| reader.integer(node, key, 1..=100));
    number.and_then(|number| u8::try_from(number).ok())
}

/// Names of alarms.
pub(super) fn alarms(reader: &mut Reader<'_>, node: &Node, key: &str, scope: Scope<'_>) -> Vec<String> {
    let Some(items) = reader.list(node, key, MAX_ALARMS) else { return Vec::new() };
    if items.is_empty() {
        reader.report(node.at, messages::none_given(key, "the name of an alarm"));
    }
    items.iter().filter_map(|item| alarm(reader, item, key, scope)).collect()
}

fn alarm(reader: &mut Reader<'_>, node: &Node, key: &str, scope: Scope<'_>) -> Option<String> {
    let name = scope.text(reader, node, key, MAX_ALARM_BYTES)?;
    let is_name = !name.is_empty() && !name.starts_with("arn:") && !name.chars().any(char::is_control);
    if is_name { Some(name) } else { reader.fail(node.at, messages::bad_alarm_name(&name)) }
}
