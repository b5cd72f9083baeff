//! Every sentence about a pipeline file that a person reads.
//!
//! Each says what was found and ends with what to write instead. Text from the file only enters a sentence
//! through `quoted`, which cuts and escapes it.

use serde_saphyr::budget::BudgetBreach;
use serde_saphyr::{Error, MessageFormatter as _, UserMessageFormatter};

use super::problem::printable;
use crate::ids::InvalidId;

mod expressions;
mod sections;
mod triggers;

pub(super) use expressions::*;
pub(super) use sections::*;
pub(super) use triggers::*;

/// A message and, where there is something to do, its hint.
#[derive(Debug)]
pub(super) struct Words {
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

impl Words {
    fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { message: message.into(), hint: Some(hint.into()) }
    }
}

/// Text of the file in backticks, cut and escaped.
pub(super) fn quoted(text: &str) -> String {
    format!("`{}`", printable(text, 60))
}

pub(super) fn and_more(count: u32) -> String {
    let noun = if count == 1 { "problem" } else { "problems" };
    format!("and {count} more {noun}; fix these first")
}

// The file as a whole.

pub(super) fn too_large(max_bytes: usize) -> Words {
    Words::new(
        format!("the file is larger than {} KiB", max_bytes / 1024),
        "keep scripts in buildspec files and point at them",
    )
}

pub(super) fn plan_too_large(max_bytes: usize) -> Words {
    Words::new(
        format!("the plan that this file describes is larger than {} KiB", max_bytes / 1024),
        "the `env` of the pipeline is copied into every job; keep long values in the repository instead",
    )
}

pub(super) fn duplicate_pipeline(name: &str, first: &str, second: &str) -> String {
    format!(
        "{} and {} both describe the pipeline {}; give one of them another name under `pipeline`",
        printable(first, 200),
        printable(second, 200),
        quoted(name)
    )
}

pub(super) fn control_character(c: char) -> Words {
    Words::new(
        format!("the file holds the control character U+{:04X}", u32::from(c)),
        "a pipeline file is plain text in UTF-8; is this the right file?",
    )
}

pub(super) fn empty_file() -> Words {
    Words::new(
        "the file is empty",
        "begin with `version: 1`, `pipeline: <name>` and `on: {push: {branches: [main]}}`",
    )
}

pub(super) fn unreadable() -> Words {
    Words::new("the file could not be read", "compare it with the example in the documentation")
}

/// What YAML itself does not allow, in a line.
pub(super) fn yaml(error: &Error, line: &str) -> Words {
    match error {
        Error::AliasError { error, .. } | Error::WithSnippet { error, .. } => yaml(error, line),
        Error::DuplicateMappingKey { key, .. } => {
            let key = key.as_deref().map_or("a key".to_owned(), quoted);
            Words::new(format!("{key} is written twice in one map"), "keep one of the two")
        }
        Error::MultipleDocuments { .. } => Words::new(
            "a second document begins here",
            "keep one document in a file; remove the `---` or `...`",
        ),
        Error::UnsupportedTag { tag, .. } => Words::new(
            format!("the tag {} is not supported", quoted(tag)),
            "put text that begins with `!` in quotes: \"!main\"",
        ),
        Error::UnknownAnchor { .. } => {
            Words::new("this alias has no anchor", "put text that begins with `*` in quotes: \"*\"")
        }
        Error::RecursiveReferencesRequireWeakTypes { .. } => {
            Words::new("this alias stands inside its own anchor", "write the value out")
        }
        Error::Budget { breach: BudgetBreach::Depth { .. }, .. } => too_complex("nests too deep"),
        Error::Budget { .. } => too_complex("has too many values"),
        Error::AliasReplayLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. }
        | Error::AliasReplayCounterOverflow { .. } => too_complex("repeats too much through aliases"),
        Error::NullIntoString { .. } | Error::Unexpected { .. } => Words::new(
            "a key must be text",
            "write `key: value`; put text that holds `{`, `[` or `:` in quotes",
        ),
        other => match &*UserMessageFormatter.format_message(other) {
            // The parser's own words where a flow collection passes its limit before the budget counts it.
            "recursion limit exceeded" => too_complex("nests too deep"),
            reason => not_yaml(reason, line),
        },
    }
}

fn too_complex(how: &str) -> Words {
    Words::new(
        format!("the file {how}"),
        "a pipeline file is a short list of jobs and environments; write less",
    )
}

fn not_yaml(reason: &str, line: &str) -> Words {
    let hint = if is_indented_by_tab(line) {
        "indent with spaces; YAML does not allow tabs there"
    } else if reason.contains("mapping values are not allowed") {
        "check the indentation, and put text that holds `: ` in quotes"
    } else if reason.contains("anchor or alias") {
        "put text that begins with `*` or `&` in quotes: \"*\""
    } else {
        "check the indentation, brackets and quotes of this line and the one before"
    };
    Words::new(format!("this is not valid YAML: {}", printable(reason, 200)), hint)
}

pub(super) fn is_indented_by_tab(line: &str) -> bool {
    line.trim_start_matches(' ').starts_with('\t')
}

// Keys and values of any kind.

pub(super) fn unknown_key(key: &str, of: &str, similar: Option<&str>, known: &[&str]) -> Words {
    let hint = match similar {
        Some(similar) => format!("did you mean {}?", quoted(similar)),
        None => format!("{of} takes {}", known.join(", ")),
    };
    Words::new(format!("unknown key {} in {of}", quoted(key)), hint)
}

pub(super) fn later(name: &str, consequence: &str) -> Words {
    Words::new(
        format!("{} is not supported by this version of Pushway; remove it", quoted(name)),
        consequence,
    )
}

pub(super) fn missing_key(key: &str, of: &str, example: &str) -> Words {
    Words::new(format!("{of} needs `{key}`"), format!("add `{key}: {example}`"))
}

pub(super) fn wrong_type(subject: &str, expected: &str, found: &str) -> Words {
    let hint = match (expected, found) {
        ("text", "a number" | "true or false") => "put the value in quotes to make it text".to_owned(),
        ("a whole number", "text") => "write the number without quotes and units".to_owned(),
        ("a list", _) => "write a list: [first, second]".to_owned(),
        (_, "nothing") => "give it a value, or remove the key".to_owned(),
        _ => format!("write {expected} here"),
    };
    Words::new(format!("{subject} must be {expected}, but here is {found}"), hint)
}

pub(super) fn too_long(key: &str, max_bytes: usize) -> Words {
    Words::new(format!("{} is longer than {max_bytes} bytes", quoted(key)), "shorten it")
}

pub(super) fn control_in_text(key: &str) -> Words {
    Words::new(format!("{} holds a control character", quoted(key)), "remove it")
}

pub(super) fn none_given(key: &str, item: &str) -> Words {
    Words::new(format!("{} is empty", quoted(key)), format!("add {item}, or remove the key"))
}

pub(super) fn too_many(key: &str, count: usize, max: usize) -> Words {
    Words::new(
        format!("{} has {count} entries, and at most {max} are allowed", quoted(key)),
        "split the pipeline",
    )
}

pub(super) fn out_of_range(key: &str, found: i128, min: u64, max: u64) -> Words {
    Words::new(format!("{} is {found}", quoted(key)), format!("give a number from {min} to {max}"))
}

pub(super) fn not_a_duration(key: &str, found: &str) -> Words {
    Words::new(
        format!("{} is not a duration: {}", quoted(key), quoted(found)),
        "write whole numbers with their units: 90s, 20m, 2h or 1h30m",
    )
}

pub(super) fn duration_out_of_range(key: &str, found: &str, min: u32, max: u32) -> Words {
    Words::new(
        format!("{} is {}", quoted(key), quoted(found)),
        format!("give between {} and {}", duration(min), duration(max)),
    )
}

pub(super) fn millis_out_of_range(key: &str, found: &str, min: u32, max: u32) -> Words {
    Words::new(format!("{} is {}", quoted(key), quoted(found)), format!("give between {min}ms and {max}ms"))
}

/// Seconds in the largest unit that holds them whole.
fn duration(seconds: u32) -> String {
    match seconds {
        s if s % 3600 == 0 => format!("{}h", s / 3600),
        s if s % 60 == 0 => format!("{}m", s / 60),
        s => format!("{s}s"),
    }
}

pub(super) fn unknown_choice(key: &str, found: &str, similar: Option<&str>, known: &[&str]) -> Words {
    let hint = match similar {
        Some(similar) => format!("did you mean {}?", quoted(similar)),
        None => format!("write one of {}", known.join(", ")),
    };
    Words::new(format!("{} cannot be {}", quoted(key), quoted(found)), hint)
}

pub(super) fn invalid(error: &InvalidId) -> Words {
    Words::new(format!("the {} {} is not valid", error.what, quoted(&error.text)), error.rule)
}

pub(super) fn wrong_name(key: &str, found: &str) -> Words {
    Words::new(
        format!("{} is not a valid name for {}", quoted(found), quoted(key)),
        "use 1 to 255 letters, digits, hyphens and underscores",
    )
}
