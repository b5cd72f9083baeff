//! From text to a tree of located values: YAML's own rules and the budgets against bombs.
//!
//! The tree keeps what the file says (a number stays a number, `no` stays text), so that the reader on top
//! can tell a person what it found and where. It knows nothing of pipelines, and the only errors it makes
//! are those after which there is no tree: at most one a file.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::options::{DuplicateKeyPolicy, NonFiniteFloatPolicy};
use serde_saphyr::{Error, Location, Options, Spanned};

use super::messages::{self, Words};
use super::problem::line_of;

/// A place in the file: line and column, both from 1, the column in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Position {
    pub(super) line: u32,
    pub(super) column: u32,
}

impl Position {
    pub(super) const START: Self = Self { line: 1, column: 1 };

    /// The parser says 0 where it does not know.
    fn of(location: Location) -> Self {
        let number = |n: u64| u32::try_from(n).unwrap_or(u32::MAX).max(1);
        Self { line: number(location.line()), column: number(location.column()) }
    }
}

/// A value and where it is written; for an alias, where the anchor is, since that is the text to change.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) at: Position,
    pub(super) value: Value,
}

/// One key of a map.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) at: Position,
    pub(super) key: String,
    pub(super) value: Node,
}

/// What can stand in a file.
#[derive(Debug)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Integer(i128),
    /// `1.5`, `1e3`, `.nan`: no key takes one, so its value is of no interest.
    Fraction,
    Text(String),
    /// A text longer than [`MAX_TEXT_BYTES`], dropped at once: aliases could repeat it a thousand times.
    LongText,
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// The longest text that any key takes (a value of an environment variable) fits in twice.
pub(super) const MAX_TEXT_BYTES: usize = 8 * 1024;

/// Reads the one document of a file.
pub(super) fn read(text: &str) -> Result<Node, (Position, Words)> {
    let document: Spanned<Value> =
        serde_saphyr::from_str_with_options(text, options()).map_err(|error| explain(text, &error))?;
    Ok(Node::from(document))
}

/// Budgets: the largest plan takes some 5,000 nodes and nests 8 deep; anchors are a convenience, not a
/// language, so a thousand repeated events are plenty and keep a bomb below ten megabytes.
fn options() -> Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_events: 40_000,
            max_nodes: 20_000,
            max_depth: 24,
            flow_nesting_limit: 24,
            max_anchors: 100,
            max_aliases: 500,
            max_merge_keys: 200,
            max_recorded_anchor_events: 20_000,
            max_total_scalar_bytes: 128 * 1024,
            max_documents: 2,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: 1_000,
            max_replay_stack_depth: 8,
        },
        emit_comments: false,
        duplicate_keys: DuplicateKeyPolicy::Error,
        strict_booleans: true,
        reject_unsupported_tags: true,
        non_finite_float_policy: NonFiniteFloatPolicy::PassThrough,
        with_snippet: false,
    }
}

impl From<Spanned<Value>> for Node {
    fn from(spanned: Spanned<Value>) -> Self {
        Self { at: Position::of(spanned.defined), value: spanned.value }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Integer(number.into()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(Value::Integer(number.into()))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Value, E> {
        Ok(Value::Fraction)
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(if text.len() > MAX_TEXT_BYTES { Value::LongText } else { Value::Text(text.to_owned()) })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element::<Spanned<Value>>()? {
            list.push(Node::from(item));
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Vec::new();
        while let Some(key) = entries.next_key::<Spanned<String>>()? {
            let value = Node::from(entries.next_value::<Spanned<Value>>()?);
            map.push(Entry { at: Position::of(key.defined), key: key.value, value });
        }
        Ok(Value::Map(map))
    }
}
/// The first character that no text file holds.
pub(super) fn control_character(text: &str) -> Option<(Position, char)> {
    let found = text.find(|c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t'))?;
    let before = &text[..found];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let number = |n: usize| u32::try_from(n + 1).unwrap_or(u32::MAX);
    let at = Position {
        line: number(before.matches('\n').count()),
        column: number(before[line_start..].chars().count()),
    };
    Some((at, text[found..].chars().next()?))
}

fn explain(text: &str, error: &Error) -> (Position, Words) {
    let mut at = error.location().map_or(Position::START, Position::of);
    // The parser blames the value above a tab; the tab is what has to go.
    let below = Position { line: at.line.saturating_add(1), column: 1 };
    if messages::is_indented_by_tab(line_of(text, below)) && !messages::is_indented_by_tab(line_of(text, at))
    {
        at = below;
    }
    (at, messages::yaml(error, line_of(text, at)))
}
