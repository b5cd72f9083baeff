//! The failure card: what was seen of a failed deploy, kept with the run and bounded.
//!
//! Pure: made of views, read by people and programs long after the tasks are gone (ECS forgets a stopped task
//! within the hour). It holds no value of an environment variable and no secret. What follows from it in words
//! is `messages::deploys`' to say.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::fact::bounded;
use crate::views::{ServiceMessage, TaskView};

/// Stopped tasks of a card: the latest few say what all say.
const MAX_TASKS: usize = 5;
/// Sick containers and targets of a card.
const MAX_UNHEALTHY: usize = 5;
/// Messages of the service on a card.
const MAX_SAID: usize = 8;
/// Changes of the task definition on a card.
const MAX_CHANGES: usize = 20;
/// Log lines of a card.
const MAX_LOG: usize = 15;
/// Longest text on a card, in characters.
const MAX_TEXT: usize = 400;

/// What was seen of a failed deploy.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct FailureCard {
    /// The revision's stopped tasks, latest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tasks: Vec<StoppedTask>,
    /// Containers and targets whose health checks fail, in words.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unhealthy: Vec<String>,
    /// What the service has said since it was told to move, oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub said: Vec<String>,
    /// What the task definition changed since the last good one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<String>,
    /// The last lines of the container that tells most, oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub log: Vec<String>,
}

/// A task that stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StoppedTask {
    /// The last part of its ARN.
    pub task: String,
    /// Why, in the service's words.
    pub reason: String,
    /// Its containers.
    pub containers: Vec<StoppedContainer>,
}

/// A container of a stopped task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StoppedContainer {
    /// Its name.
    pub name: String,
    /// Its exit code, if it ever ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// What the agent said of it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

/// What was gathered for a card.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// The service's tasks, latest first.
    pub tasks: Vec<TaskView>,
    /// What the service said, newest first.
    pub said: Vec<ServiceMessage>,
    /// What the task definition changed since the last good one.
    pub changes: Vec<String>,
    /// The last lines of a container, oldest first.
    pub log: Vec<String>,
}

impl FailureCard {
    /// The card of the deployment of `task_definition`, which began at `since`. A revision is registered for
    /// one run only, so it tells whose a task is.
    pub fn new(task_definition: &str, since: Timestamp, seen: &Seen) -> Self {
        let ours = || seen.tasks.iter().filter(|task| task.task_definition == task_definition);
        let stopped = ours().filter(|task| !task.stopped_reason.is_empty());
        let lately = seen.said.iter().take_while(|message| message.at.is_none_or(|at| at >= since));
        let said: Vec<String> = lately.take(MAX_SAID).map(|message| short(&message.text)).collect();
        Self {
            tasks: stopped.take(MAX_TASKS).map(stopped_task).collect(),
            unhealthy: unhealthy(ours()),
            said: said.into_iter().rev().collect(),
            changes: seen.changes.iter().take(MAX_CHANGES).map(|text| short(text)).collect(),
            log: seen
                .log
                .iter()
                .skip(seen.log.len().saturating_sub(MAX_LOG))
                .map(|text| short(text))
                .collect(),
        }
    }

    /// The stopped container that tells most: one that ended with an error.
    pub fn telling_exit(&self) -> Option<(&str, i32, &str)> {
        let containers = self.tasks.iter().flat_map(|task| &task.containers);
        let mut exits = containers.filter_map(|known| {
            Some((known.name.as_str(), known.exit_code.filter(|code| *code != 0)?, known.reason.as_str()))
        });
        exits.next()
    }
}

fn stopped_task(task: &TaskView) -> StoppedTask {
    let container = |known: &crate::views::ContainerView| StoppedContainer {
        name: known.name.clone(),
        exit_code: known.exit_code,
        reason: short(&known.reason),
    };
    StoppedTask {
        task: task.arn.rsplit('/').next().unwrap_or(&task.arn).to_owned(),
        reason: short(&task.stopped_reason),
        containers: task.containers.iter().map(container).collect(),
    }
}

/// Sick containers by name, and what the load balancer found: ECS tells a sick target by the reason why its
/// task was stopped ("Task failed ELB health checks in (target-group …)").
fn unhealthy<'a>(tasks: impl Iterator<Item = &'a TaskView>) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for task in tasks {
        let sick = task.containers.iter().filter(|known| known.is_unhealthy);
        let sick = sick.map(|known| crate::messages::deploys::sick_container(&known.name));
        let target = task.stopped_reason.contains("health checks").then(|| short(&task.stopped_reason));
        for words in sick.chain(target) {
            if found.len() < MAX_UNHEALTHY && !found.contains(&words) {
                found.push(words);
            }
        }
    }
    found
}

fn short(text: &str) -> String {
    bounded(text, MAX_TEXT)
}
