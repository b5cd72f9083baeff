//! The forges' REST APIs behind one set of verbs: files, heads, differences, pull requests, statuses and
//! webhooks of GitHub, GitLab, Bitbucket Cloud, and Gitea with Forgejo.
//!
//! A module per forge says which address to ask and what its JSON means; `http` is the one way to ask. It
//! decides nothing about runs, keeps nothing but connections and app tokens, and knows no AWS: `CodeCommit`
//! is in `pushway-aws`. Each verb's documentation names the forge's own page where it differs from the rest.

mod api;
mod app;
mod bitbucket;
mod client;
mod credentials;
mod deliveries;
mod gitea;
mod github;
mod gitlab;
mod hooks;
mod http;
mod limits;
mod messages;
#[cfg(feature = "testing")]
pub mod testing;
mod text;

use jiff::Timestamp;
use pushway_core::commits::{CommitRange, Commits};
use pushway_core::forge::{Branches, Changes, CommitStatus, HookHealth, PullRequestView, RepositoryView};
use pushway_core::ids::{CommitSha, RefName, RepositoryPath};
use pushway_core::messages::nothing_between;
use pushway_core::ports::{Answer, HeadView};
use pushway_core::signature::Secret;
use pushway_core::source::{Hook, Provider};

pub use api::{Connections, commit_id};
pub use credentials::Credentials;
pub use http::{body_at_most, root};
pub use text::{MAX_FILE_BYTES, readable, too_large};

use api::Api;

/// A repository at its forge, ready to be asked.
#[derive(Debug)]
pub struct Forge(Api);

/// Asks the module of the hook's forge.
macro_rules! ask {
    ($api:expr, $verb:ident($($argument:expr),*), gitea: $gitea:ident) => {
        match $api.provider {
            Provider::Gitlab => gitlab::$verb(&$api, $($argument),*).await,
            Provider::Bitbucket => bitbucket::$verb(&$api, $($argument),*).await,
            Provider::Gitea => $gitea::$verb(&$api, $($argument),*).await,
            // `Api::new` lets nobody in who has no module.
            Provider::Github | Provider::Git | Provider::Codecommit => {
                github::$verb(&$api, $($argument),*).await
            }
        }
    };
}

impl Forge {
    /// The forge of a hook. Makes no call; a hook whose forge has no REST API, or whose address can't be
    /// right, is a permanent fault that says what to mend.
    pub fn new(connections: &Connections, hook: &Hook, credentials: Option<Credentials>) -> Answer<Self> {
        Api::new(connections, hook, credentials).map(Self)
    }

    /// A file's text at a commit, at most [`MAX_FILE_BYTES`]; `None` where the commit has no such file.
    pub async fn file(&self, commit: &CommitSha, path: &RepositoryPath) -> Answer<Option<String>> {
        let found = ask!(self.0, file(commit, path), gitea: gitea)?;
        self.looked_up(found).await
    }

    /// What was found. Forges answer "not found" for what they hide, too: where the repository itself is
    /// hidden, that is a fault and not an absence.
    async fn looked_up<T>(&self, found: Option<T>) -> Answer<Option<T>> {
        if found.is_none() && self.repository().await?.is_none() {
            return Err(self.0.unseen());
        }
        Ok(found)
    }

    /// The files that lie directly in a folder; none where there is no such folder.
    pub async fn folder(&self, commit: &CommitSha, path: &RepositoryPath) -> Answer<Vec<RepositoryPath>> {
        ask!(self.0, folder(commit, path), gitea: github)
    }

    /// Where a ref points now; `None` where there is no such ref.
    pub async fn head(&self, git_ref: &RefName) -> Answer<Option<HeadView>> {
        let found = ask!(self.0, head(git_ref), gitea: gitea)?;
        self.looked_up(found).await
    }

    /// The branches, as many as ten pages hold; `etag` is what the last listing gave.
    pub async fn branches(&self, etag: Option<&str>) -> Answer<Branches> {
        ask!(self.0, branches(etag), gitea: gitea)
    }

    /// Which files differ from `base` to `head`, old and new names alike; more of them where a forge only
    /// tells what either side changed since they parted.
    pub async fn changes(&self, base: &CommitSha, head: &CommitSha) -> Answer<Changes> {
        ask!(self.0, changes(base, head), gitea: gitea)
    }

    /// The commits that either of two different commits has and the other has not.
    pub async fn commits(&self, base: &CommitSha, head: &CommitSha) -> Answer<Commits> {
        let forge = messages::name(self.0.provider);
        let unknown = || Commits::Unknown(nothing_between(forge, base, head));
        let Some(coming) = ask!(self.0, commits(base, head), gitea: gitea)? else { return Ok(unknown()) };
        let Some(leaving) = ask!(self.0, commits(head, base), gitea: gitea)? else { return Ok(unknown()) };
        Ok(CommitRange::between(coming, leaving).map_or_else(unknown, Commits::Known))
    }

    /// The pull or merge request of this number; `None` where there is none.
    pub async fn pull_request(&self, number: u64) -> Answer<Option<PullRequestView>> {
        let found = ask!(self.0, pull_request(number), gitea: github)?;
        self.looked_up(found).await
    }

    /// Shows a status beside a commit, replacing the one of the same context.
    pub async fn post_status(&self, commit: &CommitSha, status: &CommitStatus) -> Answer<()> {
        ask!(self.0, post_status(commit, status), gitea: github)
    }

    /// The repository itself; `None` where the forge shows none of that name to these credentials.
    pub async fn repository(&self) -> Answer<Option<RepositoryView>> {
        ask!(self.0, repository(), gitea: github)
    }

    /// Makes the webhook that delivers pushes and pull requests to `url`, or renews the one that does;
    /// gives its id.
    pub async fn create_hook(&self, url: &str, secret: &Secret) -> Answer<String> {
        hooks::create(&self.0, url, secret).await
    }

    /// Gives the webhook this address and secret, and switches it on.
    pub async fn update_hook(&self, id: &str, url: &str, secret: &Secret) -> Answer<()> {
        hooks::update(&self.0, id, url, secret).await
    }

    /// Removes the webhook; one that is not there is as good.
    pub async fn delete_hook(&self, id: &str) -> Answer<()> {
        hooks::delete(&self.0, id).await
    }

    /// How the forge sees the webhook.
    pub async fn hook_health(&self, id: &str) -> Answer<HookHealth> {
        hooks::health(&self.0, id).await
    }

    /// Asks the forge to send again what failed since then; gives how many. Only GitHub can.
    pub async fn redeliver(&self, id: &str, since: Timestamp) -> Answer<u32> {
        match self.0.provider {
            Provider::Github => deliveries::redeliver(&self.0, id, since).await,
            _ => Ok(0),
        }
    }
}
