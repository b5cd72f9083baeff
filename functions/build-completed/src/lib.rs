//! EventBridge "CodeBuild Build State Change": reads the build back, records how it ended, answers the
//! state that waits.
//!
//! The event is only a hint: nothing it says is believed but the build's id.

use pushway_core::contract::{Done, Failure};
use pushway_core::ports::{
    Callbacks, Clock, Fault, Plans, ReadArtifacts, ReadBuilds, ReadImages, ReadLogs, Runs, StopBuilds,
    TestCases, Waits,
};
use pushway_core::settle::settle_build;
use pushway_core::wait::Subject;
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
struct Event {
    detail: Detail,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Detail {
    /// The build's ARN, in spite of its name.
    build_id: String,
}

/// Settles the build that an event tells of.
pub async fn handle<P>(ports: &P, event: Value) -> Result<Done, Failure>
where
    P: Runs
        + Plans
        + Waits
        + ReadBuilds
        + StopBuilds
        + ReadLogs
        + ReadArtifacts
        + ReadImages
        + TestCases
        + Callbacks
        + Clock,
{
    let build = build_id(event)?;
    // Others are someone else's builds, or ones whose wait was answered before.
    if let Some(wait) = ports.find(&Subject::Build(build.clone())).await? {
        let settled = settle_build(ports, &wait).await?;
        tracing::info!(run_id = %wait.run, build, ?settled, "build looked at");
    }
    Ok(Done {})
}

fn build_id(event: Value) -> Result<String, Fault> {
    let event: Event = serde_json::from_value(event)
        .map_err(|error| Fault::Permanent(format!("not a CodeBuild build state change: {error}")))?;
    let arn = event.detail.build_id;
    match arn.split_once(":build/") {
        Some((_, id)) if !id.is_empty() => Ok(id.to_owned()),
        _ => Err(Fault::Permanent(format!("{arn:?} is not the ARN of a build"))),
    }
}
