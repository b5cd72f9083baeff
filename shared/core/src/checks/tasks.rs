//! The tasks of a new version while it is watched: those of a service must go on, those that are scheduled end well.

use super::Sample;
use crate::fact::Rollout;
use crate::messages;
use crate::run::WatchStart;
use crate::views::{ServiceView, TaskView};

/// How ECS explains stops that say nothing about the version that stopped: the service wants fewer tasks, or
/// Spot takes its capacity back (ECS Developer Guide, "Stopped tasks error messages", "Fargate Spot").
const NOT_SICK: [&str; 2] = ["Scaling activity initiated by", "Your Spot Task was interrupted"];

/// The tasks of the new revision that have stopped, by ARN.
pub fn stopped_tasks(rollout: &Rollout, tasks: &[TaskView]) -> Vec<String> {
    ours(rollout, tasks).filter(|task| task.is_stopped).map(|task| task.arn.clone()).collect()
}

/// Judges one look at a service and its tasks: it still runs the new revision, and none of its tasks has
/// stopped since the watch began.
pub fn judge_tasks(
    rollout: &Rollout,
    start: &WatchStart,
    service: Option<&ServiceView>,
    tasks: &[TaskView],
) -> Sample {
    let Some(service) = service else { return Sample::Bad("the service is gone".to_owned()) };
    if let Some(primary) = service.primary()
        && primary.task_definition != rollout.task_definition
    {
        return Sample::Other(messages::moved_elsewhere(primary));
    }
    let is_sick = |task: &&TaskView| {
        task.is_stopped
            && !start.stopped.contains(&task.arn)
            && task.stop_code != "SpotInterruption"
            && !NOT_SICK.iter().any(|reason| task.stopped_reason.starts_with(reason))
    };
    let stopped: Vec<&TaskView> = ours(rollout, tasks).filter(is_sick).collect();
    if !stopped.is_empty() {
        return Sample::Bad(messages::stopped_tasks(&stopped));
    }
    Sample::Good(match ours(rollout, tasks).filter(|task| task.is_running).count() {
        0 => "no task runs, and none has stopped".to_owned(),
        1 => "1 task runs on".to_owned(),
        running => format!("{running} tasks run on"),
    })
}

/// Judges the runs of a scheduled task so far: each that has ended did so with exit code 0. Gives the task and the
/// container that did not, too. Only containers that the deploy brings an image count: the others are told to stop
/// with them, and exit as they like.
pub fn judge_runs<'a>(
    rollout: &'a Rollout,
    tasks: &'a [TaskView],
) -> (Sample, Option<(&'a TaskView, &'a str)>) {
    let ended =
        || ours(rollout, tasks).filter(|task| task.is_stopped && task.stop_code != "SpotInterruption");
    let failed = |task: &'a TaskView| {
        let brought = task.containers.iter().filter(|container| rollout.images.contains_key(&container.name));
        // A container without a code never ran.
        let container = brought.into_iter().find(|container| container.exit_code != Some(0))?;
        Some((task, container.name.as_str()))
    };
    match ended().find_map(failed) {
        Some((task, name)) => (Sample::Bad(messages::stopped_tasks(&[task])), Some((task, name))),
        None => (Sample::Good(messages::scheduled::runs_so_far(ended().count())), None),
    }
}

fn ours<'a>(rollout: &'a Rollout, tasks: &'a [TaskView]) -> impl Iterator<Item = &'a TaskView> {
    tasks.iter().filter(|task| task.task_definition == rollout.task_definition)
}
