//! Branches, pipeline names, reconciliations, subscriptions and notices in memory; what the forge shows of them.
//!
//! Writes are conditional on versions as they are in `DynamoDB`.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{State, World};
use crate::branch::Branch;
use crate::claim::PipelineClaim;
use crate::commits::{CommitRange, Commits};
use crate::forge::{Branches, Changes, CommitStatus, HookHealth};
use crate::ids::{CommitSha, PipelineName, RefName, RunId};
use crate::notice::{News, Notice};
use crate::ports::{
    Announcements, Answer, BranchRecords, CommitStatuses, Differences, Fault, ListBranches, ListHooks,
    Notices, PipelineClaims, ReadCommits, Reconciliations, SubscriptionRecords, Webhooks, Written,
};
use crate::reconcile::Reconciliation;
use crate::source::Hook;
use crate::subscription::Subscriptions;

type HookKey = (&'static str, String);

/// What the table and the forge hold besides runs.
#[derive(Debug, Default)]
pub(super) struct Repositories {
    branches: BTreeMap<(HookKey, RefName), (Branch, Timestamp)>,
    pub(super) claims: BTreeMap<PipelineName, PipelineClaim>,
    reconciliations: BTreeMap<HookKey, Reconciliation>,
    subscriptions: BTreeMap<HookKey, Subscriptions>,
    notices: BTreeMap<RunId, Notice>,
    changes: BTreeMap<(CommitSha, CommitSha), Changes>,
    commits: BTreeMap<(CommitSha, CommitSha), CommitRange>,
    statuses: Vec<(CommitSha, CommitStatus)>,
    news: Vec<News>,
    redelivered: u32,
}

fn key(hook: &Hook) -> HookKey {
    (hook.provider.as_str(), hook.id.to_string())
}

/// Stores `next` under `key` if its version follows the stored one's.
fn store<K: Ord, T: Clone + PartialEq>(
    map: &mut BTreeMap<K, T>,
    key: K,
    next: &T,
    version: impl Fn(&T) -> u64,
) -> Written {
    let stored = map.get(&key);
    if stored == Some(next) {
        return Written::Stored;
    }
    if stored.map_or(0, &version) + 1 != version(next) {
        return Written::Conflict;
    }
    map.insert(key, next.clone());
    Written::Stored
}

impl BranchRecords for World {
    async fn branch(&self, hook: &Hook, git_ref: &RefName) -> Answer<Branch> {
        let fresh = || Branch::new(hook.provider, hook.id.clone(), git_ref.clone());
        self.call("branch", git_ref, |state| {
            let stored = state.repositories.branches.get(&(key(hook), git_ref.clone()));
            Ok(stored.map_or_else(fresh, |(branch, _)| branch.clone()))
        })
        .await
    }

    async fn put_branch(&self, branch: &Branch, now: Timestamp) -> Answer<Written> {
        let key = ((branch.provider.as_str(), branch.hook.to_string()), branch.git_ref.clone());
        self.call("put_branch", &branch.git_ref, |state| {
            let branches = &mut state.repositories.branches;
            let stored = branches.get(&key).map(|(stored, _)| stored);
            if stored != Some(branch) && stored.map_or(0, |stored| stored.version) + 1 != branch.version {
                return Ok(Written::Conflict);
            }
            branches.insert(key, (branch.clone(), now));
            Ok(Written::Stored)
        })
        .await
    }
}

impl PipelineClaims for World {
    async fn pipeline_claim(&self, pipeline: &PipelineName) -> Answer<Option<PipelineClaim>> {
        self.call("pipeline_claim", pipeline, |state| Ok(state.repositories.claims.get(pipeline).cloned()))
            .await
    }

    async fn put_pipeline_claim(&self, claim: &PipelineClaim) -> Answer<Written> {
        self.call("put_pipeline_claim", &claim.pipeline, |state| {
            let claims = &mut state.repositories.claims;
            Ok(store(claims, claim.pipeline.clone(), claim, |claim| claim.version))
        })
        .await
    }
}

impl Reconciliations for World {
    async fn reconciliation(&self, hook: &Hook) -> Answer<Option<Reconciliation>> {
        self.call("reconciliation", &hook.id, |state| {
            Ok(state.repositories.reconciliations.get(&key(hook)).cloned())
        })
        .await
    }

    async fn put_reconciliation(&self, known: &Reconciliation) -> Answer<Written> {
        let key = (known.provider.as_str(), known.hook.to_string());
        self.call("put_reconciliation", &known.hook, |state| {
            Ok(store(&mut state.repositories.reconciliations, key, known, |known| known.version))
        })
        .await
    }

    async fn due_hooks(&self, now: Timestamp) -> Answer<Vec<Hook>> {
        self.call("due_hooks", "", |state| {
            let known = state.repositories.reconciliations.iter();
            let due = known.filter(|(_, known)| known.next_at <= now);
            Ok(due.filter_map(|(key, _)| state.hooks.get(key).cloned()).collect())
        })
        .await
    }

    async fn touched(&self, hook: &Hook, since: Timestamp) -> Answer<Vec<RefName>> {
        let hook = key(hook);
        self.call("touched", &hook.1, |state| {
            let branches = state.repositories.branches.iter();
            let touched = branches.filter(|((of, _), (_, at))| *of == hook && *at >= since);
            Ok(touched.map(|((_, git_ref), _)| git_ref.clone()).collect())
        })
        .await
    }
}

impl SubscriptionRecords for World {
    async fn subscriptions(&self, hook: &Hook) -> Answer<Option<Subscriptions>> {
        self.call("subscriptions", &hook.id, |state| {
            Ok(state.repositories.subscriptions.get(&key(hook)).cloned())
        })
        .await
    }

    async fn put_subscriptions(&self, wanted: &Subscriptions) -> Answer<Written> {
        let key = (wanted.provider.as_str(), wanted.hook.to_string());
        self.call("put_subscriptions", &wanted.hook, |state| {
            Ok(store(&mut state.repositories.subscriptions, key, wanted, |wanted| wanted.version))
        })
        .await
    }

    async fn due_schedules(&self, now: Timestamp) -> Answer<Vec<Hook>> {
        self.subscribed("due_schedules", |wanted| wanted.next_due().is_some_and(|due| due <= now)).await
    }

    async fn image_subscribers(&self, repository: &str) -> Answer<Vec<Hook>> {
        let asks = |wanted: &Subscriptions| {
            wanted.files.iter().any(|file| file.images.iter().any(|i| i == repository))
        };
        self.subscribed("image_subscribers", asks).await
    }
}

impl Notices for World {
    async fn notice(&self, id: RunId) -> Answer<Notice> {
        self.call("notice", id, |state| {
            Ok(state.repositories.notices.get(&id).cloned().unwrap_or_else(|| Notice::new(id)))
        })
        .await
    }

    async fn put_notice(&self, notice: &Notice) -> Answer<Written> {
        self.call("put_notice", notice.run, |state| {
            Ok(store(&mut state.repositories.notices, notice.run, notice, |notice| notice.version))
        })
        .await
    }

    async fn due_notices(&self, now: Timestamp) -> Answer<Vec<RunId>> {
        self.call("due_notices", "", |state| {
            let notices = state.repositories.notices.values();
            Ok(notices.filter(|notice| notice.due_at().is_some_and(|at| at <= now)).map(|n| n.run).collect())
        })
        .await
    }
}

impl Announcements for World {
    async fn announce(&self, news: &News) -> Answer<()> {
        self.call("announce", news.run.id, |state| {
            state.repositories.news.push(news.clone());
            Ok(())
        })
        .await
    }
}

impl CommitStatuses for World {
    async fn post_status(&self, _hook: &Hook, commit: &CommitSha, status: &CommitStatus) -> Answer<()> {
        self.call("post_status", &status.context, |state| {
            state.repositories.statuses.push((commit.clone(), status.clone()));
            Ok(())
        })
        .await
    }
}

impl Differences for World {
    async fn changes(
        &self,
        _run: RunId,
        _hook: &Hook,
        base: &CommitSha,
        commit: &CommitSha,
    ) -> Answer<Changes> {
        self.call("changes", commit, |state| {
            let known = state.repositories.changes.get(&(base.clone(), commit.clone())).cloned();
            Ok(known.unwrap_or_else(|| Changes::Unknown("nobody has said what changed".into())))
        })
        .await
    }
}

impl ReadCommits for World {
    async fn commits(
        &self,
        _run: Option<RunId>,
        _hook: &Hook,
        base: &CommitSha,
        commit: &CommitSha,
    ) -> Answer<Commits> {
        self.call("commits", commit, |state| {
            let known = state.repositories.commits.get(&(base.clone(), commit.clone())).cloned();
            let unknown = || Commits::Unknown("nobody has said what lies between".into());
            Ok(known.map_or_else(unknown, Commits::Known))
        })
        .await
    }
}

impl ListBranches for World {
    async fn branches(&self, hook: &Hook, _etag: Option<&str>) -> Answer<Branches> {
        self.call("branches", &hook.id, |state| {
            let is_branch = |at: &RefName| at.as_str().starts_with("refs/heads/");
            let heads = state.heads.iter().filter(|(at, _)| is_branch(at));
            let heads = heads.map(|(at, head)| (at.clone(), head.commit.clone())).collect();
            Ok(Branches::Listed { heads, is_truncated: false, etag: None })
        })
        .await
    }
}

impl Webhooks for World {
    async fn hook_health(&self, hook: &Hook) -> Answer<HookHealth> {
        self.call("hook_health", &hook.id, |_| Ok(HookHealth::Healthy)).await
    }

    async fn redeliver(&self, hook: &Hook, _since: Timestamp) -> Answer<u32> {
        self.call("redeliver", &hook.id, |state| {
            state.repositories.redelivered += 1;
            Ok(0)
        })
        .await
    }
}

impl ListHooks for World {
    async fn hooks(&self) -> Answer<Vec<Hook>> {
        self.call("hooks", "", |state| Ok(state.hooks.values().cloned().collect())).await
    }
}

impl World {
    async fn subscribed(
        &self,
        verb: &'static str,
        asks: impl Fn(&Subscriptions) -> bool + Sync,
    ) -> Answer<Vec<Hook>> {
        self.call(verb, "", |state: &mut State| {
            let known = state.repositories.subscriptions.iter().filter(|(_, wanted)| asks(wanted));
            Ok::<_, Fault>(known.filter_map(|(key, _)| state.hooks.get(key).cloned()).collect())
        })
        .await
    }

    /// Says what changed between two commits.
    pub fn set_changes(&self, base: &CommitSha, commit: &CommitSha, changes: Changes) {
        self.lock().repositories.changes.insert((base.clone(), commit.clone()), changes);
    }

    /// Says which commits lie between two others.
    pub fn set_commits(&self, base: &CommitSha, commit: &CommitSha, range: CommitRange) {
        self.lock().repositories.commits.insert((base.clone(), commit.clone()), range);
    }

    /// Lets the sweep look after a hook's heads, as `pushway connect` does.
    pub fn reconcile_from_now(&self, hook: &Hook) {
        let mut state = self.lock();
        let mut known = Reconciliation::new(hook.provider, hook.id.clone(), state.now);
        known.version = 1;
        state.repositories.reconciliations.insert(key(hook), known);
    }

    /// What is known of a hook's reconciliation.
    pub fn stored_reconciliation(&self, hook: &Hook) -> Option<Reconciliation> {
        self.lock().repositories.reconciliations.get(&key(hook)).cloned()
    }

    /// A branch as it is stored.
    pub fn stored_branch(&self, hook: &Hook, git_ref: &RefName) -> Option<Branch> {
        let state = self.lock();
        let stored = state.repositories.branches.get(&(key(hook), git_ref.clone()));
        stored.map(|(branch, _)| branch.clone())
    }

    /// Every commit status that was posted, oldest first.
    pub fn posted_statuses(&self) -> Vec<(CommitSha, CommitStatus)> {
        self.lock().repositories.statuses.clone()
    }

    /// Everything that was announced, oldest first.
    pub fn announced(&self) -> Vec<News> {
        self.lock().repositories.news.clone()
    }

    /// What was told of a run.
    pub fn stored_notice(&self, id: RunId) -> Option<Notice> {
        self.lock().repositories.notices.get(&id).cloned()
    }
}
