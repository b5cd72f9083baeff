//! Where in AWS an environment lies, if not in the installation's own account and region.
//!
//! Nothing here takes expressions: what can be pushed to a branch's name must not choose a role.

use super::expression::plain;
use super::reader::Reader;
use super::yaml::{MAX_TEXT_BYTES, Node};
use super::{keys, messages};
use crate::plan::Place;

/// Lengths of an external id (AWS STS API Reference, `AssumeRole`).
const EXTERNAL_ID_BYTES: std::ops::RangeInclusive<usize> = 2..=1224;

pub(super) fn place(reader: &mut Reader<'_>, node: &Node) -> Option<Place> {
    let fields = reader.fields(node, &keys::AWS)?;
    let mut text = |key, example, is_good: fn(&str) -> bool| {
        let node = reader.required(&fields, key, example)?;
        checked(reader, node, key, is_good)
    };
    let role = text("role", "arn:aws:iam::<account>:role/<name>", is_role);
    let external_id = text("external_id", "<the one that the role asks for>", is_external_id);
    let region = match fields.get("region") {
        Some(node) => Some(checked(reader, node, "region", is_region)?),
        None => None,
    };
    Some(Place { role: Some(role?), external_id: Some(external_id?), region, pipeline: None })
}

fn checked(reader: &mut Reader<'_>, node: &Node, key: &str, is_good: fn(&str) -> bool) -> Option<String> {
    let text = plain(reader, node, key, MAX_TEXT_BYTES)?;
    if is_good(text) { Some(text.to_owned()) } else { reader.fail(node.at, messages::bad_place(key, text)) }
}

/// An IAM role's ARN (IAM User Guide, "IAM ARNs").
fn is_role(text: &str) -> bool {
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    let ["arn", partition, "iam", "", account, name] = parts[..] else { return false };
    let name = name.strip_prefix("role/").unwrap_or_default();
    let is_partition = partition == "aws"
        || partition.strip_prefix("aws-").is_some_and(|rest| {
            !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_lowercase() || b == b'-')
        });
    is_partition
        && account.len() == 12
        && account.bytes().all(|b| b.is_ascii_digit())
        && (1..=576).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"+=,.@_/-".contains(&b))
        && !name.ends_with('/')
}

fn is_external_id(text: &str) -> bool {
    EXTERNAL_ID_BYTES.contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"+=,.@:_/-".contains(&b))
}

/// `eu-central-1`, `us-gov-west-1`: words, then a number.
fn is_region(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let Some((number, words)) = parts.split_last() else { return false };
    words.len() >= 2
        && words.len() <= 4
        && words
            .iter()
            .all(|word| (1..=12).contains(&word.len()) && word.bytes().all(|b| b.is_ascii_lowercase()))
        && (1..=2).contains(&number.len())
        && number.bytes().all(|b| b.is_ascii_digit())
}
