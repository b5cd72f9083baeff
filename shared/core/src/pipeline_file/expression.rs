//! `${…}`: what may be put into a text, and the one pass that puts it there.
//!
//! The list of names is closed and nothing is computed. A value that was put in is never looked at again, so
//! that `${…}` in a branch name stays text; the caller checks the whole as if it had been written, so that a
//! branch name can become no more than its place allows.

use std::collections::BTreeMap;

use super::limits::MAX_VALUE_BYTES;
use super::reader::{Reader, most_similar};
use super::yaml::{Node, Position};
use super::{Context, messages};
use crate::ids::VariableName;

/// Names that a run gives values to; `var.NAME` and `matrix.KEY` come from the file itself.
pub(super) const NAMES: [&str; 8] = [
    "commit.sha",
    "commit.short",
    "ref.name",
    "run.id",
    "pull_request.number",
    "image.uri",
    "image.digest",
    "image.tag",
];

/// What names stand for: the run's values, or samples where a file is only checked.
pub(super) struct Values<'a> {
    context: Option<&'a Context>,
    variables: BTreeMap<VariableName, String>,
}

/// The names that one place of the file may use.
#[derive(Clone, Copy)]
pub(super) struct Scope<'a> {
    values: &'a Values<'a>,
    /// One value of each key, inside a job with a matrix.
    matrix: &'a [(&'a str, &'a str)],
}

/// A stretch of a text.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Part<'t> {
    Written(&'t str),
    Name(&'t str),
}

/// Splits a text at its expressions; none if one of them is not closed.
pub(super) fn parts(text: &str) -> Option<Vec<Part<'_>>> {
    const OPEN: &str = "${";
    let (mut parts, mut rest) = (Vec::new(), text);
    while let Some(at) = rest.find(OPEN) {
        let (before, inside) = (&rest[..at], &rest[at + OPEN.len()..]);
        if let Some(before) = before.strip_suffix('$') {
            parts.extend([Part::Written(before), Part::Written(OPEN)]);
            rest = inside;
            continue;
        }
        let end = inside.find('}')?;
        parts.extend([Part::Written(before), Part::Name(&inside[..end])]);
        rest = &inside[end + 1..];
    }
    parts.push(Part::Written(rest));
    parts.retain(|part| *part != Part::Written(""));
    Some(parts)
}

/// The text of a key that takes no expressions.
pub(super) fn plain<'n>(
    reader: &mut Reader<'_>,
    node: &'n Node,
    key: &str,
    max_bytes: usize,
) -> Option<&'n str> {
    let text = reader.text(node, key, max_bytes)?;
    if text.contains("${") { reader.fail(node.at, messages::expression_not_here(key)) } else { Some(text) }
}

impl<'a> Values<'a> {
    /// `declared` are the variables of the file, at `at`; those of the run go on top.
    pub(super) fn new(
        reader: &mut Reader<'_>,
        at: Position,
        mut declared: BTreeMap<VariableName, String>,
        context: Option<&'a Context>,
    ) -> Self {
        for (name, value) in context.into_iter().flat_map(|context| &context.variables) {
            let known = || declared.keys().map(VariableName::as_str);
            if !declared.contains_key(name) {
                let similar = most_similar(name.as_str(), known());
                reader.report(at, messages::undeclared_variable(name.as_str(), similar));
            } else if value.len() > MAX_VALUE_BYTES {
                reader.report(at, messages::too_long(name.as_str(), MAX_VALUE_BYTES));
            } else {
                declared.insert(name.clone(), value.clone());
            }
        }
        Self { context, variables: declared }
    }

    pub(super) fn scope(&'a self) -> Scope<'a> {
        Scope { values: self, matrix: &[] }
    }

    /// The value of one of [`NAMES`]; none if this run has none.
    fn of_run(&self, name: &str) -> Option<String> {
        let Some(context) = self.context else { return Some(sample(name).to_owned()) };
        let image = context.image.as_ref();
        match name {
            "commit.sha" => Some(context.commit.to_string()),
            "commit.short" => Some(context.commit.short().to_owned()),
            "ref.name" => Some(context.git_ref.short().to_owned()),
            "run.id" => Some(context.run.to_string()),
            "pull_request.number" => context.pull_request.map(|number| number.to_string()),
            "image.uri" => image.map(|image| image.uri.to_string()),
            "image.digest" => image.map(|image| image.uri.digest().to_string()),
            "image.tag" => image.and_then(|image| image.tag.clone()),
            _ => None,
        }
    }
}

/// What a value looks like, for a check without a run.
fn sample(name: &str) -> &'static str {
    match name {
        "commit.sha" => "0123456789abcdef0123456789abcdef01234567",
        "commit.short" => "01234567",
        "run.id" => "01890a5d-ac96-774b-bcce-b302099a8057",
        "pull_request.number" | "image.tag" => "1",
        "image.uri" => "image@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
        "image.digest" => "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
        _ => "main",
    }
}

impl<'a> Scope<'a> {
    /// The same inside one job of a matrix.
    pub(super) fn with_matrix(self, matrix: &'a [(&'a str, &'a str)]) -> Self {
        Self { matrix, ..self }
    }

    /// The text of a key with its expressions replaced, at most `max_bytes` of it.
    pub(super) fn text(
        self,
        reader: &mut Reader<'_>,
        node: &Node,
        key: &str,
        max_bytes: usize,
    ) -> Option<String> {
        self.text_with(reader, node, key, max_bytes, |_, _, value| Some(value))
    }

    /// The same with each value passed through `fit`, which gets the text so far and the value's name, and
    /// answers none if the value may not stand there.
    pub(super) fn text_with(
        self,
        reader: &mut Reader<'_>,
        node: &Node,
        key: &str,
        max_bytes: usize,
        fit: impl Fn(&str, &str, String) -> Option<String>,
    ) -> Option<String> {
        let template = reader.text(node, key, max_bytes)?;
        let Some(parts) = parts(template) else {
            return reader.fail(node.at, messages::unclosed_expression(template));
        };
        let mut text = String::new();
        for part in parts {
            match part {
                Part::Written(written) => text.push_str(written),
                Part::Name(name) => {
                    let value = self.value(name).map_err(|words| reader.report(node.at, words)).ok()?;
                    match fit(&text, name, value) {
                        Some(value) => text.push_str(&value),
                        None => return reader.fail(node.at, messages::value_out_of_place(name, key)),
                    }
                }
            }
            // Checked at each step: a short text could name a long value a thousand times.
            if text.len() > max_bytes {
                return reader.fail(node.at, messages::too_long(key, max_bytes));
            }
        }
        if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\t')) {
            return reader.fail(node.at, messages::control_in_text(key));
        }
        Some(text)
    }

    fn value(self, name: &str) -> Result<String, messages::Words> {
        let found = match name.split_once('.') {
            Some(("build" | "test", _)) => return Err(messages::output_out_of_place(name)),
            Some(("var", variable)) => {
                let mut variables = self.values.variables.iter();
                variables.find(|(known, _)| known.as_str() == variable).map(|(_, value)| value.clone())
            }
            Some(("matrix", key)) => {
                self.matrix.iter().find(|(known, _)| *known == key).map(|(_, value)| (*value).to_owned())
            }
            _ if NAMES.contains(&name) => {
                return self.values.of_run(name).ok_or_else(|| messages::no_value_in_run(name));
            }
            _ => None,
        };
        found.ok_or_else(|| {
            let variables = self.values.variables.keys().map(|known| format!("var.{known}"));
            let matrix = self.matrix.iter().map(|(key, _)| format!("matrix.{key}"));
            let known: Vec<String> =
                NAMES.into_iter().map(str::to_owned).chain(variables).chain(matrix).collect();
            let known: Vec<&str> = known.iter().map(String::as_str).collect();
            messages::unknown_expression(name, most_similar(name, known.iter().copied()), &known)
        })
    }
}
