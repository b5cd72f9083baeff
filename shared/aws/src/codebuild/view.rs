//! Reads builds back. What their reports say is read in `reports`.

use std::collections::BTreeMap;

use aws_sdk_codebuild::types::{Build, BuildPhase, StatusType};
use pushway_core::fact::LogPointer;
use pushway_core::ports::{Answer, ReadBuilds};
use pushway_core::test_case::TestResults;
use pushway_core::views::{BuildStatus, BuildView};

use super::{RUN_ID, variable};
use crate::Aws;
use crate::errors::fault;
use crate::time::timestamp;

impl ReadBuilds for Aws {
    async fn build(&self, id: &str) -> Answer<Option<BuildView>> {
        let answer = self
            .codebuild
            .batch_get_builds()
            .ids(id)
            .send()
            .await
            .map_err(|error| fault("codebuild BatchGetBuilds", &error))?;
        let Some(build) = answer.builds().first() else { return Ok(None) };
        Ok(Some(view(build)))
    }

    async fn test_results(&self, reports: &[String]) -> Answer<Option<TestResults>> {
        self.results(reports).await
    }
}

fn view(build: &Build) -> BuildView {
    let exported = build
        .exported_environment_variables()
        .iter()
        .filter_map(|variable| Some((variable.name.clone()?, variable.value.clone().unwrap_or_default())));
    let log = build.logs.as_ref().and_then(|logs| {
        Some(LogPointer { group: logs.group_name.clone()?, stream: logs.stream_name.clone()? })
    });
    BuildView {
        run: variable(build, RUN_ID).and_then(|id| id.parse().ok()),
        status: status(build.build_status.as_ref()),
        phase: build.current_phase.clone().unwrap_or_default(),
        failed_phase: build.phases().iter().find_map(failed_phase),
        started_at: build.start_time.as_ref().and_then(timestamp),
        ended_at: build.end_time.as_ref().and_then(timestamp),
        exported: exported.collect::<BTreeMap<_, _>>(),
        reports: build.report_arns().to_vec(),
        log,
    }
}

fn status(status: Option<&StatusType>) -> BuildStatus {
    match status {
        Some(StatusType::Succeeded) => BuildStatus::Succeeded,
        Some(StatusType::Failed) => BuildStatus::Failed,
        Some(StatusType::TimedOut) => BuildStatus::TimedOut,
        Some(StatusType::Stopped) => BuildStatus::Stopped,
        Some(StatusType::InProgress) | None => BuildStatus::InProgress,
        // A status of tomorrow ends no build well, and must not be waited for.
        Some(_) => BuildStatus::Fault,
    }
}

fn failed_phase(phase: &BuildPhase) -> Option<(String, String)> {
    match phase.phase_status.as_ref()? {
        StatusType::Succeeded | StatusType::InProgress => None,
        _ => {
            let told = phase.contexts().iter().filter_map(|context| {
                let parts = [context.status_code(), context.message()];
                let parts: Vec<&str> = parts.into_iter().flatten().filter(|part| !part.is_empty()).collect();
                (!parts.is_empty()).then(|| parts.join(": "))
            });
            let name = phase.phase_type.as_ref().map(|kind| kind.as_str().to_owned()).unwrap_or_default();
            Some((name, told.collect::<Vec<_>>().join("; ")))
        }
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_codebuild::types::{BuildPhaseType, PhaseContext};

    use super::*;

    #[test]
    fn the_first_phase_that_failed_is_told_with_its_words() {
        let phase = |kind, status: StatusType, message: &str| {
            let context =
                PhaseContext::builder().status_code("COMMAND_EXECUTION_ERROR").message(message).build();
            BuildPhase::builder().phase_type(kind).phase_status(status).contexts(context).build()
        };
        let build = Build::builder()
            .build_status(StatusType::Failed)
            .phases(phase(BuildPhaseType::Install, StatusType::Succeeded, ""))
            .phases(phase(BuildPhaseType::Build, StatusType::Failed, "make: exit status 2"))
            .phases(phase(BuildPhaseType::PostBuild, StatusType::Failed, "later"))
            .build();
        let view = view(&build);
        let expected = ("BUILD".to_owned(), "COMMAND_EXECUTION_ERROR: make: exit status 2".to_owned());
        assert_eq!((view.status, view.failed_phase), (BuildStatus::Failed, Some(expected)));
        assert_eq!((view.run, view.log), (None, None));
    }
}
