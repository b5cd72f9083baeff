//! Test cases as a job's reports tell them, bounded: whatever a test framework writes fits into items (row F22).
//!
//! A case is known by its title, that is suite and name; the same one may be told several times by one build,
//! where its framework runs what failed again.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::Digest as _;

/// Most cases kept of one build: twice what the most reports that `CodeBuild` can be asked for at once hold.
pub const MAX_CASES: usize = 100_000;
/// Longest suite or name, in bytes: a record of many cases lies in one item.
const MAX_NAME: usize = 200;
/// Longest message of a case, in bytes.
const MAX_MESSAGE: usize = 2_000;
/// How many cases of a build keep their messages: whoever breaks more tests at once reads the log.
const MAX_MESSAGES: usize = 1_000;
/// Most JSON in one chunk, in bytes: below an item's limit even where nothing of it can be compressed.
const CHUNK_BYTES: usize = 256 * 1024;

/// One test case of a build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TestCase {
    /// What it belongs to: a class, a module, a suite.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub suite: String,
    /// Its name.
    pub name: String,
    /// How it ended.
    pub status: CaseStatus,
    /// How long it took, in microseconds.
    pub duration_us: u64,
    /// What it says of its end; bounded.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
}

/// How a test case ended (`CodeBuild` User Guide, "Test report statuses").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CaseStatus {
    /// It passed.
    Passed,
    /// It failed.
    Failed,
    /// It could not be run to its end.
    Error,
    /// It was left out.
    Skipped,
    /// Its report says something else.
    Unknown,
}

impl CaseStatus {
    /// Whether it did not pass and was not left out.
    pub fn is_failing(self) -> bool {
        matches!(self, Self::Failed | Self::Error | Self::Unknown)
    }

    /// The word in reports and parameters.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Error => "error",
            Self::Skipped => "skipped",
            Self::Unknown => "unknown",
        }
    }
}

/// What all reports of a build come to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TestResults {
    /// Cases that passed, as the reports count them.
    pub passed: u32,
    /// Cases that failed or could not run.
    pub failed: u32,
    /// Cases that were left out.
    pub skipped: u32,
    /// The cases, as far as they are told.
    pub cases: Vec<TestCase>,
    /// Whether some are not told.
    pub is_truncated: bool,
    /// Whether a report is still being made.
    pub is_unfinished: bool,
}

impl TestResults {
    /// Takes a case, unless there are too many.
    pub fn push(&mut self, mut case: TestCase) {
        if self.cases.len() >= MAX_CASES {
            self.is_truncated = true;
            return;
        }
        if self.cases.len() >= MAX_MESSAGES && !case.message.is_empty() {
            let kept = self.cases.iter().filter(|known| !known.message.is_empty()).take(MAX_MESSAGES).count();
            if kept >= MAX_MESSAGES {
                case.message.clear();
            }
        }
        self.cases.push(case);
    }
}

/// How a case ended over all the times that a build ran it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Outcome {
    /// It failed at least once.
    pub has_failed: bool,
    /// It passed at least once.
    pub has_passed: bool,
}

impl TestCase {
    /// A case with every text bounded.
    pub fn new(suite: &str, name: &str, status: CaseStatus, duration_us: u64, message: &str) -> Self {
        Self {
            suite: named(suite),
            name: named(name),
            status,
            duration_us,
            message: cut(message.trim_end(), MAX_MESSAGE).into_owned(),
        }
    }

    /// What it is known by.
    pub fn title(&self) -> String {
        title(&self.suite, &self.name)
    }
}

/// A case by suite and name, as people read it.
pub fn title(suite: &str, name: &str) -> String {
    if suite.is_empty() { name.to_owned() } else { format!("{suite} › {name}") }
}

/// How each case ended, by title.
pub fn outcomes(cases: &[TestCase]) -> BTreeMap<String, Outcome> {
    let mut all: BTreeMap<String, Outcome> = BTreeMap::new();
    for case in cases {
        let outcome = all.entry(case.title()).or_default();
        outcome.has_failed |= case.status.is_failing();
        outcome.has_passed |= case.status == CaseStatus::Passed;
    }
    all
}

/// The cases in chunks that fit into an item each.
pub fn chunks(cases: &[TestCase]) -> Vec<&[TestCase]> {
    let (mut chunks, mut from, mut bytes) = (Vec::new(), 0, 0);
    for (place, case) in cases.iter().enumerate() {
        // Written as JSON it can only be that long; a case that can't be written is not stored at all.
        let length = serde_json::to_string(case).map_or(0, |json| json.len() + 1);
        if bytes + length > CHUNK_BYTES && place > from {
            chunks.push(&cases[from..place]);
            (from, bytes) = (place, 0);
        }
        bytes += length;
    }
    if from < cases.len() {
        chunks.push(&cases[from..]);
    }
    chunks
}

/// A name that fits and has no control characters, which JSON would write six times as long. One that is cut
/// keeps a trace of the rest, so that two long ones stay two.
fn named(name: &str) -> String {
    let plain = name.replace(char::is_control, "\u{fffd}");
    if plain.len() <= MAX_NAME {
        return plain;
    }
    let trace = hex::encode(&sha2::Sha256::digest(name)[..4]);
    format!("{}…{trace}", &plain[..plain.floor_char_boundary(MAX_NAME - 12)])
}

/// At most so many bytes of a text, with a mark where something was cut.
pub fn cut(text: &str, max: usize) -> Cow<'_, str> {
    if text.len() <= max {
        return text.into();
    }
    format!("{}… (truncated)", &text[..text.floor_char_boundary(max)]).into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]
        #[test]
        fn f22_whatever_tests_are_called_and_say_their_chunks_fit_and_lose_nothing(
            names in proptest::collection::vec((".{0,400}", ".{0,400}", "\\PC{0,3000}|\u{0}{0,3000}"), 0..12), copies in 1usize..80,
        ) {
            let case = |(suite, name, message): &(String, String, String)| {
                TestCase::new(suite, name, CaseStatus::Failed, 1, message)
            };
            let all: Vec<TestCase> = names.iter().cycle().take(names.len() * copies).map(case).collect();
            let chunks = chunks(&all);
            prop_assert_eq!(chunks.concat(), all.as_slice());
            for chunk in chunks {
                prop_assert!(!chunk.is_empty() && serde_json::to_string(chunk).unwrap().len() < 350 * 1024);
            }
        }
    }

    #[test]
    fn f22_a_hundred_thousand_failing_tests_are_kept_and_one_more_is_marked() {
        let mut results = TestResults::default();
        let message = "é".repeat(5_000);
        for number in 0..=MAX_CASES {
            let name = format!("{number} {}", "n".repeat(300));
            results.push(TestCase::new("s", &name, CaseStatus::Failed, 1, &message));
        }
        assert!(results.is_truncated && results.cases.len() == MAX_CASES);
        assert_eq!(outcomes(&results.cases).len(), MAX_CASES, "names that are cut stay different");
        let bytes: usize = results.cases.iter().map(|case| case.message.len()).sum();
        assert!(bytes <= MAX_MESSAGES * (MAX_MESSAGE + 20), "{bytes} bytes of messages");
        assert_eq!(chunks(&results.cases).concat().len(), MAX_CASES);
    }

    #[test]
    fn a_case_that_was_run_again_by_its_framework_has_two_ends() {
        let case = |status| TestCase::new("cart", "adds", status, 1, "");
        let all = outcomes(&[case(CaseStatus::Failed), case(CaseStatus::Passed)]);
        assert_eq!(all["cart › adds"], Outcome { has_failed: true, has_passed: true });
    }
}
