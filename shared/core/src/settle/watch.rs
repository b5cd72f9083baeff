//! Settling a watch: look at what serves, and end it at the first sign of sickness or when its time is over.
//!
//! The sweep looks each minute. What a look sees is judged by the same code as the checks after a deploy.

use jiff::Timestamp;

use super::look::usage;
use super::service::record_first;
use super::stop::ended_by_stop;
use super::{
    Settled, answer, insights, load_planned, look_at_alarms, look_at_errors, look_at_metrics, state_of,
};
use crate::checks::{Sample, Tally, judge_runs, judge_tasks};
use crate::contract::errors;
use crate::fact::{CheckResult, Fact, Rollout, TaskEnd};
use crate::ids::EnvironmentName;
use crate::messages;
use crate::plan::WatchPlan;
use crate::ports::{
    Answer, Callbacks, Clock, Fault, Plans, ReadAlarms, ReadMetrics, ReadSchedules, ReadServices,
    ReadTargetHealth, Runs, Waits,
};
use crate::run::{EnvironmentState, WatchEnd, WatchStart};
use crate::scheduled::{check, only};
use crate::wait::{Wait, Work};

/// Looks at what `wait` watches.
pub async fn settle_watch<P>(ports: &P, wait: &Wait) -> Answer<Settled>
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
    let Work::Watch(environment) = &wait.work else {
        return Err(Fault::Permanent("a wait for a watch must name its environment".into()));
    };
    let (run, planned) = load_planned(ports, wait.run, environment).await?;
    let state = state_of(&run, environment)?;
    if let Some(settled) = ended_by_stop(ports, &run, wait).await? {
        return Ok(settled);
    }
    if let Some(end) = end_of(state) {
        return reply(ports, wait, end).await;
    }
    let start = state.watch.as_ref().and_then(|watch| watch.start.as_ref());
    let (Some(rollout), Some(plan), Some(start)) = (&state.rollout, &planned.watch, start) else {
        return Err(Fault::Permanent(format!("run {} does not watch {environment}", run.id)));
    };
    let checks = look(ports, rollout, plan, start).await?;
    let now = ports.now();
    let Some(end) = judge(environment, start, checks, now) else { return Ok(Settled::Waiting) };
    let fact = Fact::WatchEnded { environment: environment.clone(), end };
    let run =
        record_first(ports, run.id, fact, |run| Ok(end_of(state_of(run, environment)?).is_some())).await?;
    // Someone may have stopped the run meanwhile.
    if let Some(settled) = ended_by_stop(ports, &run, wait).await? {
        return Ok(settled);
    }
    match end_of(state_of(&run, environment)?) {
        Some(end) => reply(ports, wait, end).await,
        None => Ok(Settled::Waiting),
    }
}

fn end_of(state: &EnvironmentState) -> Option<&WatchEnd> {
    state.watch.as_ref()?.end.as_ref()
}

/// Everything that is watched, as it is now.
async fn look<P>(
    ports: &P,
    rollout: &Rollout,
    plan: &WatchPlan,
    start: &WatchStart,
) -> Answer<Vec<CheckResult>>
where
    P: ReadServices + ReadSchedules + ReadAlarms + ReadMetrics + ReadTargetHealth + Clock,
{
    let is_last = ports.now() >= start.ends_at;
    let mut checks = look_at_version(ports, rollout, start, is_last).await?;
    if !plan.alarms.is_empty() {
        let sample = look_at_alarms(ports, &rollout.place, &plan.alarms).await?;
        checks.push(once("no alarm rings", sample, is_last));
    }
    let cpu = plan.cpu.map(|percent| ("CPU in percent", usage(rollout, "CPUUtilization", percent)));
    let memory =
        plan.memory.map(|percent| ("memory in percent", usage(rollout, "MemoryUtilization", percent)));
    let own = plan.metrics.iter().map(|measure| (measure.expression.as_str(), measure.clone()));
    for (name, measure) in own.chain(cpu).chain(memory) {
        let sample = look_at_metrics(ports, &rollout.place, &measure, start.at).await?;
        checks.push(once(&format!("{name} is {}", measure.bound), sample, is_last));
    }
    if let Some(percent) = plan.target_5xx {
        let sample = look_at_errors(ports, rollout, percent, start.at).await?;
        checks.push(once(&format!("errors of targets are below {percent} percent"), sample, is_last));
    }
    if let Some(insights) = &plan.container_insights {
        let seen = insights::look(ports, rollout, insights, start).await?;
        checks.extend(seen.into_iter().map(|(check, sample)| once(&check, sample, is_last)));
    }
    Ok(checks)
}

/// The new version goes on: its tasks, or what starts them.
async fn look_at_version<P: ReadServices + ReadSchedules>(
    ports: &P,
    rollout: &Rollout,
    start: &WatchStart,
    is_last: bool,
) -> Answer<Vec<CheckResult>> {
    if let Some(at) = rollout.starter() {
        let view = only(&at.starter, ports.scheduled(&at).await?);
        let sample = view.and_then(|view| check(rollout, &view)).map_or_else(Sample::Other, Sample::Good);
        let named = once(&messages::scheduled::check_name(&at.starter), sample, is_last);
        return Ok(vec![named, look_at_runs(ports, rollout).await?]);
    }
    let service = ports.service(&rollout.at()).await?;
    let tasks = ports.tasks(&rollout.at()).await?;
    let sample = judge_tasks(rollout, start, service.as_ref(), &tasks);
    Ok(vec![once("tasks of the new version go on", sample, is_last)])
}

/// The tasks that were started since: how they ended, and what the one that did not end well has logged.
async fn look_at_runs<P: ReadServices + ReadSchedules>(ports: &P, rollout: &Rollout) -> Answer<CheckResult> {
    let tasks = ports.started(&rollout.place, &rollout.cluster, &rollout.task_definition).await?;
    let (sample, failed) = judge_runs(rollout, &tasks);
    let mut result = once(messages::scheduled::runs_check_name(), sample, true);
    if let Some((task, container)) = failed {
        // A log that can't be read must not hide how the task ended.
        let log = ports.task_log(&rollout.place, task, container).await.unwrap_or_default();
        result.evidence = TaskEnd::of_log(&log);
    }
    Ok(result)
}

/// A single look as a result. Metrics come late: until the last look their absence says nothing.
fn once(check: &str, sample: Sample, is_last: bool) -> CheckResult {
    let sample = match sample {
        Sample::NoData(why) if !is_last => Sample::Good(why),
        sample => sample,
    };
    let mut tally = Tally::new(1, 1);
    tally.add(sample, None);
    tally.result(check.to_owned())
}

/// The watch's end, if this look ends it.
fn judge(
    environment: &EnvironmentName,
    start: &WatchStart,
    checks: Vec<CheckResult>,
    now: Timestamp,
) -> Option<WatchEnd> {
    let failure = messages::turned_sick(environment, now.duration_since(start.at), &checks);
    (failure.is_some() || now >= start.ends_at).then_some(WatchEnd { failure, checks })
}

async fn reply<P: Callbacks + Waits>(ports: &P, wait: &Wait, end: &WatchEnd) -> Answer<Settled> {
    let failure = end.failure.as_ref().map(|cause| (errors::WATCH_FAILED, cause.summary.as_str()));
    answer(ports, wait, failure).await
}
