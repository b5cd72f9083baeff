//! A branch's record: which push is its newest, and which run of each pipeline has its turn.
//!
//! Pushes are told late, twice or never, so the order of their arrival proves nothing (row F10). The record
//! puts them in order, one conditional write at a time; a place that was given out is never given again.
//! Pure transitions: it asks no forge and reads no clock.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ids::{CommitSha, HookId, PipelineName, RefName, RunId};
use crate::plan::Concurrency;
use crate::source::{Provider, Source, Trigger};

/// How many movements are remembered: pushes come late by a few, not by hundreds.
const REMEMBERED_MOVES: usize = 64;
/// The step between two places: a push that is told of late finds room below the one that followed it.
const STEP: u64 = 1_000;
/// How many overtaken runs are remembered: long enough for each to find out at its next step.
const REMEMBERED_OVERTAKEN: usize = 64;

/// What is known of a ref across runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Branch {
    /// The forge's kind.
    pub provider: Provider,
    /// The hook of its repository.
    pub hook: HookId,
    /// The ref.
    pub git_ref: RefName,
    /// How often it has been stored.
    pub version: u64,
    /// The newest place given out.
    pub place: u64,
    /// The newest push.
    pub head: Option<Head>,
    /// The last movements, oldest first.
    pub moves: Vec<Move>,
    /// Whose turn it is, by pipeline.
    pub lanes: BTreeMap<PipelineName, Lane>,
}

/// The newest push of a ref.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Head {
    /// Where the ref points.
    pub commit: CommitSha,
    /// The run that was recorded for it.
    pub run: RunId,
    /// Its place among the pushes of the ref.
    pub place: u64,
    /// When the forge says it was pushed.
    pub pushed_at: Option<Timestamp>,
}

/// A movement of a ref.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Move {
    /// Where the ref pointed.
    pub before: Option<CommitSha>,
    /// Where it pointed then.
    pub after: CommitSha,
    /// The place of the push that moved it.
    pub place: u64,
    /// The run that the sweep started for it, where no delivery had told of it: one may yet come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found: Option<RunId>,
}

/// One pipeline's runs of a ref that build or test, or wait for it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Lane {
    /// Those that go on or wait, in the order of their places.
    pub inside: Vec<Inside>,
    /// Those whose place a newer one took: run and its successor.
    pub overtaken: Vec<(RunId, RunId)>,
    /// The newest push that succeeded: what path filters compare with.
    pub green: Option<Inside>,
}

/// A run in its lane.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Inside {
    /// The run.
    pub run: RunId,
    /// Its place among the pushes of the ref.
    pub place: u64,
    /// Its commit.
    pub commit: CommitSha,
}

/// Where a push stands among those of its ref.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Placed {
    /// At this place. 0 is below all others: where it belongs among older pushes nobody can tell.
    At(u64),
    /// The run given was recorded for the same head.
    Same(RunId),
    /// Only the forge can tell.
    AskForge,
}

/// What asking for a turn came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Turn {
    /// It has it; these older runs lost theirs.
    Given(Vec<RunId>),
    /// It comes after this run.
    Behind(RunId),
    /// A newer run has taken its place.
    Overtaken(RunId),
}

impl Branch {
    /// A ref that nobody has pushed yet.
    pub fn new(provider: Provider, hook: HookId, git_ref: RefName) -> Self {
        Self {
            provider,
            hook,
            git_ref,
            version: 0,
            place: 0,
            head: None,
            moves: Vec::new(),
            lanes: BTreeMap::new(),
        }
    }

    /// Puts a run's push in its place. `at_forge` is where the forge says that the ref points, where it was
    /// asked; `can_ask` is whether it can be. Asking again gives the same answer.
    pub fn place(
        &mut self,
        run: RunId,
        source: &Source,
        at_forge: Option<&CommitSha>,
        can_ask: bool,
    ) -> Placed {
        if !moves_its_ref(source) {
            // Made of the newest push there was; a newer one may have come between.
            let is_chosen = matches!(source.trigger, Trigger::Manual { .. } | Trigger::PullRequest(_));
            let has_moved_on = self.head.as_ref().is_some_and(|head| head.commit != source.commit);
            if has_moved_on && !is_chosen {
                return Placed::At(self.below_successor(&source.commit));
            }
            self.place += STEP;
            return Placed::At(self.place);
        }
        let Some(head) = &self.head else { return self.advance(run, source) };
        if head.run == run {
            return Placed::At(head.place);
        }
        if head.commit == source.commit {
            return Placed::Same(head.run);
        }
        if source.before.as_ref() == Some(&head.commit) {
            return self.advance(run, source);
        }
        match (at_forge, self.found_before(run, &source.commit)) {
            (Some(there), _) if *there == source.commit => self.advance(run, source),
            (None, _) if can_ask => Placed::AskForge,
            (_, Some(placed)) => placed,
            (Some(_), None) => Placed::At(self.below_successor(&source.commit)),
            (None, None) if self.successor(&source.commit).is_some() || is_earlier(run, source, head) => {
                Placed::At(self.below_successor(&source.commit))
            }
            (None, None) => self.advance(run, source),
        }
    }

    /// The place of the push that moved the ref to `commit`; below all others where nobody remembers it.
    pub fn place_of(&self, commit: &CommitSha) -> u64 {
        let head = self.head.as_ref().filter(|head| head.commit == *commit).map(|head| head.place);
        let moved = || self.moves.iter().rfind(|step| step.after == *commit).map(|step| step.place);
        head.or_else(moved).unwrap_or_default()
    }

    fn advance(&mut self, run: RunId, source: &Source) -> Placed {
        self.place += STEP;
        let (before, after) = (source.before.clone(), source.commit.clone());
        let found = (source.trigger == Trigger::Reconciled).then_some(run);
        self.moves.push(Move { before, after: after.clone(), place: self.place, found });
        let surplus = self.moves.len().saturating_sub(REMEMBERED_MOVES);
        self.moves.drain(..surplus);
        self.head = Some(Head { commit: after, run, place: self.place, pushed_at: source.pushed_at });
        Placed::At(self.place)
    }

    /// Where a push stands whose ref has moved on: what the sweep had found before its delivery came is the same push.
    fn found_before(&self, run: RunId, commit: &CommitSha) -> Option<Placed> {
        let step = self.moves.iter().rfind(|step| step.after == *commit && step.found.is_some())?;
        let known = step.found?;
        Some(if known == run { Placed::At(step.place) } else { Placed::Same(known) })
    }

    /// The oldest remembered push that left `commit` behind.
    fn successor(&self, commit: &CommitSha) -> Option<&Move> {
        self.moves.iter().find(|step| step.before.as_ref() == Some(commit))
    }

    /// The place of a push whose ref had moved on before it was looked at.
    fn below_successor(&self, commit: &CommitSha) -> u64 {
        self.successor(commit).map_or(0, |step| step.place - STEP / 2)
    }

    /// Gives a run its turn, or its place in the queue. Asking again changes nothing.
    pub fn enter(&mut self, pipeline: &PipelineName, asking: Inside, concurrency: Concurrency) -> Turn {
        let lane = self.lanes.entry(pipeline.clone()).or_default();
        if let Some(by) = lane.overtaken_by(asking.run) {
            return Turn::Overtaken(by);
        }
        if concurrency == Concurrency::Superseded {
            let newer =
                lane.inside.last().into_iter().chain(&lane.green).find(|one| one.place > asking.place);
            if let Some(newer) = newer {
                return Turn::Overtaken(newer.run);
            }
            let (older, rest): (Vec<Inside>, Vec<Inside>) =
                lane.inside.drain(..).partition(|inside| inside.place < asking.place);
            lane.inside = rest;
            let older: Vec<RunId> = older.into_iter().map(|inside| inside.run).collect();
            lane.overtaken.extend(older.iter().map(|run| (*run, asking.run)));
            let surplus = lane.overtaken.len().saturating_sub(REMEMBERED_OVERTAKEN);
            lane.overtaken.drain(..surplus);
            lane.join(asking);
            return Turn::Given(older);
        }
        let run = asking.run;
        lane.join(asking);
        match lane.inside.first() {
            Some(first) if first.run != run => Turn::Behind(first.run),
            _ => Turn::Given(Vec::new()),
        }
    }

    /// Takes a run out of its lane. `Err`: a newer run has taken its place before. `Ok` gives who is first
    /// in the lane now.
    pub fn leave(&mut self, pipeline: &PipelineName, run: RunId) -> Result<Option<RunId>, RunId> {
        let Some(lane) = self.lanes.get_mut(pipeline) else { return Ok(None) };
        if let Some(by) = lane.overtaken_by(run) {
            return Err(by);
        }
        lane.inside.retain(|inside| inside.run != run);
        Ok(lane.inside.first().map(|inside| inside.run))
    }

    /// Notes a push that succeeded.
    pub fn succeeded(&mut self, pipeline: &PipelineName, green: Inside) {
        let lane = self.lanes.entry(pipeline.clone()).or_default();
        if lane.green.as_ref().is_none_or(|known| known.place <= green.place) {
            lane.green = Some(green);
        }
    }

    /// The commit of the newest push of the pipeline that succeeded.
    pub fn green(&self, pipeline: &PipelineName) -> Option<&CommitSha> {
        Some(&self.lanes.get(pipeline)?.green.as_ref()?.commit)
    }
}

impl Lane {
    fn overtaken_by(&self, run: RunId) -> Option<RunId> {
        self.overtaken.iter().find(|(known, _)| *known == run).map(|(_, by)| *by)
    }

    fn join(&mut self, asking: Inside) {
        if self.inside.iter().all(|inside| inside.run != asking.run) {
            self.inside.push(asking);
            self.inside.sort_by_key(|inside| inside.place);
        }
    }
}

/// Whether the source tells of a movement of its ref, rather than of a wish to run it.
fn moves_its_ref(source: &Source) -> bool {
    match &source.trigger {
        Trigger::Push | Trigger::Reconciled => true,
        Trigger::PullRequest(request) => request.approved_by.is_none(),
        Trigger::Schedule { .. }
        | Trigger::Image { .. }
        | Trigger::Manual { .. }
        | Trigger::Rollback { .. } => false,
    }
}

/// By the forge's own word; where it says nothing, by the order in which the two were told of.
fn is_earlier(run: RunId, source: &Source, head: &Head) -> bool {
    match (source.pushed_at, head.pushed_at) {
        (Some(pushed), Some(known)) => pushed < known,
        _ => run < head.run,
    }
}
