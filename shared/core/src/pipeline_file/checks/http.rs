//! HTTP probes, and the addresses that they may ask.

use std::collections::BTreeMap;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::Url;

use crate::pipeline_file::expression::Scope;
use crate::pipeline_file::limits::{
    DEFAULT_ATTEMPTS, DEFAULT_NEED, DEFAULT_PERCENTILE, DEFAULT_PROBE_SECONDS, DEFAULT_STATUS,
    INTERVAL_SECONDS, LATENCY_MILLIS, MAX_ATTEMPTS, MAX_BODY_BYTES, MAX_EXPECTATIONS, MAX_URL_BYTES,
    PROBE_SECONDS,
};
use crate::pipeline_file::reader::{Fields, Reader};
use crate::pipeline_file::yaml::{MAX_TEXT_BYTES, Node, Position};
use crate::pipeline_file::{keys, messages};
use crate::plan::{HttpCheck, Latency, VersionProof};

/// All that could mean something in an address (RFC 3986, "Unreserved Characters", has the rest).
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

pub(super) fn http(reader: &mut Reader<'_>, node: &Node, scope: Scope<'_>) -> Option<HttpCheck> {
    let fields = reader.fields(node, &keys::HTTP)?;
    let url = reader.required(&fields, "url", "\"https://…\"").and_then(|node| url(reader, node, scope));
    let status = fields.get("status").and_then(|node| reader.integer(node, "status", 100..=599));
    let body_contains = fields
        .get("body_contains")
        .and_then(|node| scope.text(reader, node, "body_contains", MAX_BODY_BYTES));
    let header = expectations(reader, &fields, "header", scope, header_name);
    let json = expectations(reader, &fields, "json", scope, pointer);
    let latency = fields.get("latency").map(|node| latency(reader, node));
    let version = fields.get("version").map(|node| version(reader, node, scope));
    let follow = fields.get("follow").and_then(|node| reader.boolean(node, "follow"));
    let (attempts, need) = counts(reader, &fields);
    let (interval_seconds, timeout_seconds) = pace(reader, &fields);
    Some(HttpCheck {
        url: url?,
        status: status.unwrap_or(DEFAULT_STATUS),
        body_contains,
        header,
        json,
        // What is wrong was reported, so that the file fails in any case.
        latency: latency.flatten(),
        version: version.flatten(),
        follow: follow.unwrap_or_default(),
        attempts,
        need,
        interval_seconds,
        timeout_seconds,
    })
}

/// How often a check looks, and how many good looks are enough.
pub(super) fn counts(reader: &mut Reader<'_>, fields: &Fields<'_>) -> (u16, u16) {
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
    (attempts, need.unwrap_or(DEFAULT_NEED.min(attempts)))
}

/// The pause between two attempts and the time of one, in seconds.
fn pace(reader: &mut Reader<'_>, fields: &Fields<'_>) -> (u16, u16) {
    let mut seconds = |key, range| {
        let seconds = fields.get(key).and_then(|node| reader.seconds(node, key, range));
        seconds.and_then(|seconds| u16::try_from(seconds).ok()).unwrap_or(DEFAULT_PROBE_SECONDS)
    };
    (seconds("interval", INTERVAL_SECONDS), seconds("timeout", PROBE_SECONDS))
}

/// A map of what is wanted by where it is wanted.
fn expectations(
    reader: &mut Reader<'_>,
    fields: &Fields<'_>,
    key: &str,
    scope: Scope<'_>,
    place: fn(&mut Reader<'_>, Position, &str) -> Option<String>,
) -> BTreeMap<String, String> {
    let Some(node) = fields.get(key) else { return BTreeMap::new() };
    let Some(entries) = reader.entries(node, key, MAX_EXPECTATIONS) else { return BTreeMap::new() };
    let mut wanted = BTreeMap::new();
    for entry in entries {
        let place = place(reader, entry.at, &entry.key);
        let value = scope.text(reader, &entry.value, key, MAX_BODY_BYTES);
        if let (Some(place), Some(value)) = (place, value) {
            wanted.insert(place, value);
        }
    }
    wanted
}

/// A field name as HTTP takes it (RFC 9110, "Tokens"), in lower case, as answers show it.
fn header_name(reader: &mut Reader<'_>, at: Position, text: &str) -> Option<String> {
    let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if (1..=100).contains(&text.len()) && text.bytes().all(is_token) {
        return Some(text.to_ascii_lowercase());
    }
    reader.fail(at, messages::bad_header_name(text))
}

/// A JSON pointer (RFC 6901).
fn pointer(reader: &mut Reader<'_>, at: Position, text: &str) -> Option<String> {
    let is_escaped = text.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
    if text.len() <= 255 && text.starts_with('/') && is_escaped {
        return Some(text.to_owned());
    }
    reader.fail(at, messages::bad_pointer(text))
}

fn latency(reader: &mut Reader<'_>, node: &Node) -> Option<Latency> {
    let fields = reader.fields(node, &keys::LATENCY)?;
    let percentile = fields.get("percentile").and_then(|node| reader.integer(node, "percentile", 1..=100));
    let below = reader.required(&fields, "below", "500ms")?;
    Some(Latency {
        percentile: percentile.and_then(|p| u8::try_from(p).ok()).unwrap_or(DEFAULT_PERCENTILE),
        below_millis: reader.millis(below, "below", LATENCY_MILLIS)?,
    })
}

fn version(reader: &mut Reader<'_>, node: &Node, scope: Scope<'_>) -> Option<VersionProof> {
    let fields = reader.fields(node, &keys::VERSION)?;
    let equals = reader
        .required(&fields, "equals", "\"${commit.sha}\"")
        .and_then(|node| scope.text(reader, node, "equals", MAX_BODY_BYTES));
    let place =
        |reader: &mut Reader<'_>, key, check: fn(&mut Reader<'_>, Position, &str) -> Option<String>| {
            let node: &Node = fields.get(key)?;
            let text = reader.text(node, key, MAX_TEXT_BYTES)?.to_owned();
            check(reader, node.at, &text)
        };
    match (fields.get("header").is_some(), fields.get("json").is_some()) {
        (true, false) => {
            Some(VersionProof::Header { name: place(reader, "header", header_name)?, equals: equals? })
        }
        (false, true) => {
            Some(VersionProof::Json { pointer: place(reader, "json", pointer)?, equals: equals? })
        }
        _ => reader.fail(node.at, messages::version_in_one_place()),
    }
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
