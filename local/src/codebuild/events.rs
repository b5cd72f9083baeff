//! `CodeBuild Build State Change` events, shaped as AWS shapes them.
//!
//! Source: `CodeBuild` user guide, "Build notifications input format reference". It makes values only;
//! delivery is the relay's.

use jiff::{Timestamp, tz::TimeZone};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    order::Order,
    record::{Build, Phase},
};

/// The whole `EventBridge` event for the build's present state.
pub(super) fn state_change(build: &Build, order: &Order) -> Value {
    json!({
        "version": "0",
        "id": Uuid::now_v7(),
        "detail-type": "CodeBuild Build State Change",
        "source": "aws.codebuild",
        "account": order.account,
        "time": Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        "region": order.region,
        "resources": [build.arn],
        "detail": {
            "build-status": build.build_status,
            "project-name": build.project_name,
            "build-id": build.arn,
            "additional-information": information(build),
            "current-phase": build.current_phase,
            "current-phase-context": "[]",
            "version": "1",
        },
    })
}

fn information(build: &Build) -> Value {
    let environment = &build.environment;
    json!({
        "artifact": {"location": build.artifacts["location"]},
        "cache": build.cache,
        "build-number": build.build_number,
        "timeout-in-minutes": build.timeout_in_minutes,
        "queued-timeout-in-minutes": build.queued_timeout_in_minutes,
        "build-complete": build.build_complete,
        "initiator": build.initiator,
        "build-start-time": moment(build.start_time),
        "source": build.source,
        "source-version": build.source_version,
        "environment": {
            "image": environment.image,
            "privileged-mode": environment.privileged_mode,
            "image-pull-credentials-type": environment.image_pull_credentials_type,
            "compute-type": environment.compute_type,
            "type": environment.r#type,
            "environment-variables": environment.environment_variables,
        },
        "logs": {
            "group-name": build.logs.group_name,
            "stream-name": build.logs.stream_name,
            "deep-link": build.logs.deep_link,
        },
        "phases": build.phases.iter().map(phase).collect::<Vec<_>>(),
        "exported-environment-variables": build.exported_environment_variables,
    })
}

fn phase(phase: &Phase) -> Value {
    let contexts: Vec<String> = phase
        .contexts
        .iter()
        .map(|context| format!("{}: {}", context.status_code, context.message))
        .collect();
    let mut shape = json!({
        "phase-type": phase.phase_type,
        "start-time": moment(phase.start_time),
    });
    if let (Some(status), Some(end)) = (phase.phase_status, phase.end_time) {
        shape["phase-status"] = json!(status);
        shape["phase-context"] = json!(contexts);
        shape["end-time"] = json!(moment(end));
        shape["duration-in-seconds"] = json!(phase.duration_in_seconds);
    }
    shape
}

/// `Sep 1, 2017 4:12:29 PM`, in UTC.
fn moment(seconds: f64) -> String {
    let duration = jiff::SignedDuration::try_from_secs_f64(seconds).unwrap_or_default();
    let time = Timestamp::from_duration(duration).unwrap_or_default().to_zoned(TimeZone::UTC);
    time.strftime("%b %-d, %Y %-I:%M:%S %p").to_string()
}
