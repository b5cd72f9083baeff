//! Every minute: moves on what no event moved. Reads the truth of each open wait and each silent run,
//! starts what is due, compares heads with runs, tells what could not be told.
//!
//! Indexes only tell where to look; every decision reads the record itself. One that can't be settled
//! never keeps the others from it.

use pushway_core::contract::Failure;
use pushway_core::ids::{HookId, RunId};
use pushway_core::messages;
use pushway_core::ports::{
    Announcements, Answer, BranchRecords, Callbacks, Clock, CommitStatuses, Deliveries, Environments,
    ExecutionView, Fault, Heads, Heartbeats, History, Hooks, ListBranches, Notices, Overdue, Plans, Random,
    ReadAlarms, ReadArtifacts, ReadBuilds, ReadExecutions, ReadImages, ReadLogs, ReadMetrics, ReadSchedules,
    ReadServices, ReadTargetHealth, ReadTasks, Reconciliations, RunFigures, Runs, StartExecutions,
    StopBuilds, SubscriptionRecords, TestCases, Waits, Webhooks,
};
use pushway_core::run::Status;
use pushway_core::settle::{
    Settled, catch_up, finish, load, reconcile, settle_approval, settle_build, settle_lock, settle_needs,
    settle_service, settle_task, settle_turn, settle_watch, start_due, tell,
};
use pushway_core::wait::{Subject, Wait};
use serde::Serialize;
use serde_json::Value;

/// How many hooks one sweep reconciles: the next sweep goes on with those that are longest overdue.
const MAX_HOOKS: usize = 50;
/// How long it may spend on what nobody was told of.
const CATCH_UP_BUDGET: jiff::SignedDuration = jiff::SignedDuration::from_secs(60);
/// How long one sweep may spend on hooks: two of its periods, far from the function's timeout.
const HOOKS_BUDGET: jiff::SignedDuration = jiff::SignedDuration::from_secs(120);

/// What a sweep has done.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Swept {
    /// Waits that are answered now.
    pub settled: u32,
    /// Waits whose work goes on.
    pub waiting: u32,
    /// Runs whose execution was started or that were closed.
    pub runs: u32,
    /// Runs that were started because a schedule was due or no delivery had told of a push.
    pub started: u32,
    /// Runs of which something was told that was not told before.
    pub told: u32,
    /// What could not be looked at; each is logged.
    pub failed: u32,
}

/// Sweeps once. The event that wakes it says nothing; `pages` is where runs have their pages.
pub async fn handle<P>(ports: &P, pages: Option<&str>, _event: Value) -> Result<Swept, Failure>
where
    P: Runs
        + Plans
        + Hooks
        + BranchRecords
        + Environments
        + Waits
        + Overdue
        + ReadBuilds
        + StopBuilds
        + ReadLogs
        + ReadArtifacts
        + ReadImages
        + TestCases
        + ReadServices
        + ReadTasks
        + ReadAlarms
        + ReadMetrics
        + ReadTargetHealth
        + ReadSchedules
        + Callbacks
        + Heartbeats
        + StartExecutions
        + ReadExecutions
        + Reconciliations
        + SubscriptionRecords
        + Deliveries
        + Heads
        + ListBranches
        + Webhooks
        + Notices
        + CommitStatuses
        + Announcements
        + History
        + RunFigures
        + Clock
        + Random,
{
    let (mut swept, began) = (Swept::default(), ports.now());
    for wait in ports.waits(ports.now()).await? {
        match settle(ports, &wait).await {
            Ok(Settled::Done) => swept.settled += 1,
            Ok(Settled::Waiting) => swept.waiting += 1,
            Err(fault) => {
                swept.failed += 1;
                tracing::error!(run_id = %wait.run, subject = ?wait.subject, error = %fault, "wait not settled");
            }
        }
    }
    for run in ports.silent_runs(ports.now()).await? {
        match revive(ports, run).await {
            Ok(moved) => swept.runs += u32::from(moved),
            Err(fault) => {
                swept.failed += 1;
                tracing::error!(run_id = %run, error = %fault, "run not moved on");
            }
        }
    }
    for hook in ports.due_schedules(ports.now()).await? {
        swept.count(&hook.id, "schedule not started", start_due(ports, &hook).await);
    }
    for run in ports.due_notices(ports.now()).await? {
        match tell(ports, run, pages).await {
            Ok(()) => swept.told += 1,
            Err(fault) => {
                swept.failed += 1;
                tracing::error!(run_id = %run, error = %fault, "run not told of");
            }
        }
    }
    // Last, and within a budget: a forge that does not answer must keep nothing else waiting.
    let until = ports.now() + HOOKS_BUDGET;
    for hook in ports.due_hooks(ports.now()).await?.into_iter().take(MAX_HOOKS) {
        if ports.now() > until {
            break;
        }
        swept.count(&hook.id, "hook not reconciled", reconcile(ports, &hook).await);
    }
    swept.note(catch_up(ports, pages, (began, ports.now() + CATCH_UP_BUDGET)).await);
    Ok(swept)
}

impl Swept {
    /// Notes what could not be caught up with.
    fn note(&mut self, caught_up: Answer<Vec<(RunId, Fault)>>) {
        let troubles = match caught_up {
            Ok(troubles) => troubles.into_iter().map(|(run, fault)| (Some(run), fault)).collect(),
            Err(fault) => vec![(None, fault)],
        };
        for (run, fault) in troubles {
            self.failed += 1;
            tracing::error!(run_id = run.map(tracing::field::display), error = %fault, "ended run not caught up with");
        }
    }

    fn count(&mut self, hook: &HookId, trouble: &'static str, started: Answer<u32>) {
        match started {
            Ok(started) => self.started += started,
            Err(fault) => {
                self.failed += 1;
                tracing::error!(hook = %hook, error = %fault, "{trouble}");
            }
        }
    }
}

async fn settle<P>(ports: &P, wait: &Wait) -> Answer<Settled>
where
    P: Runs
        + Plans
        + Hooks
        + BranchRecords
        + Environments
        + Waits
        + ReadBuilds
        + StopBuilds
        + ReadLogs
        + ReadArtifacts
        + ReadImages
        + TestCases
        + ReadServices
        + ReadTasks
        + ReadAlarms
        + ReadMetrics
        + ReadTargetHealth
        + ReadSchedules
        + Callbacks
        + Heartbeats
        + Clock,
{
    if load(ports, wait.run).await?.status.is_terminal() {
        // Nobody waits for a run that is over; a build it left behind must not go on costing money.
        if let Subject::Build(build) = &wait.subject {
            ports.stop_build(build).await?;
        }
        ports.close(wait).await?;
        return Ok(Settled::Done);
    }
    let settled = match &wait.subject {
        Subject::Build(_) => settle_build(ports, wait).await?,
        Subject::Service(_) => settle_service(ports, wait).await?,
        Subject::Task(_) => settle_task(ports, wait).await?,
        Subject::Lock { .. } => settle_lock(ports, wait).await?,
        Subject::Approval { .. } => settle_approval(ports, wait).await?,
        Subject::Turn(_) => settle_turn(ports, wait).await?,
        Subject::Watch { .. } => settle_watch(ports, wait).await?,
        Subject::Needs { .. } => settle_needs(ports, wait).await?,
    };
    if settled == Settled::Waiting {
        ports.heartbeat(&wait.token).await?;
    }
    Ok(settled)
}

/// Moves on a run from which nothing was heard. Gives whether there was anything to do.
async fn revive<P>(ports: &P, id: RunId) -> Answer<bool>
where
    P: Runs
        + Plans
        + Hooks
        + BranchRecords
        + Environments
        + Waits
        + StopBuilds
        + Callbacks
        + StartExecutions
        + ReadExecutions
        + Clock,
{
    let run = load(ports, id).await?;
    if run.status.is_terminal() {
        return Ok(false);
    }
    match ports.execution(id).await? {
        ExecutionView::Running => Ok(false),
        ExecutionView::Absent if run.status == Status::Pending => {
            ports.start_execution(id).await?;
            tracing::warn!(run_id = %id, "execution started late");
            Ok(true)
        }
        ExecutionView::Absent => close(ports, id, "there is none of its name").await,
        ExecutionView::Closed { reason, .. } => close(ports, id, &reason).await,
    }
}

async fn close<P>(ports: &P, id: RunId, reason: &str) -> Answer<bool>
where
    P: Runs + Plans + Hooks + BranchRecords + Environments + Waits + StopBuilds + Callbacks + Clock,
{
    let run = finish(ports, id, Some(messages::execution_lost(reason))).await?;
    if run.status.needs_people() {
        // An alarm of the installation listens for these words.
        tracing::error!(run_id = %run.id, status = %run.status, "people are needed");
    }
    tracing::warn!(run_id = %id, reason, "run closed for its lost execution");
    Ok(true)
}
