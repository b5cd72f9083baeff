//! Reads builds back. What their reports say is read in `reports`.

use std::collections::BTreeMap;

use aws_sdk_codebuild::types::{
    Build, BuildPhase, ComputeType, EnvironmentType, ProjectEnvironment, StatusType,
};
use pushway_core::fact::{self, LogPointer};
use pushway_core::plan::{Arch, Compute};
use pushway_core::ports::{Answer, ReadBuilds};
use pushway_core::prices;
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
        phases: build.phases().iter().filter_map(phase).collect(),
        machine: build.environment.as_ref().and_then(machine),
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

/// A phase that is over and took time.
fn phase(phase: &BuildPhase) -> Option<fact::BuildPhase> {
    let (from, to) = (timestamp(phase.start_time.as_ref()?)?, timestamp(phase.end_time.as_ref()?)?);
    let name = phase.phase_type.as_ref()?.as_str().to_owned();
    (from < to).then_some(fact::BuildPhase { name, from, to })
}

/// The machine of a build, as the price list names it; `None` for kinds that Pushway asks for nowhere.
fn machine(environment: &ProjectEnvironment) -> Option<String> {
    let compute = match environment.compute_type {
        ComputeType::BuildGeneral1Small => Compute::Small,
        ComputeType::BuildGeneral1Medium => Compute::Medium,
        ComputeType::BuildGeneral1Large => Compute::Large,
        ComputeType::BuildGeneral1Xlarge => Compute::Xlarge,
        _ => return None,
    };
    let arch = match environment.r#type {
        EnvironmentType::ArmContainer => Arch::Arm64,
        EnvironmentType::LinuxContainer => Arch::X86_64,
        _ => return None,
    };
    Some(prices::machine(compute, arch))
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
        assert_eq!((view.phases, view.machine), (Vec::new(), None));
    }

    #[test]
    fn phases_that_took_time_and_the_machine_are_told() {
        let at = aws_sdk_codebuild::primitives::DateTime::from_secs;
        let phase =
            |kind, from, to| BuildPhase::builder().phase_type(kind).start_time(at(from)).end_time(at(to));
        let environment = ProjectEnvironment::builder()
            .r#type(EnvironmentType::ArmContainer)
            .compute_type(ComputeType::BuildGeneral1Large)
            .image("aws/codebuild/amazonlinux-aarch64-standard:3.0")
            .build()
            .unwrap();
        let build = Build::builder()
            .environment(environment)
            .phases(phase(BuildPhaseType::Submitted, 1, 1).build())
            .phases(phase(BuildPhaseType::Provisioning, 1, 6).build())
            .phases(phase(BuildPhaseType::Build, 6, 40).build())
            // COMPLETED has a beginning only.
            .phases(BuildPhase::builder().phase_type(BuildPhaseType::Completed).start_time(at(40)).build())
            .build();
        let view = view(&build);
        let second = |second| jiff::Timestamp::from_second(second).unwrap();
        let told =
            |name: &str, from, to| fact::BuildPhase { name: name.into(), from: second(from), to: second(to) };
        assert_eq!(view.phases, [told("PROVISIONING", 1, 6), told("BUILD", 6, 40)]);
        assert_eq!(view.machine.as_deref(), Some("arm1.large"));
    }
}
