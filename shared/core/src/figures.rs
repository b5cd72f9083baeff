//! A run's figures: what insights need of a run that is over, small enough that a thousand are one read.
//!
//! They follow from the run, its journal and its plan alone, and from which pushes it brought (`settle/figures.rs`);
//! they are written once and never changed. What they mean is in `insights.rs`.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::fact::{Entry, Fact, RollbackOutcome};
use crate::ids::{CommitSha, EnvironmentName, PipelineName, RefName, RunId};
use crate::ledger::{Kind, Ledger};
use crate::plan::Plan;
use crate::run::{EnvironmentState, Run, Status};
use crate::source::Trigger;
use crate::usage::Usage;

/// How many pushes of one deployment are kept: the item must stay small.
pub const MAX_CHANGES: usize = 20;

/// What is kept of a run that is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Figures {
    /// The run.
    pub run: RunId,
    /// Its pipeline.
    pub pipeline: PipelineName,
    /// How it ended.
    pub status: Status,
    /// The ref that was pushed.
    pub git_ref: RefName,
    /// Its commit.
    pub commit: CommitSha,
    /// Whether it brought an earlier version back on somebody's word.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_rollback: bool,
    /// When it was pushed, or received where nobody says so.
    pub pushed_at: Timestamp,
    /// When it was received.
    pub received_at: Timestamp,
    /// When it ended.
    pub ended_at: Timestamp,
    /// How long it waited for other runs and for build machines.
    pub queue_seconds: u32,
    /// From the first build's start to the last one's end, along the critical path.
    pub build_seconds: u32,
    /// From taking an environment's lock to the environment's outcome, added up.
    pub deploy_seconds: u32,
    /// What it used.
    pub usage: Usage,
    /// The environments whose target it touched.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub environments: Vec<EnvironmentFigures>,
}

/// What a run did to an environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EnvironmentFigures {
    /// Its name.
    pub name: EnvironmentName,
    /// What came of it.
    pub outcome: Outcome,
    /// When the target was told to move.
    pub began_at: Timestamp,
    /// When the new version was live, or the old one was back, or it was left as it was.
    pub at: Timestamp,
    /// For each push that it brought, its own first if it is one: seconds from the push until it was live.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub leads: Vec<u32>,
}

/// What came of a deploy that touched its target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The new version is live.
    Deployed,
    /// It failed, and the old version is back.
    RolledBack,
    /// It failed, and was not undone.
    Failed,
}

/// When the pushes were that a run brought to each environment, its own first.
pub type Changes = BTreeMap<EnvironmentName, Vec<Timestamp>>;

impl Figures {
    /// The figures of a run; `None` while it goes on, and for one that had no plan.
    pub fn of(run: &Run, journal: &[Entry], plan: Option<&Plan>, changes: &Changes) -> Option<Self> {
        let pipeline = run.pipeline.clone().filter(|_| run.status.is_terminal())?;
        let ledger = Ledger::of(journal, plan);
        let touched = run.environments.iter().filter(|state| state.has_touched_service());
        let environments: Vec<EnvironmentFigures> =
            touched.filter_map(|state| of_environment(state, journal, changes)).collect();
        let deploy =
            |figures: &EnvironmentFigures| seconds(taken(journal, &figures.name)?, figures.at).into();
        let total = |kind| ledger.total(kind) / 1_000;
        Some(Self {
            run: run.id,
            pipeline,
            status: run.status,
            git_ref: run.source.git_ref.clone(),
            commit: run.source.commit.clone(),
            is_rollback: matches!(run.source.trigger, Trigger::Rollback { .. }),
            pushed_at: ledger.from,
            received_at: run.received_at,
            ended_at: ledger.to,
            queue_seconds: whole(total(Kind::Queue) + total(Kind::Provisioning)),
            build_seconds: build_seconds(&ledger),
            deploy_seconds: environments.iter().filter_map(deploy).sum(),
            usage: Usage::of(run, journal, plan, &ledger),
            environments,
        })
    }
}

fn of_environment(
    state: &EnvironmentState,
    journal: &[Entry],
    changes: &Changes,
) -> Option<EnvironmentFigures> {
    let own: Vec<&Entry> =
        journal.iter().filter(|entry| entry.fact.environment() == Some(&state.name)).collect();
    let began = own.iter().find(|entry| matches!(entry.fact, Fact::DeployPrepared { .. }))?.at;
    let at = own.last()?.at.max(began);
    let outcome = match state.rollback_outcome() {
        _ if state.is_live() => Outcome::Deployed,
        // It ended before the service was told to move, by a task before it or by a stop: nothing was deployed.
        Some(RollbackOutcome::NotNeeded { .. } | RollbackOutcome::Held | RollbackOutcome::NoBaseline)
            if state.deployment.is_none() =>
        {
            return None;
        }
        Some(RollbackOutcome::Restored { .. }) => Outcome::RolledBack,
        _ => Outcome::Failed,
    };
    let brought = changes.get(&state.name).filter(|_| outcome == Outcome::Deployed).into_iter().flatten();
    let leads = brought.take(MAX_CHANGES).map(|pushed| seconds(*pushed, at)).collect();
    Some(EnvironmentFigures { name: state.name.clone(), outcome, began_at: began, at, leads })
}

/// When an environment's lock was taken.
fn taken(journal: &[Entry], name: &EnvironmentName) -> Option<Timestamp> {
    let is_taken =
        |entry: &&Entry| matches!(&entry.fact, Fact::LockTaken { environment, .. } if environment == name);
    journal.iter().find(is_taken).map(|entry| entry.at)
}

fn build_seconds(ledger: &Ledger) -> u32 {
    let from = ledger.jobs.iter().map(|job| job.from).min();
    let to = ledger.jobs.iter().filter(|job| job.is_critical).map(|job| job.to).max();
    from.zip(to).map_or(0, |(from, to)| seconds(from, to))
}

fn seconds(from: Timestamp, to: Timestamp) -> u32 {
    whole(u64::try_from(to.duration_since(from).as_secs()).unwrap_or_default())
}

fn whole(seconds: u64) -> u32 {
    u32::try_from(seconds).unwrap_or(u32::MAX)
}
