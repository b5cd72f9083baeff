//! `matrix`: the combinations of a job's values, and the names of the jobs that they become.
//!
//! The size is known before anything is made, so that a million combinations cost nothing to refuse.

use super::expression::plain;
use super::limits::{MAX_JOBS, MAX_MATRIX_KEYS, MAX_VALUE_BYTES};
use super::messages;
use super::reader::Reader;
use super::yaml::Node;
use crate::ids::VariableName;

/// One value of each key, in the order of the file; empty for a job without a matrix.
pub(super) type Combination<'n> = Vec<(&'n str, &'n str)>;

/// Every combination, the last key changing fastest.
pub(super) fn combinations<'n>(reader: &mut Reader<'_>, node: &'n Node) -> Option<Vec<Combination<'n>>> {
    let entries = reader.entries(node, "matrix", MAX_MATRIX_KEYS)?;
    if entries.is_empty() {
        return reader.fail(node.at, messages::none_given("matrix", "a key and its values"));
    }
    let (mut keys, mut size) = (Vec::new(), 1_usize);
    for entry in entries {
        let name = reader.checked::<VariableName>(entry.at, &entry.key);
        // Not cut to the limit yet: the product says more than the first list that is too long.
        let values = values(reader, &entry.value, &entry.key);
        if let (Some(_), Some(values)) = (name, values) {
            size = size.saturating_mul(values.len());
            keys.push((entry.key.as_str(), values));
        }
    }
    if size > MAX_JOBS {
        return reader.fail(node.at, messages::matrix_too_large(size, MAX_JOBS));
    }
    if keys.len() < entries.len() {
        return None;
    }
    let mut all = vec![Combination::new()];
    for (key, values) in keys {
        let with = |combination: &Combination<'n>, value| {
            let mut combination = combination.clone();
            combination.push((key, value));
            combination
        };
        all = all.iter().flat_map(|one| values.iter().map(move |value| with(one, *value))).collect();
    }
    Some(all)
}

fn values<'n>(reader: &mut Reader<'_>, node: &'n Node, key: &str) -> Option<Vec<&'n str>> {
    let items = reader.list(node, key, usize::MAX)?;
    if items.is_empty() {
        return reader.fail(node.at, messages::none_given(key, "a value"));
    }
    let mut values = Vec::new();
    for item in items {
        let Some(value) = plain(reader, item, key, MAX_VALUE_BYTES) else { continue };
        if slug(value).is_empty() {
            reader.report(item.at, messages::nameless_value(value));
        }
        values.push(value);
    }
    (values.len() == items.len()).then_some(values)
}

/// The name of the job for one combination: the job's own, and each value as far as a name can hold it.
pub(super) fn job_name(job: &str, combination: &Combination<'_>) -> String {
    let values = combination.iter().map(|(_, value)| slug(value));
    std::iter::once(job.to_owned()).chain(values).collect::<Vec<_>>().join("-")
}

/// Lower case, with a hyphen for whatever is neither letter nor digit.
fn slug(value: &str) -> String {
    let parts = value.split(|c: char| !c.is_ascii_alphanumeric()).filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join("-").to_ascii_lowercase()
}
