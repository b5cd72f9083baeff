//! The checks of an environment, and the time that they may take together.

use super::expression::Scope;
use super::jobs::{Variables, check_job};
use super::limits::{MAX_CHECK_JOBS, MAX_CHECKS, MAX_VALIDATE_SECONDS};
use super::reader::{Fields, Reader};
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
        checks.extend(check(reader, item, &fields, shared, scope));
    }
    let seconds = checks.iter().map(|check| u64::from(check.longest_seconds())).sum();
    if seconds > u64::from(MAX_VALIDATE_SECONDS) {
        reader.report(node.at, messages::validation_too_long(seconds, MAX_VALIDATE_SECONDS));
    }
    let jobs = checks.iter().filter(|check| matches!(check, Check::Job(_))).count();
    if jobs > MAX_CHECK_JOBS {
        reader.report(node.at, messages::too_many_check_jobs(jobs, MAX_CHECK_JOBS));
    }
    checks
}

/// A check of the one kind that is written.
fn check(
    reader: &mut Reader<'_>,
    item: &Node,
    fields: &Fields<'_>,
    shared: &Variables,
    scope: Scope<'_>,
) -> Option<Check> {
    let kinds = keys::CHECK.known;
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
