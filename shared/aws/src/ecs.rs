//! ECS: services, their tasks, and the two calls that move a service.
//!
//! Tasks are found by service and revision, never by `startedBy` or by the texts of events: only the
//! revision is ours alone.

use std::collections::BTreeMap;

use aws_sdk_ecs::Client;
use aws_sdk_ecs::types::{
    Container, Deployment, DeploymentRolloutState, DesiredStatus, HealthStatus, Service, Tag, Task,
    TaskDefinition, TaskDefinitionField,
};
use pushway_core::definition::DefinitionView;
use pushway_core::ids::{ImageDigestRef, RunId};
use pushway_core::plan::Place;
use pushway_core::ports::{Answer, Fault, MoveServices, ReadDefinitions, ReadSchedules as _, ReadServices};
use pushway_core::scheduled::{StarterRef, only};
use pushway_core::service_deployment::ServiceDeploymentView;
use pushway_core::strategy::Movement;
use pushway_core::views::{
    ContainerView, RolloutState, RolloutView, ServiceMessage, ServiceRef, ServiceView, TaskView,
};

use crate::Aws;
use crate::canned;
use crate::definition_view::definition_view;
use crate::ecs_deployments::{configuration, newest_deployment, settings, stop_service_deployment};
use crate::ecs_hooks::set_hook;
use crate::errors::{code, fault, incomplete};
use crate::logs::tail;
use crate::patience::{PATIENCE, within};
use crate::task_definition::{copy, log_pointer};
use crate::time::timestamp;

/// How many tasks of one kind are looked at: the latest ones.
const MAX_TASKS: usize = 300;
/// How many pages of 100 are read to find the latest.
const MAX_PAGES: usize = 50;
/// The most tasks that `DescribeTasks` takes.
const BATCH: usize = 100;
/// How many of a service's messages are shown.
const MAX_MESSAGES: usize = 20;
/// How many lines of a task's log tell why it ended.
const LOG_LINES: usize = 15;

impl ReadServices for Aws {
    async fn service(&self, at: &ServiceRef) -> Answer<Option<ServiceView>> {
        let Some(service) = describe_service(&self.at(&at.place).ecs, at).await? else { return Ok(None) };
        let revision = primary(&service).and_then(Deployment::task_definition).or(service.task_definition());
        let containers = match revision {
            Some(revision) => {
                describe_task_definition(&self.at(&at.place).ecs, revision).await?.0.container_definitions
            }
            None => None,
        };
        let containers = containers.unwrap_or_default().into_iter().filter_map(|container| container.name);
        Ok(Some(service_view(&service, containers.collect())))
    }

    async fn tasks(&self, at: &ServiceRef) -> Answer<Vec<TaskView>> {
        // AWS takes name and ARN here, emulators the name only.
        let service = at.service.rsplit('/').next().unwrap_or(&at.service);
        tasks(&self.at(&at.place).ecs, &at.cluster, Of::Service(service)).await
    }

    async fn service_deployment(
        &self,
        at: &ServiceRef,
        task_definition: &str,
    ) -> Answer<Option<ServiceDeploymentView>> {
        newest_deployment(&self.at(&at.place).ecs, at, task_definition).await
    }

    async fn definition(&self, place: &Place, task_definition: &str) -> Answer<DefinitionView> {
        let (definition, _) = describe_task_definition(&self.at(place).ecs, task_definition).await?;
        Ok(definition_view(definition))
    }

    async fn task_log(&self, place: &Place, task: &TaskView, container: &str) -> Answer<Vec<String>> {
        let clients = self.at(place);
        let (definition, _) = describe_task_definition(&clients.ecs, &task.task_definition).await?;
        match log_pointer(&definition, container, &task.arn) {
            Some(log) => tail(&clients.logs, &log, LOG_LINES).await,
            None => Ok(Vec::new()),
        }
    }
}

impl ReadDefinitions for Aws {
    async fn serving_definition(&self, at: &ServiceRef) -> Answer<Option<DefinitionView>> {
        let ecs = self.at(&at.place).ecs;
        within(PATIENCE, "look at the service", async {
            let Some(service) = describe_service(&ecs, at).await? else { return Ok(None) };
            let revision = primary(&service).and_then(Deployment::task_definition);
            let Some(revision) = revision.or(service.task_definition()) else { return Ok(None) };
            let (definition, _) = describe_task_definition(&ecs, revision).await?;
            Ok(Some(definition_view(definition)))
        })
        .await
    }

    async fn started_definition(&self, at: &StarterRef) -> Answer<Option<DefinitionView>> {
        within(PATIENCE, "look at the scheduled task", async {
            let Some(tasks) = self.scheduled(at).await? else { return Ok(None) };
            let task = only(&at.starter, Some(tasks)).map_err(Fault::Permanent)?;
            let (definition, _) = describe_task_definition(&self.at(&at.place).ecs, &task.revision).await?;
            Ok(Some(definition_view(definition)))
        })
        .await
    }

    async fn file_definition(&self, content: &serde_json::Value) -> Answer<DefinitionView> {
        Ok(definition_view(canned::task_definition(content).await?.0))
    }
}

impl MoveServices for Aws {
    async fn register(
        &self,
        place: &Place,
        id: RunId,
        base: &str,
        images: &BTreeMap<String, ImageDigestRef>,
    ) -> Answer<String> {
        let ecs = self.at(place).ecs;
        let (definition, tags) = describe_task_definition(&ecs, base).await?;
        register(&ecs, id, definition, tags, images).await
    }

    async fn register_file(
        &self,
        place: &Place,
        id: RunId,
        definition: &serde_json::Value,
        images: &BTreeMap<String, ImageDigestRef>,
    ) -> Answer<String> {
        let (definition, tags) = canned::task_definition(definition).await?;
        register(&self.at(place).ecs, id, definition, tags, images).await
    }

    async fn move_service(
        &self,
        at: &ServiceRef,
        task_definition: &str,
        movement: &Movement,
    ) -> Answer<String> {
        let call = "ecs UpdateService";
        let ecs = self.at(&at.place).ecs;
        let mut update =
            ecs.update_service().cluster(&at.cluster).service(&at.service).task_definition(task_definition);
        if !movement.is_as_configured() {
            let service = describe_service(&ecs, at).await?;
            let service = service.ok_or_else(|| incomplete(call, &at.service))?;
            let mut wanted = configuration(&service, movement);
            set_hook(&mut wanted, movement.hook.as_ref(), &self.settings)?;
            update = update.deployment_configuration(wanted);
        }
        let answer = update.send().await.map_err(|error| fault(call, &error))?;
        let started = answer.service.as_ref().and_then(|service| deployment_of(service, task_definition));
        if let Some(id) = started {
            return Ok(id);
        }
        let service = describe_service(&ecs, at).await?;
        let started = service.as_ref().and_then(|service| deployment_of(service, task_definition));
        started.ok_or_else(|| incomplete(call, format!("a deployment of {task_definition}")))
    }

    async fn stop_deployment(&self, at: &ServiceRef, deployment: &str) -> Answer<bool> {
        stop_service_deployment(&self.at(&at.place).ecs, deployment).await
    }
}

/// The service; `None` where it does not exist or was deleted.
pub(crate) async fn describe_service(ecs: &Client, at: &ServiceRef) -> Answer<Option<Service>> {
    let answer = ecs.describe_services().cluster(&at.cluster).services(&at.service).send().await;
    let services = match answer {
        Ok(answer) => answer.services.unwrap_or_default(),
        Err(error) => match code(&error) {
            Some("ClusterNotFoundException" | "ServiceNotFoundException") => return Ok(None),
            _ => return Err(fault("ecs DescribeServices", &error)),
        },
    };
    Ok(services.into_iter().next().filter(|service| service.status() != Some("INACTIVE")))
}

pub(crate) async fn describe_task_definition(
    ecs: &Client,
    revision: &str,
) -> Answer<(TaskDefinition, Vec<Tag>)> {
    let call = "ecs DescribeTaskDefinition";
    let answer = ecs
        .describe_task_definition()
        .task_definition(revision)
        .include(TaskDefinitionField::Tags)
        .send()
        .await
        .map_err(|error| fault(call, &error))?;
    let definition = answer.task_definition.ok_or_else(|| incomplete(call, revision))?;
    Ok((definition, answer.tags.unwrap_or_default()))
}

/// Whose tasks are meant.
#[derive(Clone, Copy)]
pub(crate) enum Of<'a> {
    /// Those of a service, by name.
    Service(&'a str),
    /// Those of every revision of a family.
    Family(&'a str),
}

/// Running tasks and those that stopped lately, the latest first.
pub(crate) async fn tasks(ecs: &Client, cluster: &str, of: Of<'_>) -> Answer<Vec<TaskView>> {
    let mut arns = Vec::new();
    for status in [DesiredStatus::Running, DesiredStatus::Stopped] {
        arns.extend(list_tasks(ecs, cluster, of, status).await?);
    }
    let mut tasks = Vec::new();
    for batch in arns.chunks(BATCH) {
        let answer = ecs
            .describe_tasks()
            .cluster(cluster)
            .set_tasks(Some(batch.to_vec()))
            .send()
            .await
            .map_err(|error| fault("ecs DescribeTasks", &error))?;
        tasks.extend(answer.tasks.unwrap_or_default());
    }
    tasks.sort_by_key(|task| std::cmp::Reverse(task.created_at.map(|at| at.secs())));
    Ok(tasks.iter().map(task_view).collect())
}

/// ARNs of the tasks of one kind, the latest ones.
async fn list_tasks(ecs: &Client, cluster: &str, of: Of<'_>, status: DesiredStatus) -> Answer<Vec<String>> {
    let (mut arns, mut next) = (Vec::new(), None);
    for _ in 0..MAX_PAGES {
        let asked = ecs.list_tasks().cluster(cluster);
        let asked = match of {
            Of::Service(name) => asked.service_name(name),
            Of::Family(name) => asked.family(name),
        };
        let answer = asked.desired_status(status.clone()).set_next_token(next).send().await;
        let page = match answer {
            Ok(page) => page,
            Err(error) => match code(&error) {
                Some("ClusterNotFoundException" | "ServiceNotFoundException") => break,
                _ => return Err(fault("ecs ListTasks", &error)),
            },
        };
        arns.extend(page.task_arns.unwrap_or_default());
        next = page.next_token;
        if next.is_none() {
            break;
        }
    }
    Ok(arns.split_off(arns.len().saturating_sub(MAX_TASKS)))
}

/// Registers a copy with other images; gives its ARN.
async fn register(
    ecs: &Client,
    id: RunId,
    definition: TaskDefinition,
    tags: Vec<Tag>,
    images: &BTreeMap<String, ImageDigestRef>,
) -> Answer<String> {
    let call = "ecs RegisterTaskDefinition";
    let answer = copy(definition, tags, images, id)?.send_with(ecs).await;
    let answer = answer.map_err(|error| fault(call, &error))?;
    let registered = answer.task_definition.and_then(|definition| definition.task_definition_arn);
    registered.ok_or_else(|| incomplete(call, "taskDefinitionArn"))
}

fn primary(service: &Service) -> Option<&Deployment> {
    service.deployments().iter().find(|deployment| deployment.status() == Some("PRIMARY"))
}

/// The id of the deployment that brings this revision: the primary one, or one that was given up before
/// the answer was written.
fn deployment_of(service: &Service, task_definition: &str) -> Option<String> {
    let is_ours = |deployment: &&Deployment| deployment.task_definition() == Some(task_definition);
    let given_up = || {
        let ours = service.deployments().iter().filter(is_ours);
        ours.max_by_key(|deployment| deployment.created_at.map(|at| at.secs()))
    };
    primary(service).filter(is_ours).or_else(given_up)?.id.clone()
}

fn count(number: i32) -> u32 {
    u32::try_from(number).unwrap_or(0)
}

fn service_view(service: &Service, containers: Vec<String>) -> ServiceView {
    let mut rollouts: Vec<RolloutView> = service.deployments().iter().map(rollout_view).collect();
    rollouts.sort_by_key(|rollout| !rollout.is_primary);
    let messages = service.events().iter().filter_map(|event| {
        let at = event.created_at.as_ref().and_then(timestamp);
        Some(ServiceMessage { at, text: event.message.clone()? })
    });
    ServiceView {
        arn: service.service_arn.clone().unwrap_or_default(),
        is_active: service.status() == Some("ACTIVE"),
        desired: count(service.desired_count),
        containers,
        settings: settings(service),
        rollouts,
        messages: messages.take(MAX_MESSAGES).collect(),
    }
}

fn rollout_view(deployment: &Deployment) -> RolloutView {
    let state = match &deployment.rollout_state {
        Some(DeploymentRolloutState::Completed) => RolloutState::Completed,
        Some(DeploymentRolloutState::Failed) => RolloutState::Failed,
        _ => RolloutState::InProgress,
    };
    RolloutView {
        id: deployment.id.clone().unwrap_or_default(),
        is_primary: deployment.status() == Some("PRIMARY"),
        state,
        reason: deployment.rollout_state_reason.clone().unwrap_or_default(),
        task_definition: deployment.task_definition.clone().unwrap_or_default(),
        desired: count(deployment.desired_count),
        running: count(deployment.running_count),
        failed: count(deployment.failed_tasks),
        updated_at: deployment.updated_at.as_ref().and_then(timestamp),
    }
}

pub(crate) fn task_view(task: &Task) -> TaskView {
    TaskView {
        arn: task.task_arn.clone().unwrap_or_default(),
        task_definition: task.task_definition_arn.clone().unwrap_or_default(),
        is_running: task.last_status() == Some("RUNNING"),
        is_stopped: task.last_status() == Some("STOPPED"),
        stopped_reason: task.stopped_reason.clone().unwrap_or_default(),
        stop_code: task.stop_code.as_ref().map(|code| code.as_str().to_owned()).unwrap_or_default(),
        containers: task.containers().iter().map(container_view).collect(),
    }
}

fn container_view(container: &Container) -> ContainerView {
    ContainerView {
        name: container.name.clone().unwrap_or_default(),
        digest: container.image_digest.as_deref().and_then(|digest| digest.parse().ok()),
        exit_code: container.exit_code,
        reason: container.reason.clone().unwrap_or_default(),
        is_unhealthy: container.health_status == Some(HealthStatus::Unhealthy),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(deployments: &[(&str, &str, &str, &str)]) -> Service {
        let deployment = |(id, status, state, revision): &(&str, &str, &str, &str)| {
            Deployment::builder()
                .id(*id)
                .status(*status)
                .rollout_state(DeploymentRolloutState::from(*state))
                .task_definition(*revision)
                .build()
        };
        Service::builder()
            .status("ACTIVE")
            .set_deployments(Some(deployments.iter().map(deployment).collect()))
            .build()
    }

    #[test]
    fn the_deployment_we_started_is_the_one_of_our_revision_even_if_it_was_given_up_at_once() {
        let moving =
            service(&[("old", "ACTIVE", "COMPLETED", "web:1"), ("new", "PRIMARY", "IN_PROGRESS", "web:2")]);
        assert_eq!(deployment_of(&moving, "web:2").as_deref(), Some("new"));
        let back = service(&[("new", "ACTIVE", "FAILED", "web:2"), ("old", "PRIMARY", "COMPLETED", "web:1")]);
        assert_eq!(deployment_of(&back, "web:2").as_deref(), Some("new"));
        assert_eq!(deployment_of(&back, "web:3"), None);
    }

    #[test]
    fn the_primary_rollout_comes_first() {
        let view = service_view(
            &service(&[("new", "ACTIVE", "FAILED", "web:2"), ("old", "PRIMARY", "IN_PROGRESS", "web:1")]),
            vec!["web".into()],
        );
        let states: Vec<_> =
            view.rollouts.iter().map(|rollout| (rollout.id.as_str(), rollout.state)).collect();
        assert_eq!(states, [("old", RolloutState::InProgress), ("new", RolloutState::Failed)]);
        assert!(view.is_active && view.primary().is_some_and(|primary| primary.id == "old"));
    }
}
