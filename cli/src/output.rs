//! Writing to the terminal. Text from outside is never let through raw: a commit message can't move the
//! cursor, change colours or hide what follows (row A35).

use std::fmt::Write as _;
use std::io::{self, Write as _};

use serde::Serialize;

/// One line of data.
pub(crate) fn line(text: &str) -> anyhow::Result<()> {
    Ok(writeln!(io::stdout(), "{}", clean(text))?)
}

/// Data as it came, which may steer the terminal: for who asks for just that.
pub(crate) fn raw(text: &str) -> anyhow::Result<()> {
    Ok(writeln!(io::stdout(), "{text}")?)
}

/// Data as JSON.
pub(crate) fn json(value: &impl Serialize) -> anyhow::Result<()> {
    Ok(writeln!(io::stdout(), "{}", escaped(&serde_json::to_string_pretty(value)?))?)
}

/// Data as JSON on one line, where more of it follows.
pub(crate) fn json_line(value: &impl Serialize) -> anyhow::Result<()> {
    Ok(writeln!(io::stdout(), "{}", escaped(&serde_json::to_string(value)?))?)
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
    let mut clean = String::with_capacity(text.len());
    for c in text.chars() {
        if steers(c) {
            clean.extend(c.escape_unicode());
        } else {
            clean.push(c);
        }
    }
    clean
}

/// JSON in which such characters are escaped as JSON does it. They stand in its strings alone, and none of them is
/// beyond what four digits name.
fn escaped(json: &str) -> String {
    let mut escaped = String::with_capacity(json.len());
    for c in json.chars() {
        if steers(c) {
            // Writing to a text can't fail.
            let _ = write!(escaped, "\\u{:04x}", u32::from(c));
        } else {
            escaped.push(c);
        }
    }
    escaped
}

/// Whether a terminal would do something else with a character than show it.
fn steers(c: char) -> bool {
    let is_direction =
        matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    (c.is_control() && !matches!(c, '\n' | '\t')) || is_direction
}

/// The text without its colours (ECMA-48, "SGR"), which are all that most logs steer a terminal with.
pub(crate) fn colourless(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("\u{1b}[") {
        let (before, code) = (&rest[..at], &rest[at + 2..]);
        plain.push_str(before);
        let end = code.find(|c: char| !matches!(c, '0'..='9' | ';' | ':'));
        if let Some(end) = end.filter(|end| code[*end..].starts_with('m')) {
            rest = &code[end + 1..];
        } else {
            plain.push_str("\u{1b}[");
            rest = code;
        }
    }
    plain + rest
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

    #[test]
    fn a35_json_stays_json_and_can_not_steer_the_terminal_either() {
        let evil = "\u{7f}\u{9b}31m\u{202e}\u{61c}\u{1b}[2J é\n";
        let told = escaped(&serde_json::to_string_pretty(&[evil]).unwrap());
        assert!(!told.chars().any(steers), "{told}");
        assert_eq!(serde_json::from_str::<Vec<String>>(&told).unwrap(), [evil]);
    }

    #[test]
    fn a35_a_log_loses_its_colours_and_nothing_else() {
        let log = "\u{1b}[1;31merror\u{1b}[0m: \u{1b}[2Kx\u{1b}[38:5:1m\u{1b}[\u{1b}[m.\u{1b}[3";
        insta::assert_snapshot!(clean(&colourless(log)), @r"error: \u{1b}[2Kx\u{1b}[.\u{1b}[3");
    }
}
