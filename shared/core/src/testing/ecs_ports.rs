//! The ports of the container orchestrator over `ecs.rs`.
//!
//! A service is found by its name or its ARN, as ECS does it.

use std::collections::BTreeMap;

use super::World;
use crate::definition::{ContainerDefinitionView, DefinitionView};
use crate::ids::{ImageDigestRef, RunId};
use crate::plan::Place;
use crate::ports::{Answer, Fault, MoveServices, ReadServices};
use crate::service_deployment::ServiceDeploymentView;
use crate::strategy::Movement;
use crate::views::{ServiceRef, ServiceView, TaskView};

impl ReadServices for World {
    async fn service(&self, at: &ServiceRef) -> Answer<Option<ServiceView>> {
        self.call("service", &at.service, |state| {
            let definitions = state.ecs.definitions.clone();
            let service = state.ecs.find_mut(&at.cluster, &at.service);
            Ok(service.map(|service| service.view(&definitions)))
        })
        .await
    }

    async fn tasks(&self, at: &ServiceRef) -> Answer<Vec<TaskView>> {
        self.call("tasks", &at.service, |state| {
            let service = state.ecs.find_mut(&at.cluster, &at.service);
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
            let service = state.ecs.find_mut(&at.cluster, &at.service);
            let records = service.map(|service| service.records.clone()).unwrap_or_default();
            let newest = records.into_iter().rev().find(|record| record.task_definition == task_definition);
            Ok(newest.map(|record| record.view))
        })
        .await
    }

    async fn definition(&self, _: &Place, task_definition: &str) -> Answer<DefinitionView> {
        self.call("definition", task_definition, |state| {
            let images = state.ecs.definitions.get(task_definition).into_iter().flatten();
            let container = |(name, image): (&String, &ImageDigestRef)| {
                let view = ContainerDefinitionView { image: image.to_string(), ..Default::default() };
                (name.clone(), view)
            };
            Ok(DefinitionView { containers: images.map(container).collect(), ..DefinitionView::default() })
        })
        .await
    }

    async fn task_log(&self, _: &Place, task: &TaskView, container: &str) -> Answer<Vec<String>> {
        self.call("task_log", container, |_| Ok(vec![format!("{container} of {} began", task.arn)])).await
    }
}

impl MoveServices for World {
    async fn register(
        &self,
        _: &Place,
        id: RunId,
        base: &str,
        images: &BTreeMap<String, ImageDigestRef>,
    ) -> Answer<String> {
        self.call("register", id, |state| {
            let known = state.ecs.definitions.get(base).cloned();
            let mut all =
                known.ok_or_else(|| Fault::Permanent(format!("there is no task definition {base}")))?;
            all.extend(images.clone());
            let registered = state.ecs.define("pushway", all);
            state.ecs.bases.insert(registered.clone(), base.to_owned());
            Ok(registered)
        })
        .await
    }

    async fn move_service(&self, at: &ServiceRef, definition: &str, movement: &Movement) -> Answer<String> {
        self.call("move_service", definition, |state| {
            let (now, by) = (state.now, ("pushway", movement));
            let moved = state.ecs.move_to(&at.cluster, &at.service, definition, by, now);
            moved.ok_or_else(|| Fault::Permanent(format!("there is no service {at:?}")))
        })
        .await
    }

    async fn stop_deployment(&self, at: &ServiceRef, deployment: &str) -> Answer<bool> {
        self.call("stop_deployment", deployment, |state| {
            let mut events = Vec::new();
            let goes_back = state.ecs.stop(&at.cluster, &at.service, deployment, state.now, &mut events);
            state.events.extend(events);
            Ok(goes_back)
        })
        .await
    }
}
