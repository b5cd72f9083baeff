//! Whether a pipeline file asks for a run: its triggers, and its path filters with the right base.

use crate::forge::Changes;
use crate::ids::{CommitSha, PipelineName};
use crate::pipeline_file::{Decision, PipelineFile};
use crate::ports::{Answer, BranchRecords, Differences};
use crate::run::Run;
use crate::source::Hook;

/// What a pipeline file makes of the run's occasion; never `AskPaths`.
pub async fn decide<P>(ports: &P, run: &Run, hook: &Hook, file: &PipelineFile) -> Answer<Decision>
where
    P: BranchRecords + Differences,
{
    let occasion = run.source.occasion();
    let decision = file.on.decide(&occasion);
    if !matches!(decision, Decision::AskPaths) {
        return Ok(decision);
    }
    let base = base(ports, run, hook, &file.plan.pipeline).await?;
    let changes = match &base {
        Some(base) => ports.changes(run.carrier(), hook, base, &run.source.commit).await?,
        None => Changes::Files(Vec::new()),
    };
    Ok(file.on.decide_paths(&occasion, base.as_ref(), &changes))
}

/// What a path filter compares with: the last push of the branch whose run of the pipeline was green, so
/// that a red build is not turned green by an unrelated push. Of a pull request, what it wants to go into.
async fn base<P: BranchRecords>(
    ports: &P,
    run: &Run,
    hook: &Hook,
    pipeline: &PipelineName,
) -> Answer<Option<CommitSha>> {
    if let Some(request) = run.source.pull_request() {
        return Ok(Some(request.base_commit.clone()));
    }
    Ok(ports.branch(hook, &run.source.git_ref).await?.green(pipeline).cloned())
}
