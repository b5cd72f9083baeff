//! A scheduled task goes back: what starts it is pointed at the revision that it started before.

use pushway_core::fact::{Fact, RollbackOutcome, RollbackOwner};
use pushway_core::messages::{self, scheduled as words};
use pushway_core::ports::{Answer, Clock, Fault, MoveSchedules, Pointed, ReadSchedules, Runs};
use pushway_core::run::{EnvironmentState, Run};
use pushway_core::scheduled::{Starter, only};
use pushway_core::settle::record;

/// Points it back, unless someone has pointed it elsewhere, and reads back what it says then.
pub(crate) async fn point_back<P>(
    ports: &P,
    run: &Run,
    state: &EnvironmentState,
    starter: &Starter,
) -> Answer<RollbackOutcome>
where
    P: Runs + ReadSchedules + MoveSchedules + Clock,
{
    let not_needed = |reason: String| Ok(RollbackOutcome::NotNeeded { reason });
    let prepared = state.rollout.as_ref().filter(|_| state.has_touched_service());
    let Some(rollout) = prepared else { return not_needed(messages::not_touched()) };
    let parts = (rollout.starter(), &rollout.scheduled, &rollout.baseline);
    let (Some(at), Some(task), Some(baseline)) = parts else { return Ok(RollbackOutcome::NoBaseline) };
    let (ours, old) = (&rollout.task_definition, &baseline.task_definition);
    let failed =
        |reason: &str| Ok(RollbackOutcome::Failed { cause: messages::rollback_failed(&state.name, reason) });
    let known = state.rollback.as_ref().and_then(|rollback| rollback.deployment.as_ref());
    if known.is_none() {
        // Told before it is written, so that a crash in between leaves no doubt about who did it.
        match only(starter, ports.scheduled(&at).await?) {
            Err(why) => return failed(&why),
            Ok(view) if view.named == *ours => {
                let (environment, by) = (state.name.clone(), RollbackOwner::Pushway);
                let fact = Fact::RollbackStarted { environment, deployment: old.clone(), by };
                record(ports, run.id, fact).await?;
            }
            Ok(view) if view.named == *old && state.deployment.is_none() => {
                return not_needed(messages::not_touched());
            }
            Ok(view) if view.named == *old => {
                return Ok(RollbackOutcome::Restored { by: RollbackOwner::Person });
            }
            Ok(view) => return not_needed(words::moved_elsewhere(starter, &view.named)),
        }
    }
    match ports.point(&rollout.place, task, ours, old).await {
        Ok(Pointed::There) => {}
        Ok(Pointed::Elsewhere(found)) => return not_needed(words::moved_elsewhere(starter, &found)),
        Ok(Pointed::Gone) => return failed(&words::no_starter(starter)),
        Err(Fault::Permanent(why)) => return failed(&why),
        Err(fault) => return Err(fault),
    }
    tracing::info!(run_id = %run.id, environment = %state.name, revision = old, "scheduled task pointed back");
    match only(starter, ports.scheduled(&at).await?) {
        Ok(view) if view.named == *old => Ok(RollbackOutcome::Restored { by: RollbackOwner::Pushway }),
        Ok(view) if view.named == *ours => Err(Fault::Retryable(words::not_shown_yet(starter, &view.named))),
        Ok(view) => not_needed(words::moved_elsewhere(starter, &view.named)),
        Err(why) => failed(&why),
    }
}
