//! The environments of a pipeline file: targets, images and checks, and the limits on them.
//!
//! An image is either an output of a build job or fixed by digest, so that what was tested is what is
//! deployed; the expression for the first is the only one there is.

use std::collections::BTreeMap;

use url::Url;

use super::messages;
use super::reader::{Keys, Reader, most_similar};
use super::schema::Declared;
use super::yaml::{MAX_TEXT_BYTES, Node, Position};
use crate::ids::EnvironmentName;
use crate::plan::{Check, EcsTarget, EnvironmentPlan, HttpCheck, ImageSource, OnFailure, Strategy, Target};

const ENVIRONMENT: Keys = Keys {
    of: "an environment",
    known: &["name", "deploy", "validate", "on_failure"],
    later: messages::LATER_ENVIRONMENT,
};
const DEPLOY: Keys = Keys { of: "`deploy`", known: &["ecs"], later: messages::LATER_TARGET };
const ECS: Keys =
    Keys { of: "`ecs`", known: &["cluster", "service", "images", "strategy", "timeout"], later: &[] };
const CHECK: Keys = Keys { of: "a check", known: &["http"], later: &[] };
const HTTP: Keys = Keys {
    of: "`http`",
    known: &["url", "status", "body_contains", "attempts", "need", "interval", "timeout"],
    later: &[],
};

const MAX_ENVIRONMENTS: usize = 15;
/// ECS allows ten containers in a task (Amazon ECS Developer Guide, "Amazon ECS service quotas").
const MAX_IMAGES: usize = 10;
const MAX_CHECKS: usize = 20;
const DEPLOY_SECONDS: std::ops::RangeInclusive<u32> = 60..=3 * 3600;
const DEFAULT_DEPLOY_SECONDS: u32 = 15 * 60;
/// One invocation makes all checks of an environment, and no Lambda function runs longer than 15 minutes.
const MAX_VALIDATE_SECONDS: u32 = 12 * 60;
const MAX_ATTEMPTS: u16 = 500;
const DEFAULT_ATTEMPTS: u16 = 10;
const DEFAULT_NEED: u16 = 3;
const INTERVAL_SECONDS: std::ops::RangeInclusive<u32> = 1..=300;
const PROBE_SECONDS: std::ops::RangeInclusive<u32> = 1..=60;
const DEFAULT_PROBE_SECONDS: u16 = 5;
const MAX_URL_BYTES: usize = 2048;
const MAX_BODY_BYTES: usize = 1024;

pub(super) fn environments(
    reader: &mut Reader<'_>,
    node: &Node,
    declared: &Declared<'_>,
) -> Vec<EnvironmentPlan> {
    let Some(items) = reader.list(node, "environments", MAX_ENVIRONMENTS) else { return Vec::new() };
    if items.is_empty() {
        reader.report(node.at, messages::none_given("environments", "an environment"));
    }
    let mut names = BTreeMap::new();
    items.iter().filter_map(|item| environment(reader, item, declared, &mut names)).collect()
}

fn environment(
    reader: &mut Reader<'_>,
    node: &Node,
    declared: &Declared<'_>,
    names: &mut BTreeMap<EnvironmentName, u32>,
) -> Option<EnvironmentPlan> {
    let fields = reader.fields(node, &ENVIRONMENT)?;
    let name = reader.required(&fields, "name", "staging").and_then(|node| {
        let name: EnvironmentName = reader.parsed(node, "name")?;
        match names.insert(name.clone(), node.at.line) {
            Some(line) => reader.fail(node.at, messages::duplicate_environment(name.as_str(), line)),
            None => Some(name),
        }
    });
    let example = "{ecs: {cluster: …, service: …, images: …}}";
    let target = reader.required(&fields, "deploy", example).and_then(|node| target(reader, node, declared));
    let validate = fields.get("validate").map(|node| checks(reader, node)).unwrap_or_default();
    let on_failure = fields.get("on_failure").and_then(|node| {
        let known = [("rollback", OnFailure::Rollback), ("hold", OnFailure::Hold)];
        reader.choice(node, "on_failure", &known, &[])
    });
    Some(EnvironmentPlan {
        name: name?,
        target: target?,
        validate,
        on_failure: on_failure.unwrap_or_default(),
    })
}

fn target(reader: &mut Reader<'_>, node: &Node, declared: &Declared<'_>) -> Option<Target> {
    let fields = reader.fields(node, &DEPLOY)?;
    // A target of a later version is reported as such; asking for `ecs` as well would only confuse.
    if fields.are_foreign() {
        return None;
    }
    let node = reader.required(&fields, "ecs", "{cluster: …, service: …, images: …}")?;
    let fields = reader.fields(node, &ECS)?;
    let mut name =
        |key, example| reader.required(&fields, key, example).and_then(|node| ecs_name(reader, node, key));
    let (cluster, service) = (name("cluster", "demo"), name("service", "web"));
    let images = reader
        .required(&fields, "images", "{web: \"${build.image.IMAGE}\"}")
        .and_then(|node| images(reader, node, declared));
    let strategy = fields.get("strategy").and_then(|node| {
        reader.choice(node, "strategy", &[("rolling", Strategy::Rolling)], messages::LATER_STRATEGY)
    });
    let timeout = fields.get("timeout").and_then(|node| reader.seconds(node, "timeout", DEPLOY_SECONDS));
    Some(Target::Ecs(EcsTarget {
        cluster: cluster?,
        service: service?,
        images: images?,
        strategy: strategy.unwrap_or_default(),
        timeout_seconds: timeout.unwrap_or(DEFAULT_DEPLOY_SECONDS),
    }))
}

fn ecs_name(reader: &mut Reader<'_>, node: &Node, key: &str) -> Option<String> {
    let text = reader.text(node, key, MAX_TEXT_BYTES)?;
    checked_ecs_name(reader, node.at, key, text)
}

/// Names as ECS takes them for clusters, services and containers (Amazon ECS API Reference, `CreateService`).
fn checked_ecs_name(reader: &mut Reader<'_>, at: Position, key: &str, text: &str) -> Option<String> {
    let valid = (1..=255).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if valid { Some(text.to_owned()) } else { reader.fail(at, messages::wrong_name(key, text)) }
}

fn images(
    reader: &mut Reader<'_>,
    node: &Node,
    declared: &Declared<'_>,
) -> Option<BTreeMap<String, ImageSource>> {
    let entries = reader.entries(node, "images", MAX_IMAGES)?;
    if entries.is_empty() {
        return reader.fail(node.at, messages::none_given("images", "a container and its image"));
    }
    let mut images = BTreeMap::new();
    for entry in entries {
        let container = checked_ecs_name(reader, entry.at, "images", &entry.key);
        let source = image(reader, &entry.value, &entry.key, declared);
        if let (Some(container), Some(source)) = (container, source) {
            images.insert(container, source);
        }
    }
    Some(images)
}

fn image(reader: &mut Reader<'_>, node: &Node, key: &str, declared: &Declared<'_>) -> Option<ImageSource> {
    let text = reader.text(node, key, MAX_TEXT_BYTES)?;
    if !text.contains("${") {
        let fixed = text.parse().map(ImageSource::Fixed);
        return fixed.map_err(|_| reader.report(node.at, messages::image_not_fixed(text))).ok();
    }
    let inner = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
    let parts: Vec<&str> = inner.map(|inner| inner.split('.').collect()).unwrap_or_default();
    let (job, output) = match parts.as_slice() {
        ["build", job, output] => (*job, *output),
        ["test", _, _] => return reader.fail(node.at, messages::not_from_build("test")),
        _ => return reader.fail(node.at, messages::bad_expression(text)),
    };
    match declared.get(job) {
        None => {
            let known: Vec<&str> = declared.keys().copied().collect();
            let similar = most_similar(job, known.iter().copied());
            return reader.fail(node.at, messages::unknown_job(job, similar, &known));
        }
        Some(Some(outputs)) if !outputs.contains(output) => {
            return reader.fail(node.at, messages::undeclared_output(job, output));
        }
        Some(_) => {}
    }
    Some(ImageSource::Output { job: reader.checked(node.at, job)?, output: reader.checked(node.at, output)? })
}

fn checks(reader: &mut Reader<'_>, node: &Node) -> Vec<Check> {
    let Some(items) = reader.list(node, "validate", MAX_CHECKS) else { return Vec::new() };
    let mut checks = Vec::new();
    let mut seconds = 0_u64;
    for item in items {
        let Some(fields) = reader.fields(item, &CHECK) else { continue };
        let Some(node) = reader.required(&fields, "http", "{url: \"https://…\"}") else { continue };
        if let Some(check) = http(reader, node) {
            seconds += u64::from(check.longest_seconds());
            checks.push(Check::Http(check));
        }
    }
    if seconds > u64::from(MAX_VALIDATE_SECONDS) {
        reader.report(node.at, messages::validation_too_long(seconds, MAX_VALIDATE_SECONDS));
    }
    checks
}

fn http(reader: &mut Reader<'_>, node: &Node) -> Option<HttpCheck> {
    let fields = reader.fields(node, &HTTP)?;
    let url = reader.required(&fields, "url", "\"https://…\"").and_then(|node| url(reader, node));
    let status = fields.get("status").and_then(|node| reader.integer(node, "status", 100..=599));
    let body_contains =
        fields.get("body_contains").and_then(|node| reader.text(node, "body_contains", MAX_BODY_BYTES));
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
        status: status.unwrap_or(200),
        body_contains: body_contains.map(str::to_owned),
        attempts,
        need: need.unwrap_or(DEFAULT_NEED.min(attempts)),
        interval_seconds,
        timeout_seconds,
    })
}

fn url(reader: &mut Reader<'_>, node: &Node) -> Option<Url> {
    let text = reader.text(node, "url", MAX_URL_BYTES)?;
    if text.contains("${") {
        return reader.fail(node.at, messages::expression_out_of_place("url"));
    }
    let url = match Url::parse(text) {
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
    Some(url)
}
