//! The pipeline file: from the text of `pushway.yml` to a plan, or to everything that is wrong with it.
//!
//! The text comes from whoever can push, so it is read within budgets, is never trusted to be what its key
//! wants, and never runs anything. Only what this version does is accepted; a key of a later version has a
//! message of its own. Everything absurd fails here, before a build costs anything.

mod environment;
mod filter;
mod messages;
mod problem;
mod reader;
mod schema;
mod yaml;

pub use filter::{Decision, Triggers};
pub use problem::{Problem, Problems};

use crate::plan::Plan;
use reader::Reader;

/// The largest file that is read: sixteen times the size of a long one.
pub const MAX_FILE_BYTES: usize = 64 * 1024;

/// What a pipeline file says.
#[derive(Debug, Clone)]
pub struct PipelineFile {
    /// Which pushes start a run.
    pub on: Triggers,
    /// What a run does.
    pub plan: Plan,
}

/// Reads a pipeline file. `path` is where it lies in the repository; it appears in problems and rules.
///
/// Answers every problem that can be found in one go, in the order of the file.
pub fn parse(path: &str, text: &str) -> Result<PipelineFile, Problems> {
    let mut reader = Reader::new(path, text);
    let file = read(&mut reader, path, text);
    reader.finish(file)
}

fn read(reader: &mut Reader<'_>, path: &str, text: &str) -> Option<PipelineFile> {
    if text.len() > MAX_FILE_BYTES {
        reader.report_as_whole(messages::too_large(MAX_FILE_BYTES));
        return None;
    }
    if let Some((at, c)) = yaml::control_character(text) {
        return reader.fail(at, messages::control_character(c));
    }
    match yaml::read(text) {
        Ok(root) => schema::pipeline_file(reader, path, &root),
        Err((at, words)) => reader.fail(at, words),
    }
}
