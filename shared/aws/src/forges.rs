//! The forges' ports, by the kind of forge that the hook names: REST APIs, `CodeCommit`, or nobody to ask.
//!
//! A plain git server has no API: what is known of it came with its deliveries. Nothing here is ever the
//! reason that a run of one forge waits for another.

use jiff::Timestamp;
use pushway_core::commits::Commits;
use pushway_core::forge::{Branches, Changes, CommitStatus, HookHealth, PullRequestView};
use pushway_core::ids::{CommitSha, RefName, RepositoryPath, RunId};
use pushway_core::ports::{
    Answer, CommitStatuses, Differences, HeadView, Heads, ListBranches, PullRequests, ReadCommits,
    RepositoryFiles, Secrets as _, Webhooks,
};
use pushway_core::source::{Hook, Provider};
use pushway_forges::{Credentials, Forge};

use crate::Aws;
use crate::patience::{PATIENCE, within};

impl Aws {
    /// The forge of a hook, with the credentials that the hook names.
    async fn forge(&self, hook: &Hook) -> Answer<Forge> {
        let credentials = match &hook.credentials {
            Some(name) => Some(Credentials::parse(&self.secret(name).await?)?),
            None => None,
        };
        Forge::new(&self.forges, hook, credentials)
    }
}

impl RepositoryFiles for Aws {
    async fn file(
        &self,
        run: RunId,
        hook: &Hook,
        commit: &CommitSha,
        path: &RepositoryPath,
    ) -> Answer<Option<String>> {
        match hook.provider {
            Provider::Codecommit => self.codecommit_file(hook, commit, path).await,
            Provider::Git => Ok(self.delivered_files(run).await?.remove(path)),
            _ => self.forge(hook).await?.file(commit, path).await,
        }
    }

    async fn folder(
        &self,
        run: RunId,
        hook: &Hook,
        commit: &CommitSha,
        path: &RepositoryPath,
    ) -> Answer<Vec<RepositoryPath>> {
        match hook.provider {
            Provider::Codecommit => self.codecommit_folder(hook, commit, path).await,
            Provider::Git => {
                let lies_inside = |file: &RepositoryPath| {
                    let rest =
                        file.as_str().strip_prefix(path.as_str()).and_then(|rest| rest.strip_prefix('/'));
                    rest.is_some_and(|name| !name.contains('/'))
                };
                Ok(self.delivered_files(run).await?.into_keys().filter(lies_inside).collect())
            }
            _ => self.forge(hook).await?.folder(commit, path).await,
        }
    }
}

impl Differences for Aws {
    async fn changes(
        &self,
        run: RunId,
        hook: &Hook,
        base: &CommitSha,
        commit: &CommitSha,
    ) -> Answer<Changes> {
        match hook.provider {
            Provider::Codecommit => self.codecommit_changes(hook, base, commit).await,
            Provider::Git => Ok(Changes::carried(&self.delivered_history(run).await?, base, commit)),
            _ => self.forge(hook).await?.changes(base, commit).await,
        }
    }
}

impl ReadCommits for Aws {
    async fn commits(
        &self,
        run: Option<RunId>,
        hook: &Hook,
        base: &CommitSha,
        commit: &CommitSha,
    ) -> Answer<Commits> {
        let told = async {
            match hook.provider {
                Provider::Codecommit => self.codecommit_commits(hook, base, commit).await,
                Provider::Git => {
                    let history = match run {
                        Some(run) => self.delivered_history(run).await?,
                        None => Vec::new(),
                    };
                    Ok(Commits::carried(&history, base, commit))
                }
                _ => self.forge(hook).await?.commits(base, commit).await,
            }
        };
        within(PATIENCE, "list the commits", told).await
    }
}

impl Heads for Aws {
    async fn head(&self, hook: &Hook, git_ref: &RefName) -> Answer<Option<HeadView>> {
        match hook.provider {
            Provider::Codecommit => self.codecommit_head(hook, git_ref).await,
            Provider::Git => Ok(None),
            _ => self.forge(hook).await?.head(git_ref).await,
        }
    }
}

impl ListBranches for Aws {
    async fn branches(&self, hook: &Hook, etag: Option<&str>) -> Answer<Branches> {
        match hook.provider {
            Provider::Codecommit => self.codecommit_branches(hook).await,
            // An empty list would say that all branches are gone.
            Provider::Git => Ok(Branches::Unchanged),
            _ => self.forge(hook).await?.branches(etag).await,
        }
    }
}

impl PullRequests for Aws {
    async fn pull_request(&self, hook: &Hook, number: u64) -> Answer<Option<PullRequestView>> {
        match hook.provider {
            Provider::Codecommit => self.codecommit_pull_request(hook, number).await,
            Provider::Git => Ok(None),
            _ => self.forge(hook).await?.pull_request(number).await,
        }
    }
}

impl CommitStatuses for Aws {
    async fn post_status(&self, hook: &Hook, commit: &CommitSha, status: &CommitStatus) -> Answer<()> {
        match hook.provider {
            Provider::Codecommit => self.codecommit_comment(hook, commit, status).await,
            Provider::Git => Ok(()),
            _ => self.forge(hook).await?.post_status(commit, status).await,
        }
    }
}

impl Webhooks for Aws {
    async fn hook_health(&self, hook: &Hook) -> Answer<HookHealth> {
        match (hook.provider, &hook.forge_hook) {
            (Provider::Codecommit | Provider::Git, _) | (_, None) => Ok(HookHealth::Unknown),
            (_, Some(id)) => self.forge(hook).await?.hook_health(id).await,
        }
    }

    async fn redeliver(&self, hook: &Hook, since: Timestamp) -> Answer<u32> {
        match (hook.provider, &hook.forge_hook) {
            (Provider::Codecommit | Provider::Git, _) | (_, None) => Ok(0),
            (_, Some(id)) => self.forge(hook).await?.redeliver(id, since).await,
        }
    }
}
