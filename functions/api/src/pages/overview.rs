//! The overview: what waits, what runs, which pipelines there are and what they have brought where.

use pushway_core::environment::EnvironmentRecord;
use pushway_core::ids::CommitSha;
use pushway_core::listing::RunFilter;
use pushway_core::ports::{
    Clock, Fault, History, ListEnvironments, ListPipelines, Overdue, ReadRuns, RunQuery, SealingKey,
};
use pushway_core::summary::RunSummary;
use pushway_dashboard::{Deployment, OverviewPage, PipelineLine};

use super::{Look, fill};
use crate::call::parsed;
use crate::lists::{next, position};
use crate::pipelines::newest;
use crate::reply::Problem;

/// Runs on a page.
const SHOWN: usize = 25;
/// Runs that are looked through for what runs now.
const LATEST: usize = 100;
/// Pipelines that are shown; each takes a few reads.
const PIPELINES: usize = 24;
/// Environments of a pipeline that are shown.
const ENVIRONMENTS: usize = 13;
/// Runs of a pipeline that its line draws.
const DRAWN: usize = 12;

pub(super) async fn page<P>(ports: &P, look: &mut Look<'_>) -> Result<String, Problem>
where
    P: ReadRuns + History + ListPipelines + ListEnvironments + Overdue + SealingKey + Clock,
{
    let waiting = fill::waiting(ports).await?;
    look.frame.waiting = waiting.len();
    let latest = ports.list(&RunQuery::newest(LATEST, ports.now())).await?.runs;
    let running: Vec<RunSummary> = latest.into_iter().filter(|run| !run.status.is_terminal()).collect();
    let pipelines = pipelines(ports).await?;
    let (runs, next) = listed(ports, look).await?;
    let page = OverviewPage {
        frame: &look.frame,
        waiting: &waiting,
        running: &running,
        pipelines: &pipelines,
        runs: &runs,
        filter: &shown(look),
        next: next.as_deref(),
    };
    look.show(&page, &page.as_main())
}

/// The filter as its form shows it.
fn shown(look: &Look<'_>) -> pushway_dashboard::RunFilter {
    let query = &look.query;
    pushway_dashboard::RunFilter {
        pipeline: query.pipeline.clone(),
        branch: query.branch.clone(),
        status: query.status.clone(),
        author: query.author.clone(),
    }
}

/// A page of the runs that the filter lets through, and where the next one begins.
async fn listed<P: History + SealingKey + Clock>(
    ports: &P,
    look: &Look<'_>,
) -> Result<(Vec<RunSummary>, Option<String>), Problem> {
    let query = &look.query;
    let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let filter = RunFilter {
        pipeline: given(&query.pipeline).map(|text| parsed(&text)).transpose()?,
        git_ref: given(&query.branch)
            .map(|text| RunFilter::branch(&text))
            .transpose()
            .map_err(|error| Problem::BadRequest(error.to_string()))?,
        status: given(&query.status).map(|text| parsed(&text)).transpose()?,
        author: given(&query.author),
        ..RunFilter::default()
    };
    let before = position(ports, &("page", &filter), given(&query.cursor).as_deref()).await?;
    let query = RunQuery { filter, before, limit: SHOWN, now: ports.now() };
    let page = ports.list(&query).await?;
    let next = next(ports, &("page", &query.filter), page.next.as_ref()).await?;
    Ok((page.runs, next))
}

async fn pipelines<P>(ports: &P) -> Result<Vec<PipelineLine>, Fault>
where
    P: History + ListPipelines + ListEnvironments + Clock,
{
    let mut lines = Vec::new();
    for claim in ports.pipelines(None, PIPELINES).await?.pipelines {
        let recent = newest(ports, &claim.pipeline, DRAWN).await?;
        let environments = ports.environments(Some(&claim.pipeline), None, ENVIRONMENTS).await?.environments;
        lines.push(PipelineLine { name: claim.pipeline, repository: claim.repository, recent, environments });
    }
    Ok(lines)
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
