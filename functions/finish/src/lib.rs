//! State `Finish`: closes the run with the status its facts imply, and gives its locks back.
//!
//! Every path of the state machine ends here. What a `Catch` caught counts only where the run's own facts
//! explain nothing.

use pushway_core::contract::{Done, Failure, FinishInput};
use pushway_core::messages;
use pushway_core::ports::{
    BranchRecords, Callbacks, Clock, Environments, Hooks, Plans, Runs, StopBuilds, Waits,
};
use pushway_core::settle;

/// Closes a run.
pub async fn handle<P>(ports: &P, input: FinishInput) -> Result<Done, Failure>
where
    P: Runs + Plans + Hooks + BranchRecords + Environments + Waits + StopBuilds + Callbacks + Clock,
{
    let broken = input.error.map(|caught| messages::broke(&caught.error, &caught.cause));
    let run = settle::finish(ports, input.run_id, broken).await?;
    tracing::info!(run_id = %run.id, status = %run.status, "run finished");
    if run.status.needs_people() {
        // An alarm of the installation listens for these words.
        tracing::error!(run_id = %run.id, status = %run.status, "people are needed");
    }
    Ok(Done {})
}
