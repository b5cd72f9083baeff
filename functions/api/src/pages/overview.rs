//! The overview: what waits, what runs, which pipelines there are and what they have brought where.

use futures_util::future::try_join_all;
use pushway_core::environment::EnvironmentRecord;
use pushway_core::ids::PipelineName;
use pushway_core::listing::RunFilter;
use pushway_core::ports::{
    Clock, Environments, Fault, History, ListEnvironments, ListPipelines, Overdue, ReadRuns, RunQuery,
    SealingKey,
};
use pushway_core::summary::RunSummary;
use pushway_dashboard::{OverviewPage, PipelineLine};

use super::{Look, fill};
use crate::call::parsed;
use crate::lists::{next, position};
use crate::pipelines::newest;
use crate::reply::Problem;

/// Runs on a page.
const SHOWN: usize = 25;
/// Pipelines that are shown; each takes a few reads.
const PIPELINES: usize = 24;
/// Environments of a pipeline that are shown: twice as many as a pipeline file may hold.
const ENVIRONMENTS: usize = 26;
/// Runs of a pipeline that its line draws.
const DRAWN: usize = 12;

pub(super) async fn page<P>(ports: &P, look: &mut Look<'_>) -> Result<String, Problem>
where
    P: ReadRuns + History + ListPipelines + ListEnvironments + Environments + Overdue + SealingKey + Clock,
{
    let waiting = fill::waiting(ports).await?;
    look.frame.waiting = waiting.len();
    let running = ports.running().await?;
    let (pipelines, more) = pipelines(ports, &look.query.after).await?;
    let (runs, next) = listed(ports, look).await?;
    let page = OverviewPage {
        frame: &look.frame,
        waiting: &waiting,
        running: &running,
        pipelines: &pipelines,
        runs: &runs,
        more: more.as_ref(),
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

/// Pipelines by name, those behind `after`, and the last one if there are more.
async fn pipelines<P>(ports: &P, after: &str) -> Result<(Vec<PipelineLine>, Option<PipelineName>), Fault>
where
    P: History + ListPipelines + ListEnvironments + Clock,
{
    // What is no name is somebody's bookmark.
    let page = ports.pipelines(after.parse().ok().as_ref(), PIPELINES).await?;
    let lines = page.pipelines.into_iter().map(async |claim| {
        let recent = newest(ports, &claim.pipeline, DRAWN).await?;
        let page = ports.environments(Some(&claim.pipeline), None, ENVIRONMENTS).await?;
        let environments = in_order(page.environments, &recent);
        Ok(PipelineLine { name: claim.pipeline, repository: claim.repository, recent, environments })
    });
    Ok((try_join_all(lines).await?, page.next))
}

/// Environments in the order in which the newest plan deploys to them; what it knows no more comes last.
fn in_order(mut environments: Vec<EnvironmentRecord>, recent: &[RunSummary]) -> Vec<EnvironmentRecord> {
    let planned = recent.iter().find_map(|run| run.environments.as_deref().filter(|all| !all.is_empty()));
    let place = |record: &EnvironmentRecord| planned?.iter().position(|brief| brief.name == record.name);
    environments.sort_by_key(|record| place(record).unwrap_or(usize::MAX));
    environments
}
