//! State `RunJob` of the stages build and test: starts a `CodeBuild` build and leaves a wait for its end.
//!
//! Asked again, it finds the build it has started and only renews the wait: a retry never builds twice.

use std::collections::BTreeMap;

use pushway_core::clone_url;
use pushway_core::contract::{Done, Failure, JobInput, errors};
use pushway_core::fact::{Fact, JobId, JobStage};
use pushway_core::ids::JobName;
use pushway_core::messages;
use pushway_core::plan::JobPlan;
use pushway_core::ports::{
    Answer, Callbacks, Clock, Fault, Hooks, Plans, RepositoryFiles, Runs, StartBuilds, Waits, Written,
};
use pushway_core::run::{JobState, Run};
use pushway_core::settle::{load, or_tell, record, settle_needs};
use pushway_core::source::{Hook, Provider, Zone};
use pushway_core::views::{BuildRequest, Checkout};
use pushway_core::wait::{Subject, Wait, Work};

/// How long a build may stay queued (its request says so too) and how much later than its own timeout
/// `CodeBuild` may tell of its end, in seconds.
const QUEUE_AND_GRACE_SECONDS: i64 = 3_600 + 300;
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
    let hook = ports.hook(run.source.provider, run.source.hook.as_str()).await?;
    let hook = hook.ok_or_else(|| Fault::Permanent(messages::disconnected(&run.source)))?;
    let attempt = state.attempt + 1;
    let checkout = match checkout(run, &hook) {
        Ok(checkout) => checkout,
        Err(why) => return Err(refuse(ports, run, job, &why).await?),
    };
    let inline = inline(ports, run, job, plan, &hook, &checkout).await?;
    let request = BuildRequest {
        run: run.id,
        job: job.clone(),
        attempt,
        plan: plan.clone(),
        commit: run.source.commit.clone(),
        zone: run.source.zone(),
        checkout,
        inline,
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

/// Where the build gets its source. The URL was judged when the repository was connected; a record that was
/// written otherwise must not lead git elsewhere (row A15).
fn checkout(run: &Run, hook: &Hook) -> Result<Checkout, String> {
    let url = clone_url::check(&hook.clone_url)
        .map_err(|problem| format!("hook {}: {problem}; connect the repository again", hook.id))?;
    Ok(match hook.provider {
        Provider::Github => {
            Checkout::Github { url, pull_request: run.source.pull_request().map(|request| request.number) }
        }
        Provider::Codecommit => Checkout::Codecommit { url },
        Provider::Git | Provider::Gitlab | Provider::Bitbucket | Provider::Gitea => {
            // A build of code that nobody has merged is given no secret, this one neither (row A19).
            let is_trusted = run.source.zone() == Zone::Trusted;
            Checkout::Clone { url, login: hook.clone_login.clone().filter(|_| is_trusted) }
        }
    })
}

/// The buildspec's text where the build can't take it from its source: there is none yet, the pipeline file
/// adds reports to it, or the source is not trusted with it (row A21).
async fn inline<P: RepositoryFiles>(
    ports: &P,
    run: &Run,
    job: &JobId,
    plan: &JobPlan,
    hook: &Hook,
    checkout: &Checkout,
) -> Answer<Option<String>> {
    let is_trusted = run.source.zone() == Zone::Trusted;
    if !matches!(checkout, Checkout::Clone { .. }) && plan.reports.is_empty() && is_trusted {
        return Ok(None);
    }
    let buildspec = ports.file(run.carrier(), hook, run.source.buildspec_commit(), &plan.buildspec).await?;
    let missing = || Fault::Permanent(messages::no_buildspec(job, plan.buildspec.as_str()).summary);
    buildspec.ok_or_else(missing).map(Some)
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
