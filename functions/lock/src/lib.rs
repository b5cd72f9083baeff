//! States `Acquire` and `Release`: one deploy at a time per environment.
//!
//! `Acquire` waits its turn in the environment's queue; `Release` notes what serves now and wakes the next.

use jiff::SignedDuration;
use pushway_core::contract::{Done, EnvironmentInput, EnvironmentTask, Failure, LockInput, errors};
use pushway_core::ports::{Callbacks, Clock, Environments, Fault, Runs, Waits};
use pushway_core::settle::{acquire, load, or_tell, release};
use pushway_core::wait::{Subject, Wait, Work};

/// How long a run may wait for an environment: as long as state `Acquire` does.
const PATIENCE: SignedDuration = SignedDuration::from_hours(24);

/// Takes a lock or gives it back.
pub async fn handle<P>(ports: &P, input: LockInput) -> Result<Done, Failure>
where
    P: Runs + Environments + Waits + Callbacks + Clock,
{
    match input {
        LockInput::Acquire(task) => {
            let token = task.task_token.clone();
            or_tell(ports, &token, take(ports, task).await).await
        }
        LockInput::Release(input) => give_back(ports, input).await,
    }
}

async fn take<P>(ports: &P, task: EnvironmentTask) -> Result<Done, Failure>
where
    P: Runs + Environments + Waits + Callbacks + Clock,
{
    let run = load(ports, task.run_id).await?;
    // A run that has failed takes no further environment, whatever the state machine makes of it.
    if let Some(cause) = &run.cause {
        return Err(Failure::new(
            errors::DEPLOY_FAILED,
            format!("the run has failed before: {}", cause.summary),
        ));
    }
    let pipeline = run.pipeline.ok_or_else(|| Fault::Permanent(format!("run {} has no plan", run.id)))?;
    let now = ports.now();
    let wait = Wait {
        subject: Subject::Lock { pipeline, environment: task.environment.clone(), run: run.id },
        run: run.id,
        work: Work::Acquire(task.environment),
        token: task.task_token,
        opened_at: now,
        deadline: now + PATIENCE,
    };
    acquire(ports, &wait).await?;
    Ok(Done {})
}

async fn give_back<P>(ports: &P, input: EnvironmentInput) -> Result<Done, Failure>
where
    P: Runs + Environments + Waits + Callbacks + Clock,
{
    let run = load(ports, input.run_id).await?;
    if let Some(pipeline) = &run.pipeline {
        release(ports, &run, pipeline, &input.environment).await?;
    }
    Ok(Done {})
}
