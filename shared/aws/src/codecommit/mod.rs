//! `CodeCommit`: files at a commit, and where refs point now.
//!
//! It has no webhooks and no statuses: what it lacks is left out by `forges`. Differences, pull requests
//! and comments are in `reviews`.

mod reviews;

use std::collections::BTreeMap;

use pushway_core::forge::Branches;
use pushway_core::ids::{CommitSha, RefKind, RefName, RepositoryPath};
use pushway_core::ports::{Answer, HeadView};
use pushway_core::source::Hook;
use pushway_forges::{commit_id, readable, too_large};

use crate::Aws;
use crate::errors::{code, fault, incomplete};

/// Each branch costs a call of its own, so no more of them are looked at.
const MAX_BRANCHES: usize = 100;

impl Aws {
    /// A file of a `CodeCommit` repository at the source's commit.
    pub(crate) async fn codecommit_file(
        &self,
        hook: &Hook,
        commit: &CommitSha,
        path: &RepositoryPath,
    ) -> Answer<Option<String>> {
        let call = "codecommit GetFile";
        let answer = self
            .codecommit
            .get_file()
            .repository_name(&hook.repository)
            .commit_specifier(commit.as_str())
            .file_path(path.as_str())
            .send()
            .await;
        match answer {
            Ok(answer) => readable(path, answer.file_content.into_inner()).map(Some),
            Err(error) => match code(&error) {
                Some("FileDoesNotExistException" | "FolderDoesNotExistException") => Ok(None),
                Some("FileTooLargeException") => Err(too_large(path)),
                _ => Err(fault(call, &error)),
            },
        }
    }

    /// The files that lie directly in a folder of a `CodeCommit` repository.
    pub(crate) async fn codecommit_folder(
        &self,
        hook: &Hook,
        commit: &CommitSha,
        path: &RepositoryPath,
    ) -> Answer<Vec<RepositoryPath>> {
        let answer = self
            .codecommit
            .get_folder()
            .repository_name(&hook.repository)
            .commit_specifier(commit.as_str())
            .folder_path(path.as_str())
            .send()
            .await;
        match answer {
            Ok(answer) => {
                let files = answer.files.unwrap_or_default().into_iter();
                let paths = files.filter_map(|file| file.absolute_path);
                Ok(paths.filter_map(|path| path.trim_start_matches('/').parse().ok()).collect())
            }
            Err(error) if code(&error) == Some("FolderDoesNotExistException") => Ok(Vec::new()),
            Err(error) => Err(fault("codecommit GetFolder", &error)),
        }
    }

    /// The branches of a `CodeCommit` repository.
    pub(crate) async fn codecommit_branches(&self, hook: &Hook) -> Answer<Branches> {
        let (mut names, mut next) = (Vec::new(), None);
        loop {
            let answer = self
                .codecommit
                .list_branches()
                .repository_name(&hook.repository)
                .set_next_token(next)
                .send()
                .await
                .map_err(|error| fault("codecommit ListBranches", &error))?;
            names.extend(answer.branches.unwrap_or_default());
            next = answer.next_token;
            if next.is_none() || names.len() > MAX_BRANCHES {
                break;
            }
        }
        let is_truncated = names.len() > MAX_BRANCHES;
        let mut heads = BTreeMap::new();
        for name in names.into_iter().take(MAX_BRANCHES) {
            let Ok(git_ref) = format!("refs/heads/{name}").parse::<RefName>() else { continue };
            // A branch that was deleted meanwhile has no head.
            if let Some(id) = self.codecommit_branch(&hook.repository, &name).await? {
                heads.insert(git_ref, commit_id(&id)?);
            }
        }
        Ok(Branches::Listed { heads, is_truncated, etag: None })
    }

    /// Where a ref of a `CodeCommit` repository points now.
    pub(crate) async fn codecommit_head(&self, hook: &Hook, git_ref: &RefName) -> Answer<Option<HeadView>> {
        let id = match git_ref.kind() {
            RefKind::Branch(branch) => self.codecommit_branch(&hook.repository, branch).await?,
            RefKind::Tag(_) | RefKind::Other => {
                self.codecommit_ref(&hook.repository, git_ref.as_str()).await?
            }
        };
        let Some(id) = id else { return Ok(None) };
        let call = "codecommit GetCommit";
        let answer = self
            .codecommit
            .get_commit()
            .repository_name(&hook.repository)
            .commit_id(&id)
            .send()
            .await
            .map_err(|error| fault(call, &error))?;
        let commit = answer.commit.ok_or_else(|| incomplete(call, "commit"))?;
        let author = commit.author.and_then(|author| author.name).unwrap_or_default();
        Ok(Some(HeadView { commit: commit_id(&id)?, message: commit.message.unwrap_or_default(), author }))
    }

    async fn codecommit_branch(&self, repository: &str, branch: &str) -> Answer<Option<String>> {
        let answer =
            self.codecommit.get_branch().repository_name(repository).branch_name(branch).send().await;
        match answer {
            Ok(answer) => Ok(answer.branch.and_then(|branch| branch.commit_id)),
            Err(error) if code(&error) == Some("BranchDoesNotExistException") => Ok(None),
            Err(error) => Err(fault("codecommit GetBranch", &error)),
        }
    }

    /// There is no `GetTag`; a listing of the root folder names the commit that its specifier resolved to.
    async fn codecommit_ref(&self, repository: &str, specifier: &str) -> Answer<Option<String>> {
        let answer = self
            .codecommit
            .get_folder()
            .repository_name(repository)
            .commit_specifier(specifier)
            .folder_path("/")
            .send()
            .await;
        match answer {
            Ok(answer) => Ok(Some(answer.commit_id)),
            Err(error) => match code(&error) {
                Some("CommitDoesNotExistException" | "InvalidCommitException") => Ok(None),
                _ => Err(fault("codecommit GetFolder", &error)),
            },
        }
    }
}
