//! The build as `BatchGetBuilds` shows it: the shapes of the `CodeBuild` API reference, "Build".
//!
//! Times are seconds since the epoch. A record is plain data with the few moves that keep it coherent
//! (begin a phase, end a phase, complete); it must not run anything.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::order::Variable;

/// A build's or a phase's status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum Status {
    InProgress,
    Succeeded,
    Failed,
    Fault,
    TimedOut,
    Stopped,
}

/// A build's phases in the order they happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum PhaseType {
    Submitted,
    Queued,
    Provisioning,
    DownloadSource,
    Install,
    PreBuild,
    Build,
    PostBuild,
    UploadArtifacts,
    Finalizing,
    Completed,
}

impl PhaseType {
    /// The name in the API, in logs and in events.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Submitted => "SUBMITTED",
            Self::Queued => "QUEUED",
            Self::Provisioning => "PROVISIONING",
            Self::DownloadSource => "DOWNLOAD_SOURCE",
            Self::Install => "INSTALL",
            Self::PreBuild => "PRE_BUILD",
            Self::Build => "BUILD",
            Self::PostBuild => "POST_BUILD",
            Self::UploadArtifacts => "UPLOAD_ARTIFACTS",
            Self::Finalizing => "FINALIZING",
            Self::Completed => "COMPLETED",
        }
    }

    /// Whether the agent inside the build environment reports this phase; it then always has a context.
    fn is_of_agent(self) -> bool {
        !matches!(
            self,
            Self::Submitted | Self::Queued | Self::Provisioning | Self::Finalizing | Self::Completed
        )
    }
}

/// Why a phase ended as it did; both texts are empty when all went well.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Context {
    pub(super) status_code: String,
    pub(super) message: String,
}

impl Context {
    /// A context with `code` (`COMMAND_EXECUTION_ERROR`, `YAML_FILE_ERROR`, `CLIENT_ERROR`…).
    pub(super) fn new(code: &str, message: impl Into<String>) -> Self {
        Self { status_code: code.to_owned(), message: message.into() }
    }
}

/// One phase. `COMPLETED` has a start only.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_field_names, reason = "the names are those of the API")]
pub(super) struct Phase {
    pub(super) phase_type: PhaseType,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) phase_status: Option<Status>,
    pub(super) start_time: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) end_time: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) duration_in_seconds: Option<i64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) contexts: Vec<Context>,
}

/// The build environment's description.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_field_names, reason = "the names are those of the API")]
pub(super) struct Environment {
    pub(super) r#type: String,
    pub(super) image: String,
    pub(super) compute_type: String,
    pub(super) environment_variables: Vec<Variable>,
    pub(super) privileged_mode: bool,
    pub(super) image_pull_credentials_type: String,
}

/// Where the log is.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_field_names, reason = "the names are those of the API")]
pub(super) struct Logs {
    pub(super) group_name: String,
    pub(super) stream_name: String,
    pub(super) deep_link: String,
    pub(super) cloud_watch_logs_arn: String,
    pub(super) cloud_watch_logs: Value,
}

/// An exported variable and its value at the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Exported {
    pub(super) name: String,
    pub(super) value: String,
}

/// A build.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_field_names, reason = "the names are those of the API")]
pub(super) struct Build {
    pub(super) id: String,
    pub(super) arn: String,
    pub(super) build_number: u64,
    pub(super) start_time: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) end_time: Option<f64>,
    pub(super) current_phase: PhaseType,
    pub(super) build_status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) source_version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) resolved_source_version: Option<String>,
    pub(super) project_name: String,
    pub(super) phases: Vec<Phase>,
    pub(super) source: Value,
    pub(super) secondary_sources: Vec<Value>,
    pub(super) secondary_source_versions: Vec<Value>,
    pub(super) artifacts: Value,
    pub(super) cache: Value,
    pub(super) environment: Environment,
    pub(super) service_role: String,
    pub(super) logs: Logs,
    pub(super) timeout_in_minutes: u32,
    pub(super) queued_timeout_in_minutes: u32,
    pub(super) build_complete: bool,
    pub(super) initiator: String,
    pub(super) encryption_key: String,
    pub(super) exported_environment_variables: Vec<Exported>,
    pub(super) report_arns: Vec<String>,
}

/// Now, in seconds since the epoch.
pub(super) fn now() -> f64 {
    Timestamp::now().as_duration().as_secs_f64()
}

impl Build {
    /// Opens `phase`, which becomes the current one.
    pub(super) fn begin(&mut self, phase: PhaseType) {
        self.current_phase = phase;
        self.phases.push(Phase {
            phase_type: phase,
            phase_status: None,
            start_time: now(),
            end_time: None,
            duration_in_seconds: None,
            contexts: Vec::new(),
        });
    }

    /// Closes the open phase, if one is open.
    pub(super) fn end(&mut self, status: Status, context: Context) {
        let Some(phase) = self.phases.last_mut().filter(|phase| phase.end_time.is_none()) else { return };
        let end = now();
        phase.phase_status = Some(status);
        phase.end_time = Some(end);
        #[expect(clippy::cast_possible_truncation, reason = "whole seconds of a build fit in an i64")]
        let seconds = (end - phase.start_time).max(0.0) as i64;
        phase.duration_in_seconds = Some(seconds);
        if phase.phase_type.is_of_agent() || !context.status_code.is_empty() {
            phase.contexts = vec![context];
        }
    }

    /// The last step: the build has ended with `status`.
    pub(super) fn complete(&mut self, status: Status) {
        self.begin(PhaseType::Completed);
        self.build_status = status;
        self.build_complete = true;
        self.end_time = Some(now());
    }
}
