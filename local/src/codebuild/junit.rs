//! `JUnit` XML read into test cases, as the many tools that write it differ.
//!
//! Roots `testsuites` and `testsuite` are accepted and suites may nest. A file that is not well formed is
//! refused as a whole with the reader's complaint; it must never be half believed, nor fetch anything.

use std::{borrow::Cow, time::Duration};

use quick_xml::{
    Reader, XmlVersion,
    events::{BytesStart, Event},
};
use serde_json::{Value, json};

/// The longest message kept of a test case.
const MESSAGE_BYTES: usize = 4_000;
/// The deepest nesting believed.
const MOST_LEVELS: usize = 100;

/// How a test case ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CaseStatus {
    Succeeded,
    Failed,
    Error,
    Skipped,
}

impl CaseStatus {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Succeeded => "SUCCEEDED",
            Self::Failed => "FAILED",
            Self::Error => "ERROR",
            Self::Skipped => "SKIPPED",
        }
    }
}

/// One test case. `prefix` is its class, `suite` the innermost suite, `file` the report's path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TestCase {
    pub(super) name: String,
    pub(super) prefix: String,
    pub(super) suite: String,
    pub(super) file: String,
    pub(super) status: CaseStatus,
    pub(super) nanoseconds: u64,
    pub(super) message: String,
}

impl TestCase {
    fn new(file: &str, name: String, status: CaseStatus) -> Self {
        let (prefix, suite, message) = Default::default();
        Self { name, prefix, suite, file: file.to_owned(), status, nanoseconds: 0, message }
    }

    /// The shape of the API reference, "`TestCase`".
    pub(super) fn shape(&self, report: &str, expires: f64) -> Value {
        json!({
            "reportArn": report,
            "testRawDataPath": self.file,
            "prefix": self.prefix,
            "name": self.name,
            "testSuiteName": self.suite,
            "status": self.status.name(),
            "durationInNanoSeconds": self.nanoseconds,
            "message": self.message,
            "expired": expires,
        })
    }
}

/// The cases of the report `text` that lies at `file`.
pub(super) fn parse(file: &str, text: &str) -> Result<Vec<TestCase>, String> {
    let mut reader = Reader::from_str(text.trim_start_matches('\u{feff}'));
    let mut state = State { file, ..State::default() };
    loop {
        let event = reader
            .read_event()
            .map_err(|error| format!("{file}: XML error at byte {}: {error}", reader.error_position()))?;
        let told = match event {
            Event::Start(tag) => state.open(&tag),
            Event::Empty(tag) => state.open(&tag).map(|()| state.close()),
            Event::End(_) => {
                state.close();
                Ok(())
            }
            Event::Text(text) => state.text(&text.xml_content(XmlVersion::Implicit1_0)),
            Event::CData(text) => state.text(&text.xml_content(XmlVersion::Implicit1_0)),
            Event::GeneralRef(reference) => match reference.resolve_char_ref() {
                Ok(Some(c)) => state.text(c.encode_utf8(&mut [0; 4])),
                _ => state.text(quick_xml::escape::resolve_predefined_entity(&reference).unwrap_or_default()),
            },
            Event::Eof => break,
            _ => Ok(()),
        };
        told.map_err(|complaint| format!("{file}: {complaint}"))?;
    }
    match (state.levels.last(), state.has_root) {
        (Some(open), _) => Err(format!("{file}: the XML ends inside <{open}>")),
        (None, false) => Err(format!("{file}: the file has no testsuite")),
        (None, true) => Ok(state.cases),
    }
}

#[derive(Default)]
struct State<'a> {
    file: &'a str,
    has_root: bool,
    /// Names of the open elements.
    levels: Vec<String>,
    suites: Vec<String>,
    open: Option<TestCase>,
    /// Whether the open case stands for its suite.
    is_of_suite: bool,
    /// Whether the open outcome has text of its own yet.
    has_text: bool,
    cases: Vec<TestCase>,
}

impl State<'_> {
    fn open(&mut self, tag: &BytesStart<'_>) -> Result<(), String> {
        let name = tag.local_name();
        let name: &str = name.as_ref();
        // The reader leaves attributes unread until they are asked for, and with them their mistakes.
        if let Some(error) = tag.attributes().find_map(Result::err) {
            return Err(format!("<{name}>: {error}"));
        }
        if self.levels.is_empty() {
            if !matches!(name, "testsuites" | "testsuite") {
                return Err(format!("<{name}> is not the root of a JUnit report"));
            }
            self.has_root = true;
        }
        if self.levels.len() >= MOST_LEVELS {
            return Err("the elements are nested too deeply".to_owned());
        }
        match (name, &mut self.open) {
            // A suite that broke before its first case, or after its last, is a case of its own.
            ("failure" | "error", None) => {
                let name = self.suites.last().cloned().unwrap_or_default();
                let mut case = TestCase::new(self.file, name, CaseStatus::Error);
                push(&mut case.message, &attribute(tag, "message")?);
                (self.open, self.is_of_suite, self.has_text) = (Some(case), true, false);
            }
            ("testsuite", None) => self.suites.push(attribute(tag, "name")?),
            ("testcase", None) => {
                self.open = Some(TestCase {
                    prefix: attribute(tag, "classname")?,
                    suite: self.suites.last().cloned().unwrap_or_default(),
                    nanoseconds: nanoseconds(&attribute(tag, "time")?),
                    ..TestCase::new(self.file, attribute(tag, "name")?, outset(&attribute(tag, "status")?))
                });
            }
            // Tries that failed before the one that passed (Maven Surefire, "Rerun Failing Tests").
            ("flakyFailure" | "flakyError", Some(case)) => {
                on_new_line(&mut case.message);
                push(&mut case.message, "failed before: ");
                push(&mut case.message, &attribute(tag, "message")?);
            }
            ("failure" | "error" | "skipped", Some(case)) => {
                // A case that both failed and broke in its teardown is broken.
                case.status = match (name, case.status) {
                    ("error", _) | (_, CaseStatus::Error) => CaseStatus::Error,
                    ("failure", _) | (_, CaseStatus::Failed) => CaseStatus::Failed,
                    _ => CaseStatus::Skipped,
                };
                on_new_line(&mut case.message);
                push(&mut case.message, &attribute(tag, "message")?);
                self.has_text = false;
            }
            _ => {}
        }
        self.levels.push(name.to_owned());
        Ok(())
    }

    /// Text counts only where it says why a case did not succeed.
    fn text(&mut self, text: &str) -> Result<(), String> {
        let Some(level) = self.levels.last() else {
            return if text.trim().is_empty() {
                Ok(())
            } else {
                Err("there is text outside the root".to_owned())
            };
        };
        if let ("failure" | "error" | "skipped", Some(case)) = (level.as_str(), &mut self.open) {
            let text = if self.has_text { text } else { text.trim_start() };
            if !self.has_text && !text.is_empty() {
                on_new_line(&mut case.message);
                self.has_text = true;
            }
            push(&mut case.message, text);
        }
        Ok(())
    }

    fn close(&mut self) {
        match self.levels.pop().as_deref() {
            Some("testsuite") => drop(self.suites.pop()),
            Some(level)
                if level == "testcase" || self.is_of_suite && matches!(level, "failure" | "error") =>
            {
                self.is_of_suite = false;
                if let Some(mut case) = self.open.take() {
                    case.message.truncate(case.message.trim_end().len());
                    self.cases.push(case);
                }
            }
            _ => {}
        }
    }
}

fn on_new_line(message: &mut String) {
    if !message.is_empty() && !message.ends_with('\n') {
        push(message, "\n");
    }
}

/// Appends what still fits.
fn push(message: &mut String, text: &str) {
    let room = MESSAGE_BYTES.saturating_sub(message.len());
    message.push_str(&text[..text.floor_char_boundary(room)]);
}

fn attribute(tag: &BytesStart<'_>, name: &str) -> Result<String, String> {
    let attribute = tag.try_get_attribute(name).map_err(|error| error.to_string())?;
    let value = attribute.as_ref().map(|a| a.normalized_value(XmlVersion::Implicit1_0)).transpose();
    Ok(value.map_err(|error| error.to_string())?.map(Cow::into_owned).unwrap_or_default())
}

/// Some tools write no element but an attribute for what was left out (`GoogleTest`, "Generating an XML Report").
fn outset(status: &str) -> CaseStatus {
    match status.to_ascii_lowercase().as_str() {
        "notrun" | "skipped" | "disabled" | "ignored" | "pending" => CaseStatus::Skipped,
        _ => CaseStatus::Succeeded,
    }
}

/// Seconds as text, some tools with thousands separators, some with a decimal comma, into nanoseconds; 0 where
/// it makes no sense.
fn nanoseconds(seconds: &str) -> u64 {
    let seconds = match seconds.trim().split_once(',') {
        Some((whole, part)) if part.len() != 3 && part.chars().all(|c| c.is_ascii_digit()) => {
            format!("{whole}.{part}")
        }
        // A fraction of a second in three digits; no thousand begins with 0.
        Some(("0", part)) => format!("0.{part}"),
        _ => seconds.trim().replace(',', ""),
    };
    let duration = Duration::try_from_secs_f64(seconds.parse().unwrap_or_default()).unwrap_or_default();
    u64::try_from(duration.as_nanos()).unwrap_or_default()
}

#[cfg(test)]
mod dialects;
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_is_read() {
        let text = r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuites><testsuite name="outer"><testsuite name="inner">
  <testcase name="adds" classname="math.Add" time="1,000.25"/>
  <testcase name="sub &lt;1&gt;" classname="math.Sub"><failure message="want 1">left &amp; right&#33;</failure></testcase>
  <testcase name="div"><error><![CDATA[panic <here>]]></error></testcase>
  <testcase name="later"><skipped/></testcase>
  <testcase name="quiet"><system-out>noise</system-out></testcase>
</testsuite></testsuite></testsuites>"#;
        let cases = parse("junit/a.xml", text).unwrap();
        let told: Vec<_> =
            cases.iter().map(|c| (c.name.as_str(), c.status.name(), c.message.replace('\n', "|"))).collect();
        assert_eq!(
            told,
            [
                ("adds", "SUCCEEDED", String::new()),
                ("sub <1>", "FAILED", "want 1|left & right!".to_owned()),
                ("div", "ERROR", "panic <here>".to_owned()),
                ("later", "SKIPPED", String::new()),
                ("quiet", "SUCCEEDED", String::new()),
            ]
        );
        assert_eq!((cases[0].prefix.as_str(), cases[0].suite.as_str()), ("math.Add", "inner"));
        assert_eq!(cases[0].nanoseconds, 1_000_250_000_000);
    }

    #[test]
    fn a_file_that_is_not_junit_is_refused() {
        for bad in [
            "",
            "hello",
            "<html></html>",
            "<testsuite>",
            "<testsuite></testcase>",
            "<testsuite><testcase a='1",
            "<testsuite/>trailing",
            "<testsuite><testcase name='a' name='b'/></testsuite>",
        ] {
            let told = parse("x.xml", bad).unwrap_err();
            assert!(told.starts_with("x.xml: "), "{bad}: {told}");
        }
        let deep = "<testsuite>".repeat(1_000);
        assert!(parse("x.xml", &deep).unwrap_err().contains("too deeply"));
    }

    #[test]
    fn a_message_is_bounded() {
        let text =
            format!("<testsuite><testcase><failure>{}</failure></testcase></testsuite>", "é".repeat(9_000));
        assert!(parse("x.xml", &text).unwrap()[0].message.len() <= MESSAGE_BYTES);
    }
}
