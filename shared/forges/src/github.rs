//! GitHub's REST API (version 2022-11-28), of github.com and of Enterprise Servers.
//!
//! Gitea and Forgejo took over many of its shapes; what both share is `pub(crate)` and used by `gitea`.
//! Webhooks are in `hooks`, their deliveries in `deliveries`.

use std::collections::{BTreeMap, BTreeSet};

use pushway_core::commits::{CommitLine, CommitList, MAX_COMMITS};
use pushway_core::forge::{Branches, Changes, CheckState, CommitStatus, PullRequestView, RepositoryView};
use pushway_core::ids::{CommitSha, RefKind, RefName, RepositoryPath};
use pushway_core::ports::{Answer, HeadView};
use pushway_core::source::PullRequest;
use reqwest::{Method, StatusCode};
use serde::Deserialize;
use serde_json::json;

use crate::api::{Api, commit_id};
use crate::http::Listing;
use crate::text;

/// Items on a page of a list: the most that GitHub gives.
const PAGE: usize = 100;
/// A comparison names at most this many files ("Compare two commits").
const MAX_COMPARED_FILES: usize = 300;
/// What is read of a comparison with its files: 300 of them with their patches are well below.
const MAX_COMPARISON_BYTES: usize = 8 * 1024 * 1024;
/// A folder's listing names at most this many files ("Get repository content").
const MAX_LISTED_FILES: usize = 1000;

#[derive(Deserialize)]
struct Commit {
    sha: String,
    commit: Details,
}

#[derive(Deserialize)]
struct Details {
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
struct Branch {
    name: String,
    commit: Tip,
}

#[derive(Deserialize)]
struct Tip {
    sha: String,
}

#[derive(Deserialize)]
struct Comparison {
    status: String,
    files: Option<Vec<ComparedFile>>,
}

/// The commits of a comparison, oldest first.
#[derive(Deserialize)]
struct Compared {
    total_commits: usize,
    #[serde(default)]
    commits: Vec<Commit>,
}

#[derive(Deserialize)]
struct ComparedFile {
    filename: String,
    previous_filename: Option<String>,
}

#[derive(Deserialize)]
struct Entry {
    path: String,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
struct Pull {
    number: u64,
    state: String,
    #[serde(default)]
    title: String,
    user: Option<User>,
    head: Side,
    base: Side,
}

#[derive(Deserialize)]
struct User {
    login: String,
}

#[derive(Deserialize)]
struct Side {
    #[serde(rename = "ref")]
    name: String,
    sha: String,
    /// Absent where a fork was deleted.
    repo: Option<Identity>,
}

#[derive(Deserialize)]
struct Identity {
    id: u64,
}

#[derive(Deserialize)]
struct Repository {
    id: u64,
    full_name: String,
    default_branch: Option<String>,
    clone_url: String,
}

/// "Get repository content", as the raw media type.
pub(crate) async fn file(api: &Api, commit: &CommitSha, path: &RepositoryPath) -> Answer<Option<String>> {
    let segments: Vec<&str> = std::iter::once("contents").chain(path.as_str().split('/')).collect();
    let ask = api.get(&segments, &format!("read {path}")).query("ref", commit.as_str());
    let reply = api.send(&ask.accept("application/vnd.github.raw+json").most(text::MAX_FILE_BYTES)).await?;
    text::of(path, reply)
}

/// "Get repository content" of a folder; Gitea's "Gets the metadata and contents" is the same.
pub(crate) async fn folder(
    api: &Api,
    commit: &CommitSha,
    path: &RepositoryPath,
) -> Answer<Vec<RepositoryPath>> {
    let segments: Vec<&str> = std::iter::once("contents").chain(path.as_str().split('/')).collect();
    let ask = api.get(&segments, &format!("list {path}")).query("ref", commit.as_str());
    // A file of that name is answered with an object: there is no such folder then.
    let found: Option<serde_json::Value> = api.read(ask).await?;
    let Some(serde_json::Value::Array(entries)) = found else { return Ok(Vec::new()) };
    if entries.len() >= MAX_LISTED_FILES {
        return Err(text::too_many(path));
    }
    let entries = entries.into_iter().filter_map(|entry| serde_json::from_value::<Entry>(entry).ok());
    Ok(text::paths(entries.filter(|entry| entry.kind == "file").map(|entry| entry.path)))
}

/// "Get a commit", by the ref that leads to it.
pub(crate) async fn head(api: &Api, git_ref: &RefName) -> Answer<Option<HeadView>> {
    let name = git_ref.as_str();
    let named = match git_ref.kind() {
        RefKind::Branch(_) | RefKind::Tag(_) => name.strip_prefix("refs/").unwrap_or(name),
        RefKind::Other => name,
    };
    // A commit's answer lists its files with their patches; one of them is one too many.
    let ask = api.get(&["commits", named], &format!("ask for {git_ref}")).query("per_page", "1");
    let reply = api.send(&ask).await?;
    // "No commit found for SHA", and an empty repository.
    if matches!(reply.status, StatusCode::UNPROCESSABLE_ENTITY | StatusCode::CONFLICT) {
        return Ok(None);
    }
    let Some(reply) = reply.found()? else { return Ok(None) };
    let commit: Commit = reply.json()?;
    let author = commit.commit.author.map(|author| author.name).unwrap_or_default();
    Ok(Some(HeadView { commit: commit_id(&commit.sha)?, message: commit.commit.message, author }))
}

/// "List branches".
pub(crate) async fn branches(api: &Api, etag: Option<&str>) -> Answer<Branches> {
    let ask = api.get(&["branches"], "list the branches").query("per_page", &PAGE.to_string());
    listed(api, api.list(ask.unless(etag)).await?, PAGE, |branch: Branch| (branch.name, branch.commit.sha))
}

/// A list of branches as a view. An entity tag counts only for a page that was the only one and not full:
/// any other page may stay the same while branches beyond it move.
pub(crate) fn listed<T>(
    api: &Api,
    listing: Listing<T>,
    page: usize,
    tip: impl Fn(T) -> (String, String),
) -> Answer<Branches> {
    let (items, is_whole, etag) = match listing {
        Listing::Unchanged => return Ok(Branches::Unchanged),
        Listing::Absent => return Err(api.unseen()),
        Listing::Items { items, is_whole, etag } => (items, is_whole, etag),
    };
    let etag = etag.filter(|_| items.len() < page);
    let mut heads = BTreeMap::new();
    for (name, sha) in items.into_iter().map(tip) {
        // A name longer than any run could have is no head that a run could be missing for.
        if let Ok(name) = format!("refs/heads/{name}").parse::<RefName>() {
            heads.insert(name, commit_id(&sha)?);
        }
    }
    Ok(Branches::Listed { heads, is_truncated: !is_whole, etag })
}

/// "Compare two commits". The comparison starts where the two histories parted, so where `base` is no
/// ancestor of `head` what `base` has beyond that is asked for too.
pub(crate) async fn changes(api: &Api, base: &CommitSha, head: &CommitSha) -> Answer<Changes> {
    let mut files = BTreeSet::new();
    for (from, to) in [(base, head), (head, base)] {
        // One commit a page: only the files are needed, and the first page has them all.
        let ask = api.get(&["compare", &format!("{from}...{to}")], "compare two commits");
        let reply = api.send(&ask.query("per_page", "1").query("page", "1")).await?;
        let Some(reply) = reply.found()? else {
            return Ok(Changes::Unknown(format!("GitHub knows no way from {from} to {to}")));
        };
        if reply.is_cut {
            return Ok(Changes::Unknown("GitHub's comparison is too long".into()));
        }
        let comparison: Comparison = reply.json()?;
        let compared = comparison.files.unwrap_or_default();
        if compared.len() >= MAX_COMPARED_FILES {
            return Ok(Changes::Unknown(format!("GitHub names {MAX_COMPARED_FILES} files at most")));
        }
        for file in compared {
            files.extend(file.previous_filename);
            files.insert(file.filename);
        }
        if matches!(comparison.status.as_str(), "ahead" | "identical") {
            break;
        }
    }
    Ok(Changes::Files(files.into_iter().collect()))
}

/// "Compare two commits": the commits that `to` has and `from` has not; `None` where it knows no way. They come
/// oldest first, so of many the last page is asked for, in a size that makes it full enough.
pub(crate) async fn commits(api: &Api, from: &CommitSha, to: &CommitSha) -> Answer<Option<CommitList>> {
    let page = async |size: usize, number: usize| {
        let ask = api.get(&["compare", &format!("{from}...{to}")], "compare two commits");
        let ask = ask.query("per_page", &size.to_string()).query("page", &number.to_string());
        // The first page names the files, too, with what changed in them.
        api.read::<Compared>(ask.most(MAX_COMPARISON_BYTES)).await
    };
    let Some(mut compared) = page(PAGE, 1).await? else { return Ok(None) };
    if compared.total_commits > PAGE {
        let total = compared.total_commits;
        let is_full = |size: &usize| total % size == 0 || total % size > MAX_COMMITS;
        let size = (1..=PAGE).rev().find(is_full).unwrap_or(PAGE);
        let Some(last) = page(size, total.div_ceil(size)).await? else { return Ok(None) };
        compared = last;
    }
    let lines = compared.commits.into_iter().rev().map(|known| {
        let author = known.commit.author.map(|author| author.name).unwrap_or_default();
        Ok(CommitLine::new(commit_id(&known.sha)?, &known.commit.message, &author))
    });
    Ok(Some(CommitList::of(lines.collect::<Answer<Vec<_>>>()?)))
}

/// "Get a pull request"; Gitea's is the same.
pub(crate) async fn pull_request(api: &Api, number: u64) -> Answer<Option<PullRequestView>> {
    let ask = api.get(&["pulls", &number.to_string()], &format!("read pull request {number}"));
    let Some(pull) = api.read::<Pull>(ask).await? else { return Ok(None) };
    let home = |side: &Side| side.repo.as_ref().map(|repository| repository.id);
    Ok(Some(PullRequestView {
        head: commit_id(&pull.head.sha)?,
        is_open: pull.state == "open",
        title: pull.title,
        author: pull.user.map(|user| user.login).unwrap_or_default(),
        request: PullRequest {
            number: pull.number,
            base_commit: commit_id(&pull.base.sha)?,
            // A head whose repository is gone is nobody's we know.
            is_fork: pull.head.repo.is_none() || home(&pull.head) != home(&pull.base),
            base: pull.base.name,
            approved_by: None,
        },
    }))
}

/// "Create a commit status"; Gitea's is the same.
pub(crate) async fn post_status(api: &Api, commit: &CommitSha, status: &CommitStatus) -> Answer<()> {
    let state = match status.state {
        CheckState::Pending => "pending",
        CheckState::Success => "success",
        CheckState::Failure => "failure",
        CheckState::Error => "error",
    };
    let body = json!({
        "state": state, "context": status.context, "target_url": status.url,
        "description": text::description(&status.description),
    });
    let what = format!("show a status at commit {}", commit.short());
    api.send(&api.ask(Method::POST, &["statuses", commit.as_str()], &what).json(body)).await?.done()?;
    Ok(())
}

/// "Get a repository"; Gitea's is the same.
pub(crate) async fn repository(api: &Api) -> Answer<Option<RepositoryView>> {
    let Some(found) = api.read::<Repository>(api.get(&[], "read the name")).await? else { return Ok(None) };
    Ok(Some(RepositoryView {
        id: text::repository_id(&found.id.to_string())?,
        name: found.full_name,
        default_branch: found.default_branch.filter(|name| !name.is_empty()),
        clone_url: found.clone_url,
    }))
}
