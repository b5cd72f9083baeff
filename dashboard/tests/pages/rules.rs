//! What holds on every page for whoever uses a keyboard, a screen reader, a phone, or no script; and how much a
//! page weighs.

use std::collections::BTreeSet;

use super::dom::{Element, Node, parsed};
use super::samples::pages::{owner, pages};
use super::samples::world;
use pushway_dashboard::{Section, asset};

fn every_page() -> Vec<(&'static str, Element)> {
    pages(&world()).into_iter().map(|(name, html)| (name, parsed(&html))).collect()
}

#[test]
fn headings_go_down_step_by_step_from_one() {
    for (name, page) in every_page() {
        let levels: Vec<usize> = page
            .all()
            .into_iter()
            .filter_map(|element| element.name.strip_prefix('h')?.parse().ok())
            .collect();
        assert_eq!(levels.iter().filter(|level| **level == 1).count(), 1, "{name}: {levels:?}");
        assert_eq!(levels[0], 1, "{name}: {levels:?}");
        assert!(levels.windows(2).all(|pair| pair[1] <= pair[0] + 1), "{name}: {levels:?}");
        for heading in
            page.all().into_iter().filter(|element| ["h1", "h2", "h3"].contains(&element.name.as_str()))
        {
            assert!(!heading.text().is_empty(), "{name}: an empty heading");
        }
    }
}

#[test]
fn ids_are_unique_and_whatever_is_referred_to_is_there() {
    for (name, page) in every_page() {
        let ids: Vec<&str> = page.all().iter().filter_map(|element| element.attribute("id")).collect();
        let unique: BTreeSet<&str> = ids.iter().copied().collect();
        let twice: Vec<&&str> =
            ids.iter().filter(|id| ids.iter().filter(|other| other == id).count() > 1).collect();
        assert!(twice.is_empty(), "{name}: twice {twice:?}");
        for element in page.all() {
            for attribute in ["for", "aria-labelledby", "aria-describedby"] {
                let known = element.attribute(attribute).is_none_or(|id| unique.contains(id));
                assert!(known, "{name}: {attribute} of {element:?}");
            }
            let target = element.attribute("href").and_then(|href| href.strip_prefix('#'));
            assert!(target.is_none_or(|id| unique.contains(id)), "{name}: nothing is at #{target:?}");
        }
    }
}

#[test]
fn every_control_has_a_name() {
    for (name, page) in every_page() {
        let labelled: BTreeSet<&str> =
            page.named("label").iter().filter_map(|label| label.attribute("for")).collect();
        let wrapped: Vec<&str> = page
            .named("label")
            .iter()
            .flat_map(|label| label.all())
            .filter_map(|element| element.attribute("id"))
            .collect();
        for control in ["input", "select", "textarea"].iter().flat_map(|kind| page.named(kind)) {
            if control.attribute("type") == Some("hidden") {
                continue;
            }
            let id = control.attribute("id").unwrap_or_else(|| panic!("{name}: {control:?} has no id"));
            assert!(labelled.contains(id) || wrapped.contains(&id), "{name}: {id} has no label");
        }
        for control in ["a", "button", "summary"].iter().flat_map(|kind| page.named(kind)) {
            let has_name = !control.text().is_empty() || control.attribute("aria-label").is_some();
            assert!(has_name, "{name}: {control:?} has no name");
        }
    }
}

#[test]
fn a_page_has_its_landmarks_and_says_its_language_and_title() {
    for (name, page) in every_page() {
        for (landmark, id) in [("main", Some("main")), ("header", None)] {
            let found = page.named(landmark);
            assert_eq!(found.len(), 1, "{name}: {landmark}");
            assert!(id.is_none_or(|id| found[0].attribute("id") == Some(id)), "{name}");
        }
        assert_eq!(page.named("html")[0].attribute("lang"), Some("en"), "{name}");
        assert!(page.named("title")[0].text().ends_with(" · Pushway"), "{name}");
        let first = page.named("a")[0];
        assert_eq!(first.attribute("href"), Some("#main"), "{name}: the first link skips to the content");
        assert!(page.all().iter().any(|element| element.attribute("aria-live") == Some("polite")), "{name}");
        let viewport = page.named("meta").into_iter().find(|meta| meta.attribute("name") == Some("viewport"));
        let content = viewport.and_then(|meta| meta.attribute("content")).unwrap();
        assert!(content.contains("width=device-width") && !content.contains("maximum-scale"), "{name}");
    }
}

#[test]
fn states_are_told_by_word_and_shape_not_by_colour_alone() {
    let mut seen = 0;
    for (name, page) in every_page() {
        for pill in page.all() {
            if pill.attribute("class").is_some_and(|class| class.starts_with("pill")) {
                assert!(!pill.text().is_empty() && !pill.named("use").is_empty(), "{name}: {pill:?}");
                seen += 1;
            }
        }
        // Pictures either say what they show, or stand beside words that do.
        for svg in page.named("svg") {
            let told = svg.attribute("aria-hidden") == Some("true") || svg.attribute("aria-label").is_some();
            assert!(told, "{name}: {svg:?}");
        }
    }
    assert!(seen > 50, "only {seen} pills");
}

#[test]
fn a33_every_act_is_a_post_with_its_token_and_offered_only_to_whoever_may() {
    let acts = |page: &Element| -> Vec<String> {
        let forms = page.named("form").into_iter().filter(|form| form.attribute("method") == Some("post"));
        forms.map(|form| form.attribute("action").unwrap().to_owned()).collect()
    };
    for (name, page) in every_page() {
        for form in page.named("form") {
            let fields: Vec<(Option<&str>, Option<&str>)> = form
                .named("input")
                .iter()
                .map(|input| (input.attribute("name"), input.attribute("value")))
                .collect();
            match form.attribute("method") {
                // Who signs in has no session yet.
                Some("post") if form.attribute("action") == Some("/sign-in") => {}
                Some("post") => {
                    assert!(fields.contains(&(Some("csrf"), Some("csrf-token"))), "{name}: {form:?}");
                }
                _ => assert!(
                    !fields.iter().any(|(field, _)| *field == Some("csrf")),
                    "{name}: a token in an address"
                ),
            }
        }
    }
    let of = |wanted: &str| every_page().into_iter().find(|(name, _)| *name == wanted).unwrap().1;
    // Who may only look is offered the way out, and nothing else.
    assert_eq!(acts(&of("run-reader")), ["/sign-out"]);
    let offered = acts(&of("run-paused"));
    assert!(offered.len() == 4 && offered[3].ends_with("/environments/production/go-back"), "{offered:?}");
}

#[test]
fn the_first_page_is_light_and_needs_no_second_round_trip() {
    let world = world();
    let html = pages(&world).into_iter().find(|(name, _)| *name == "overview").unwrap().1;
    let page = parsed(&html);
    let needed: Vec<String> = page
        .all()
        .into_iter()
        .filter(|element| ["script", "link", "img"].contains(&element.name.as_str()))
        .map(|element| element.attribute("src").or(element.attribute("href")).unwrap().to_owned())
        .collect();
    let assets: usize =
        needed.iter().map(|path| asset(path).unwrap_or_else(|| panic!("{path}")).content.len()).sum();
    let whole = html.len() + assets;
    assert!(whole <= 100 * 1024, "{whole} bytes");
    // Nothing that holds up the first paint is asked for: the sheet is in the page, the script comes later.
    assert!(page.named("link").iter().all(|link| link.attribute("rel") == Some("icon")));
    assert!(page.named("script").iter().all(|script| script.attribute("defer").is_some()));
    let sheets = page.named("style");
    assert!(
        sheets.len() == 1 && matches!(&sheets[0].inside[..], [Node::Text(text)] if text.contains("--accent"))
    );
}

#[test]
fn polling_a_page_that_has_not_changed_gives_equal_bytes() {
    use pushway_dashboard::{ApprovalsPage, Frame, Template as _};
    let world = world();
    let at = |seconds: i64| {
        let now = super::samples::now() + jiff::SignedDuration::from_secs(seconds);
        let frame = Frame { now: Frame::coarse(now), ..owner(&world, Section::Approvals) };
        ApprovalsPage { frame: &frame, waiting: &[] }.as_main().render().unwrap()
    };
    assert_eq!(at(0), at(9));
    let fragment = ApprovalsPage { frame: &owner(&world, Section::Approvals), waiting: &[] };
    let fragment = fragment.as_main().render().unwrap();
    assert!(
        fragment.trim_start().starts_with("<main id=\"main\"") && fragment.trim_end().ends_with("</main>")
    );
}

/// Relative luminance of a colour written as `#rgb` or `#rrggbb` (WCAG 2.2, "relative luminance").
fn luminance(colour: &str) -> f64 {
    let hex = colour.trim_start_matches('#');
    let whole = if hex.len() == 3 { hex.chars().flat_map(|c| [c, c]).collect() } else { hex.to_owned() };
    let part = |place: usize| {
        let value = f64::from(u8::from_str_radix(&whole[place..place + 2], 16).unwrap()) / 255.0;
        if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
    };
    0.2126 * part(0) + 0.7152 * part(2) + 0.0722 * part(4)
}

#[test]
fn contrasts_are_enough_in_the_light_and_in_the_dark() {
    let (_, html) = pages(&world()).remove(0);
    let page = parsed(&html);
    let css = page.named("style")[0].text();
    let sheets: Vec<&str> = css.split(":root{").skip(1).map(|rest| rest.split('}').next().unwrap()).collect();
    assert_eq!(sheets.len(), 2, "one for the light, one for the dark");
    for sheet in sheets {
        let colour = |name: &str| {
            let found = sheet.split(';').find_map(|pair| pair.strip_prefix(&format!("--{name}:")));
            found.unwrap_or_else(|| panic!("no {name} in {sheet}"))
        };
        let ratio = |front: &str, back: &str| {
            let (one, other) = (luminance(colour(front)), luminance(colour(back)));
            (one.max(other) + 0.05) / (one.min(other) + 0.05)
        };
        let tones =
            ["ok", "bad", "warn", "run", "ask", "quiet"].map(|tone| (tone.to_owned(), format!("{tone}-t")));
        let texts = ["ink", "soft", "accent", "bad"].iter();
        let texts =
            texts.flat_map(|text| ["bg", "panel", "sunk"].map(|back| ((*text).to_owned(), back.to_owned())));
        let buttons = ["accent", "ask", "ok", "bad", "warn"].map(|back| ("on".to_owned(), back.to_owned()));
        for (front, back) in texts.chain(tones).chain(buttons) {
            let told = ratio(&front, &back);
            assert!(told >= 4.5, "{front} on {back}: {told:.2}");
        }
        // Edges of fields are no text: 3 is enough (WCAG 2.2, 1.4.11).
        assert!(ratio("edge", "panel") >= 3.0);
    }
}
