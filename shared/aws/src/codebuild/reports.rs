//! What a build's reports say: their counts added up, and every case that they tell.
//!
//! A report tells 500 cases at most, those that failed before the others; its counts are whole (`CodeBuild` User
//! Guide, "Test report statuses"). It is gone after 30 days, which is why its cases are read now.

use aws_sdk_codebuild::types::{Report, ReportStatusType, TestCase as Told};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use pushway_core::ports::Answer;
use pushway_core::test_case::{CaseStatus, MAX_CASES, TestCase, TestResults};

use crate::Aws;
use crate::errors::fault;

/// The most reports that `BatchGetReports` takes.
const MAX_REPORTS: usize = 100;
/// The most cases that `DescribeTestCases` tells at once.
const PAGE: i32 = 100;
/// How many reports are read at a time: a build of many is read in seconds, and others have room to ask.
const AT_A_TIME: usize = 4;

impl Aws {
    /// All reports added up; `None` where none of them counts test cases.
    pub(super) async fn results(&self, reports: &[String]) -> Answer<Option<TestResults>> {
        let answer = self
            .codebuild
            .batch_get_reports()
            .set_report_arns(Some(reports.iter().take(MAX_REPORTS).cloned().collect()))
            .send()
            .await
            .map_err(|error| fault("codebuild BatchGetReports", &error))?;
        let Some(mut results) = count(answer.reports()) else { return Ok(None) };
        results.is_truncated |= reports.len() > MAX_REPORTS;
        let told = answer.reports.into_iter().flatten().filter(|report| total(report) > 0);
        let told: Vec<String> = told.filter_map(|report| report.arn).collect();
        let read = told.into_iter().map(|report| self.clone().cases(report));
        let cases: Vec<Vec<TestCase>> = stream::iter(read).buffered(AT_A_TIME).try_collect().await?;
        cases.into_iter().flatten().for_each(|case| results.push(case));
        Ok(Some(results))
    }

    /// A report's cases, in its own order.
    async fn cases(self, report: String) -> Answer<Vec<TestCase>> {
        let (mut cases, mut from) = (Vec::new(), None);
        loop {
            let page = self
                .codebuild
                .describe_test_cases()
                .report_arn(&report)
                .max_results(PAGE)
                .set_next_token(from)
                .send()
                .await
                .map_err(|error| fault("codebuild DescribeTestCases", &error))?;
            cases.extend(page.test_cases().iter().map(case));
            from = page.next_token;
            // More than is kept of a build is asked of no report.
            if from.is_none() || cases.len() > MAX_CASES {
                return Ok(cases);
            }
        }
    }
}

fn total(report: &Report) -> i32 {
    report.test_summary().map_or(0, |summary| summary.total)
}

fn case(told: &Told) -> TestCase {
    let prefix = told.prefix().filter(|prefix| !prefix.is_empty());
    let suite = prefix.or(told.test_suite_name()).unwrap_or_default();
    let status = match told.status() {
        Some("SUCCEEDED") => CaseStatus::Passed,
        Some("FAILED") => CaseStatus::Failed,
        Some("ERROR") => CaseStatus::Error,
        Some("SKIPPED") => CaseStatus::Skipped,
        _ => CaseStatus::Unknown,
    };
    let nanoseconds = u64::try_from(told.duration_in_nano_seconds().unwrap_or_default()).unwrap_or_default();
    let message = told.message().unwrap_or_default();
    TestCase::new(suite, told.name().unwrap_or_default(), status, nanoseconds / 1_000, message)
}

/// Counts by status (API reference, `TestReportSummary`).
fn count(reports: &[Report]) -> Option<TestResults> {
    let mut sum = None;
    for report in reports {
        let Some(summary) = report.test_summary() else { continue };
        let sum = sum.get_or_insert_with(TestResults::default);
        sum.is_truncated |= report.truncated() == Some(true);
        sum.is_unfinished |= report.status() == Some(&ReportStatusType::Generating);
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

#[cfg(test)]
mod tests {
    use aws_sdk_codebuild::types::TestReportSummary;

    use super::*;

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
            Report::builder().test_summary(summary)
        };
        let reports = [
            report(&[("SUCCEEDED", 3), ("FAILED", 1)]).build(),
            report(&[("ERROR", 2), ("SKIPPED", 4)]).truncated(true).build(),
            Report::builder().build(),
        ];
        let sum = count(&reports).unwrap();
        assert_eq!((sum.passed, sum.failed, sum.skipped, sum.is_truncated), (3, 3, 4, true));
        assert_eq!(count(&[Report::builder().build()]), None);
        assert!(count(&[report(&[]).status(ReportStatusType::Generating).build()]).unwrap().is_unfinished);
    }
}
