//! ECR's account of a pushed image (Amazon ECR User Guide, "Amazon ECR events and EventBridge").
//!
//! The event is not signed, so it is a hint: the registry is asked before it is believed. It names what a
//! deploy needs, the digest; the tag is told for filters only.

use serde::Deserialize;

use super::{Malformed, malformed};
use crate::fact::bounded;
use crate::ids::{DeliveryId, Digest, ImageDigestRef};

/// What an event claims.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The event's id.
    pub delivery: DeliveryId,
    /// The registry: the account's twelve digits.
    pub registry: String,
    /// The region.
    pub region: String,
    /// The ECR repository's name.
    pub repository: String,
    /// The image's digest.
    pub digest: Digest,
    /// The tag it was pushed under; none for one that is told by digest only.
    pub tag: Option<String>,
}

#[derive(Deserialize)]
struct Event {
    id: String,
    source: String,
    #[serde(rename = "detail-type")]
    detail_type: String,
    account: String,
    region: String,
    detail: Detail,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Detail {
    result: String,
    repository_name: String,
    image_digest: String,
    action_type: String,
    image_tag: Option<String>,
}

impl Claim {
    /// The image by digest, at the registry's address.
    pub fn image(&self) -> Result<ImageDigestRef, Malformed> {
        let Self { registry, region, repository, digest, .. } = self;
        // "Amazon ECR endpoints": China has a domain of its own.
        let domain = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
        format!("{registry}.dkr.ecr.{region}.{domain}/{repository}@{digest}").parse().map_err(malformed)
    }
}

/// Reads an event.
pub fn parse(event: serde_json::Value) -> Result<Claim, Malformed> {
    let Event { id, source, detail_type, account, region, detail } =
        serde_json::from_value(event).map_err(|error| Malformed::json(&error))?;
    if source != "aws.ecr" || detail_type != "ECR Image Action" {
        let told = bounded(&format!("{detail_type} of {source}"), 120);
        return Err(Malformed(format!("the event is {told:?}, not an ECR Image Action of aws.ecr")));
    }
    if detail.action_type != "PUSH" || detail.result != "SUCCESS" {
        let told = bounded(&format!("{} {}", detail.action_type, detail.result), 60);
        return Err(Malformed(format!("the event tells of {told:?}, not of a push that succeeded")));
    }
    let is_account = account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit());
    let is_region = (1..=32).contains(&region.len())
        && region.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    // "CreateRepository": lower-case words, joined by `._-` and `/`.
    let name = &detail.repository_name;
    let is_name = (2..=256).contains(&name.len())
        && name.split('/').all(|part| part.bytes().any(|b| b.is_ascii_alphanumeric()))
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-/".contains(&b));
    let is_tag = |tag: &String| {
        (1..=300).contains(&tag.len())
            && tag.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
    };
    if !is_account || !is_region || !is_name || !detail.image_tag.iter().all(is_tag) {
        return Err(Malformed(
            "account, region, repository or tag of the event is none that ECR gives".into(),
        ));
    }
    Ok(Claim {
        delivery: id.parse().map_err(malformed)?,
        registry: account,
        region,
        repository: detail.repository_name,
        digest: detail.image_digest.parse().map_err(malformed)?,
        tag: detail.image_tag,
    })
}
