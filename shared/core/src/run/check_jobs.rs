//! The part of checks in an environment's fold that take builds of their own.
//!
//! A check's build begins after the checks before it, whose results it keeps, so that the state which is
//! tried again goes on where it was.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::transition::{IllegalTransition, contradicts, too_early};
use crate::fact::{CheckResult, LogPointer};

/// A build of a check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CheckJobState {
    /// Which check of the environment, from 0.
    pub check: u16,
    /// The attempt, from 1.
    pub attempt: u32,
    /// `CodeBuild`'s id of the build.
    pub build: String,
    /// What the checks before it came to, the one that is always made first.
    pub before: Vec<CheckResult>,
    /// How it ended, once it has.
    #[serde(default)]
    pub end: Option<CheckJobEnd>,
}

/// How a build of a check ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CheckJobEnd {
    /// Whether another attempt follows.
    pub will_retry: bool,
    /// What it says of the check.
    pub result: CheckResult,
    /// Where its log lies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<LogPointer>,
    /// When `CodeBuild` says it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When `CodeBuild` says it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// The machine it ran on, as the price list names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<String>,
}

pub(super) fn fold_started(
    jobs: &mut Vec<CheckJobState>,
    started: CheckJobState,
) -> Result<(), IllegalTransition> {
    let place = |job: &CheckJobState| (job.check, job.attempt);
    if let Some(known) = jobs.iter().find(|job| place(job) == place(&started)) {
        let is_same = known.build == started.build && known.before == started.before;
        return if is_same {
            Ok(())
        } else {
            Err(contradicts("check_started", "the attempt runs as another build"))
        };
    }
    if jobs.last().is_some_and(|last| place(last) > place(&started)) {
        return Err(contradicts("check_started", "a later one has started"));
    }
    if jobs.last().is_some_and(|last| last.end.is_none()) {
        return Err(too_early("check_started", "the build before it must have ended"));
    }
    jobs.push(started);
    Ok(())
}

pub(super) fn fold_ended(
    jobs: &mut [CheckJobState],
    (check, attempt): (u16, u32),
    end: &CheckJobEnd,
) -> Result<(), IllegalTransition> {
    let ours = jobs.iter_mut().find(|job| (job.check, job.attempt) == (check, attempt));
    let ours = ours.ok_or_else(|| too_early("check_ended", "the check's build must have started"))?;
    match &ours.end {
        None => ours.end = Some(end.clone()),
        Some(known) if known == end => {}
        Some(_) => return Err(contradicts("check_ended", "the build ended otherwise")),
    }
    Ok(())
}
