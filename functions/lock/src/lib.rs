//! States `Turn`, `Acquire` and `Release`: which run goes on and which waits.
//!
//! `Turn` orders the runs of one branch; `Acquire` asks people first where the plan or the environment's rule says
//! so, then lets one deploy at a time into an environment; `Release` notes what serves now and wakes the next.

use pushway_core::contract::{
    Done, EnvironmentInput, EnvironmentTask, Failure, LockInput, RunTask, TaskToken, errors,
};
use pushway_core::messages;
use pushway_core::ports::{
    Answer, BranchRecords, Callbacks, Clock, Environments, Fault, History, Hooks, Plans, ReadCommits,
    ReadDefinitions, Runs, StopBuilds, Waits, Written,
};
use pushway_core::rollout::images_of;
use pushway_core::run::Run;
use pushway_core::settle::{
    LOCK_PATIENCE, acquire, ask, lacks_consent, leave, load, load_planned, or_tell, overtake, release,
    settle_turn,
};
use pushway_core::wait::{Subject, Wait, Work};

/// Lets a run go on or wait.
pub async fn handle<P>(ports: &P, input: LockInput) -> Result<Done, Failure>
where
    P: Runs
        + Plans
        + Hooks
        + BranchRecords
        + Environments
        + History
        + ReadCommits
        + ReadDefinitions
        + Waits
        + StopBuilds
        + Callbacks
        + Clock,
{
    match input {
        LockInput::Acquire(task) => {
            let token = task.task_token.clone();
            or_tell(ports, &token, Box::pin(take(ports, task)).await).await
        }
        LockInput::Turn(task) => {
            let token = task.task_token.clone();
            or_tell(ports, &token, turn(ports, task).await).await
        }
        LockInput::Release(input) => give_back(ports, input).await,
    }
}

async fn turn<P>(ports: &P, task: RunTask) -> Result<Done, Failure>
where
    P: Runs + Plans + Hooks + BranchRecords + Waits + StopBuilds + Callbacks + Clock,
{
    let wait = wait(
        ports,
        Subject::Turn(task.run_id),
        &load(ports, task.run_id).await?,
        Work::Turn,
        task.task_token,
    );
    open(ports, &wait).await?;
    settle_turn(ports, &wait).await?;
    Ok(Done {})
}

fn wait(ports: &impl Clock, subject: Subject, run: &Run, work: Work, token: TaskToken) -> Wait {
    let now = ports.now();
    Wait { subject, run: run.id, work, token, opened_at: now, deadline: now + LOCK_PATIENCE }
}

async fn open(ports: &impl Waits, wait: &Wait) -> Answer<()> {
    match ports.open(wait).await? {
        Written::Stored => Ok(()),
        Written::Conflict => Err(Fault::Permanent("another run waits in this run's name".into())),
    }
}

async fn take<P>(ports: &P, task: EnvironmentTask) -> Result<Done, Failure>
where
    P: Runs
        + Plans
        + Hooks
        + BranchRecords
        + Environments
        + History
        + ReadCommits
        + ReadDefinitions
        + Waits
        + StopBuilds
        + Callbacks
        + Clock,
{
    let (run, planned) = load_planned(ports, task.run_id, &task.environment).await?;
    if let Some(stop) = &run.stop {
        return Err(Failure::new(errors::STOPPED, messages::stopped_by(stop)));
    }
    // A run that has failed takes no further environment, whatever the state machine makes of it.
    if let Some(cause) = &run.cause {
        return Err(Failure::new(
            errors::DEPLOY_FAILED,
            format!("the run has failed before: {}", cause.summary),
        ));
    }
    let has_deployed = run.environments.iter().any(|environment| environment.fence.is_some());
    if !has_deployed && let Some(why) = lost_turn(ports, &run).await? {
        return Err(Failure::new(errors::DEPLOY_FAILED, why));
    }
    let (run, lacks_consent) = lacks_consent(ports, run, &planned).await?;
    if lacks_consent {
        let images =
            images_of(&run, &planned.target).map_err(|why| Failure::new(errors::DEPLOY_FAILED, why))?;
        ask(ports, &run, &planned, images, task.task_token).await?;
        return Ok(Done {});
    }
    let pipeline =
        run.pipeline.clone().ok_or_else(|| Fault::Permanent(format!("run {} has no plan", run.id)))?;
    let subject = Subject::Lock { pipeline, environment: task.environment.clone(), run: run.id };
    let wait = wait(ports, subject, &run, Work::Acquire(task.environment), task.task_token);
    acquire(ports, &wait).await?;
    Ok(Done {})
}

/// Why a run may not deploy any more: a newer push of its branch has taken its turn.
async fn lost_turn<P>(ports: &P, run: &Run) -> Answer<Option<String>>
where
    P: Runs + Plans + Hooks + BranchRecords + Waits + StopBuilds + Callbacks + Clock,
{
    let Some(by) = leave(ports, run).await? else { return Ok(None) };
    overtake(ports, run.id, by).await?;
    Ok(Some(messages::overtaken(by)))
}

async fn give_back<P>(ports: &P, input: EnvironmentInput) -> Result<Done, Failure>
where
    P: Runs + Plans + Environments + Waits + Callbacks + Clock,
{
    let run = load(ports, input.run_id).await?;
    if let Some(pipeline) = &run.pipeline {
        release(ports, &run, pipeline, &input.environment).await?;
    }
    Ok(Done {})
}
