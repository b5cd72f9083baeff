//! Test reports: the files of a report group put together into one report with its summary.
//!
//! A report that could not be read in full is `INCOMPLETE`, never a success; it does not fail the build,
//! as on AWS. At most 500 cases are kept, those that did not succeed first (user guide, "Test report
//! statuses").

use std::{collections::BTreeMap, path::Path};

use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    buildspec::FileSet,
    files,
    junit::{self, CaseStatus, TestCase},
    order::Order,
    record::now,
};

/// "A test report can have a maximum of 500 test case results."
const MOST_CASES: usize = 500;
/// The largest report file that is read.
const FILE_BYTES: u64 = 64 * 1024 * 1024;
/// "A test report expires 30 days after it is created."
const LIFE_SECONDS: f64 = 30.0 * 24.0 * 3600.0;

/// A report and its cases.
pub(super) struct Report {
    pub(super) arn: String,
    /// The shape of the API reference, "Report".
    pub(super) summary: Value,
    pub(super) cases: Vec<TestCase>,
    /// Seconds since the epoch.
    pub(super) expires: f64,
    /// Why it is incomplete.
    pub(super) problem: Option<String>,
}

impl Report {
    /// Reads the report of `group` (a name or an ARN) of the build `build_arn` from its source folder.
    pub(super) fn collect(order: &Order, build_arn: &str, group: &str, set: &FileSet, source: &Path) -> Self {
        let name = match group.split_once(":report-group/") {
            Some((_, name)) => name.to_owned(),
            None => format!("{}-{group}", order.project),
        };
        let (mut cases, mut problem) = (Vec::new(), None);
        match files::matching(source, set) {
            Err(complaint) => problem = Some(complaint),
            Ok(found) if found.files.is_empty() => {
                problem = Some("report files not found in build".to_owned());
            }
            Ok(found) => {
                for file in &found.files {
                    match read(&found.base, file) {
                        Ok(read) => cases.extend(read),
                        Err(complaint) => problem = problem.or(Some(complaint)),
                    }
                }
            }
        }
        let arn = order.arn(&format!("report/{name}:{}", Uuid::now_v7()));
        let created = now();
        let expires = created + LIFE_SECONDS;
        let summary = json!({
            "arn": arn,
            "type": "TEST",
            "name": name,
            "reportGroupArn": order.arn(&format!("report-group/{name}")),
            "executionId": build_arn,
            "status": status(&cases, problem.is_some()),
            "created": created,
            "expired": expires,
            "exportConfig": {"exportConfigType": "NO_EXPORT"},
            "truncated": cases.len() > MOST_CASES,
            "testSummary": counts(&cases),
        });
        // A stable sort: within one outcome the order of the files stays.
        cases.sort_by_key(|case| match case.status {
            CaseStatus::Failed | CaseStatus::Error => 0,
            CaseStatus::Succeeded | CaseStatus::Skipped => u8::from(cases_are_cut(summary_total(&summary))),
        });
        cases.truncate(MOST_CASES);
        Self { arn, summary, cases, expires, problem }
    }
}

fn summary_total(summary: &Value) -> usize {
    summary["testSummary"]["total"].as_u64().and_then(|n| usize::try_from(n).ok()).unwrap_or_default()
}

/// Only a report that is cut is reordered.
fn cases_are_cut(total: usize) -> bool {
    total > MOST_CASES
}

fn read(base: &Path, file: &Path) -> Result<Vec<TestCase>, String> {
    let name = file.display().to_string();
    let path = base.join(file);
    let length = path.metadata().map_err(|error| format!("{name}: {error}"))?.len();
    if length > FILE_BYTES {
        return Err(format!("{name}: {length} bytes; at most {FILE_BYTES} are read"));
    }
    let text = std::fs::read_to_string(&path).map_err(|error| format!("{name}: {error}"))?;
    junit::parse(&name, &text)
}

fn status(cases: &[TestCase], is_incomplete: bool) -> &'static str {
    let failed = |case: &TestCase| matches!(case.status, CaseStatus::Failed | CaseStatus::Error);
    if is_incomplete {
        "INCOMPLETE"
    } else if cases.iter().any(failed) {
        "FAILED"
    } else {
        "SUCCEEDED"
    }
}

fn counts(cases: &[TestCase]) -> Value {
    let names = ["SUCCEEDED", "FAILED", "ERROR", "SKIPPED", "UNKNOWN"];
    let mut counts: BTreeMap<&str, usize> = names.into_iter().map(|name| (name, 0)).collect();
    for case in cases {
        *counts.entry(case.status.name()).or_default() += 1;
    }
    let duration = cases.iter().fold(0_u64, |sum, case| sum.saturating_add(case.nanoseconds));
    json!({"total": cases.len(), "statusCounts": counts, "durationInNanoSeconds": duration})
}
