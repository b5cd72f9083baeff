//! What pages need beside themselves: one script, one icon. Their names hold a hash of what they say, so they
//! may be kept for good, and a new version is asked for by its new name.
//!
//! The style sheet is part of each page, allowed by its hash: a page that had to ask for it would show
//! nothing before a second round trip.

use std::sync::LazyLock;

use base64::Engine as _;
use sha2::{Digest as _, Sha256};

/// The style sheet, as it stands in each page.
pub(crate) const CSS: &str = include_str!("../assets/pushway.css");
const SCRIPT: &str = include_str!("../assets/pushway.js");
const ICON: &str = include_str!("../assets/icon.svg");

/// A file that pages refer to.
#[derive(Debug)]
pub struct Asset {
    /// Its path, with the hash of its content.
    pub path: String,
    /// Its media type.
    pub content_type: &'static str,
    /// What it says.
    pub content: &'static str,
}

impl Asset {
    fn new(stem: &str, extension: &str, content_type: &'static str, content: &'static str) -> Self {
        let hash = hex::encode(&Sha256::digest(content.as_bytes())[..8]);
        Self { path: format!("/assets/{stem}.{hash}.{extension}"), content_type, content }
    }
}

static SCRIPT_ASSET: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("pushway", "js", "text/javascript; charset=utf-8", SCRIPT));
static ICON_ASSET: LazyLock<Asset> = LazyLock::new(|| Asset::new("icon", "svg", "image/svg+xml", ICON));

/// The asset at a path, to be served with [`crate::ASSET_CACHE`]; a path with another hash has none.
pub fn asset(path: &str) -> Option<&'static Asset> {
    [&*SCRIPT_ASSET, &*ICON_ASSET].into_iter().find(|asset| asset.path == path)
}

/// The script's path.
pub(crate) fn script() -> &'static str {
    &SCRIPT_ASSET.path
}

/// The icon's path.
pub(crate) fn icon() -> &'static str {
    &ICON_ASSET.path
}

/// The style sheet's hash as a content security policy names it (CSP Level 3, `hash-source`).
pub(crate) fn css_hash() -> String {
    let hash = base64::engine::general_purpose::STANDARD.encode(Sha256::digest(CSS.as_bytes()));
    format!("'sha256-{hash}'")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assets_are_found_by_the_hash_of_what_they_say() {
        for path in [script(), icon()] {
            assert!(asset(path).is_some_and(|asset| !asset.content.is_empty()), "{path}");
        }
        assert!(asset("/assets/pushway.0000000000000000.js").is_none());
        // It stands in a <style> element, which ends at the first end tag.
        assert!(!CSS.contains("</") && !CSS.contains("@import") && !CSS.contains("url("));
    }
}
