//! What each page is filled with.

use std::collections::BTreeMap;

use pushway_core::api::JobLog;
use pushway_core::check_builds;
use pushway_core::deployments;
use pushway_core::environment::EnvironmentRecord;
use pushway_core::ids::{CommitSha, RunId};
use pushway_core::ledger::RunLedger;
use pushway_core::ports::{
    Clock, Environments, History, Hooks, InsightSettings, ListEnvironments, Overdue, Plans, ReadBuilds,
    ReadLogs, ReadRuns, ReadTestCases, SealingKey,
};
use pushway_core::protection::Approvers;
use pushway_core::summary::RunSummary;
use pushway_core::views::LogPage;
use pushway_dashboard::{
    ApprovalPage, ApprovalsPage, CommitPage, EnvironmentPage, JobLogPage, RollbackPage, RunPage, Waiting,
};

use super::{Look, Page, Readers, insights, overview};
use crate::call::parsed;
use crate::pipelines::{newest, records};
use crate::reply::Problem;
use crate::{approvals, pauses, runs, test_cases};

/// Runs of a pipeline that are looked through for what an environment's page shows of them.
const LATEST: usize = 100;

/// Renders the page that is looked at.
pub(super) async fn page<P: Readers>(ports: &P, look: &mut Look<'_>) -> Result<String, Problem> {
    match look.page {
        Page::Overview => overview::page(ports, look).await,
        Page::Approvals => all_approvals(ports, look).await,
        Page::Run => run(ports, look).await,
        Page::Log => log(ports, look).await,
        Page::Approval => approval(ports, look).await,
        Page::Environment => environment(ports, look).await,
        Page::Rollback => rollback(ports, look).await,
        Page::Commit => commit(ports, look).await,
        Page::Insights => insights::page(ports, look).await,
        // `pages::answer` has answered these.
        Page::SignIn | Page::Issuer | Page::Callback => {
            Err(Problem::NotFound("there is no such page".into()))
        }
    }
}

/// What waits for people, deploys before they begin first.
pub(super) async fn waiting<P: ReadRuns + Environments + Overdue + Clock>(
    ports: &P,
) -> Result<Vec<Waiting>, Problem> {
    let open = approvals::list(ports).await?;
    let mut waiting: Vec<Waiting> = open.approvals.into_iter().map(Waiting::from).collect();
    waiting.extend(open.pauses.into_iter().map(Waiting::from));
    waiting.sort_by_key(|one| one.since);
    Ok(waiting)
}

async fn all_approvals<P>(ports: &P, look: &mut Look<'_>) -> Result<String, Problem>
where
    P: ReadRuns + Environments + Overdue + Clock,
{
    let waiting = waiting(ports).await?;
    look.frame.waiting = waiting.len();
    let page = ApprovalsPage { frame: &look.frame, waiting: &waiting };
    look.show(&page, &page.as_main())
}

/// Six reads, whatever the run: the session, the run, its journal, its plan (which reads the run again) and its hook;
/// and one for each job whose tests are shown, and for an environment that is paused.
async fn run<P>(ports: &P, look: &Look<'_>) -> Result<String, Problem>
where
    P: ReadRuns + Environments + History + Plans + Hooks + ReadTestCases + InsightSettings,
{
    let run = runs::find(ports, look.text("run")).await?;
    let (journal, plan) = (ports.journal(run.id).await?, ports.plan(run.id).await?);
    let checks = plan.as_ref().map(|plan| check_builds::of(&run, plan)).transpose()?.unwrap_or_default();
    let paused = run.environments.iter().find(|state| state.paused().is_some());
    let may_continue = match paused.filter(|_| !run.status.is_terminal()) {
        Some(state) => pauses::approvers(ports, &run, &state.name).await?,
        None => Approvers::ANYONE,
    };
    let page = RunPage {
        frame: &look.frame,
        run: &run,
        journal: &journal,
        forge: &runs::at_forge(ports, &run.source).await?,
        ledger: &RunLedger::so_far(look.frame.now, &run, &journal, plan.as_ref(), ports.prices()),
        tests: &test_cases::shown(ports, &run).await?,
        checks: &checks,
        may_continue: &may_continue,
    };
    look.show(&page, &page.as_main())
}

async fn log<P>(ports: &P, look: &Look<'_>) -> Result<String, Problem>
where
    P: ReadRuns + Plans + ReadBuilds + ReadLogs + SealingKey,
{
    let run = runs::find(ports, look.text("run")).await?;
    let job = &runs::job(ports, &run, (look.text("stage"), look.text("job"))).await?;
    let cursor = Some(look.query.cursor.as_str()).filter(|cursor| !cursor.is_empty());
    let JobLog { lines, next, over: is_over } = runs::log_of(ports, &run, job, cursor).await?;
    let log = LogPage { lines, next };
    let from = look.query.from.unwrap_or(1);
    let page = JobLogPage { frame: &look.frame, run: &run, job, log: &log, from, cursor, is_over };
    if look.query.part == "lines" {
        return look.show(&page, &page.as_lines());
    }
    look.show(&page, &page.as_main())
}

async fn approval<P: ReadRuns>(ports: &P, look: &Look<'_>) -> Result<String, Problem> {
    let (run, name) = (runs::find(ports, look.text("run")).await?, look.text("environment"));
    let state = run.environments.iter().find(|state| state.name.as_str() == name);
    let asked = state.and_then(|state| Some((&state.name, state.approval.as_ref()?)));
    let (environment, approval) = asked.ok_or_else(|| {
        Problem::NotFound(format!("run {} asks for no approval of {name:?}; see what waits for one", run.id))
    })?;
    let page = ApprovalPage { frame: &look.frame, run: &run, environment, approval };
    look.show(&page, &page.as_main())
}

async fn known<P: Environments>(ports: &P, look: &Look<'_>) -> Result<EnvironmentRecord, Problem> {
    let (pipeline, name) = (look.text("pipeline"), look.text("environment"));
    let absent =
        || Problem::NotFound(format!("nothing was ever deployed to {name:?} of the pipeline {pipeline:?}"));
    let (Ok(pipeline), Ok(name)) = (pipeline.parse(), name.parse()) else { return Err(absent()) };
    let record = ports.environment(&pipeline, &name).await?;
    if record.version == 0 { Err(absent()) } else { Ok(record) }
}

/// The latest runs of an environment's pipeline: one read tells most messages and authors that its page shows.
async fn latest<P: History + Clock>(
    ports: &P,
    record: &EnvironmentRecord,
) -> Result<BTreeMap<RunId, RunSummary>, Problem> {
    let runs = newest(ports, &record.pipeline, LATEST).await?;
    Ok(runs.into_iter().map(|run| (run.id, run)).collect())
}

async fn environment<P>(ports: &P, look: &Look<'_>) -> Result<String, Problem>
where
    P: Environments + History + Clock,
{
    let record = known(ports, look).await?;
    let runs = latest(ports, &record).await?;
    let page = EnvironmentPage { frame: &look.frame, record: &record, runs: &runs };
    look.show(&page, &page.as_main())
}

async fn rollback<P>(ports: &P, look: &Look<'_>) -> Result<String, Problem>
where
    P: Environments + History + Clock,
{
    let record = known(ports, look).await?;
    let to: Option<RunId> = if look.query.to.is_empty() { None } else { Some(parsed(&look.query.to)?) };
    // That it goes over what can't be undone is what the page is there to ask about.
    let wanted = record.way_back(to, true).map_err(Problem::Conflict)?;
    let irreversible = record.irreversible_over(wanted.run);
    let runs = latest(ports, &record).await?;
    let message = runs.get(&wanted.run).map(|run| run.message.as_str()).unwrap_or_default();
    let page = RollbackPage {
        frame: &look.frame,
        record: &record,
        to: wanted,
        message,
        irreversible: &irreversible,
    };
    look.show(&page, &page.as_main())
}

async fn commit<P>(ports: &P, look: &Look<'_>) -> Result<String, Problem>
where
    P: ReadRuns + Hooks + History + ListEnvironments + Environments,
{
    let commit: CommitSha = parsed(look.text("commit"))?;
    let runs = ports.of_commit(&commit).await?;
    let deployments = deployments::of_commit(&records(ports, &runs).await?, &commit);
    // A summary does not tell of its hook; the newest run does.
    let forge = match runs.first() {
        Some(newest) => match ports.load(newest.id).await? {
            Some(run) => runs::at_forge(ports, &run.source).await?.commit,
            None => None,
        },
        None => None,
    };
    let page = CommitPage {
        frame: &look.frame,
        commit: &commit,
        runs: &runs,
        deployments: &deployments,
        forge: forge.as_deref(),
    };
    look.show(&page, &page.as_main())
}
