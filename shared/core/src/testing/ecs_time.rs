//! How services change with time: rollouts, failing tasks, the circuit breaker, draining.
//!
//! Steps are planned when a rollout begins and taken when the clock has come to them. A step of a rollout
//! that is not the primary one any more is not taken.

use jiff::{SignedDuration, Timestamp};

use super::Event;
use super::ecs::{Behaviour, Breaker, Ecs, FakeService, Manner, Step};
use super::ecs_records::Why;
use crate::ids::ImageDigestRef;
use crate::plan::Strategy;
use crate::strategy::Movement;
use crate::views::{ContainerView, RolloutState, RolloutView, ServiceMessage, TaskView};

const STARTS: SignedDuration = SignedDuration::from_secs(5);
const STEADY: SignedDuration = SignedDuration::from_secs(15);
const DRAINS: SignedDuration = SignedDuration::from_secs(5);
/// The breaker's threshold for small services (ECS Developer Guide, "Deployment circuit breaker").
const THRESHOLD: u32 = 3;
/// A service without breaker starts tasks for ever; more of them would show nothing new.
const MOST_TASKS: u32 = 20;

impl Ecs {
    /// What `UpdateService` does: nothing for the definition that is primary already.
    pub(super) fn move_to(
        &mut self,
        cluster: &str,
        service: &str,
        definition: &str,
        (who, movement): (&'static str, &Movement),
        now: Timestamp,
    ) -> Option<String> {
        let position = self.services.iter().position(|known| {
            known.cluster == cluster && (known.name == service || known.arn() == service)
        })?;
        let mut service = self.services[position].clone();
        let primary = service.rollouts.iter().find(|rollout| rollout.is_primary);
        if let Some(primary) = primary.filter(|primary| primary.task_definition == definition) {
            return Some(primary.id.clone());
        }
        service.moves.push((definition.to_owned(), who));
        // A rollout under way that is superseded leaves the list without a word.
        service.rollouts.retain(|rollout| rollout.state != RolloutState::InProgress);
        if movement.strategy != Strategy::AsConfigured {
            service.movement.strategy = movement.strategy;
        }
        // Moved as it is set, it keeps the hook it has.
        if !movement.is_as_configured() {
            service.movement.hook.clone_from(&movement.hook);
        }
        if !movement.alarms.is_empty() {
            service.movement.alarms.clone_from(&movement.alarms);
        }
        service.supersede_records(now);
        let id = self.begin(&mut service, definition, now);
        self.set_traps(&mut service, &id, definition, now);
        if who == "pushway"
            && let Some((after, definition)) = service.meddler.take()
        {
            service.steps.push((now + after, Step::Meddles(definition)));
        }
        self.services[position] = service;
        Some(id)
    }

    pub(super) fn begin(&self, service: &mut FakeService, definition: &str, now: Timestamp) -> String {
        service.numbers += 1;
        let id = format!("ecs-svc/{}-{}", service.name, service.numbers);
        for rollout in &mut service.rollouts {
            rollout.is_primary = false;
        }
        let rollout = RolloutView {
            id: id.clone(),
            is_primary: true,
            state: RolloutState::InProgress,
            reason: "ECS deployment in progress.".into(),
            task_definition: definition.to_owned(),
            desired: service.desired,
            running: 0,
            failed: 0,
            updated_at: Some(now),
        };
        service.rollouts.insert(0, rollout);
        service.open_record(&id, definition);
        self.set_out(service, &id, definition, now);
        id
    }

    fn set_out(&self, service: &mut FakeService, id: &str, definition: &str, now: Timestamp) {
        match self.behaviour(definition) {
            Behaviour::Healthy | Behaviour::Sick(_) | Behaviour::Alarms(_) => {
                let waits = SignedDuration::from_secs(i64::from(service.movement.strategy.waits_seconds()));
                service.steps.push((now + STARTS, Step::Runs(id.to_owned())));
                if service.movement.hook.is_some() && service.movement.strategy.shifts_traffic() {
                    service.steps.push((now + STEADY, Step::Asks(id.to_owned(), 0, now + STEADY)));
                } else {
                    service.steps.push((now + STEADY + waits, Step::Completes(id.to_owned())));
                }
            }
            Behaviour::Crashes(_) | Behaviour::CantStart(_) | Behaviour::StartsLater(_) => {
                service.steps.push((now + STARTS, Step::Fails(id.to_owned())));
            }
            Behaviour::NoRoom => service.steps.push((now + STARTS, Step::FindsNoRoom(id.to_owned()))),
            Behaviour::NeverStable => {}
        }
    }

    pub(super) fn run_tasks(&self, service: &mut FakeService, id: &str) {
        let desired = service.desired;
        let Some(rollout) = service.rollout(id) else { return };
        rollout.running = desired;
        let definition = rollout.task_definition.clone();
        service.tasks.retain(|task| !(task.is_running && task.task_definition == definition));
        for _ in 0..desired {
            let task = self.task(service, &definition, None);
            service.tasks.push(task);
        }
    }

    fn task(&self, service: &FakeService, definition: &str, stopped: Option<Behaviour>) -> TaskView {
        let images = self.definitions.get(definition).cloned().unwrap_or_default();
        let exit_code = match stopped {
            Some(Behaviour::Crashes(code)) => Some(code),
            _ => None,
        };
        let stopped_reason = match stopped {
            None => "",
            Some(Behaviour::CantStart(reason) | Behaviour::StartsLater(reason)) => reason,
            Some(_) => "Essential container in task exited",
        };
        let container = |(name, image): (&String, &ImageDigestRef)| ContainerView {
            name: name.clone(),
            digest: Some(image.digest().clone()),
            exit_code,
            reason: String::new(),
            is_unhealthy: false,
        };
        let number = service.tasks.len() + 1;
        TaskView {
            arn: format!("arn:aws:ecs:eu-central-1:000000000000:task/{}/{number:032}", service.cluster),
            task_definition: definition.to_owned(),
            is_running: stopped.is_none(),
            is_stopped: stopped.is_some(),
            stopped_reason: stopped_reason.into(),
            stop_code: match (exit_code, stopped) {
                (Some(_), _) => "EssentialContainerExited".into(),
                (None, Some(_)) => "TaskFailedToStart".into(),
                (None, None) => String::new(),
            },
            containers: images.iter().map(container).collect(),
        }
    }

    /// Lets pass what happens until `now`; gives the events that ECS sends of it.
    pub(super) fn pass(&mut self, now: Timestamp) -> Vec<Event> {
        let mut events = Vec::new();
        for position in 0..self.services.len() {
            loop {
                let steps = &self.services[position].steps;
                let due = (0..steps.len()).filter(|i| steps[*i].0 <= now).min_by_key(|i| steps[*i].0);
                let Some(due) = due else { break };
                let mut service = self.services[position].clone();
                let (at, step) = service.steps.remove(due);
                self.take(&mut service, step, at, &mut events);
                self.services[position] = service;
            }
        }
        events
    }

    fn take(&mut self, service: &mut FakeService, step: Step, at: Timestamp, events: &mut Vec<Event>) {
        match step {
            Step::Runs(id) if service.is_moving_as(&id) => self.run_tasks(service, &id),
            Step::Completes(id) if service.is_moving_as(&id) => {
                if let Some(rollout) = service.rollout(&id) {
                    rollout.state = RolloutState::Completed;
                    rollout.reason = "ECS deployment completed.".into();
                    rollout.updated_at = Some(at);
                    let definition = rollout.task_definition.clone();
                    service.completed.push(definition);
                }
                service.close_record(&id, at);
                service.steps.push((at + DRAINS, Step::Drains));
                events.push(service.event(at, "SERVICE_DEPLOYMENT_COMPLETED"));
            }
            Step::Fails(id) if service.is_moving_as(&id) => self.fail_task(service, &id, at, events),
            Step::FindsNoRoom(id) if service.is_moving_as(&id) => {
                let text = format!(
                    "(service {}) was unable to place a task. Reason: Capacity is unavailable at this time. \
                     Please try again later or in a different availability zone.",
                    service.name
                );
                service.said.insert(0, ServiceMessage { at: Some(at), text });
                events.push(service.action_event(at, "SERVICE_TASK_PLACEMENT_FAILURE"));
            }
            Step::Asks(id, served, since) if service.is_moving_as(&id) => {
                self.ask(service, &id, (served, since), at, events);
            }
            Step::Drains => drain(service),
            Step::Meddles(definition) => {
                service.moves.push((definition.clone(), "someone"));
                service.rollouts.retain(|rollout| rollout.state != RolloutState::InProgress);
                service.supersede_records(at);
                self.begin(service, &definition, at);
            }
            step => self.take_stop(service, step, at, events),
        }
    }

    fn fail_task(&self, service: &mut FakeService, id: &str, at: Timestamp, events: &mut Vec<Event>) {
        let Some(rollout) = service.rollout(id).map(|rollout| rollout.clone()) else { return };
        let stopped =
            self.task(service, &rollout.task_definition, Some(self.behaviour(&rollout.task_definition)));
        service.tasks.push(stopped);
        events.push(service.task_event(at));
        if let Behaviour::StartsLater(_) = self.behaviour(&rollout.task_definition) {
            service.steps.push((at + STARTS, Step::Runs(id.to_owned())));
            service.steps.push((at + STEADY, Step::Completes(id.to_owned())));
            return;
        }
        let counts = service.breaker != Breaker::Off || service.manner == Manner::Aws;
        let failed = rollout.failed + u32::from(counts);
        if let Some(rollout) = service.rollout(id) {
            rollout.failed = failed;
        }
        // The breaker covers rolling updates only.
        let watched = service.breaker != Breaker::Off && !service.movement.strategy.shifts_traffic();
        if watched && failed >= THRESHOLD {
            self.trip(service, id, at);
            events.push(service.event(at, "SERVICE_DEPLOYMENT_FAILED"));
        } else if service.tasks.iter().filter(|task| task.is_stopped).count() < MOST_TASKS as usize {
            service.steps.push((at + STARTS, Step::Fails(id.to_owned())));
        }
    }

    fn trip(&self, service: &mut FakeService, id: &str, at: Timestamp) {
        let desired = service.desired;
        let Some(rollout) = service.rollout(id) else { return };
        rollout.state = RolloutState::Failed;
        rollout.reason = "ECS deployment circuit breaker: tasks failed to start.".into();
        rollout.desired = 0;
        rollout.running = 0;
        let failed = rollout.task_definition.clone();
        service.fail_record(id, at);
        let back = service.completed.last().cloned().filter(|back| *back != failed);
        let (Breaker::On, Some(back)) = (service.breaker, back) else { return };
        service.moves.push((back.clone(), "service"));
        if service.manner == Manner::Aws {
            let records = service.records.clone();
            let back = self.begin(service, &back, at);
            service.records = records;
            service.goes_back(id, Some(back), Why::Breaker);
        } else {
            for rollout in &mut service.rollouts {
                rollout.is_primary = rollout.task_definition == back;
            }
            let old = service.rollouts.iter_mut().find(|rollout| rollout.is_primary);
            let Some(old) = old else { return };
            old.state = RolloutState::InProgress;
            old.desired = desired;
            let id = old.id.clone();
            self.set_out(service, &id, &back, at);
        }
        if let Some(rollout) = service.rollouts.iter_mut().find(|rollout| rollout.is_primary) {
            rollout.reason = "ECS deployment rollback in progress.".into();
        }
    }
}

/// Old tasks go; so do old deployments, except for the emulator's failed ones.
fn drain(service: &mut FakeService) {
    let primary = service.primary_definition().map(str::to_owned);
    service.tasks.retain(|task| task.is_stopped || Some(&task.task_definition) == primary.as_ref());
    let keeps = service.manner == Manner::Emulator;
    service.rollouts.retain(|rollout| rollout.is_primary || (keeps && rollout.state == RolloutState::Failed));
}
