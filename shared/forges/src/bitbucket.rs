//! Bitbucket Cloud's REST API 2.0.
//!
//! Pull requests name commits by their first 12 digits; those are asked for in full. Webhooks are in
//! `hooks`.

use std::collections::BTreeSet;

use pushway_core::commits::{CommitLine, CommitList, MAX_COMMITS};
use pushway_core::forge::{Branches, Changes, CheckState, CommitStatus, PullRequestView, RepositoryView};
use pushway_core::ids::{CommitSha, RefKind, RefName, RepositoryPath};
use pushway_core::ports::{Answer, Fault, HeadView};
use pushway_core::source::PullRequest;
use reqwest::{Method, Url};
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::api::{Api, commit_id};
use crate::github::listed;
use crate::http::Listing;
use crate::text;

/// Items on a page of a list: the most that Bitbucket gives.
const PAGE: usize = 100;
/// The longest key of a build status ("Create a build status for a commit"), in characters.
const MAX_KEY: usize = 40;

#[derive(Deserialize)]
struct Ref {
    name: String,
    target: Commit,
}

#[derive(Deserialize)]
struct Commit {
    hash: String,
    #[serde(default)]
    message: String,
    author: Option<Author>,
}

#[derive(Deserialize)]
struct Author {
    /// As git has it: `name <address>`.
    #[serde(default)]
    raw: String,
}

#[derive(Deserialize)]
struct Entry {
    path: String,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
struct Change {
    old: Option<Path>,
    new: Option<Path>,
}

#[derive(Deserialize)]
struct Path {
    path: String,
}

#[derive(Deserialize)]
struct Pull {
    id: u64,
    state: String,
    #[serde(default)]
    title: String,
    author: Option<User>,
    source: Side,
    destination: Side,
}

#[derive(Deserialize)]
struct User {
    #[serde(default)]
    display_name: String,
}

#[derive(Deserialize)]
struct Side {
    branch: Named,
    /// Absent where the branch is gone.
    commit: Option<Hash>,
    /// Absent where a fork was deleted.
    repository: Option<Identity>,
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

#[derive(Deserialize)]
struct Hash {
    hash: String,
}

#[derive(Deserialize)]
struct Identity {
    uuid: String,
}

#[derive(Deserialize)]
struct Repository {
    uuid: String,
    full_name: String,
    mainbranch: Option<Named>,
    links: Links,
}

#[derive(Deserialize)]
struct Links {
    #[serde(default)]
    clone: Vec<CloneLink>,
}

#[derive(Deserialize)]
struct CloneLink {
    name: String,
    href: String,
}

/// "Get file or directory contents".
pub(crate) async fn file(api: &Api, commit: &CommitSha, path: &RepositoryPath) -> Answer<Option<String>> {
    let segments: Vec<&str> = ["src", commit.as_str()].into_iter().chain(path.as_str().split('/')).collect();
    let ask = api.get(&segments, &format!("read {path}")).accept("*/*").most(text::MAX_FILE_BYTES);
    text::of(path, api.send(&ask).await?)
}

/// "Get file or directory contents"; the slash at the end asks for a directory.
pub(crate) async fn folder(
    api: &Api,
    commit: &CommitSha,
    path: &RepositoryPath,
) -> Answer<Vec<RepositoryPath>> {
    let parts = path.as_str().split('/').chain([""]);
    let segments: Vec<&str> = ["src", commit.as_str()].into_iter().chain(parts).collect();
    let ask = api.get(&segments, &format!("list {path}")).query("pagelen", &PAGE.to_string());
    match api.list::<Entry>(ask).await? {
        Listing::Items { is_whole: false, .. } => Err(text::too_many(path)),
        Listing::Items { items, .. } => {
            let files = items.into_iter().filter(|entry| entry.kind == "commit_file");
            Ok(text::paths(files.map(|entry| entry.path)))
        }
        Listing::Absent | Listing::Unchanged => Ok(Vec::new()),
    }
}

/// "Get a branch", "Get a tag".
pub(crate) async fn head(api: &Api, git_ref: &RefName) -> Answer<Option<HeadView>> {
    let what = format!("ask for {git_ref}");
    let (kind, name) = match git_ref.kind() {
        RefKind::Branch(name) => ("branches", name),
        RefKind::Tag(name) => ("tags", name),
        RefKind::Other => {
            return Err(Fault::Permanent(format!("{what}: only branches and tags can be asked for")));
        }
    };
    let Some(found) = api.read::<Ref>(api.get(&["refs", kind, name], &what)).await? else { return Ok(None) };
    let raw = found.target.author.map(|author| author.raw).unwrap_or_default();
    let author = name_of(&raw).to_owned();
    Ok(Some(HeadView { commit: commit_id(&found.target.hash)?, message: found.target.message, author }))
}

/// "List open branches".
pub(crate) async fn branches(api: &Api, _etag: Option<&str>) -> Answer<Branches> {
    let ask = api.get(&["refs", "branches"], "list the branches").query("pagelen", &PAGE.to_string());
    let branches = listed(api, api.list(ask).await?, PAGE, |branch: Ref| (branch.name, branch.target.hash))?;
    Ok(match branches {
        // Entity tags are not documented for lists.
        Branches::Listed { heads, is_truncated, .. } => Branches::Listed { heads, is_truncated, etag: None },
        unchanged @ Branches::Unchanged => unchanged,
    })
}

/// "Compare two commit diff stats": the newer commit comes first there; `topic` would begin where the
/// histories parted.
pub(crate) async fn changes(api: &Api, base: &CommitSha, head: &CommitSha) -> Answer<Changes> {
    let ask = api.get(&["diffstat", &format!("{head}..{base}")], "compare two commits");
    let items = match api.list::<Change>(ask.query("topic", "false")).await? {
        Listing::Items { items, is_whole: true, .. } => items,
        Listing::Items { items, .. } => {
            return Ok(Changes::Unknown(format!("Bitbucket lists more than {} files", items.len())));
        }
        Listing::Absent | Listing::Unchanged => {
            return Ok(Changes::Unknown(format!("Bitbucket knows no way from {base} to {head}")));
        }
    };
    let files: BTreeSet<String> = items
        .into_iter()
        .flat_map(|change| [change.old, change.new])
        .flatten()
        .map(|file| file.path)
        .collect();
    Ok(Changes::Files(files.into_iter().collect()))
}

/// "List commits": those that `to` has and `from` has not, newest first.
pub(crate) async fn commits(api: &Api, from: &CommitSha, to: &CommitSha) -> Answer<Option<CommitList>> {
    #[derive(Deserialize)]
    struct Page {
        values: Vec<Commit>,
    }
    let ask = api.get(&["commits"], "list the commits between two");
    let ask = ask.query("include", to.as_str()).query("exclude", from.as_str());
    let ask = ask.query("pagelen", &(MAX_COMMITS + 1).to_string());
    let Some(page) = api.read::<Page>(ask).await? else { return Ok(None) };
    let lines = page.values.into_iter().map(|known| {
        let author = known.author.map(|author| name_of(&author.raw).to_owned()).unwrap_or_default();
        Ok(CommitLine::new(commit_id(&known.hash)?, &known.message, &author))
    });
    Ok(Some(CommitList::of(lines.collect::<Answer<Vec<_>>>()?)))
}

/// The name in `name <address>`.
fn name_of(raw: &str) -> &str {
    raw.split(" <").next().unwrap_or_default()
}

/// "Get a pull request".
pub(crate) async fn pull_request(api: &Api, number: u64) -> Answer<Option<PullRequestView>> {
    let id = number.to_string();
    let what = format!("read pull request {number}");
    let Some(pull) = api.read::<Pull>(api.get(&["pullrequests", &id], &what)).await? else { return Ok(None) };
    let (Some(head), Some(base)) = (&pull.source.commit, &pull.destination.commit) else {
        return Err(Fault::Permanent(format!("{what} of {}: one of its branches is gone", api.repository)));
    };
    let uuid = |side: &Side| side.repository.as_ref().map(|repository| repository.uuid.clone());
    // A fork's commits may be hidden from us in the fork itself; the pull request shows them.
    let commits = api.get(&["pullrequests", &id, "commits"], &what).query("pagelen", &PAGE.to_string());
    let base = if let Ok(base) = base.hash.parse() {
        base
    } else {
        let found: Option<Hash> = api.read(api.get(&["commit", &base.hash], &what)).await?;
        commit_id(&found.ok_or_else(|| api.unseen())?.hash)?
    };
    let head =
        if let Ok(head) = head.hash.parse() { head } else { full_id(api, commits, &head.hash).await? };
    Ok(Some(PullRequestView {
        head,
        is_open: pull.state == "OPEN",
        title: pull.title,
        author: pull.author.map(|author| author.display_name).unwrap_or_default(),
        request: PullRequest {
            number: pull.id,
            is_fork: uuid(&pull.source).is_none() || uuid(&pull.source) != uuid(&pull.destination),
            base: pull.destination.branch.name,
            base_commit: base,
            approved_by: None,
        },
    }))
}

/// The full id of the commit that a pull request names by its beginning ("List commits on a pull request",
/// newest first).
async fn full_id(api: &Api, ask: crate::http::Ask, short: &str) -> Answer<CommitSha> {
    #[derive(Deserialize)]
    struct Page {
        values: Vec<Hash>,
    }
    let page: Page = api.read(ask).await?.ok_or_else(|| api.unseen())?;
    let found = page.values.iter().find(|commit| commit.hash.starts_with(short));
    // It was pushed to between the two questions.
    let moved =
        || Fault::Retryable(format!("a pull request of {} has moved on from {short}", api.repository));
    commit_id(&found.ok_or_else(moved)?.hash)
}

/// "Create a build status for a commit", which replaces the one of the same key.
pub(crate) async fn post_status(api: &Api, commit: &CommitSha, status: &CommitStatus) -> Answer<()> {
    let state = match status.state {
        CheckState::Pending => "INPROGRESS",
        CheckState::Success => "SUCCESSFUL",
        CheckState::Failure => "FAILED",
        CheckState::Error => "STOPPED",
    };
    let body = json!({
        "key": key(&status.context), "state": state, "name": status.context,
        // A status must lead somewhere.
        "url": status.url.as_deref().unwrap_or(&api.clone_url),
        "description": text::description(&status.description),
    });
    let what = format!("show a status at commit {}", commit.short());
    let ask = api.ask(Method::POST, &["commit", commit.as_str(), "statuses", "build"], &what);
    api.send(&ask.json(body)).await?.done().map(drop)
}

/// The context where it fits, else a digest of it.
fn key(context: &str) -> String {
    if context.chars().count() <= MAX_KEY {
        return context.to_owned();
    }
    hex::encode(Sha256::digest(context))[..MAX_KEY].to_owned()
}

/// "Get a repository".
pub(crate) async fn repository(api: &Api) -> Answer<Option<RepositoryView>> {
    let Some(found) = api.read::<Repository>(api.get(&[], "read the name")).await? else { return Ok(None) };
    let https = found.links.clone.into_iter().find(|link| link.name == "https").map(|link| link.href);
    let clone_url = https.unwrap_or_else(|| format!("https://bitbucket.org/{}.git", found.full_name));
    Ok(Some(RepositoryView {
        id: text::repository_id(&found.uuid)?,
        name: found.full_name,
        default_branch: found.mainbranch.map(|branch| branch.name),
        clone_url: without_user(&clone_url),
    }))
}

/// Bitbucket puts the asking user's name into the address.
fn without_user(address: &str) -> String {
    let Ok(mut url) = Url::parse(address) else { return address.to_owned() };
    if url.set_username("").is_err() {
        return address.to_owned();
    }
    url.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_statuses_fit_and_stay_apart() {
        assert_eq!(key("pushway/web/build"), "pushway/web/build");
        let long = |name: &str| key(&format!("pushway/{}/{name}", "w".repeat(40)));
        assert_eq!(long("build").len(), MAX_KEY);
        assert_ne!(long("build"), long("test"));
        assert_eq!(without_user("https://me@bitbucket.org/o/web.git"), "https://bitbucket.org/o/web.git");
    }
}
