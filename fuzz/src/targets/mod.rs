//! The targets, by what they read.

pub(crate) mod answers;
pub(crate) mod builds;
pub(crate) mod forges;
pub(crate) mod functions;
pub(crate) mod git_hook;
pub(crate) mod names;
pub(crate) mod pipeline_file;
