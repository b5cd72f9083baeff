//! What a deploy acts on.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{DefinitionFile, EcsTarget, ImageSource, Place, Strategy};
use crate::definition_file;
use crate::ids::JobName;
use crate::scheduled::{Starter, StarterRef};

/// What a deploy acts on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// A service of Amazon ECS.
    Ecs(EcsTarget),
    /// A task of Amazon ECS that a rule or schedule starts.
    EcsScheduledTask(ScheduledTarget),
}

/// A scheduled task and what it is to run. Nothing else of what starts it is Pushway's affair.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ScheduledTarget {
    /// What starts it.
    pub starter: Starter,
    /// The image of each container that changes, by the container's name in the task definition.
    pub images: BTreeMap<String, ImageSource>,
    /// The job of the build stage whose `imagedefinitions.json` names all containers and images instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub images_from: Option<JobName>,
    /// Containers that the task was seen to have when the run was planned, where `images_from` will be held
    /// against them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub containers: Vec<String>,
    /// ARN of the revision that everything but the images is taken from; none means the one that is started
    /// now. Only a rollback by hand has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    /// The task definition that lies in the repository; none means the one that is started now, with other
    /// images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_definition: Option<DefinitionFile>,
}

impl ScheduledTarget {
    /// What starts the task, and where that lies.
    pub fn at(&self, place: &Place) -> StarterRef {
        StarterRef { place: place.clone(), starter: self.starter.clone() }
    }
}

impl Target {
    /// How the target moves to what it gets.
    pub fn strategy(&self) -> Strategy {
        match self {
            Self::Ecs(target) => target.strategy,
            Self::EcsScheduledTask(_) => Strategy::AsConfigured,
        }
    }

    /// The image of each container that changes.
    pub fn images(&self) -> &BTreeMap<String, ImageSource> {
        match self {
            Self::Ecs(target) => &target.images,
            Self::EcsScheduledTask(target) => &target.images,
        }
    }

    /// The job whose `imagedefinitions.json` names all containers and images instead.
    pub fn images_from(&self) -> Option<&JobName> {
        match self {
            Self::Ecs(target) => target.images_from.as_ref(),
            Self::EcsScheduledTask(target) => target.images_from.as_ref(),
        }
    }

    /// The containers that it has, as far as that is known: those of its file, or what was seen.
    pub fn containers(&self) -> Vec<String> {
        let file = self.task_definition().and_then(|file| file.content.as_ref());
        let seen = match self {
            Self::Ecs(target) => &target.containers,
            Self::EcsScheduledTask(target) => &target.containers,
        };
        file.map_or_else(|| seen.clone(), definition_file::containers)
    }

    /// Keeps which containers it was seen to have, where a build will say which of them get an image.
    pub(crate) fn keep_containers(&mut self, seen: Vec<String>) {
        if self.images_from().is_none() || self.task_definition().is_some() {
            return;
        }
        match self {
            Self::Ecs(target) => target.containers = seen,
            Self::EcsScheduledTask(target) => target.containers = seen,
        }
    }

    /// The revision that everything but the images is taken from, where the plan says it.
    pub fn base(&self) -> Option<&str> {
        match self {
            Self::Ecs(target) => target.base.as_deref(),
            Self::EcsScheduledTask(target) => target.base.as_deref(),
        }
    }

    /// The task definition of the repository.
    pub fn task_definition(&self) -> Option<&DefinitionFile> {
        match self {
            Self::Ecs(target) => target.task_definition.as_ref(),
            Self::EcsScheduledTask(target) => target.task_definition.as_ref(),
        }
    }

    /// The service definition of the repository.
    pub fn service_definition(&self) -> Option<&DefinitionFile> {
        match self {
            Self::Ecs(target) => target.service_definition.as_ref(),
            Self::EcsScheduledTask(_) => None,
        }
    }

    /// The task definition and the service definition, to be filled.
    pub fn definitions_mut(&mut self) -> (Option<&mut DefinitionFile>, Option<&mut DefinitionFile>) {
        match self {
            Self::Ecs(target) => (target.task_definition.as_mut(), target.service_definition.as_mut()),
            Self::EcsScheduledTask(target) => (target.task_definition.as_mut(), None),
        }
    }

    /// The definitions of the repository.
    pub fn definitions(&self) -> impl Iterator<Item = &DefinitionFile> {
        self.task_definition().into_iter().chain(self.service_definition())
    }

    /// Fixes what is deployed: these images, in a copy of that revision.
    pub(super) fn fix(&mut self, fixed: BTreeMap<String, ImageSource>, revision: String) {
        match self {
            Self::Ecs(target) => (target.images, target.images_from) = (fixed, None),
            Self::EcsScheduledTask(target) => (target.images, target.images_from) = (fixed, None),
        }
        let (base, file) = match self {
            Self::Ecs(target) => (&mut target.base, &mut target.task_definition),
            Self::EcsScheduledTask(target) => (&mut target.base, &mut target.task_definition),
        };
        (*base, *file) = (Some(revision), None);
        if let Self::Ecs(target) = self {
            target.checkpoints.pause_seconds = None;
        }
    }
}
