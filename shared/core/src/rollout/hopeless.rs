//! Whether a rollout under way can still come to serve, or may be given up at once.
//!
//! Pure: reads the tasks of our own revision and what the service has said since it was told to move. What
//! trying again may mend (a registry that does not answer, a throttled call) never counts. The texts are
//! those of the Amazon ECS Developer Guide ("Amazon ECS stopped task error messages", "`CannotPullContainer`
//! task errors", "Amazon ECS service event messages") and of the registries behind them.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::fact::DeployFailureKind;
use crate::messages;
use crate::views::{ServiceMessage, TaskView};

/// As often as this a container may end with one exit code before more tasks would only say the same.
const SAME_EXITS: usize = 3;

/// Why there is no hope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hopeless {
    /// The kind of failure.
    pub kind: DeployFailureKind,
    /// What was seen.
    pub reason: String,
}

/// Judges the tasks of `task_definition`, and what the service has said since `since`, newest first.
pub fn hopeless(
    task_definition: &str,
    since: Timestamp,
    tasks: &[TaskView],
    said: &[ServiceMessage],
) -> Option<Hopeless> {
    let ours: Vec<&TaskView> = tasks.iter().filter(|task| task.task_definition == task_definition).collect();
    let stopped = ours.iter().filter(|task| task.is_stopped);
    // A task that runs shows that the image can be pulled and the secrets be read.
    let runs = ours.iter().filter(|task| task.is_running && !task.is_stopped).count();
    let cant_start = || stopped.clone().flat_map(|task| reasons(task)).find_map(cant_start);
    (runs == 0)
        .then(cant_start)
        .flatten()
        .or_else(|| keeps_exiting(&ours, runs))
        .or_else(|| no_capacity(since, said))
}

/// Everything that a task says of its end.
fn reasons(task: &TaskView) -> impl Iterator<Item = &str> {
    let containers = task.containers.iter().map(|container| container.reason.as_str());
    std::iter::once(task.stopped_reason.as_str()).chain(containers).filter(|text| !text.is_empty())
}

/// What a task could not get that will not come.
fn cant_start(reason: &str) -> Option<Hopeless> {
    let text = reason.to_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
    let pulls = has(&["cannotpull", "registry auth", "ecr:"]);
    let initializes = has(&["resourceinitializationerror"]);
    if !(pulls || initializes) || has(TRANSIENT) {
        return None;
    }
    let kind = if has(&["cannotpull", "ecr:", "ecr registry"]) && has(NO_IMAGE) {
        DeployFailureKind::ImageUnavailable
    } else if initializes && has(SECRETS) && has(DENIED) {
        DeployFailureKind::SecretDenied
    } else {
        return None;
    };
    Some(Hopeless { kind, reason: reason.to_owned() })
}

/// What passes by itself: never a reason to give up. No bare numbers, which occur in digests.
const TRANSIENT: &[&str] = &[
    "timeout",
    "timed out",
    "deadline exceeded",
    "toomanyrequests",
    "too many requests",
    "rate exceeded",
    "rate limit",
    "throttl",
    "connection re",
    "no such host",
    "temporary failure",
    "tls handshake",
    "unexpected eof",
    "no space left",
    "internal server error",
    "bad gateway",
    "service unavailable",
    "gateway time",
];

/// How registries and runtimes say that an image is not there, not for us, or not for this machine.
const NO_IMAGE: &[&str] = &[
    "manifest unknown",
    "not found",
    "does not exist",
    "name unknown",
    "access denied",
    "accessdenied",
    "denied:",
    "not authorized",
    "unauthorized",
    "no basic auth credentials",
    "forbidden",
    "invalid reference format",
    "matching platform",
    "no match for platform",
    "no matching manifest",
];

/// How the agent names the stores that secrets come from.
const SECRETS: &[&str] = &["secret", "ssm", "parameter", "kms"];

/// How those say that they give nothing out.
const DENIED: &[&str] = &[
    "accessdenied",
    "access denied",
    "not authorized",
    "resourcenotfoundexception",
    "can't find the specified secret",
    "invalid ssm parameters",
    "invalid parameters",
    "parameternotfound",
    "did not contain json key",
];

/// The same container ending by itself with the same code, more often than tasks stay up.
fn keeps_exiting(ours: &[&TaskView], runs: usize) -> Option<Hopeless> {
    let mut exits: BTreeMap<(&str, i32), usize> = BTreeMap::new();
    for task in ours.iter().filter(|task| task.is_stopped && task.ended_by_itself()) {
        if let Some(exit) = telling_exit(task) {
            *exits.entry(exit).or_default() += 1;
        }
    }
    let most = exits.into_iter().max_by_key(|(_, times)| *times);
    let ((container, code), times) = most.filter(|(_, times)| *times >= SAME_EXITS && *times > runs)?;
    let reason = messages::deploys::keeps_exiting(container, code, times);
    Some(Hopeless { kind: DeployFailureKind::KeepsExiting, reason })
}

/// The exit that ended a task: an error, or the end of everything that ran in it.
fn telling_exit(task: &TaskView) -> Option<(&str, i32)> {
    let exits = || task.containers.iter().filter_map(|known| Some((known.name.as_str(), known.exit_code?)));
    let all_ended = exits().count() == task.containers.len();
    exits().find(|(_, code)| *code != 0).or_else(|| exits().next().filter(|_| all_ended))
}

/// The service finds no room for a task, and has started none since it said so.
fn no_capacity(since: Timestamp, said: &[ServiceMessage]) -> Option<Hopeless> {
    let lately = said.iter().take_while(|message| message.at.is_some_and(|at| at >= since));
    for message in lately {
        let text = message.text.to_lowercase();
        if text.contains("has started") || text.contains("steady state") {
            return None;
        }
        if text.contains("unable to place a task") || text.contains("capacity is unavailable") {
            return Some(Hopeless { kind: DeployFailureKind::NoCapacity, reason: message.text.clone() });
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::views::ContainerView;

    const OURS: &str = "web:2";

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_790_000_000 + second).unwrap()
    }

    fn stopped(reason: &str, exit_code: Option<i32>) -> TaskView {
        TaskView {
            arn: "task/1".into(),
            task_definition: OURS.into(),
            is_running: false,
            is_stopped: true,
            stopped_reason: reason.into(),
            stop_code: String::new(),
            containers: vec![ContainerView {
                name: "web".into(),
                digest: None,
                exit_code,
                reason: String::new(),
                is_unhealthy: false,
            }],
        }
    }

    fn judged(tasks: &[TaskView]) -> Option<DeployFailureKind> {
        hopeless(OURS, at(0), tasks, &[]).map(|hopeless| hopeless.kind)
    }

    fn said(second: i64, text: &str) -> ServiceMessage {
        ServiceMessage { at: Some(at(second)), text: text.into() }
    }

    /// Reasons as AWS, Docker, containerd and the registries write them.
    #[test]
    fn what_will_not_come_is_told_from_what_may_come_later() {
        use DeployFailureKind::{ImageUnavailable, SecretDenied};
        let cases = [
            (
                "CannotPullContainerError: Error response from daemon: manifest for registry/web@sha256:429503 not found: manifest unknown",
                Some(ImageUnavailable),
            ),
            (
                "CannotPullContainerError: pull image manifest has been retried 1 time(s): failed to resolve ref docker.io/acme/web:1: docker.io/acme/web:1: not found",
                Some(ImageUnavailable),
            ),
            (
                "CannotPullContainerError: pull access denied for acme/web, repository does not exist or may require 'docker login'",
                Some(ImageUnavailable),
            ),
            (
                "CannotPullContainerError: image Manifest does not contain descriptor matching platform 'linux/arm64'",
                Some(ImageUnavailable),
            ),
            (
                "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed: unable to retrieve ecr registry auth: service call has been retried 1 time(s): AccessDeniedException: User: arn:aws:sts::1:assumed-role/x is not authorized to perform: ecr:GetAuthorizationToken",
                Some(ImageUnavailable),
            ),
            (
                "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed: unable to retrieve secret from asm: service call has been retried 1 time(s): failed to fetch secret arn:aws:secretsmanager:x from secrets manager: AccessDeniedException: User: x is not authorized to perform: secretsmanager:GetSecretValue",
                Some(SecretDenied),
            ),
            (
                "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed: unable to retrieve secrets from ssm: service call has been retried 1 time(s): AccessDeniedException",
                Some(SecretDenied),
            ),
            (
                "ResourceInitializationError: unable to pull secrets or registry auth: ResourceNotFoundException: Secrets Manager can't find the specified secret.",
                Some(SecretDenied),
            ),
            (
                "CannotPullContainerError: pull image manifest has been retried 5 time(s): failed to do request: Head \"https://registry/v2/web\": dial tcp 10.0.0.1:443: i/o timeout",
                None,
            ),
            ("CannotPullContainerError: toomanyrequests: You have reached your pull rate limit", None),
            ("CannotPullContainerError: unexpected status from HEAD request: 503 Service Unavailable", None),
            (
                "ResourceInitializationError: unable to pull secrets or registry auth: unable to retrieve secret from asm: RequestCanceled: context deadline exceeded",
                None,
            ),
            ("ResourceInitializationError: failed to validate logger args: signal: killed", None),
            ("Essential container in task exited", None),
            ("a log line that says access denied and not found", None),
        ];
        for (reason, expected) in cases {
            assert_eq!(judged(&[stopped(reason, None)]), expected, "{reason}");
        }
    }

    #[test]
    fn others_tasks_say_nothing_and_a_running_task_shows_that_all_is_there() {
        let missing = stopped("CannotPullContainerError: manifest unknown", None);
        let old = TaskView { task_definition: "web:1".into(), ..missing.clone() };
        assert_eq!(judged(&[old]), None);
        let running = TaskView { is_running: true, is_stopped: false, ..stopped("", None) };
        assert_eq!(judged(&[missing, running]), None);
    }

    #[test]
    fn three_same_exits_are_enough_and_two_are_not() {
        let exited = |code| stopped("Essential container in task exited", Some(code));
        assert_eq!(judged(&[exited(1), exited(1)]), None);
        assert_eq!(judged(&[exited(1), exited(2), exited(1)]), None);
        assert_eq!(
            judged(&[exited(1), exited(2), exited(1), exited(1)]),
            Some(DeployFailureKind::KeepsExiting)
        );
        assert_eq!(judged(&[exited(0), exited(0), exited(0)]), Some(DeployFailureKind::KeepsExiting));
        let running = || TaskView { is_running: true, is_stopped: false, ..stopped("", None) };
        let some = [exited(1), exited(1), exited(1), running(), running(), running()];
        assert_eq!(judged(&some), None, "as many stay up");
    }

    #[test]
    fn a_task_that_the_scheduler_ended_does_not_count_as_an_exit() {
        let ended = || TaskView {
            stop_code: "ServiceSchedulerInitiated".into(),
            ..stopped("Task failed ELB health checks", Some(143))
        };
        assert_eq!(judged(&[ended(), ended(), ended()]), None);
    }

    #[test]
    fn no_room_counts_if_it_is_of_this_deploy_and_the_last_word() {
        let text = "(service web) was unable to place a task. Reason: Capacity is unavailable at this time. Please try again later or in a different availability zone.";
        let none = |said: &[ServiceMessage]| hopeless(OURS, at(0), &[], said).map(|found| found.kind);
        assert_eq!(none(&[said(5, text)]), Some(DeployFailureKind::NoCapacity));
        assert_eq!(none(&[said(-5, text)]), None, "an earlier deploy's");
        let started = said(9, "(service web) has started 1 tasks: (task 1).");
        assert_eq!(none(&[started, said(5, text)]), None, "there was room after all");
        let old = "(service web) was unable to place a task because no container instance met all of its requirements. The closest matching (container-instance 1) has insufficient memory available.";
        assert_eq!(none(&[said(3, old)]), Some(DeployFailureKind::NoCapacity));
    }
}
