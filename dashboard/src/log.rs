//! A job's log, cut into what it was written in: the phases of the build.
//!
//! `CodeBuild` says `Entering phase NAME` and `Phase complete: NAME State: STATE` after its own mark
//! (CodeBuild User Guide, "View build details"). What programs write for a terminal's eyes is left out.

use pushway_core::views::LogLine;

use crate::parts::{Pill, Tone};
use crate::time;

/// A line with its number.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) number: u64,
    pub(crate) text: String,
    /// Whether it looks like the reason of a failure.
    pub(crate) is_loud: bool,
    /// Whether the build service itself says it.
    pub(crate) is_said: bool,
}

/// Lines of one phase, or of none.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Phase {
    /// Its name; none for what goes on from lines before this page.
    pub(crate) name: Option<String>,
    /// How it ended, if that was read.
    pub(crate) state: Option<String>,
    pub(crate) lines: Vec<Line>,
    /// How long it took, in words.
    pub(crate) took: String,
}

impl Phase {
    fn new(name: Option<String>) -> Self {
        Self { name, state: None, lines: Vec::new(), took: String::new() }
    }

    /// What matters is open: what failed, and what goes on.
    pub(crate) fn is_open(&self, is_last: bool) -> bool {
        self.name.is_none()
            || self.has_failed()
            || (is_last && self.state.is_none())
            || self.name.as_deref() == Some("BUILD")
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.state.as_deref().is_some_and(|state| state != "SUCCEEDED")
    }

    /// How it stands; of a job that is over, nothing still runs.
    pub(crate) fn pill(&self, job_is_over: bool) -> Pill {
        match self.state.as_deref() {
            Some("SUCCEEDED") => Pill::new(Tone::Ok, "Succeeded"),
            Some("STOPPED") => Pill::new(Tone::Quiet, "Stopped"),
            Some("TIMED_OUT") => Pill::new(Tone::Bad, "Timed out"),
            Some(_) => Pill::new(Tone::Bad, "Failed"),
            None if job_is_over => Pill::new(Tone::Quiet, "No end seen"),
            None => Pill::new(Tone::Run, "Running"),
        }
    }
}

/// Cuts lines into phases; the first has number `from`.
pub(crate) fn phases(lines: &[LogLine], from: u64) -> Vec<Phase> {
    let mut phases = vec![Phase::new(None)];
    let mut began = lines.first().map(|line| line.at);
    for (number, line) in (from..).zip(lines) {
        let text = plain(&line.text);
        let said = text.strip_prefix("[Container]").map(str::to_owned);
        if let Some(name) = said.as_deref().and_then(|said| after(said, "Entering phase ")) {
            phases.push(Phase::new(Some(name)));
            began = Some(line.at);
        }
        let Some(phase) = phases.last_mut() else { continue };
        if let Some(state) = said.as_deref().and_then(|said| after(said, "State: ")) {
            phase.state = Some(state);
            phase.took = began.map(|at| time::duration(time::between(at, line.at))).unwrap_or_default();
        }
        let is_loud = said.is_none() && looks_loud(&text);
        phase.lines.push(Line { number, text, is_loud, is_said: said.is_some() });
    }
    phases.retain(|phase| !phase.lines.is_empty());
    phases
}

/// The word after a mark.
fn after(text: &str, mark: &str) -> Option<String> {
    let (_, rest) = text.split_once(mark)?;
    let word: String = rest.chars().take_while(|c| c.is_ascii_uppercase() || *c == '_').collect();
    (!word.is_empty()).then_some(word)
}

fn looks_loud(text: &str) -> bool {
    let start: String = text.trim_start().chars().take(40).collect::<String>().to_ascii_lowercase();
    ["error", "fatal", "fail", "panic", "thread '", "traceback", "npm err"]
        .iter()
        .any(|mark| start.starts_with(mark))
}

/// The text without a terminal's control sequences (ECMA-48) and other controls; what a carriage return
/// would have overwritten is gone, too.
pub(crate) fn plain(text: &str) -> String {
    let text = text.trim_end_matches(['\r', '\n']);
    let text = text.rsplit('\r').next().unwrap_or_default();
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' => skip_sequence(&mut chars),
            '\t' => out.push(c),
            c if c.is_control() || is_bidi(c) => {}
            c => out.push(c),
        }
    }
    out
}

/// Marks that turn the direction of text around could make a line say something else.
fn is_bidi(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn skip_sequence(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    match chars.next() {
        // CSI: parameters, then one final byte.
        Some('[') => while chars.next().is_some_and(|c| !('@'..='~').contains(&c)) {},
        // OSC, DCS and the like: up to BEL or ST.
        Some(']' | 'P' | 'X' | '^' | '_') => {
            while let Some(c) = chars.next() {
                if c == '\u{7}' || (c == '\u{1b}' && chars.next_if_eq(&'\\').is_some()) {
                    break;
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminals_words_are_left_out() {
        let cases = [
            ("\u{1b}[31;1merror\u{1b}[0m: no", "error: no"),
            ("10%\r50%\r100%\r\n", "100%"),
            ("\u{1b}]0;title\u{7}after \u{1b}]8;;https://x\u{1b}\\link", "after link"),
            ("a\u{202e}b\u{0}c\td", "abc\td"),
            ("\u{1b}", ""),
        ];
        for (text, shown) in cases {
            assert_eq!(plain(text), shown, "{text:?}");
        }
    }

    #[test]
    fn a_log_falls_into_its_phases() {
        let line = |second: i64, text: &str| LogLine {
            at: jiff::Timestamp::from_second(second).unwrap(),
            text: text.into(),
        };
        let lines = [
            line(0, "[Container] 2026/11/26 00:00:00.0 Waiting for agent ping"),
            line(1, "[Container] 2026/11/26 00:00:01.0 Entering phase INSTALL"),
            line(3, "[Container] 2026/11/26 00:00:03.0 Phase complete: INSTALL State: SUCCEEDED"),
            line(3, "[Container] 2026/11/26 00:00:03.0 Entering phase BUILD"),
            line(4, "Entering phase FAKE"),
            line(9, "error: it broke"),
            line(10, "[Container] 2026/11/26 00:00:10.0 Phase complete: BUILD State: FAILED"),
        ];
        let told: Vec<String> = phases(&lines, 101)
            .iter()
            .map(|phase| {
                format!(
                    "{:?} {:?} {} from {} open {}",
                    phase.name,
                    phase.state,
                    phase.took,
                    phase.lines[0].number,
                    phase.is_open(false)
                )
            })
            .collect();
        assert_eq!(
            told,
            [
                "None None  from 101 open true",
                "Some(\"INSTALL\") Some(\"SUCCEEDED\") 2 s from 102 open false",
                "Some(\"BUILD\") Some(\"FAILED\") 7 s from 104 open true",
            ]
        );
        assert!(phases(&lines, 1)[2].lines[2].is_loud);
    }
}
