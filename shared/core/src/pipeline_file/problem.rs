//! What is wrong with a pipeline file, as a list: where, what, and what to write instead.
//!
//! A list is part of the run record and is printed on terminals and pages, so it is small (a cap on
//! problems and bytes) and inert: control characters of the file never pass through it.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::messages::{self, Words};
use super::yaml::Position;

/// One mistake and its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The file, as a path in the repository.
    pub path: String,
    /// The line, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
    /// What is wrong.
    pub message: String,
    /// What to do instead, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The line of the file around the column, at most 160 characters, with control characters escaped;
    /// empty where no line is to blame.
    #[serde(default)]
    pub excerpt: String,
    /// How many characters of the excerpt come before the blamed one.
    #[serde(default)]
    pub caret: u32,
}

/// Every problem that one reading found, in the order of the file; never empty.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Problems {
    /// At most 20, and together at most 8 KiB of JSON.
    pub problems: Vec<Problem>,
    /// How many more there were.
    #[serde(default)]
    pub more: u32,
}

impl Problems {
    /// More than a screen is not read anyway.
    const MAX_COUNT: usize = 20;
    /// Keeps the list a small part of the run's item in the table; the rest is room for the list itself.
    const MAX_JSON_BYTES: usize = 8 * 1024 - 64;

    /// Adds a problem, or only counts it once the list is full: a file can hold thousands.
    pub(super) fn add(&mut self, problem: impl FnOnce() -> Problem) {
        if self.more == 0 && self.problems.len() < Self::MAX_COUNT {
            let problem = problem();
            let size =
                |problem: &Problem| serde_json::to_string(problem).map_or(usize::MAX, |json| json.len() + 1);
            let used: usize = self.problems.iter().map(size).sum();
            if used.saturating_add(size(&problem)) <= Self::MAX_JSON_BYTES {
                self.problems.push(problem);
                return;
            }
        }
        self.more = self.more.saturating_add(1);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.problems.is_empty() && self.more == 0
    }

    pub(super) fn sorted(mut self) -> Self {
        self.problems.sort_by_key(|problem| (problem.line, problem.column));
        self
    }
}

impl Problem {
    /// In characters; the longest sentence has some 400.
    const MAX_SENTENCE: usize = 500;

    pub(super) fn new(path: &str, source: &str, at: Position, words: Words) -> Self {
        let (excerpt, caret) = excerpt(source, at);
        Self {
            path: printable(path, 200),
            line: at.line,
            column: at.column,
            // Every sentence escapes what it quotes; this holds even where one forgot.
            message: printable(&words.message, Self::MAX_SENTENCE),
            hint: words.hint.map(|hint| printable(&hint, Self::MAX_SENTENCE)),
            excerpt,
            caret,
        }
    }

    /// The same problem without what stands at its place: it may be a secret written where it must not be.
    pub(super) fn without_value(mut self) -> Self {
        self.excerpt = self.excerpt.chars().take(self.caret as usize).chain(['…']).collect();
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", self.path, self.line, self.column, self.message)?;
        if !self.excerpt.is_empty() {
            let line = self.line.to_string();
            let (margin, caret) = (line.len(), self.caret as usize);
            write!(f, "\n{line} | {}\n{:margin$} | {:caret$}^", self.excerpt, "", "")?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\nhint: {hint}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            let gap = if index == 0 { "" } else { "\n\n" };
            write!(f, "{gap}{problem}")?;
        }
        if self.more > 0 {
            write!(f, "\n\n{}", messages::and_more(self.more))?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// The text with everything escaped that a terminal or a page could act on, cut to `max` characters.
pub(super) fn printable(text: &str, max: usize) -> String {
    let escaped = |c: char| {
        let plain = matches!(c, '"' | '\'' | '\\');
        let (plain, escape) = if plain { (Some(c), None) } else { (None, Some(c.escape_debug())) };
        plain.into_iter().chain(escape.into_iter().flatten())
    };
    let mut shown: String = text.chars().flat_map(escaped).take(max + 1).collect();
    if let Some((cut, _)) = shown.char_indices().nth(max) {
        shown.truncate(cut);
        shown.push('…');
    }
    shown
}

/// The line at a position, cut to a window that holds the column, and the caret's place in it.
fn excerpt(source: &str, at: Position) -> (String, u32) {
    const BEFORE: usize = 60;
    const LENGTH: usize = 158;
    let line = line_of(source, at);
    let column = at.column as usize - 1;
    let start = if column < LENGTH / 2 { 0 } else { column - BEFORE };
    let before: String = line.chars().skip(start).take(column - start).collect();
    let after: String = line.chars().skip(column).take(LENGTH).collect();
    let mut shown = if start > 0 { "…".to_owned() } else { String::new() };
    shown.push_str(&printable(&before, LENGTH / 2));
    let caret = shown.chars().count();
    shown.push_str(&printable(&after, LENGTH - caret));
    (shown.trim_end().to_owned(), u32::try_from(caret).unwrap_or(0))
}

/// The line at a position; empty where the file has none.
pub(super) fn line_of(source: &str, at: Position) -> &str {
    lines(source).nth(at.line as usize - 1).unwrap_or_default()
}

/// Lines as YAML counts them: a lone carriage return also ends one.
fn lines(source: &str) -> impl Iterator<Item = &str> {
    let source = source.strip_prefix('\u{feff}').unwrap_or(source);
    let mut rest = Some(source);
    std::iter::from_fn(move || {
        let text = rest?;
        let Some(end) = text.find(['\n', '\r']) else {
            rest = None;
            return Some(text);
        };
        let skip = if text[end..].starts_with("\r\n") { 2 } else { 1 };
        rest = Some(&text[end + skip..]);
        Some(&text[..end])
    })
}
