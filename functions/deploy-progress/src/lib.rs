//! EventBridge "ECS Deployment State Change", "ECS Service Action" and "ECS Task State Change": reads the
//! service back and answers the state that waits, if the rollout is over or has no hope.
//!
//! The event is only a hint: nothing it says is believed but which service it is about.

use pushway_core::contract::{Done, Failure};
use pushway_core::ports::{Callbacks, Clock, Fault, ReadServices, Runs, Waits};
use pushway_core::settle::settle_service;
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

/// Settles the service that an event tells of.
pub async fn handle<P>(ports: &P, event: Value) -> Result<Done, Failure>
where
    P: Runs + Waits + ReadServices + Callbacks + Clock,
{
    let Some(service) = service_arn(event)? else { return Ok(Done {}) };
    // Most events are about services that no run moves.
    if let Some(wait) = ports.find(&Subject::Service(service.clone())).await? {
        let settled = settle_service(ports, &wait).await?;
        tracing::info!(run_id = %wait.run, service, ?settled, "service looked at");
    }
    Ok(Done {})
}

/// The service an event is about; `None` for a task that belongs to none.
fn service_arn(event: Value) -> Result<Option<String>, Fault> {
    let event: Event = serde_json::from_value(event).map_err(|error| {
        Fault::Permanent(format!("not an ECS deployment, service or task event: {error}"))
    })?;
    if ["ECS Deployment State Change", "ECS Service Action"].contains(&event.detail_type.as_str()) {
        return Ok(event.resources.into_iter().next());
    }
    let service = event.detail.group.as_deref().and_then(|group| group.strip_prefix("service:"));
    let (Some(service), Some(cluster)) = (service, &event.detail.cluster_arn) else { return Ok(None) };
    Ok(Some(format!("{}/{service}", cluster.replacen(":cluster/", ":service/", 1))))
}
