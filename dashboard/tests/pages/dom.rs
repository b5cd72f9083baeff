//! A parsed page, as far as the tests ask about it.

use html5ever::tendril::TendrilSink as _;
use html5ever::{ParseOpts, parse_document};
use markup5ever_rcdom::{Handle, NodeData, RcDom};

/// An element with what is in it.
#[derive(Debug, Clone)]
pub(crate) struct Element {
    pub(crate) name: String,
    pub(crate) attributes: Vec<(String, String)>,
    pub(crate) inside: Vec<Node>,
}

/// An element or text.
#[derive(Debug, Clone)]
pub(crate) enum Node {
    Element(Element),
    Text(String),
}

/// Parses a page as a browser does; the page must have no error of syntax.
pub(crate) fn parsed(html: &str) -> Element {
    let dom = parse_document(RcDom::default(), ParseOpts::default()).one(html);
    let errors: Vec<String> = dom.errors.borrow().iter().map(ToString::to_string).collect();
    assert_eq!(errors, Vec::<String>::new(), "the page is malformed");
    Element { name: "#page".into(), attributes: Vec::new(), inside: children(&dom.document) }
}

fn children(handle: &Handle) -> Vec<Node> {
    handle.children.borrow().iter().filter_map(node).collect()
}

fn node(handle: &Handle) -> Option<Node> {
    match &handle.data {
        NodeData::Element { name, attrs, .. } => Some(Node::Element(Element {
            name: name.local.to_string(),
            attributes: attrs
                .borrow()
                .iter()
                .map(|attribute| (attribute.name.local.to_string(), attribute.value.to_string()))
                .collect(),
            inside: children(handle),
        })),
        NodeData::Text { contents } => Some(Node::Text(contents.borrow().to_string())),
        _ => None,
    }
}

impl Element {
    pub(crate) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// It and every element in it, in the order of the page.
    pub(crate) fn all(&self) -> Vec<&Element> {
        let mut found = vec![self];
        for node in &self.inside {
            if let Node::Element(element) = node {
                found.extend(element.all());
            }
        }
        found
    }

    /// Every element of a name.
    pub(crate) fn named(&self, name: &str) -> Vec<&Element> {
        self.all().into_iter().filter(|element| element.name == name).collect()
    }

    /// Its text, as it is read: spaces run together.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        self.gather(&mut text);
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    fn gather(&self, text: &mut String) {
        for node in &self.inside {
            match node {
                Node::Text(own) => text.push_str(own),
                Node::Element(element) => {
                    text.push(' ');
                    element.gather(text);
                    text.push(' ');
                }
            }
        }
    }
}
