//! The pipeline file as its writer meets it: what it means, and what it says about mistakes.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, and helpers are part of it")]

mod attacks;
mod checkpoints;
mod expressions;
mod images;
mod json_schema;
mod messages;
mod places;
mod plan;
mod robustness;
mod schedule;
mod scheduled;
mod sections;
mod stages;
mod triggers;

use pushway_core::pipeline_file::{Context, PipelineFile, parse, parse_for};

/// Everything that this version takes, once.
const GOOD: &str = include_str!("good.yml");

fn read(text: &str) -> PipelineFile {
    parse("pushway.yml", text).unwrap()
}

fn problems(text: &str) -> String {
    parse("pushway.yml", text).unwrap_err().to_string()
}

/// The good file with one change.
fn changed(from: &str, to: &str) -> String {
    assert!(GOOD.contains(from), "the sample no longer holds {from:?}");
    GOOD.replacen(from, to, 1)
}

/// A run of a push to a ref, by hand or by git.
fn pushed(git_ref: &str) -> Context {
    Context {
        run: "01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap(),
        commit: "c0ffee".repeat(7)[..40].parse().unwrap(),
        git_ref: git_ref.parse().unwrap(),
        pull_request: None,
        image: None,
        variables: std::collections::BTreeMap::new(),
    }
}

fn problems_for(text: &str, context: &Context) -> String {
    parse_for("pushway.yml", text, context).unwrap_err().to_string()
}

fn repeated(count: usize, line: impl Fn(usize) -> String) -> String {
    (0..count).map(line).collect::<Vec<_>>().concat()
}
