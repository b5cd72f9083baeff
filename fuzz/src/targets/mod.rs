//! The targets, by what they read.

pub(crate) mod builds;
pub(crate) mod forges;
pub(crate) mod functions;
pub(crate) mod names;
pub(crate) mod pipeline_file;
