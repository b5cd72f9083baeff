//! Reads builds back, with their test reports added up.

use std::collections::BTreeMap;

use aws_sdk_codebuild::types::{Build, BuildPhase, Report, StatusType, TestCaseFilter};
use pushway_core::fact::{LogPointer, TestSummary};
use pushway_core::ports::{Answer, ReadBuilds};
use pushway_core::views::{BuildStatus, BuildView};

use super::{RUN_ID, variable};
use crate::Aws;
use crate::errors::fault;
use crate::time::timestamp;

/// The most reports that `BatchGetReports` takes.
const MAX_REPORTS: usize = 100;
/// How many names of failing cases a summary keeps.
const MAX_NAMES: usize = 20;
/// Statuses of cases that did not pass and were not left out.
const FAILING: [&str; 2] = ["FAILED", "ERROR"];

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
        let mut view = view(build);
        // Reports are whole only once the build is.
        if view.status != BuildStatus::InProgress && !build.report_arns().is_empty() {
            view.tests = self.tests(build.report_arns()).await?;
        }
        Ok(Some(view))
    }
}

impl Aws {
    /// All reports added up; `None` where none of them counts test cases.
    async fn tests(&self, reports: &[String]) -> Answer<Option<TestSummary>> {
        let answer = self
            .codebuild
            .batch_get_reports()
            .set_report_arns(Some(reports.iter().take(MAX_REPORTS).cloned().collect()))
            .send()
            .await
            .map_err(|error| fault("codebuild BatchGetReports", &error))?;
        let Some(mut sum) = count(answer.reports()) else { return Ok(None) };
        for report in answer.reports().iter().filter_map(Report::arn) {
            for status in FAILING {
                if sum.failed > 0 && sum.failing.len() < MAX_NAMES {
                    self.add_names(report, status, &mut sum.failing).await?;
                }
            }
        }
        Ok(Some(sum))
    }

    /// Adds the names of a report's cases of one status.
    async fn add_names(&self, report: &str, status: &str, names: &mut Vec<String>) -> Answer<()> {
        let answer = self
            .codebuild
            .describe_test_cases()
            .report_arn(report)
            .filter(TestCaseFilter::builder().status(status).build())
            .send()
            .await
            .map_err(|error| fault("codebuild DescribeTestCases", &error))?;
        let missing = MAX_NAMES.saturating_sub(names.len());
        names.extend(answer.test_cases().iter().take(missing).map(|case| {
            let (prefix, name) = (case.prefix().unwrap_or_default(), case.name().unwrap_or_default());
            if prefix.is_empty() { name.to_owned() } else { format!("{prefix} › {name}") }
        }));
        Ok(())
    }
}

/// Counts by status (API reference, `TestReportSummary`).
fn count(reports: &[Report]) -> Option<TestSummary> {
    let mut sum = None;
    for summary in reports.iter().filter_map(Report::test_summary) {
        let sum = sum.get_or_insert_with(TestSummary::default);
        for (status, count) in &summary.status_counts {
            let count = u32::try_from(*count).unwrap_or(0);
            match status.as_str() {
                "SUCCEEDED" => sum.passed += count,
                "SKIPPED" => sum.skipped += count,
                _ => sum.failed += count,
            }
        }
    }
    sum
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
        tests: None,
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
    use aws_sdk_codebuild::types::{BuildPhaseType, PhaseContext, TestReportSummary};

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

    #[test]
    fn reports_add_up_and_what_could_not_run_has_failed() {
        let report = |counts: &[(&str, i32)]| {
            let counts = counts.iter().map(|(status, count)| ((*status).to_owned(), *count)).collect();
            let summary = TestReportSummary::builder()
                .total(0)
                .set_status_counts(Some(counts))
                .duration_in_nano_seconds(0)
                .build()
                .unwrap();
            Report::builder().test_summary(summary).build()
        };
        let reports = [
            report(&[("SUCCEEDED", 3), ("FAILED", 1)]),
            report(&[("ERROR", 2), ("SKIPPED", 4)]),
            Report::builder().build(),
        ];
        let sum = count(&reports).unwrap();
        assert_eq!((sum.passed, sum.failed, sum.skipped), (3, 3, 4));
        assert_eq!(count(&[Report::builder().build()]), None);
    }
}
