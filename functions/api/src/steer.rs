//! What people do to a run as a whole: stop it, retry it.

use http::StatusCode;
use pushway_core::api::Reasoned;
use pushway_core::intake::{Taken, take_retry};
use pushway_core::messages;
use pushway_core::ports::{
    Callbacks, Clock, Deliveries, DeliveryOutcome, Environments, Plans, Random, ReadRuns, Runs,
    StartExecutions, StopBuilds, Waits,
};
use pushway_core::run::{KeptEnvironment, Run, Status, Stop};
use pushway_core::settle;
use pushway_core::source::{Retry, RetryFrom};
use pushway_core::steering::{RetryAnswer, RetryOrder, StopAnswer, follows, lost, refusal};

use crate::call::Call;
use crate::reply::{Problem, Reply, words};
use crate::runs;

/// `POST /v1/runs/{run}/stop`: nothing of the run begins any more, and a deploy under way goes back.
pub(crate) async fn stop<P>(ports: &P, call: &Call<'_>) -> Result<Reply, Problem>
where
    P: Runs + Plans + Waits + StopBuilds + Callbacks + Clock,
{
    let Reasoned { reason } = call.order()?;
    let wish = Stop { by: call.by(), reason: words(&reason)? };
    let run = runs::asked(ports, call).await?;
    let run =
        settle::stop(ports, run.id, wish).await?.map_err(|run| Problem::Conflict(nothing_left(&run)))?;
    let Some(stop) = run.stop.clone() else {
        return Err(Problem::Conflict(nothing_left(&run)));
    };
    tracing::info!(run_id = %run.id, status = %run.status, by = stop.by, "run stopped");
    let plan = ports.plan(run.id).await?;
    let (over, follows) = (run.status.is_terminal(), follows(&run, plan.as_ref()));
    let answer = StopAnswer { run_id: run.id, status: run.status, over, stop, follows };
    let status = if over { StatusCode::OK } else { StatusCode::ACCEPTED };
    Reply::with(status, &answer)
}

fn nothing_left(run: &Run) -> String {
    if run.status.is_terminal() { messages::over_already(run) } else { messages::done_already(run) }
}

/// `POST /v1/runs/{run}/retry`: a new run of the same push; the old one stays as it is.
pub(crate) async fn retry<P>(ports: &P, call: &Call<'_>) -> Result<Reply, Problem>
where
    P: ReadRuns + Environments + Deliveries + StartExecutions + Clock + Random,
{
    let RetryOrder { from } = call.order()?;
    let then = runs::asked(ports, call).await?;
    if let Some(why) = refusal(&then, from) {
        return Err(Problem::Conflict(why));
    }
    let kept = match from {
        RetryFrom::Failed => then.leaves_behind().1,
        RetryFrom::Start => Vec::new(),
    };
    let notes = look(ports, &then, &kept).await?;
    let wish = Retry { of: then.id, from, by: call.by(), pipeline: then.pipeline.clone() };
    let delivery = call.delivery("retry")?;
    let (run_id, new) = match take_retry(ports, &then, &delivery, wish).await? {
        Taken::New { run, .. } => (run, true),
        Taken::Before(DeliveryOutcome::Run(run)) => (run, false),
        Taken::Before(DeliveryOutcome::Ignored(rule)) => return Err(Problem::Conflict(rule)),
        Taken::Malformed(malformed) => return Err(Problem::BadRequest(malformed.to_string())),
    };
    tracing::info!(run_id = %run_id, of = %then.id, from = from.as_str(), new, "run retried");
    let status = if new { StatusCode::ACCEPTED } else { StatusCode::OK };
    let answer = RetryAnswer { run_id, new, of: then.id, from, notes };
    Reply::with(status, &answer)
}

/// What people should know of the environments before a retry; a conflict where one that is kept has changed.
async fn look<P: Environments>(
    ports: &P,
    then: &Run,
    kept: &[KeptEnvironment],
) -> Result<Vec<String>, Problem> {
    let mut notes = Vec::new();
    let Some(pipeline) = &then.pipeline else { return Ok(notes) };
    for state in &then.environments {
        let record = ports.environment(pipeline, &state.name).await?;
        if let Some(kept) = kept.iter().find(|kept| kept.environment == state.name) {
            if let Some(why) = lost(kept, record.current.as_ref()) {
                return Err(Problem::Conflict(why));
            }
            continue;
        }
        notes.extend(record.newer_than(then).map(|by| messages::newer_serves(&state.name, by)));
    }
    if then.status == Status::RollbackFailed {
        notes.push(messages::stays_locked(then));
    }
    Ok(notes)
}
