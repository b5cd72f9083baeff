//! The ports on what is known of repositories across runs, and on who is told of runs.

use std::future::Future;

use jiff::Timestamp;

use super::{Answer, Written};
use crate::branch::Branch;
use crate::claim::PipelineClaim;
use crate::ids::{PipelineName, RefName, RunId};
use crate::notice::{News, Notice};
use crate::reconcile::Reconciliation;
use crate::source::Hook;
use crate::subscription::Subscriptions;

/// All hooks there are.
pub trait ListHooks: Sync {
    /// Every hook.
    fn hooks(&self) -> impl Future<Output = Answer<Vec<Hook>>> + Send;
}

/// Branches: the order of their pushes, and whose turn it is.
pub trait BranchRecords: Sync {
    /// The record as it is now; a fresh one where none is stored.
    fn branch(&self, hook: &Hook, git_ref: &RefName) -> impl Future<Output = Answer<Branch>> + Send;
    /// Stores the record, if the stored version is still the one before it.
    fn put_branch(&self, branch: &Branch, now: Timestamp) -> impl Future<Output = Answer<Written>> + Send;
}

/// Pipeline names, each held by one repository.
pub trait PipelineClaims: Sync {
    /// Who has the name; `None` where nobody ever had.
    fn pipeline_claim(
        &self,
        pipeline: &PipelineName,
    ) -> impl Future<Output = Answer<Option<PipelineClaim>>> + Send;
    /// Stores it, if the stored version is still the one before it.
    fn put_pipeline_claim(&self, claim: &PipelineClaim) -> impl Future<Output = Answer<Written>> + Send;
}

/// Hooks and their forges' heads, compared by the sweep.
pub trait Reconciliations: Sync {
    /// What is known of a hook's reconciliation; `None` before the first.
    fn reconciliation(&self, hook: &Hook) -> impl Future<Output = Answer<Option<Reconciliation>>> + Send;
    /// Stores it, if the stored version is still the one before it.
    fn put_reconciliation(&self, known: &Reconciliation) -> impl Future<Output = Answer<Written>> + Send;
    /// The hooks that are due, the longest overdue first; the answer may be stale.
    fn due_hooks(&self, now: Timestamp) -> impl Future<Output = Answer<Vec<Hook>>> + Send;
    /// The refs of a hook whose records have changed since then; the answer may be stale.
    fn touched(&self, hook: &Hook, since: Timestamp) -> impl Future<Output = Answer<Vec<RefName>>> + Send;
}

/// What else than pushes starts pipelines: schedules and images.
pub trait SubscriptionRecords: Sync {
    /// What a hook's pipeline files ask for; `None` where they ask for nothing.
    fn subscriptions(&self, hook: &Hook) -> impl Future<Output = Answer<Option<Subscriptions>>> + Send;
    /// Stores it, if the stored version is still the one before it.
    fn put_subscriptions(&self, wanted: &Subscriptions) -> impl Future<Output = Answer<Written>> + Send;
    /// The hooks with a schedule that was due by now; the answer may be stale.
    fn due_schedules(&self, now: Timestamp) -> impl Future<Output = Answer<Vec<Hook>>> + Send;
    /// The hooks whose pipeline files ask for pushes of an ECR repository; the answer may be stale.
    fn image_subscribers(&self, repository: &str) -> impl Future<Output = Answer<Vec<Hook>>> + Send;
}

/// What was told of runs to forges and sinks.
pub trait Notices: Sync {
    /// What was told of a run; a fresh notice where nothing was.
    fn notice(&self, id: RunId) -> impl Future<Output = Answer<Notice>> + Send;
    /// Stores it, if the stored version is still the one before it.
    fn put_notice(&self, notice: &Notice) -> impl Future<Output = Answer<Written>> + Send;
    /// The runs of which something has still to be told by now; the answer may be stale.
    fn due_notices(&self, now: Timestamp) -> impl Future<Output = Answer<Vec<RunId>>> + Send;
}

/// Sinks of the user's choice for what happens to runs.
pub trait Announcements: Sync {
    /// Tells it to the event bus and the topic that the installation names, if it names any.
    fn announce(&self, news: &News) -> impl Future<Output = Answer<()>> + Send;
}
