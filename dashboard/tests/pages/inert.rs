//! Row A34: whatever a commit message, an author, a branch, a log line, a service's answer says, it is text.
//!
//! Every text that the records of the world can hold is exchanged for a payload; the page must consist of the
//! very elements and attributes that it consists of where those texts are harmless.

use super::dom::{Element, parsed};
use super::samples::pages::pages;
use super::samples::poison::poisoned;

const PAYLOADS: [&str; 9] = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "</title></style></textarea></pre><script>alert(1)</script>",
    "\" onmouseover=\"alert(1)\" autofocus onfocus=\"alert(1)\" x=\"",
    "' onclick='alert(1)",
    "javascript:alert(1)",
    "<svg onload=alert(1)><a xlink:href=javascript:alert(1)>",
    "{{7*7}}{% include \"base.html\" %}${7*7}",
    "--><!-- <![CDATA[ &#x3c;script&#x3e; &lt;",
];

/// Elements with the names of their attributes.
fn skeleton(page: &Element) -> Vec<String> {
    let told = |element: &Element| {
        let names: Vec<&str> = element.attributes.iter().map(|(name, _)| name.as_str()).collect();
        format!("{} {}", element.name, names.join(" "))
    };
    page.all().into_iter().map(told).collect()
}

fn is_followed_safely(address: &str) -> bool {
    address.starts_with('/') && !address.starts_with("//") || address.starts_with('#')
}

#[test]
fn a34_every_stored_text_is_only_ever_text() {
    let (harmless, count) = poisoned("harmless words of no account");
    assert!(count > 100, "only {count} texts were exchanged");
    let expected: Vec<_> = pages(&harmless).iter().map(|(_, html)| skeleton(&parsed(html))).collect();
    for payload in PAYLOADS {
        let (world, _) = poisoned(payload);
        for ((name, html), expected) in pages(&world).iter().zip(&expected) {
            let page = parsed(html);
            assert_eq!(skeleton(&page), *expected, "{name} changes with {payload}");
            for element in page.all() {
                for (attribute, value) in &element.attributes {
                    assert!(
                        !attribute.starts_with("on") && attribute != "style",
                        "{name}: {attribute}={value}"
                    );
                    if ["href", "src", "action", "formaction"].contains(&attribute.as_str()) {
                        assert!(is_followed_safely(value), "{name}: {attribute}={value}");
                    }
                }
            }
        }
    }
}

#[test]
fn a34_payloads_are_shown_and_not_swallowed() {
    let (world, _) = poisoned(PAYLOADS[0]);
    for (name, html) in pages(&world) {
        assert!(parsed(&html).text().contains(PAYLOADS[0]), "{name} does not show what it was given");
    }
}

#[test]
fn a34_no_template_lets_a_text_through() {
    for entry in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/templates")).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        // The style sheet is the one text that must not be escaped; it is ours.
        let text = text.replace("{{ crate::assets::CSS|safe }}", "");
        for way in ["safe", "escape(", "|e(", " style=", "<style", "onclick", "onload", "javascript:"] {
            let is_sheet = way == "<style" && path.ends_with("base.html");
            assert!(is_sheet || !text.contains(way), "{way:?} in {}", path.display());
        }
        // A script without `src` is one in the page.
        assert_eq!(
            text.matches("<script").count(),
            text.matches("<script src=").count(),
            "{}",
            path.display()
        );
    }
}
