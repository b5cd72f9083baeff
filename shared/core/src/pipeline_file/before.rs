//! What runs to its end before an environment's target is touched.
//!
//! Commands take no expressions: what a branch is called must not become an argument of a shell.

use super::expression::plain;
use super::limits::{DEFAULT_TASK_SECONDS, MAX_ARGUMENT_BYTES, MAX_ARGUMENTS, MAX_BEFORE, TASK_SECONDS};
use super::reader::Reader;
use super::yaml::{MAX_TEXT_BYTES, Node};
use super::{environment, keys, messages};
use crate::plan::{EcsTask, OneOff, Target};

pub(super) fn before(reader: &mut Reader<'_>, node: &Node, target: Option<&Target>) -> Vec<OneOff> {
    let Some(items) = reader.list(node, "before", MAX_BEFORE) else { return Vec::new() };
    let mut work = Vec::new();
    for item in items {
        let Some(fields) = reader.fields(item, &keys::BEFORE) else { continue };
        let Some(node) = reader.required(&fields, "ecs_task", "{command: [./migrate]}") else { continue };
        work.extend(task(reader, node, target).map(OneOff::EcsTask));
    }
    work
}

fn task(reader: &mut Reader<'_>, node: &Node, target: Option<&Target>) -> Option<EcsTask> {
    let fields = reader.fields(node, &keys::ECS_TASK)?;
    let container = match fields.get("container") {
        Some(node) => {
            let text = plain(reader, node, "container", MAX_TEXT_BYTES)?;
            environment::checked_ecs_name(reader, node.at, "container", text)
        }
        None => only_container(reader, node, target),
    };
    let command = match fields.get("command") {
        Some(node) => command(reader, node),
        None => Some(Vec::new()),
    };
    let task_definition = match fields.get("task_definition") {
        Some(node) => Some(environment::definition(reader, node, "task_definition")?),
        None => None,
    };
    let timeout = fields.get("timeout").and_then(|node| reader.seconds(node, "timeout", TASK_SECONDS));
    Some(EcsTask {
        container: container?,
        command: command?,
        task_definition,
        timeout_seconds: timeout.unwrap_or(DEFAULT_TASK_SECONDS),
    })
}

/// The container that gets an image, where there is just one.
fn only_container(reader: &mut Reader<'_>, node: &Node, target: Option<&Target>) -> Option<String> {
    // A target that is wrong was reported.
    let mut names = target?.images().keys();
    match (names.next(), names.next()) {
        (Some(only), None) => Some(only.clone()),
        // Images that are wrong were reported, too.
        (None, _) => None,
        _ => reader.fail(node.at, messages::which_container()),
    }
}

fn command(reader: &mut Reader<'_>, node: &Node) -> Option<Vec<String>> {
    let items = reader.list(node, "command", MAX_ARGUMENTS)?;
    if items.is_empty() {
        return reader.fail(node.at, messages::none_given("command", "a program and its arguments"));
    }
    let texts = items.iter().map(|item| plain(reader, item, "command", MAX_ARGUMENT_BYTES));
    texts.map(|text| text.map(str::to_owned)).collect()
}
