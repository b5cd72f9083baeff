//! The watch over an environment: for how long, and by what.

use super::checks::measure;
use super::expression::Scope;
use super::limits::{MAX_ALARM_BYTES, MAX_ALARMS, MAX_MEASURES, WATCH_SECONDS};
use super::reader::Reader;
use super::yaml::Node;
use super::{keys, messages};
use crate::plan::WatchPlan;

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
    let mut percent = |key| {
        let percent = fields.get(key).and_then(|node| reader.integer(node, key, 1..=100));
        percent.and_then(|percent| u8::try_from(percent).ok())
    };
    Some(WatchPlan {
        for_seconds: seconds?,
        alarms: names,
        metrics,
        cpu: percent("cpu"),
        memory: percent("memory"),
        target_5xx: percent("target_5xx"),
    })
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
