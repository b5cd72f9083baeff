//! Reconciling a hook: its heads at the forge against its branches' records (row F3).

use std::collections::BTreeMap;

use crate::delivery::Push;
use crate::forge::HookHealth;
use crate::ids::{CommitSha, DeliveryId, RefName};
use crate::intake::{Taken, take};
use crate::ports::{
    Answer, BranchRecords, Clock, Deliveries, Fault, Heads, ListBranches, Random, Reconciliations,
    StartExecutions, Webhooks, Written,
};
use crate::reconcile::{Reconciliation, Verdict};
use crate::source::{Hook, Provider, Trigger};

/// How many heads one pass looks at: the next pass goes on.
const MAX_LOOKS: usize = 100;
/// For how long GitHub can send a delivery again ("Redelivering webhooks").
const REDELIVERED: jiff::SignedDuration = jiff::SignedDuration::from_hours(72);

/// Compares a hook's heads with what was run and starts what is missing; gives how many runs that made. A
/// forge that can't be asked is noted where people see it, and asked again later: that is no error here.
pub async fn reconcile<P>(ports: &P, hook: &Hook) -> Answer<u32>
where
    P: Reconciliations
        + BranchRecords
        + Deliveries
        + StartExecutions
        + Heads
        + ListBranches
        + Webhooks
        + Clock
        + Random,
{
    let now = ports.now();
    let known = ports.reconciliation(hook).await?;
    let mut known = known.unwrap_or_else(|| Reconciliation::new(hook.provider, hook.id.clone(), now));
    if known.next_at > now {
        return Ok(0);
    }
    let started = match pass(ports, hook, &mut known).await {
        Ok(started) => {
            known.done(now);
            started
        }
        Err(fault) => {
            let pause = match &fault {
                Fault::Limited { seconds, .. } => Some(jiff::SignedDuration::from_secs(i64::from(*seconds))),
                Fault::Retryable(_) | Fault::Permanent(_) => None,
            };
            known.failed(&fault.to_string(), pause, now);
            0
        }
    };
    known.version += 1;
    match ports.put_reconciliation(&known).await? {
        // Another sweep was at it, and what it has seen counts: runs it started too are the same runs.
        Written::Stored | Written::Conflict => Ok(started),
    }
}

async fn pass<P>(ports: &P, hook: &Hook, known: &mut Reconciliation) -> Answer<u32>
where
    P: Reconciliations
        + BranchRecords
        + Deliveries
        + StartExecutions
        + Heads
        + ListBranches
        + Webhooks
        + Clock
        + Random,
{
    let now = ports.now();
    let listing = ports.branches(hook, known.etag.as_deref()).await?;
    let touched = ports.touched(hook, known.look_back()).await?;
    let mut looks = known.compare(listing, &touched);
    if known.is_truncated {
        looks.extend(default_branch(ports, hook).await?);
    }
    // Those that differ from what was last seen come before those that were merely written to.
    let mut looks: Vec<(RefName, CommitSha)> = looks.into_iter().collect();
    looks.sort_by_key(|(at, commit)| known.seen.get(at) == Some(commit));
    let mut started = 0;
    for (at, commit) in looks.into_iter().take(MAX_LOOKS) {
        let branch = ports.branch(hook, &at).await?;
        if known.judge(&branch, &commit, now) == Verdict::Start {
            let before = branch.head.map(|head| head.commit);
            start(ports, hook, &at, before, branch.place).await?;
            known.account_for(&at, &commit);
            known.found += 1;
            started += 1;
        }
    }
    if hook.provider != Provider::Git && known.health_is_due(now) {
        // Heads matter more than the webhook: what is wrong with it is shown, and nothing else waits for it.
        if let Err(fault) = look_after_webhook(ports, hook, known).await {
            known.health = HookHealth::Failing { reason: crate::fact::bounded(&fault.to_string(), 300) };
        }
        known.health_at = Some(now);
    }
    Ok(started)
}

/// The default branch, which must never be among those that there are too many of.
async fn default_branch<P: Heads>(ports: &P, hook: &Hook) -> Answer<Option<(RefName, CommitSha)>> {
    let Some(name) = &hook.default_branch else { return Ok(None) };
    let Ok(at) = format!("refs/heads/{name}").parse::<RefName>() else { return Ok(None) };
    Ok(ports.head(hook, &at).await?.map(|head| (at, head.commit)))
}

/// Starts a run for a head that nobody has told of. The delivery's id is made of what it stands for, so
/// that two sweeps at once make one run.
async fn start<P>(ports: &P, hook: &Hook, at: &RefName, before: Option<CommitSha>, place: u64) -> Answer<()>
where
    P: Deliveries + StartExecutions + Heads + Clock + Random,
{
    // The ref may have moved since the listing: its newest commit is what is missing.
    let Some(head) = ports.head(hook, at).await? else { return Ok(()) };
    let id = crate::delivery::made_id("head", &[at.as_str(), head.commit.as_str(), &place.to_string()]);
    let repository_id = match &hook.repository_id {
        Some(id) => id.clone(),
        None => hook.repository.parse().map_err(|error| Fault::Permanent(format!("{error}")))?,
    };
    let push = Push {
        delivery: id.parse::<DeliveryId>().map_err(|error| Fault::Permanent(error.to_string()))?,
        repository_id,
        repository: hook.repository.clone(),
        git_ref: at.clone(),
        commit: head.commit,
        before,
        message: head.message,
        author: head.author,
        trigger: Trigger::Reconciled,
        pushed_at: None,
        files: BTreeMap::new(),
        history: Vec::new(),
    };
    match take(ports, hook, push).await? {
        Taken::New { .. } | Taken::Before(_) => Ok(()),
        Taken::Malformed(malformed) => Err(Fault::Permanent(malformed.to_string())),
    }
}

async fn look_after_webhook<P>(ports: &P, hook: &Hook, known: &mut Reconciliation) -> Answer<()>
where
    P: Webhooks + Clock,
{
    known.health = if hook.forge_hook.is_some() || hook.provider == Provider::Codecommit {
        ports.hook_health(hook).await?
    } else {
        HookHealth::Unknown
    };
    if hook.forge_hook.is_some() {
        // All that the forge still knows: how often each was tried already decides.
        let since = ports.now().saturating_sub(REDELIVERED).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        ports.redeliver(hook, since).await?;
    }
    Ok(())
}
