//! `CodeCommit`: differences, pull requests, and comments in the place of commit statuses.
//!
//! A comment can't be replaced, so only what is final becomes one, and a repeated call makes no second.

use std::collections::BTreeSet;

use aws_sdk_codecommit::types::PullRequestStatusEnum;
use pushway_core::commits::{CommitLine, CommitList, CommitRange, Commits};
use pushway_core::forge::{Changes, CheckState, CommitStatus, PullRequestView};
use pushway_core::ids::{CommitSha, RefName};
use pushway_core::messages::not_among;
use pushway_core::ports::Answer;
use pushway_core::source::{Hook, PullRequest};
use pushway_forges::commit_id;
use sha2::{Digest as _, Sha256};

use crate::Aws;
use crate::errors::{code, fault, incomplete};

/// More files than this are not counted out: each page is a call.
const MAX_FILES: usize = 1000;
/// Commits that are looked through for another: each is a call.
const MAX_PARENTS: usize = 60;

impl Aws {
    /// What differs between two commits of a `CodeCommit` repository.
    pub(crate) async fn codecommit_changes(
        &self,
        hook: &Hook,
        base: &CommitSha,
        commit: &CommitSha,
    ) -> Answer<Changes> {
        let (mut files, mut next) = (BTreeSet::new(), None);
        loop {
            let answer = self
                .codecommit
                .get_differences()
                .repository_name(&hook.repository)
                .before_commit_specifier(base.as_str())
                .after_commit_specifier(commit.as_str())
                .set_next_token(next)
                .send()
                .await;
            let answer = match answer {
                Ok(answer) => answer,
                Err(error) if code(&error) == Some("CommitDoesNotExistException") => {
                    return Ok(Changes::Unknown(format!("CodeCommit knows no way from {base} to {commit}")));
                }
                Err(error) => return Err(fault("codecommit GetDifferences", &error)),
            };
            for difference in answer.differences.unwrap_or_default() {
                let blobs = [difference.before_blob, difference.after_blob];
                files.extend(blobs.into_iter().flatten().filter_map(|blob| blob.path));
            }
            next = answer.next_token;
            if files.len() > MAX_FILES {
                return Ok(Changes::Unknown(format!("more than {MAX_FILES} files differ")));
            }
            if next.is_none() {
                return Ok(Changes::Files(files.into_iter().collect()));
            }
        }
    }

    /// What lies between two commits of a `CodeCommit` repository. It compares no histories, so first parents
    /// are followed from either one until the other comes.
    pub(crate) async fn codecommit_commits(
        &self,
        hook: &Hook,
        base: &CommitSha,
        commit: &CommitSha,
    ) -> Answer<Commits> {
        let nothing = CommitList::default;
        let range = if let Some(coming) = self.first_parents(hook, commit, base).await? {
            CommitRange::between(coming, nothing())
        } else {
            let leaving = self.first_parents(hook, base, commit).await?;
            leaving.and_then(|leaving| CommitRange::between(nothing(), leaving))
        };
        let unknown = || Commits::Unknown(not_among(base, commit, MAX_PARENTS));
        Ok(range.map_or_else(unknown, Commits::Known))
    }

    /// A commit and its first parents, newest first, as far as `until`, which is left out; `None` where that is
    /// not among them.
    async fn first_parents(
        &self,
        hook: &Hook,
        from: &CommitSha,
        until: &CommitSha,
    ) -> Answer<Option<CommitList>> {
        let call = "codecommit GetCommit";
        let (mut lines, mut next) = (Vec::new(), Some(from.clone()));
        while let Some(id) = next.filter(|_| lines.len() < MAX_PARENTS) {
            if id == *until {
                return Ok(Some(CommitList::of(lines)));
            }
            let ask = self.codecommit.get_commit().repository_name(&hook.repository).commit_id(id.as_str());
            let answer = match ask.send().await {
                Ok(answer) => answer,
                Err(error) if code(&error) == Some("CommitIdDoesNotExistException") => return Ok(None),
                Err(error) => return Err(fault(call, &error)),
            };
            let found = answer.commit.ok_or_else(|| incomplete(call, "commit"))?;
            let author = found.author.and_then(|author| author.name).unwrap_or_default();
            lines.push(CommitLine::new(id, &found.message.unwrap_or_default(), &author));
            next = match found.parents.unwrap_or_default().first() {
                Some(parent) => Some(commit_id(parent)?),
                None => None,
            };
        }
        Ok(None)
    }

    /// A pull request of a `CodeCommit` repository. There are no forks.
    pub(crate) async fn codecommit_pull_request(
        &self,
        hook: &Hook,
        number: u64,
    ) -> Answer<Option<PullRequestView>> {
        let call = "codecommit GetPullRequest";
        let answer = self.codecommit.get_pull_request().pull_request_id(number.to_string()).send().await;
        let pull = match answer {
            Ok(answer) => answer.pull_request.ok_or_else(|| incomplete(call, "pullRequest"))?,
            Err(error) if code(&error) == Some("PullRequestDoesNotExistException") => return Ok(None),
            Err(error) => return Err(fault(call, &error)),
        };
        let targets = pull.pull_request_targets.unwrap_or_default();
        // Numbers are counted over all repositories of the account, so this one may be another's.
        let target =
            targets.into_iter().find(|target| target.repository_name() == Some(hook.repository.as_str()));
        let Some(target) = target else { return Ok(None) };
        let missing = || incomplete(call, "pullRequestTargets");
        let base = target.destination_reference.ok_or_else(missing)?;
        let author = pull.author_arn.unwrap_or_default();
        Ok(Some(PullRequestView {
            head: commit_id(&target.source_commit.ok_or_else(missing)?)?,
            is_open: pull.pull_request_status == Some(PullRequestStatusEnum::Open),
            title: pull.title.unwrap_or_default(),
            author: author.rsplit('/').next().unwrap_or_default().to_owned(),
            request: PullRequest {
                number,
                base: base.parse().map(|base: RefName| base.short().to_owned()).unwrap_or(base),
                base_commit: commit_id(&target.destination_commit.ok_or_else(missing)?)?,
                is_fork: false,
                approved_by: None,
            },
        }))
    }

    /// Tells of a final state in a comment on the commit.
    pub(crate) async fn codecommit_comment(
        &self,
        hook: &Hook,
        commit: &CommitSha,
        status: &CommitStatus,
    ) -> Answer<()> {
        let word = match status.state {
            CheckState::Pending => return Ok(()),
            CheckState::Success => "succeeded",
            CheckState::Failure => "failed",
            CheckState::Error => "did not finish",
        };
        let url = status.url.as_deref().unwrap_or_default();
        let text = format!("**{}** {word}: {}\n\n{url}", status.context, status.description);
        let call = "codecommit GetCommit";
        let read = self.codecommit.get_commit().repository_name(&hook.repository).commit_id(commit.as_str());
        let read = read.send().await.map_err(|error| fault(call, &error))?;
        let parents = read.commit.ok_or_else(|| incomplete(call, "commit"))?.parents.unwrap_or_default();
        let posted = self
            .codecommit
            .post_comment_for_compared_commit()
            .repository_name(&hook.repository)
            .set_before_commit_id(parents.into_iter().next())
            .after_commit_id(commit.as_str())
            .content(text.trim_end())
            .client_request_token(token(hook, commit, status, word))
            .send()
            .await;
        match posted {
            Ok(_) => Ok(()),
            // It is there, in other words.
            Err(error) if code(&error) == Some("IdempotencyParameterMismatchException") => Ok(()),
            Err(error) => Err(fault("codecommit PostCommentForComparedCommit", &error)),
        }
    }
}

/// The same for the same news of the same run, whose page is part of it.
fn token(hook: &Hook, commit: &CommitSha, status: &CommitStatus, word: &str) -> String {
    let url = status.url.as_deref().unwrap_or_default();
    let parts = [hook.id.as_str(), commit.as_str(), &status.context, word, url];
    hex::encode(&Sha256::digest(parts.join("\n"))[..32])
}
