//! Tasks that run once before a service moves: what a look at one means.
//!
//! Pure. The exit code of the one container that the plan names counts; what else a task holds is stopped
//! with it, and exits as it may.

use jiff::Timestamp;

use crate::fact::{Cause, DeployFailure, DeployFailureKind, TaskEnd};
use crate::ids::{EnvironmentName, RunId};
use crate::messages;
use crate::plan::EcsTask;
use crate::rollout::SETTLING;
use crate::views::TaskView;

/// How a task stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It has not ended.
    Running,
    /// It has not ended, and its time is over.
    Overdue,
    /// It has ended.
    Ended(TaskEnd),
}

/// What a look at a task means; `task` is none where ECS knows none. A task that was just started may not
/// be shown yet.
pub fn judge(planned: &EcsTask, task: Option<&TaskView>, deadline: Timestamp, now: Timestamp) -> Standing {
    let started = deadline - jiff::SignedDuration::from_secs(planned.timeout_seconds.into());
    match task {
        Some(task) if task.is_stopped => Standing::Ended(end(planned, task)),
        None if now >= started + SETTLING => Standing::Ended(TaskEnd {
            failure: Some(messages::task_gone()),
            exit_code: None,
            log: Vec::new(),
        }),
        _ if now >= deadline => Standing::Overdue,
        _ => Standing::Running,
    }
}

fn end(planned: &EcsTask, task: &TaskView) -> TaskEnd {
    let container = task.containers.iter().find(|container| container.name == planned.container);
    let exit_code = container.and_then(|container| container.exit_code);
    let failure = (exit_code != Some(0)).then(|| {
        let reason = container.map_or("", |container| container.reason.as_str());
        messages::task_failed(&planned.container, exit_code, &task.stopped_reason, reason)
    });
    TaskEnd { failure, exit_code, log: Vec::new() }
}

/// Why a deploy did not begin after a task that failed. The service was not touched.
pub fn failure(environment: &EnvironmentName, number: usize, end: &TaskEnd) -> DeployFailure {
    let why = end.failure.as_deref().unwrap_or_default();
    let summary = messages::task_stopped_deploy(number + 1, why);
    let cause = Cause::new(messages::environment_stage(environment), summary, messages::task_advice())
        .with_evidence(end.log.iter().map(|line| format!("log: {line}")));
    DeployFailure { kind: DeployFailureKind::Refused, cause, card: None }
}

/// What tells a task from every other: AWS takes 64 characters (Amazon ECS API Reference, `RunTask`).
pub fn mark(run: RunId, environment: &EnvironmentName, number: usize) -> String {
    use sha2::Digest as _;
    let hash = sha2::Sha256::digest(format!("{environment}/{number}"));
    format!("{run}-{}", hex::encode(&hash[..8]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::views::ContainerView;

    fn view(exit_code: Option<i32>, is_stopped: bool) -> TaskView {
        let container = |name: &str, exit_code| ContainerView {
            name: name.into(),
            digest: None,
            exit_code,
            reason: String::new(),
            is_unhealthy: false,
        };
        TaskView {
            arn: "arn".into(),
            task_definition: "web:1".into(),
            is_running: !is_stopped,
            is_stopped,
            stop_code: String::new(),
            stopped_reason: "Essential container in task exited".into(),
            containers: vec![container("side", Some(137)), container("web", exit_code)],
        }
    }

    #[test]
    fn the_exit_code_of_the_named_container_counts_and_no_other() {
        let planned = EcsTask {
            container: "web".into(),
            command: Vec::new(),
            task_definition: None,
            timeout_seconds: 600,
        };
        let start = Timestamp::from_second(1_790_000_000).unwrap();
        let at = |seconds: i64| start + jiff::SignedDuration::from_secs(seconds);
        let look = |task: Option<&TaskView>, seconds| judge(&planned, task, at(600), at(seconds));
        let ended = |task: Option<&TaskView>, seconds| match look(task, seconds) {
            Standing::Ended(end) => end,
            other => panic!("{other:?}"),
        };
        assert_eq!(ended(Some(&view(Some(0), true)), 5).failure, None);
        // However late it is looked at: it has ended well.
        assert_eq!(ended(Some(&view(Some(0), true)), 6_000).failure, None);
        let failed = ended(Some(&view(Some(3), true)), 5);
        assert_eq!(failed.exit_code, Some(3));
        assert!(failed.failure.unwrap().contains("exited with code 3"));
        let never_ran = ended(Some(&view(None, true)), 5).failure.unwrap();
        assert!(never_ran.contains("Essential container"), "{never_ran}");
        assert_eq!(look(Some(&view(None, false)), 599), Standing::Running);
        assert_eq!(look(Some(&view(None, false)), 600), Standing::Overdue);
        // Just started, it may not be shown; later its absence tells that nobody will ever know.
        assert_eq!(look(None, 59), Standing::Running);
        assert!(ended(None, 60).failure.is_some());
    }

    #[test]
    fn a_mark_fits_and_differs_by_run_environment_and_number() {
        let (run, other) =
            (RunId::new(Timestamp::UNIX_EPOCH, [1; 10]), RunId::new(Timestamp::UNIX_EPOCH, [2; 10]));
        let (staging, production) = ("staging".parse().unwrap(), "production".parse().unwrap());
        let marks = [
            mark(run, &staging, 0),
            mark(run, &staging, 1),
            mark(run, &production, 0),
            mark(other, &staging, 0),
        ];
        assert_eq!(marks.iter().collect::<std::collections::BTreeSet<_>>().len(), 4);
        assert!(marks.iter().all(|mark| mark.len() <= 64));
    }
}
