//! ECS' own records of deployments, and its strategies: traffic that shifts, alarms, people, the way back.
//!
//! Statuses follow the Amazon ECS Developer Guide ("View service history using Amazon ECS service
//! deployments", "Stopping Amazon ECS service deployments"). While traffic shifts, the tasks of both versions
//! run; a deployment that goes back leaves the old version where it was, which is steady all the time. The
//! emulator's manner keeps no records.

use jiff::{SignedDuration, Timestamp};

use super::Event;
use super::ecs::{Behaviour, Ecs, FakeService, Manner, Step};
use crate::service_deployment::{ServiceDeploymentStatus as Status, ServiceDeploymentView};
use crate::views::RolloutState;

/// How long ECS takes to bring the traffic back.
const RETURNS: SignedDuration = SignedDuration::from_secs(10);

/// A record of a deployment.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// The task definition it brings.
    pub task_definition: String,
    /// As ECS tells it.
    pub view: ServiceDeploymentView,
    /// The deployment of the service that it is the record of.
    pub(super) rollout: String,
    /// The deployment that brings the old version back.
    pub(super) back: Option<String>,
}

/// Who makes a deployment go back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    Breaker,
    Alarm,
    Pushway,
    Someone,
    Hook,
}

impl FakeService {
    /// The record of the deployment that has this id in the service's list.
    pub(super) fn record_of(&mut self, rollout: &str) -> Option<&mut Record> {
        self.records.iter_mut().rev().find(|record| record.rollout == rollout)
    }

    pub(super) fn open_record(&mut self, rollout: &str, definition: &str) {
        if self.manner == Manner::Emulator {
            return;
        }
        let arn = format!(
            "arn:aws:ecs:eu-central-1:000000000000:service-deployment/{}/{}/{}",
            self.cluster,
            self.name,
            self.records.len() + 1
        );
        self.records.push(Record {
            task_definition: definition.to_owned(),
            rollout: rollout.to_owned(),
            back: None,
            view: ServiceDeploymentView {
                arn,
                status: Status::InProgress,
                reason: String::new(),
                is_rolling: !self.movement.strategy.shifts_traffic(),
                breaker_tripped: false,
                alarms: Vec::new(),
                hook_failed: false,
                finished_at: None,
            },
        });
    }

    /// A newer deployment stops those that are under way.
    pub(super) fn supersede_records(&mut self, at: Timestamp) {
        let going = |record: &&mut Record| record.view.finished_at.is_none();
        for record in self.records.iter_mut().filter(going) {
            record.view.status = Status::Stopped;
            record.view.reason = "Service deployment stopped by a newer one.".into();
            record.view.finished_at = Some(at);
        }
    }

    /// The deployment `rollout` has ended well: what it was for has come true.
    pub(super) fn close_record(&mut self, rollout: &str, at: Timestamp) {
        for record in &mut self.records {
            let is_back = record.back.as_deref() == Some(rollout);
            if (record.rollout == rollout || is_back) && record.view.finished_at.is_none() {
                record.view.status = if is_back { Status::RollbackSuccessful } else { Status::Successful };
                record.view.finished_at = Some(at);
            }
        }
    }

    /// The deployment `rollout` has failed: on the way there, or on the way back.
    pub(super) fn fail_record(&mut self, rollout: &str, at: Timestamp) {
        for record in &mut self.records {
            if record.back.as_deref() == Some(rollout) {
                record.view.status = Status::RollbackFailed;
                record.view.finished_at = Some(at);
            } else if record.rollout == rollout {
                record.view.status = Status::Stopped;
                record.view.breaker_tripped = true;
                record.view.finished_at = Some(at);
            }
        }
    }

    pub(super) fn goes_back(&mut self, rollout: &str, back: Option<String>, why: Why) {
        let alarms = self.movement.alarms.clone();
        let Some(record) = self.record_of(rollout) else { return };
        record.back = back;
        record.view.status = Status::RollbackInProgress;
        record.view.finished_at = None;
        match why {
            Why::Breaker => record.view.breaker_tripped = true,
            Why::Alarm => record.view.alarms = alarms,
            Why::Pushway | Why::Someone => record.view.reason = "Rollback requested.".into(),
            Why::Hook => record.view.hook_failed = true,
        }
    }
}

impl Ecs {
    /// What `StopServiceDeployment` does: gives whether the deployment goes back.
    pub(super) fn stop(
        &mut self,
        cluster: &str,
        service: &str,
        arn: &str,
        now: Timestamp,
        events: &mut Vec<Event>,
    ) -> bool {
        let wanted = |known: &FakeService| {
            known.cluster == cluster && (known.name == service || known.arn() == service)
        };
        let Some(position) = self.services.iter().position(wanted) else { return false };
        let mut service = self.services[position].clone();
        let record = service.records.iter().find(|record| record.view.arn == arn).cloned();
        let Some(record) = record.filter(|record| record.view.finished_at.is_none()) else { return false };
        if record.view.is_under_way() {
            self.go_back(&mut service, &record.rollout, now, Why::Pushway, events);
        }
        self.services[position] = service;
        true
    }

    /// Takes a deployment under way back to the last one that completed.
    pub(super) fn go_back(
        &self,
        service: &mut FakeService,
        rollout: &str,
        at: Timestamp,
        why: Why,
        events: &mut Vec<Event>,
    ) {
        let Some(failed) = service.rollout(rollout).map(|view| view.task_definition.clone()) else { return };
        let Some(back) = service.completed.last().cloned().filter(|back| *back != failed) else { return };
        let who = match why {
            Why::Breaker | Why::Alarm | Why::Hook => "service",
            Why::Pushway => "pushway",
            Why::Someone => "someone",
        };
        service.moves.push((back.clone(), who));
        events.push(service.event(at, "SERVICE_DEPLOYMENT_IN_PROGRESS"));
        if !service.movement.strategy.shifts_traffic() {
            service.rollouts.retain(|view| view.state != RolloutState::InProgress || view.id == rollout);
            if let Some(view) = service.rollout(rollout) {
                view.state = RolloutState::Failed;
                view.reason = "ECS deployment is being rolled back.".into();
                (view.desired, view.running) = (0, 0);
            }
            let records = service.records.clone();
            let id = self.begin(service, &back, at);
            // The way back is a part of the record that it belongs to.
            service.records = records;
            service.goes_back(rollout, Some(id), why);
            return;
        }
        // The old version never left: it is the primary one again, and steady, before the traffic is back.
        service.rollouts.retain(|view| view.id != rollout);
        for view in &mut service.rollouts {
            view.is_primary = view.task_definition == back;
        }
        service.goes_back(rollout, None, why);
        service.steps.push((at + RETURNS, Step::IsBack(rollout.to_owned())));
    }

    pub(super) fn take_stop(
        &self,
        service: &mut FakeService,
        step: Step,
        at: Timestamp,
        events: &mut Vec<Event>,
    ) {
        let going = |service: &mut FakeService, rollout: &str| {
            service.record_of(rollout).is_some_and(|record| record.view.is_under_way())
        };
        match step {
            Step::GoesOff(rollout) if !service.movement.alarms.is_empty() && going(service, &rollout) => {
                self.go_back(service, &rollout, at, Why::Alarm, events);
            }
            Step::Interferes(rollout) if going(service, &rollout) => {
                self.go_back(service, &rollout, at, Why::Someone, events);
            }
            Step::IsBack(rollout) => {
                if let Some(record) =
                    service.record_of(&rollout).filter(|record| record.view.finished_at.is_none())
                {
                    record.view.status = Status::RollbackSuccessful;
                    record.view.finished_at = Some(at);
                    service.steps.push((at, Step::Drains));
                    events.push(service.event(at, "SERVICE_DEPLOYMENT_COMPLETED"));
                }
            }
            _ => {}
        }
    }

    /// What else happens to a deployment that has just begun.
    pub(super) fn set_traps(&self, service: &mut FakeService, id: &str, definition: &str, now: Timestamp) {
        if let Behaviour::Alarms(after) = self.behaviour(definition) {
            service.steps.push((now + after, Step::GoesOff(id.to_owned())));
        }
        if let Some(after) = service.stopper.take() {
            service.steps.push((now + after, Step::Interferes(id.to_owned())));
        }
    }
}
