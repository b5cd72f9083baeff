//! The watch's part in an environment's fold: it begins after the checks, and ends once.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::transition::{IllegalTransition, contradicts, too_early};
use crate::fact::{Cause, CheckResult};

/// A watch's place in an environment; there is none where the plan has no `watch`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WatchState {
    /// Its beginning, once begun.
    #[serde(default)]
    pub start: Option<WatchStart>,
    /// Its outcome, once there is one.
    #[serde(default)]
    pub end: Option<WatchEnd>,
}

/// How a watch began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WatchStart {
    /// When it began.
    pub at: Timestamp,
    /// When it is over.
    pub ends_at: Timestamp,
    /// Tasks of the new revision that had stopped before it, by ARN: they are not this watch's affair.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stopped: Vec<String>,
}

/// How a watch ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WatchEnd {
    /// `None`: nothing turned sick.
    pub failure: Option<Cause>,
    /// What was seen at the last look.
    pub checks: Vec<CheckResult>,
}

impl WatchState {
    /// Whether it is over and nothing turned sick.
    pub fn has_passed(&self) -> bool {
        self.end.as_ref().is_some_and(|end| end.failure.is_none())
    }

    /// Whether something turned sick.
    pub fn has_failed(&self) -> bool {
        self.end.as_ref().is_some_and(|end| end.failure.is_some())
    }

    pub(super) fn fold_started(&mut self, start: &WatchStart) -> Result<(), IllegalTransition> {
        match &self.start {
            None => self.start = Some(start.clone()),
            Some(known) if known == start => {}
            Some(_) => return Err(contradicts("watch_started", "the journal has another one")),
        }
        Ok(())
    }

    pub(super) fn fold_ended(&mut self, end: &WatchEnd) -> Result<Option<Cause>, IllegalTransition> {
        if self.start.is_none() {
            return Err(too_early("watch_ended", "the watch must have begun"));
        }
        match &self.end {
            None => self.end = Some(end.clone()),
            Some(known) if known == end => {}
            Some(_) => return Err(contradicts("watch_ended", "the journal has another one")),
        }
        Ok(end.failure.clone())
    }
}
