//! What is said of test cases.

use crate::fact::TestSummary;
use crate::test_history::{FailingCase, Standing};

/// Failing cases named in one sentence.
const MAX_NAMES: usize = 3;
/// Lines of a failing case's message that stand beside the log's.
const MAX_LINES: usize = 10;

/// Tests that failed: how many, how many of them are news, and which.
pub fn tests_failed(tests: &TestSummary) -> String {
    let of = tests.failed.saturating_add(tests.passed);
    let new = match tests.new {
        None => String::new(),
        Some(0) => ", none new".to_owned(),
        Some(new) => format!(", {new} new"),
    };
    let flaky = if tests.flaky > 0 { format!(", {} flaky", tests.flaky) } else { String::new() };
    let names: Vec<&str> = tests.failing.iter().take(MAX_NAMES).map(String::as_str).collect();
    let more = tests.failed.saturating_sub(u32::try_from(names.len()).unwrap_or_default());
    let names = match (names.is_empty(), more) {
        (true, _) => String::new(),
        (false, 0) => format!(": {}", names.join(", ")),
        (false, more) => format!(": {} and {more} more", names.join(", ")),
    };
    format!("{} of {of} tests failed{new}{flaky}{names}", tests.failed)
}

fn plural(count: u32) -> &'static str {
    if count == 1 { "" } else { "s" }
}

/// The tests of a job in a few words.
pub fn test_counts(tests: &TestSummary) -> String {
    if let Some(why) = &tests.unread {
        return format!("its test reports can't be read: {why}");
    }
    let part = |count: u32, word: &str| (count > 0).then(|| format!("{count} {word}"));
    let parts = [
        Some(format!("{} test{} passed, {} failed", tests.passed, plural(tests.passed), tests.failed)),
        tests.new.and_then(|new| part(new, "new")),
        part(tests.flaky, "flaky"),
        part(tests.skipped, "skipped"),
        tests.is_truncated.then(|| format!("{} of them kept", tests.kept)),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// What a failing case said, as evidence.
pub fn case_evidence(case: &FailingCase) -> Vec<String> {
    if case.message.trim().is_empty() {
        return Vec::new();
    }
    let title = crate::test_case::title(&case.suite, &case.name);
    let lines = case.message.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned);
    std::iter::once(format!("{title}:")).chain(lines).take(MAX_LINES).collect()
}

/// Whether a failure is news, in a word.
pub fn standing(standing: Option<Standing>) -> &'static str {
    match standing {
        Some(Standing::New) => "new",
        Some(Standing::Known) => "known",
        Some(Standing::Flaky) => "flaky",
        None => "",
    }
}

/// How long something took, as people read it.
pub fn duration(microseconds: u64) -> String {
    match microseconds {
        0..1_000 => format!("{microseconds} µs"),
        1_000..1_000_000 => format!("{} ms", microseconds / 1_000),
        1_000_000..60_000_000 => {
            format!("{}.{} s", microseconds / 1_000_000, microseconds % 1_000_000 / 100_000)
        }
        _ => format!("{} min {} s", microseconds / 60_000_000, microseconds % 60_000_000 / 1_000_000),
    }
}
