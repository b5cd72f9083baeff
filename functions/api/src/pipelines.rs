//! Pipelines and commits: what there is, what ran last, what is deployed where.

use std::collections::BTreeSet;

use pushway_core::api::{EnvironmentsPage, PipelinesPage};
use pushway_core::claim::PipelineClaim;
use pushway_core::deployments::{self, CommitView, EnvironmentSummary, PipelineSummary, PipelineView};
use pushway_core::environment::EnvironmentRecord;
use pushway_core::ids::{CommitSha, EnvironmentName, PipelineName};
use pushway_core::listing::RunFilter;
use pushway_core::ports::{
    Clock, Environments, Fault, History, ListEnvironments, ListPipelines, PipelineClaims, RunQuery,
    SealingKey,
};
use pushway_core::summary::RunSummary;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::call::Call;
use crate::lists::{self, limit, next, position};
use crate::reply::Problem;

/// Runs that a pipeline's own answer shows.
const SHOWN_RUNS: usize = 10;
/// Environments that are read of one pipeline; a pipeline file may hold 13.
const MAX_ENVIRONMENTS: usize = 100;

/// Which environments to list.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OfPipeline {
    /// Only those of this pipeline.
    pipeline: Option<PipelineName>,
    /// `next` of the page before; the beginning without it.
    cursor: Option<String>,
    /// At most this many; 25 without it.
    #[schemars(range(min = 1, max = 100))]
    limit: Option<usize>,
}

/// `GET /v1/environments`.
pub(crate) async fn environments<P: ListEnvironments + SealingKey>(
    ports: &P,
    call: &Call<'_>,
) -> Result<EnvironmentsPage, Problem> {
    let asked: OfPipeline = call.query()?;
    let list = ("environments", &asked.pipeline);
    let after: Option<(PipelineName, EnvironmentName)> =
        position(ports, &list, asked.cursor.as_deref()).await?;
    let page = ports.environments(asked.pipeline.as_ref(), after.as_ref(), limit(asked.limit)?).await?;
    Ok(EnvironmentsPage {
        environments: page.environments.iter().map(EnvironmentSummary::from).collect(),
        next: next(ports, &list, page.next.as_ref()).await?,
    })
}

/// `GET /v1/pipelines`: each with its newest run.
pub(crate) async fn list<P>(ports: &P, call: &Call<'_>) -> Result<PipelinesPage, Problem>
where
    P: ListPipelines + ListEnvironments + History + SealingKey + Clock,
{
    let asked: lists::From = call.query()?;
    let after: Option<PipelineName> = position(ports, &"pipelines", asked.cursor.as_deref()).await?;
    let page = ports.pipelines(after.as_ref(), limit(asked.limit)?).await?;
    let mut pipelines = Vec::with_capacity(page.pipelines.len());
    for claim in page.pipelines {
        let PipelineClaim { pipeline, provider, repository, .. } = claim;
        pipelines.push(PipelineSummary {
            last_run: newest(ports, &pipeline, 1).await?.pop(),
            environments: ports.environment_names(&pipeline).await?,
            name: pipeline,
            provider,
            repository,
        });
    }
    Ok(PipelinesPage { pipelines, next: next(ports, &"pipelines", page.next.as_ref()).await? })
}

/// `GET /v1/pipelines/{pipeline}`.
pub(crate) async fn show<P>(ports: &P, call: &Call<'_>) -> Result<PipelineView, Problem>
where
    P: PipelineClaims + ListEnvironments + History + Clock,
{
    let name = call.text("pipeline");
    let absent = || Problem::NotFound(format!("there is no pipeline {name:?}; GET /v1/pipelines lists them"));
    let pipeline: PipelineName = name.parse().map_err(|_| absent())?;
    let claim = ports.pipeline_claim(&pipeline).await?.ok_or_else(absent)?;
    let page = ports.environments(Some(&pipeline), None, MAX_ENVIRONMENTS).await?;
    Ok(PipelineView {
        runs: newest(ports, &pipeline, SHOWN_RUNS).await?,
        environments: page.environments.iter().map(EnvironmentSummary::from).collect(),
        name: pipeline,
        provider: claim.provider,
        repository: claim.repository,
    })
}

/// `GET /v1/commits/{commit}`: its runs, where it serves, and what took its place where it does no more.
pub(crate) async fn commit<P>(ports: &P, call: &Call<'_>) -> Result<CommitView, Problem>
where
    P: History + ListEnvironments + Environments,
{
    let commit: CommitSha = call.parsed("commit")?;
    let runs = ports.of_commit(&commit).await?;
    if runs.is_empty() {
        return Err(Problem::NotFound(format!(
            "no run of commit {commit} is recorded; `pushway explain --commit {commit}` says why it may not have run"
        )));
    }
    let records = records(ports, &runs).await?;
    Ok(CommitView { deployments: deployments::of_commit(&records, &commit), commit, runs })
}

/// The records of the environments that runs may have deployed to: those of their pipelines.
pub(crate) async fn records<P: ListEnvironments + Environments>(
    ports: &P,
    runs: &[RunSummary],
) -> Result<Vec<EnvironmentRecord>, Fault> {
    let mut records = Vec::new();
    let pipelines: BTreeSet<&PipelineName> = runs.iter().filter_map(|run| run.pipeline.as_ref()).collect();
    for pipeline in pipelines {
        let listed = ports.environments(Some(pipeline), None, MAX_ENVIRONMENTS).await?.environments;
        // What an older version wrote last is in no list, but its runs name it.
        let own = runs.iter().filter(|run| run.pipeline.as_ref() == Some(pipeline));
        let named = own.flat_map(|run| run.environments.iter().flatten()).map(|brief| &brief.name);
        let unlisted: BTreeSet<&EnvironmentName> =
            named.filter(|name| listed.iter().all(|record| record.name != **name)).collect();
        records.extend(listed);
        for name in unlisted {
            records.push(ports.environment(pipeline, name).await?);
        }
    }
    Ok(records)
}

/// A pipeline's newest runs.
pub(crate) async fn newest<P: History + Clock>(
    ports: &P,
    pipeline: &PipelineName,
    limit: usize,
) -> Result<Vec<RunSummary>, Fault> {
    let filter = RunFilter { pipeline: Some(pipeline.clone()), ..RunFilter::default() };
    let query = RunQuery { filter, ..RunQuery::newest(limit, ports.now()) };
    Ok(ports.list(&query).await?.runs)
}
