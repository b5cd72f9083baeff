//! An environment's record: its lock, its queue, what serves and what served before.
//!
//! Pure transitions; storing them is conditional on the version, so two runs can't both take the lock.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ids::{CommitSha, EnvironmentName, Fence, HookId, ImageDigestRef, PipelineName, RefName, RunId};
use crate::run::Run;
use crate::source::{Provider, Source};

/// What is known of an environment across runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
    /// What served before.
    pub previous: Option<Deployed>,
    /// Of each ref that was ever deployed here, the newest push. One environment may take several branches by
    /// turns, and none of them may go back for it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub newest: BTreeMap<RefName, Newest>,
}

/// The newest push of a ref that was deployed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Newest {
    /// Its run.
    pub run: RunId,
    /// Its place among the pushes of the ref.
    pub place: Option<u64>,
    /// The forge and hook whose pushes the place counts: another one's begin anew.
    #[serde(default)]
    pub hook: Option<(Provider, HookId)>,
}

/// How many refs are remembered: far more than are ever deployed to one environment side by side.
const REMEMBERED_REFS: usize = 200;

/// Who holds an environment's lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The run.
    pub run: RunId,
    /// Its fence.
    pub fence: Fence,
    /// Since when.
    pub since: Timestamp,
}

/// A version that was deployed and passed its checks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
    /// ARN of its task definition revision.
    pub task_definition: String,
    /// Container name to image.
    pub images: BTreeMap<String, ImageDigestRef>,
    /// Since when.
    pub at: Timestamp,
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
            previous: None,
            newest: BTreeMap::new(),
        }
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
        self.queue.retain(|waiter| *waiter != run);
        if !self.is_held_by(run) {
            return None;
        }
        self.holder = None;
        let next = *self.queue.first()?;
        self.grant(next, now);
        Some(next)
    }

    /// Notes what serves now.
    pub fn deployed(&mut self, deployed: Deployed, source: &Source) {
        if self.current.as_ref().is_some_and(|current| current.run == deployed.run) {
            return;
        }
        let hook = Some((source.provider, source.hook.clone()));
        let newest = Newest { run: deployed.run, place: deployed.place, hook };
        self.newest.insert(deployed.git_ref.clone(), newest);
        if self.newest.len() > REMEMBERED_REFS
            && let Some(oldest) =
                self.newest.iter().min_by_key(|(_, newest)| newest.run).map(|(at, _)| at.clone())
        {
            self.newest.remove(&oldest);
        }
        self.previous = self.current.replace(deployed);
    }

    /// The run of a newer push of the same ref that was deployed before: an older one must not go over it
    /// (row F10). Places tell the order; where one has none, or counts another hook's pushes (the repository was
    /// connected anew), its id does, which sorts by the time of delivery.
    pub fn newer_than(&self, run: &Run) -> Option<RunId> {
        let newest = self.newest.get(&run.source.git_ref)?;
        let own = newest.hook.as_ref() == Some(&(run.source.provider, run.source.hook.clone()));
        let is_newer = match (newest.place.filter(|_| own), run.place) {
            (Some(deployed), Some(asking)) => deployed > asking,
            _ => newest.run > run.id,
        };
        is_newer.then_some(newest.run)
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
        self.queue.retain(|waiter| *waiter != run);
        self.fence = self.fence.next();
        self.holder = Some(Holder { run, fence: self.fence, since: now });
        self.fence
    }
}
