//! EventBridge "ECS Deployment State Change", "ECS Service Action" and "ECS Task State Change": reads the
//! service or task back and answers the state that waits, if the rollout or task is over or has no hope.
//!
//! The event is only a hint: nothing it says is believed but what it is about.

use pushway_core::contract::{Done, Failure};
use pushway_core::ports::{Callbacks, Clock, Fault, Plans, ReadServices, ReadTasks, Runs, Waits};
use pushway_core::settle::{settle_service, settle_task};
use pushway_core::wait::Subject;
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
struct Event {
    #[serde(rename = "detail-type")]
    detail_type: String,
    #[serde(default)]
    resources: Vec<String>,
    detail: Detail,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Detail {
    cluster_arn: Option<String>,
    group: Option<String>,
}

/// Settles the service or task that an event tells of.
pub async fn handle<P>(ports: &P, event: Value) -> Result<Done, Failure>
where
    P: Runs + Plans + Waits + ReadServices + ReadTasks + Callbacks + Clock,
{
    let Some(subject) = subject(event)? else { return Ok(Done {}) };
    // Most events are about services and tasks that no run waits for.
    if let Some(wait) = ports.find(&subject).await? {
        let settled = match &subject {
            Subject::Task(_) => settle_task(ports, &wait).await?,
            _ => settle_service(ports, &wait).await?,
        };
        tracing::info!(run_id = %wait.run, ?subject, ?settled, "service or task looked at");
    }
    Ok(Done {})
}

/// The service that an event is about, or the task where it belongs to none.
fn subject(event: Value) -> Result<Option<Subject>, Fault> {
    let event: Event = serde_json::from_value(event).map_err(|error| {
        Fault::Permanent(format!("not an ECS deployment, service or task event: {error}"))
    })?;
    let about = event.resources.into_iter().next();
    if ["ECS Deployment State Change", "ECS Service Action"].contains(&event.detail_type.as_str()) {
        return Ok(about.map(Subject::Service));
    }
    let service = event.detail.group.as_deref().and_then(|group| group.strip_prefix("service:"));
    let Some(service) = service else { return Ok(about.map(Subject::Task)) };
    let cluster = event.detail.cluster_arn;
    let arn = |cluster: String| format!("{}/{service}", cluster.replacen(":cluster/", ":service/", 1));
    Ok(cluster.map(arn).map(Subject::Service))
}
