//! Why a deploy failed: gathers what the world still shows of it, for the card that the run keeps.
//!
//! Evidence is welcome, but what can't be read must not hold the verdict back.

use jiff::Timestamp;

use crate::definition::changes;
use crate::fact::{DeployFailure, DeployFailureKind, Rollout};
use crate::failure_card::{FailureCard, Seen};
use crate::ids::EnvironmentName;
use crate::ports::{Answer, ReadServices};
use crate::rollout::{deploy_failure, telling_container};
use crate::views::{ServiceView, TaskView};

/// The failure of a deploy that was begun at `since`; `tasks` are read where they are not at hand.
pub(super) async fn explain(
    ports: &impl ReadServices,
    rollout: &Rollout,
    environment: &EnvironmentName,
    (kind, reason): (DeployFailureKind, &str),
    (service, tasks): (&ServiceView, Option<Vec<TaskView>>),
    since: Timestamp,
) -> Answer<DeployFailure> {
    let tasks = match tasks {
        Some(tasks) => tasks,
        None => ports.tasks(&rollout.at()).await?,
    };
    let log = match telling_container(&rollout.task_definition, &tasks) {
        Some((task, container)) => ports.task_log(&rollout.place, task, container).await.unwrap_or_default(),
        None => Vec::new(),
    };
    let changes = definition_changes(ports, rollout).await.unwrap_or_default();
    let seen = Seen { tasks, said: service.messages.clone(), changes, log };
    let card = FailureCard::new(&rollout.task_definition, since, &seen);
    Ok(deploy_failure(environment, kind, reason, card))
}

/// What the run's revision changes against the last good one.
async fn definition_changes(ports: &impl ReadServices, rollout: &Rollout) -> Answer<Vec<String>> {
    let Some(baseline) = &rollout.baseline else { return Ok(Vec::new()) };
    let good = ports.definition(&rollout.place, &baseline.task_definition).await?;
    let ours = ports.definition(&rollout.place, &rollout.task_definition).await?;
    Ok(changes(&good, &ours))
}
