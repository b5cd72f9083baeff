//! GitLab's REST API, version 4, of gitlab.com and of self-managed ones.
//!
//! Merge requests are pull requests here. Webhooks are in `hooks`.

use std::collections::BTreeSet;

use pushway_core::commits::{CommitLine, CommitList, MAX_COMMITS};
use pushway_core::forge::{Branches, Changes, CheckState, CommitStatus, PullRequestView, RepositoryView};
use pushway_core::ids::{CommitSha, RefKind, RefName, RepositoryPath};
use pushway_core::ports::{Answer, Fault, HeadView};
use pushway_core::source::PullRequest;
use reqwest::{Method, StatusCode};
use serde::Deserialize;
use serde_json::json;

use crate::api::{Api, commit_id};
use crate::github::listed;
use crate::http::Listing;
use crate::text;

/// Items on a page of a list: the most that GitLab gives.
const PAGE: usize = 100;
/// A comparison names at most this many files ("Diff limits administration", where it can be raised).
const MAX_COMPARED_FILES: usize = 1000;

#[derive(Deserialize)]
struct Commit {
    id: String,
    #[serde(default)]
    message: String,
    #[serde(default)]
    author_name: String,
}

/// A branch or a tag.
#[derive(Deserialize)]
struct Ref {
    name: String,
    commit: Commit,
}

#[derive(Deserialize)]
struct Entry {
    path: String,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
struct Comparison {
    #[serde(default)]
    diffs: Vec<Diff>,
    #[serde(default)]
    compare_timeout: bool,
}

#[derive(Deserialize)]
struct Diff {
    old_path: String,
    new_path: String,
}

#[derive(Deserialize)]
struct MergeRequest {
    iid: u64,
    state: String,
    #[serde(default)]
    title: String,
    author: Option<User>,
    target_branch: String,
    /// Absent where a fork was deleted.
    source_project_id: Option<u64>,
    target_project_id: u64,
    sha: Option<String>,
    diff_refs: Option<DiffRefs>,
}

#[derive(Deserialize)]
struct User {
    username: String,
}

/// Where a merge request's difference begins and ends.
#[derive(Deserialize)]
struct DiffRefs {
    /// Where the target branch pointed.
    start_sha: Option<String>,
}

#[derive(Deserialize)]
struct Project {
    id: u64,
    path_with_namespace: String,
    default_branch: Option<String>,
    http_url_to_repo: String,
}

/// "Get raw file from repository".
pub(crate) async fn file(api: &Api, commit: &CommitSha, path: &RepositoryPath) -> Answer<Option<String>> {
    let ask = api.get(&["repository", "files", path.as_str(), "raw"], &format!("read {path}"));
    let reply = api.send(&ask.query("ref", commit.as_str()).most(text::MAX_FILE_BYTES)).await?;
    text::of(path, reply)
}

/// "List repository tree".
pub(crate) async fn folder(
    api: &Api,
    commit: &CommitSha,
    path: &RepositoryPath,
) -> Answer<Vec<RepositoryPath>> {
    let ask = api.get(&["repository", "tree"], &format!("list {path}"));
    let ask = ask.query("path", path.as_str()).query("ref", commit.as_str());
    match api.list::<Entry>(ask.query("per_page", &PAGE.to_string())).await? {
        Listing::Items { is_whole: false, .. } => Err(text::too_many(path)),
        Listing::Items { items, .. } => {
            let files = items.into_iter().filter(|entry| entry.kind == "blob");
            Ok(text::paths(files.map(|entry| entry.path)))
        }
        Listing::Absent | Listing::Unchanged => Ok(Vec::new()),
    }
}

/// "Get single repository branch", "Get a single repository tag", or "Get a single commit".
pub(crate) async fn head(api: &Api, git_ref: &RefName) -> Answer<Option<HeadView>> {
    let what = format!("ask for {git_ref}");
    let commit = match git_ref.kind() {
        RefKind::Branch(name) => api
            .read::<Ref>(api.get(&["repository", "branches", name], &what))
            .await?
            .map(|found| found.commit),
        RefKind::Tag(name) => {
            api.read::<Ref>(api.get(&["repository", "tags", name], &what)).await?.map(|found| found.commit)
        }
        RefKind::Other => {
            api.read::<Commit>(api.get(&["repository", "commits", git_ref.as_str()], &what)).await?
        }
    };
    let Some(commit) = commit else { return Ok(None) };
    Ok(Some(HeadView { commit: commit_id(&commit.id)?, message: commit.message, author: commit.author_name }))
}

/// "List repository branches".
pub(crate) async fn branches(api: &Api, etag: Option<&str>) -> Answer<Branches> {
    let ask = api.get(&["repository", "branches"], "list the branches");
    let ask = ask.query("per_page", &PAGE.to_string()).unless(etag);
    listed(api, api.list(ask).await?, PAGE, |branch: Ref| (branch.name, branch.commit.id))
}

/// "Compare branches, tags or commits", straight: from the one to the other and not from where they parted.
pub(crate) async fn changes(api: &Api, base: &CommitSha, head: &CommitSha) -> Answer<Changes> {
    let ask = api.get(&["repository", "compare"], "compare two commits");
    let ask = ask.query("from", base.as_str()).query("to", head.as_str()).query("straight", "true");
    let Some(reply) = api.send(&ask).await?.found()? else {
        return Ok(Changes::Unknown(format!("GitLab knows no way from {base} to {head}")));
    };
    if reply.is_cut {
        return Ok(Changes::Unknown("GitLab's comparison is too long".into()));
    }
    let comparison: Comparison = reply.json()?;
    if comparison.compare_timeout {
        return Ok(Changes::Unknown("GitLab gave up the comparison".into()));
    }
    if comparison.diffs.len() >= MAX_COMPARED_FILES {
        return Ok(Changes::Unknown(format!("GitLab names {MAX_COMPARED_FILES} files at most")));
    }
    let files: BTreeSet<String> =
        comparison.diffs.into_iter().flat_map(|diff| [diff.old_path, diff.new_path]).collect();
    // Old versions answer a file that is too large without its name.
    if files.contains("") {
        return Ok(Changes::Unknown("GitLab left a file's name out".into()));
    }
    Ok(Changes::Files(files.into_iter().collect()))
}

/// "List repository commits" of a range: those that `to` has and `from` has not, newest first.
pub(crate) async fn commits(api: &Api, from: &CommitSha, to: &CommitSha) -> Answer<Option<CommitList>> {
    let ask = api.get(&["repository", "commits"], "list the commits between two");
    let ask = ask.query("ref_name", &format!("{from}..{to}"));
    let ask = ask.query("per_page", &(MAX_COMMITS + 1).to_string());
    let Some(commits) = api.read::<Vec<Commit>>(ask).await? else { return Ok(None) };
    let lines = commits
        .into_iter()
        .map(|known| Ok(CommitLine::new(commit_id(&known.id)?, &known.message, &known.author_name)));
    Ok(Some(CommitList::of(lines.collect::<Answer<Vec<_>>>()?)))
}

/// "Get single MR".
pub(crate) async fn pull_request(api: &Api, number: u64) -> Answer<Option<PullRequestView>> {
    let what = format!("read merge request {number}");
    let ask = api.get(&["merge_requests", &number.to_string()], &what);
    let Some(found) = api.read::<MergeRequest>(ask).await? else { return Ok(None) };
    let base = found.diff_refs.and_then(|refs| refs.start_sha);
    let (Some(head), Some(base)) = (found.sha, base) else {
        // Both are filled in a moment after it was opened.
        return Err(Fault::Retryable(format!("{what} of {}: GitLab is preparing it", api.repository)));
    };
    Ok(Some(PullRequestView {
        head: commit_id(&head)?,
        is_open: found.state == "opened",
        title: found.title,
        author: found.author.map(|user| user.username).unwrap_or_default(),
        request: PullRequest {
            number: found.iid,
            base: found.target_branch,
            base_commit: commit_id(&base)?,
            is_fork: found.source_project_id != Some(found.target_project_id),
            approved_by: None,
        },
    }))
}

/// "Set commit pipeline status".
pub(crate) async fn post_status(api: &Api, commit: &CommitSha, status: &CommitStatus) -> Answer<()> {
    let state = match status.state {
        CheckState::Pending => "pending",
        CheckState::Success => "success",
        CheckState::Failure => "failed",
        CheckState::Error => "canceled",
    };
    let body = json!({
        "state": state, "name": status.context, "target_url": status.url,
        "description": text::description(&status.description),
    });
    let what = format!("show a status at commit {}", commit.short());
    let ask = api.ask(Method::POST, &["statuses", commit.as_str()], &what).json(body);
    let reply = api.send(&ask).await?;
    // A status that is posted a second time moves from a state to itself, which GitLab refuses.
    if reply.status == StatusCode::BAD_REQUEST && reply.message().contains("Cannot transition status") {
        return Ok(());
    }
    reply.done().map(drop)
}

/// "Get a single project".
pub(crate) async fn repository(api: &Api) -> Answer<Option<RepositoryView>> {
    let Some(found) = api.read::<Project>(api.get(&[], "read the name")).await? else { return Ok(None) };
    Ok(Some(RepositoryView {
        id: text::repository_id(&found.id.to_string())?,
        name: found.path_with_namespace,
        default_branch: found.default_branch,
        clone_url: found.http_url_to_repo,
    }))
}
