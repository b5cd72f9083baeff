//! ECS: tasks that belong to no service.
//!
//! A task is started with the network, capacity and platform of the service that it prepares the ground for,
//! and with a mark that finds it again: as `startedBy` while it runs, as client token for a day.

use aws_sdk_ecs::types::{ContainerOverride, Service, TaskOverride};
use pushway_core::ports::{Answer, Fault, ReadTasks, RunTasks};
use pushway_core::views::{TaskRef, TaskRequest, TaskView};

use crate::ecs::{describe_service, task_view};
use crate::errors::{code, fault, incomplete};
use crate::{Aws, canned};

/// Why a task could not be placed at this moment (Amazon ECS Developer Guide, "API failure reasons").
const PASSING: [&str; 3] = ["RESOURCE", "AGENT", "Capacity"];

impl RunTasks for Aws {
    /// `startedBy` must be the only filter, and so finds running tasks only (Amazon ECS API Reference,
    /// `ListTasks`); a stopped one is found by the client token.
    async fn started_task(&self, request: &TaskRequest) -> Answer<Option<String>> {
        let ecs = self.at(&request.service.place).ecs;
        let answer =
            ecs.list_tasks().cluster(&request.service.cluster).started_by(&request.mark).send().await;
        let answer = answer.map_err(|error| fault("ecs ListTasks", &error))?;
        Ok(answer.task_arns.unwrap_or_default().into_iter().next())
    }

    async fn run_task(&self, request: &TaskRequest) -> Answer<String> {
        let call = "ecs RunTask";
        let ecs = self.at(&request.service.place).ecs;
        let absent = || Fault::Permanent(format!("there is no service {}", request.service.service));
        let service = match (describe_service(&ecs, &request.service).await?, &request.definition) {
            (Some(service), _) => service,
            (None, Some(definition)) => canned::service(definition).await?,
            (None, None) => return Err(absent()),
        };
        let answer = like_service(ecs.run_task(), service)
            .cluster(&request.service.cluster)
            .task_definition(&request.task_definition)
            .count(1)
            .started_by(&request.mark)
            .client_token(&request.mark)
            .overrides(overrides(request))
            .send()
            .await
            .map_err(|error| fault(call, &error))?;
        if let Some(arn) = answer.tasks().first().and_then(|task| task.task_arn.clone()) {
            return Ok(arn);
        }
        let Some(failure) = answer.failures().first() else { return Err(incomplete(call, "a task")) };
        let reason = failure.reason.clone().unwrap_or_default();
        let text = format!("{call}: {reason} {}", failure.detail.clone().unwrap_or_default());
        let passes = PASSING.iter().any(|passing| reason.contains(passing));
        Err(if passes { Fault::Retryable(text) } else { Fault::Permanent(text) })
    }

    async fn stop_task(&self, task: &TaskRef, reason: &str) -> Answer<()> {
        let ecs = self.at(&task.place).ecs;
        let answer = ecs.stop_task().cluster(&task.cluster).task(&task.arn).reason(reason).send().await;
        answer.map(|_| ()).map_err(|error| fault("ecs StopTask", &error))
    }
}

impl ReadTasks for Aws {
    async fn task(&self, task: &TaskRef) -> Answer<Option<TaskView>> {
        let ecs = self.at(&task.place).ecs;
        match ecs.describe_tasks().cluster(&task.cluster).tasks(&task.arn).send().await {
            Ok(answer) => Ok(answer.tasks().first().map(task_view)),
            Err(error) if code(&error) == Some("ClusterNotFoundException") => Ok(None),
            Err(error) => Err(fault("ecs DescribeTasks", &error)),
        }
    }
}

type RunTask = aws_sdk_ecs::operation::run_task::builders::RunTaskFluentBuilder;

/// Where the service's own tasks run. A strategy and a launch type exclude each other, and placement is a
/// matter of EC2 only, where the service has it.
fn like_service(call: RunTask, service: Service) -> RunTask {
    let strategy = service.capacity_provider_strategy.filter(|strategy| !strategy.is_empty());
    let launch_type = service.launch_type.filter(|_| strategy.is_none());
    call.set_network_configuration(service.network_configuration)
        .set_capacity_provider_strategy(strategy)
        .set_launch_type(launch_type)
        .set_platform_version(service.platform_version.filter(|version| !version.is_empty()))
        .set_placement_constraints(service.placement_constraints.filter(|list| !list.is_empty()))
}

fn overrides(request: &TaskRequest) -> TaskOverride {
    let command = Some(request.command.clone()).filter(|command| !command.is_empty());
    let container = ContainerOverride::builder().name(&request.container).set_command(command).build();
    TaskOverride::builder().container_overrides(container).build()
}
