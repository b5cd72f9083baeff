//! The checks of an environment: HTTP probes, and the addresses that they may ask.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::Url;

use super::expression::Scope;
use super::limits::{
    DEFAULT_ATTEMPTS, DEFAULT_NEED, DEFAULT_PROBE_SECONDS, DEFAULT_STATUS, INTERVAL_SECONDS, MAX_ATTEMPTS,
    MAX_BODY_BYTES, MAX_CHECKS, MAX_URL_BYTES, MAX_VALIDATE_SECONDS, PROBE_SECONDS,
};
use super::reader::Reader;
use super::yaml::Node;
use super::{keys, messages};
use crate::plan::{Check, HttpCheck};

/// All that could mean something in an address (RFC 3986, "Unreserved Characters", has the rest).
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

pub(super) fn checks(reader: &mut Reader<'_>, node: &Node, scope: Scope<'_>) -> Vec<Check> {
    let Some(items) = reader.list(node, "validate", MAX_CHECKS) else { return Vec::new() };
    let mut checks = Vec::new();
    let mut seconds = 0_u64;
    for item in items {
        let Some(fields) = reader.fields(item, &keys::CHECK) else { continue };
        let Some(node) = reader.required(&fields, "http", "{url: \"https://…\"}") else { continue };
        if let Some(check) = http(reader, node, scope) {
            seconds += u64::from(check.longest_seconds());
            checks.push(Check::Http(check));
        }
    }
    if seconds > u64::from(MAX_VALIDATE_SECONDS) {
        reader.report(node.at, messages::validation_too_long(seconds, MAX_VALIDATE_SECONDS));
    }
    checks
}

fn http(reader: &mut Reader<'_>, node: &Node, scope: Scope<'_>) -> Option<HttpCheck> {
    let fields = reader.fields(node, &keys::HTTP)?;
    let url = reader.required(&fields, "url", "\"https://…\"").and_then(|node| url(reader, node, scope));
    let status = fields.get("status").and_then(|node| reader.integer(node, "status", 100..=599));
    let body_contains = fields
        .get("body_contains")
        .and_then(|node| scope.text(reader, node, "body_contains", MAX_BODY_BYTES));
    let attempts = fields
        .get("attempts")
        .and_then(|node| reader.integer(node, "attempts", 1..=MAX_ATTEMPTS))
        .unwrap_or(DEFAULT_ATTEMPTS);
    let need = fields.get("need").and_then(|node| {
        let need = reader.integer(node, "need", 1..=MAX_ATTEMPTS)?;
        if need > attempts {
            return reader.fail(node.at, messages::need_above_attempts(need.into(), attempts.into()));
        }
        Some(need)
    });
    let mut seconds = |key, range| {
        let seconds = fields.get(key).and_then(|node| reader.seconds(node, key, range));
        seconds.and_then(|seconds| u16::try_from(seconds).ok()).unwrap_or(DEFAULT_PROBE_SECONDS)
    };
    let (interval_seconds, timeout_seconds) =
        (seconds("interval", INTERVAL_SECONDS), seconds("timeout", PROBE_SECONDS));
    Some(HttpCheck {
        url: url?,
        status: status.unwrap_or(DEFAULT_STATUS),
        body_contains,
        attempts,
        need: need.unwrap_or(DEFAULT_NEED.min(attempts)),
        interval_seconds,
        timeout_seconds,
    })
}

/// An address whose values cannot leave their place: encoded in a path or query, and in a host only names
/// that whoever pushes has no say in.
fn url(reader: &mut Reader<'_>, node: &Node, scope: Scope<'_>) -> Option<Url> {
    let text = scope.text_with(reader, node, "url", MAX_URL_BYTES, |before, name, value| {
        if is_behind_host(before) {
            Some(utf8_percent_encode(&value, RESERVED).to_string())
        } else {
            in_host(name, value)
        }
    })?;
    let url = match Url::parse(&text) {
        Ok(url) => url,
        Err(error) => return reader.fail(node.at, messages::bad_url(&error.to_string())),
    };
    if !matches!(url.scheme(), "http" | "https") {
        return reader.fail(node.at, messages::url_scheme(url.scheme()));
    }
    if !url.username().is_empty() || url.password().is_some() {
        reader.report_hidden(node.at, messages::url_credentials());
        return None;
    }
    // A value of `..` would take the part before it away.
    if text.split(['/', '?', '#']).any(|part| matches!(part, "." | "..")) {
        return reader.fail(node.at, messages::url_dots());
    }
    Some(url)
}

/// Whether a host is already written: further slashes before it would only be skipped (URL Standard, "special
/// authority ignore slashes state").
fn is_behind_host(before: &str) -> bool {
    let rest = before.split_once("://").map_or("", |(_, rest)| rest);
    rest.trim_start_matches(|c: char| c.is_ascii_whitespace() || "/\\".contains(c)).contains(['/', '?', '#'])
}

fn in_host(name: &str, value: String) -> Option<String> {
    let is_ours = name.starts_with("var.")
        || matches!(name, "commit.sha" | "commit.short" | "run.id" | "pull_request.number");
    let is_plain = value.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.');
    (is_ours && is_plain).then_some(value)
}
