//! The pipeline file: from the text of `pushway.yml` to a plan, or to everything that is wrong with it.
//!
//! The text comes from whoever can push, so it is read within budgets, is never trusted to be what its key
//! wants, and never runs anything. Only what this version does is accepted; a key of a later version has a
//! message of its own. Everything absurd fails here, before a build costs anything.

mod before;
mod checks;
mod environment;
mod expression;
mod filter;
mod gates;
mod images;
mod jobs;
mod keys;
pub mod limits;
mod matrix;
mod messages;
mod needs;
mod on;
mod place;
mod problem;
mod reader;
mod schedule;
mod scheduled;
mod schema;
mod strategy;
mod triggers;
mod watch;
mod yaml;

pub use limits::MAX_FILE_BYTES;
pub use problem::{Problem, Problems};
pub use schedule::Schedule;
pub use triggers::{Decision, ImageTrigger, Occasion, Triggers, skip_marker};

use std::collections::BTreeMap;

use crate::ids::{CommitSha, ImageDigestRef, PipelineName, RefName, RunId, VariableName};
use crate::plan::Plan;
use reader::Reader;

/// The JSON Schema (draft 2020-12) of a pipeline file, for editors and other programs.
///
/// It accepts whatever [`parse`] accepts and refuses every key that is unknown there; what takes more than one
/// place to judge (needs, expressions, sums) only the parser does.
pub const JSON_SCHEMA: &str = include_str!("pushway.schema.json");

/// Where a repository's pipeline file may lie; the first that exists is read.
pub const PATHS: [&str; 2] = ["pushway.yml", ".pushway.yml"];
/// The folder of further pipeline files, all of which are read.
pub const DIRECTORY: &str = ".pushway";

/// Whether a path is that of a pipeline file directly inside [`DIRECTORY`].
pub fn is_in_directory(path: &str) -> bool {
    let name = path.strip_prefix(DIRECTORY).and_then(|rest| rest.strip_prefix('/'));
    name.is_some_and(|name| {
        let stem = name.strip_suffix(".yml").or_else(|| name.strip_suffix(".yaml"));
        stem.is_some_and(|stem| !stem.is_empty()) && !name.contains('/')
    })
}

/// What is wrong when two files of one repository name the same pipeline, for the person who wrote them.
pub fn duplicate_pipeline(pipeline: &PipelineName, first: &str, second: &str) -> String {
    messages::duplicate_pipeline(pipeline.as_str(), first, second)
}

/// What a pipeline file says.
#[derive(Debug, Clone)]
pub struct PipelineFile {
    /// What starts a run.
    pub on: Triggers,
    /// What a run does.
    pub plan: Plan,
}

impl PipelineFile {
    /// When runs start by themselves.
    pub fn schedules(&self) -> &[Schedule] {
        &self.on.schedules
    }

    /// Which pushed images start runs.
    pub fn images(&self) -> &[ImageTrigger] {
        &self.on.images
    }
}

/// The run that a file is read for: what its expressions stand for.
#[derive(Debug, Clone)]
pub struct Context {
    /// The run.
    pub run: RunId,
    /// The commit that it builds.
    pub commit: CommitSha,
    /// The ref that the commit was found at.
    pub git_ref: RefName,
    /// The number of the pull request that started it, if one did.
    pub pull_request: Option<u64>,
    /// The pushed image that started it, if one did.
    pub image: Option<ImageContext>,
    /// Values that whoever started it gave to variables of the file.
    pub variables: BTreeMap<VariableName, String>,
}

/// A pushed image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageContext {
    /// Registry, repository and digest.
    pub uri: ImageDigestRef,
    /// The tag that was pushed; none for a push by digest alone.
    pub tag: Option<String>,
}

/// Checks a pipeline file without a run: every name of an expression is checked, and stands for a sample.
/// `path` is where the file lies in the repository; it appears in problems and rules.
///
/// Answers every problem that can be found in one go, in the order of the file.
pub fn parse(path: &str, text: &str) -> Result<PipelineFile, Problems> {
    let mut reader = Reader::new(path, text);
    let file = read(&mut reader, path, text, None);
    reader.finish(file)
}

/// Reads a pipeline file for a run, with the run's values in place of the expressions.
///
/// Besides the problems that [`parse`] finds there may be some of this run alone: a branch name that makes
/// no service name, a variable that the file does not declare, a value that the run does not have.
pub fn parse_for(path: &str, text: &str, context: &Context) -> Result<PipelineFile, Problems> {
    let mut reader = Reader::new(path, text);
    let file = read(&mut reader, path, text, Some(context));
    reader.finish(file)
}

fn read(reader: &mut Reader<'_>, path: &str, text: &str, context: Option<&Context>) -> Option<PipelineFile> {
    if text.len() > MAX_FILE_BYTES {
        reader.report_as_whole(messages::too_large(MAX_FILE_BYTES));
        return None;
    }
    if let Some((at, c)) = yaml::control_character(text) {
        return reader.fail(at, messages::control_character(c));
    }
    match yaml::read(text) {
        Ok(root) => schema::pipeline_file(reader, path, &root, context),
        Err((at, words)) => reader.fail(at, words),
    }
}
