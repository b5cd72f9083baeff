//! The verdict on a deploy: what a service's own account of itself means for the deployment we started.
//!
//! Pure: reads a view of the service, decides, explains. A rollout counts as done only if it is the
//! deployment that this run started, by id; whoever moved the service back, that is never a success.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use crate::fact::{Cause, DeployFailure, DeployFailureKind, RollbackOwner, Rollout};
use crate::failure_card::FailureCard;
use crate::ids::{EnvironmentName, ImageDigestRef};
use crate::image_file::ImageFile;
use crate::messages::{self, deploys};
use crate::plan::{ImageSource, Target};
use crate::run::{CheckpointFailure, CheckpointState, EnvironmentState, Run};
use crate::service_deployment::{ServiceDeploymentStatus, ServiceDeploymentView};
use crate::views::{RolloutState, RolloutView, ServiceView, TaskView};

mod hopeless;

pub use hopeless::{Hopeless, hopeless};

/// The images that a run deploys to a target, by digest; or why there are none.
pub fn images_of(run: &Run, target: &Target) -> Result<BTreeMap<String, ImageDigestRef>, String> {
    let image = |(container, source): (&String, &ImageSource)| {
        let image = match source {
            ImageSource::Fixed(image) => image.clone(),
            ImageSource::Output { job, output } => {
                let value = run.build_outputs(job).and_then(|outputs| outputs.get(output));
                let value = value
                    .ok_or_else(|| messages::not_an_image(job, output, "the build did not export it"))?;
                value.parse().map_err(|error| messages::not_an_image(job, output, &format!("{error}")))?
            }
            ImageSource::Detail { job } => {
                let detail = run.build_images(job).and_then(|images| images.detail.clone());
                detail.ok_or_else(|| messages::no_images_of(job, ImageFile::Detail))?
            }
        };
        Ok((container.clone(), image))
    };
    if let Some(job) = target.images_from() {
        let named =
            run.build_images(job).map(|images| &images.definitions).filter(|images| !images.is_empty());
        return named.cloned().ok_or_else(|| messages::no_images_of(job, ImageFile::Definitions));
    }
    target.images().iter().map(image).collect()
}

/// How a deploy or a rollback stands.
#[derive(Debug, Clone, PartialEq)]
pub enum Progress {
    /// Under way.
    Moving,
    /// The wanted deployment is complete and serves.
    Serving {
        /// When the service says so.
        ended_at: Option<Timestamp>,
    },
    /// It will not come to serve.
    Lost {
        /// How.
        kind: DeployFailureKind,
        /// In the service's own words, as far as it has any.
        reason: String,
    },
}

/// How long after a service was told to move a view of it may still be of the time before: the ECS API is
/// eventually consistent. Within it, the absence of a deployment says nothing.
pub const SETTLING: SignedDuration = SignedDuration::from_secs(60);

/// Between which times a rollout is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// When the service was told to move, or a little before.
    pub since: Timestamp,
    /// When it is looked at.
    pub now: Timestamp,
    /// When it must be done.
    pub deadline: Timestamp,
}

impl Window {
    fn is_over(&self) -> bool {
        self.now >= self.deadline
    }

    /// Whether a view may be of the time before the move.
    fn may_be_stale(&self) -> bool {
        self.now < self.since + SETTLING
    }
}

/// Judges the deploy of `rollout` as `deployment`, by the service's view and, where there is one, by the
/// deployment's own record. Both must agree on a success; of two who say that it is lost, the record says why.
pub fn judge_deploy(
    rollout: &Rollout,
    deployment: &str,
    service: &ServiceView,
    record: Option<&ServiceDeploymentView>,
    window: Window,
) -> Progress {
    use ServiceDeploymentStatus as Status;
    let shown = judge_shown(rollout, deployment, service, window);
    let Some(record) = record else { return shown };
    let has_diverged = matches!(shown, Progress::Lost { kind: DeployFailureKind::Diverged, .. });
    let primary = service.primary().filter(|primary| primary.id == deployment);
    match record.status {
        // A view is never behind the record of a rolling update. While traffic shifts, the old version may
        // be the primary one.
        Status::Pending | Status::InProgress | Status::StopRequested if record.is_rolling => shown,
        Status::Pending | Status::InProgress | Status::StopRequested if window.is_over() => {
            Progress::Lost { kind: DeployFailureKind::DeadlineReached, reason: record.reason.clone() }
        }
        Status::Pending | Status::InProgress | Status::StopRequested => Progress::Moving,
        Status::Successful if primary.is_some() => Progress::Serving { ended_at: record.finished_at },
        Status::Successful => shown,
        Status::Stopped => match shown {
            lost @ Progress::Lost { .. } => lost,
            _ => Progress::Lost {
                kind: DeployFailureKind::GivenUp,
                reason: deploys::stopped_where_it_was(&record.reason),
            },
        },
        _ if has_diverged => shown,
        _ => {
            let (kind, reason) = record.failure();
            Progress::Lost { kind, reason }
        }
    }
}

fn judge_shown(rollout: &Rollout, deployment: &str, service: &ServiceView, window: Window) -> Progress {
    let lost = |kind, reason: &str| Progress::Lost { kind, reason: reason.to_owned() };
    let ours = service.rollouts.iter().find(|view| view.id == deployment);
    if let Some(ours) = ours
        && ours.state == RolloutState::Failed
    {
        return lost(DeployFailureKind::GivenUp, &ours.reason);
    }
    match (ours, service.primary()) {
        (Some(ours), Some(primary)) if ours.id == primary.id => match ours.state {
            RolloutState::Completed => Progress::Serving { ended_at: ours.updated_at },
            _ if window.is_over() => lost(DeployFailureKind::DeadlineReached, &ours.reason),
            _ => Progress::Moving,
        },
        (None, _) if window.may_be_stale() => Progress::Moving,
        // The service moves elsewhere: back by itself, or on by someone else's hand.
        (_, Some(primary)) if is_baseline(rollout, primary) => {
            lost(DeployFailureKind::GivenUp, &primary.reason)
        }
        (_, Some(primary)) => lost(DeployFailureKind::Diverged, &messages::moved_elsewhere(primary)),
        (_, None) if window.is_over() => {
            lost(DeployFailureKind::DeadlineReached, "the service shows no deployment")
        }
        (_, None) => Progress::Moving,
    }
}

/// Judges a rollback to the rollout's baseline. Whichever deployment brings the baseline counts: ours, the
/// service's own, or one that a person started to help. Where `followed` is a service deployment that goes
/// back, its record must say that it has: the old version never left, so its view alone says nothing.
pub fn judge_rollback(
    rollout: &Rollout,
    followed: &str,
    service: &ServiceView,
    record: Option<&ServiceDeploymentView>,
    window: Window,
) -> Progress {
    use ServiceDeploymentStatus as Status;
    let lost = |kind, reason: &str| Progress::Lost { kind, reason: reason.to_owned() };
    let Some(record) = record.filter(|record| record.arn == followed) else {
        return judge_back(rollout, service, window);
    };
    match record.status {
        Status::RollbackFailed => lost(DeployFailureKind::GivenUp, &record.reason),
        Status::RollbackSuccessful | Status::Successful | Status::Stopped => {
            judge_back(rollout, service, window)
        }
        _ if window.is_over() => lost(DeployFailureKind::DeadlineReached, &record.reason),
        _ => Progress::Moving,
    }
}

fn judge_back(rollout: &Rollout, service: &ServiceView, window: Window) -> Progress {
    let lost = |kind, reason: &str| Progress::Lost { kind, reason: reason.to_owned() };
    match service.primary() {
        Some(primary) if is_baseline(rollout, primary) => match primary.state {
            RolloutState::Completed => Progress::Serving { ended_at: primary.updated_at },
            RolloutState::Failed => lost(DeployFailureKind::GivenUp, &primary.reason),
            RolloutState::InProgress if window.is_over() => {
                lost(DeployFailureKind::DeadlineReached, &primary.reason)
            }
            RolloutState::InProgress => Progress::Moving,
        },
        _ if window.may_be_stale() => Progress::Moving,
        Some(primary) => lost(DeployFailureKind::Diverged, &messages::moved_elsewhere(primary)),
        None if window.is_over() => {
            lost(DeployFailureKind::DeadlineReached, "the service shows no deployment")
        }
        None => Progress::Moving,
    }
}

/// What a rollback has to do, by what the service does now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RollbackStep {
    /// The service was never moved by this run.
    NotNeeded(String),
    /// There is nothing to go back to.
    NoBaseline,
    /// Someone moves or has moved the service to the baseline: wait for that deployment.
    Follow {
        /// Its id.
        deployment: String,
        /// Who started it.
        by: RollbackOwner,
    },
    /// Tell the deployment under way to stop and go back.
    Stop {
        /// The service deployment's ARN.
        deployment: String,
    },
    /// Move the service to this task definition.
    Move {
        /// ARN of the baseline's task definition.
        task_definition: String,
    },
}

/// Decides the rollback's step. One owner at a time: where the service goes back by itself, or someone made it,
/// we only watch.
pub fn rollback_step(
    environment: &EnvironmentState,
    service: &ServiceView,
    record: Option<&ServiceDeploymentView>,
) -> RollbackStep {
    let (Some(rollout), false) = (&environment.rollout, environment.was_refused()) else {
        return RollbackStep::NotNeeded("the deploy had not touched the service".into());
    };
    if let Some((deployment, by)) =
        environment.rollback.as_ref().and_then(|rollback| rollback.deployment.clone())
    {
        return RollbackStep::Follow { deployment, by };
    }
    if let Some(step) = record.and_then(|record| step_of_record(environment, rollout, service, record)) {
        return step;
    }
    let primary = service.primary();
    let started = environment.deployment.as_deref();
    if let Some(primary) = primary
        && Some(primary.id.as_str()) != started
        && !is_baseline(rollout, primary)
        && primary.task_definition != rollout.task_definition
    {
        // A breaker may fall back to something that never ran; that is nobody's later deployment.
        return if rollout.baseline.is_none() && !has_diverged(environment) {
            RollbackStep::NoBaseline
        } else {
            RollbackStep::NotNeeded(messages::moved_elsewhere(primary))
        };
    }
    let Some(baseline) = &rollout.baseline else { return RollbackStep::NoBaseline };
    match primary {
        Some(primary) if is_baseline(rollout, primary) && primary.state != RolloutState::Failed => {
            // Before UpdateService was called the baseline's own deployment is the primary one, and complete.
            let untouched = started.is_none() && primary.state == RolloutState::Completed;
            if untouched {
                return RollbackStep::NotNeeded("the deploy had not touched the service".into());
            }
            let shows_ours = service.rollouts.iter().any(|view| Some(view.id.as_str()) == started);
            if !shows_ours && primary.state == RolloutState::Completed {
                // Gone back long since, or a view of the time before: telling the service to go where it
                // may be already does nothing in the first case and the right thing in the second.
                return RollbackStep::Move { task_definition: baseline.task_definition.clone() };
            }
            RollbackStep::Follow { deployment: primary.id.clone(), by: RollbackOwner::Service }
        }
        _ => RollbackStep::Move { task_definition: baseline.task_definition.clone() },
    }
}

/// The step that a record asks for: one that is over, or could not go back, leaves it to the service's view.
fn step_of_record(
    environment: &EnvironmentState,
    rollout: &Rollout,
    service: &ServiceView,
    record: &ServiceDeploymentView,
) -> Option<RollbackStep> {
    use ServiceDeploymentStatus as Status;
    rollout.baseline.as_ref()?;
    let is_back = service.primary().is_some_and(|primary| is_baseline(rollout, primary));
    match record.status {
        Status::Pending | Status::InProgress => {
            return Some(RollbackStep::Stop { deployment: record.arn.clone() });
        }
        Status::RollbackRequested | Status::RollbackInProgress => Some(()),
        Status::RollbackSuccessful if is_back => Some(()),
        _ => None,
    }?;
    Some(RollbackStep::Follow { deployment: record.arn.clone(), by: whose_rollback(environment, record) })
}

/// Who made a deployment go back: if neither breaker nor alarm did, and the verdict was ours, so was the stop,
/// and an earlier try of this state has died before it could write that down.
fn whose_rollback(environment: &EnvironmentState, record: &ServiceDeploymentView) -> RollbackOwner {
    // ECS went back at what it was answered.
    match environment.failed_checkpoint().and_then(CheckpointState::failure) {
        Some(CheckpointFailure::Person) => return RollbackOwner::Person,
        Some(CheckpointFailure::Check | CheckpointFailure::Nobody) => return RollbackOwner::Pushway,
        None => {}
    }
    let failure = environment.deploy.as_ref().and_then(|verdict| verdict.failure.as_ref());
    let theirs = failure.is_some_and(|failure| {
        matches!(failure.kind, DeployFailureKind::GivenUp | DeployFailureKind::Stopped)
    });
    match record.stopper() {
        RollbackOwner::Person if !theirs => RollbackOwner::Pushway,
        stopper => stopper,
    }
}

fn has_diverged(environment: &EnvironmentState) -> bool {
    let failure = environment.deploy.as_ref().and_then(|verdict| verdict.failure.as_ref());
    failure.is_some_and(|failure| failure.kind == DeployFailureKind::Diverged)
}

fn is_baseline(rollout: &Rollout, view: &RolloutView) -> bool {
    rollout.baseline.as_ref().is_some_and(|baseline| baseline.task_definition == view.task_definition)
}

/// Why a deploy failed, with all that was seen of it.
pub fn deploy_failure(
    environment: &EnvironmentName,
    kind: DeployFailureKind,
    reason: &str,
    card: FailureCard,
) -> DeployFailure {
    let summary = deploys::deploy_failed(kind, reason, &card);
    let cause =
        Cause::new(messages::environment_stage(environment), summary, deploys::deploy_advice(kind, &card))
            .with_evidence(deploys::evidence(&card));
    let card = (card != FailureCard::default()).then(|| Box::new(card));
    DeployFailure { kind, cause, card }
}

/// The container whose log tells most of a failed deployment: one that exited with an error, else a sick one.
pub fn telling_container<'a>(
    task_definition: &str,
    tasks: &'a [TaskView],
) -> Option<(&'a TaskView, &'a str)> {
    let ours = || tasks.iter().filter(|task| task.task_definition == task_definition);
    let with = |wanted: fn(&crate::views::ContainerView) -> bool| {
        ours().find_map(|task| {
            let container = task.containers.iter().find(|container| wanted(container))?;
            Some((task, container.name.as_str()))
        })
    };
    with(|container| container.exit_code.is_some_and(|code| code != 0))
        .or_else(|| with(|container| container.is_unhealthy))
        .or_else(|| with(|_| true))
}

/// Whether every running task of the service runs `task_definition` and its images; gives how many do, or
/// says what runs instead.
pub fn check_digests(
    task_definition: &str,
    images: &BTreeMap<String, ImageDigestRef>,
    tasks: &[TaskView],
) -> Result<u32, String> {
    let running: Vec<&TaskView> = tasks.iter().filter(|task| task.is_running && !task.is_stopped).collect();
    if running.is_empty() {
        let stopped = tasks.iter().find(|task| task.is_stopped && task.task_definition == task_definition);
        return Err(messages::nothing_runs(stopped));
    }
    for task in &running {
        if task.task_definition != task_definition {
            return Err(format!("a task of another revision still runs: {}", task.task_definition));
        }
        for (name, image) in images {
            let container = task.containers.iter().find(|container| container.name == *name);
            match container.and_then(|container| container.digest.as_ref()) {
                Some(digest) if digest == image.digest() => {}
                Some(digest) => {
                    return Err(format!("container {name} runs {digest}, not {}", image.digest()));
                }
                None => return Err(format!("container {name} shows no image digest")),
            }
        }
    }
    Ok(u32::try_from(running.len()).unwrap_or(u32::MAX))
}
