//! What a run has used of AWS, counted from its journal.
//!
//! Build minutes are what `CodeBuild` tells; everything else is an estimate from the facts: states entered, functions
//! invoked, items written. Counts are kept rather than amounts, so that another price changes the past too.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::fact::{Entry, Fact, JobId, JobStage};
use crate::ids::EnvironmentName;
use crate::ledger::{Kind, Ledger};
use crate::plan::{Arch, Check, Plan};
use crate::prices;
use crate::run::Run;

/// How long an invocation takes, in milliseconds: an assumption, and no measured one. The checks' time comes on top.
const INVOCATION: u64 = 250;
/// Invocations that one rollout wakes: of `deploy-progress`, by events of the service. An assumption.
const ROLLOUT_EVENTS: u32 = 3;
/// Parts of a GB that a function has (`template.yaml`, `MemorySize: 256`).
const PARTS_OF_GB: u64 = 4;
/// Writes to indexes for each fact: four lists, and a place in `open` that is left and taken.
pub const INDEX_WRITES: u64 = 6;
/// Bytes of a write request unit; a transaction takes two for each.
const UNIT_BYTES: u64 = 1_024;

/// The architecture of builds whose plan names none: an installation's functions, such as this one, and its builds share
/// it (`template.yaml`, `Architecture`).
const OWN_ARCH: Arch = if cfg!(target_arch = "aarch64") { Arch::Arm64 } else { Arch::X86_64 };

/// Counts of what a run used.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Usage {
    /// Minutes of builds, each rounded up, by machine.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub build_minutes: BTreeMap<String, u32>,
    /// Minutes of builds on machines that nothing names.
    #[serde(default)]
    pub unknown_minutes: u32,
    /// How many of all these minutes are of builds that were cut off, of which only the start is known for sure.
    #[serde(default, skip_serializing_if = "is_none")]
    pub estimated_minutes: u32,
    /// State transitions.
    pub transitions: u32,
    /// Invocations of functions.
    pub invocations: u32,
    /// Thousandths of GB-seconds that they take.
    pub lambda_gb_milliseconds: u64,
    /// Write request units.
    pub writes: u32,
    /// Requests to the HTTP API.
    pub requests: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_none(count: &u32) -> bool {
    *count == 0
}

impl Usage {
    /// What a run has used, from its journal, its plan and its time.
    pub fn of(run: &Run, journal: &[Entry], plan: Option<&Plan>, ledger: &Ledger) -> Self {
        let (transitions, tasks) = states(journal, plan);
        let mut usage = Self { transitions, ..builds(run, journal, plan) };
        let of =
            |wanted: fn(&Fact) -> bool| count(journal.iter().filter(|entry| wanted(&entry.fact)).count());
        let builds = of(|fact| matches!(fact, Fact::JobEnded { .. } | Fact::CheckEnded { .. }));
        let rollouts = of(|fact| matches!(fact, Fact::DeployEnded { .. } | Fact::RollbackEnded { .. }));
        let hooks = of(|fact| matches!(fact, Fact::CheckpointEnded { .. }));
        // Whoever took the push, and `notify` for each fact.
        let others = 1 + builds + rollouts * ROLLOUT_EVENTS + hooks + count(journal.len());
        usage.invocations = tasks + others;
        let busy = u64::from(usage.invocations) * INVOCATION + ledger.total(Kind::Checks);
        usage.lambda_gb_milliseconds = busy / PARTS_OF_GB;
        usage.writes = writes(run, journal);
        usage.requests = u32::from(matches!(run.source.trigger, crate::source::Trigger::Push));
        usage
    }

    /// The sum with another one.
    pub fn add(&mut self, other: &Self) {
        for (machine, minutes) in &other.build_minutes {
            let sum = self.build_minutes.entry(machine.clone()).or_default();
            *sum = sum.saturating_add(*minutes);
        }
        self.unknown_minutes = self.unknown_minutes.saturating_add(other.unknown_minutes);
        self.estimated_minutes = self.estimated_minutes.saturating_add(other.estimated_minutes);
        self.transitions = self.transitions.saturating_add(other.transitions);
        self.invocations = self.invocations.saturating_add(other.invocations);
        self.lambda_gb_milliseconds =
            self.lambda_gb_milliseconds.saturating_add(other.lambda_gb_milliseconds);
        self.writes = self.writes.saturating_add(other.writes);
        self.requests = self.requests.saturating_add(other.requests);
    }

    /// Adds a build by what CodeBuild has told of it, until `seen` if it still ran then.
    fn add_told(
        &mut self,
        machine: Option<String>,
        (from, to): (Option<Timestamp>, Option<Timestamp>),
        seen: Timestamp,
    ) {
        match (from, to) {
            (Some(from), Some(to)) => {
                self.add_build(machine, from, to);
            }
            (Some(from), None) => self.add_estimate(machine, from, seen),
            // CodeBuild knows no such build.
            (None, _) => {}
        }
    }

    fn add_estimate(&mut self, machine: Option<String>, from: Timestamp, to: Timestamp) {
        let minutes = self.add_build(machine, from, to);
        self.estimated_minutes = self.estimated_minutes.saturating_add(minutes);
    }

    fn add_build(&mut self, machine: Option<String>, from: Timestamp, to: Timestamp) -> u32 {
        let seconds = u64::try_from(to.duration_since(from).as_secs()).unwrap_or_default();
        let is_whole = to.duration_since(from).subsec_nanos() <= 0;
        let minutes = u32::try_from((seconds + u64::from(!is_whole)).div_ceil(60)).unwrap_or(u32::MAX).max(1);
        let sum = match machine {
            Some(machine) => self.build_minutes.entry(machine).or_default(),
            None => &mut self.unknown_minutes,
        };
        *sum = sum.saturating_add(minutes);
        minutes
    }
}

/// The minutes of every build, by machine: as told, or as planned. Of one that was cut off nobody tells the end: it is
/// taken to have run from its start until it was.
fn builds(run: &Run, journal: &[Entry], plan: Option<&Plan>) -> Usage {
    let mut usage = Usage::default();
    let of_job = |job: &JobId| {
        let planned = plan?.job(job.stage, &job.name)?;
        Some(prices::machine(planned.compute, planned.arch.unwrap_or(OWN_ARCH)))
    };
    let of_check = |environment: &EnvironmentName, check: u16| {
        let planned = plan?.environment(environment)?.validate.get(usize::from(check))?;
        let Check::Job(job) = planned else { return None };
        Some(prices::machine(job.compute, job.arch.unwrap_or(OWN_ARCH)))
    };
    let (mut jobs, mut checks) = (BTreeMap::new(), BTreeMap::new());
    for entry in journal {
        match &entry.fact {
            Fact::JobStarted { job, attempt, .. } => {
                jobs.insert((job, *attempt), (entry.at, of_job(job)));
            }
            Fact::JobEnded { job, attempt, end } => {
                jobs.remove(&(job, *attempt));
                let machine = end.machine.clone().or_else(|| of_job(job));
                usage.add_told(machine, (end.started_at, end.ended_at), entry.at);
            }
            Fact::CheckStarted { environment, job } => {
                let (check, attempt) = (job.check, job.attempt);
                checks.insert((environment, check, attempt), (entry.at, of_check(environment, check)));
            }
            Fact::CheckEnded { environment, check, attempt, end } => {
                checks.remove(&(environment, *check, *attempt));
                let machine = end.machine.clone().or_else(|| of_check(environment, *check));
                usage.add_told(machine, (end.started_at, end.ended_at), entry.at);
            }
            _ => {}
        }
    }
    if let Some(until) = cut_off(run, journal) {
        for (from, machine) in jobs.into_values().chain(checks.into_values()) {
            usage.add_estimate(machine, from, until);
        }
    }
    usage
}

/// When builds were stopped whose ends nobody was there to see; `None` while nothing says that they do not run.
fn cut_off(run: &Run, journal: &[Entry]) -> Option<Timestamp> {
    let is_asked = |entry: &&Entry| matches!(entry.fact, Fact::Overtaken { .. } | Fact::StopAsked { .. });
    let over = journal.last().filter(|_| run.status.is_terminal());
    journal.iter().find(is_asked).or(over).map(|entry| entry.at)
}

/// How many states were entered, and how many of them invoke a function (`statemachine/README.md`). What was tried
/// again after a fault of AWS leaves no fact, and is not counted.
fn states(journal: &[Entry], plan: Option<&Plan>) -> (u32, u32) {
    let is_planned = journal.iter().any(|entry| matches!(entry.fact, Fact::Planned { .. }));
    // Plan, IsThereWork, Done.
    let (mut others, mut tasks) = (2, 1);
    if !is_planned {
        return (others + tasks, tasks);
    }
    let takes_turns = plan.is_some_and(|plan| plan.concurrency != crate::plan::Concurrency::Parallel);
    // Finish or FinishFailed, and Turn.
    tasks += 1 + u32::from(takes_turns);
    let was_overtaken = journal.iter().any(|entry| matches!(entry.fact, Fact::Overtaken { .. }));
    let reached = |stage| {
        journal.iter().any(|entry| matches!(&entry.fact, Fact::JobStarted { job, .. } if job.stage == stage))
    };
    let has_environments = journal.iter().any(|entry| entry.fact.environment().is_some());
    let has_tests = has_environments || reached(JobStage::Test);
    // Build, Test, Environments.
    others += u32::from(!was_overtaken || reached(JobStage::Build))
        + u32::from(has_tests)
        + u32::from(has_environments);
    for entry in journal {
        tasks += match &entry.fact {
            Fact::JobStarted { job, .. } => {
                let waits = plan
                    .and_then(|plan| plan.job(job.stage, &job.name))
                    .is_some_and(|job| !job.needs.is_empty());
                1 + u32::from(waits)
            }
            // Acquire and Deploy; Validate, Watch and Release, of which a failure takes some away; tries again.
            Fact::LockTaken { .. } => 2,
            Fact::DeployEnded { failure: None, .. }
            | Fact::TaskEnded { .. }
            | Fact::CheckEnded { .. }
            | Fact::Superseded { .. }
            | Fact::ApprovalRefused { .. } => 1,
            Fact::Validated { checks, .. } if checks.iter().all(|check| check.passed) => 2,
            // Watch ended badly: Release was counted, and was not reached.
            Fact::WatchEnded { end, .. } if end.failure.is_some() => 0,
            // Rollback, ReleaseAfterFailure.
            Fact::RollbackEnded { .. } => {
                others += 1;
                2
            }
            _ => 0,
        };
    }
    (others + tasks, tasks)
}

/// Write request units of the journal: a fact and the snapshot it leads to are one transaction. Snapshots grow evenly,
/// as far as this cares.
fn writes(run: &Run, journal: &[Entry]) -> u32 {
    let bytes = |thing: &str| u64::try_from(thing.len()).unwrap_or(u64::MAX);
    let last = serde_json::to_string(run).map_or(0, |text| bytes(&text));
    let length = u64::try_from(journal.len()).unwrap_or(u64::MAX).max(1);
    let unit = |bytes: u64| 2 * bytes.div_ceil(UNIT_BYTES).max(1);
    let of = |(n, entry): (u64, &Entry)| {
        let fact = serde_json::to_string(entry).map_or(0, |text| bytes(&text));
        unit(fact) + unit(last * (n + 1) / length) + INDEX_WRITES
    };
    let sum: u64 = (0..).zip(journal).map(of).sum();
    u32::try_from(sum).unwrap_or(u32::MAX)
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
