//! The checks of an environment, and the time that they may take together.

use super::expression::Scope;
use super::jobs::{Variables, check_job};
use super::limits::{MAX_CHECK_JOBS, MAX_CHECKPOINT_CHECKS, MAX_CHECKS, MAX_VALIDATE_SECONDS};
use super::reader::{Fields, Keys, Reader};
use super::yaml::Node;
use super::{keys, messages};
use crate::plan::Check;

mod aws;
mod http;

pub(super) use aws::measure;

pub(super) fn checks(
    reader: &mut Reader<'_>,
    node: &Node,
    shared: &Variables,
    scope: Scope<'_>,
) -> Vec<Check> {
    let Some(items) = reader.list(node, "validate", MAX_CHECKS) else { return Vec::new() };
    let mut checks = Vec::new();
    for item in items {
        let Some(fields) = reader.fields(item, &keys::CHECK) else { continue };
        checks.extend(check(reader, item, &fields, &keys::CHECK, shared, scope));
    }
    check_time(reader, node, &checks);
    let jobs = checks.iter().filter(|check| matches!(check, Check::Job(_))).count();
    if jobs > MAX_CHECK_JOBS {
        reader.report(node.at, messages::too_many_check_jobs(jobs, MAX_CHECK_JOBS));
    }
    checks
}

/// The checks of a checkpoint. ECS waits for their answer in the middle of a deployment, when tasks of both versions
/// run: neither builds nor looks at all tasks have a place there.
pub(super) fn checkpoint_checks(
    reader: &mut Reader<'_>,
    node: &Node,
    key: &str,
    shared: &Variables,
    scope: Scope<'_>,
) -> Vec<Check> {
    let Some(items) = reader.list(node, key, MAX_CHECKPOINT_CHECKS) else { return Vec::new() };
    if items.is_empty() {
        reader.report(node.at, messages::none_given(key, "a check"));
    }
    let mut checks = Vec::new();
    for item in items {
        let Some(fields) = reader.fields(item, &keys::CHECKPOINT_CHECK) else { continue };
        checks.extend(check(reader, item, &fields, &keys::CHECKPOINT_CHECK, shared, scope));
    }
    check_time(reader, node, &checks);
    checks
}

fn check_time(reader: &mut Reader<'_>, node: &Node, checks: &[Check]) {
    let seconds = checks.iter().map(|check| u64::from(check.longest_seconds())).sum();
    if seconds > u64::from(MAX_VALIDATE_SECONDS) {
        reader.report(node.at, messages::validation_too_long(seconds, MAX_VALIDATE_SECONDS));
    }
}

/// A check of the one kind that is written.
fn check(
    reader: &mut Reader<'_>,
    item: &Node,
    fields: &Fields<'_>,
    keys: &Keys,
    shared: &Variables,
    scope: Scope<'_>,
) -> Option<Check> {
    let kinds = keys.known;
    let written: Vec<(&str, &Node)> =
        kinds.iter().filter_map(|kind| Some((*kind, fields.get(kind)?))).collect();
    match written[..] {
        [("http", node)] => http::http(reader, node, scope).map(|check| Check::Http(Box::new(check))),
        [("ecs", node)] => aws::ecs(reader, node).map(Check::Ecs),
        [("alarms", node)] => aws::alarms_check(reader, node, scope).map(Check::Alarms),
        [("metrics", node)] => aws::metrics(reader, node, scope).map(Check::Metrics),
        [("job", node)] => check_job(reader, node, shared, scope).map(|job| Check::Job(Box::new(job))),
        // What stands there was reported as unknown.
        [] if fields.are_foreign() => None,
        _ => reader.fail(item.at, messages::one_kind_of_check(kinds)),
    }
}
