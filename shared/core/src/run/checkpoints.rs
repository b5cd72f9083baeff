//! The part of checkpoints in an environment's fold: each is reached, checked, perhaps answered by a person, and
//! ends once.
//!
//! ECS asks as often as it likes: what was said first counts. Of checkpoints that are over, the state keeps the
//! results of the first only, since there may be many and a run lies in one item; the journal has them all.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::EnvironmentState;
use super::transition::{IllegalTransition, contradicts, too_early};
use crate::fact::{Cause, CheckResult, Fact};
use crate::messages::checkpoints as messages;

/// One checkpoint of a deployment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CheckpointState {
    /// Per cent of the production traffic that the new version has there.
    pub served: u8,
    /// When ECS first asked.
    pub reached_at: Timestamp,
    /// The checks made so far, in the order of the plan.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<CheckResult>,
    /// Until when a person is waited for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused_until: Option<Timestamp>,
    /// What a person said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<PauseAnswer>,
    /// What it came to, once it is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<CheckpointEnd>,
}

/// A person's answer to a deployment that waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PauseAnswer {
    /// Who.
    pub by: String,
    /// Whether the deployment goes on; else it goes back.
    pub goes_on: bool,
    /// In which words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What a checkpoint came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CheckpointEnd {
    /// When.
    pub at: Timestamp,
    /// How many checks were made.
    pub made: u16,
    /// Whether a person was waited for.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub paused: bool,
    /// `None`: the deployment goes on. Otherwise why it goes back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<CheckpointFailure>,
}

/// Why a deployment goes back at a checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CheckpointFailure {
    /// A check did not hold.
    Check,
    /// A person said so.
    Person,
    /// Nobody said to go on in time.
    Nobody,
}

impl CheckpointState {
    /// Whether the deployment was let go on.
    pub fn has_passed(&self) -> bool {
        self.end.as_ref().is_some_and(|end| end.failure.is_none())
    }

    /// Whether the deployment was told to go back.
    pub fn failure(&self) -> Option<CheckpointFailure> {
        self.end.as_ref()?.failure
    }

    /// Whether a person is waited for.
    pub fn is_paused(&self) -> bool {
        self.paused_until.is_some() && self.answer.is_none() && self.end.is_none()
    }

    /// Whether something came before this end that was not said yet.
    fn lacks(&self, end: &CheckpointEnd) -> bool {
        self.checks.len() < usize::from(end.made) || (end.paused && self.paused_until.is_none())
    }

    /// What its end must be by what was said before, if that is certain.
    fn may_end_with(&self, failure: Option<CheckpointFailure>) -> bool {
        let checked = self.checks.iter().all(|check| check.passed);
        let goes_on = self.answer.as_ref().map(|answer| answer.goes_on);
        match failure {
            None => checked && (self.paused_until.is_none() || goes_on == Some(true)),
            Some(CheckpointFailure::Check) => !checked,
            Some(CheckpointFailure::Person) => goes_on == Some(false),
            Some(CheckpointFailure::Nobody) => self.paused_until.is_some() && goes_on.is_none(),
        }
    }
}

impl EnvironmentState {
    /// The checkpoint that took the deployment back, if one did.
    pub fn failed_checkpoint(&self) -> Option<&CheckpointState> {
        self.checkpoints.iter().find(|point| point.failure().is_some())
    }

    /// The checkpoint where a person is waited for, if one is.
    pub fn paused(&self) -> Option<&CheckpointState> {
        let is_open = self.deploy.is_none() && self.rollback.is_none();
        self.checkpoints.last().filter(|point| is_open && point.is_paused())
    }

    /// Whether ECS asked where it was told to, and was let go on there.
    pub fn was_let_go_on(&self) -> bool {
        let asks = self.rollout.as_ref().map_or(0, |rollout| rollout.asks);
        let passed = |part: bool| {
            self.checkpoints.iter().any(|point| (point.served > 0) == part && point.has_passed())
        };
        self.failed_checkpoint().is_none() && (asks < 1 || passed(false)) && (asks < 2 || passed(true))
    }

    /// Folds a fact about a checkpoint; gives the cause of failure it tells of, if any.
    pub(super) fn fold_checkpoint(&mut self, fact: &Fact) -> Result<Option<Cause>, IllegalTransition> {
        match fact {
            Fact::CheckpointReached { served, at, .. } => self.fold_reached(*served, *at).map(|()| None),
            Fact::CheckpointChecked { served, check, result, .. } => {
                self.open_point(*served, "checkpoint_checked")?.fold_checked(*check, result).map(|()| None)
            }
            Fact::CheckpointPaused { served, until, .. } => {
                self.open_point(*served, "checkpoint_paused")?.paused_until.get_or_insert(*until);
                Ok(None)
            }
            Fact::CheckpointAnswered { served, answer, .. } => {
                self.open_point(*served, "checkpoint_answered")?.fold_answered(answer).map(|()| None)
            }
            Fact::CheckpointEnded { served, end, .. } => self.fold_point_ended(*served, end),
            _ => Ok(None),
        }
    }

    fn point(&mut self, served: u8, fact: &'static str) -> Result<&mut CheckpointState, IllegalTransition> {
        let known = self.checkpoints.iter_mut().find(|point| point.served == served);
        known.ok_or_else(|| too_early(fact, "the checkpoint must be reached"))
    }

    fn open_point(
        &mut self,
        served: u8,
        fact: &'static str,
    ) -> Result<&mut CheckpointState, IllegalTransition> {
        let is_over = self.deploy.is_some() || self.rollback.is_some();
        let point = self.point(served, fact)?;
        if point.end.is_some() || is_over {
            return Err(contradicts(fact, messages::checkpoint_over()));
        }
        Ok(point)
    }

    fn fold_reached(&mut self, served: u8, at: Timestamp) -> Result<(), IllegalTransition> {
        if self.checkpoints.iter().any(|point| point.served == served) {
            return Ok(());
        }
        if self.deployment.is_none() {
            return Err(too_early("checkpoint_reached", "the deploy must be started"));
        }
        if self.deploy.is_some() || self.rollback.is_some() {
            return Err(contradicts("checkpoint_reached", "the deploy has ended"));
        }
        let is_next = match self.checkpoints.last() {
            None => served == 0,
            Some(last) => last.has_passed() && last.served < served,
        };
        if !is_next {
            return Err(too_early("checkpoint_reached", "the checkpoints before it must have let it go on"));
        }
        for over in self.checkpoints.iter_mut().skip(1) {
            over.checks.clear();
        }
        self.checkpoints.push(CheckpointState {
            served,
            reached_at: at,
            checks: Vec::new(),
            paused_until: None,
            answer: None,
            end: None,
        });
        Ok(())
    }

    fn fold_point_ended(
        &mut self,
        served: u8,
        end: &CheckpointEnd,
    ) -> Result<Option<Cause>, IllegalTransition> {
        let name = self.name.clone();
        let is_over = self.deploy.is_some() || self.rollback.is_some();
        let point = self.point(served, "checkpoint_ended")?;
        match &point.end {
            // Two may have ended it at different times: the first one's word counts.
            Some(known) if (known.failure, known.made) == (end.failure, end.made) => {}
            Some(_) => return Err(contradicts("checkpoint_ended", "it ended otherwise")),
            None if is_over => return Err(contradicts("checkpoint_ended", messages::checkpoint_over())),
            None if point.lacks(end) => {
                return Err(too_early("checkpoint_ended", "its checks must be made, and a person be asked"));
            }
            None if !point.may_end_with(end.failure) => {
                return Err(contradicts("checkpoint_ended", "checks and answers say otherwise"));
            }
            None => point.end = Some(end.clone()),
        }
        Ok(messages::checkpoint_failed(&name, point))
    }
}

impl CheckpointState {
    fn fold_checked(&mut self, check: u16, result: &CheckResult) -> Result<(), IllegalTransition> {
        let place = usize::from(check);
        match self.checks.get(place) {
            Some(known) if known == result => Ok(()),
            Some(_) => Err(contradicts("checkpoint_checked", "the check came out otherwise")),
            None if place == self.checks.len() => {
                self.checks.push(result.clone());
                Ok(())
            }
            None => Err(too_early("checkpoint_checked", "the checks before it must be made")),
        }
    }

    fn fold_answered(&mut self, answer: &PauseAnswer) -> Result<(), IllegalTransition> {
        if self.paused_until.is_none() {
            return Err(too_early("checkpoint_answered", messages::nobody_asked()));
        }
        match &self.answer {
            None => self.answer = Some(answer.clone()),
            Some(known) if known == answer => {}
            Some(known) => return Err(contradicts("checkpoint_answered", messages::answered_by(known))),
        }
        Ok(())
    }
}
