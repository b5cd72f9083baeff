//! What starts ECS tasks: rules of EventBridge and schedules of EventBridge Scheduler.
//!
//! `PutTargets` replaces a target whole and `UpdateSchedule` a schedule whole, neither on any condition. So what
//! was read a moment ago is sent back as it came, with another task definition in it; and only if the one that is
//! there is the one that is expected.

use aws_sdk_eventbridge::operation::put_targets::PutTargetsOutput;
use pushway_core::fact::Scheduled;
use pushway_core::plan::Place;
use pushway_core::ports::{Answer, Fault, MoveSchedules, Pointed, ReadSchedules};
use pushway_core::scheduled::{ScheduledView, Starter, StarterRef};
use pushway_core::views::TaskView;
use serde_json::{Value, json};

use crate::Aws;
use crate::ecs::{Of, describe_task_definition, tasks};
use crate::errors::{classify, code, fault};
use crate::places::Clients;
use crate::raw::{self, Body};

/// Another writer was there in the same moment (EventBridge API Reference, `PutTargets`; EventBridge Scheduler
/// API Reference, `UpdateSchedule`): looking again will tell what it wrote.
const CONTENDED: [&str; 2] = ["ConcurrentModificationException", "ConflictException"];
/// Where the task definition stands in a target of either kind.
const DEFINITION: &str = "/EcsParameters/TaskDefinitionArn";
/// What `GetSchedule` tells and `UpdateSchedule` does not take; the name stands in the address.
const READ_ONLY: [&str; 4] = ["Arn", "CreationDate", "LastModificationDate", "Name"];

impl ReadSchedules for Aws {
    async fn scheduled(&self, at: &StarterRef) -> Answer<Option<Vec<ScheduledView>>> {
        let clients = self.at(&at.place);
        let Some(targets) = targets(&clients, &at.starter).await? else { return Ok(None) };
        let mut views = Vec::new();
        for target in targets {
            views.push(view(&clients, &at.starter, &target).await?);
        }
        Ok(Some(views))
    }

    async fn started(&self, place: &Place, cluster: &str, task_definition: &str) -> Answer<Vec<TaskView>> {
        let named = task_definition.rsplit('/').next().unwrap_or(task_definition);
        let (family, _) = named.split_once(':').unwrap_or((named, ""));
        let mut tasks = tasks(&self.at(place).ecs, cluster, Of::Family(family)).await?;
        tasks.retain(|task| task.task_definition == task_definition);
        Ok(tasks)
    }
}

impl MoveSchedules for Aws {
    async fn point(&self, place: &Place, task: &Scheduled, from: &str, to: &str) -> Answer<Pointed> {
        let clients = self.at(place);
        match &task.starter {
            Starter::Rule { bus, name, .. } => {
                let targets = targets(&clients, &task.starter).await?.unwrap_or_default();
                let ours = |target: &Value| is_target(task, target);
                let Some(mut target) = targets.into_iter().find(ours) else { return Ok(Pointed::Gone) };
                if let Some(decided) = set(target.pointer_mut(DEFINITION), from, to) {
                    return Ok(decided);
                }
                put_target(&clients, bus, name, target).await?;
            }
            Starter::Schedule { group, name } => {
                let Some(mut schedule) = schedule(&clients, group, name).await? else {
                    return Ok(Pointed::Gone);
                };
                let definition = schedule.get_mut("Target").and_then(|target| target.pointer_mut(DEFINITION));
                if let Some(decided) = set(definition, from, to) {
                    return Ok(decided);
                }
                update_schedule(&clients, name, schedule).await?;
            }
        }
        Ok(Pointed::There)
    }
}

/// Puts `to` where `from` stands. Gives what it comes to where nothing must be written.
fn set(definition: Option<&mut Value>, from: &str, to: &str) -> Option<Pointed> {
    let Some(definition) = definition else { return Some(Pointed::Gone) };
    match definition.as_str().unwrap_or_default() {
        found if found == to => Some(Pointed::There),
        found if found != from => Some(Pointed::Elsewhere(found.to_owned())),
        _ => {
            *definition = json!(to);
            None
        }
    }
}

/// The targets that are ECS tasks, as they came. A rule has five at most, so one page is all.
pub(crate) async fn targets(clients: &Clients, starter: &Starter) -> Answer<Option<Vec<Value>>> {
    let mut targets: Vec<Value> = match starter {
        Starter::Schedule { group, name } => match schedule(clients, group, name).await? {
            Some(mut schedule) => vec![schedule["Target"].take()],
            None => return Ok(None),
        },
        Starter::Rule { bus, name, .. } => {
            let (call, body) = ("events ListTargetsByRule", Body::default());
            let asked = clients.eventbridge.list_targets_by_rule().rule(name).event_bus_name(bus);
            match asked.customize().interceptor(body.clone()).send().await {
                Ok(_) => body.json(call)?["Targets"].as_array().cloned().unwrap_or_default(),
                Err(error) if code(&error) == Some("ResourceNotFoundException") => return Ok(None),
                Err(error) => return Err(fault(call, &error)),
            }
        }
    };
    targets.retain(|target| target.pointer(DEFINITION).is_some());
    Ok(Some(targets))
}

async fn schedule(clients: &Clients, group: &str, name: &str) -> Answer<Option<Value>> {
    let (call, body) = ("scheduler GetSchedule", Body::default());
    let asked = clients.scheduler.get_schedule().group_name(group).name(name);
    match asked.customize().interceptor(body.clone()).send().await {
        Ok(_) => body.json(call).map(Some),
        Err(error) if code(&error) == Some("ResourceNotFoundException") => Ok(None),
        Err(error) => Err(fault(call, &error)),
    }
}

async fn put_target(clients: &Clients, bus: &str, name: &str, target: Value) -> Answer<()> {
    let call = "events PutTargets";
    let body = json!({ "Rule": name, "EventBusName": bus, "Targets": [target] });
    let put = clients.eventbridge.put_targets().rule(name).event_bus_name(bus);
    let answer = put.customize().mutate_request(move |request| raw::replace(request, &body)).send().await;
    match answer {
        Ok(answer) => check(call, &answer),
        Err(error) => Err(retry_contended(code(&error), fault(call, &error))),
    }
}

/// A call that succeeds may still have written nothing.
fn check(call: &str, answer: &PutTargetsOutput) -> Answer<()> {
    let Some(failed) = answer.failed_entries().first() else { return Ok(()) };
    let fault = classify(call, 400, failed.error_code(), failed.error_message());
    Err(retry_contended(failed.error_code(), fault))
}

async fn update_schedule(clients: &Clients, name: &str, mut schedule: Value) -> Answer<()> {
    let call = "scheduler UpdateSchedule";
    if let Some(fields) = schedule.as_object_mut() {
        fields.retain(|field, _| !READ_ONLY.contains(&field.as_str()));
    }
    let put = clients.scheduler.update_schedule().name(name);
    let answer = put.customize().mutate_request(move |request| raw::replace(request, &schedule)).send().await;
    answer.map(|_| ()).map_err(|error| retry_contended(code(&error), fault(call, &error)))
}

fn retry_contended(code: Option<&str>, fault: Fault) -> Fault {
    match fault {
        Fault::Permanent(why) if code.is_some_and(|code| CONTENDED.contains(&code)) => Fault::Retryable(why),
        fault => fault,
    }
}

/// Whether this is the target that is meant.
pub(crate) fn is_target(task: &Scheduled, target: &Value) -> bool {
    id(&task.starter, target) == task.target
}

fn id(starter: &Starter, target: &Value) -> String {
    match starter {
        Starter::Rule { .. } => target["Id"].as_str().unwrap_or_default().to_owned(),
        Starter::Schedule { name, .. } => name.clone(),
    }
}

async fn view(clients: &Clients, starter: &Starter, target: &Value) -> Answer<ScheduledView> {
    let named = target.pointer(DEFINITION).and_then(Value::as_str).unwrap_or_default();
    // An ARN without a revision is no name that ECS describes; its family is.
    let asked = match named.rsplit_once("task-definition/") {
        Some((_, family)) if !family.contains(':') => family,
        _ => named,
    };
    let (definition, _) = describe_task_definition(&clients.ecs, asked).await?;
    let containers = definition.container_definitions.unwrap_or_default().into_iter();
    let roles = [definition.task_role_arn, definition.execution_role_arn];
    Ok(ScheduledView {
        target: id(starter, target),
        cluster: target["Arn"].as_str().unwrap_or_default().to_owned(),
        named: named.to_owned(),
        revision: definition.task_definition_arn.unwrap_or_else(|| named.to_owned()),
        images: containers.filter_map(|container| Some((container.name?, container.image?))).collect(),
        roles: roles.into_iter().flatten().filter(|role| !role.is_empty()).collect(),
        starting_role: target["RoleArn"].as_str().map(str::to_owned),
    })
}

/// Whether it is turned on.
pub(crate) async fn is_on(clients: &Clients, starter: &Starter) -> Answer<bool> {
    let state = match starter {
        Starter::Schedule { group, name } => {
            schedule(clients, group, name).await?.and_then(|found| Some(found["State"].as_str()?.to_owned()))
        }
        Starter::Rule { bus, name, .. } => {
            let answer = clients.eventbridge.describe_rule().name(name).event_bus_name(bus).send().await;
            let answer = answer.map_err(|error| fault("events DescribeRule", &error))?;
            answer.state.map(|state| state.as_str().to_owned())
        }
    };
    Ok(state.is_none_or(|state| state.starts_with("ENABLED")))
}
