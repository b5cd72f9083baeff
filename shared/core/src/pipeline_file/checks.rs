//! The checks of an environment, and the time that they may take together.

use super::expression::Scope;
use super::limits::{MAX_CHECKS, MAX_VALIDATE_SECONDS};
use super::reader::Reader;
use super::yaml::Node;
use super::{keys, messages};
use crate::plan::Check;

mod http;

use http::http;

pub(super) fn checks(reader: &mut Reader<'_>, node: &Node, scope: Scope<'_>) -> Vec<Check> {
    let Some(items) = reader.list(node, "validate", MAX_CHECKS) else { return Vec::new() };
    let mut checks = Vec::new();
    let mut seconds = 0_u64;
    for item in items {
        let Some(fields) = reader.fields(item, &keys::CHECK) else { continue };
        let Some(node) = reader.required(&fields, "http", "{url: \"https://…\"}") else { continue };
        if let Some(check) = http(reader, node, scope) {
            seconds += u64::from(check.longest_seconds());
            checks.push(Check::Http(Box::new(check)));
        }
    }
    if seconds > u64::from(MAX_VALIDATE_SECONDS) {
        reader.report(node.at, messages::validation_too_long(seconds, MAX_VALIDATE_SECONDS));
    }
    checks
}
