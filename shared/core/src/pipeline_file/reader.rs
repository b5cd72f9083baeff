//! Reads typed values out of the located tree and collects every problem on the way.
//!
//! Each method answers `None` after it has reported why; the caller carries on with what is left, so that
//! one reading finds as many mistakes as it can. Nothing here knows what the keys mean.

use std::ops::RangeInclusive;
use std::str::FromStr;

use super::messages::{self, Later, Words};
use super::problem::{Problem, Problems};
use super::yaml::{Entry, MAX_TEXT_BYTES, Node, Position, Value};
use crate::ids::InvalidId;

/// The keys of one kind of map.
pub(super) struct Keys {
    /// What the map describes, with its article ("a job").
    pub(super) of: &'static str,
    /// Keys of this version, in the order in which a person writes them.
    pub(super) known: &'static [&'static str],
    /// Keys of later versions.
    pub(super) later: Later,
}

impl Keys {
    fn knows(&self, entry: &Entry) -> bool {
        self.known.contains(&entry.key.as_str())
    }

    fn similar_to(&self, key: &str) -> Option<&'static str> {
        most_similar(key, self.known.iter().copied())
    }
}

/// A map with the keys that were asked for; others are reported by now.
pub(super) struct Fields<'n> {
    keys: &'static Keys,
    at: Position,
    entries: &'n [Entry],
}

impl<'n> Fields<'n> {
    pub(super) fn get(&self, key: &str) -> Option<&'n Node> {
        self.entries.iter().find(|entry| entry.key == key).map(|entry| &entry.value)
    }

    /// Whether there are keys, but none that is known.
    pub(super) fn are_foreign(&self) -> bool {
        !self.entries.is_empty() && self.entries.iter().all(|entry| !self.keys.knows(entry))
    }

    /// Whether an unknown key was already taken for a slip of the pen of this one.
    fn has_slip_of(&self, key: &str) -> bool {
        let mut unknown = self.entries.iter().filter(|entry| !self.keys.knows(entry));
        unknown.any(|entry| self.keys.similar_to(&entry.key) == Some(key))
    }
}

/// The file that is being read, and what was wrong so far.
pub(super) struct Reader<'a> {
    path: &'a str,
    source: &'a str,
    problems: Problems,
}

impl<'a> Reader<'a> {
    pub(super) fn new(path: &'a str, source: &'a str) -> Self {
        Self { path, source, problems: Problems::default() }
    }

    /// How many problems there are so far.
    pub(super) fn count(&self) -> usize {
        self.problems.problems.len() + self.problems.more as usize
    }

    pub(super) fn report(&mut self, at: Position, words: Words) {
        self.problems.add(|| Problem::new(self.path, self.source, at, words));
    }

    /// Reports without showing what stands at the place.
    pub(super) fn report_hidden(&mut self, at: Position, words: Words) {
        self.problems.add(|| Problem::new(self.path, self.source, at, words).without_value());
    }

    /// The value, if nothing at all was wrong.
    pub(super) fn finish<T>(mut self, value: Option<T>) -> Result<T, Problems> {
        if value.is_none() && self.problems.is_empty() {
            self.report_as_whole(messages::unreadable());
        }
        match value {
            Some(value) if self.problems.is_empty() => Ok(value),
            _ => Err(self.problems.sorted()),
        }
    }

    /// A map with fixed keys; unknown ones are reported and skipped.
    pub(super) fn fields<'n>(&mut self, node: &'n Node, keys: &'static Keys) -> Option<Fields<'n>> {
        let Value::Map(entries) = &node.value else {
            return self.wrong_type_of(node, keys.of, "a map of keys and values");
        };
        for entry in entries.iter().filter(|entry| !keys.knows(entry)) {
            let words = match keys.later.iter().find(|(later, _)| *later == entry.key) {
                Some((later, consequence)) => messages::later(later, consequence),
                None => messages::unknown_key(&entry.key, keys.of, keys.similar_to(&entry.key), keys.known),
            };
            self.report(entry.at, words);
        }
        Some(Fields { keys, at: node.at, entries })
    }

    /// A map with keys of the writer's choice, at most `max` of them.
    pub(super) fn entries<'n>(&mut self, node: &'n Node, key: &str, max: usize) -> Option<&'n [Entry]> {
        let Value::Map(entries) = &node.value else {
            return self.wrong_type(node, key, "a map of names and values");
        };
        self.few(node, key, entries, max)
    }

    /// A list of at most `max` items.
    pub(super) fn list<'n>(&mut self, node: &'n Node, key: &str, max: usize) -> Option<&'n [Node]> {
        let Value::List(items) = &node.value else {
            return self.wrong_type(node, key, "a list");
        };
        self.few(node, key, items, max)
    }

    fn few<'n, T>(&mut self, node: &Node, key: &str, items: &'n [T], max: usize) -> Option<&'n [T]> {
        if items.len() > max {
            self.report(node.at, messages::too_many(key, items.len(), max));
            return None;
        }
        Some(items)
    }

    /// A key that must be there; `example` is what could stand behind it.
    pub(super) fn required<'n>(&mut self, fields: &Fields<'n>, key: &str, example: &str) -> Option<&'n Node> {
        let node = fields.get(key);
        if node.is_none() && !fields.has_slip_of(key) {
            self.report(fields.at, messages::missing_key(key, fields.keys.of, example));
        }
        node
    }

    /// A text without control characters, except for line breaks and tabs.
    pub(super) fn text<'n>(&mut self, node: &'n Node, key: &str, max_bytes: usize) -> Option<&'n str> {
        let text = match &node.value {
            Value::Text(text) => text,
            Value::LongText => {
                return self.fail(node.at, messages::too_long(key, max_bytes.min(MAX_TEXT_BYTES)));
            }
            _ => return self.wrong_type(node, key, "text"),
        };
        if text.len() > max_bytes {
            return self.fail(node.at, messages::too_long(key, max_bytes));
        }
        if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\t')) {
            return self.fail(node.at, messages::control_in_text(key));
        }
        Some(text)
    }

    /// A text that its type checks.
    pub(super) fn parsed<T: FromStr<Err = InvalidId>>(&mut self, node: &Node, key: &str) -> Option<T> {
        let text = self.text(node, key, MAX_TEXT_BYTES)?;
        self.checked(node.at, text)
    }

    /// The same for text that is already at hand, such as a key.
    pub(super) fn checked<T: FromStr<Err = InvalidId>>(&mut self, at: Position, text: &str) -> Option<T> {
        text.parse().map_err(|error| self.report(at, messages::invalid(&error))).ok()
    }

    /// A whole number in a range.
    pub(super) fn integer(&mut self, node: &Node, key: &str, range: RangeInclusive<u16>) -> Option<u16> {
        let Value::Integer(number) = node.value else {
            return self.wrong_type(node, key, "a whole number");
        };
        let (min, max) = range.into_inner();
        match u16::try_from(number) {
            Ok(fitting) if (min..=max).contains(&fitting) => Some(fitting),
            _ => self.fail(node.at, messages::out_of_range(key, number, min.into(), max.into())),
        }
    }

    /// `true` or `false`.
    pub(super) fn boolean(&mut self, node: &Node, key: &str) -> Option<bool> {
        match node.value {
            Value::Bool(value) => Some(value),
            _ => self.wrong_type(node, key, "true or false"),
        }
    }

    /// A short duration such as `500ms`, in whole milliseconds.
    pub(super) fn millis(&mut self, node: &Node, key: &str, range: RangeInclusive<u32>) -> Option<u32> {
        let text = self.text(node, key, MAX_TEXT_BYTES)?;
        let parsed = jiff::fmt::friendly::SpanParser::new().parse_unsigned_duration(text);
        let Some(duration) = parsed.ok().filter(|duration| duration.subsec_nanos() % 1_000_000 == 0) else {
            return self.fail(node.at, messages::not_a_duration(key, text));
        };
        let (min, max) = range.into_inner();
        match u32::try_from(duration.as_millis()) {
            Ok(millis) if (min..=max).contains(&millis) => Some(millis),
            _ => self.fail(node.at, messages::millis_out_of_range(key, text, min, max)),
        }
    }

    /// A duration such as `20m`, in whole seconds.
    pub(super) fn seconds(&mut self, node: &Node, key: &str, range: RangeInclusive<u32>) -> Option<u32> {
        let text = match &node.value {
            Value::Text(text) => text.clone(),
            // Seconds or minutes? Asking is better than guessing.
            Value::Integer(number) => number.to_string(),
            Value::LongText => return self.fail(node.at, messages::not_a_duration(key, "…")),
            _ => return self.wrong_type(node, key, "a duration"),
        };
        let parsed = jiff::fmt::friendly::SpanParser::new().parse_unsigned_duration(&text);
        let Some(duration) = parsed.ok().filter(|duration| duration.subsec_nanos() == 0) else {
            return self.fail(node.at, messages::not_a_duration(key, &text));
        };
        let (min, max) = range.into_inner();
        match u32::try_from(duration.as_secs()) {
            Ok(seconds) if (min..=max).contains(&seconds) => Some(seconds),
            _ => self.fail(node.at, messages::duration_out_of_range(key, &text, min, max)),
        }
    }

    /// One of a few words.
    pub(super) fn choice<T: Copy>(
        &mut self,
        node: &Node,
        key: &str,
        known: &[(&'static str, T)],
        later: Later,
    ) -> Option<T> {
        let text = self.text(node, key, MAX_TEXT_BYTES)?;
        if let Some((_, value)) = known.iter().find(|(name, _)| *name == text) {
            return Some(*value);
        }
        let words = if let Some((name, consequence)) = later.iter().find(|(name, _)| *name == text) {
            messages::later(name, consequence)
        } else {
            let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
            messages::unknown_choice(key, text, most_similar(text, names.iter().copied()), &names)
        };
        self.fail(node.at, words)
    }

    /// Reports that a value is of another kind than its key takes.
    pub(super) fn wrong_type<T>(&mut self, node: &Node, key: &str, expected: &str) -> Option<T> {
        self.wrong_type_of(node, &messages::quoted(key), expected)
    }

    fn wrong_type_of<T>(&mut self, node: &Node, subject: &str, expected: &str) -> Option<T> {
        let found = match &node.value {
            Value::Null => "nothing",
            Value::Bool(_) => "true or false",
            Value::Integer(_) | Value::Fraction => "a number",
            Value::Text(_) | Value::LongText => "text",
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
        };
        self.fail(node.at, messages::wrong_type(subject, expected, found))
    }

    /// Reports something that no single line is to blame for.
    pub(super) fn report_as_whole(&mut self, words: Words) {
        self.problems.add(|| Problem::new(self.path, "", Position::START, words));
    }

    /// Reports, and answers `None` for the caller to return.
    pub(super) fn fail<T>(&mut self, at: Position, words: Words) -> Option<T> {
        self.report(at, words);
        None
    }
}

/// The candidate that a person most likely meant, if one is near enough.
pub(super) fn most_similar<'c>(text: &str, candidates: impl Iterator<Item = &'c str>) -> Option<&'c str> {
    // Nothing as long as this is a slip of the pen, and the distance takes quadratic time.
    if text.len() > 64 {
        return None;
    }
    candidates
        .map(|candidate| (strsim::damerau_levenshtein(text, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= (candidate.len() / 3).max(1))
        .min()
        .map(|(_, candidate)| candidate)
}
