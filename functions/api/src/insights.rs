//! Time and money: a run's ledger, how pipelines deliver, and badges.

use std::collections::BTreeSet;

use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY};
use http::{HeaderValue, StatusCode};
use jiff::SignedDuration;
use pushway_core::badge;
use pushway_core::ids::{EnvironmentName, PipelineName, RunId};
use pushway_core::insights::{Answer, Insights, MAX_DAYS, Question, REACH, insights};
use pushway_core::ledger::RunLedger;
use pushway_core::listing::RunFilter;
use pushway_core::ports::{
    Answer as Read, Clock, FiguresQuery, History, Hooks, InsightSettings, ListPipelines, Plans, ReadRuns,
    RunFigures, RunQuery,
};
use pushway_core::run::Status;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Deserialize;

use crate::call::Call;
use crate::operations::{Operation, Verb, get};
use crate::pipelines::newest;
use crate::reply::{Problem, Reply};
use crate::runs;

/// Days of a span, unless asked otherwise.
const DEFAULT_DAYS: u16 = 30;
/// Runs that an answer looks through, of each pipeline.
const MOST_RUNS: usize = 1_000;
/// Runs that are looked through for the pipelines that ran lately, or of a branch for its badge: a page of a list.
const LOOKED_THROUGH: usize = 100;
/// Pipelines that are told of at once.
const MOST_PIPELINES: usize = 10;
/// The branch of a badge where nobody says which one is the default.
const USUAL_BRANCH: &str = "main";

/// The kind of a badge.
const SVG: &str = "image/svg+xml";

/// What can be asked here.
pub(crate) fn operations() -> Vec<Operation> {
    let picture = |_: &mut SchemaGenerator| -> Schema { schemars::json_schema!({ "type": "string" }) };
    vec![
        get(
            Verb::Ledger,
            "getLedger",
            "/v1/runs/{run}/ledger",
            "Where a run's time went, without gap or overlap, and what it cost",
        )
        .gives::<RunLedger>(),
        get(Verb::Insights, "getInsights", "/v1/insights", "How pipelines deliver, by the measures of the DORA programme")
            .asks::<Ask>()
            .gives::<Answer>(),
        Operation {
            answer: picture,
            content_type: SVG,
            ..get(
                Verb::Badge,
                "getBadge",
                "/badge/{badge}",
                "How the last finished run of a branch ended, as a picture; for anyone where the installation says so",
            )
        }
        .asks::<OfBranch>(),
    ]
}

/// Of what to tell how it delivers.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ask {
    /// Only this pipeline; without it ten at most, those first that ran lately.
    pipeline: Option<PipelineName>,
    /// Only this environment.
    environment: Option<EnvironmentName>,
    /// Of the last so many days; 30 without it.
    #[schemars(range(min = 1, max = 366))]
    days: Option<u16>,
}

/// Which runs a badge is about.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OfBranch {
    /// Those of this branch; without it, of the repository's default branch.
    branch: Option<String>,
}

/// `GET /v1/runs/{run}/ledger`.
pub(crate) async fn ledger<P>(ports: &P, call: &Call<'_>) -> Result<RunLedger, Problem>
where
    P: ReadRuns + History + Plans + InsightSettings,
{
    let run = runs::asked(ports, call).await?;
    let (journal, plan) = (ports.journal(run.id).await?, ports.plan(run.id).await?);
    Ok(RunLedger::of(&run, &journal, plan.as_ref(), ports.prices()))
}

/// `GET /v1/insights`.
pub(crate) async fn show<P>(ports: &P, call: &Call<'_>) -> Result<Answer, Problem>
where
    P: History + ListPipelines + RunFigures + InsightSettings + Clock,
{
    let Ask { pipeline, environment, days } = call.query()?;
    let days = days.unwrap_or(DEFAULT_DAYS);
    if !(1..=MAX_DAYS).contains(&days) {
        return Err(Problem::BadRequest(format!("days {days} is not a number from 1 to {MAX_DAYS}")));
    }
    let names = match pipeline {
        Some(pipeline) => [pipeline].into(),
        None => latest(ports).await?,
    };
    let mut pipelines = Vec::new();
    for pipeline in names {
        pipelines.push(of_pipeline(ports, &pipeline, environment.as_ref(), days).await?);
    }
    Ok(Answer { pipelines })
}

pub(crate) async fn of_pipeline<P>(
    ports: &P,
    pipeline: &PipelineName,
    environment: Option<&EnvironmentName>,
    days: u16,
) -> Read<Insights>
where
    P: RunFigures + InsightSettings + Clock,
{
    let now = ports.now();
    let since = now - SignedDuration::from_hours(i64::from(days) * 24) - REACH;
    let query = FiguresQuery { pipeline: pipeline.clone(), since, until: now, limit: MOST_RUNS };
    let page = ports.figures(&query).await?;
    let question = Question { pipeline, environment, days, now, prices: ports.prices() };
    Ok(insights(&question, &page.figures, page.is_cut))
}

/// The pipelines that ran last, as far as a page of the history tells, and others where there is room for them.
async fn latest<P: History + ListPipelines + Clock>(ports: &P) -> Read<BTreeSet<PipelineName>> {
    let query = RunQuery::newest(LOOKED_THROUGH, ports.now());
    let mut names = BTreeSet::new();
    for run in ports.list(&query).await?.runs {
        if names.len() < MOST_PIPELINES {
            names.extend(run.pipeline);
        }
    }
    if names.len() < MOST_PIPELINES {
        let quiet = ports.pipelines(None, 2 * MOST_PIPELINES).await?.pipelines;
        let quiet: Vec<_> =
            quiet.into_iter().map(|claim| claim.pipeline).filter(|name| !names.contains(name)).collect();
        names.extend(quiet.into_iter().take(MOST_PIPELINES - names.len()));
    }
    Ok(names)
}

/// `GET /badge/{badge}`: the status of the last finished run of a branch. A pipeline that is not there looks like one
/// of which nothing is known, and its picture is answered with 200: pages show nothing in place of a picture that
/// is answered with 404.
pub(crate) async fn badge<P>(ports: &P, call: &Call<'_>) -> Result<Reply, Problem>
where
    P: ReadRuns + History + Hooks + Clock,
{
    let OfBranch { branch } = call.query()?;
    let file = call.text("badge");
    let Some(name) = file.strip_suffix(".svg") else {
        return Err(Problem::NotFound(format!("there is no badge {file:?}; ask for <pipeline>.svg")));
    };
    let status = match name.parse() {
        Ok(pipeline) => last_status(ports, pipeline, branch).await?,
        Err(_) => None,
    };
    let policy = HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'; sandbox");
    Ok(Reply::of(StatusCode::OK, SVG, badge::svg(name, status))
        .and(CACHE_CONTROL, HeaderValue::from_static("max-age=60"))
        .and(CONTENT_SECURITY_POLICY, policy))
}

async fn last_status<P>(ports: &P, pipeline: PipelineName, branch: Option<String>) -> Read<Option<Status>>
where
    P: ReadRuns + History + Hooks + Clock,
{
    let branch = match branch {
        Some(branch) => branch,
        None => match newest(ports, &pipeline, 1).await?.first() {
            Some(newest) => default_branch(ports, newest.id).await?,
            None => return Ok(None),
        },
    };
    // A name that can't be a branch's is one of which nothing is known.
    let Ok(git_ref) = format!("refs/heads/{branch}").parse() else { return Ok(None) };
    let filter = RunFilter { pipeline: Some(pipeline), git_ref: Some(git_ref), ..RunFilter::default() };
    let query = RunQuery { filter, ..RunQuery::newest(LOOKED_THROUGH, ports.now()) };
    // A newer push took its place: what it would have come to is not known.
    let counts = |status: Status| status.is_terminal() && status != Status::Superseded;
    Ok(ports.list(&query).await?.runs.iter().map(|run| run.status).find(|status| counts(*status)))
}

/// The default branch of a run's repository, as its hook knows it.
async fn default_branch<P: ReadRuns + Hooks>(ports: &P, run: RunId) -> Read<String> {
    let usual = || USUAL_BRANCH.to_owned();
    let Some(run) = ports.load(run).await? else { return Ok(usual()) };
    let hook = ports.hook(run.source.provider, run.source.hook.as_str()).await?;
    Ok(hook.and_then(|hook| hook.default_branch).unwrap_or_else(usual))
}
