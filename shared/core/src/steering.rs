//! What people do to a run as a whole: what a stop leads to, whether a run can be retried. Pure.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::environment::Deployed;
use crate::ids::{EnvironmentName, RunId};
use crate::messages;
use crate::plan::Plan;
use crate::run::{EnvironmentState, JobState, KeptEnvironment, Run, Status, Stop, TaskState};
use crate::source::{RetryFrom, Trigger};

/// The answer to a stop.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StopAnswer {
    /// The run.
    pub run_id: RunId,
    /// Where it stands at this moment.
    pub status: Status,
    /// Whether it is over.
    pub over: bool,
    /// Who has stopped it, and why: whoever said so first.
    pub stop: Stop,
    /// What follows, in words.
    pub follows: Vec<String>,
}

/// From where a run is to be retried.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RetryOrder {
    /// From the start, or from where it failed.
    pub from: RetryFrom,
}

/// The answer to a retry.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RetryAnswer {
    /// The new run.
    pub run_id: RunId,
    /// Whether this very request has started it; else it was started by the same request before.
    pub new: bool,
    /// The run that is retried.
    pub of: RunId,
    /// From where.
    pub from: RetryFrom,
    /// What people should know about it.
    pub notes: Vec<String>,
}

/// What a stop leads to, in words.
pub fn follows(run: &Run, plan: Option<&Plan>) -> Vec<String> {
    if run.status.is_terminal() {
        return vec![messages::over_already(run)];
    }
    let live: Vec<&EnvironmentName> =
        run.environments.iter().take_while(|state| state.is_live()).map(|state| &state.name).collect();
    let mut words = Vec::new();
    if !live.is_empty() {
        words.push(messages::stays_live(&live));
    }
    let here = run.environments.get(live.len()).filter(|state| state.fence.is_some());
    words.push(match here {
        Some(state) => in_environment(run, state, plan),
        None => messages::builds_stop(run.jobs.iter().filter(|state| JobState::is_running(state)).count()),
    });
    words
}

fn in_environment(run: &Run, state: &EnvironmentState, plan: Option<&Plan>) -> String {
    let name = &state.name;
    let planned = plan.and_then(|plan| plan.environment(name));
    if state.rollback.is_some() {
        return messages::goes_back_already(name);
    }
    if planned.is_some_and(|planned| run.stop.is_some() && run.stop_in(planned).is_none()) {
        return messages::brought_to_its_end(name);
    }
    if state.deploy.as_ref().is_some_and(|verdict| verdict.failure.is_none()) {
        return messages::taken_back(name);
    }
    if state.deployment.is_some() {
        return messages::sent_back(name);
    }
    if state.before.iter().any(TaskState::is_running) {
        return messages::task_let_end(name);
    }
    messages::builds_stop(0)
}

/// Why a run can't be retried from there, if it can't.
pub fn refusal(run: &Run, from: RetryFrom) -> Option<String> {
    if !run.status.is_terminal() {
        return Some(messages::not_over(run));
    }
    if run.status == Status::Ignored {
        return Some(messages::never_wanted(run));
    }
    if matches!(run.source.trigger, Trigger::Rollback { .. }) {
        return Some(messages::ask_for_rollback(run));
    }
    match from {
        RetryFrom::Failed if run.status == Status::Succeeded => Some(messages::nothing_failed(run)),
        RetryFrom::Failed if run.plan_digest.is_none() => Some(messages::nothing_to_keep(run)),
        RetryFrom::Start | RetryFrom::Failed => None,
    }
}

/// Why an environment can't be left as it is, if it can't: something else serves there by now.
pub fn lost(kept: &KeptEnvironment, current: Option<&Deployed>) -> Option<String> {
    let is_there = current.is_some_and(|current| current.run == kept.of);
    (!is_there).then(|| messages::serves_no_more(kept, current))
}
