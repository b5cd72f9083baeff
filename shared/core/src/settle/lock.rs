//! Settling a lock: take it, hand it on, tell whoever waited for it.
//!
//! The record's version guards each change; the run that the record names as holder is told by callback,
//! and told again by the sweep if the callback was lost.

use jiff::SignedDuration;

use super::approval::supersede;
use super::run::note_deployed;
use super::stop::ended_by_stop;
use super::{MAX_CONFLICTS, Settled, answer, load, record, state_of};
use crate::contract::errors;
use crate::environment::{EnvironmentRecord, Freeze, ServiceClaim};
use crate::fact::Fact;
use crate::gate::opens_at;
use crate::ids::{EnvironmentName, PipelineName, RunId};
use crate::messages;
use crate::ports::{Answer, Callbacks, Clock, Environments, Fault, Plans, ReadRuns, Runs, Waits, Written};
use crate::run::Run;
use crate::source::Trigger;
use crate::wait::{Subject, Wait};

/// How long a run may wait for its turn or an environment that others use.
pub const LOCK_PATIENCE: SignedDuration = SignedDuration::from_hours(24);

/// Takes the lock for a waiting run, or leaves it in the queue.
pub async fn acquire<P>(ports: &P, wait: &Wait) -> Answer<Settled>
where
    P: Runs + Plans + Environments + Waits + Callbacks + Clock,
{
    ports.open(wait).await?;
    settle_lock(ports, wait).await
}

/// Answers a waiting run if the lock is its own by now. One that may not deploy at this time stands in
/// nobody's way: it leaves the queue and asks again.
pub async fn settle_lock<P>(ports: &P, wait: &Wait) -> Answer<Settled>
where
    P: Runs + Plans + Environments + Waits + Callbacks + Clock,
{
    let (pipeline, environment, id) = lock_of(wait)?;
    let run = load(ports, id).await?;
    if run.status.is_terminal() {
        // Nobody waits for a run that is over; its place in the queue goes to the next.
        release(ports, &run, pipeline, environment).await?;
        ports.close(wait).await?;
        return Ok(Settled::Done);
    }
    if let Some(settled) = ended_by_stop(ports, &run, wait).await? {
        return Ok(settled);
    }
    free_from_the_dead(ports, pipeline, environment, &run).await?;
    let taken = run.environment(environment).is_some_and(|state| state.fence.is_some());
    let may_take = |record: &EnvironmentRecord| taken || record.has_consent(&run);
    if !may_take(&ports.environment(pipeline, environment).await?) {
        return ask_again(ports, wait, &run).await;
    }
    if !taken && let Some(why) = not_now(ports, &run, pipeline, environment).await? {
        return hold(ports, wait, &run, why).await;
    }
    // Looked at again within the write: a rule that was set a moment ago holds.
    let take = |record: &mut EnvironmentRecord| may_take(record).then(|| record.acquire(id, ports.now()));
    if update(ports, pipeline, environment, take).await?.is_none() {
        return ask_again(ports, wait, &run).await;
    }
    let stored = ports.environment(pipeline, environment).await?;
    if let Some(holder) = stored.holder.as_ref().filter(|holder| holder.run == id) {
        if let Some(by) = stored.newer_than(&run).filter(|_| !taken) {
            record(ports, id, Fact::Superseded { environment: environment.clone(), by }).await?;
            let why = format!("run {by} of a newer push serves already");
            return answer(ports, wait, Some((errors::DEPLOY_FAILED, &why))).await;
        }
        if !taken && let Some(other) = claim_service(ports, &run, pipeline, environment).await? {
            let why = messages::service_in_use(&other);
            record(ports, id, Fact::Blocked { environment: environment.clone(), why: why.clone() }).await?;
            if ports.now() < wait.deadline {
                return Ok(Settled::Waiting);
            }
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

/// Lets the environment's lock, which the run holds, stand for the service too; or gives who deploys there in
/// another pipeline's name.
async fn claim_service<P: Plans + Environments>(
    ports: &P,
    run: &Run,
    pipeline: &PipelineName,
    environment: &EnvironmentName,
) -> Answer<Option<ServiceClaim>> {
    let plan = ports.plan(run.id).await?;
    let Some(planned) = plan.as_ref().and_then(|plan| plan.environment(environment)) else { return Ok(None) };
    let service = planned.claimed();
    for _ in 0..MAX_CONFLICTS {
        let known = ports.service_claim(&service).await?;
        let version = known.as_ref().map_or(0, |known| known.version) + 1;
        if let Some(known) = known {
            if known.run == run.id && known.environment == *environment {
                return Ok(None);
            }
            if ports.environment(&known.pipeline, &known.environment).await?.is_held_by(known.run) {
                return Ok(Some(known));
            }
        }
        let (pipeline, environment) = (pipeline.clone(), environment.clone());
        let claim = ServiceClaim { service: service.clone(), version, run: run.id, pipeline, environment };
        if ports.put_service_claim(&claim).await? == Written::Stored {
            return Ok(None);
        }
    }
    Err(Fault::Retryable(format!("service {} is claimed by too many at once", service.service)))
}

/// Why a run may not take the environment at this time. A rollback by hand always may.
async fn not_now<P: Plans + Environments + Clock>(
    ports: &P,
    run: &Run,
    pipeline: &PipelineName,
    environment: &EnvironmentName,
) -> Answer<Option<String>> {
    if matches!(run.source.trigger, Trigger::Rollback { .. }) {
        return Ok(None);
    }
    if let Some(freeze) = ports.environment(pipeline, environment).await?.freeze {
        return Ok(Some(messages::frozen(environment, &freeze)));
    }
    let plan = ports.plan(run.id).await?;
    let windows =
        plan.as_ref().and_then(|plan| plan.environment(environment)).map(|planned| &planned.windows);
    let opens = windows.and_then(|windows| opens_at(windows, ports.now()));
    Ok(opens.map(|opens| messages::outside_windows(environment, opens)))
}

/// Keeps a run waiting for a better time, which costs it no patience: the state's own timeout ends that.
async fn hold<P>(ports: &P, wait: &Wait, run: &Run, why: String) -> Answer<Settled>
where
    P: Runs + Plans + Environments + Waits + Callbacks + Clock,
{
    let (pipeline, environment, id) = lock_of(wait)?;
    record(ports, id, Fact::Blocked { environment: environment.clone(), why }).await?;
    release(ports, run, pipeline, environment).await?;
    // Of the pushes of a branch only the newest waits: nobody wants the others one after another later on.
    for older in update(ports, pipeline, environment, |record| record.ask(run)).await? {
        supersede(ports, older, environment, id).await?;
    }
    let newer = ports.environment(pipeline, environment).await?.newer_asking(run);
    if let Some(by) = newer {
        supersede(ports, id, environment, by).await?;
        return Ok(Settled::Done);
    }
    ports.open(&Wait { deadline: ports.now() + LOCK_PATIENCE, ..wait.clone() }).await?;
    Ok(Settled::Waiting)
}

/// The environment's rule asks for consent that the run lacks: it was set, or changed, while the run waited. The run
/// stands in nobody's way, and its state begins anew and asks.
async fn ask_again<P>(ports: &P, wait: &Wait, run: &Run) -> Answer<Settled>
where
    P: Runs + Plans + Environments + Waits + Callbacks + Clock,
{
    let (pipeline, environment, _) = lock_of(wait)?;
    release(ports, run, pipeline, environment).await?;
    let rule = ports.environment(pipeline, environment).await?.protection;
    let why = messages::lacks_consent(environment, rule.as_ref());
    answer(ports, wait, Some((errors::ASK_AGAIN, &why))).await
}

/// Lets an environment take no deploys, or says who has done so before.
pub async fn freeze<P: Environments>(
    ports: &P,
    pipeline: &PipelineName,
    environment: &EnvironmentName,
    freeze: Freeze,
) -> Answer<Freeze> {
    let set = |record: &mut EnvironmentRecord| record.freeze.get_or_insert_with(|| freeze.clone()).clone();
    update(ports, pipeline, environment, set).await
}

/// Lets an environment take deploys again; gives the freeze that is over. What waits goes on with the next
/// sweep.
pub async fn unfreeze<P: Environments>(
    ports: &P,
    pipeline: &PipelineName,
    environment: &EnvironmentName,
) -> Answer<Option<Freeze>> {
    update(ports, pipeline, environment, |record| record.freeze.take()).await
}

/// A holder that is over and could not release (its workflow died) must not block the others.
async fn free_from_the_dead<P>(
    ports: &P,
    pipeline: &PipelineName,
    environment: &EnvironmentName,
    waiting: &Run,
) -> Answer<()>
where
    P: Runs + Plans + Environments + Waits + Callbacks + Clock,
{
    let holder = ports.environment(pipeline, environment).await?.holder;
    let Some(holder) = holder.filter(|holder| holder.run != waiting.id) else { return Ok(()) };
    let run = load(ports, holder.run).await?;
    // Who rolls back by hand is the person that the lock was kept for.
    let is_looked_at = matches!(waiting.source.trigger, Trigger::Rollback { .. });
    if !run.status.is_terminal() || (must_keep_lock(&run, environment) && !is_looked_at) {
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
    P: Runs + Plans + Environments + Waits + Callbacks + Clock,
{
    if must_keep_lock(run, environment) {
        return note_deployed(ports, run, pipeline, state_of(run, environment)?).await;
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
async fn hand_over<P: Plans + Environments + Clock>(
    ports: &P,
    run: &Run,
    pipeline: &PipelineName,
    environment: &EnvironmentName,
) -> Answer<Option<RunId>> {
    if let Some(state) = run.environment(environment) {
        note_deployed(ports, run, pipeline, state).await?;
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
