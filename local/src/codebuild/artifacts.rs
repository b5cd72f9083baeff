//! The build's output files: always copied beside the builds, and sent to S3 where the project says so.
//!
//! Uploads are made with the build's role. It must not follow links out of the source folder, and it does
//! not pack: a project that wants a ZIP is told so instead of getting something else.

use std::{fmt::Write as _, path::Path};

use anyhow::{Context as _, bail};
use serde_json::Value;

use super::{buildspec::FileSet, files, order::Order};
use crate::Emulator;

/// Copies the artifact into `target` and uploads it; answers its ARN where it went to S3.
pub(super) async fn publish(
    order: &Order,
    build_uuid: &str,
    set: &FileSet,
    source: &Path,
    target: &Path,
    role: &Emulator,
) -> anyhow::Result<Option<String>> {
    let is_s3 = are_wanted(order);
    let found = files::matching(source, set).map_err(anyhow::Error::msg)?;
    if found.files.is_empty() {
        if is_s3 {
            bail!("no matching artifact paths found");
        }
        return Ok(None);
    }
    let mut copies = Vec::new();
    for file in &found.files {
        let name = if set.discard_paths.0 { Path::new(file.file_name().unwrap_or_default()) } else { file };
        let copy = target.join(name);
        if let Some(folder) = copy.parent() {
            tokio::fs::create_dir_all(folder).await.context("make the artifact folder")?;
        }
        tokio::fs::copy(found.base.join(file), &copy)
            .await
            .with_context(|| format!("copy the artifact {}", file.display()))?;
        copies.push((name.to_path_buf(), copy));
    }
    if !is_s3 {
        return Ok(None);
    }
    if text(&order.artifacts, "packaging") == "ZIP" {
        bail!("artifact packaging ZIP is not supported on the laptop; set the project's packaging to NONE");
    }
    let bucket = text(&order.artifacts, "location").to_owned();
    let prefix = prefix(order, build_uuid, set);
    for (name, copy) in copies {
        let key = format!("{prefix}{}", name.to_string_lossy());
        let body = tokio::fs::read(&copy).await.with_context(|| format!("read the artifact {key:?}"))?;
        let path = format!("/{}/{}", escaped(&bucket), escaped(&key));
        role.rest("s3", http::Method::PUT, &path, body, &[])
            .await
            .with_context(|| format!("upload the artifact {key:?} to {bucket:?}"))?;
    }
    Ok(Some(format!("arn:aws:s3:::{bucket}/{}", prefix.trim_end_matches('/'))))
}

/// Whether the build must leave artifacts.
pub(super) fn are_wanted(order: &Order) -> bool {
    text(&order.artifacts, "type") == "S3"
}

/// `path/build-id/name/`, each where set (API reference, "`ProjectArtifacts`"). A name in the buildspec counts only
/// where `overrideArtifactName` says so (user guide, "Build specification reference", `artifacts/name`).
fn prefix(order: &Order, build_uuid: &str, set: &FileSet) -> String {
    let overrides = order.artifacts.get("overrideArtifactName").and_then(Value::as_bool).unwrap_or_default();
    let name = match (set.name.as_deref().filter(|_| overrides), text(&order.artifacts, "name")) {
        (None, "") => &order.project,
        (Some(name), _) | (None, name) => name,
    };
    let namespace = if text(&order.artifacts, "namespaceType") == "BUILD_ID" { build_uuid } else { "" };
    let parts = [text(&order.artifacts, "path"), namespace, name].map(|part| part.trim_matches('/'));
    parts.into_iter().filter(|part| !part.is_empty()).flat_map(|part| [part, "/"]).collect()
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// Percent-encodes all but RFC 3986's unreserved characters and `/`.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(escaped, "%{byte:02X}");
        }
    }
    escaped
}
