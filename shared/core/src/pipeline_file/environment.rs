//! The environments of a pipeline file: targets and checks, and the limits on them.
//!
//! Where a pushed name ends up in a name or an address, it is checked there as if it were written.

use std::collections::BTreeMap;

use super::before::before;
use super::checks::checks;
use super::expression::{Scope, plain};
use super::gates::{approval, irreversible, windows};
use super::images::images;
use super::jobs::{Declared, Variables};
use super::limits::MAX_ENVIRONMENTS;
use super::place::place;
use super::reader::Reader;
use super::scheduled::{fits, scheduled};
use super::strategy::{alarms, strategy, timeout};
use super::watch::watch;
use super::yaml::{MAX_TEXT_BYTES, Node, Position};
use super::{keys, messages};
use crate::ids::EnvironmentName;
use crate::image_file::is_ecs_name;
use crate::plan::{DefinitionFile, EcsTarget, EnvironmentPlan, OnFailure, Place, Target};

pub(super) fn environments(
    reader: &mut Reader<'_>,
    node: &Node,
    declared: &Declared<'_>,
    shared: &Variables,
    scope: Scope<'_>,
) -> Vec<EnvironmentPlan> {
    let Some(items) = reader.list(node, "environments", MAX_ENVIRONMENTS) else { return Vec::new() };
    if items.is_empty() {
        reader.report(node.at, messages::none_given("environments", "an environment"));
    }
    let mut names = BTreeMap::new();
    items.iter().filter_map(|item| environment(reader, item, declared, shared, scope, &mut names)).collect()
}

fn environment(
    reader: &mut Reader<'_>,
    node: &Node,
    declared: &Declared<'_>,
    shared: &Variables,
    scope: Scope<'_>,
    names: &mut BTreeMap<EnvironmentName, u32>,
) -> Option<EnvironmentPlan> {
    let fields = reader.fields(node, &keys::ENVIRONMENT)?;
    let name = reader.required(&fields, "name", "staging").and_then(|node| {
        let name: EnvironmentName = reader.parsed(node, "name")?;
        match names.insert(name.clone(), node.at.line) {
            Some(line) => reader.fail(node.at, messages::duplicate_environment(name.as_str(), line)),
            None => Some(name),
        }
    });
    let place = match fields.get("aws") {
        Some(node) => place(reader, node),
        None => Some(Place::default()),
    };
    let example = "{ecs: {cluster: …, service: …, images: …}}";
    let target = reader
        .required(&fields, "deploy", example)
        .and_then(|node| target(reader, node, declared, (shared, scope)));
    if let (Some(node), Some(Target::Ecs(target))) = (fields.get("aws"), &target)
        && !target.checkpoints.is_empty()
    {
        reader.report(node.at, messages::checkpoints_elsewhere());
    }
    let approval = fields.get("approval").and_then(|node| approval(reader, node));
    let windows = fields.get("windows").map(|node| windows(reader, node)).unwrap_or_default();
    let irreversible = fields.get("irreversible").is_some_and(|node| irreversible(reader, node));
    let before = fields.get("before").map(|node| before(reader, node, target.as_ref())).unwrap_or_default();
    let validate = fields.get("validate").map(|node| checks(reader, node, shared, scope)).unwrap_or_default();
    let watch = fields.get("watch").map(|node| watch(reader, node, scope));
    fits(reader, &fields, target.as_ref(), &validate, watch.as_ref().and_then(Option::as_ref));
    let on_failure = fields.get("on_failure").and_then(|node| {
        let known = [("rollback", OnFailure::Rollback), ("hold", OnFailure::Hold)];
        reader.choice(node, "on_failure", &known, &[])
    });
    Some(EnvironmentPlan {
        name: name?,
        approval,
        windows,
        irreversible,
        place: place?,
        target: target?,
        before,
        validate,
        watch: watch.flatten(),
        on_failure: on_failure.unwrap_or_default(),
    })
}

fn target(
    reader: &mut Reader<'_>,
    node: &Node,
    declared: &Declared<'_>,
    (shared, scope): (&Variables, Scope<'_>),
) -> Option<Target> {
    let fields = reader.fields(node, &keys::DEPLOY)?;
    // A target of a later version is reported as such; asking for `ecs` as well would only confuse.
    if fields.are_foreign() {
        return None;
    }
    match (fields.get("ecs"), fields.get("ecs_scheduled_task")) {
        (None, Some(node)) => scheduled(reader, node, declared, scope).map(Target::EcsScheduledTask),
        (Some(_), Some(node)) => reader.fail(node.at, messages::one_target(keys::DEPLOY.known)),
        (ecs, None) => {
            let example = "{cluster: …, service: …, images: …}";
            let node = ecs.or_else(|| reader.required(&fields, "ecs", example))?;
            service(reader, node, declared, (shared, scope)).map(Target::Ecs)
        }
    }
}

fn service(
    reader: &mut Reader<'_>,
    node: &Node,
    declared: &Declared<'_>,
    (shared, scope): (&Variables, Scope<'_>),
) -> Option<EcsTarget> {
    let fields = reader.fields(node, &keys::ECS)?;
    let mut name = |key, example| {
        reader.required(&fields, key, example).and_then(|node| ecs_name(reader, node, key, scope))
    };
    let (cluster, service) = (name("cluster", "demo"), name("service", "web"));
    let images = reader
        .required(&fields, "images", "{web: \"${build.image.IMAGE}\"}")
        .and_then(|node| images(reader, node, declared, scope));
    let task_definition =
        fields.get("task_definition").map(|node| definition(reader, node, "task_definition"));
    let service_definition = fields.get("service_definition").map(|node| {
        if fields.get("task_definition").is_none() {
            return reader.fail(node.at, messages::service_without_task());
        }
        definition(reader, node, "service_definition")
    });
    let how = fields.get("strategy").and_then(|node| strategy(reader, node, shared, scope));
    let (how, checkpoints) = how.unwrap_or_default();
    let alarms = fields.get("alarms").and_then(|node| alarms(reader, node)).unwrap_or_default();
    let at = fields.get("strategy").unwrap_or(node);
    let timeout = timeout(reader, fields.get("timeout"), at, (how, &checkpoints));
    let images = images?;
    Some(EcsTarget {
        cluster: cluster?,
        service: service?,
        images: images.named,
        images_from: images.from,
        containers: Vec::new(),
        base: None,
        task_definition: task_definition.map_or(Some(None), |file| file.map(Some))?,
        service_definition: service_definition.map_or(Some(None), |file| file.map(Some))?,
        strategy: how,
        checkpoints,
        alarms,
        timeout_seconds: timeout?,
    })
}

/// A file of the repository; it is read when a run is planned.
pub(super) fn definition(reader: &mut Reader<'_>, node: &Node, key: &str) -> Option<DefinitionFile> {
    let path = plain(reader, node, key, MAX_TEXT_BYTES)?;
    Some(DefinitionFile { path: reader.checked(node.at, path)?, content: None })
}

fn ecs_name(reader: &mut Reader<'_>, node: &Node, key: &str, scope: Scope<'_>) -> Option<String> {
    let text = scope.text(reader, node, key, MAX_TEXT_BYTES)?;
    checked_ecs_name(reader, node.at, key, &text)
}

/// Names of clusters, services and containers.
pub(super) fn checked_ecs_name(
    reader: &mut Reader<'_>,
    at: Position,
    key: &str,
    text: &str,
) -> Option<String> {
    if is_ecs_name(text) { Some(text.to_owned()) } else { reader.fail(at, messages::wrong_name(key, text)) }
}
