//! Settling a turn: whose push of a branch builds and tests now, which ones lose their place.
//!
//! The branch's record decides, one conditional write at a time. A run that is in its lane there may go on
//! to deploy; one that was taken out of it may not, whatever its execution still does.

use super::stop::ended_by_stop;
use super::{MAX_CONFLICTS, Settled, answer, load, record, try_record};
use crate::branch::{Branch, Inside, Turn};
use crate::contract::errors;
use crate::fact::Fact;
use crate::ids::{PipelineName, RunId};
use crate::messages;
use crate::plan::Concurrency;
use crate::ports::{
    Answer, BranchRecords, Callbacks, Clock, Fault, Hooks, Plans, Runs, StopBuilds, Waits, Written,
};
use crate::run::Run;
use crate::source::Hook;
use crate::wait::{Subject, Wait};

/// Loads, changes and stores a branch's record until no one else wrote in between.
pub async fn update_branch<P: BranchRecords + Clock, T>(
    ports: &P,
    hook: &Hook,
    git_ref: &crate::ids::RefName,
    change: impl Fn(&mut Branch) -> T,
) -> Answer<T> {
    for _ in 0..MAX_CONFLICTS {
        let stored = ports.branch(hook, git_ref).await?;
        let mut next = stored.clone();
        let outcome = change(&mut next);
        if next == stored {
            return Ok(outcome);
        }
        next.version += 1;
        if ports.put_branch(&next, ports.now()).await? == Written::Stored {
            return Ok(outcome);
        }
    }
    Err(Fault::Retryable(format!("{git_ref} of {} is written to by too many at once", hook.repository)))
}

/// Gives a waiting run its turn if it has come.
pub async fn settle_turn<P>(ports: &P, wait: &Wait) -> Answer<Settled>
where
    P: Runs + Plans + Hooks + BranchRecords + Waits + StopBuilds + Callbacks + Clock,
{
    let run = load(ports, wait.run).await?;
    if run.status.is_terminal() {
        ports.close(wait).await?;
        return Ok(Settled::Done);
    }
    if let Some(settled) = ended_by_stop(ports, &run, wait).await? {
        return Ok(settled);
    }
    let (hook, pipeline) = lane_of(ports, &run).await?;
    let concurrency = ports.plan(run.id).await?.map(|plan| plan.concurrency).unwrap_or_default();
    match enter(ports, &run, &hook, &pipeline, concurrency).await? {
        Turn::Given(overtaken) => {
            for older in overtaken {
                overtake(ports, older, run.id).await?;
            }
            answer(ports, wait, None).await
        }
        Turn::Overtaken(by) => {
            overtake(ports, run.id, by).await?;
            // The run may have known before, and its execution asked all the same.
            abandon(ports, wait, (errors::JOB_FAILED, &messages::overtaken(by))).await
        }
        Turn::Behind(first) => {
            record(ports, run.id, Fact::Queued { behind: first }).await?;
            if ports.now() < wait.deadline {
                return Ok(Settled::Waiting);
            }
            let why = format!("run {first} of the same branch did not make way in time");
            answer(ports, wait, Some((errors::JOB_FAILED, &why))).await
        }
    }
}

/// Asks for the turn; one that is held by a run that is over is taken from it.
async fn enter<P>(
    ports: &P,
    run: &Run,
    hook: &Hook,
    pipeline: &PipelineName,
    concurrency: Concurrency,
) -> Answer<Turn>
where
    P: Runs + BranchRecords + Clock,
{
    let asking =
        Inside { run: run.id, place: run.place.unwrap_or_default(), commit: run.source.commit.clone() };
    loop {
        let ask = |branch: &mut Branch| branch.enter(pipeline, asking.clone(), concurrency);
        let turn = update_branch(ports, hook, &run.source.git_ref, ask).await?;
        let Turn::Behind(first) = turn else { return Ok(turn) };
        if !load(ports, first).await?.status.is_terminal() {
            return Ok(turn);
        }
        // Each round takes one dead run out of the lane, so this comes to an end.
        update_branch(ports, hook, &run.source.git_ref, |branch| branch.leave(pipeline, first)).await?.ok();
    }
}

/// Takes a run out of its lane, before it deploys or because it is over, and wakes the next. Gives the run
/// that has taken its place, if one has.
pub async fn leave<P>(ports: &P, run: &Run) -> Answer<Option<RunId>>
where
    P: Runs + Plans + Hooks + BranchRecords + Waits + StopBuilds + Callbacks + Clock,
{
    let plan = ports.plan(run.id).await?;
    if plan.is_none_or(|plan| plan.concurrency == Concurrency::Parallel) {
        return Ok(None);
    }
    let Some(pipeline) = run.pipeline.clone() else { return Ok(None) };
    let Some(hook) = ports.hook(run.source.provider, run.source.hook.as_str()).await? else {
        return Ok(None);
    };
    let left =
        update_branch(ports, &hook, &run.source.git_ref, |branch| branch.leave(&pipeline, run.id)).await?;
    let next = match left {
        Err(by) => return Ok(Some(by)),
        Ok(next) => next,
    };
    if let Some(next) = next
        && let Some(wait) = ports.find(&Subject::Turn(next)).await?
    {
        // Whatever keeps the next run from its turn is not this run's trouble: the sweep looks after it.
        let _ = Box::pin(settle_turn(ports, &wait)).await;
    }
    Ok(None)
}

async fn lane_of<P: Hooks>(ports: &P, run: &Run) -> Answer<(Hook, PipelineName)> {
    let hook = ports.hook(run.source.provider, run.source.hook.as_str()).await?;
    let hook = hook.ok_or_else(|| Fault::Permanent(messages::disconnected(&run.source)))?;
    let pipeline = run.pipeline.clone();
    let pipeline = pipeline.ok_or_else(|| Fault::Permanent(format!("run {} has no plan", run.id)))?;
    Ok((hook, pipeline))
}

/// Records that a newer run has taken a run's place, stops its builds and answers whoever waits for it.
pub async fn overtake<P>(ports: &P, id: RunId, by: RunId) -> Answer<()>
where
    P: Runs + Waits + StopBuilds + Callbacks + Clock,
{
    let run = load(ports, id).await?;
    if run.status.is_terminal() {
        return Ok(());
    }
    let fact = Fact::Overtaken { by, rule: messages::overtaken(by) };
    let Ok(run) = try_record(ports, id, fact).await? else { return Ok(()) };
    let builds = run.jobs.iter().filter(|state| state.is_running());
    let builds = builds.filter_map(|state| state.build.clone()).map(Subject::Build);
    let needs = run.jobs.iter().map(|state| Subject::Needs { run: id, job: state.job.clone() });
    for subject in builds.chain(needs).chain([Subject::Turn(id)]).collect::<Vec<_>>() {
        if let Some(wait) = ports.find(&subject).await? {
            abandon(ports, &wait, (errors::JOB_FAILED, &messages::overtaken(by))).await?;
        }
    }
    Ok(())
}

/// Ends what an overtaken or stopped run waits for.
pub(super) async fn abandon<P>(ports: &P, wait: &Wait, failure: (&str, &str)) -> Answer<Settled>
where
    P: Waits + StopBuilds + Callbacks,
{
    if let Subject::Build(build) = &wait.subject {
        ports.stop_build(build).await?;
    }
    answer(ports, wait, Some(failure)).await
}
