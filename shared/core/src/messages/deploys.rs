//! What is said of a deploy that failed: one sentence of cause, one of advice, and the evidence in lines.
//!
//! The symptom is read from the failure card, the kind from the verdict: a container that ran out of memory
//! says more than the breaker that it tripped.

use crate::fact::{DeployFailureKind, OutOfBand, RollbackOwner};
use crate::failure_card::FailureCard;

/// What the card shows, in the order in which it explains most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Symptom<'a> {
    WrongMachine,
    OutOfMemory { container: &'a str },
    Killed { container: &'a str },
    Segfault { container: &'a str },
    Exit { container: &'a str, code: i32 },
    Sick(&'a str),
    SickTarget(&'a str),
    Stopped(&'a str),
    Nothing,
}

/// The exit code of a process that was killed (128 + SIGKILL): by the kernel for want of memory, mostly.
const KILLED: i32 = 137;
/// The exit code of a process that touched memory that is not its own (128 + SIGSEGV).
const SEGFAULT: i32 = 139;

impl<'a> Symptom<'a> {
    fn of(card: &'a FailureCard) -> Self {
        let reasons = || {
            let containers = card.tasks.iter().flat_map(|task| &task.containers);
            card.tasks.iter().map(|task| &task.reason).chain(containers.map(|known| &known.reason))
        };
        let texts = card.log.iter().chain(reasons());
        if texts.into_iter().any(|text| text.contains("exec format error") || is_for_another_machine(text)) {
            return Self::WrongMachine;
        }
        if let Some((container, code, reason)) = card.telling_exit() {
            // A task that was stopped for its health is killed too; its health is the cause then.
            let unhealthy = card.unhealthy.first();
            return match (code, unhealthy) {
                _ if reason.contains("OutOfMemory") || reasons().any(|text| text.contains("OutOfMemory")) => {
                    Self::OutOfMemory { container }
                }
                (KILLED | 143, Some(words)) => Self::sick(words),
                (KILLED, None) => Self::Killed { container },
                (SEGFAULT, _) => Self::Segfault { container },
                (code, _) => Self::Exit { container, code },
            };
        }
        match (card.unhealthy.first(), card.tasks.first()) {
            (Some(words), _) => Self::sick(words),
            (None, Some(task)) => Self::Stopped(&task.reason),
            (None, None) => Self::Nothing,
        }
    }

    fn sick(words: &'a str) -> Self {
        if words.contains("ELB") || words.contains("target") {
            Self::SickTarget(words)
        } else {
            Self::Sick(words)
        }
    }

    fn sentence(self) -> Option<String> {
        Some(match self {
            Self::WrongMachine => "the image is built for another processor than the task runs on".into(),
            Self::OutOfMemory { container } => {
                format!("container {container} ran out of memory (exit code 137)")
            }
            Self::Killed { container } => {
                format!("container {container} was killed (exit code 137), most likely for want of memory")
            }
            Self::Segfault { container } => {
                format!("container {container} crashed with a memory fault (exit code 139)")
            }
            Self::Exit { container, code } => format!("container {container} exited with code {code}"),
            Self::Sick(words) | Self::SickTarget(words) | Self::Stopped(words) => words.to_owned(),
            Self::Nothing => return None,
        })
    }

    fn advice(self) -> Option<&'static str> {
        Some(match self {
            Self::WrongMachine => {
                "build the image for the task's processor (`arch` of the build job, `runtimePlatform` of the task definition), then push again"
            }
            Self::OutOfMemory { .. } | Self::Killed { .. } => {
                "raise the memory in the task definition, or find what takes it, then push again"
            }
            Self::Segfault { .. } => {
                "see the last log lines; a native library or a wrong build is the usual cause"
            }
            Self::Exit { .. } => "see the container's last log lines below, mend it and push again",
            Self::Sick(_) => {
                "run the health check's command inside the image; give it a longer startPeriod if it only needs time"
            }
            Self::SickTarget(_) => {
                "compare the container's port and path with the target group's health check; raise the service's health check grace period if it only needs time"
            }
            Self::Stopped(_) | Self::Nothing => return None,
        })
    }
}

fn is_for_another_machine(text: &str) -> bool {
    ["matching platform", "no match for platform"].iter().any(|words| text.contains(words))
}

/// A container whose health check fails.
pub(crate) fn sick_container(name: &str) -> String {
    format!("the health check of container {name} fails")
}

/// The service is moved by something else than ECS itself.
pub(crate) fn other_controller(service: &str, controller: &str) -> String {
    format!(
        "service {service:?} is moved by its deployment controller {controller}, and a strategy takes the controller ECS; \
         leave `strategy` out, or create the service with the controller ECS"
    )
}

/// A load balancer has nothing to shift the traffic to.
pub(crate) fn no_alternate_target_group(service: &str) -> String {
    format!(
        "service {service:?} has a load balancer without an alternate target group, which ECS shifts the traffic to; \
         add alternateTargetGroupArn, productionListenerRule and roleArn to its advancedConfiguration, or use `strategy: rolling`"
    )
}

/// Nothing whose traffic moves, so ECS has nothing to ask about.
pub(crate) fn nothing_to_ask_about(service: &str) -> String {
    format!(
        "service {service:?} has no load balancer, Service Connect or VPC Lattice, so there is no traffic that \
         the strategy's `test`, `during` and `pause` could hold back; put the checks into `validate`"
    )
}

/// Nothing splits the traffic.
pub(crate) fn nothing_to_shift(service: &str) -> String {
    format!(
        "service {service:?} has no load balancer, Service Connect or VPC Lattice that could split its traffic; \
         use `strategy: rolling` or `blue_green`"
    )
}

/// The service ran something that Pushway had not brought there.
pub fn out_of_band(change: &OutOfBand) -> String {
    let name = |arn: &str| arn.rsplit('/').next().unwrap_or(arn).to_owned();
    format!(
        "someone had changed the service outside of Pushway: it ran {}, not {} of run {}",
        name(&change.found),
        name(&change.expected),
        change.run
    )
}

/// Who stopped a deployment, other than Pushway.
pub(crate) fn stopped_by(who: RollbackOwner, alarms: &[String], reason: &str) -> String {
    let who = match who {
        RollbackOwner::Alarm => format!("alarm {} went off", alarms.join(", ")),
        RollbackOwner::Service => "its circuit breaker tripped".into(),
        RollbackOwner::Person | RollbackOwner::Pushway => "someone told ECS to stop it".into(),
    };
    if reason.is_empty() { who } else { format!("{who}: {reason}") }
}

/// A lifecycle hook of the service took its deployment back.
pub(crate) fn hook_failed(reason: &str) -> String {
    let what = "a lifecycle hook of the service failed or gave no answer in time";
    if reason.is_empty() { what.into() } else { format!("{what}: {reason}") }
}

/// How a deployment ended that is shown as stopped and not as gone back.
pub(crate) fn stopped_where_it_was(reason: &str) -> String {
    if reason.is_empty() {
        "ECS stopped it where it was".into()
    } else {
        format!("ECS stopped it where it was: {reason}")
    }
}

/// A container that ends the same way again and again.
pub fn keeps_exiting(container: &str, code: i32, times: usize) -> String {
    format!("container {container} exited with code {code} ({times} times)")
}

/// The one sentence of a failed deploy.
pub fn deploy_failed(kind: DeployFailureKind, reason: &str, card: &FailureCard) -> String {
    let symptom = Symptom::of(card);
    let said = if reason.is_empty() { "it gave no reason" } else { reason };
    let what = match kind {
        DeployFailureKind::Refused
        | DeployFailureKind::Diverged
        | DeployFailureKind::CheckFailed
        | DeployFailureKind::NotContinued => return said.to_owned(),
        DeployFailureKind::Stopped => format!("the deployment was stopped ({said})"),
        DeployFailureKind::GivenUp => format!("the service gave the deployment up ({said})"),
        DeployFailureKind::DeadlineReached => {
            format!("the deployment was not stable at its deadline ({said})")
        }
        DeployFailureKind::ImageUnavailable if symptom == Symptom::WrongMachine => {
            format!("it can't be pulled ({said})")
        }
        DeployFailureKind::ImageUnavailable => return format!("the image can't be pulled: {said}"),
        DeployFailureKind::SecretDenied => {
            return format!("a secret of the task definition can't be read: {said}");
        }
        DeployFailureKind::NoCapacity => return format!("there is no room for the new tasks: {said}"),
        DeployFailureKind::KeepsExiting => {
            let given_up = format!("{said}, so the deployment was given up");
            return match symptom {
                Symptom::Exit { .. } | Symptom::Nothing => given_up,
                symptom => symptom.sentence().map_or(given_up.clone(), |seen| format!("{seen}; {given_up}")),
            };
        }
    };
    match symptom.sentence() {
        Some(seen) => format!("{seen}; {what}"),
        None => what,
    }
}

/// What to do about a failed deploy.
pub fn deploy_advice(kind: DeployFailureKind, card: &FailureCard) -> &'static str {
    let symptom = Symptom::of(card);
    match kind {
        DeployFailureKind::Refused => "mend what the message names, then push again",
        DeployFailureKind::Diverged => "find out who deployed outside of Pushway, then push again",
        DeployFailureKind::CheckFailed | DeployFailureKind::NotContinued => super::checkpoints::advice(kind),
        DeployFailureKind::Stopped => "find out who stopped it and why; push again if it was not meant",
        DeployFailureKind::ImageUnavailable if symptom != Symptom::WrongMachine => {
            "look whether the image is in the registry under this digest and whether the task's execution role may pull it"
        }
        DeployFailureKind::SecretDenied => {
            "look whether the secret exists and whether the task's execution role may read and decrypt it"
        }
        DeployFailureKind::NoCapacity => {
            "add capacity to the cluster, or subnets in further zones to the service, or ask for less CPU and memory; then push again"
        }
        DeployFailureKind::DeadlineReached => symptom.advice().unwrap_or(
            "look at the service's events and health checks; raise the deploy's `timeout` if it is only slow",
        ),
        DeployFailureKind::GivenUp if symptom == Symptom::Nothing => {
            "see what the service and its alarms say, mend it and push again"
        }
        DeployFailureKind::GivenUp
        | DeployFailureKind::KeepsExiting
        | DeployFailureKind::ImageUnavailable => {
            symptom.advice().unwrap_or("see the container's last log lines below, mend it and push again")
        }
    }
}

/// The card in lines, what tells most last; as many of each as one cause has room for.
pub fn evidence(card: &FailureCard) -> Vec<String> {
    let changes = card.changes.iter().take(6).map(|text| format!("changed: {text}"));
    let said = card.said.iter().rev().take(4).rev().map(|text| format!("service: {text}"));
    let unhealthy = card.unhealthy.iter().take(3).map(|text| format!("unhealthy: {text}"));
    let tasks = card.tasks.iter().take(4).map(|task| {
        let containers = task.containers.iter().map(|known| {
            let code =
                known.exit_code.map_or_else(|| "no exit code".into(), |code| format!("exit code {code}"));
            let reason = if known.reason.is_empty() { String::new() } else { format!(": {}", known.reason) };
            format!("{} {code}{reason}", known.name)
        });
        format!("task {} stopped: {} ({})", task.task, task.reason, containers.collect::<Vec<_>>().join(", "))
    });
    let log = card.log.iter().rev().take(13).rev().map(|line| format!("log: {line}"));
    changes.chain(said).chain(unhealthy).chain(tasks).chain(log).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure_card::{StoppedContainer, StoppedTask};
    use DeployFailureKind::{
        DeadlineReached, Diverged, GivenUp, ImageUnavailable, KeepsExiting, NoCapacity, Refused,
        SecretDenied, Stopped,
    };

    const TRIPPED: &str = "ECS deployment circuit breaker: tasks failed to start.";

    fn card(reason: &str, exit_code: Option<i32>, agent: &str) -> FailureCard {
        let containers = vec![StoppedContainer { name: "web".into(), exit_code, reason: agent.into() }];
        let task = StoppedTask { task: "0123".into(), reason: reason.into(), containers };
        FailureCard { tasks: vec![task], ..FailureCard::default() }
    }

    fn words(kind: DeployFailureKind, reason: &str, card: &FailureCard) -> String {
        format!("{}\nnext: {}", deploy_failed(kind, reason, card), deploy_advice(kind, card))
    }

    #[test]
    fn each_kind_of_exit_has_its_sentence() {
        let exited = "Essential container in task exited";
        insta::assert_snapshot!(words(GivenUp, TRIPPED, &card(exited, Some(3), "")), @r"
        container web exited with code 3; the service gave the deployment up (ECS deployment circuit breaker: tasks failed to start.)
        next: see the container's last log lines below, mend it and push again
        ");
        insta::assert_snapshot!(words(GivenUp, TRIPPED, &card(exited, Some(137), "OutOfMemoryError: Container killed due to memory usage")), @r"
        container web ran out of memory (exit code 137); the service gave the deployment up (ECS deployment circuit breaker: tasks failed to start.)
        next: raise the memory in the task definition, or find what takes it, then push again
        ");
        insta::assert_snapshot!(words(GivenUp, TRIPPED, &card(exited, Some(137), "")), @r"
        container web was killed (exit code 137), most likely for want of memory; the service gave the deployment up (ECS deployment circuit breaker: tasks failed to start.)
        next: raise the memory in the task definition, or find what takes it, then push again
        ");
        insta::assert_snapshot!(words(GivenUp, TRIPPED, &card(exited, Some(139), "")), @r"
        container web crashed with a memory fault (exit code 139); the service gave the deployment up (ECS deployment circuit breaker: tasks failed to start.)
        next: see the last log lines; a native library or a wrong build is the usual cause
        ");
        let log = vec!["exec /web: exec format error".to_owned()];
        let other = FailureCard { log, ..card(exited, Some(255), "") };
        insta::assert_snapshot!(words(GivenUp, TRIPPED, &other), @r"
        the image is built for another processor than the task runs on; the service gave the deployment up (ECS deployment circuit breaker: tasks failed to start.)
        next: build the image for the task's processor (`arch` of the build job, `runtimePlatform` of the task definition), then push again
        ");
        let thrice = keeps_exiting("web", 3, 3);
        insta::assert_snapshot!(words(KeepsExiting, &thrice, &card(exited, Some(3), "")), @r"
        container web exited with code 3 (3 times), so the deployment was given up
        next: see the container's last log lines below, mend it and push again
        ");
    }

    #[test]
    fn what_is_not_there_has_its_sentence() {
        let nothing = FailureCard::default();
        let missing = "CannotPullContainerError: manifest unknown";
        insta::assert_snapshot!(words(ImageUnavailable, missing, &card(missing, None, "")), @r"
        the image can't be pulled: CannotPullContainerError: manifest unknown
        next: look whether the image is in the registry under this digest and whether the task's execution role may pull it
        ");
        let other = "CannotPullContainerError: image Manifest does not contain descriptor matching platform 'linux/arm64'";
        insta::assert_snapshot!(words(ImageUnavailable, other, &card(other, None, "")), @r"
        the image is built for another processor than the task runs on; it can't be pulled (CannotPullContainerError: image Manifest does not contain descriptor matching platform 'linux/arm64')
        next: build the image for the task's processor (`arch` of the build job, `runtimePlatform` of the task definition), then push again
        ");
        let denied = "ResourceInitializationError: unable to pull secrets or registry auth: unable to retrieve secret from asm: AccessDeniedException";
        insta::assert_snapshot!(words(SecretDenied, denied, &card(denied, None, "")), @r"
        a secret of the task definition can't be read: ResourceInitializationError: unable to pull secrets or registry auth: unable to retrieve secret from asm: AccessDeniedException
        next: look whether the secret exists and whether the task's execution role may read and decrypt it
        ");
        let room = "(service web) was unable to place a task. Reason: Capacity is unavailable at this time.";
        insta::assert_snapshot!(words(NoCapacity, room, &nothing), @r"
        there is no room for the new tasks: (service web) was unable to place a task. Reason: Capacity is unavailable at this time.
        next: add capacity to the cluster, or subnets in further zones to the service, or ask for less CPU and memory; then push again
        ");
    }

    #[test]
    fn health_and_time_have_their_sentences() {
        let nothing = FailureCard::default();
        let elb = "Task failed ELB health checks in (target-group arn:aws:elasticloadbalancing:r:1:targetgroup/web/1)";
        let target = FailureCard { unhealthy: vec![elb.into()], ..card(elb, Some(143), "") };
        insta::assert_snapshot!(words(GivenUp, TRIPPED, &target), @r"
        Task failed ELB health checks in (target-group arn:aws:elasticloadbalancing:r:1:targetgroup/web/1); the service gave the deployment up (ECS deployment circuit breaker: tasks failed to start.)
        next: compare the container's port and path with the target group's health check; raise the service's health check grace period if it only needs time
        ");
        let sick = FailureCard { unhealthy: vec![sick_container("web")], ..FailureCard::default() };
        insta::assert_snapshot!(words(DeadlineReached, "ECS deployment in progress.", &sick), @r"
        the health check of container web fails; the deployment was not stable at its deadline (ECS deployment in progress.)
        next: run the health check's command inside the image; give it a longer startPeriod if it only needs time
        ");
        insta::assert_snapshot!(words(DeadlineReached, "", &nothing), @r"
        the deployment was not stable at its deadline (it gave no reason)
        next: look at the service's events and health checks; raise the deploy's `timeout` if it is only slow
        ");
        insta::assert_snapshot!(words(Diverged, "someone else has started deployment 2", &nothing), @r"
        someone else has started deployment 2
        next: find out who deployed outside of Pushway, then push again
        ");
        let alarm = stopped_by(RollbackOwner::Alarm, &["web-5xx".into()], "");
        insta::assert_snapshot!(words(GivenUp, &alarm, &nothing), @r"
        the service gave the deployment up (alarm web-5xx went off)
        next: see what the service and its alarms say, mend it and push again
        ");
        insta::assert_snapshot!(words(Stopped, &stopped_by(RollbackOwner::Person, &[], "Rollback requested."), &nothing), @r"
        the deployment was stopped (someone told ECS to stop it: Rollback requested.)
        next: find out who stopped it and why; push again if it was not meant
        ");
        insta::assert_snapshot!(words(Refused, "cluster demo has no active service web", &nothing), @r"
        cluster demo has no active service web
        next: mend what the message names, then push again
        ");
    }

    #[test]
    fn a_card_full_to_the_brim_fits_into_a_causes_evidence() {
        let many = |text: &str| vec![text.to_owned(); 40];
        let tasks = vec![card("Essential container in task exited", Some(3), "").tasks[0].clone(); 40];
        let full =
            FailureCard { tasks, unhealthy: many("u"), said: many("s"), changes: many("c"), log: many("l") };
        assert_eq!(evidence(&full).len(), crate::fact::Cause::MAX_EVIDENCE);
    }
}
