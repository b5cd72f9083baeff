//! Writing to the terminal. Text from outside is never let through raw: a commit message can't move the
//! cursor, change colours or hide what follows (row A35).

use std::io::{self, Write as _};

use serde::Serialize;

/// One line of data.
pub(crate) fn line(text: &str) -> anyhow::Result<()> {
    Ok(writeln!(io::stdout(), "{}", clean(text))?)
}

/// Data as JSON.
pub(crate) fn json(value: &impl Serialize) -> anyhow::Result<()> {
    Ok(writeln!(io::stdout(), "{}", serde_json::to_string_pretty(value)?)?)
}

/// One line about what goes on.
pub(crate) fn note(text: &str) {
    // Nothing can be done about a terminal that is gone.
    let _ = writeln!(io::stderr(), "{}", clean(text));
}

/// An error.
pub(crate) fn error(text: &str) {
    let _ = writeln!(io::stderr(), "error: {}", clean(text));
}

/// A table without lines; empty for no rows.
pub(crate) fn table(head: &[&str], rows: Vec<Vec<String>>) -> anyhow::Result<()> {
    let mut table = comfy_table::Table::new();
    table.load_preset(comfy_table::presets::NOTHING);
    table.set_header(head.to_vec());
    for row in rows {
        table.add_row(row.iter().map(|cell| clean(cell)).collect::<Vec<_>>());
    }
    for row in table.lines() {
        writeln!(io::stdout(), "{}", row.trim())?;
    }
    Ok(())
}

/// Whether an error is a closed pipe on our own output.
pub(crate) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// The text with control and direction characters escaped, line ends and tabs excepted.
pub(crate) fn clean(text: &str) -> String {
    let is_direction =
        |c: char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let mut clean = String::with_capacity(text.len());
    for c in text.chars() {
        if (c.is_control() && !matches!(c, '\n' | '\t')) || is_direction(c) {
            clean.extend(c.escape_unicode());
        } else {
            clean.push(c);
        }
    }
    clean
}

/// How long ago a time was, as people say it.
pub(crate) fn ago(now: jiff::Timestamp, then: jiff::Timestamp) -> String {
    let seconds = now.duration_since(then).as_secs().max(0);
    match seconds {
        0..60 => format!("{seconds} s ago"),
        60..3_600 => format!("{} min ago", seconds / 60),
        3_600..86_400 => format!("{} h ago", seconds / 3_600),
        _ => format!("{} days ago", seconds / 86_400),
    }
}

/// How long something took, as people say it.
pub(crate) fn long(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3_600, seconds % 3_600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a35_text_from_outside_can_not_steer_the_terminal() {
        let evil = "fix\u{1b}[2J\u{1b}]52;c;aGk=\u{7}\rok\u{202e}x\u{9b}31m";
        insta::assert_snapshot!(clean(evil), @r"fix\u{1b}[2J\u{1b}]52;c;aGk=\u{7}\u{d}ok\u{202e}x\u{9b}31m");
    }
}
