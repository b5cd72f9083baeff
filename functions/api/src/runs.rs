//! Runs: lists, one run, its journal, plan and artifacts, the log of a job.

use pushway_core::api::{
    Artifacts, EnvironmentArtifacts, Health, JobArtifacts, JobLog, Jobs, Journal, RunView, RunsPage,
};
use pushway_core::check_builds::{self, CheckBuild};
use pushway_core::fact::{JobId, JobStage, LogPointer};
use pushway_core::forge_pages::{self, ForgePages};
use pushway_core::ids::RunId;
use pushway_core::plan::Plan;
use pushway_core::ports::{
    Answer, Clock, Fault, History, Hooks, ListPipelines, Plans, ReadBuilds, ReadLogs, ReadRuns, RunQuery,
    SealingKey,
};
use pushway_core::run::{JobState, Run};
use pushway_core::source::Source;
use pushway_core::views::LogPage;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::call::Call;
use crate::lists::{self, limit, next, position};
use crate::reply::Problem;

/// Where a log goes on.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LogFrom {
    /// `next` of the part before; the beginning without it.
    cursor: Option<String>,
}

/// Healthy is who can read the table.
pub(crate) async fn health<P: ListPipelines>(ports: &P) -> Result<Health, Problem> {
    ports.pipelines(None, 1).await?;
    Ok(Health { status: "ok".into(), version: env!("CARGO_PKG_VERSION").into() })
}

/// `GET /v1/runs`: newest first. One call looks at so many runs only, so a page may be short and have a next one.
pub(crate) async fn list<P: History + SealingKey + Clock>(
    ports: &P,
    call: &Call<'_>,
) -> Result<RunsPage, Problem> {
    let asked: lists::Runs = call.query()?;
    let filter = asked.filter()?;
    let before = position(ports, &("runs", &filter), asked.cursor.as_deref()).await?;
    let query = RunQuery { filter, before, limit: limit(asked.limit)?, now: ports.now() };
    let page = ports.list(&query).await?;
    let next = next(ports, &("runs", &query.filter), page.next.as_ref()).await?;
    Ok(RunsPage { runs: page.runs, next })
}

/// The run that the path names.
pub(crate) async fn asked<P: ReadRuns>(ports: &P, call: &Call<'_>) -> Result<Run, Problem> {
    find(ports, call.text("run")).await
}

/// `GET /v1/runs/{run}`: the run as it is, with what a reader would work out from it anyway.
pub(crate) async fn show<P: ReadRuns + Hooks>(ports: &P, call: &Call<'_>) -> Result<RunView, Problem> {
    let run = asked(ports, call).await?;
    let commit_url = at_forge(ports, &run.source).await?.commit;
    Ok(RunView { over: run.status.is_terminal(), commit_url, run })
}

/// Where the forge shows what a run comes from; nowhere, once its repository is no longer connected.
pub(crate) async fn at_forge<P: Hooks>(ports: &P, source: &Source) -> Answer<ForgePages> {
    let hook = ports.hook(source.provider, source.hook.as_str()).await?;
    Ok(hook.map(|hook| forge_pages::of(&hook, source)).unwrap_or_default())
}

/// `GET /v1/runs/{run}/jobs`.
pub(crate) async fn jobs<P: ReadRuns + Plans>(ports: &P, call: &Call<'_>) -> Result<Jobs, Problem> {
    let run = asked(ports, call).await?;
    let checks = check_builds(ports, &run).await?;
    Ok(Jobs { checks: checks.into_iter().map(|build| build.state).collect(), jobs: run.jobs })
}

async fn check_builds<P: Plans>(ports: &P, run: &Run) -> Answer<Vec<CheckBuild>> {
    if !check_builds::has_any(run) {
        return Ok(Vec::new());
    }
    let plan = ports.plan(run.id).await?;
    plan.map_or_else(|| Ok(Vec::new()), |plan| check_builds::of(run, &plan))
}

/// The job of a run that a path names, or the build of a check.
pub(crate) async fn job<P: Plans>(
    ports: &P,
    run: &Run,
    (stage, name): (&str, &str),
) -> Result<JobState, Problem> {
    let absent = || Problem::NotFound(format!("run {} has no job {stage:?}/{name:?}", run.id));
    let (Ok(stage), Ok(name)) = (stage.parse(), name.parse()) else { return Err(absent()) };
    let id = JobId { stage, name };
    let found = if id.stage == JobStage::Check {
        let builds = check_builds(ports, run).await?;
        builds.into_iter().map(|build| build.state).find(|state| state.job == id)
    } else {
        run.job(&id).cloned()
    };
    found.ok_or_else(absent)
}

/// `GET /v1/runs/{run}/journal`.
pub(crate) async fn journal<P: ReadRuns + History>(ports: &P, call: &Call<'_>) -> Result<Journal, Problem> {
    let run = asked(ports, call).await?;
    Ok(Journal { journal: ports.journal(run.id).await? })
}

/// `GET /v1/runs/{run}/plan`.
pub(crate) async fn plan<P: ReadRuns + Plans>(ports: &P, call: &Call<'_>) -> Result<Plan, Problem> {
    let run = asked(ports, call).await?;
    let plan = if run.plan_digest.is_some() { ports.plan(run.id).await? } else { None };
    plan.ok_or_else(|| {
        Problem::NotFound(format!("run {} has no plan; GET /v1/runs/{} says why", run.id, run.id))
    })
}

/// `GET /v1/runs/{run}/artifacts`.
pub(crate) fn artifacts(run: &Run) -> Artifacts {
    let made = run.jobs.iter().filter_map(|job| {
        let end = job.end.as_ref().filter(|end| end.failure.is_none())?;
        Some(JobArtifacts { job: job.job.clone(), outputs: end.outputs.clone() })
    });
    let brought = run.environments.iter().filter_map(|state| {
        Some(EnvironmentArtifacts {
            environment: state.name.clone(),
            images: state.rollout.as_ref()?.images.clone(),
            live: state.is_live(),
        })
    });
    Artifacts { jobs: made.collect(), environments: brought.collect() }
}

/// `GET /v1/runs/{run}/jobs/{stage}/{job}/log`.
pub(crate) async fn log<P>(ports: &P, call: &Call<'_>) -> Result<JobLog, Problem>
where
    P: ReadRuns + Plans + ReadBuilds + ReadLogs + SealingKey,
{
    let LogFrom { cursor } = call.query()?;
    let run = asked(ports, call).await?;
    let state = job(ports, &run, (call.text("stage"), call.text("job"))).await?;
    log_of(ports, &run, &state, cursor.as_deref()).await
}

/// A part of a job's log. A cursor of an attempt that was followed by another leads to the beginning of that one's.
pub(crate) async fn log_of<P: ReadBuilds + ReadLogs + SealingKey>(
    ports: &P,
    run: &Run,
    state: &JobState,
    cursor: Option<&str>,
) -> Result<JobLog, Problem> {
    let list = ("log", run.id, &state.job);
    let asked: Option<(u32, String)> = position(ports, &list, cursor).await?;
    let from = asked.filter(|(attempt, _)| *attempt == state.attempt).map(|(_, token)| token);
    let page = match pointer(ports, state).await? {
        Some(log) => ports.log(&log, from.as_deref()).await?,
        None => LogPage { lines: Vec::new(), next: None },
    };
    // A job that a stop or a newer push has cut off never gets an end.
    let has_ended = state.end.is_some() || run.status.is_terminal();
    let over = has_ended && page.next == from;
    let token = page.next.map(|token| (state.attempt, token));
    Ok(JobLog { lines: page.lines, next: next(ports, &list, token.as_ref()).await?, over })
}

/// Where a job's log lies: as recorded when it ended, or as CodeBuild tells while it runs.
async fn pointer<P: ReadBuilds>(ports: &P, state: &JobState) -> Result<Option<LogPointer>, Fault> {
    match (&state.end, &state.build) {
        (Some(end), _) => Ok(end.log.clone()),
        (None, Some(build)) => Ok(ports.build(build).await?.and_then(|view| view.log)),
        (None, None) => Ok(None),
    }
}

pub(crate) async fn find<P: ReadRuns>(ports: &P, id: &str) -> Result<Run, Problem> {
    // An id that can't be one is as absent as any other.
    let absent = || Problem::NotFound(format!("there is no run {id:?}; GET /v1/runs lists them"));
    let id: RunId = id.parse().map_err(|_| absent())?;
    ports.load(id).await?.ok_or_else(absent)
}
