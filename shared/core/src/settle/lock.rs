//! Settling a lock: take it, hand it on, tell whoever waited for it.
//!
//! The record's version guards each change; the run that the record names as holder is told by callback,
//! and told again by the sweep if the callback was lost.

use super::{MAX_CONFLICTS, Settled, answer, load, record};
use crate::contract::errors;
use crate::environment::EnvironmentRecord;
use crate::fact::Fact;
use crate::ids::{EnvironmentName, PipelineName, RunId};
use crate::ports::{Answer, Callbacks, Clock, Environments, Fault, ReadRuns, Runs, Waits, Written};
use crate::run::Run;
use crate::wait::{Subject, Wait};

/// Takes the lock for a waiting run, or leaves it in the queue.
pub async fn acquire<P>(ports: &P, wait: &Wait) -> Answer<Settled>
where
    P: Runs + Environments + Waits + Callbacks + Clock,
{
    let (pipeline, environment, run) = lock_of(wait)?;
    ports.open(wait).await?;
    update(ports, pipeline, environment, |record| record.acquire(run, ports.now())).await?;
    settle_lock(ports, wait).await
}

/// Answers a waiting run if the lock is its own by now.
pub async fn settle_lock<P>(ports: &P, wait: &Wait) -> Answer<Settled>
where
    P: Runs + Environments + Waits + Callbacks + Clock,
{
    let (pipeline, environment, id) = lock_of(wait)?;
    let run = load(ports, id).await?;
    if run.status.is_terminal() {
        // Nobody waits for a run that is over; its place in the queue goes to the next.
        release(ports, &run, pipeline, environment).await?;
        ports.close(wait).await?;
        return Ok(Settled::Done);
    }
    free_from_the_dead(ports, pipeline, environment, id).await?;
    let stored = ports.environment(pipeline, environment).await?;
    if let Some(holder) = stored.holder.as_ref().filter(|holder| holder.run == id) {
        let taken = run.environment(environment).is_some_and(|state| state.fence.is_some());
        if let Some(by) = stored.newer_than(&run).filter(|_| !taken) {
            record(ports, id, Fact::Superseded { environment: environment.clone(), by }).await?;
            let why = format!("run {by} of a newer push serves already");
            return answer(ports, wait, Some((errors::DEPLOY_FAILED, &why))).await;
        }
        record(ports, id, Fact::LockTaken { environment: environment.clone(), fence: holder.fence }).await?;
        return answer(ports, wait, None).await;
    }
    if ports.now() >= wait.deadline {
        update(ports, pipeline, environment, |record| record.release(id, ports.now())).await?;
        let why = "the environment's lock did not come free in time";
        return answer(ports, wait, Some((errors::DEPLOY_FAILED, why))).await;
    }
    Ok(Settled::Waiting)
}

/// A holder that is over and could not release (its workflow died) must not block the others.
async fn free_from_the_dead<P>(
    ports: &P,
    pipeline: &PipelineName,
    environment: &EnvironmentName,
    waiting: RunId,
) -> Answer<()>
where
    P: Runs + Environments + Waits + Callbacks + Clock,
{
    let holder = ports.environment(pipeline, environment).await?.holder;
    let Some(holder) = holder.filter(|holder| holder.run != waiting) else { return Ok(()) };
    let run = load(ports, holder.run).await?;
    if !run.status.is_terminal() || must_keep_lock(&run, environment) {
        return Ok(());
    }
    hand_over(ports, &run, pipeline, environment).await.map(drop)
}

fn lock_of(wait: &Wait) -> Answer<(&PipelineName, &EnvironmentName, RunId)> {
    match &wait.subject {
        Subject::Lock { pipeline, environment, run } => Ok((pipeline, environment, *run)),
        _ => Err(Fault::Permanent("a wait for a lock must name it".into())),
    }
}

/// Notes what serves, gives a run's lock or place in the queue up and wakes the next. A failed rollback
/// keeps the lock, so that nobody deploys over a state that people must see first.
pub async fn release<P>(
    ports: &P,
    run: &Run,
    pipeline: &PipelineName,
    environment: &EnvironmentName,
) -> Answer<()>
where
    P: Runs + Environments + Waits + Callbacks + Clock,
{
    if must_keep_lock(run, environment) {
        return Ok(());
    }
    let Some(next) = hand_over(ports, run, pipeline, environment).await? else { return Ok(()) };
    let subject = Subject::Lock { pipeline: pipeline.clone(), environment: environment.clone(), run: next };
    if let Some(wait) = ports.find(&subject).await? {
        // Whatever keeps the next run from its lock is not this run's trouble: the sweep looks after it.
        // Boxed: the next may be over itself, and then releases in its turn.
        let _ = Box::pin(settle_lock(ports, &wait)).await;
    }
    Ok(())
}

/// Notes what serves and gives the lock up; gives who holds it now.
async fn hand_over<P: Environments + Clock>(
    ports: &P,
    run: &Run,
    pipeline: &PipelineName,
    environment: &EnvironmentName,
) -> Answer<Option<RunId>> {
    if let Some(state) = run.environment(environment) {
        super::run::note_deployed(ports, run, pipeline, state).await?;
    }
    update(ports, pipeline, environment, |record| record.release(run.id, ports.now())).await
}

/// What freeing an environment by hand came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unlocked {
    /// It was not locked.
    WasFree,
    /// The run that had kept the lock for people to look has it no more.
    Freed(RunId),
    /// A run that is not over holds it; nothing was done.
    InUse(RunId),
}

/// Frees an environment that a failed rollback has kept locked, once people have looked. The next in the
/// queue holds it then; the sweep tells it so.
pub async fn unlock<P: ReadRuns + Environments + Clock>(
    ports: &P,
    pipeline: &PipelineName,
    environment: &EnvironmentName,
) -> Answer<Unlocked> {
    let Some(holder) = ports.environment(pipeline, environment).await?.holder else {
        return Ok(Unlocked::WasFree);
    };
    if !load(ports, holder.run).await?.status.is_terminal() {
        return Ok(Unlocked::InUse(holder.run));
    }
    // Only this holder: the lock may have changed hands since it was looked at.
    update(ports, pipeline, environment, |record| record.release(holder.run, ports.now())).await?;
    Ok(Unlocked::Freed(holder.run))
}

fn must_keep_lock(run: &Run, environment: &EnvironmentName) -> bool {
    run.environment(environment).is_some_and(crate::run::EnvironmentState::needs_people)
}

/// Loads, changes and stores an environment's record until no one else wrote in between.
pub(super) async fn update<P: Environments, T>(
    ports: &P,
    pipeline: &PipelineName,
    environment: &EnvironmentName,
    change: impl Fn(&mut EnvironmentRecord) -> T,
) -> Answer<T> {
    for _ in 0..MAX_CONFLICTS {
        let stored = ports.environment(pipeline, environment).await?;
        let mut next = stored.clone();
        let outcome = change(&mut next);
        if next == stored {
            return Ok(outcome);
        }
        next.version += 1;
        if ports.put_environment(&next).await? == Written::Stored {
            return Ok(outcome);
        }
    }
    Err(Fault::Retryable(format!(
        "environment {environment} of {pipeline} is written to by too many at once"
    )))
}
