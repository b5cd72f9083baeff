//! State `Watch`: begins the watch over a new version; the sweep looks on each minute and ends it.

use jiff::SignedDuration;
use pushway_core::checks::stopped_tasks;
use pushway_core::contract::{Done, EnvironmentTask, Failure};
use pushway_core::fact::{Fact, Rollout};
use pushway_core::plan::WatchPlan;
use pushway_core::ports::{
    Answer, Callbacks, Clock, Fault, Plans, ReadAlarms, ReadMetrics, ReadSchedules, ReadServices,
    ReadTargetHealth, Runs, Waits, Written,
};
use pushway_core::run::{Run, WatchStart};
use pushway_core::settle::{load, load_planned, settle_watch, state_of, try_record};
use pushway_core::wait::{Subject, Wait, Work};

/// How much later than its end a watch may be settled: some sweeps may fail.
const GRACE: SignedDuration = SignedDuration::from_mins(10);
/// How many stopped tasks are kept in mind: a deploy with more would not have been a success.
const MAX_STOPPED: usize = 100;

/// Watches one environment, if its plan says so.
pub(crate) async fn watch<P>(ports: &P, task: EnvironmentTask) -> Result<Done, Failure>
where
    P: Runs
        + Plans
        + Waits
        + ReadServices
        + ReadSchedules
        + ReadAlarms
        + ReadMetrics
        + ReadTargetHealth
        + Callbacks
        + Clock,
{
    let (run, planned) = load_planned(ports, task.run_id, &task.environment).await?;
    crate::stop_in(&run, &planned)?;
    let Some(plan) = &planned.watch else {
        ports.succeed(&task.task_token).await?;
        return Ok(Done {});
    };
    let start = begin(ports, &run, &task, plan).await?;
    let wait = Wait {
        subject: Subject::Watch { run: run.id, environment: task.environment.clone() },
        run: run.id,
        work: Work::Watch(task.environment),
        token: task.task_token,
        opened_at: ports.now(),
        deadline: start.ends_at + GRACE,
    };
    if ports.open(&wait).await? == Written::Conflict {
        return Err(Fault::Permanent("another run watches in this run's name".into()).into());
    }
    // What rings already, or can't be looked at, is told at once.
    settle_watch(ports, &wait).await?;
    Ok(Done {})
}

/// The watch's beginning: a state that is tried again goes on with the one that was recorded.
async fn begin<P>(ports: &P, run: &Run, task: &EnvironmentTask, plan: &WatchPlan) -> Answer<WatchStart>
where
    P: Runs + ReadServices + Clock,
{
    let state = state_of(run, &task.environment)?;
    if let Some(start) = state.watch.as_ref().and_then(|watch| watch.start.clone()) {
        return Ok(start);
    }
    let nothing = || Fault::Permanent(format!("run {} has deployed nothing to {}", run.id, state.name));
    let rollout: &Rollout = state.rollout.as_ref().ok_or_else(nothing)?;
    let mut stopped = match rollout.scheduled {
        None => stopped_tasks(rollout, &ports.tasks(&rollout.at()).await?),
        // Tasks that are started by the clock are meant to stop.
        Some(_) => Vec::new(),
    };
    stopped.truncate(MAX_STOPPED);
    let at = ports.now();
    let start = WatchStart { at, ends_at: at + SignedDuration::from_secs(plan.for_seconds.into()), stopped };
    let fact = Fact::WatchStarted { environment: state.name.clone(), start: start.clone() };
    match try_record(ports, run.id, fact).await? {
        Ok(_) => {
            tracing::info!(run_id = %run.id, environment = %state.name, until = %start.ends_at, "watch begun");
            Ok(start)
        }
        // Another try of the state was first.
        Err(illegal) => {
            let run = load(ports, run.id).await?;
            let watch = state_of(&run, &task.environment)?.watch.as_ref();
            let known = watch.and_then(|watch| watch.start.clone());
            known.ok_or_else(|| Fault::Permanent(illegal.to_string()))
        }
    }
}
