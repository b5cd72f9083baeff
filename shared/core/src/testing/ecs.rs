//! ECS in memory: services that roll, crash, trip their circuit breaker and go back, in their own time.
//!
//! What a rollout does follows from the images it brings. Two manners are played: AWS's, where a rollback
//! is a new deployment and a failed one vanishes once drained, and the emulator's, where the old deployment
//! comes back under its own id and a failed one stays listed for good.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::ecs_hooks::HookCall;
use super::ecs_records::Record;
use super::{Event, World};
use crate::ids::ImageDigestRef;
use crate::plan::Place;
use crate::preflight::{BalancerFacts, ServiceFacts, TargetView};
use crate::strategy::{DeploymentSettings, Movement};
use crate::views::{RolloutState, RolloutView, ServiceMessage, ServiceRef, ServiceView, TaskView};

/// What a container does, by the digest of its image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behaviour {
    /// It runs and answers 200.
    Healthy,
    /// It runs and answers with this status.
    Sick(u16),
    /// It exits at once with this code.
    Crashes(i32),
    /// It starts and never becomes healthy.
    NeverStable,
    /// It can't be pulled, for such a reason.
    CantStart(&'static str),
    /// It can't be pulled at first, for such a reason, and then it can, and is healthy.
    StartsLater(&'static str),
    /// There is no room for it.
    NoRoom,
    /// It is healthy, and so long after it began, an alarm goes off if the deployment watches any.
    Alarms(SignedDuration),
}

/// The service's deployment circuit breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Breaker {
    /// Off: a rollout goes on for ever.
    Off,
    /// On, and goes back by itself.
    On,
    /// On, but stays where it failed.
    WithoutRollback,
}

/// Whose manners the service has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// As AWS documents them.
    Aws,
    /// As the emulator was seen to behave.
    Emulator,
}

/// A service of the world.
#[derive(Debug, Clone)]
pub struct FakeService {
    /// Its cluster's name.
    pub cluster: String,
    /// Its name.
    pub name: String,
    /// The account and region that it lies in.
    pub place: Place,
    /// Whether it takes deployments.
    pub is_active: bool,
    /// How many tasks it wants.
    pub desired: u32,
    /// Its breaker.
    pub breaker: Breaker,
    /// Its manners.
    pub manner: Manner,
    /// What of its load balancers takes time.
    pub balancers: Vec<BalancerFacts>,
    /// Someone else moves it to this task definition, so long after the next move.
    pub meddler: Option<(SignedDuration, String)>,
    /// Someone stops the deployment under way, so long after the next move.
    pub stopper: Option<SignedDuration>,
    /// What it is set to and has.
    pub settings: DeploymentSettings,
    /// How it is moved.
    pub movement: Movement,
    /// Per cent of the production traffic that each deployment with a hook brought over, in order.
    pub served: Vec<u8>,
    /// What its hook was answered, in order.
    pub answers: Vec<String>,
    /// ECS' records of its deployments, oldest first.
    pub records: Vec<Record>,
    /// Its deployments.
    pub rollouts: Vec<RolloutView>,
    /// Its tasks, running and stopped.
    pub tasks: Vec<TaskView>,
    /// Each move that changed it: task definition and who asked (`pushway`, `service`, `someone`).
    pub moves: Vec<(String, &'static str)>,
    /// What it has said, newest first.
    pub said: Vec<ServiceMessage>,
    pub(super) completed: Vec<String>,
    pub(super) steps: Vec<(Timestamp, Step)>,
    pub(super) numbers: u32,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Step {
    Runs(String),
    Completes(String),
    Fails(String),
    FindsNoRoom(String),
    GoesOff(String),
    Interferes(String),
    /// The hook of a deployment is invoked: where it stands, and since when.
    Asks(String, u8, Timestamp),
    IsBack(String),
    Drains,
    Meddles(String),
}

#[derive(Debug, Default)]
pub(super) struct Ecs {
    pub(super) services: Vec<FakeService>,
    pub(super) definitions: BTreeMap<String, BTreeMap<String, ImageDigestRef>>,
    pub(super) contents: BTreeMap<String, (Place, serde_json::Value)>,
    behaviours: BTreeMap<String, Behaviour>,
    pub(super) bases: BTreeMap<String, String>,
    pub(super) asked: Vec<HookCall>,
}

impl FakeService {
    /// Its ARN.
    pub fn arn(&self) -> String {
        Self::arn_of(&self.cluster, &self.name)
    }

    fn new(cluster: &str, name: &str) -> Self {
        Self {
            cluster: cluster.to_owned(),
            name: name.to_owned(),
            place: Place::default(),
            is_active: true,
            desired: 1,
            breaker: Breaker::On,
            manner: Manner::Aws,
            balancers: Vec::new(),
            meddler: None,
            stopper: None,
            settings: DeploymentSettings { controller: "ECS".into(), fixed_balancers: 0, shifting: 1 },
            movement: Movement::default(),
            served: Vec::new(),
            answers: Vec::new(),
            records: Vec::new(),
            rollouts: Vec::new(),
            tasks: Vec::new(),
            moves: Vec::new(),
            said: Vec::new(),
            completed: Vec::new(),
            steps: Vec::new(),
            numbers: 0,
        }
    }

    pub(super) fn arn_of(cluster: &str, name: &str) -> String {
        format!("arn:aws:ecs:eu-central-1:000000000000:service/{cluster}/{name}")
    }

    /// The task definition that its primary deployment brings.
    pub fn primary_definition(&self) -> Option<&str> {
        Some(self.rollouts.iter().find(|rollout| rollout.is_primary)?.task_definition.as_str())
    }

    /// The task definitions of its running tasks.
    pub fn running_definitions(&self) -> Vec<&str> {
        let running = self.tasks.iter().filter(|task| task.is_running);
        running.map(|task| task.task_definition.as_str()).collect()
    }

    pub(super) fn rollout(&mut self, id: &str) -> Option<&mut RolloutView> {
        self.rollouts.iter_mut().find(|rollout| rollout.id == id)
    }

    pub(super) fn is_moving_as(&self, id: &str) -> bool {
        let wanted = |rollout: &&RolloutView| rollout.id == id && rollout.is_primary;
        self.rollouts.iter().find(wanted).is_some_and(|rollout| rollout.state == RolloutState::InProgress)
    }

    pub(super) fn event(&self, at: Timestamp, name: &str) -> Event {
        let payload = json!({
            "source": "aws.ecs",
            "detail-type": "ECS Deployment State Change",
            "time": at.to_string(),
            "resources": [self.arn()],
            "detail": { "eventType": "INFO", "eventName": name, "deploymentId": "ecs-svc/untrusted" },
        });
        Event { at, function: "deploy-progress", payload }
    }

    pub(super) fn action_event(&self, at: Timestamp, name: &str) -> Event {
        let payload = json!({
            "source": "aws.ecs",
            "detail-type": "ECS Service Action",
            "time": at.to_string(),
            "resources": [self.arn()],
            "detail": { "eventType": "ERROR", "eventName": name, "reason": "RESOURCE:FARGATE" },
        });
        Event { at, function: "deploy-progress", payload }
    }

    pub(super) fn task_event(&self, at: Timestamp) -> Event {
        let payload = json!({
            "source": "aws.ecs",
            "detail-type": "ECS Task State Change",
            "time": at.to_string(),
            "resources": ["arn:aws:ecs:eu-central-1:000000000000:task/any"],
            "detail": {
                "clusterArn": format!("arn:aws:ecs:eu-central-1:000000000000:cluster/{}", self.cluster),
                "group": format!("service:{}", self.name),
                "lastStatus": "STOPPED",
            },
        });
        Event { at, function: "deploy-progress", payload }
    }
}

impl World {
    /// Adds a service that runs `image` in the container `web` and is steady.
    pub fn add_service(&self, cluster: &str, name: &str, image: &ImageDigestRef) {
        let mut state = self.lock();
        let definition = state.ecs.define(name, BTreeMap::from([("web".to_owned(), image.clone())]));
        let mut service = FakeService::new(cluster, name);
        service.completed.push(definition.clone());
        let now = state.now;
        let id = state.ecs.begin(&mut service, &definition, now);
        service.steps.clear();
        service.records.clear();
        state.ecs.run_tasks(&mut service, &id);
        if let Some(rollout) = service.rollout(&id) {
            rollout.state = RolloutState::Completed;
        }
        state.ecs.services.push(service);
    }

    /// Adds a service on which nothing has ever run: its first image crashes.
    pub fn add_broken_service(&self, cluster: &str, name: &str, image: &ImageDigestRef, manner: Manner) {
        self.set_behaviour(image, Behaviour::Crashes(1));
        self.add_service(cluster, name, image);
        self.with_service(cluster, name, |service| {
            service.manner = manner;
            service.tasks.clear();
            service.records.clear();
            for rollout in &mut service.rollouts {
                rollout.running = 0;
                // The emulator calls a first deployment complete, whatever its tasks do.
                if manner == Manner::Aws {
                    rollout.state = RolloutState::Failed;
                }
            }
            if manner == Manner::Aws {
                service.completed.clear();
            }
        });
    }

    /// Which revision each registered one was made of.
    pub fn bases(&self) -> BTreeMap<String, String> {
        self.lock().ecs.bases.clone()
    }

    /// Says what the containers of an image do.
    pub fn set_behaviour(&self, image: &ImageDigestRef, behaviour: Behaviour) {
        self.lock().ecs.behaviours.insert(image.digest().to_string(), behaviour);
    }

    /// Registers a task definition outside of Pushway.
    pub fn define_by_hand(&self, family: &str, image: &ImageDigestRef) -> String {
        self.lock().ecs.define(family, BTreeMap::from([("web".to_owned(), image.clone())]))
    }

    /// The same with a container of another name.
    pub fn define_container_by_hand(&self, container: &str, image: &ImageDigestRef) -> String {
        self.lock().ecs.define("by-hand", BTreeMap::from([(container.to_owned(), image.clone())]))
    }

    /// The file that a revision was registered from, and where; `None` for a copy of another revision.
    pub fn registered(&self, revision: &str) -> Option<(Place, serde_json::Value)> {
        self.lock().ecs.contents.get(revision).cloned()
    }

    /// Changes a service.
    pub fn with_service<T>(
        &self,
        cluster: &str,
        name: &str,
        change: impl FnOnce(&mut FakeService) -> T,
    ) -> Option<T> {
        self.lock().ecs.find_mut(cluster, name).map(change)
    }

    /// A service as it is.
    pub fn fake_service(&self, cluster: &str, name: &str) -> Option<FakeService> {
        self.lock().ecs.find_mut(cluster, name).cloned()
    }
}

impl Ecs {
    pub(super) fn find_mut(&mut self, cluster: &str, service: &str) -> Option<&mut FakeService> {
        let wanted = |known: &&mut FakeService| {
            known.cluster == cluster && (known.name == service || known.arn() == service)
        };
        self.services.iter_mut().find(wanted)
    }

    /// A service as a port is asked for it: one in another account is not seen from here.
    pub(super) fn at_mut(&mut self, at: &ServiceRef) -> Option<&mut FakeService> {
        self.find_mut(&at.cluster, &at.service).filter(|service| service.place == at.place)
    }

    pub(super) fn next_change(&self) -> impl Iterator<Item = Timestamp> {
        self.services.iter().flat_map(|service| service.steps.iter().map(|(at, _)| *at))
    }

    /// The task definition and the image's digest that answered at `then`, as far as it differs from now;
    /// `None` where no task runs.
    pub(super) fn shows(&self, cluster: &str, service: &str, then: Timestamp) -> Option<(String, String)> {
        let wanted = |known: &&FakeService| known.cluster == cluster && known.name == service;
        let service = self.services.iter().find(wanted)?;
        let running = (*service.running_definitions().last()?).to_owned();
        let changed_at = service.rollouts.iter().find(|rollout| rollout.is_primary)?.updated_at;
        let before = service.completed.iter().rev().find(|known| **known != running);
        let shown = match before {
            Some(before) if changed_at.is_some_and(|at| at > then) => before.clone(),
            _ => running,
        };
        let image = self.definitions.get(&shown)?.values().next()?;
        let version = image.digest().to_string();
        Some((shown, version))
    }

    pub(super) fn define(&mut self, family: &str, images: BTreeMap<String, ImageDigestRef>) -> String {
        let number = self.definitions.len() + 1;
        let arn = format!("arn:aws:ecs:eu-central-1:000000000000:task-definition/{family}:{number}");
        self.definitions.insert(arn.clone(), images);
        arn
    }

    pub(super) fn behaviour(&self, definition: &str) -> Behaviour {
        let images = self.definitions.get(definition).into_iter().flat_map(BTreeMap::values);
        let known = |image: &ImageDigestRef| self.behaviours.get(image.digest().as_str()).copied();
        images.filter_map(known).find(|known| *known != Behaviour::Healthy).unwrap_or(Behaviour::Healthy)
    }
}

impl Ecs {
    /// What `CreateService` does; gives the first deployment's id.
    pub(super) fn create(
        &mut self,
        at: &ServiceRef,
        desired: u32,
        definition: &str,
        now: Timestamp,
    ) -> String {
        let mut service = FakeService::new(&at.cluster, &at.service);
        (service.place, service.desired) = (at.place.clone(), desired);
        service.moves.push((definition.to_owned(), "pushway"));
        let id = self.begin(&mut service, definition, now);
        self.services.push(service);
        id
    }

    /// What a preflight sees: the cluster is there as soon as a service is in it.
    pub(super) fn target(&mut self, at: &ServiceRef) -> TargetView {
        let is_there =
            self.services.iter().any(|known| known.place == at.place && known.cluster == at.cluster);
        let cluster = is_there.then(|| "ACTIVE".to_owned());
        let definitions = self.definitions.clone();
        let service = self.at_mut(at).map(|service| {
            let view = service.view(&definitions);
            let is_good = |view: &RolloutView| view.state == RolloutState::Completed && view.running > 0;
            ServiceFacts {
                status: if service.is_active { "ACTIVE" } else { "DRAINING" }.to_owned(),
                settings: service.settings.clone(),
                has_breaker: service.breaker != Breaker::Off,
                has_completed: service.rollouts.iter().any(is_good),
                containers: view.containers,
                roles: Vec::new(),
                balancers: service.balancers.clone(),
            }
        });
        TargetView { cluster, service, passable: vec!["arn:aws:iam::*:role/*TaskRole*".to_owned()] }
    }
}

impl FakeService {
    pub(super) fn view(
        &self,
        definitions: &BTreeMap<String, BTreeMap<String, ImageDigestRef>>,
    ) -> ServiceView {
        let primary = self.primary_definition().and_then(|definition| definitions.get(definition));
        ServiceView {
            arn: self.arn(),
            is_active: self.is_active,
            desired: self.desired,
            containers: primary.map(|images| images.keys().cloned().collect()).unwrap_or_default(),
            settings: self.settings.clone(),
            rollouts: self.rollouts.clone(),
            messages: self.said.clone(),
        }
    }
}
