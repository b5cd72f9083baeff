//! Settling a service: what a deploy or a rollback came to, by the service's own account.

use jiff::Timestamp;

use super::failure::explain;
use super::stop::ended_by_stop;
use super::{Settled, answer, load, record, state_of, try_record};
use crate::contract::errors;
use crate::fact::{DeployFailure, DeployFailureKind, Fact, RollbackOutcome, RollbackOwner, Rollout};
use crate::failure_card::FailureCard;
use crate::ids::{EnvironmentName, RunId};
use crate::messages::{self, checkpoints};
use crate::ports::{Answer, Callbacks, Clock, Fault, Plans, ReadServices, Runs, Waits, Written};
use crate::rollout::{
    Hopeless, Progress, SETTLING, Window, deploy_failure, hopeless, judge_deploy, judge_rollback,
};
use crate::run::{EnvironmentState, Run};
use crate::views::{ServiceView, TaskView};
use crate::wait::{Wait, Work};

/// Opens a wait on a service. One that another run has left behind, answered but not closed, makes way; one
/// whose work goes on is a conflict.
pub async fn open_on_service<P>(ports: &P, wait: &Wait) -> Answer<Written>
where
    P: Runs + Plans + Waits + ReadServices + Callbacks + Clock,
{
    if ports.open(wait).await? == Written::Stored {
        return Ok(Written::Stored);
    }
    if let Some(left) = ports.find(&wait.subject).await? {
        if load(ports, left.run).await?.status.is_terminal() {
            ports.close(&left).await?;
        } else if settle_service(ports, &left).await? == Settled::Waiting {
            return Ok(Written::Conflict);
        }
    }
    ports.open(wait).await
}

/// Looks at the service that `wait` waits for.
pub async fn settle_service<P>(ports: &P, wait: &Wait) -> Answer<Settled>
where
    P: Runs + Plans + Waits + ReadServices + Callbacks + Clock,
{
    let run = load(ports, wait.run).await?;
    match &wait.work {
        Work::Deploy(environment) => settle_deploy(ports, wait, &run, environment).await,
        Work::Rollback(environment) => settle_rollback(ports, wait, &run, environment).await,
        Work::Job { .. }
        | Work::Task { .. }
        | Work::Acquire(_)
        | Work::Turn
        | Work::Needs(_)
        | Work::Watch(_)
        | Work::Check { .. } => Err(Fault::Permanent("a wait on a service must be for a deploy".into())),
    }
}

async fn settle_deploy<P>(ports: &P, wait: &Wait, run: &Run, environment: &EnvironmentName) -> Answer<Settled>
where
    P: Runs + Plans + Waits + ReadServices + Callbacks + Clock,
{
    let state = state_of(run, environment)?;
    if let Some(verdict) = &state.deploy {
        return reply(ports, wait, verdict.failure.as_ref()).await;
    }
    let (Some(rollout), Some(deployment)) = (&state.rollout, &state.deployment) else {
        // The deploy function is between two steps; its own retry goes on, unless it never comes.
        if ports.now() < wait.deadline {
            return Ok(Settled::Waiting);
        }
        return answer(
            ports,
            wait,
            Some((errors::DEPLOY_FAILED, "the deploy was prepared, but never started")),
        )
        .await;
    };
    if let Some(settled) = ended_by_stop(ports, run, wait).await? {
        return Ok(settled);
    }
    let (failure, ended_at, draining_since) = match seen(ports, rollout).await? {
        // One that was created a moment ago may not be shown yet.
        None if ports.now() < wait.opened_at + SETTLING => return Ok(Settled::Waiting),
        None => {
            let why = messages::no_service(&rollout.cluster, &rollout.service);
            (Some(refusal(environment, &why)), None, None)
        }
        Some(service) => match judged(ports, wait, rollout, deployment, &service).await? {
            (Progress::Moving, _) => return Ok(Settled::Waiting),
            (Progress::Serving { ended_at }, _) if state.was_let_go_on() => {
                (None, ended_at, draining_since(&service, wait.opened_at))
            }
            (progress, tasks) => {
                let seen = (&service, tasks);
                let (kind, reason) = why_lost(state, progress);
                let why = (kind, reason.as_str());
                (Some(explain(ports, rollout, environment, why, seen, wait.opened_at).await?), None, None)
            }
        },
    };
    let fact = Fact::DeployEnded { environment: environment.clone(), failure, ended_at, draining_since };
    let run =
        record_first(ports, run.id, fact, |run| Ok(state_of(run, environment)?.deploy.is_some())).await?;
    let verdict = state_of(&run, environment)?.deploy.as_ref();
    reply(ports, wait, verdict.and_then(|verdict| verdict.failure.as_ref())).await
}

/// Why a deploy is lost: what a checkpoint said is why ECS went back. One that serves was never asked about.
fn why_lost(state: &EnvironmentState, progress: Progress) -> (DeployFailureKind, String) {
    use DeployFailureKind::{CheckFailed, DeadlineReached, GivenUp, NotContinued, Stopped};
    let (kind, reason) = match progress {
        Progress::Lost { kind, reason } => (kind, reason),
        Progress::Serving { .. } | Progress::Moving => (CheckFailed, checkpoints::never_asked().to_owned()),
    };
    let held = state.failed_checkpoint().and_then(checkpoints::why_back);
    match (kind, held, state.paused()) {
        (Stopped | GivenUp | CheckFailed, Some(held), _) => held,
        (DeadlineReached, _, Some(point)) => {
            let place = checkpoints::place(point.served);
            (NotContinued, format!("the deploy's time was over while it waited for a person, {place}"))
        }
        (kind, ..) => (kind, reason),
    }
}

/// How the deploy stands, with the tasks where they were looked at: one that still moves may have no hope.
async fn judged<P: ReadServices + Clock>(
    ports: &P,
    wait: &Wait,
    rollout: &Rollout,
    deployment: &str,
    service: &ServiceView,
) -> Answer<(Progress, Option<Vec<TaskView>>)> {
    let record = ports.service_deployment(&rollout.at(), &rollout.task_definition).await?;
    let progress = judge_deploy(rollout, deployment, service, record.as_ref(), window(ports, wait));
    if progress != Progress::Moving {
        return Ok((progress, None));
    }
    let tasks = ports.tasks(&rollout.at()).await?;
    let found = hopeless(&rollout.task_definition, wait.opened_at, &tasks, &service.messages);
    Ok(match found {
        None => (Progress::Moving, None),
        Some(Hopeless { kind, reason }) => (Progress::Lost { kind, reason }, Some(tasks)),
    })
}

/// Records a fact unless another settler was first, who may have seen it a little otherwise: then its word
/// is the run's. `is_known` tells whether the run has such a word.
pub(super) async fn record_first<P: Runs + Clock>(
    ports: &P,
    id: RunId,
    fact: Fact,
    is_known: impl Fn(&Run) -> Answer<bool>,
) -> Answer<Run> {
    match try_record(ports, id, fact).await? {
        Ok(run) => Ok(run),
        Err(illegal) => {
            let run = load(ports, id).await?;
            if is_known(&run)? { Ok(run) } else { Err(Fault::Permanent(illegal.to_string())) }
        }
    }
}

async fn settle_rollback<P>(
    ports: &P,
    wait: &Wait,
    run: &Run,
    environment: &EnvironmentName,
) -> Answer<Settled>
where
    P: Runs + Plans + Waits + ReadServices + Callbacks + Clock,
{
    let state = state_of(run, environment)?;
    if state.rollback_outcome().is_some() {
        return answer(ports, wait, None).await;
    }
    let started = state.rollback.as_ref().and_then(|rollback| rollback.deployment.as_ref());
    let (Some(rollout), Some((followed, by))) = (&state.rollout, started) else {
        return if ports.now() < wait.deadline {
            Ok(Settled::Waiting)
        } else {
            let failed = RollbackOutcome::Failed {
                cause: messages::rollback_failed(environment, "it was decided, but never started"),
            };
            record(ports, run.id, Fact::RollbackEnded { environment: environment.clone(), outcome: failed })
                .await?;
            answer(ports, wait, None).await
        };
    };
    let outcome = match seen(ports, rollout).await? {
        None => failed(environment, "the service is gone"),
        Some(service) => {
            let record = ports.service_deployment(&rollout.at(), &rollout.task_definition).await?;
            match judge_rollback(rollout, followed, &service, record.as_ref(), window(ports, wait)) {
                Progress::Moving => return Ok(Settled::Waiting),
                Progress::Serving { .. } => RollbackOutcome::Restored { by: *by },
                Progress::Lost { reason, .. } => without_baseline_tasks(environment, *by, &reason),
            }
        }
    };
    let fact = Fact::RollbackEnded { environment: environment.clone(), outcome };
    record_first(ports, run.id, fact, |run| Ok(state_of(run, environment)?.rollback_outcome().is_some()))
        .await?;
    answer(ports, wait, None).await
}

fn without_baseline_tasks(environment: &EnvironmentName, by: RollbackOwner, reason: &str) -> RollbackOutcome {
    let reason = if reason.is_empty() { "the service gave no reason" } else { reason };
    let who = match by {
        RollbackOwner::Pushway => "the deployment that brings it back did not complete",
        RollbackOwner::Service | RollbackOwner::Alarm | RollbackOwner::Person => {
            "the service's own rollback did not complete"
        }
    };
    failed(environment, &format!("{who}: {reason}"))
}

fn failed(environment: &EnvironmentName, reason: &str) -> RollbackOutcome {
    RollbackOutcome::Failed { cause: messages::rollback_failed(environment, reason) }
}

/// Records that a deploy could not begin, and answers for it.
pub async fn record_deploy_failure<P>(
    ports: &P,
    run: &Run,
    environment: &EnvironmentName,
    reason: &str,
) -> Answer<DeployFailure>
where
    P: Runs + Clock,
{
    let failure = refusal(environment, reason);
    let fact = Fact::DeployEnded {
        environment: environment.clone(),
        failure: Some(failure.clone()),
        ended_at: None,
        draining_since: None,
    };
    record(ports, run.id, fact).await?;
    Ok(failure)
}

fn refusal(environment: &EnvironmentName, reason: &str) -> DeployFailure {
    deploy_failure(environment, DeployFailureKind::Refused, reason, FailureCard::default())
}

async fn reply<P: Callbacks + Waits>(
    ports: &P,
    wait: &Wait,
    failure: Option<&DeployFailure>,
) -> Answer<Settled> {
    match failure {
        None => answer(ports, wait, None).await,
        Some(failure) => answer(ports, wait, Some((errors::DEPLOY_FAILED, &failure.cause.summary))).await,
    }
}

async fn seen(ports: &impl ReadServices, rollout: &Rollout) -> Answer<Option<ServiceView>> {
    ports.service(&rollout.at()).await
}

fn window(clock: &impl Clock, wait: &Wait) -> Window {
    Window { since: wait.opened_at, now: clock.now(), deadline: wait.deadline }
}

/// When the service last began to drain connections of old tasks since then (Amazon ECS Developer Guide, "Amazon ECS
/// service event messages").
fn draining_since(service: &ServiceView, since: Timestamp) -> Option<Timestamp> {
    let draining =
        service.messages.iter().filter(|message| message.text.contains("begun draining connections"));
    draining.filter_map(|message| message.at).filter(|at| *at >= since).max()
}
