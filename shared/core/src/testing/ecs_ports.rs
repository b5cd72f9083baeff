//! The ports of the container orchestrator over `ecs.rs`.
//!
//! A service is found by its name or its ARN, as ECS does it.

use std::collections::BTreeMap;

use super::World;
use super::ecs::{Ecs, FakeService};
use crate::definition::{ContainerDefinitionView, DefinitionView};
use crate::ids::{ImageDigestRef, RunId};
use crate::plan::Place;
use crate::ports::{Answer, CreateServices, Fault, MoveServices, ReadDefinitions, ReadServices, ReadTargets};
use crate::preflight::{StarterFacts, TargetView};
use crate::scheduled::{StarterRef, only};
use crate::service_deployment::ServiceDeploymentView;
use crate::strategy::Movement;
use crate::views::{ServiceRef, ServiceView, TaskView};

impl ReadServices for World {
    async fn service(&self, at: &ServiceRef) -> Answer<Option<ServiceView>> {
        self.call("service", &at.service, |state| {
            let definitions = state.ecs.definitions.clone();
            let service = state.ecs.at_mut(at);
            Ok(service.map(|service| service.view(&definitions)))
        })
        .await
    }

    async fn tasks(&self, at: &ServiceRef) -> Answer<Vec<TaskView>> {
        self.call("tasks", &at.service, |state| {
            let service = state.ecs.at_mut(at);
            Ok(service.map(|service| service.tasks.clone()).unwrap_or_default())
        })
        .await
    }

    async fn service_deployment(
        &self,
        at: &ServiceRef,
        task_definition: &str,
    ) -> Answer<Option<ServiceDeploymentView>> {
        self.call("service_deployment", task_definition, |state| {
            let service = state.ecs.at_mut(at);
            let records = service.map(|service| service.records.clone()).unwrap_or_default();
            let newest = records.into_iter().rev().find(|record| record.task_definition == task_definition);
            Ok(newest.map(|record| record.view))
        })
        .await
    }

    async fn definition(&self, _: &Place, task_definition: &str) -> Answer<DefinitionView> {
        self.call("definition", task_definition, |state| Ok(state.ecs.definition(task_definition))).await
    }

    async fn task_log(&self, place: &Place, task: &TaskView, container: &str) -> Answer<Vec<String>> {
        self.call("task_log", container, |state| {
            let is_here = |service: &FakeService| {
                service.place == *place && service.tasks.iter().any(|known| known.arn == task.arn)
            };
            let is_known = state.ecs.services.iter().any(is_here) || state.tasks.knows(place, &task.arn);
            Ok(if is_known { vec![format!("{container} of {} began", task.arn)] } else { Vec::new() })
        })
        .await
    }
}

impl ReadDefinitions for World {
    async fn serving_definition(&self, at: &ServiceRef) -> Answer<Option<DefinitionView>> {
        self.call("serving_definition", &at.service, |state| {
            let primary =
                state.ecs.at_mut(at).and_then(|service| Some(service.primary_definition()?.to_owned()));
            Ok(primary.map(|revision| state.ecs.definition(&revision)))
        })
        .await
    }

    async fn started_definition(&self, at: &StarterRef) -> Answer<Option<DefinitionView>> {
        self.call("started_definition", &at.starter, |state| {
            let Some(tasks) = state.started_by(at) else { return Ok(None) };
            let task = only(&at.starter, Some(tasks)).map_err(Fault::Permanent)?;
            Ok(Some(state.ecs.definition(&task.revision)))
        })
        .await
    }

    async fn file_definition(&self, content: &serde_json::Value) -> Answer<DefinitionView> {
        self.call("file_definition", "", |_| Ok(view_of(&content["taskDefinition"]))).await
    }
}

impl Ecs {
    /// A revision as people compare it: what was registered from a file, and its images.
    fn definition(&self, revision: &str) -> DefinitionView {
        let written = self.contents.get(revision).map(|(_, content)| view_of(content)).unwrap_or_default();
        let images = self.definitions.get(revision).cloned().unwrap_or_default();
        let mut view = written;
        for name in images.keys() {
            view.containers.entry(name.clone()).or_default();
        }
        view.with_images(&images)
    }
}

/// What of a definition's JSON the stories change.
fn view_of(task: &serde_json::Value) -> DefinitionView {
    let text = |value: &serde_json::Value| match value {
        serde_json::Value::String(text) => Some(text.clone()),
        serde_json::Value::Null => None,
        other => Some(other.to_string()),
    };
    let pair = |pair: &serde_json::Value| Some((text(&pair["name"])?, text(&pair["value"])?));
    let container = |container: &serde_json::Value| {
        let env = container["environment"].as_array().into_iter().flatten().filter_map(pair);
        let view = ContainerDefinitionView {
            image: text(&container["image"]).unwrap_or_default(),
            env: env.collect(),
            settings: text(&container["command"])
                .map(|command| ("command".into(), command))
                .into_iter()
                .collect(),
            ..ContainerDefinitionView::default()
        };
        Some((text(&container["name"])?, view))
    };
    let containers = task["containerDefinitions"].as_array().into_iter().flatten().filter_map(container);
    DefinitionView {
        cpu: text(&task["cpu"]),
        memory: text(&task["memory"]),
        containers: containers.collect(),
        ..DefinitionView::default()
    }
}

impl CreateServices for World {
    async fn service_arn(&self, at: &ServiceRef) -> Answer<Option<String>> {
        self.call("service_arn", &at.service, |state| {
            let is_there = state.ecs.target(at).cluster.is_some();
            Ok(is_there.then(|| FakeService::arn_of(&at.cluster, &at.service)))
        })
        .await
    }

    async fn create_service(
        &self,
        at: &ServiceRef,
        definition: &serde_json::Value,
        task_definition: &str,
        _token: &str,
    ) -> Answer<String> {
        self.call("create_service", &at.service, |state| {
            if state.ecs.at_mut(at).is_some() {
                return Err(Fault::Permanent(format!("service {} is there already", at.service)));
            }
            let desired = definition["desiredCount"].as_u64().and_then(|count| u32::try_from(count).ok());
            Ok(state.ecs.create(at, desired.unwrap_or(0), task_definition, state.now))
        })
        .await
    }
}

impl ReadTargets for World {
    async fn target(&self, at: &ServiceRef) -> Answer<TargetView> {
        self.call("target", &at.service, |state| Ok(state.ecs.target(at))).await
    }

    async fn scheduled_target(&self, at: &StarterRef) -> Answer<StarterFacts> {
        self.call("scheduled_target", &at.starter, |state| {
            Ok(StarterFacts { tasks: state.started_by(at), is_on: true, ..StarterFacts::default() })
        })
        .await
    }
}

impl MoveServices for World {
    async fn register(
        &self,
        place: &Place,
        id: RunId,
        base: &str,
        images: &BTreeMap<String, ImageDigestRef>,
    ) -> Answer<String> {
        self.call("register", id, |state| {
            // A revision lies where services lie that could run it.
            let is_here = state.ecs.services.iter().any(|service| service.place == *place)
                || state.starters.iter().any(|starter| starter.at.place == *place);
            let known = state.ecs.definitions.get(base).filter(|_| is_here).cloned();
            let mut all =
                known.ok_or_else(|| Fault::Permanent(format!("there is no task definition {base}")))?;
            all.extend(images.clone());
            let registered = state.ecs.define("pushway", all);
            state.ecs.bases.insert(registered.clone(), base.to_owned());
            Ok(registered)
        })
        .await
    }

    async fn register_file(
        &self,
        place: &Place,
        id: RunId,
        definition: &serde_json::Value,
        images: &BTreeMap<String, ImageDigestRef>,
    ) -> Answer<String> {
        self.call("register_file", id, |state| {
            let task = &definition["taskDefinition"];
            let containers = task["containerDefinitions"].as_array().cloned().unwrap_or_default();
            let written = containers.iter().filter_map(|container| {
                let name = container["name"].as_str()?.to_owned();
                Some((name, container["image"].as_str()?.parse().ok()?))
            });
            let mut all: BTreeMap<String, ImageDigestRef> = written.collect();
            all.extend(images.clone());
            let arn = state.ecs.define(task["family"].as_str().unwrap_or_default(), all);
            state.ecs.contents.insert(arn.clone(), (place.clone(), task.clone()));
            Ok(arn)
        })
        .await
    }

    async fn move_service(&self, at: &ServiceRef, definition: &str, movement: &Movement) -> Answer<String> {
        self.call("move_service", definition, |state| {
            let (now, by) = (state.now, ("pushway", movement));
            let absent = || Fault::Permanent(format!("there is no service {at:?}"));
            state.ecs.at_mut(at).ok_or_else(absent)?;
            let moved = state.ecs.move_to(&at.cluster, &at.service, definition, by, now);
            moved.ok_or_else(absent)
        })
        .await
    }

    async fn stop_deployment(&self, at: &ServiceRef, deployment: &str) -> Answer<bool> {
        self.call("stop_deployment", deployment, |state| {
            let mut events = Vec::new();
            let absent = || Fault::Permanent(format!("there is no service {at:?}"));
            state.ecs.at_mut(at).ok_or_else(absent)?;
            let goes_back = state.ecs.stop(&at.cluster, &at.service, deployment, state.now, &mut events);
            state.events.extend(events);
            Ok(goes_back)
        })
        .await
    }
}
