//! The REST API of Gitea and Forgejo (`/api/v1`), as far as it is not GitHub's.
//!
//! Lists have at most 50 items a page (setting `MAX_RESPONSE_ITEMS`); there are no entity tags.

use std::collections::BTreeSet;

use pushway_core::commits::{CommitLine, CommitList};
use pushway_core::forge::{Branches, Changes};
use pushway_core::ids::{CommitSha, RefKind, RefName, RepositoryPath};
use pushway_core::ports::{Answer, Fault, HeadView};
use serde::Deserialize;

use crate::api::{Api, commit_id};
use crate::github::listed;
use crate::text;

/// Items on a page of a list.
const PAGE: usize = 50;

#[derive(Deserialize)]
struct Branch {
    name: String,
    commit: Tip,
}

/// A branch's commit.
#[derive(Deserialize)]
struct Tip {
    id: String,
    #[serde(default)]
    message: String,
    author: Option<Author>,
}

#[derive(Deserialize)]
struct Author {
    #[serde(default)]
    name: String,
}

#[derive(Deserialize)]
struct Tag {
    commit: TagCommit,
}

#[derive(Deserialize)]
struct TagCommit {
    sha: String,
}

#[derive(Deserialize)]
struct Commit {
    sha: String,
    #[serde(rename = "commit")]
    details: Option<Details>,
    files: Option<Vec<Affected>>,
}

#[derive(Deserialize)]
struct Details {
    #[serde(default)]
    message: String,
    author: Option<Author>,
}

#[derive(Deserialize)]
struct Affected {
    filename: String,
}

#[derive(Deserialize)]
struct Comparison {
    total_commits: usize,
    commits: Option<Vec<Commit>>,
}

/// "Get a file from a repository" (`repoGetRawFile`).
pub(crate) async fn file(api: &Api, commit: &CommitSha, path: &RepositoryPath) -> Answer<Option<String>> {
    let segments: Vec<&str> = std::iter::once("raw").chain(path.as_str().split('/')).collect();
    let ask = api.get(&segments, &format!("read {path}")).query("ref", commit.as_str());
    text::of(path, api.send(&ask.accept("*/*").most(text::MAX_FILE_BYTES)).await?)
}

/// `repoGetBranch`; for a tag `repoGetTag` and then `repoGetSingleCommit`.
pub(crate) async fn head(api: &Api, git_ref: &RefName) -> Answer<Option<HeadView>> {
    let what = format!("ask for {git_ref}");
    match git_ref.kind() {
        RefKind::Branch(name) => {
            let Some(branch) = api.read::<Branch>(api.get(&["branches", name], &what)).await? else {
                return Ok(None);
            };
            let Tip { id, message, author } = branch.commit;
            let author = author.map(|author| author.name).unwrap_or_default();
            Ok(Some(HeadView { commit: commit_id(&id)?, message, author }))
        }
        RefKind::Tag(name) => {
            let Some(tag) = api.read::<Tag>(api.get(&["tags", name], &what)).await? else { return Ok(None) };
            let ask = api.get(&["git", "commits", &tag.commit.sha], &what).query("files", "false");
            let Some(commit) = api.read::<Commit>(ask).await? else { return Ok(None) };
            let (message, author) = commit.details.map_or((String::new(), None), |c| (c.message, c.author));
            let author = author.map(|author| author.name).unwrap_or_default();
            Ok(Some(HeadView { commit: commit_id(&commit.sha)?, message, author }))
        }
        RefKind::Other => Err(Fault::Permanent(format!("{what}: only branches and tags can be asked for"))),
    }
}

/// `repoListBranches`.
pub(crate) async fn branches(api: &Api, _etag: Option<&str>) -> Answer<Branches> {
    let ask = api.get(&["branches"], "list the branches").query("limit", &PAGE.to_string());
    listed(api, api.list(ask.query("page", "1")).await?, PAGE, |branch: Branch| {
        (branch.name, branch.commit.id)
    })
}

/// `repoCompareDiff`: the commits that `head` has and `base` has not, with each one's files. What `base` has
/// beyond that is asked for too; for an ancestor that is nothing. Files that were changed and changed back
/// are among them: too many is safe, too few is not.
pub(crate) async fn changes(api: &Api, base: &CommitSha, head: &CommitSha) -> Answer<Changes> {
    let mut files = BTreeSet::new();
    for (from, to) in [(base, head), (head, base)] {
        let ask = api.get(&["compare", &format!("{from}...{to}")], "compare two commits");
        let ask = ask.query("files", "true").query("verification", "false");
        // Some versions find branches only.
        let Some(reply) = api.send(&ask).await?.found()? else {
            return Ok(Changes::Unknown(format!("Gitea knows no way from {from} to {to}")));
        };
        if reply.is_cut {
            return Ok(Changes::Unknown("Gitea's comparison is too long".into()));
        }
        let comparison: Comparison = reply.json()?;
        let commits = comparison.commits.unwrap_or_default();
        if commits.len() < comparison.total_commits {
            return Ok(Changes::Unknown("Gitea's comparison has more commits than it shows".into()));
        }
        for commit in commits {
            let Some(affected) = commit.files else {
                return Ok(Changes::Unknown(format!("Gitea shows no files of commit {}", commit.sha)));
            };
            files.extend(affected.into_iter().map(|file| file.filename));
        }
    }
    Ok(Changes::Files(files.into_iter().collect()))
}

/// `repoCompareDiff`: the commits that `to` has and `from` has not, newest first.
pub(crate) async fn commits(api: &Api, from: &CommitSha, to: &CommitSha) -> Answer<Option<CommitList>> {
    let ask = api.get(&["compare", &format!("{from}...{to}")], "compare two commits");
    let ask = ask.query("files", "false").query("verification", "false");
    let Some(comparison) = api.read::<Comparison>(ask).await? else { return Ok(None) };
    let lines = comparison.commits.unwrap_or_default().into_iter().map(|known| {
        let (message, author) = known.details.map_or((String::new(), None), |c| (c.message, c.author));
        let author = author.map(|author| author.name).unwrap_or_default();
        Ok(CommitLine::new(commit_id(&known.sha)?, &message, &author))
    });
    let mut list = CommitList::of(lines.collect::<Answer<Vec<_>>>()?);
    list.has_more |= comparison.total_commits > list.lines.len();
    Ok(Some(list))
}
