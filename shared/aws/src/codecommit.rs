//! `CodeCommit`: files at a commit, and where refs point now.

use pushway_core::ids::{CommitSha, InvalidId, RefKind, RefName, RepositoryPath};
use pushway_core::ports::{Answer, Fault, HeadView};
use pushway_core::source::{Hook, Source};

use crate::Aws;
use crate::errors::{code, fault, incomplete};
use crate::files::{readable, too_large};

impl Aws {
    /// A file of a `CodeCommit` repository at the source's commit.
    pub(crate) async fn codecommit_file(
        &self,
        hook: &Hook,
        source: &Source,
        path: &RepositoryPath,
    ) -> Answer<Option<String>> {
        let call = "codecommit GetFile";
        let answer = self
            .codecommit
            .get_file()
            .repository_name(&hook.repository)
            .commit_specifier(source.commit.as_str())
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

/// A commit id that a forge gave.
pub(crate) fn commit_id(text: &str) -> Answer<CommitSha> {
    text.parse()
        .map_err(|error: InvalidId| Fault::Permanent(format!("the forge answered an odd id: {error}")))
}
