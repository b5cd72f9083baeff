//! Checkpoints: where ECS asks before it moves production traffic, and what it is answered.
//!
//! ECS invokes a function at the stage `PRE_PRODUCTION_TRAFFIC_SHIFT`: once before all traffic moves, and for canary
//! and linear deployments before each further step (Amazon ECS Developer Guide, "Lambda hooks for Amazon ECS
//! service deployments"). What an invocation says of run and environment is data, not authority: whose
//! deployment it is about follows from the record. Pure.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::ids::{EnvironmentName, RunId};
use crate::run::{CheckpointState, EnvironmentState, Run};
use crate::service_deployment::ServiceDeploymentView;
use crate::strategy::Strategy;

/// The stage at which ECS asks.
pub const STAGE: &str = "PRE_PRODUCTION_TRAFFIC_SHIFT";
/// The key of a hook's details that is ours: hooks without it belong to somebody else.
pub const MARK: &str = "pushway";
/// When ECS asks again while nothing can be said yet, or a person is waited for, in seconds.
pub const ASK_AGAIN_SECONDS: u32 = 30;
/// The longest that ECS waits for a hook, in minutes.
const LONGEST_MINUTES: u32 = 1_440;

/// What a service is told so that ECS asks: for whom it does, and for how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckHook {
    /// The run that deploys.
    pub run: RunId,
    /// The environment.
    pub environment: EnvironmentName,
    /// How long ECS waits for an answer before it goes back.
    pub timeout_minutes: u32,
}

impl CheckHook {
    /// A hook of a deploy that may take so long.
    pub fn new(run: RunId, environment: EnvironmentName, timeout_seconds: u32) -> Self {
        let timeout_minutes = timeout_seconds.div_ceil(60).clamp(1, LONGEST_MINUTES);
        Self { run, environment, timeout_minutes }
    }

    /// What ECS passes on with each invocation.
    pub fn details(&self) -> Value {
        json!({ MARK: { "run": self.run, "environment": self.environment } })
    }
}

/// An invocation by ECS. What may be missing may: a field of another shape must not cost a good deployment.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HookEvent {
    /// The stage.
    pub lifecycle_stage: String,
    /// ARN of the service deployment.
    #[serde(default)]
    pub resource_arn: String,
    /// How it stands.
    #[serde(default)]
    pub execution_details: HookExecution,
    /// What the service was told to pass on.
    #[serde(default)]
    pub hook_details: Value,
}

/// How the deployment stands, as ECS tells it.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HookExecution {
    /// ARN of the service revision that it brings.
    pub target_service_revision_arn: String,
    /// Per cent of the production traffic, by service revision.
    pub production_traffic_weights: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
struct About {
    run: RunId,
    environment: EnvironmentName,
}

impl HookEvent {
    /// For which run and environment the hook was set, if it is one of ours.
    pub fn about(&self) -> Option<(RunId, EnvironmentName)> {
        let about = About::deserialize(self.hook_details.get(MARK)?).ok()?;
        Some((about.run, about.environment))
    }

    /// Per cent of the production traffic that the new version has; `None` where ECS does not say.
    fn served(&self) -> Option<u8> {
        let HookExecution { target_service_revision_arn, production_traffic_weights } =
            &self.execution_details;
        let weight = production_traffic_weights.get(target_service_revision_arn)?.as_f64()?;
        (0_u8..=100).find(|percent| f64::from(*percent) >= weight)
    }
}

/// What ECS is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum HookStatus {
    /// Go on.
    Succeeded,
    /// Go back.
    Failed,
    /// Ask again.
    InProgress,
}

/// The answer to an invocation.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HookAnswer {
    /// What ECS is to do.
    pub hook_status: HookStatus,
    /// In how many seconds it is to ask again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call_back_delay: Option<u32>,
    /// What it passes on the next time.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub hook_details: Value,
}

impl HookAnswer {
    /// Go on.
    pub fn go_on() -> Self {
        Self { hook_status: HookStatus::Succeeded, call_back_delay: None, hook_details: Value::Null }
    }

    /// Go back.
    pub fn go_back() -> Self {
        Self { hook_status: HookStatus::Failed, ..Self::go_on() }
    }

    /// Ask again in so many seconds. Whether ECS keeps details that an answer leaves out is told in two ways, so
    /// they are given back as they came.
    pub fn ask_again(event: &HookEvent, seconds: u32) -> Self {
        Self {
            hook_status: HookStatus::InProgress,
            call_back_delay: Some(seconds),
            hook_details: event.hook_details.clone(),
        }
    }
}

/// What an invocation asks, by the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// Nothing of ours: somebody else's deployment, one that is over, or the way back. It is held up by nobody.
    NotOurs,
    /// Ours, and lost: it goes back.
    Lost,
    /// That can't be told yet.
    Unclear,
    /// Whether ours may go on, now that the new version has so much of the traffic, in per cent.
    MayGoOn(u8),
}

/// Reads an invocation by the record: `deployment` is the newest one that brings the run's own revision.
pub fn asked(
    event: &HookEvent,
    run: &Run,
    state: &EnvironmentState,
    deployment: Option<&ServiceDeploymentView>,
) -> Asked {
    let Some(deployment) = deployment else {
        // The record comes a moment late, or may not be read. A deploy that is over has nothing to lose by it.
        return if state.deploy.is_some() { Asked::NotOurs } else { Asked::Unclear };
    };
    if deployment.arn != event.resource_arn || deployment.goes_back() {
        return Asked::NotOurs;
    }
    match &state.deploy {
        Some(verdict) if verdict.failure.is_none() => return Asked::NotOurs,
        Some(_) => return Asked::Lost,
        // Of a run that broke in the middle nobody would hear what the checks say.
        None if state.rollback.is_some() || run.status.is_terminal() => return Asked::Lost,
        None => {}
    }
    // The function that moved the service has not written it down yet.
    if state.deployment.is_none() {
        return Asked::Unclear;
    }
    if event.lifecycle_stage != STAGE {
        return Asked::NotOurs;
    }
    let later = state.checkpoints.first().is_some_and(CheckpointState::has_passed);
    Asked::MayGoOn(event.served().unwrap_or(u8::from(later)))
}

/// At how many different shares of the traffic a deployment must have been asked about before it counts as
/// checked: before any, and where it moves in parts, at a part.
pub fn asks(strategy: Strategy) -> u8 {
    match strategy {
        Strategy::AsConfigured | Strategy::Rolling => 0,
        Strategy::Canary { .. } => 2,
        Strategy::Linear { step, .. } if step < 100 => 2,
        Strategy::BlueGreen { .. } | Strategy::Linear { .. } => 1,
    }
}

/// Whether a person is waited for at this checkpoint: before all the traffic moves at once, or once the first
/// part has.
pub fn is_pause(strategy: Strategy, points: &[CheckpointState], served: u8) -> bool {
    let first = points.iter().find(|point| asks(strategy) < 2 || point.served > 0);
    first.is_some_and(|point| point.served == served)
}
