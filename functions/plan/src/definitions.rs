//! The definition files that a plan names: read at the commit, checked, pinned in the plan.

use std::collections::BTreeMap;

use pushway_core::definition_file::{MAX_DEFINITIONS_BYTES, fill};
use pushway_core::fact::Cause;
use pushway_core::messages;
use pushway_core::plan::Plan;
use pushway_core::ports::{Answer, RepositoryFiles};
use pushway_core::run::Run;
use pushway_core::source::Hook;

/// Puts the content of each file into the plan, or says what is wrong with the first that is.
pub(crate) async fn pin<P: RepositoryFiles>(
    ports: &P,
    run: &Run,
    hook: &Hook,
    plan: &mut Plan,
) -> Answer<Result<(), Cause>> {
    let mut size = 0;
    for planned in &mut plan.environments {
        let mut files = BTreeMap::new();
        for path in planned.definitions().map(|file| &file.path) {
            let text = ports.file(run.carrier(), hook, run.source.buildspec_commit(), path).await?;
            files.extend(text.map(|text| (path.clone(), text)));
        }
        match fill(planned, &files) {
            Ok(bytes) => size += bytes,
            Err(cause) => return Ok(Err(cause)),
        }
    }
    if size > MAX_DEFINITIONS_BYTES {
        return Ok(Err(messages::definitions_too_large(size, MAX_DEFINITIONS_BYTES)));
    }
    Ok(Ok(()))
}
