//! A deploy's target that is started by a rule or a schedule, and what does not go with one.

use super::expression::Scope;
use super::images::images;
use super::jobs::Declared;
use super::reader::{Fields, Reader};
use super::yaml::{MAX_TEXT_BYTES, Node};
use super::{environment, keys, messages};
use crate::plan::{Check, ScheduledTarget, Target, WatchPlan};
use crate::scheduled::Starter;

/// Names of rules, schedules, groups and target ids (`EventBridge` API Reference, `Rule` and `Target`;
/// `EventBridge` Scheduler API Reference, `CreateSchedule`).
const MAX_NAME: usize = 64;
/// Names of event buses (`EventBridge` API Reference, `CreateEventBus`); those of partners have slashes.
const MAX_BUS: usize = 256;

pub(super) fn scheduled(
    reader: &mut Reader<'_>,
    node: &Node,
    declared: &Declared<'_>,
    scope: Scope<'_>,
) -> Option<ScheduledTarget> {
    let fields = reader.fields(node, &keys::ECS_SCHEDULED_TASK)?;
    let starter = starter(reader, node, &fields, scope);
    let images = reader
        .required(&fields, "images", "{report: \"${build.image.IMAGE}\"}")
        .and_then(|node| images(reader, node, declared, scope));
    let file = fields.get("task_definition");
    let file = file.map(|node| environment::definition(reader, node, "task_definition"));
    let images = images?;
    Some(ScheduledTarget {
        starter: starter?,
        images: images.named,
        images_from: images.from,
        containers: Vec::new(),
        base: None,
        task_definition: file.map_or(Some(None), |file| file.map(Some))?,
    })
}

fn starter(reader: &mut Reader<'_>, node: &Node, fields: &Fields<'_>, scope: Scope<'_>) -> Option<Starter> {
    let target = match fields.get("target") {
        Some(node) => Some(name(reader, node, "target", scope, (0, 0))?.1),
        None => None,
    };
    match (fields.get("rule"), fields.get("schedule")) {
        (Some(node), None) => {
            let (bus, name) = name(reader, node, "rule", scope, (MAX_BUS, usize::MAX))?;
            Some(Starter::Rule { bus, name, target })
        }
        (None, Some(_)) if target.is_some() => reader.fail(node.at, messages::schedules_have_one_target()),
        (None, Some(node)) => {
            let (group, name) = name(reader, node, "schedule", scope, (MAX_NAME, 1))?;
            Some(Starter::Schedule { group, name })
        }
        // What stands there was reported as unknown.
        (None, None) if fields.are_foreign() => None,
        _ => reader.fail(node.at, messages::rule_or_schedule()),
    }
}

/// A name, and before a slash what it lies in: of so many bytes, of so many parts.
fn name(
    reader: &mut Reader<'_>,
    node: &Node,
    key: &str,
    scope: Scope<'_>,
    (bytes, parts): (usize, usize),
) -> Option<(String, String)> {
    let text = scope.text(reader, node, key, MAX_TEXT_BYTES)?;
    let (within, name) = text.rsplit_once('/').unwrap_or((Starter::DEFAULT, &text));
    let is_word = |part: &str, max: usize| {
        (1..=max).contains(&part.len())
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
    };
    let has_slash = text.contains('/');
    let is_within = within.len() <= bytes
        && within.split('/').count() <= parts
        && within.split('/').all(|part| is_word(part, MAX_BUS));
    if is_word(name, MAX_NAME) && (!has_slash || is_within) {
        Some((within.to_owned(), name.to_owned()))
    } else {
        reader.fail(node.at, messages::wrong_starter_name(key, &text, has_slash && parts > 0))
    }
}

/// Reports what asks for a service where there is none.
pub(super) fn fits(
    reader: &mut Reader<'_>,
    fields: &Fields<'_>,
    target: Option<&Target>,
    validate: &[Check],
    watch: Option<&WatchPlan>,
) {
    let Some(Target::EcsScheduledTask(_)) = target else { return };
    let looks_at_tasks = validate.iter().any(|check| matches!(check, Check::Ecs(_)));
    if let Some(node) = fields.get("validate").filter(|_| looks_at_tasks) {
        reader.report(node.at, messages::needs_a_service("the check `ecs`"));
    }
    let Some(watch) = watch else { return };
    for (key, is_there) in [
        ("cpu", watch.cpu.is_some()),
        ("memory", watch.memory.is_some()),
        ("target_5xx", watch.target_5xx.is_some()),
        ("container_insights", watch.container_insights.is_some()),
    ] {
        if let Some(node) = fields.get("watch").filter(|_| is_there) {
            reader.report(node.at, messages::needs_a_service(&format!("`{key}` of `watch`")));
        }
    }
}
