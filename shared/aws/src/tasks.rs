//! ECS: tasks that belong to no service.
//!
//! A task is started with the network, capacity and platform of the service that it prepares the ground for, or
//! just as a rule or schedule starts it, and with a mark that finds it again: as `startedBy` while it runs, as client token for a day.

use aws_sdk_ecs::operation::run_task::RunTaskOutput;
use aws_sdk_ecs::types::{ContainerOverride, Service, TaskOverride};
use pushway_core::fact::Scheduled;
use pushway_core::messages::scheduled::no_starter;
use pushway_core::ports::{Answer, Fault, ReadTasks, RunTasks};
use pushway_core::views::{TaskRef, TaskRequest, TaskView};
use serde_json::{Map, Value, json};

use crate::ecs::{describe_service, task_view};
use crate::errors::{code, fault, incomplete};
use crate::places::Clients;
use crate::schedules::{is_target, targets};
use crate::{Aws, canned, raw};

const CALL: &str = "ecs RunTask";

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
        let ecs = self.at(&request.service.place).ecs;
        if let Some(scheduled) = &request.scheduled {
            return run_scheduled(&self.at(&request.service.place), request, scheduled).await;
        }
        let absent = || Fault::Permanent(format!("there is no service {}", request.service.service));
        let service = match (describe_service(&ecs, &request.service).await?, &request.definition) {
            (Some(service), _) => service,
            (None, Some(definition)) => canned::service(definition).await?,
            (None, None) => return Err(absent()),
        };
        let call = once(like_service(ecs.run_task(), service), request).overrides(overrides(request));
        started(&call.send().await.map_err(|error| fault(CALL, &error))?)
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

/// One task of the request's revision, with its mark.
fn once(call: RunTask, request: &TaskRequest) -> RunTask {
    call.cluster(&request.service.cluster)
        .task_definition(&request.task_definition)
        .count(1)
        .started_by(&request.mark)
        .client_token(&request.mark)
}

/// ARN of the task that was started, or why none was.
fn started(answer: &RunTaskOutput) -> Answer<String> {
    if let Some(arn) = answer.tasks().first().and_then(|task| task.task_arn.clone()) {
        return Ok(arn);
    }
    let Some(failure) = answer.failures().first() else { return Err(incomplete(CALL, "a task")) };
    let reason = failure.reason.clone().unwrap_or_default();
    let text = format!("{CALL}: {reason} {}", failure.detail.clone().unwrap_or_default());
    let passes = PASSING.iter().any(|passing| reason.contains(passing));
    Err(if passes { Fault::Retryable(text) } else { Fault::Permanent(text) })
}

/// Starts a task as its rule or schedule would.
async fn run_scheduled(clients: &Clients, request: &TaskRequest, scheduled: &Scheduled) -> Answer<String> {
    let targets = targets(clients, &scheduled.starter).await?.unwrap_or_default();
    let absent = || Fault::Permanent(no_starter(&scheduled.starter));
    let target = targets.iter().find(|target| is_target(scheduled, target)).ok_or_else(absent)?;
    let like = like_scheduled(target, request);
    let call = once(clients.ecs.run_task(), request).customize();
    let call = call.mutate_request(move |sent| raw::edit(sent, |body| merge(body, &like)));
    started(&call.send().await.map_err(|error| fault(CALL, &error))?)
}

fn merge(body: &mut Value, more: &Map<String, Value>) {
    if let Some(body) = body.as_object_mut() {
        body.extend(more.clone());
    }
}

/// What of a target's `EcsParameters` and `Input` a `RunTask` takes, in ECS' words.
fn like_scheduled(target: &Value, request: &TaskRequest) -> Map<String, Value> {
    let parameters = &target["EcsParameters"];
    let mut like = Map::new();
    for (from, to) in [
        ("CapacityProviderStrategy", "capacityProviderStrategy"),
        ("LaunchType", "launchType"),
        ("PlacementConstraints", "placementConstraints"),
        ("PlacementStrategy", "placementStrategy"),
        ("PlatformVersion", "platformVersion"),
    ] {
        let is_there = |value: &&Value| !value.as_array().is_some_and(Vec::is_empty);
        like.extend(parameters.get(from).filter(is_there).map(|value| (to.to_owned(), value.clone())));
    }
    // Both services write this one structure in either way.
    if let Some(network) = parameters.pointer("/NetworkConfiguration/awsvpcConfiguration") {
        let network = json!({
            "subnets": network["Subnets"],
            "securityGroups": network.get("SecurityGroups").cloned().unwrap_or_else(|| json!([])),
            "assignPublicIp": network.get("AssignPublicIp").cloned().unwrap_or_else(|| json!("DISABLED")),
        });
        like.insert("networkConfiguration".into(), json!({ "awsvpcConfiguration": network }));
    }
    like.insert("overrides".into(), scheduled_overrides(target["Input"].as_str(), request));
    like
}

/// The overrides that the target gives its tasks, with the request's command in its container.
fn scheduled_overrides(input: Option<&str>, request: &TaskRequest) -> Value {
    let given = input.and_then(|input| serde_json::from_str::<Value>(input).ok());
    let mut overrides = given.filter(Value::is_object).unwrap_or_else(|| json!({}));
    let given = overrides["containerOverrides"].take();
    let mut containers = given.as_array().cloned().unwrap_or_default();
    if !containers.iter().any(|container| container["name"] == request.container.as_str()) {
        containers.push(json!({ "name": request.container }));
    }
    let ours = containers.iter_mut().find(|container| container["name"] == request.container.as_str());
    if let Some(ours) = ours.filter(|_| !request.command.is_empty()) {
        ours["command"] = json!(request.command);
    }
    overrides["containerOverrides"] = json!(containers);
    overrides
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
