//! What a journal says of a run's time outside of its jobs: turn, locks, people, rollouts, checks, watches.

use std::collections::BTreeMap;

use super::paint::Span;
use super::{JobTime, Kind, jobs};
use crate::approval::ApprovalState;
use crate::fact::{Entry, Fact};
use crate::ids::EnvironmentName;
use crate::plan::Plan;

/// A lock that is free is taken within seconds; what takes longer than this is waiting for it.
const HAND_OVER: i64 = 10_000;

/// Who is covered by whom.
mod rank {
    pub(super) const QUEUE: u8 = 1;
    pub(super) const STEP: u8 = 2;
    pub(super) const PART: u8 = 3;
    pub(super) const CHECKPOINT: u8 = 4;
    pub(super) const PEOPLE: u8 = 5;
    pub(super) const DELIVERY: u8 = 9;
}

/// What was read.
pub(super) struct Read {
    pub(super) spans: Vec<Span>,
    pub(super) jobs: Vec<JobTime>,
}

/// What is under way in an environment, each since when.
#[derive(Default)]
struct Open {
    approval: Option<ApprovalState>,
    asked: Option<i64>,
    blocked: Option<i64>,
    task: Option<i64>,
    moving: Option<i64>,
    checkpoint: Option<i64>,
    pause: Option<i64>,
    checking: Option<i64>,
    watching: Option<i64>,
    failed: Option<i64>,
}

struct Reader<'j> {
    plan: Option<&'j Plan>,
    spans: Vec<Span>,
    turn: Option<i64>,
    environments: BTreeMap<&'j EnvironmentName, Open>,
}

/// Reads a journal whose facts were written at `times`, of a push at `pushed`; what is under way then goes on up to
/// `last`.
pub(super) fn read(
    journal: &[Entry],
    times: &[i64],
    plan: Option<&Plan>,
    (pushed, last): (i64, i64),
) -> Read {
    let received = times.first().copied().unwrap_or(pushed);
    let of_environment = |entry: &&Entry| entry.fact.environment().is_some();
    let jobs_until =
        journal.iter().zip(times).find(|(entry, _)| of_environment(entry)).map_or(last, |(_, at)| *at);
    let mut reader = Reader { plan, spans: Vec::new(), turn: None, environments: BTreeMap::new() };
    reader.add(Kind::Delivery, "", (pushed, received), rank::DELIVERY);
    let mut before = received;
    for (entry, now) in journal.iter().zip(times) {
        reader.fact(&entry.fact, *now, before);
        before = *now;
    }
    reader.close_all(last);
    // No fact tells that a lock is waited for before it is taken.
    let is_next_a_lock = journal.last().is_some_and(|entry| comes_before_a_lock(&entry.fact));
    if is_next_a_lock && last - before > HAND_OVER {
        reader.add(Kind::Queue, "", (before, last), rank::QUEUE);
    }
    let (spans, jobs) = jobs::read(journal, times, jobs_until);
    reader.spans.extend(spans);
    Read { spans: reader.spans, jobs }
}

/// Whether it may be the last fact before an environment's lock is taken.
fn comes_before_a_lock(fact: &Fact) -> bool {
    match fact {
        Fact::JobEnded { end, .. } => end.failure.is_none(),
        Fact::Approved { .. } => true,
        Fact::Validated { checks, .. } => checks.iter().all(|check| check.passed),
        Fact::WatchEnded { end, .. } => end.failure.is_none(),
        _ => false,
    }
}

impl<'j> Reader<'j> {
    fn add(&mut self, kind: Kind, name: &str, (from, to): (i64, i64), rank: u8) {
        if from < to {
            self.spans.push(Span { kind, name: name.to_owned(), from, to, rank });
        }
    }

    fn fact(&mut self, fact: &'j Fact, now: i64, before: i64) {
        match fact {
            Fact::Queued { .. } => {
                self.turn.get_or_insert(now);
            }
            Fact::Broke { .. } | Fact::Finished { .. } | Fact::Overtaken { .. } => self.close_all(now),
            Fact::Received { .. } | Fact::Planned { .. } | Fact::Ignored { .. } | Fact::Rejected { .. } => {}
            _ => self.end_turn(now),
        }
        let Some(name) = fact.environment() else { return };
        self.environments.entry(name).or_default();
        self.gates(fact, name, now, before);
        self.deploy(fact, name, now);
        self.after(fact, name, now, before);
    }

    fn end_turn(&mut self, now: i64) {
        if let Some(from) = self.turn.take() {
            self.add(Kind::Queue, "", (from, now), rank::QUEUE);
        }
    }

    fn open(&mut self, name: &'j EnvironmentName) -> &mut Open {
        self.environments.entry(name).or_default()
    }

    /// What comes before the lock: people, windows, other runs.
    fn gates(&mut self, fact: &'j Fact, name: &'j EnvironmentName, now: i64, before: i64) {
        match fact {
            Fact::ApprovalAsked { request, .. } => {
                let open = self.open(name);
                open.approval.get_or_insert_with(|| ApprovalState::new((**request).clone()));
                open.asked.get_or_insert(now);
            }
            Fact::ApprovalRuleChanged { change, .. } => self.consent(name, now, |state| state.change(change)),
            Fact::Approved { consent, .. } => self.consent(name, now, |state| state.consent(consent)),
            Fact::ApprovalRefused { .. } => self.end_approval(name, now),
            Fact::Blocked { .. } => {
                self.open(name).blocked.get_or_insert(now);
            }
            Fact::LockTaken { .. } | Fact::Superseded { .. } => {
                self.end_approval(name, now);
                match self.open(name).blocked.take() {
                    Some(from) => self.add(Kind::Window, name.as_str(), (from, now), rank::STEP),
                    None if now - before > HAND_OVER => {
                        self.add(Kind::Queue, name.as_str(), (before, now), rank::QUEUE);
                    }
                    None => {}
                }
            }
            _ => {}
        }
    }

    /// From the lock to the verdict of the deploy.
    fn deploy(&mut self, fact: &'j Fact, name: &'j EnvironmentName, now: i64) {
        match fact {
            Fact::TaskStarted { .. } => {
                self.open(name).task.get_or_insert(now);
            }
            Fact::TaskEnded { .. } => {
                if let Some(from) = self.open(name).task.take() {
                    self.add(Kind::Work, name.as_str(), (from, now), rank::STEP);
                }
            }
            Fact::DeployStarted { .. } => {
                self.open(name).moving.get_or_insert(now);
            }
            Fact::CheckpointReached { .. } => {
                self.open(name).checkpoint.get_or_insert(now);
            }
            Fact::CheckpointPaused { .. } => {
                self.open(name).pause.get_or_insert(now);
            }
            Fact::CheckpointAnswered { .. } => self.end_pause(name, now),
            Fact::CheckpointEnded { .. } => self.end_checkpoint(name, now),
            Fact::DeployEnded { failure, ended_at, draining_since, .. } => {
                self.end_checkpoint(name, now);
                let told = |at: &Option<jiff::Timestamp>| at.map(jiff::Timestamp::as_millisecond);
                self.end_rollout(name, now, (failure.is_none(), told(ended_at), told(draining_since)));
                let open = self.open(name);
                match failure {
                    None => open.checking.get_or_insert(now),
                    Some(_) => open.failed.get_or_insert(now),
                };
            }
            _ => {}
        }
    }

    /// Checks, watch and the way back.
    fn after(&mut self, fact: &'j Fact, name: &'j EnvironmentName, now: i64, before: i64) {
        match fact {
            Fact::Validated { checks, .. } => {
                self.end_checks(name, now);
                if checks.iter().any(|check| !check.passed) {
                    self.open(name).failed.get_or_insert(now);
                }
            }
            Fact::WatchStarted { .. } => {
                self.open(name).watching.get_or_insert(now);
            }
            Fact::WatchEnded { end, .. } => {
                self.end_watch(name, now);
                if end.failure.is_some() {
                    self.open(name).failed.get_or_insert(now);
                }
            }
            Fact::RollbackStarted { .. } => {
                self.close(name, now);
                self.open(name).failed.get_or_insert(before);
            }
            Fact::RollbackEnded { .. } => {
                self.close(name, now);
                let from = self.open(name).failed.take().unwrap_or(before);
                self.add(Kind::Rollback, name.as_str(), (from, now), rank::STEP);
            }
            _ => {}
        }
    }

    /// The rollout is over: it was steady, drained or baked to the end, or lost. The pauses of a strategy come after
    /// its tasks are healthy, so they are the last of it.
    fn end_rollout(
        &mut self,
        name: &'j EnvironmentName,
        now: i64,
        (is_good, ended, draining): (bool, Option<i64>, Option<i64>),
    ) {
        let Some(from) = self.open(name).moving.take() else { return };
        let to = ended.unwrap_or(now).clamp(from, now);
        self.add(Kind::Health, name.as_str(), (from, to), rank::STEP);
        if !is_good {
            return;
        }
        let planned = self.plan.and_then(|plan| plan.environment(name));
        let strategy = planned.map(|planned| planned.target.strategy()).unwrap_or_default();
        let pauses = i64::from(strategy.waits_seconds()) * 1_000;
        if pauses > 0 {
            self.add(Kind::Bake, name.as_str(), ((to - pauses).max(from), to), rank::PART);
        } else if let Some(since) = draining {
            self.add(Kind::Drain, name.as_str(), (since.clamp(from, to), to), rank::PART);
        }
    }

    /// People are waited for until they have all consented, and again if the rule asks for more by then.
    fn consent(&mut self, name: &'j EnvironmentName, now: i64, change: impl FnOnce(&mut ApprovalState)) {
        let open = self.open(name);
        let Some(approval) = &mut open.approval else { return };
        change(approval);
        if approval.is_granted() {
            self.end_approval(name, now);
        } else {
            open.asked.get_or_insert(now);
        }
    }

    fn end_approval(&mut self, name: &'j EnvironmentName, now: i64) {
        if let Some(from) = self.open(name).asked.take() {
            self.add(Kind::Approval, name.as_str(), (from, now), rank::PEOPLE);
        }
    }

    fn end_pause(&mut self, name: &'j EnvironmentName, now: i64) {
        if let Some(from) = self.open(name).pause.take() {
            self.add(Kind::Approval, name.as_str(), (from, now), rank::PEOPLE);
        }
    }

    fn end_checkpoint(&mut self, name: &'j EnvironmentName, now: i64) {
        self.end_pause(name, now);
        if let Some(from) = self.open(name).checkpoint.take() {
            self.add(Kind::Checks, name.as_str(), (from, now), rank::CHECKPOINT);
        }
    }

    fn end_checks(&mut self, name: &'j EnvironmentName, now: i64) {
        if let Some(from) = self.open(name).checking.take() {
            self.add(Kind::Checks, name.as_str(), (from, now), rank::STEP);
        }
    }

    fn end_watch(&mut self, name: &'j EnvironmentName, now: i64) {
        if let Some(from) = self.open(name).watching.take() {
            self.add(Kind::Watch, name.as_str(), (from, now), rank::STEP);
        }
    }

    /// Whatever is under way in an environment goes no further.
    fn close(&mut self, name: &'j EnvironmentName, now: i64) {
        self.end_approval(name, now);
        self.end_checkpoint(name, now);
        self.end_rollout(name, now, (false, None, None));
        self.end_watch(name, now);
        self.end_checks(name, now);
        let open = self.open(name);
        let (blocked, task) = (open.blocked.take(), open.task.take());
        if let Some(from) = blocked {
            self.add(Kind::Window, name.as_str(), (from, now), rank::STEP);
        }
        if let Some(from) = task {
            self.add(Kind::Work, name.as_str(), (from, now), rank::STEP);
        }
    }

    fn close_all(&mut self, now: i64) {
        self.end_turn(now);
        let names: Vec<&'j EnvironmentName> = self.environments.keys().copied().collect();
        for name in names {
            self.close(name, now);
        }
    }
}
