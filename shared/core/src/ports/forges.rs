//! The ports that ask a repository's forge.

use std::future::Future;

use jiff::Timestamp;

use super::Answer;
use crate::commits::Commits;
use crate::forge::{Branches, Changes, CommitStatus, HookHealth, PullRequestView};
use crate::ids::{CommitSha, RefName, RepositoryPath, RunId};
use crate::source::Hook;

/// Files of a repository at a commit.
pub trait RepositoryFiles: Sync {
    /// The file's text; `None` where the commit has no such file. `run` is whose delivery may have carried it.
    fn file(
        &self,
        run: RunId,
        hook: &Hook,
        commit: &CommitSha,
        path: &RepositoryPath,
    ) -> impl Future<Output = Answer<Option<String>>> + Send;
    /// The files that lie directly in a folder; none where the commit has no such folder.
    fn folder(
        &self,
        run: RunId,
        hook: &Hook,
        commit: &CommitSha,
        path: &RepositoryPath,
    ) -> impl Future<Output = Answer<Vec<RepositoryPath>>> + Send;
}

/// Which files differ between commits.
pub trait Differences: Sync {
    /// What changed from `base` to `commit`. `run` is whose delivery may have carried the list.
    fn changes(
        &self,
        run: RunId,
        hook: &Hook,
        base: &CommitSha,
        commit: &CommitSha,
    ) -> impl Future<Output = Answer<Changes>> + Send;
}

/// The commits between two others, for people to read. Nothing here waits for long: a forge that answers late
/// is a fault.
pub trait ReadCommits: Sync {
    /// What lies between `base` and `commit`, which differ. `run` is whose delivery may have carried it.
    fn commits(
        &self,
        run: Option<RunId>,
        hook: &Hook,
        base: &CommitSha,
        commit: &CommitSha,
    ) -> impl Future<Output = Answer<Commits>> + Send;
}

/// Where a branch or tag points now, asked of the forge itself.
pub trait Heads: Sync {
    /// The commit a ref points at, with its message and author; `None` where there is no such ref. A plain
    /// git server can't be asked: `None` too.
    fn head(&self, hook: &Hook, git_ref: &RefName) -> impl Future<Output = Answer<Option<HeadView>>> + Send;
}

/// All branches of a repository, asked of the forge itself.
pub trait ListBranches: Sync {
    /// The branches; `etag` is what the last listing gave.
    fn branches(&self, hook: &Hook, etag: Option<&str>) -> impl Future<Output = Answer<Branches>> + Send;
}

/// Pull requests, asked of the forge itself.
pub trait PullRequests: Sync {
    /// The pull request of this number; `None` where there is none.
    fn pull_request(
        &self,
        hook: &Hook,
        number: u64,
    ) -> impl Future<Output = Answer<Option<PullRequestView>>> + Send;
}

/// Commit statuses.
pub trait CommitStatuses: Sync {
    /// Shows a status beside a commit, replacing the one of the same context.
    fn post_status(
        &self,
        hook: &Hook,
        commit: &CommitSha,
        status: &CommitStatus,
    ) -> impl Future<Output = Answer<()>> + Send;
}

/// How webhooks are doing at their forge.
pub trait Webhooks: Sync {
    /// How the forge sees the webhook.
    fn hook_health(&self, hook: &Hook) -> impl Future<Output = Answer<HookHealth>> + Send;
    /// Asks the forge to send again what failed since then, where it can; gives how many.
    fn redeliver(&self, hook: &Hook, since: Timestamp) -> impl Future<Output = Answer<u32>> + Send;
}

/// A ref's commit as the forge tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeadView {
    /// The commit.
    pub commit: CommitSha,
    /// Its message.
    pub message: String,
    /// Who wrote it.
    pub author: String,
}
