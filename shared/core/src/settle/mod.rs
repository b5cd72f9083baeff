//! Settling: what several functions do with work that may be over.
//!
//! An event is only a hint, and the sweep needs none: both end here, read the truth, record it once and
//! answer whoever waits. Every step may be repeated: facts are recorded once, a callback that finds nobody
//! is no error, and a wait is closed last.

use crate::contract::{Done, Failure, TaskToken, errors};
use crate::fact::Fact;
use crate::ids::{EnvironmentName, RunId};
use crate::plan::EnvironmentPlan;
use crate::ports::{Answer, Callbacks, Called, Clock, Fault, Plans, ReadRuns, Runs, Waits, Written};
use crate::run::{Applied, EnvironmentState, IllegalTransition, Run};
use crate::wait::Wait;

mod approval;
mod begin;
mod build;
mod check;
mod checkpoint;
mod claim;
mod consent;
mod decide;
mod failure;
mod figures;
mod images;
mod insights;
mod lock;
mod look;
mod needs;
mod notice;
mod overlooked;
mod question;
mod reconcile;
mod run;
mod schedule;
mod service;
mod stop;
mod task;
mod test_cases;
mod turn;
mod watch;

pub use approval::{approve, ask, reject, settle_approval};
pub use begin::{QUEUE_AND_GRACE_SECONDS, begin_build};
pub use build::settle_build;
pub use check::check_job;
pub use checkpoint::answer_pause;
pub use claim::claim_pipeline;
pub use consent::{Declined, lacks_consent, protect, unprotect};
pub use decide::decide;
pub use figures::note_figures;
pub use lock::{LOCK_PATIENCE, Unlocked, acquire, freeze, release, settle_lock, unfreeze, unlock};
pub use look::{look_at_alarms, look_at_errors, look_at_metrics, look_at_targets};
pub use needs::{settle_needs, wake_dependents};
pub use notice::tell;
pub use overlooked::catch_up;
pub use reconcile::reconcile;
pub use run::finish;
pub use schedule::start_due;
pub use service::{open_on_service, record_deploy_failure, settle_service};
pub use stop::stop;
pub use task::settle_task;
pub use turn::{leave, overtake, settle_turn, update_branch};
pub use watch::settle_watch;

/// How often a write is tried again when others write to the same record. Writers of one run are few: its
/// jobs of one stage and the sweep.
const MAX_CONFLICTS: u32 = 20;

/// How work stands after a look at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// It is over, recorded, answered.
    Done,
    /// It goes on.
    Waiting,
}

/// The run, which must exist.
pub async fn load(ports: &impl ReadRuns, id: RunId) -> Answer<Run> {
    ports.load(id).await?.ok_or_else(|| Fault::Permanent(format!("there is no run {id}")))
}

/// The run and what its plan says of an environment; both must exist.
pub async fn load_planned<P: ReadRuns + Plans>(
    ports: &P,
    id: RunId,
    environment: &EnvironmentName,
) -> Answer<(Run, EnvironmentPlan)> {
    let run = load(ports, id).await?;
    let plan = ports.plan(id).await?;
    let planned = plan.and_then(|plan| plan.environment(environment).cloned());
    let missing = || Fault::Permanent(format!("the plan of run {id} has no environment {environment}"));
    Ok((run, planned.ok_or_else(missing)?))
}

/// An environment's state in a run; it must be there.
pub fn state_of<'a>(run: &'a Run, environment: &EnvironmentName) -> Answer<&'a EnvironmentState> {
    let missing = || Fault::Permanent(format!("run {} has no environment {environment}", run.id));
    run.environment(environment).ok_or_else(missing)
}

/// Records a fact. A fact that the run already knows is no news; one that can't be is a permanent fault.
pub async fn record<P: Runs + Clock>(ports: &P, id: RunId, fact: Fact) -> Answer<Run> {
    match try_record(ports, id, fact).await? {
        Ok(run) => Ok(run),
        Err(illegal) => Err(Fault::Permanent(illegal.to_string())),
    }
}

/// Records a fact, and hands a refusal back to a caller that can do something about it.
pub async fn try_record<P: Runs + Clock>(
    ports: &P,
    id: RunId,
    fact: Fact,
) -> Answer<Result<Run, IllegalTransition>> {
    for _ in 0..MAX_CONFLICTS {
        let run = load(ports, id).await?;
        match run.apply(fact.clone(), ports.now()) {
            Ok(Applied::Unchanged) => return Ok(Ok(run)),
            Ok(Applied::Changed(next, entry)) => {
                if ports.append(&next, &entry).await? == Written::Stored {
                    return Ok(Ok(*next));
                }
            }
            Err(illegal) => return Ok(Err(illegal)),
        }
    }
    Err(Fault::Retryable(format!("run {id} is written to by too many at once")))
}

/// What a function that a state waits on returns: a failure that trying again can't mend is told to the
/// waiting state itself. It is the run's failure, not the function's: no alarm on errors rings for it.
pub async fn or_tell<P: Callbacks>(
    ports: &P,
    token: &TaskToken,
    outcome: Result<Done, Failure>,
) -> Result<Done, Failure> {
    match outcome {
        Err(failure) if failure.error != errors::RETRYABLE => {
            ports.fail(token, failure.error, &failure.message).await?;
            Ok(Done {})
        }
        outcome => outcome,
    }
}

/// Answers a wait and closes it, in this order: a crash between the two leaves the wait to the sweep.
async fn answer<P: Callbacks + Waits>(
    ports: &P,
    wait: &Wait,
    failure: Option<(&str, &str)>,
) -> Answer<Settled> {
    // Whether someone still waited makes no difference: a token that is gone was answered before.
    let _: Called = match failure {
        None => ports.succeed(&wait.token).await?,
        Some((error, cause)) => ports.fail(&wait.token, error, cause).await?,
    };
    ports.close(wait).await?;
    Ok(Settled::Done)
}
