//! Where a run's time went: every millisecond between push and verdict, each attributed to one kind.
//!
//! Spans are read from the journal (`spans.rs`) and laid over each other (`paint.rs`): where several cover a moment
//! the most telling one counts, and what none covers is Pushway's own. So there is neither gap nor overlap, and the
//! segments add up to the whole exactly, whatever a journal holds. Jobs run side by side: the wall clock goes along
//! the critical path, found backwards (`jobs.rs`): the attempt that ended last, before it the one that ended last
//! before that one began, and so on; every attempt stands beside it in `jobs`. A clock that steps back is held
//! still until it has caught up, and times that other services tell are cut to the facts around them.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::fact::{Entry, Fact, JobId};
use crate::plan::Plan;
use crate::prices::{Money, Prices};
use crate::run::Run;
use crate::usage::Usage;

mod jobs;
mod paint;
mod spans;

/// What time was spent on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// From the push until Pushway had recorded it.
    Delivery,
    /// Waiting for other runs: for the turn on a branch, or for an environment's lock.
    Queue,
    /// Waiting for a build machine.
    Provisioning,
    /// Building, testing, running tasks.
    Work,
    /// Waiting for people.
    Approval,
    /// Waiting for a deploy window, or the end of a freeze.
    Window,
    /// From telling the service to move until it was steady, or lost.
    Health,
    /// Waiting for connections to old tasks to end.
    Drain,
    /// Pauses that the strategy asks for: steps of the traffic, and the bake after it.
    Bake,
    /// Checks: while traffic moves, and after the deploy.
    Checks,
    /// Watching the new version.
    Watch,
    /// Bringing the old version back.
    Rollback,
    /// The rest: planning, hand-overs between functions, noticing that something is over.
    Own,
}

impl Kind {
    /// All of them, in the order in which a run meets them.
    pub const ALL: [Self; 13] = [
        Self::Delivery,
        Self::Queue,
        Self::Provisioning,
        Self::Work,
        Self::Approval,
        Self::Window,
        Self::Health,
        Self::Drain,
        Self::Bake,
        Self::Checks,
        Self::Watch,
        Self::Rollback,
        Self::Own,
    ];

    /// The name in APIs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Delivery => "delivery",
            Self::Queue => "queue",
            Self::Provisioning => "provisioning",
            Self::Work => "work",
            Self::Approval => "approval",
            Self::Window => "window",
            Self::Health => "health",
            Self::Drain => "drain",
            Self::Bake => "bake",
            Self::Checks => "checks",
            Self::Watch => "watch",
            Self::Rollback => "rollback",
            Self::Own => "own",
        }
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A run's time.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Ledger {
    /// When it was pushed, as far as the forge says so; else when the push was recorded.
    pub from: Timestamp,
    /// The last thing that happened: the verdict, once there is one; or now, where it was asked for up to now.
    pub to: Timestamp,
    /// Whether the run is over.
    pub is_over: bool,
    /// All of it.
    pub milliseconds: u64,
    /// One after another, without gap or overlap.
    pub segments: Vec<Segment>,
    /// The sum of each kind that there is; together they are `milliseconds`.
    pub totals: Vec<Total>,
    /// Every attempt of every job, in the order in which they began.
    pub jobs: Vec<JobTime>,
}

/// A part of the time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Segment {
    /// What it was spent on.
    pub kind: Kind,
    /// On which job or environment; empty where it is neither's.
    pub name: String,
    /// From when.
    pub from: Timestamp,
    /// To when.
    pub to: Timestamp,
    /// How long.
    pub milliseconds: u64,
}

/// The sum of a kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Total {
    /// Which kind.
    pub kind: Kind,
    /// How long in all.
    pub milliseconds: u64,
}

/// An attempt of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct JobTime {
    /// Which job.
    pub job: JobId,
    /// Which attempt, from 1.
    pub attempt: u32,
    /// When its build was started.
    pub from: Timestamp,
    /// When its end was recorded, or the run's last fact where none was.
    pub to: Timestamp,
    /// How much of it was waiting for a machine.
    pub provisioning_milliseconds: u64,
    /// How much of it was work.
    pub work_milliseconds: u64,
    /// Whether the run would have been faster if this had been.
    pub is_critical: bool,
}

impl Ledger {
    /// The ledger of a run, from its journal and, for what a strategy waits for, its plan.
    pub fn of(journal: &[Entry], plan: Option<&Plan>) -> Self {
        Self::since(pushed(journal), journal, plan)
    }

    /// The same of a run that may go on: what is under way counts up to now.
    pub fn so_far(now: Timestamp, journal: &[Entry], plan: Option<&Plan>) -> Self {
        Self::until(Some(now), pushed(journal), journal, plan)
    }

    /// The same, by the word of someone who knows when the push was.
    pub fn since(pushed: Option<Timestamp>, journal: &[Entry], plan: Option<&Plan>) -> Self {
        Self::until(None, pushed, journal, plan)
    }

    fn until(
        now: Option<Timestamp>,
        pushed: Option<Timestamp>,
        journal: &[Entry],
        plan: Option<&Plan>,
    ) -> Self {
        let times = times(journal);
        let (Some(received), Some(last)) = (times.first().copied(), times.last().copied()) else {
            return Self::default();
        };
        let is_over = journal.last().is_some_and(|entry| is_last(&entry.fact));
        let now = now.filter(|_| !is_over).map_or(last, Timestamp::as_millisecond);
        let to = now.max(last);
        // A forge's clock may be ahead of ours.
        let from = pushed.map_or(received, |pushed| pushed.as_millisecond().min(received));
        let read = spans::read(journal, &times, plan, (from, to));
        let segments: Vec<Segment> =
            paint::paint(from, to, &read.spans).into_iter().map(Segment::from).collect();
        let sum = |kind: &Kind| -> u64 {
            segments.iter().filter(|part| part.kind == *kind).map(|part| part.milliseconds).sum()
        };
        let totals = Kind::ALL.iter().map(|kind| Total { kind: *kind, milliseconds: sum(kind) });
        Self {
            from: at(from),
            to: at(to),
            is_over,
            milliseconds: length(from, to),
            totals: totals.filter(|total| total.milliseconds > 0).collect(),
            segments,
            jobs: read.jobs,
        }
    }

    /// In one line: all of it, and what took most of it.
    pub fn summary(&self) -> String {
        crate::messages::money::where_time_went(self)
    }

    /// How long a kind took in all, in milliseconds.
    pub fn total(&self, kind: Kind) -> u64 {
        self.totals.iter().find(|total| total.kind == kind).map_or(0, |total| total.milliseconds)
    }
}

/// A run's time and money.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunLedger {
    /// Where its time went.
    #[serde(flatten)]
    pub time: Ledger,
    /// What it used.
    pub usage: Usage,
    /// What that costs.
    pub money: Money,
}

impl RunLedger {
    /// Of a run, by these prices.
    pub fn of(run: &Run, journal: &[Entry], plan: Option<&Plan>, prices: &Prices) -> Self {
        Self::with(Ledger::of(journal, plan), run, journal, plan, prices)
    }

    /// The same of a run that may go on, up to now.
    pub fn so_far(
        now: Timestamp,
        run: &Run,
        journal: &[Entry],
        plan: Option<&Plan>,
        prices: &Prices,
    ) -> Self {
        Self::with(Ledger::so_far(now, journal, plan), run, journal, plan, prices)
    }

    fn with(time: Ledger, run: &Run, journal: &[Entry], plan: Option<&Plan>, prices: &Prices) -> Self {
        let usage = Usage::of(run, journal, plan, &time);
        Self { money: prices.money(&usage), usage, time }
    }
}

impl From<paint::Painted> for Segment {
    fn from(part: paint::Painted) -> Self {
        let paint::Painted { kind, name, from, to } = part;
        Self { kind, name, from: at(from), to: at(to), milliseconds: length(from, to) }
    }
}

/// When the push was that the run was made for at once, as far as the forge says so.
fn pushed(journal: &[Entry]) -> Option<Timestamp> {
    match &journal.first()?.fact {
        Fact::Received { source } => source.delivered_from(),
        _ => None,
    }
}

/// When each fact was written down, in milliseconds; never less than before.
fn times(journal: &[Entry]) -> Vec<i64> {
    let mut reached = i64::MIN;
    let next = |entry: &Entry| {
        reached = reached.max(entry.at.as_millisecond());
        reached
    };
    journal.iter().map(next).collect()
}

fn is_last(fact: &Fact) -> bool {
    matches!(fact, Fact::Finished { .. } | Fact::Ignored { .. } | Fact::Rejected { .. })
}

fn at(milliseconds: i64) -> Timestamp {
    Timestamp::from_millisecond(milliseconds).unwrap_or_default()
}

fn length(from: i64, to: i64) -> u64 {
    u64::try_from(to - from).unwrap_or_default()
}
