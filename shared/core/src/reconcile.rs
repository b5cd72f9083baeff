//! Reconciliation: no push is lost, because the heads at the forge are compared with what was run (row F3).
//!
//! Deliveries only lower the time until a push is seen. A head that stays unknown for a while gets a run as
//! if it had been told of; where its delivery comes after all, the branch's record lets one of the two go
//! on. Pure: the sweep asks the forge and starts the runs.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::branch::Branch;
use crate::forge::{Branches, HookHealth};
use crate::ids::{CommitSha, HookId, RefName};
use crate::source::Provider;

/// How often heads are compared. Two passes find and start a lost push, well within five minutes.
pub const EVERY: SignedDuration = SignedDuration::from_secs(120);
/// How often they are compared while one of them is missing.
pub const EVERY_WHILE_MISSING: SignedDuration = SignedDuration::from_secs(60);
/// How long a head may be unknown before it gets a run: its delivery may be on its way.
pub const GRACE: SignedDuration = SignedDuration::from_secs(55);
/// How often the forge is asked about its webhook and told to send again what failed.
pub const HEALTH_EVERY: SignedDuration = SignedDuration::from_mins(10);
/// How far back changed records are looked at again: more than two passes.
const LOOK_BACK: SignedDuration = SignedDuration::from_mins(10);

/// What is known of one hook's reconciliation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Reconciliation {
    /// The forge's kind.
    pub provider: Provider,
    /// The hook.
    pub hook: HookId,
    /// How often it has been stored.
    pub version: u64,
    /// The heads that are accounted for.
    pub seen: BTreeMap<RefName, CommitSha>,
    /// The heads that no run is known for, and since when.
    pub missing: BTreeMap<RefName, Timestamp>,
    /// What the forge's last listing is asked again with.
    pub etag: Option<String>,
    /// When it is due.
    pub next_at: Timestamp,
    /// When it last came to an end.
    pub reconciled_at: Option<Timestamp>,
    /// Why it last did not.
    pub problem: Option<String>,
    /// How many heads were started that no delivery had told of.
    pub found: u64,
    /// How the forge sees the webhook.
    pub health: HookHealth,
    /// When it was last asked.
    pub health_at: Option<Timestamp>,
    /// Whether the forge has more branches than are looked at.
    #[serde(default)]
    pub is_truncated: bool,
}

/// What to do about a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// A run is known for it.
    Known,
    /// None is known, but its delivery may be on its way.
    Wait,
    /// It gets a run now.
    Start,
}

impl Reconciliation {
    /// A hook whose heads were never compared; it is due at once.
    pub fn new(provider: Provider, hook: HookId, now: Timestamp) -> Self {
        Self {
            provider,
            hook,
            version: 0,
            seen: BTreeMap::new(),
            missing: BTreeMap::new(),
            etag: None,
            next_at: now,
            reconciled_at: None,
            problem: None,
            found: 0,
            health: HookHealth::Unknown,
            health_at: None,
            is_truncated: false,
        }
    }

    /// Takes a listing in; gives the heads to look at. The first listing only says where the branches are:
    /// what was pushed before the repository was connected starts nothing. `touched` are refs whose records
    /// have changed lately.
    pub fn compare(&mut self, listing: Branches, touched: &[RefName]) -> BTreeMap<RefName, CommitSha> {
        let heads = match listing {
            Branches::Unchanged => self.seen.clone(),
            Branches::Listed { heads, is_truncated, etag } => {
                (self.etag, self.is_truncated) = (etag, is_truncated);
                if self.reconciled_at.is_none() {
                    self.seen = heads;
                    return BTreeMap::new();
                }
                // What is not listed is not kept either, so that the record stays small whatever the forge holds.
                self.seen.retain(|known, _| heads.contains_key(known));
                self.missing.retain(|known, _| heads.contains_key(known));
                heads
            }
        };
        let touched: BTreeSet<&RefName> = touched.iter().collect();
        let to_look_at = |(at, commit): &(RefName, CommitSha)| {
            self.missing.contains_key(at) || touched.contains(at) || self.seen.get(at) != Some(commit)
        };
        let looked_at: BTreeMap<RefName, CommitSha> = heads.into_iter().filter(to_look_at).collect();
        // Until a run is known for it, the next listing must show it again, whatever its tag.
        if looked_at.iter().any(|(at, commit)| self.seen.get(at) != Some(commit)) {
            self.etag = None;
        }
        looked_at
    }

    /// What to do about a head, by its branch's record.
    pub fn judge(&mut self, branch: &Branch, commit: &CommitSha, now: Timestamp) -> Verdict {
        let at = &branch.git_ref;
        if branch.head.as_ref().is_some_and(|head| head.commit == *commit) {
            self.account_for(at, commit);
            return Verdict::Known;
        }
        // Of more branches than are looked at, one that shows up may be as old as the repository.
        if self.is_truncated && branch.version == 0 && !self.seen.contains_key(at) {
            self.account_for(at, commit);
            return Verdict::Known;
        }
        let since = *self.missing.entry(at.clone()).or_insert(now);
        if now.duration_since(since) < GRACE { Verdict::Wait } else { Verdict::Start }
    }

    /// A run is known for a head.
    pub fn account_for(&mut self, at: &RefName, commit: &CommitSha) {
        self.missing.remove(at);
        self.seen.insert(at.clone(), commit.clone());
    }

    /// Since when records have to be looked at again.
    pub fn look_back(&self) -> Timestamp {
        self.reconciled_at.map_or(Timestamp::UNIX_EPOCH, |at| at.saturating_sub(LOOK_BACK).unwrap_or(at))
    }

    /// Notes that a pass came to its end.
    pub fn done(&mut self, now: Timestamp) {
        self.reconciled_at = Some(now);
        self.problem = None;
        self.next_at = now + if self.missing.is_empty() { EVERY } else { EVERY_WHILE_MISSING };
    }

    /// Notes that a pass failed; `pause` is how long the forge wants to be left alone.
    pub fn failed(&mut self, why: &str, pause: Option<SignedDuration>, now: Timestamp) {
        self.problem = Some(crate::fact::bounded(why, 500));
        self.next_at = now + pause.unwrap_or(EVERY).max(EVERY_WHILE_MISSING);
    }

    /// Whether the webhook itself is to be asked about.
    pub fn health_is_due(&self, now: Timestamp) -> bool {
        self.health_at.is_none_or(|at| now.duration_since(at) >= HEALTH_EVERY)
    }
}
