//! State `RunJob` of the stages build and test: starts a `CodeBuild` build and leaves a wait for its end.
//!
//! Asked again, it finds the build it has started and only renews the wait: a retry never builds twice.

use std::collections::BTreeMap;

use pushway_core::contract::{Done, Failure, JobInput, errors};
use pushway_core::fact::{Fact, JobId, JobStage};
use pushway_core::ids::JobName;
use pushway_core::messages;
use pushway_core::plan::JobPlan;
use pushway_core::ports::{
    Callbacks, Clock, Fault, Hooks, Plans, RepositoryFiles, Runs, StartBuilds, Waits, Written,
};
use pushway_core::run::{JobState, Run};
use pushway_core::settle::{QUEUE_AND_GRACE_SECONDS, begin_build, load, or_tell, record, settle_needs};
use pushway_core::wait::{Subject, Wait, Work};

/// How long a job may wait for others: as long as they can take one after another, or so.
const NEEDS_PATIENCE: jiff::SignedDuration = jiff::SignedDuration::from_hours(9);

/// Starts the build of a job.
pub async fn handle<P>(ports: &P, input: JobInput) -> Result<Done, Failure>
where
    P: Runs + Plans + Hooks + RepositoryFiles + Waits + StartBuilds + Callbacks + Clock,
{
    let token = input.task_token.clone();
    or_tell(ports, &token, begin(ports, input).await).await
}

async fn begin<P>(ports: &P, input: JobInput) -> Result<Done, Failure>
where
    P: Runs + Plans + Hooks + RepositoryFiles + Waits + StartBuilds + Callbacks + Clock,
{
    let job = JobId { stage: input.stage, name: input.job.clone() };
    let run = load(ports, input.run_id).await?;
    if let Some(stop) = &run.stop {
        return Err(Failure::new(errors::STOPPED, messages::stopped_by(stop)));
    }
    if let Some(why) = &run.overtaken {
        return Err(Failure::new(errors::JOB_FAILED, why.clone()));
    }
    let plan = ports.plan(run.id).await?;
    let plan = plan.as_ref().and_then(|plan| plan.job(job.stage, &job.name));
    let (Some(plan), Some(state)) = (plan, run.job(&job)) else {
        return Err(Fault::Permanent(format!("run {} has no job {job}", run.id)).into());
    };
    if state.attempt == 0 && !plan.needs.iter().all(|need| has_succeeded(&run, job.stage, need)) {
        return wait_for_needs(ports, job, input).await;
    }
    let (attempt, build) = match &state.build {
        Some(build) if state.is_running() || state.is_settled() => (state.attempt, build.clone()),
        _ => start(ports, &run, &job, state, plan, input.retry).await?,
    };
    let now = ports.now();
    let wait = Wait {
        subject: Subject::Build(build),
        run: run.id,
        work: Work::Job { job, attempt },
        token: input.task_token,
        opened_at: now,
        deadline: now
            + jiff::SignedDuration::from_secs(i64::from(plan.timeout_seconds) + QUEUE_AND_GRACE_SECONDS),
    };
    match ports.open(&wait).await? {
        Written::Stored => Ok(Done {}),
        Written::Conflict => Err(Fault::Permanent("another run waits for this build".into()).into()),
    }
}

fn has_succeeded(run: &Run, stage: JobStage, need: &JobName) -> bool {
    run.job(&JobId { stage, name: need.clone() }).is_some_and(JobState::has_succeeded)
}

/// Leaves the token with the jobs that this one needs: once they have succeeded the state is tried again.
async fn wait_for_needs<P>(ports: &P, job: JobId, input: JobInput) -> Result<Done, Failure>
where
    P: Runs + Plans + Waits + Callbacks + Clock,
{
    let now = ports.now();
    let wait = Wait {
        subject: Subject::Needs { run: input.run_id, job: job.clone() },
        run: input.run_id,
        work: Work::Needs(job),
        token: input.task_token,
        opened_at: now,
        deadline: now + NEEDS_PATIENCE,
    };
    if ports.open(&wait).await? == Written::Conflict {
        return Err(Fault::Permanent("another run waits for this job's needs".into()).into());
    }
    // The last of them may have ended before the wait was there to be found.
    settle_needs(ports, &wait).await?;
    Ok(Done {})
}

async fn start<P>(
    ports: &P,
    run: &Run,
    job: &JobId,
    state: &JobState,
    plan: &JobPlan,
    retry: u32,
) -> Result<(u32, String), Failure>
where
    P: Runs + Hooks + RepositoryFiles + StartBuilds + Clock,
{
    let attempt = state.attempt + 1;
    let build = match begin_build(ports, run, (job, attempt), plan, retry, BTreeMap::new()).await? {
        Ok(build) => build,
        Err(why) => return Err(refuse(ports, run, job, &why).await?),
    };
    record(ports, run.id, Fact::JobStarted { job: job.clone(), attempt, build: build.clone() }).await?;
    tracing::info!(run_id = %run.id, job = %job, build, "build started");
    Ok((attempt, build))
}

async fn refuse<P: Runs + Clock>(ports: &P, run: &Run, job: &JobId, why: &str) -> Result<Failure, Failure> {
    let cause = messages::build_not_started(job, why);
    let failure = Failure::new(errors::JOB_FAILED, cause.summary.clone());
    record(ports, run.id, Fact::Broke { cause }).await?;
    Ok(failure)
}
