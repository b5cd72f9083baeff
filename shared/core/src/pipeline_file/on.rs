//! Reads `on`: filters, schedules and image repositories, into `Triggers`.
//!
//! What could never start a run is refused here, while its writer still looks at it.

use super::filter::{Filter, Names, Pattern};
use super::limits::{MAX_IMAGE_TRIGGERS, MAX_PATTERN_BYTES, MAX_PATTERNS, MAX_SCHEDULES};
use super::problem::printable;
use super::reader::{Fields, Reader};
use super::schedule::Schedule;
use super::triggers::{ImageTrigger, Paths, PullRequest, Push, Triggers};
use super::yaml::{MAX_TEXT_BYTES, Node, Value};
use super::{keys, messages};

pub(super) fn triggers(reader: &mut Reader<'_>, path: &str, node: &Node) -> Option<Triggers> {
    let fields = reader.fields(node, &keys::ON)?;
    if keys::ON.known.iter().all(|key| fields.get(key).is_none()) {
        // A misspelled key was reported with the one that was meant.
        return if fields.are_foreign() { None } else { reader.fail(node.at, messages::no_trigger()) };
    }
    let push = fields.get("push").map(|node| push(reader, node));
    let pull_request = fields.get("pull_request").map(|node| pull_request(reader, node));
    let schedules = fields.get("schedule").map(|node| schedules(reader, node)).unwrap_or_default();
    let images = fields.get("image").map(|node| images(reader, node)).unwrap_or_default();
    Some(Triggers {
        path: printable(path, 200),
        push: push.flatten(),
        pull_request: pull_request.flatten(),
        schedules,
        images,
    })
}

fn push(reader: &mut Reader<'_>, node: &Node) -> Option<Push> {
    let fields = reader.fields(node, &keys::PUSH)?;
    let (branches, tags) = (fields.get("branches"), fields.get("tags"));
    if branches.is_none() && tags.is_none() {
        return reader.fail(node.at, messages::no_ref_filter());
    }
    let by_path = fields.get("paths").or(fields.get("paths_ignore"));
    if let Some(paths) = by_path.filter(|_| branches.is_none()) {
        return reader.fail(paths.at, messages::paths_without_branches());
    }
    Some(Push {
        branches: filter(reader, &fields, "branches", "on.push.branches", Names::Short),
        tags: filter(reader, &fields, "tags", "on.push.tags", Names::Short),
        paths: Paths {
            only: filter(reader, &fields, "paths", "on.push.paths", Names::Paths),
            ignore: filter(reader, &fields, "paths_ignore", "on.push.paths_ignore", Names::Paths),
        },
    })
}

fn pull_request(reader: &mut Reader<'_>, node: &Node) -> Option<PullRequest> {
    let fields = reader.fields(node, &keys::PULL_REQUEST)?;
    Some(PullRequest {
        branches: filter(reader, &fields, "branches", "on.pull_request.branches", Names::Short),
        paths: Paths {
            only: filter(reader, &fields, "paths", "on.pull_request.paths", Names::Paths),
            ignore: filter(reader, &fields, "paths_ignore", "on.pull_request.paths_ignore", Names::Paths),
        },
    })
}

fn filter(
    reader: &mut Reader<'_>,
    fields: &Fields<'_>,
    key: &str,
    full_key: &'static str,
    names: Names,
) -> Option<Filter> {
    let node = fields.get(key)?;
    let items = reader.list(node, key, MAX_PATTERNS)?;
    if items.is_empty() {
        return reader.fail(node.at, messages::none_given(key, "a pattern"));
    }
    let mut patterns = Vec::with_capacity(items.len());
    for item in items {
        let Some(text) = reader.text(item, key, MAX_PATTERN_BYTES) else { continue };
        match Pattern::new(text, names) {
            Ok(pattern) => patterns.push(pattern),
            Err(words) => reader.report(item.at, words),
        }
    }
    if patterns.len() < items.len() {
        return None;
    }
    Filter::new(full_key, patterns).map_err(|words| reader.report(node.at, words)).ok()
}

fn schedules(reader: &mut Reader<'_>, node: &Node) -> Vec<Schedule> {
    let items = reader.list(node, "schedule", MAX_SCHEDULES).unwrap_or_default();
    if matches!(&node.value, Value::List(items) if items.is_empty()) {
        reader.report(node.at, messages::none_given("schedule", "an expression"));
    }
    items.iter().filter_map(|item| schedule(reader, item)).collect()
}

/// An expression alone, or a map of it and a time zone.
fn schedule(reader: &mut Reader<'_>, node: &Node) -> Option<Schedule> {
    let (expression, timezone) = if let Value::Text(_) = node.value {
        (node, None)
    } else {
        let fields = reader.fields(node, &keys::SCHEDULE)?;
        (reader.required(&fields, "expression", "\"cron(0 6 * * ? *)\"")?, fields.get("timezone"))
    };
    let text = reader.text(expression, "schedule", MAX_PATTERN_BYTES)?;
    let zone = match timezone {
        Some(node) => Some(reader.text(node, "timezone", MAX_PATTERN_BYTES)?),
        None => None,
    };
    Schedule::new(text, zone).map_err(|words| reader.report(node.at, words)).ok()
}

/// One repository, or a list of them.
fn images(reader: &mut Reader<'_>, node: &Node) -> Vec<ImageTrigger> {
    let Value::List(_) = node.value else { return image(reader, node).into_iter().collect() };
    let items = reader.list(node, "image", MAX_IMAGE_TRIGGERS).unwrap_or_default();
    if matches!(&node.value, Value::List(items) if items.is_empty()) {
        reader.report(node.at, messages::none_given("image", "a repository"));
    }
    let mut images: Vec<ImageTrigger> = Vec::new();
    for item in items {
        let Some(trigger) = image(reader, item) else { continue };
        if images.iter().any(|known| known.repository == trigger.repository) {
            reader.report(item.at, messages::duplicate_image_repository(&trigger.repository));
        }
        images.push(trigger);
    }
    images
}

fn image(reader: &mut Reader<'_>, node: &Node) -> Option<ImageTrigger> {
    let fields = reader.fields(node, &keys::IMAGE)?;
    let tags = filter(reader, &fields, "tags", "on.image.tags", Names::Short);
    let node = reader.required(&fields, "repository", "base/rust")?;
    let name = reader.text(node, "repository", MAX_TEXT_BYTES)?;
    // Names as ECR takes them (Amazon ECR API Reference, `CreateRepository`).
    let is_part = |part: &str| {
        part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b))
            && part.starts_with(|c: char| c.is_ascii_alphanumeric())
            && part.ends_with(|c: char| c.is_ascii_alphanumeric())
    };
    if !(2..=256).contains(&name.len()) || !name.split('/').all(is_part) {
        return reader.fail(node.at, messages::bad_image_repository(name));
    }
    Some(ImageTrigger { repository: name.to_owned(), tags })
}
