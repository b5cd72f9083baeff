//! A badge: a pipeline's status as a small picture for a page of another site.
//!
//! Pure. Text from outside stays text: it is escaped, cut, and freed of control characters, so that nothing of it
//! becomes markup. The picture holds no script, no link and no address.

use std::fmt::Write as _;

use crate::run::Status;

/// Characters of a label that are shown.
const MAX_LABEL: usize = 40;
/// What a character takes of the width on average, in tenths of a pixel, in the sans-serif of 11 pixels.
const CHARACTER: usize = 66;
/// Pixels left and right of a text.
const PADDING: usize = 6;

/// What a badge says of a status, and in which colour. Grey is what nothing is known of.
fn words(status: Option<Status>) -> (&'static str, &'static str) {
    match status {
        Some(Status::Succeeded) => ("succeeded", "#1a7f37"),
        Some(Status::Failed | Status::FailedNoBaseline) => ("failed", "#b3261e"),
        Some(Status::RolledBack) => ("rolled back", "#9a6700"),
        Some(Status::RollbackFailed) => ("rollback failed", "#b3261e"),
        Some(Status::Rejected) => ("rejected", "#b3261e"),
        Some(Status::Stopped) => ("stopped", "#57606a"),
        Some(Status::Superseded) => ("superseded", "#57606a"),
        _ => ("unknown", "#57606a"),
    }
}

/// The badge of a pipeline whose last run ended so; `None` where nothing is known of it.
pub fn svg(label: &str, status: Option<Status>) -> String {
    let label: String = label.chars().filter(|c| !c.is_control()).take(MAX_LABEL).collect();
    let (words, colour) = words(status);
    let (left, right) = (width(&label), width(words));
    let (whole, label) = (left + right, escaped(&label));
    let mut svg = String::new();
    // Writing to a String can't fail.
    let _ = write!(
        svg,
        r##"<svg xmlns="http://www.w3.org/2000/svg" width="{whole}" height="20" role="img" aria-label="{label}: {words}"><title>{label}: {words}</title><rect width="{left}" height="20" fill="#24292f"/><rect x="{left}" width="{right}" height="20" fill="{colour}"/><g fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11" text-anchor="middle"><text x="{}" y="14">{label}</text><text x="{}" y="14">{words}</text></g></svg>"##,
        left / 2,
        left + right / 2,
    );
    svg
}

fn width(text: &str) -> usize {
    (text.chars().count() * CHARACTER).div_ceil(10) + 2 * PADDING
}

/// The text with what is syntax in XML replaced (XML 1.0, 2.4).
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            // What XML can't hold at all.
            '\u{fffe}' | '\u{ffff}' => {}
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_badge_says_name_and_status() {
        insta::assert_snapshot!(svg("web", Some(Status::RolledBack)), @r##"<svg xmlns="http://www.w3.org/2000/svg" width="117" height="20" role="img" aria-label="web: rolled back"><title>web: rolled back</title><rect width="32" height="20" fill="#24292f"/><rect x="32" width="85" height="20" fill="#9a6700"/><g fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11" text-anchor="middle"><text x="16" y="14">web</text><text x="74" y="14">rolled back</text></g></svg>"##);
        assert!(svg("web", None).contains("web: unknown"));
        // What goes on is not what the last run came to.
        assert!(svg("web", Some(Status::Building)).contains("web: unknown"));
    }

    #[test]
    fn a34_a_label_never_becomes_markup() {
        let hostile = [
            "\"><script>alert(1)</script>",
            "' onload='alert(1)",
            "]]><!ENTITY x SYSTEM 'file:///etc/passwd'>",
            "&lt;b&gt;&#x3c;",
            "a\u{0}\u{1b}[2J\r\n\u{fffe}",
            &"w".repeat(9_000),
        ];
        for label in hostile {
            let svg = svg(label, Some(Status::Succeeded));
            let tags: Vec<&str> =
                svg.split('<').skip(1).map(|tag| tag.split([' ', '>']).next().unwrap()).collect();
            let expected = [
                "svg", "title", "/title", "rect", "rect", "g", "text", "/text", "text", "/text", "/g", "/svg",
            ];
            assert_eq!(tags, expected, "{svg}");
            assert_eq!(
                svg.matches('"').count(),
                crate::badge::svg("x", Some(Status::Succeeded)).matches('"').count()
            );
            assert!(svg.chars().all(|c| !c.is_control() && c != '\u{fffe}') && svg.len() < 1_500, "{svg}");
        }
    }
}
