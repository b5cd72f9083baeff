//! Lifecycle hooks: ECS invokes a function before it moves traffic, and does what it is answered.
//!
//! Stages, event and answers follow the Amazon ECS Developer Guide ("Lambda hooks for Amazon ECS service
//! deployments"): no answer or none of the known ones takes the deployment back, and so does the hook's own
//! timeout. Whoever plays the world takes the calls and brings the answers.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::ecs::{Ecs, FakeService, Step};
use super::ecs_records::Why;
use super::{Event, World};
use crate::checkpoint::STAGE;
use crate::plan::Strategy;

/// When ECS asks again where an answer does not say.
const ASKS_AGAIN: i64 = 30;

/// An invocation of a hook that waits for its answer.
#[derive(Debug, Clone, PartialEq)]
pub struct HookCall {
    /// The event.
    pub payload: Value,
    pub(super) service: String,
    pub(super) rollout: String,
    pub(super) served: u8,
    pub(super) since: Timestamp,
}

impl World {
    /// The invocations that wait for an answer, each once.
    pub fn take_hook_calls(&self) -> Vec<HookCall> {
        std::mem::take(&mut self.lock().ecs.asked)
    }

    /// Brings the answer; none is that of a function that failed.
    pub fn answer_hook(&self, call: &HookCall, answer: Option<Value>) {
        let mut state = self.lock();
        let now = state.now;
        let mut events = Vec::new();
        state.ecs.take_answer(call, &answer.unwrap_or_default(), now, &mut events);
        state.events.extend(events);
    }
}

impl Ecs {
    /// Invokes the hook, unless its time is over.
    pub(super) fn ask(
        &mut self,
        service: &mut FakeService,
        rollout: &str,
        (served, since): (u8, Timestamp),
        at: Timestamp,
        events: &mut Vec<Event>,
    ) {
        let Some(hook) = service.movement.hook.clone() else { return };
        if at >= since + SignedDuration::from_mins(hook.timeout_minutes.into()) {
            service.answers.push("TIMED_OUT".into());
            self.go_back(service, rollout, at, Why::Hook, events);
            return;
        }
        let Some(deployment) = service.record_of(rollout).map(|record| record.view.arn.clone()) else {
            return;
        };
        let revision =
            |which: &str| service.arn().replacen(":service/", ":service-revision/", 1) + "/" + which;
        let payload = json!({
            "executionId": "e8d5a28f-eb01-4f3c-9454-a30ba6dc54bc",
            "lifecycleStage": STAGE,
            "resourceArn": deployment,
            "executionDetails": {
                "serviceArn": service.arn(),
                "targetServiceRevisionArn": revision("green"),
                "testTrafficWeights": {},
                "productionTrafficWeights": { revision("green"): served, revision("blue"): 100 - served },
            },
            "hookDetails": hook.details(),
        });
        let (service, rollout) = (service.arn(), rollout.to_owned());
        self.asked.push(HookCall { payload, service, rollout, served, since });
    }

    fn take_answer(&mut self, call: &HookCall, answer: &Value, now: Timestamp, events: &mut Vec<Event>) {
        let position = self.services.iter().position(|service| service.arn() == call.service);
        let Some(position) = position else { return };
        let mut service = self.services[position].clone();
        let status = answer["hookStatus"].as_str().unwrap_or("NO_ANSWER").to_owned();
        service.answers.push(status.clone());
        // One that was stopped meanwhile waits for nobody.
        if service.is_moving_as(&call.rollout) {
            let id = call.rollout.clone();
            match status.as_str() {
                "SUCCEEDED" => shift(&mut service, id, call.served, now),
                "IN_PROGRESS" => {
                    let seconds = answer["callBackDelay"].as_i64().unwrap_or(ASKS_AGAIN);
                    let again = now + SignedDuration::from_secs(seconds);
                    service.steps.push((again, Step::Asks(id, call.served, call.since)));
                }
                _ => self.go_back(&mut service, &id, now, Why::Hook, events),
            }
        }
        self.services[position] = service;
    }
}

/// Moves the next part of the traffic, and plans what follows.
fn shift(service: &mut FakeService, id: String, served: u8, now: Timestamp) {
    let (next, pause, bake) = match service.movement.strategy {
        Strategy::AsConfigured | Strategy::Rolling => (100, 0, 0),
        Strategy::BlueGreen { bake_minutes } => (100, 0, bake_minutes),
        Strategy::Canary { percent, hold_minutes, bake_minutes } => {
            (if served == 0 { percent } else { 100 }, hold_minutes, bake_minutes)
        }
        Strategy::Linear { step, every_minutes, bake_minutes } => {
            (served.saturating_add(step).min(100), every_minutes, bake_minutes)
        }
    };
    service.served.push(next);
    let after = |minutes: u16| now + SignedDuration::from_mins(minutes.into());
    service.steps.push(if next < 100 {
        (after(pause), Step::Asks(id, next, after(pause)))
    } else {
        (after(bake), Step::Completes(id))
    });
}
