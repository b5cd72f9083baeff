//! Settling what a job needs: it begins once the jobs that it names have succeeded.
//!
//! Its state waits on a token that is answered `JobReady` then, and is tried again: so starting a build stays
//! the one function's affair that may.

use super::stop::ended_by_stop;
use super::{Settled, answer, load};
use crate::contract::errors;
use crate::fact::JobId;
use crate::ids::RunId;
use crate::ports::{Answer, Callbacks, Clock, Fault, Plans, ReadRuns, Waits};
use crate::run::{JobState, Run};
use crate::wait::{Subject, Wait, Work};

/// Lets a waiting job begin if all that it needs is there.
pub async fn settle_needs<P>(ports: &P, wait: &Wait) -> Answer<Settled>
where
    P: ReadRuns + Plans + Waits + Callbacks + Clock,
{
    let Work::Needs(job) = &wait.work else {
        return Err(Fault::Permanent("a wait for needs must name its job".into()));
    };
    let run = load(ports, wait.run).await?;
    if run.status.is_terminal() {
        ports.close(wait).await?;
        return Ok(Settled::Done);
    }
    if let Some(settled) = ended_by_stop(ports, &run, wait).await? {
        return Ok(settled);
    }
    if let Some(why) = &run.overtaken {
        return answer(ports, wait, Some((errors::JOB_FAILED, why))).await;
    }
    let plan = ports.plan(run.id).await?;
    let planned = plan.as_ref().and_then(|plan| plan.job(job.stage, &job.name));
    let planned = planned.ok_or_else(|| Fault::Permanent(format!("run {} has no job {job}", run.id)))?;
    let needed: Vec<&JobState> = run
        .jobs
        .iter()
        .filter(|state| state.job.stage == job.stage && planned.needs.contains(&state.job.name))
        .collect();
    if let Some(failed) = needed.iter().find(|state| state.is_settled() && !state.has_succeeded()) {
        let why = format!("{} failed, and {job} needs it", failed.job);
        return answer(ports, wait, Some((errors::JOB_FAILED, &why))).await;
    }
    if needed.iter().all(|state| state.has_succeeded()) {
        return answer(ports, wait, Some((errors::JOB_READY, "the jobs that it needs have succeeded"))).await;
    }
    if ports.now() >= wait.deadline {
        let why = format!("the jobs that {job} needs did not end in time");
        return answer(ports, wait, Some((errors::JOB_FAILED, &why))).await;
    }
    Ok(Settled::Waiting)
}

/// Wakes the jobs that need one that is over.
pub async fn wake_dependents<P>(ports: &P, run: &Run, over: &JobId) -> Answer<()>
where
    P: ReadRuns + Plans + Waits + Callbacks + Clock,
{
    let Some(plan) = ports.plan(run.id).await? else { return Ok(()) };
    let dependents = plan.jobs(over.stage).iter().filter(|job| job.needs.contains(&over.name));
    for dependent in dependents {
        let job = JobId { stage: over.stage, name: dependent.name.clone() };
        if let Some(wait) = ports.find(&subject(run.id, job)).await? {
            settle_needs(ports, &wait).await?;
        }
    }
    Ok(())
}

/// What is waited for while a job's needs are not there.
fn subject(run: RunId, job: JobId) -> Subject {
    Subject::Needs { run, job }
}
