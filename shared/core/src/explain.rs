//! Why a run started, waits, was ignored or gave way: one sentence from its record.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ids::{PipelineName, RunId};
use crate::messages;
use crate::run::{Run, Status};
use crate::source::Trigger;

/// What became of a delivery, as a person who asks is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Explanation {
    /// The run, if there is one.
    pub run: Option<RunId>,
    /// Its pipeline, once planned.
    pub pipeline: Option<PipelineName>,
    /// Where it stands.
    pub status: Option<Status>,
    /// What made it.
    pub trigger: String,
    /// Which rule decided, and how.
    pub because: String,
}

impl Explanation {
    /// Why a delivery started nothing.
    pub fn ignored(rule: &str) -> Self {
        Self {
            run: None,
            pipeline: None,
            status: None,
            trigger: "a delivery".into(),
            because: format!("ignored: {rule}"),
        }
    }
}

impl From<&Run> for Explanation {
    fn from(run: &Run) -> Self {
        Self {
            run: Some(run.id),
            pipeline: run.pipeline.clone(),
            status: Some(run.status),
            trigger: trigger(run),
            because: because(run),
        }
    }
}

fn trigger(run: &Run) -> String {
    let source = &run.source;
    let delivery = &source.delivery;
    if let Some(retry) = &source.retry {
        return messages::retry_rule(retry);
    }
    match &source.trigger {
        Trigger::Push => format!("a push to {}, told by delivery {delivery}", source.git_ref),
        Trigger::Reconciled => format!("a push to {} that no delivery told of", source.git_ref),
        Trigger::PullRequest(request) => match &request.approved_by {
            Some(by) => format!("pull request {}, let in by {by}", request.number),
            None => format!("pull request {}, told by delivery {delivery}", request.number),
        },
        Trigger::Schedule { expression, due } => format!("{expression}, due at {due}"),
        Trigger::Image { repository, tag, .. } => {
            format!(
                "an image pushed to {repository}{}",
                tag.as_ref().map(|tag| format!(":{tag}")).unwrap_or_default()
            )
        }
        Trigger::Manual { by, .. } => format!("{by}, by hand"),
        Trigger::Rollback { to, environment, by, reason } => {
            format!("{by}, who wants {environment} back as of run {to}: {reason}")
        }
    }
}

fn because(run: &Run) -> String {
    let started = run.started_by.as_deref().unwrap_or("its pipeline file asks for it");
    match run.status {
        Status::Pending => "it is recorded and not planned yet".into(),
        Status::Ignored => format!("ignored: {}", run.ignored_by.as_deref().unwrap_or("no rule is recorded")),
        Status::Rejected => {
            let why = run.cause.as_ref().map_or("no cause is recorded", |cause| cause.summary.as_str());
            format!("rejected: {why}")
        }
        Status::Superseded => match (&run.overtaken, run.superseded_by) {
            (Some(rule), _) => format!("superseded: {rule}"),
            (None, Some(by)) => {
                format!("superseded: run {by} of a newer push serves already, or waits for the environment")
            }
            (None, None) => "superseded by a newer push".into(),
        },
        Status::Stopped => {
            let why = run.cause.as_ref().map_or("a person stopped it", |cause| cause.summary.as_str());
            format!("stopped: {why}")
        }
        Status::Planning if run.queued_behind.is_some() => {
            let behind = run.queued_behind.map(|run| run.to_string()).unwrap_or_default();
            format!("queued behind run {behind}, which is of the same branch; started since {started}")
        }
        _ => format!("started: {started}"),
    }
}
