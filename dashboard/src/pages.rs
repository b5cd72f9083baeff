//! The pages, each a struct of plain data beside its template.

pub(crate) mod approvals;
pub(crate) mod commit;
pub(crate) mod environment;
pub(crate) mod insights;
pub(crate) mod job_log;
pub(crate) mod login;
pub(crate) mod overview;
pub(crate) mod run;
pub(crate) mod run_parts;
