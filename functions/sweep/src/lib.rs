//! Every minute: moves on what no event moved. Reads the truth of each open wait and each silent run.
//!
//! Indexes only tell where to look; every decision reads the record itself. One that can't be settled
//! never keeps the others from it.

use pushway_core::contract::Failure;
use pushway_core::ids::RunId;
use pushway_core::messages;
use pushway_core::ports::{
    Answer, Callbacks, Clock, Environments, ExecutionView, Heartbeats, Overdue, Plans, ReadBuilds,
    ReadExecutions, ReadLogs, ReadServices, Runs, StartExecutions, StopBuilds, Waits,
};
use pushway_core::run::Status;
use pushway_core::settle::{Settled, finish, load, settle_build, settle_lock, settle_service};
use pushway_core::wait::{Subject, Wait};
use serde::Serialize;
use serde_json::Value;

/// What a sweep has done.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Swept {
    /// Waits that are answered now.
    pub settled: u32,
    /// Waits whose work goes on.
    pub waiting: u32,
    /// Runs whose execution was started or that were closed.
    pub runs: u32,
    /// What could not be looked at; each is logged.
    pub failed: u32,
}

/// Sweeps once. The event that wakes it says nothing.
pub async fn handle<P>(ports: &P, _event: Value) -> Result<Swept, Failure>
where
    P: Runs
        + Plans
        + Environments
        + Waits
        + Overdue
        + ReadBuilds
        + StopBuilds
        + ReadLogs
        + ReadServices
        + Callbacks
        + Heartbeats
        + StartExecutions
        + ReadExecutions
        + Clock,
{
    let mut swept = Swept::default();
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
    Ok(swept)
}

async fn settle<P>(ports: &P, wait: &Wait) -> Answer<Settled>
where
    P: Runs
        + Plans
        + Environments
        + Waits
        + ReadBuilds
        + StopBuilds
        + ReadLogs
        + ReadServices
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
        Subject::Lock { .. } => settle_lock(ports, wait).await?,
    };
    if settled == Settled::Waiting {
        ports.heartbeat(&wait.token).await?;
    }
    Ok(settled)
}

/// Moves on a run from which nothing was heard. Gives whether there was anything to do.
async fn revive<P>(ports: &P, id: RunId) -> Answer<bool>
where
    P: Runs + Environments + Waits + Callbacks + StartExecutions + ReadExecutions + Clock,
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
    P: Runs + Environments + Waits + Callbacks + Clock,
{
    finish(ports, id, Some(messages::execution_lost(reason))).await?;
    tracing::warn!(run_id = %id, reason, "run closed for its lost execution");
    Ok(true)
}
