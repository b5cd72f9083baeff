//! Settling a run: close it with the status its facts imply, and give its locks back.

use super::{load, lock, record, release, try_record};
use crate::branch::{Branch, Inside};
use crate::environment::{Deployed, Left};
use crate::fact::{Cause, Fact, RollbackOutcome};
use crate::ids::{PipelineName, RunId};
use crate::ports::{
    Answer, BranchRecords, Callbacks, Clock, Environments, Fault, Hooks, Plans, Runs, StopBuilds, Waits,
};
use crate::run::{EnvironmentState, Run, Status};
use crate::source::Trigger;

/// Closes the run. `broken` tells of a failure outside of the run's own facts; it counts only where the
/// facts explain nothing themselves.
pub async fn finish<P>(ports: &P, id: RunId, broken: Option<Cause>) -> Answer<Run>
where
    P: Runs + Plans + Hooks + BranchRecords + Environments + Waits + StopBuilds + Callbacks + Clock,
{
    let mut run = load(ports, id).await?;
    if !run.status.is_terminal() {
        // A deploy that broke and was undone has a conclusion, but no fact says why it was undone.
        let explained =
            run.stop.is_some() || matches!(run.conclusion(), Some(Status::Succeeded | Status::Superseded));
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
        super::leave(ports, &run).await?;
        note_green(ports, &run, &pipeline).await?;
        // One that can't be released must not keep the others from it.
        let mut released = Ok(());
        for environment in &run.environments {
            released = released.and(release(ports, &run, &pipeline, &environment.name).await);
        }
        released?;
    }
    Ok(run)
}

/// Notes in the branch's record that a push succeeded: what path filters compare with.
async fn note_green<P: Hooks + BranchRecords + Clock>(
    ports: &P,
    run: &Run,
    pipeline: &PipelineName,
) -> Answer<()> {
    let (Status::Succeeded, Some(place)) = (run.status, run.place) else { return Ok(()) };
    // A rollback is no push, and what it brings back was green before.
    if matches!(run.source.trigger, Trigger::Rollback { .. }) {
        return Ok(());
    }
    let Some(hook) = ports.hook(run.source.provider, run.source.hook.as_str()).await? else { return Ok(()) };
    let green = Inside { run: run.id, place, commit: run.source.commit.clone() };
    let note = |branch: &mut Branch| branch.succeeded(pipeline, green.clone());
    super::update_branch(ports, &hook, &run.source.git_ref, note).await
}

/// Notes in the environment's record what serves now, as soon as it is proven; or that something else does.
pub(super) async fn note_deployed<P: Plans + Environments + Clock>(
    ports: &P,
    run: &Run,
    pipeline: &PipelineName,
    environment: &EnvironmentState,
) -> Answer<()> {
    let (Some(rollout), Some(fence)) = (&environment.rollout, environment.fence) else { return Ok(()) };
    let plan = ports.plan(run.id).await?;
    let planned = plan.as_ref().and_then(|plan| plan.environment(&environment.name));
    let irreversible = planned.is_some_and(|planned| planned.irreversible);
    if !environment.is_live() {
        let is_undone = environment.rollback_outcome().is_some_and(RollbackOutcome::is_undone);
        let left = Left { run: run.id, irreversible };
        return lock::update(ports, pipeline, &environment.name, |record| {
            if record.is_held_under(run.id, fence) && environment.has_touched_service() && !is_undone {
                record.left_broken(left.clone());
            }
        })
        .await;
    }
    let deployed = Deployed {
        run: run.id,
        git_ref: run.source.git_ref.clone(),
        commit: run.source.commit.clone(),
        place: run.place,
        irreversible,
        task_definition: rollout.task_definition.clone(),
        images: rollout.images.clone(),
        at: ports.now(),
        over: rollout.out_of_band.clone(),
    };
    lock::update(ports, pipeline, &environment.name, |record| {
        // Only under our own fence: a later holder knows better what serves.
        if record.is_held_under(run.id, fence) {
            record.deployed(deployed.clone(), &run.source);
        }
    })
    .await
}
