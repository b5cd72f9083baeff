//! Whatever the bytes, the reader answers: with a plan within its limits or with problems within theirs.

use proptest::prelude::*;
use pushway_core::pipeline_file::{parse, parse_for};

use super::{GOOD, changed, problems, pushed, read, repeated};

/// Pieces that mean something to YAML or to the schema, to mutate the good file with.
const PIECES: &[&str] = &[
    "\t",
    "\n",
    "  ",
    "- ",
    ": ",
    "{",
    "}",
    "[",
    "]",
    "\"",
    "'",
    "&a ",
    "*a",
    "<<: *a",
    "!x ",
    "!!binary ",
    "---\n",
    "...\n",
    "# ",
    "|",
    ">",
    "%",
    "@",
    "`",
    "~",
    "null",
    "true",
    "no",
    "012",
    "-1",
    "1e309",
    ".nan",
    "0x7f",
    "99999999999999999999",
    "${build.image.IMAGE}",
    "${",
    "}",
    "ü",
    "\u{202e}",
    "\u{0}",
    "\r",
    "\u{feff}",
    "? ",
    "version: 1",
    "on:",
    "build:",
    "environments:",
    "secrets:",
    "matrix: { a: [x, y] }",
    "needs: [unit, image]",
    "variables: { A: x }",
    "schedule: [\"rate(1 hour)\"]",
    "paths: [\"**\"]",
    "${var.A}",
    "${ref.name}",
    "${matrix.a}",
    "$${",
    "\\u0000",
    "1h",
    "9999999999999h",
];

fn check(text: &str) {
    let _ = parse_for("pushway.yml", text, &pushed("refs/heads/a;$(b)"));
    match parse("pushway.yml", text) {
        Ok(file) => {
            assert!(file.plan.build.len() <= 50 && file.plan.environments.len() <= 20);
            assert!(serde_json::to_string(&file.plan).unwrap().len() <= 128 * 1024);
        }
        Err(problems) => {
            assert!(!problems.problems.is_empty() && problems.problems.len() <= 20);
            assert!(serde_json::to_string(&problems).unwrap().len() <= 8 * 1024);
            for problem in &problems.problems {
                assert!(problem.line >= 1 && problem.column >= 1 && problem.excerpt.chars().count() <= 160);
            }
            let shown = problems.to_string();
            assert!(!shown.chars().any(|c| (c.is_control() && c != '\n') || c == '\u{202e}'), "{shown:?}");
        }
    }
}

proptest! {
    #[test]
    fn arbitrary_text_is_answered(text in any::<String>()) {
        check(&text);
    }

    #[test]
    fn text_made_of_yaml_is_answered(pieces in prop::collection::vec(prop::sample::select(PIECES), 0..40)) {
        check(&pieces.concat());
    }

    #[test]
    fn mutations_of_the_good_file_are_answered(
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0_usize..12, prop::sample::select(PIECES)), 1..6),
    ) {
        let mut text: Vec<char> = GOOD.chars().collect();
        for (place, removed, piece) in edits {
            let start = place.index(text.len());
            let end = (start + removed).min(text.len());
            text.splice(start..end, piece.chars());
        }
        check(&text.into_iter().collect::<String>());
    }
}

#[test]
fn hundreds_of_mistakes_fit_into_the_record() {
    let keys = repeated(500, |n| format!("{}{n}: \"\\\\\\\\\"\n", "ключ".repeat(5)));
    check(&keys);
    assert!(problems(&keys).ends_with("more problems; fix these first"));
}

#[test]
fn limits_hold_at_their_edges() {
    let jobs = |count| repeated(count, |n| format!("  job{n}: {{ buildspec: b.yml }}\n"));
    let unit = "  unit: { buildspec: ci/unit.yml, env: { LOG_LEVEL: debug } }\n";
    assert_eq!(read(&changed(unit, &jobs(50))).plan.test.len(), 50);
    assert!(
        problems(&changed(unit, &jobs(51))).contains("`test` has 51 entries, and at most 50 are allowed")
    );

    let env = |count: usize| (0..count).map(|n| format!("V{n}: x")).collect::<Vec<_>>().join(", ");
    let with_env = |count| changed("LOG_LEVEL: debug", &env(count));
    // Two of the pipeline are added to them.
    assert_eq!(read(&with_env(98)).plan.test[0].env.len(), 100);
    assert!(problems(&with_env(99)).contains("the job has 101 variables"));

    for (timeout, good) in [("5m", true), ("299s", false), ("8h", true), ("8h1s", false)] {
        let text = changed("timeout: 1h30m", &format!("timeout: {timeout}"));
        assert_eq!(parse("pushway.yml", &text).is_ok(), good, "{timeout}");
    }
    // 12 minutes: the production check takes 100 s, so staging may take 12 s in each of 51 attempts.
    assert!(parse("pushway.yml", &changed("attempts: 20", "attempts: 60")).is_ok());
    assert!(parse("pushway.yml", &changed("attempts: 20", "attempts: 61")).is_err());
}

#[test]
fn a_pipeline_env_copied_into_fifty_jobs_is_too_much() {
    let jobs = repeated(50, |n| format!("  job{n}: {{ buildspec: b.yml }}\n"));
    let text = changed("REGION: \"eu\"", &format!("REGION: {}", "x".repeat(4000)));
    let text = text.replace("  unit: { buildspec: ci/unit.yml, env: { LOG_LEVEL: debug } }\n", &jobs);
    assert!(problems(&text).contains("the plan that this file describes is larger than 128 KiB"));
}

#[test]
fn a_hint_made_of_the_files_own_words_is_inert() {
    check(&changed("  image:\n", "  \u{202e}image:\n"));
}
