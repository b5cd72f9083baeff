//! The headers that pages and assets are sent with (rows A33, A34).

use crate::assets;

/// `Cache-Control` of an asset: its name changes with its content.
pub const ASSET_CACHE: &str = "public, max-age=31536000, immutable";

/// The headers of every page. Scripts come from here only, styles are the one sheet by its hash, nobody may
/// frame a page, and forms go nowhere else.
pub fn headers() -> Vec<(&'static str, String)> {
    let policy = format!(
        "default-src 'none'; script-src 'self'; style-src {}; img-src 'self'; connect-src 'self'; \
         form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
        assets::css_hash()
    );
    let mut headers = vec![("content-security-policy", policy)];
    let fixed = [
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "same-origin"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        ("permissions-policy", "camera=(), geolocation=(), microphone=()"),
        ("strict-transport-security", "max-age=63072000; includeSubDomains"),
    ];
    headers.extend(fixed.map(|(name, value)| (name, value.to_owned())));
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a33_pages_can_be_neither_framed_nor_made_to_run_or_load_anything_else() {
        let headers = headers();
        let of =
            |name: &str| headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str());
        let policy = of("content-security-policy").unwrap();
        for part in [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'sha256-",
            "form-action 'self'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
        ] {
            assert!(policy.split("; ").any(|own| own.starts_with(part)), "{part} in {policy}");
        }
        assert!(!policy.contains("unsafe") && !policy.contains('*') && !policy.contains("http"));
        assert_eq!(of("x-content-type-options"), Some("nosniff"));
        assert_eq!(of("referrer-policy"), Some("same-origin"));
        assert!(of("strict-transport-security").is_some());
    }
}
