//! Each page as it is read out: headings, links, fields, buttons and texts in their order.

use super::dom::{Element, Node, parsed};
use super::samples::pages::pages;
use super::samples::world;

/// What a reader hears of the main part, a line for each thing.
fn outline(page: &Element) -> String {
    let mut lines = Vec::new();
    for node in &page.named("main")[0].inside {
        read(node, &mut lines);
    }
    lines.retain(|line| !line.trim().is_empty());
    lines.join("\n")
}

fn read(node: &Node, lines: &mut Vec<String>) {
    let element = match node {
        Node::Text(text) => {
            let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
            return lines.push(text);
        }
        Node::Element(element) => element,
    };
    let of = |name: &str| element.attribute(name).unwrap_or_default();
    match element.name.as_str() {
        "h1" | "h2" | "h3" => {
            lines.push(format!("{} {}", "#".repeat(element.name[1..].parse().unwrap()), element.text()));
        }
        "a" => lines.push(format!("[{}]({})", element.text(), short(of("href")))),
        "button" => lines.push(format!("<{}>", element.text())),
        "form" => {
            lines.push(format!("{} {}", of("method"), short(of("action"))));
            element.inside.iter().for_each(|node| read(node, lines));
        }
        "input" => lines.push(format!(
            "{}: {}={:?}",
            if of("type").is_empty() { "text" } else { of("type") },
            of("name"),
            short(of("value"))
        )),
        "select" => lines.push(format!("one of {}: {}", element.named("option").len(), of("name"))),
        "svg" if element.attribute("aria-label").is_some() => {
            lines.push(format!("picture: {}", of("aria-label")));
        }
        "svg" => lines.extend(bar(element)),
        "p" | "td" | "th" | "dt" | "dd" | "summary" if element.named("a").is_empty() => {
            lines.push(element.text());
        }
        _ => element.inside.iter().for_each(|node| read(node, lines)),
    }
}

/// A bar by its pieces; icons are left out.
fn bar(svg: &Element) -> Option<String> {
    let pieces = svg.named("rect");
    let told = |piece: &&Element| {
        let of = |name: &str| piece.attribute(name).unwrap_or_default().to_owned();
        format!("{}@{}+{}", of("class"), of("x"), of("width"))
    };
    (!pieces.is_empty()).then(|| pieces.iter().map(told).collect::<Vec<_>>().join(" "))
}

/// Ids of runs differ by their first part alone.
fn short(text: &str) -> String {
    text.split('/')
        .map(|part| if part.len() == 36 { &part[28..] } else { part })
        .collect::<Vec<_>>()
        .join("/")
}

#[test]
fn pages_read_well() {
    for (name, html) in pages(&world()) {
        insta::assert_snapshot!(name, outline(&parsed(&html)));
    }
}
