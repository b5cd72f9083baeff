//! The pipeline file as its writer meets it: what it means, and what it says about mistakes.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, and helpers are part of it")]

mod messages;
mod plan;
mod robustness;
mod sections;
mod triggers;

use pushway_core::pipeline_file::{PipelineFile, parse};

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
