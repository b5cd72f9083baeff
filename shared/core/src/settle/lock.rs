//! Settling a lock: take it, hand it on, tell whoever waited for it.
//!
//! The record's version guards each change; the run that the record names as holder is told by callback,
//! and told again by the sweep if the callback was lost.

use super::{MAX_CONFLICTS, Settled, answer, load, record};
use crate::contract::errors;
use crate::environment::{Acquisition, EnvironmentRecord};
use crate::fact::Fact;
use crate::ids::{EnvironmentName, PipelineName, RunId};
use crate::ports::{Answer, Callbacks, Clock, Environments, Fault, Runs, Waits, Written};
use crate::run::Run;
use crate::wait::{Subject, Wait};

/// Takes the lock for a waiting run, or leaves it in the queue.
pub async fn acquire<P>(ports: &P, wait: &Wait) -> Answer<Settled>
where
    P: Runs + Environments + Waits + Callbacks + Clock,
{
    let Subject::Lock { pipeline, environment, run } = &wait.subject else {
        return Err(Fault::Permanent("a wait for a lock must name it".into()));
    };
    ports.open(wait).await?;
    let acquired = update(ports, pipeline, environment, |record| record.acquire(*run, ports.now())).await?;
    match acquired {
        Acquisition::Held(_) => settle_lock(ports, wait).await,
        Acquisition::Queued { holder } => {
            // A holder that is over and could not release (its workflow died) must not block the others.
            let holder_run = load(ports, holder).await?;
            if holder_run.status.is_terminal() && !must_keep_lock(&holder_run, environment) {
                release(ports, &holder_run, pipeline, environment).await?;
            }
            settle_lock(ports, wait).await
        }
    }
}

/// Answers a waiting run if the lock is its own by now.
pub async fn settle_lock<P>(ports: &P, wait: &Wait) -> Answer<Settled>
where
    P: Runs + Environments + Waits + Callbacks + Clock,
{
    let Subject::Lock { pipeline, environment, run } = &wait.subject else {
        return Err(Fault::Permanent("a wait for a lock must name it".into()));
    };
    let stored = ports.environment(pipeline, environment).await?;
    if let Some(holder) = stored.holder.filter(|holder| holder.run == *run) {
        record(ports, *run, Fact::LockTaken { environment: environment.clone(), fence: holder.fence })
            .await?;
        return answer(ports, wait, None).await;
    }
    if ports.now() >= wait.deadline {
        update(ports, pipeline, environment, |record| record.release(*run, ports.now())).await?;
        return answer(
            ports,
            wait,
            Some((errors::DEPLOY_FAILED, "the environment's lock did not come free in time")),
        )
        .await;
    }
    Ok(Settled::Waiting)
}

/// Notes what serves, gives a run's lock or place in the queue up and wakes the next. A failed rollback keeps the lock, so
/// that nobody deploys over a state that people must see first.
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
    if let Some(state) = run.environment(environment) {
        super::run::note_deployed(ports, run, pipeline, state).await?;
    }
    let next = update(ports, pipeline, environment, |record| record.release(run.id, ports.now())).await?;
    let Some(next) = next else { return Ok(()) };
    wake(ports, pipeline, environment, next).await
}

async fn wake<P>(ports: &P, pipeline: &PipelineName, environment: &EnvironmentName, next: RunId) -> Answer<()>
where
    P: Runs + Environments + Waits + Callbacks + Clock,
{
    let subject = Subject::Lock { pipeline: pipeline.clone(), environment: environment.clone(), run: next };
    if let Some(wait) = ports.find(&subject).await? {
        settle_lock(ports, &wait).await?;
    }
    Ok(())
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
