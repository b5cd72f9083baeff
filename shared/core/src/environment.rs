//! An environment's record: its lock, its queue, what serves and what served before.
//!
//! Pure transitions; storing them is conditional on the version, so two runs can't both take the lock.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::fact::OutOfBand;
use crate::ids::{CommitSha, EnvironmentName, Fence, HookId, ImageDigestRef, PipelineName, RefName, RunId};
use crate::messages;
use crate::protection::ProtectionRule;
use crate::run::Run;
use crate::source::{Provider, Source, Trigger};
use crate::views::ServiceRef;

/// What is known of an environment across runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EnvironmentRecord {
    /// Its pipeline.
    pub pipeline: PipelineName,
    /// Its name.
    pub name: EnvironmentName,
    /// How often it has been stored.
    pub version: u64,
    /// The newest fence given out.
    pub fence: Fence,
    /// Who holds the lock.
    pub holder: Option<Holder>,
    /// Who waits for it, first come first served.
    pub queue: Vec<RunId>,
    /// What serves.
    pub current: Option<Deployed>,
    /// What served before and was good, newest first: what a rollback by hand can go back to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub earlier: Vec<Deployed>,
    /// The run whose deploy failed and was not undone, where that was the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left: Option<Left>,
    /// Why it takes no deploys for now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub freeze: Option<Freeze>,
    /// Who must consent to deploys, by an administrator's word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protection: Option<ProtectionRule>,
    /// Runs that wait for people's consent or a better time to deploy here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub asking: Vec<Asking>,
    /// Of each ref that was ever deployed here, the newest push. One environment may take several branches by
    /// turns, and none of them may go back for it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub newest: BTreeMap<RefName, Newest>,
}

/// A push's run and its place among the pushes of its ref.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Newest {
    /// Its run.
    pub run: RunId,
    /// Its place among the pushes of the ref.
    pub place: Option<u64>,
    /// The forge and hook whose pushes the place counts: another one's begin anew.
    #[serde(default)]
    pub hook: Option<(Provider, HookId)>,
}

/// A run that waits for consent or a better time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Asking {
    /// The ref that was pushed.
    pub git_ref: RefName,
    /// The run and its place.
    #[serde(flatten)]
    pub push: Newest,
}

/// A deploy that failed and was not undone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Left {
    /// Its run.
    pub run: RunId,
    /// Whether it can't be undone.
    pub irreversible: bool,
}

/// That an environment takes no deploys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Freeze {
    /// Who froze it: the caller's ARN.
    pub by: String,
    /// Why.
    pub reason: String,
    /// Since when.
    pub since: Timestamp,
}

impl Newest {
    /// A run's push.
    pub fn of(run: &Run) -> Self {
        let hook = Some((run.source.provider, run.source.hook.clone()));
        Self { run: run.id, place: run.place, hook }
    }

    /// Whether it came after `other` of the same ref. Places tell the order; where one has none, or counts another
    /// hook's pushes (the repository was connected anew), ids do, which sort by the time of delivery.
    fn is_after(&self, other: &Self) -> bool {
        match (self.place, other.place) {
            (Some(own), Some(other_place)) if self.hook == other.hook => own > other_place,
            _ => self.run > other.run,
        }
    }
}

/// How many earlier good versions are kept.
const KEPT: usize = 20;

/// Which environment's lock stands for a service: pipelines have environments of their own, yet may deploy to one
/// service. It counts as long as that lock is held by that run, so nobody has to give it back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ServiceClaim {
    /// The service.
    pub service: ServiceRef,
    /// How often it has been stored.
    pub version: u64,
    /// The run.
    pub run: RunId,
    /// Its pipeline.
    pub pipeline: PipelineName,
    /// The environment whose lock it holds.
    pub environment: EnvironmentName,
}

/// How many refs are remembered: far more than are ever deployed to one environment side by side.
const REMEMBERED_REFS: usize = 200;

/// Who holds an environment's lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Holder {
    /// The run.
    pub run: RunId,
    /// Its fence.
    pub fence: Fence,
    /// Since when.
    pub since: Timestamp,
}

/// A version that was deployed and passed its checks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Deployed {
    /// The run that brought it.
    pub run: RunId,
    /// The ref that was pushed.
    pub git_ref: RefName,
    /// Its commit.
    pub commit: CommitSha,
    /// Its place among the pushes of the ref.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<u64>,
    /// Whether it can't be undone: going back over it takes explicit consent.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub irreversible: bool,
    /// ARN of its task definition revision.
    pub task_definition: String,
    /// Container name to image.
    pub images: BTreeMap<String, ImageDigestRef>,
    /// Since when.
    pub at: Timestamp,
    /// What it replaced, where that had not come from Pushway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub over: Option<OutOfBand>,
}

/// What asking for the lock came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Acquisition {
    /// It is held under this fence.
    Held(Fence),
    /// Another run holds it.
    Queued {
        /// Who.
        holder: RunId,
    },
}

impl EnvironmentRecord {
    /// An environment that nobody has used yet.
    pub fn new(pipeline: PipelineName, name: EnvironmentName) -> Self {
        Self {
            pipeline,
            name,
            version: 0,
            fence: Fence::default(),
            holder: None,
            queue: Vec::new(),
            current: None,
            earlier: Vec::new(),
            left: None,
            freeze: None,
            protection: None,
            asking: Vec::new(),
            newest: BTreeMap::new(),
        }
    }

    /// The rule, where it counts for a run that this started: whoever goes back by hand needs nobody's consent.
    pub fn rule_for(&self, trigger: &Trigger) -> Option<&ProtectionRule> {
        self.protection.as_ref().filter(|_| !matches!(trigger, Trigger::Rollback { .. }))
    }

    /// Whether a run has all the consent that the rule asks for, and of those whom it names as many as the pipeline
    /// file asks for, too.
    pub fn has_consent(&self, run: &Run) -> bool {
        let Some(rule) = self.rule_for(&run.source.trigger) else { return true };
        let approval = run.environment(&self.name).and_then(|state| state.approval.as_ref());
        let given = approval.map(|approval| approval.given.as_slice()).unwrap_or_default();
        let counted = given.iter().filter(|consent| rule.approvers.allow(&consent.by, &consent.groups));
        let by_file = approval.map_or(0, |approval| approval.request.by_file);
        counted.count() >= rule.required.max(by_file).into()
    }

    /// Takes the lock for `run`, or puts it in the queue. Asking again changes nothing.
    pub fn acquire(&mut self, run: RunId, now: Timestamp) -> Acquisition {
        match &self.holder {
            Some(holder) if holder.run == run => Acquisition::Held(holder.fence),
            Some(holder) => {
                let holder = holder.run;
                if !self.queue.contains(&run) {
                    self.queue.push(run);
                }
                Acquisition::Queued { holder }
            }
            None => Acquisition::Held(self.grant(run, now)),
        }
    }

    /// Gives the lock or the place in the queue up. Gives who holds the lock now, where that changed.
    pub fn release(&mut self, run: RunId, now: Timestamp) -> Option<RunId> {
        self.withdraw(run);
        self.queue.retain(|waiter| *waiter != run);
        if !self.is_held_by(run) {
            return None;
        }
        self.holder = None;
        // Whoever may go through a freeze asks again by itself; whether the next has all consent, it is asked then.
        let next = *self.queue.first().filter(|_| self.freeze.is_none())?;
        self.grant(next, now);
        Some(next)
    }

    /// Notes that a run waits for consent or a better time. Gives those of older pushes of the same ref, which
    /// wait no longer.
    pub fn ask(&mut self, run: &Run) -> Vec<RunId> {
        let push = Newest::of(run);
        let git_ref = run.source.git_ref.clone();
        let is_older = |asking: &Asking| asking.git_ref == git_ref && push.is_after(&asking.push);
        let (older, rest) = std::mem::take(&mut self.asking).into_iter().partition(is_older);
        let older: Vec<Asking> = older;
        self.asking = rest;
        if !self.asking.iter().any(|asking| asking.push.run == run.id) {
            self.asking.push(Asking { git_ref, push });
        }
        older.into_iter().map(|asking| asking.push.run).collect()
    }

    /// The run of a newer push of the same ref that waits so, too.
    pub fn newer_asking(&self, run: &Run) -> Option<RunId> {
        let own = Newest::of(run);
        let same = self.asking.iter().filter(|asking| asking.git_ref == run.source.git_ref);
        same.map(|asking| &asking.push).find(|push| push.is_after(&own)).map(|push| push.run)
    }

    /// Notes that a run waits so no longer.
    pub fn withdraw(&mut self, run: RunId) {
        self.asking.retain(|asking| asking.push.run != run);
    }

    /// Where a rollback by hand goes: to the version of a run, or to the last good one that does not serve.
    /// Otherwise why it can't.
    pub fn way_back(&self, to: Option<RunId>, accept_irreversible: bool) -> Result<&Deployed, String> {
        let good: Vec<&Deployed> = self.current.iter().chain(&self.earlier).collect();
        // What was left broken serves instead of the last good version.
        let position = match to {
            Some(run) => good.iter().position(|deployed| deployed.run == run),
            None => Some(usize::from(self.left.is_none())),
        };
        let wanted = position.and_then(|position| good.get(position));
        let Some(wanted) = wanted else {
            return Err(messages::no_way_back(&self.name, to, &good));
        };
        let undone = self.irreversible_over(wanted.run);
        if undone.is_empty() || accept_irreversible {
            Ok(wanted)
        } else {
            Err(messages::over_irreversible(&undone))
        }
    }

    /// Runs whose deploys can't be undone, and over which going back to the version of `to` would go.
    pub fn irreversible_over(&self, to: RunId) -> Vec<RunId> {
        let left = self.left.iter().filter(|left| left.irreversible).map(|left| left.run);
        let newer = self.current.iter().chain(&self.earlier).take_while(|deployed| deployed.run != to);
        left.chain(newer.filter(|deployed| deployed.irreversible).map(|deployed| deployed.run)).collect()
    }

    /// Notes that a run has left something else than the last good version behind.
    pub fn left_broken(&mut self, left: Left) {
        if self.current.as_ref().is_none_or(|current| current.run != left.run) {
            self.left = Some(left);
        }
    }

    /// Notes what serves now.
    pub fn deployed(&mut self, deployed: Deployed, source: &Source) {
        if self.current.as_ref().is_some_and(|current| current.run == deployed.run) {
            return;
        }
        self.left = None;
        // Whoever goes back on purpose does not make the older push the newer one.
        if !matches!(source.trigger, Trigger::Rollback { .. }) {
            let hook = Some((source.provider, source.hook.clone()));
            let newest = Newest { run: deployed.run, place: deployed.place, hook };
            self.newest.insert(deployed.git_ref.clone(), newest);
        }
        if self.newest.len() > REMEMBERED_REFS
            && let Some(oldest) =
                self.newest.iter().min_by_key(|(_, newest)| newest.run).map(|(at, _)| at.clone())
        {
            self.newest.remove(&oldest);
        }
        self.earlier.splice(0..0, self.current.replace(deployed));
        self.earlier.truncate(KEPT);
    }

    /// The run of a newer push of the same ref that was deployed before: an older one must not go over it
    /// (row F10), unless someone wants just that.
    pub fn newer_than(&self, run: &Run) -> Option<RunId> {
        if matches!(run.source.trigger, Trigger::Rollback { .. }) {
            return None;
        }
        let newest = self.newest.get(&run.source.git_ref)?;
        newest.is_after(&Newest::of(run)).then_some(newest.run)
    }

    /// Whether the service runs something else than what was last brought there: someone deployed, or went
    /// back, outside of Pushway. What a failed deploy of ours has left behind is no news.
    pub fn out_of_band(&self, found: &str) -> Option<OutOfBand> {
        let current = self
            .current
            .as_ref()
            .filter(|current| self.left.is_none() && current.task_definition != found)?;
        Some(OutOfBand {
            found: found.to_owned(),
            expected: current.task_definition.clone(),
            run: current.run,
        })
    }

    /// Whether `run` holds the lock.
    pub fn is_held_by(&self, run: RunId) -> bool {
        self.holder.as_ref().is_some_and(|holder| holder.run == run)
    }

    /// Whether the lock is held under `fence`.
    pub fn is_held_under(&self, run: RunId, fence: Fence) -> bool {
        self.holder.as_ref().is_some_and(|holder| holder.run == run && holder.fence == fence)
    }

    fn grant(&mut self, run: RunId, now: Timestamp) -> Fence {
        self.withdraw(run);
        self.queue.retain(|waiter| *waiter != run);
        self.fence = self.fence.next();
        self.holder = Some(Holder { run, fence: self.fence, since: now });
        self.fence
    }
}
