//! The overview: what waits, what runs, which pipelines there are and what they have brought where.

use std::collections::BTreeMap;

use pushway_core::environment::EnvironmentRecord;
use pushway_core::ids::{CommitSha, PipelineName};
use pushway_core::ports::{Clock, Environments, Fault, History, Overdue, ReadRuns, RunQuery};
use pushway_core::summary::RunSummary;
use pushway_dashboard::{Deployment, OverviewPage, PipelineLine, RunFilter};

use super::{Look, fill};
use crate::call::parsed;
use crate::reply::Problem;

/// Runs on a page.
const SHOWN: usize = 25;
/// Runs that are looked through for what runs, and for pipelines.
const LATEST: usize = 100;
/// Pipelines that are shown; each takes a few reads.
const PIPELINES: usize = 12;
/// Runs of a pipeline that its line draws.
const DRAWN: usize = 12;

pub(super) async fn page<P>(ports: &P, look: &mut Look<'_>) -> Result<String, Problem>
where
    P: ReadRuns + History + Environments + Overdue + Clock,
{
    let waiting = fill::waiting(ports).await?;
    look.frame.waiting = waiting.len();
    let query = RunQuery { pipeline: None, before: None, limit: LATEST, now: ports.now() };
    let latest = ports.list(&query).await?.runs;
    let running: Vec<RunSummary> = latest.iter().filter(|run| !run.status.is_terminal()).cloned().collect();
    let pipelines = pipelines(ports, &latest).await?;
    let (runs, next) = listed(ports, look).await?;
    let page = OverviewPage {
        frame: &look.frame,
        waiting: &waiting,
        running: &running,
        pipelines: &pipelines,
        runs: &runs,
        filter: &filter(look),
        next: next.as_deref(),
    };
    look.show(&page, &page.as_main())
}

fn filter(look: &Look<'_>) -> RunFilter {
    let query = &look.query;
    RunFilter {
        pipeline: query.pipeline.clone(),
        branch: query.branch.clone(),
        status: query.status.clone(),
        author: query.author.clone(),
    }
}

/// A page of the runs that the filter lets through, and where the next one begins. What no index knows is looked for
/// among the runs of one read: such a page may be short.
async fn listed<P: History + Clock>(
    ports: &P,
    look: &Look<'_>,
) -> Result<(Vec<RunSummary>, Option<String>), Problem> {
    let RunFilter { pipeline, branch, status, author } = filter(look);
    let given = |text: &str| !text.is_empty();
    let pipeline: Option<PipelineName> = if given(&pipeline) { Some(parsed(&pipeline)?) } else { None };
    let before = if given(&look.query.cursor) { Some(parsed(&look.query.cursor)?) } else { None };
    let is_narrow = [&branch, &status, &author].into_iter().any(|text| given(text));
    let limit = if is_narrow { LATEST } else { SHOWN };
    let page = ports.list(&RunQuery { pipeline, before, limit, now: ports.now() }).await?;
    let author = author.to_lowercase();
    let is_wanted = |run: &RunSummary| {
        (branch.is_empty() || run.git_ref.short() == branch || run.git_ref.as_str() == branch)
            && (status.is_empty() || run.status.as_str() == status)
            && run.author.to_lowercase().contains(&author)
    };
    let runs = page.runs.into_iter().filter(is_wanted).collect();
    Ok((runs, page.next.map(|next| next.to_string())))
}

async fn pipelines<P>(ports: &P, latest: &[RunSummary]) -> Result<Vec<PipelineLine>, Fault>
where
    P: ReadRuns + Environments,
{
    let mut of: BTreeMap<&PipelineName, Vec<RunSummary>> = BTreeMap::new();
    for run in latest {
        if let Some(pipeline) = &run.pipeline {
            of.entry(pipeline).or_default().push(run.clone());
        }
    }
    let mut lines = Vec::new();
    for (name, mut recent) in of.into_iter().take(PIPELINES) {
        let environments = environments(ports, &recent).await?;
        recent.truncate(DRAWN);
        let repository = recent.first().map(|run| run.repository.clone()).unwrap_or_default();
        lines.push(PipelineLine { name: name.clone(), repository, recent, environments });
    }
    Ok(lines)
}

/// The environments that the newest planned run of each pipeline deploys to.
pub(super) async fn environments<P>(ports: &P, runs: &[RunSummary]) -> Result<Vec<EnvironmentRecord>, Fault>
where
    P: ReadRuns + Environments,
{
    let mut newest: BTreeMap<&PipelineName, &RunSummary> = BTreeMap::new();
    for run in runs {
        if let Some(pipeline) = &run.pipeline {
            newest.entry(pipeline).or_insert(run);
        }
    }
    let mut records = Vec::new();
    for (pipeline, run) in newest.into_iter().take(PIPELINES) {
        let Some(run) = ports.load(run.id).await? else { continue };
        for state in &run.environments {
            records.push(ports.environment(pipeline, &state.name).await?);
        }
    }
    Ok(records)
}

/// A commit's places in an environment.
pub(super) fn deployed(record: &EnvironmentRecord, commit: &CommitSha) -> Vec<Deployment> {
    let serves = record.current.iter().map(|version| (version, record.left.is_none()));
    let served = record.earlier.iter().map(|version| (version, false));
    serves
        .chain(served)
        .filter(|(version, _)| version.commit == *commit)
        .map(|(version, serves)| Deployment {
            pipeline: record.pipeline.clone(),
            environment: record.name.clone(),
            run: version.run,
            since: version.at,
            serves,
        })
        .collect()
}
