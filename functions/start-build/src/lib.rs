//! State `RunJob` of the stages build and test: starts a `CodeBuild` build and leaves a wait for its end.
//!
//! Asked again, it finds the build it has started and only renews the wait: a retry never builds twice.

use std::collections::BTreeMap;

use pushway_core::contract::{Done, Failure, JobInput, errors};
use pushway_core::fact::{Fact, JobId, JobStage};
use pushway_core::messages;
use pushway_core::plan::JobPlan;
use pushway_core::ports::{
    Answer, Callbacks, Clock, Fault, Hooks, Plans, RepositoryFiles, Runs, StartBuilds, Waits, Written,
};
use pushway_core::run::{JobState, Run};
use pushway_core::settle::{load, or_tell, record};
use pushway_core::source::{Hook, Provider};
use pushway_core::views::{BuildRequest, Checkout};
use pushway_core::wait::{Subject, Wait, Work};

/// How long a build may stay queued (its request says so too) and how much later than its own timeout
/// `CodeBuild` may tell of its end, in seconds.
const QUEUE_AND_GRACE_SECONDS: i64 = 3_600 + 300;

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
    P: Runs + Plans + Hooks + RepositoryFiles + Waits + StartBuilds + Clock,
{
    let job = JobId { stage: input.stage, name: input.job.clone() };
    let run = load(ports, input.run_id).await?;
    let plan = ports.plan(run.id).await?;
    let plan = plan.as_ref().and_then(|plan| plan.job(job.stage, &job.name));
    let (Some(plan), Some(state)) = (plan, run.job(&job)) else {
        return Err(Fault::Permanent(format!("run {} has no job {job}", run.id)).into());
    };
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
    let hook = ports.hook(run.source.provider, run.source.hook.as_str()).await?;
    let hook = hook.ok_or_else(|| Fault::Permanent(format!("hook {} was disconnected", run.source.hook)))?;
    let attempt = state.attempt + 1;
    let request = BuildRequest {
        run: run.id,
        job: job.clone(),
        attempt,
        plan: plan.clone(),
        commit: run.source.commit.clone(),
        checkout: checkout(ports, run, job, plan, &hook).await?,
        variables: variables(run),
    };
    // A first try can't have left a build behind; a later one may have lost the answer.
    let found = if retry == 0 { None } else { ports.started_build(&request).await? };
    let build = match found {
        Some(build) => build,
        None => match ports.start_build(&request).await {
            Ok(build) => build,
            Err(Fault::Permanent(why)) => return Err(refuse(ports, run, job, &why).await?),
            Err(fault) => return Err(fault.into()),
        },
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

async fn checkout<P: RepositoryFiles>(
    ports: &P,
    run: &Run,
    job: &JobId,
    plan: &JobPlan,
    hook: &Hook,
) -> Answer<Checkout> {
    let url = hook.clone_url.clone();
    match hook.provider {
        Provider::Github => Ok(Checkout::Github { url }),
        Provider::Codecommit => Ok(Checkout::Codecommit { url }),
        Provider::Git => {
            let buildspec = ports.file(run.id, hook, &run.source, &plan.buildspec).await?;
            let missing = || Fault::Permanent(messages::no_buildspec(job, plan.buildspec.as_str()).summary);
            Ok(Checkout::Clone { url, buildspec: buildspec.ok_or_else(missing)? })
        }
    }
}

/// What a build may know of its run: the ref, and what the build stage made, for the tests to use.
fn variables(run: &Run) -> BTreeMap<String, String> {
    let mut variables = BTreeMap::from([
        ("PUSHWAY_REF".to_owned(), run.source.git_ref.to_string()),
        ("PUSHWAY_BRANCH".to_owned(), run.source.git_ref.short().to_owned()),
    ]);
    let built = run.jobs.iter().filter(|state| state.job.stage == JobStage::Build);
    for (state, end) in built.filter_map(|state| Some((state, state.end.as_ref()?))) {
        for (name, value) in &end.outputs {
            let job = state.job.name.as_str().to_uppercase().replace('-', "_");
            variables.insert(format!("PUSHWAY_BUILD_{job}_{name}"), value.clone());
        }
    }
    variables
}
