//! What an environment asks for before a deploy may begin: approval, windows, and whether there is a way back.

use jiff::civil::Time;

use super::limits::{
    APPROVAL_SECONDS, DEFAULT_APPROVAL_SECONDS, MAX_APPROVALS, MAX_PATTERN_BYTES, MAX_WINDOWS,
};
use super::reader::Reader;
use super::yaml::Node;
use super::{keys, messages};
use crate::gate::{ApprovalRule, DAY_MINUTES, Window, zone};

/// Days as people write them; Monday is 1.
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

pub(super) fn approval(reader: &mut Reader<'_>, node: &Node) -> Option<ApprovalRule> {
    let fields = reader.fields(node, &keys::APPROVAL)?;
    let required =
        fields.get("required").and_then(|node| reader.integer(node, "required", 1..=MAX_APPROVALS));
    let timeout = fields.get("timeout").and_then(|node| reader.seconds(node, "timeout", APPROVAL_SECONDS));
    Some(ApprovalRule {
        required: required.unwrap_or(1),
        timeout_seconds: timeout.unwrap_or(DEFAULT_APPROVAL_SECONDS),
    })
}

pub(super) fn irreversible(reader: &mut Reader<'_>, node: &Node) -> bool {
    reader.boolean(node, "irreversible").unwrap_or_default()
}

pub(super) fn windows(reader: &mut Reader<'_>, node: &Node) -> Vec<Window> {
    let Some(items) = reader.list(node, "windows", MAX_WINDOWS) else { return Vec::new() };
    if items.is_empty() {
        // Read as "no window is ever open" by some, as "at any time" by others.
        reader.report(node.at, messages::none_given("windows", "a window"));
    }
    items.iter().filter_map(|item| window(reader, item)).collect()
}

fn window(reader: &mut Reader<'_>, node: &Node) -> Option<Window> {
    let fields = reader.fields(node, &keys::WINDOW)?;
    let days = reader.required(&fields, "days", "mon-fri").and_then(|node| days(reader, node));
    let from = reader.required(&fields, "from", "\"09:00\"").and_then(|node| minute(reader, node, "from"));
    let to = reader.required(&fields, "to", "\"17:00\"").and_then(|node| minute(reader, node, "to"));
    let timezone = match fields.get("timezone") {
        None => Some("UTC"),
        Some(node) => reader.text(node, "timezone", MAX_PATTERN_BYTES).and_then(|text| match zone(text) {
            Some(_) => Some(text),
            None => reader.fail(node.at, messages::unknown_timezone(text)),
        }),
    };
    let ((from, begin), (to, end)) = (from?, to?);
    if to <= from {
        return reader.fail(node.at, messages::window_never_open(begin, end));
    }
    Some(Window { days: days?, from, to, timezone: timezone?.to_owned() })
}

/// `mon-fri`, `mon,wed`, `sat-mon`.
fn days(reader: &mut Reader<'_>, node: &Node) -> Option<Vec<i8>> {
    let text = reader.text(node, "days", MAX_PATTERN_BYTES)?;
    let day = |name: &str| DAYS.iter().position(|day| *day == name.trim().to_ascii_lowercase());
    let mut days = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (Some(first), Some(last)) = (day(first), day(last)) else {
            return reader.fail(node.at, messages::bad_days(text));
        };
        // A range may go on over the end of the week.
        let count = (last + DAYS.len() - first) % DAYS.len();
        days.extend((first..=first + count).filter_map(|day| i8::try_from(day % DAYS.len() + 1).ok()));
    }
    days.sort_unstable();
    days.dedup();
    Some(days)
}

/// A time of the day in minutes, with its text.
fn minute<'n>(reader: &mut Reader<'_>, node: &'n Node, key: &'static str) -> Option<(u16, &'n str)> {
    let text = reader.text(node, key, MAX_PATTERN_BYTES)?;
    if text == "24:00" && key == "to" {
        return Some((DAY_MINUTES, text));
    }
    let time = (text.len() == "00:00".len()).then(|| Time::strptime("%H:%M", text).ok()).flatten();
    let minute =
        time.and_then(|time| u16::try_from(i32::from(time.hour()) * 60 + i32::from(time.minute())).ok());
    match minute {
        Some(minute) => Some((minute, text)),
        None => reader.fail(node.at, messages::bad_time(key, text)),
    }
}
