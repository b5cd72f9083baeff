//! Settling a run: close it with the status its facts imply, and give its locks back.

use super::{load, lock, record, release, try_record};
use crate::environment::Deployed;
use crate::fact::{Cause, Fact};
use crate::ids::{PipelineName, RunId};
use crate::ports::{Answer, Callbacks, Clock, Environments, Fault, Runs, Waits};
use crate::run::{EnvironmentState, Run, Status};

/// Closes the run. `broken` tells of a failure outside of the run's own facts; it counts only where the
/// facts explain nothing themselves.
pub async fn finish<P>(ports: &P, id: RunId, broken: Option<Cause>) -> Answer<Run>
where
    P: Runs + Environments + Waits + Callbacks + Clock,
{
    let mut run = load(ports, id).await?;
    if !run.status.is_terminal() {
        // A deploy that broke and was undone has a conclusion, but no fact says why it was undone.
        let explained = matches!(run.conclusion(), Some(Status::Succeeded | Status::Superseded));
        let unexplained = run.cause.is_none() && !explained;
        if unexplained {
            let cause = broken
                .unwrap_or_else(|| crate::messages::execution_lost("no state failed, yet not all is done"));
            run = record(ports, id, Fact::Broke { cause }).await?;
        }
        let status = run.conclusion();
        let status = status.ok_or_else(|| Fault::Permanent(format!("run {id} has no conclusion")))?;
        run = match try_record(ports, id, Fact::Finished { status }).await? {
            Ok(run) => run,
            // A late fact changed the conclusion meanwhile: the next try sees it.
            Err(illegal) => return Err(Fault::Retryable(illegal.to_string())),
        };
    }
    if let Some(pipeline) = run.pipeline.clone() {
        // One that can't be released must not keep the others from it.
        let mut released = Ok(());
        for environment in &run.environments {
            released = released.and(release(ports, &run, &pipeline, &environment.name).await);
        }
        released?;
    }
    Ok(run)
}

/// Notes in the environment's record what serves now, as soon as it is proven.
pub(super) async fn note_deployed<P: Environments + Clock>(
    ports: &P,
    run: &Run,
    pipeline: &PipelineName,
    environment: &EnvironmentState,
) -> Answer<()> {
    let (true, Some(rollout), Some(fence)) = (environment.is_live(), &environment.rollout, environment.fence)
    else {
        return Ok(());
    };
    let deployed = Deployed {
        run: run.id,
        git_ref: run.source.git_ref.clone(),
        commit: run.source.commit.clone(),
        task_definition: rollout.task_definition.clone(),
        images: rollout.images.clone(),
        at: ports.now(),
    };
    lock::update(ports, pipeline, &environment.name, |record| {
        // Only under our own fence: a later holder knows better what serves.
        if record.is_held_under(run.id, fence) {
            record.deployed(deployed.clone());
        }
    })
    .await
}
