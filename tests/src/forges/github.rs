//! GitHub's REST API, version 2022-11-28, as far as a CI system asks it (GitHub Docs, "REST API").
//!
//! Repository, contents, commits, git refs, branches, comparisons, pull requests, statuses, webhooks and
//! their deliveries, and the exchange of a GitHub App's token.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD as BASE64, URL_SAFE_NO_PAD};
use pushway_core::ids::CommitSha;
use pushway_core::source::Provider;
use serde_json::{Value, json};

use super::reply::{page, unauthorized};
use super::{FakeDelivery, FakeHook, FakePull, FakeRepository, FakeStatus, Reply, Seen};
use crate::sim::story::parse;

/// The most files that a comparison lists ("Compare two commits").
pub const COMPARED_FILES: usize = 300;

pub(super) fn answer(repository: &mut FakeRepository, seen: &Seen, token: &str, url: &str) -> Reply {
    let segments = seen.segments();
    let parts: Vec<&str> = segments.iter().map(String::as_str).collect();
    if let ["app", "installations", installation, "access_tokens"] = parts[..] {
        return installation_token(seen, installation, token);
    }
    let given = seen.header("authorization");
    if given != format!("Bearer {token}") && given != format!("token {token}") {
        return unauthorized(Provider::Github);
    }
    if seen.header("user-agent").is_empty() {
        // "User agent required": requests without one are refused.
        return Reply::json(403, &json!({ "message": "Request forbidden by administrative rules." }));
    }
    let ["repos", owner, name, rest @ ..] = &parts[..] else { return Reply::status(404) };
    if format!("{owner}/{name}") != repository.name {
        return Reply::status(404);
    }
    match (seen.method.as_str(), rest) {
        ("GET", []) => Reply::json(200, &described(repository, url)),
        ("GET", ["contents", path @ ..]) => contents(repository, seen, &path.join("/")),
        ("GET", ["commits", name @ ..]) => commit(repository, seen, &name.join("/")),
        ("GET", ["git", "ref", name @ ..]) => git_ref(repository, &name.join("/")),
        ("GET", ["git", "tags", sha]) => tag_object(repository, sha),
        ("GET", ["git", "matching-refs", "heads", ..] | ["branches"]) => {
            branches(repository, seen, url, rest)
        }
        ("GET", ["branches", name @ ..]) => match repository.branches.get_key_value(&name.join("/")) {
            Some((name, sha)) => Reply::json(200, &json!({ "name": name, "commit": full(repository, sha) })),
            None => Reply::json(404, &json!({ "message": "Branch not found" })),
        },
        ("GET", ["compare", range @ ..]) => compare(repository, seen, &range.join("/")),
        ("GET", ["pulls", number]) => match repository.pulls.iter().find(|p| p.number.to_string() == *number)
        {
            Some(pull) => Reply::json(200, &pull_request(repository, pull)),
            None => Reply::status(404),
        },
        ("POST", ["statuses", sha]) => post_status(repository, seen, sha),
        (_, ["hooks", rest @ ..]) => hooks(repository, seen, rest, url),
        _ => Reply::status(404),
    }
}

fn described(repository: &FakeRepository, url: &str) -> Value {
    let id: u64 = repository.id.parse().unwrap_or_default();
    let (owner, name) = repository.name.split_once('/').unwrap_or_default();
    json!({
        "id": id, "name": name, "full_name": repository.name, "private": true, "fork": false,
        "owner": { "login": owner, "id": 1, "type": "Organization" },
        "default_branch": repository.default_branch, "clone_url": repository.clone_url(url),
    })
}

fn contents(repository: &FakeRepository, seen: &Seen, path: &str) -> Reply {
    let name = seen.parameter("ref").unwrap_or(&repository.default_branch);
    let Some(at) = repository.resolve(name) else {
        return Reply::json(404, &json!({ "message": format!("No commit found for the ref {name}") }));
    };
    let entry = |path: &str, kind: &str, size: usize| json!({ "type": kind, "size": size, "name": path.rsplit('/').next(), "path": path, "sha": "0".repeat(40) });
    if let Some(text) = repository.file(at, path) {
        let accept = seen.header("accept");
        if accept.contains("raw") {
            return Reply::raw(text.as_bytes().to_vec(), "application/vnd.github.raw+json; charset=utf-8")
                .tagged(seen);
        }
        let mut file = entry(path, "file", text.len());
        file["encoding"] = json!("base64");
        file["content"] = json!(BASE64.encode(text) + "\n");
        return Reply::json(200, &file).tagged(seen);
    }
    match repository.folder(at, path) {
        Some(entries) => {
            let of =
                |(path, is_folder): (String, bool)| entry(&path, if is_folder { "dir" } else { "file" }, 0);
            Reply::json(200, &entries.into_iter().map(of).collect())
        }
        None => Reply::status(404),
    }
}

/// A commit as lists and comparisons have it.
fn full(repository: &FakeRepository, sha: &CommitSha) -> Value {
    let commit = &repository.commits[sha];
    let person = json!({ "name": commit.author, "email": "ada@example.com", "date": "2026-11-20T09:12:20Z" });
    json!({
        "sha": sha, "author": { "login": "ada", "id": 2 },
        "commit": { "message": commit.message, "author": person, "committer": person },
        "parents": commit.parents.iter().map(|sha| json!({ "sha": sha })).collect::<Vec<_>>(),
    })
}

fn commit(repository: &FakeRepository, seen: &Seen, name: &str) -> Reply {
    if let Some(name) = name.strip_suffix("/statuses") {
        let of = |status: &&FakeStatus| status.commit.as_str() == name;
        let newest = repository.statuses.iter().rev().filter(of);
        return Reply::json(200, &newest.map(status).collect());
    }
    let found = match name.split_once('/') {
        Some(("heads", branch)) => repository.branches.get(branch),
        Some(("tags", tag)) => repository.tags.get(tag),
        _ => repository.resolve(name),
    };
    match found {
        Some(sha) if seen.header("accept").contains("sha") => {
            Reply::raw(sha.as_str().into(), "application/vnd.github.sha").tagged(seen)
        }
        Some(sha) => Reply::json(200, &full(repository, sha)).tagged(seen),
        // "Get a commit": 422 where the name is none of a commit.
        None => Reply::json(422, &json!({ "message": format!("No commit found for SHA: {name}") })),
    }
}

fn git_ref(repository: &FakeRepository, name: &str) -> Reply {
    let object = match name.split_once('/') {
        Some(("heads", branch)) => repository.branches.get(branch).map(|sha| (sha, "commit")),
        Some(("tags", tag)) => match repository.tag_objects.get(tag) {
            Some(object) => Some((object, "tag")),
            None => repository.tags.get(tag).map(|sha| (sha, "commit")),
        },
        _ => None,
    };
    match object {
        Some((sha, kind)) => Reply::json(
            200,
            &json!({ "ref": format!("refs/{name}"), "object": { "sha": sha, "type": kind } }),
        ),
        None => Reply::status(404),
    }
}

fn tag_object(repository: &FakeRepository, sha: &str) -> Reply {
    let found = repository.tag_objects.iter().find(|(_, object)| object.as_str() == sha);
    match found.and_then(|(name, _)| Some((name, repository.tags.get(name)?))) {
        Some((name, commit)) => Reply::json(
            200,
            &json!({ "tag": name, "sha": sha, "object": { "sha": commit, "type": "commit" } }),
        ),
        None => Reply::status(404),
    }
}

fn branches(repository: &FakeRepository, seen: &Seen, url: &str, rest: &[&str]) -> Reply {
    let all: Vec<Value> = repository
        .branches
        .iter()
        .map(|(name, sha)| match rest {
            ["branches"] => json!({ "name": name, "commit": { "sha": sha }, "protected": false }),
            _ => json!({ "ref": format!("refs/heads/{name}"), "object": { "sha": sha, "type": "commit" } }),
        })
        .collect();
    let (number, size) = (seen.number("page", 1), seen.number("per_page", 30).min(100));
    let (items, is_more) = page(all, number, size);
    let reply = Reply::json(200, &json!(items)).tagged(seen);
    let link = format!("<{url}/{}?per_page={size}&page={}>; rel=\"next\"", seen.path, number + 1);
    if is_more { reply.with("link", &link) } else { reply }
}

fn compare(repository: &FakeRepository, seen: &Seen, range: &str) -> Reply {
    let ends = range.split_once("...");
    let ends = ends.and_then(|(base, head)| Some((repository.resolve(base)?, repository.resolve(head)?)));
    let Some((base, head)) = ends else { return Reply::status(404) };
    let Some(merge_base) = repository.merge_base(base, head) else { return Reply::status(404) };
    let (ahead, behind) = (repository.ahead(base, head), repository.ahead(head, base));
    let status = match (ahead.len(), behind.len()) {
        (0, 0) => "identical",
        (_, 0) => "ahead",
        (0, _) => "behind",
        _ => "diverged",
    };
    let file = |change: &super::Change<'_>| {
        let mut file = json!({
            "sha": "0".repeat(40), "filename": change.new.or(change.old), "status": change.word(),
            "additions": 1, "deletions": 1, "changes": 2,
        });
        if change.word() == "renamed" {
            file["previous_filename"] = json!(change.old);
        }
        file
    };
    let (commits, _) = page(ahead.clone(), seen.number("page", 1), seen.number("per_page", 250));
    let mut body = json!({
        "status": status, "ahead_by": ahead.len(), "behind_by": behind.len(), "total_commits": ahead.len(),
        "base_commit": full(repository, base), "merge_base_commit": full(repository, merge_base),
        "commits": commits.into_iter().map(|sha| full(repository, sha)).collect::<Vec<_>>(),
    });
    // With pages, the first one lists the files.
    if seen.number("page", 1) == 1 {
        let changes = repository.changes(merge_base, head);
        body["files"] = changes.iter().take(COMPARED_FILES).map(file).collect();
    }
    Reply::json(200, &body)
}

/// A pull request as the API and the event show it.
pub(super) fn pull_request(repository: &FakeRepository, pull: &FakePull) -> Value {
    let ours = described(repository, "https://github.com");
    let theirs = json!({ "id": 99, "full_name": "someone/web", "fork": true });
    json!({
        "number": pull.number, "title": pull.title, "state": if pull.is_open { "open" } else { "closed" },
        "user": { "login": pull.author, "id": 2 }, "draft": false, "merged": false,
        "head": {
            "ref": pull.branch, "sha": pull.head, "repo": if pull.is_fork { theirs } else { ours.clone() },
        },
        "base": { "ref": pull.base, "sha": repository.branches.get(&pull.base), "repo": ours },
    })
}

fn status(status: &FakeStatus) -> Value {
    json!({
        "context": status.context, "state": status.state, "description": status.description,
        "target_url": status.url,
    })
}

fn post_status(repository: &mut FakeRepository, seen: &Seen, sha: &str) -> Reply {
    let body = seen.json();
    let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
    let is_state = matches!(text("state").as_str(), "pending" | "success" | "failure" | "error");
    let known = repository.commits.keys().find(|known| known.as_str() == sha).cloned();
    let Some(commit) = known.filter(|_| is_state && text("description").chars().count() <= 140) else {
        return Reply::json(422, &json!({ "message": "Validation Failed" }));
    };
    let context = if body["context"].is_string() { text("context") } else { "default".into() };
    let url = body["target_url"].as_str().map(ToOwned::to_owned);
    let posted = FakeStatus { commit, context, state: text("state"), description: text("description"), url };
    let reply = Reply::json(201, &status(&posted));
    repository.statuses.push(posted);
    reply
}

/// "Create an installation access token for an app": asked with a short-lived RS256 token of the app.
fn installation_token(seen: &Seen, installation: &str, token: &str) -> Reply {
    let jwt = seen.header("authorization").strip_prefix("Bearer ").unwrap_or_default();
    let parts: Vec<&str> = jwt.split('.').collect();
    let part = |at: usize| -> Value {
        let bytes = parts.get(at).and_then(|part| URL_SAFE_NO_PAD.decode(part).ok());
        serde_json::from_slice(&bytes.unwrap_or_default()).unwrap_or_default()
    };
    let (head, claims) = (part(0), part(1));
    let now = jiff::Timestamp::now().as_second();
    let (issued, expires) = (claims["iat"].as_i64().unwrap_or(i64::MAX), claims["exp"].as_i64().unwrap_or(0));
    let is_fresh = issued <= now && expires > now && expires <= now + 600;
    if parts.len() != 3 || head["alg"] != "RS256" || claims["iss"].is_null() || !is_fresh {
        return Reply::json(401, &json!({ "message": "A JSON web token could not be decoded" }));
    }
    if installation.parse::<u64>().is_err() {
        return Reply::status(404);
    }
    let expires_at = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(1);
    Reply::json(201, &json!({ "token": token, "expires_at": expires_at, "permissions": {} }))
}

fn hook(hook: &FakeHook) -> Value {
    let id: u64 = hook.id.parse().unwrap_or_default();
    let (code, status) = match hook.last_status {
        None => (Value::Null, "unused"),
        Some(code @ 200..300) => (json!(code), "active"),
        Some(code) => (json!(code), "failed"),
    };
    json!({
        "type": "Repository", "id": id, "name": "web", "active": hook.is_active, "events": hook.events,
        "config": {
            "url": hook.url, "content_type": "json", "insecure_ssl": "0",
            "secret": hook.secret.as_ref().map(|_| "********"),
        },
        "last_response": { "code": code, "status": status, "message": null },
    })
}

fn hooks(repository: &mut FakeRepository, seen: &Seen, rest: &[&str], url: &str) -> Reply {
    let body = seen.json();
    match (seen.method.as_str(), rest) {
        ("GET", []) => Reply::json(200, &repository.hooks.iter().map(hook).collect()),
        ("POST", []) => {
            let to = body["config"]["url"].as_str().unwrap_or_default().to_owned();
            if repository.hooks.iter().any(|hook| hook.url == to) {
                let error = json!({
                    "resource": "Hook", "code": "custom",
                    "message": "Hook already exists on this repository",
                });
                return Reply::json(422, &json!({ "message": "Validation Failed", "errors": [error] }));
            }
            let id = (292_430_182 + repository.hooks.len()).to_string();
            let mut made =
                FakeHook { id, is_active: true, events: vec!["push".into()], ..FakeHook::default() };
            change_hook(&mut made, &body);
            let reply = Reply::json(201, &hook(&made));
            repository.hooks.push(made);
            reply
        }
        (method, [id, rest @ ..]) => {
            let Some(at) = repository.hooks.iter().position(|hook| hook.id == **id) else {
                return Reply::status(404);
            };
            match (method, rest) {
                ("GET", []) => Reply::json(200, &hook(&repository.hooks[at])),
                ("PATCH", []) => {
                    change_hook(&mut repository.hooks[at], &body);
                    Reply::json(200, &hook(&repository.hooks[at]))
                }
                ("PATCH", ["config"]) => {
                    change_hook(&mut repository.hooks[at], &json!({ "config": body }));
                    Reply::json(200, &hook(&repository.hooks[at])["config"])
                }
                ("DELETE", []) => {
                    repository.hooks.remove(at);
                    Reply::status(204)
                }
                (_, ["deliveries", rest @ ..]) => deliveries(repository, seen, rest, url),
                _ => Reply::status(404),
            }
        }
        _ => Reply::status(404),
    }
}

fn change_hook(hook: &mut FakeHook, body: &Value) {
    let text = |value: &Value| value.as_str().map(ToOwned::to_owned);
    hook.url = text(&body["config"]["url"]).unwrap_or_else(|| hook.url.clone());
    hook.secret = text(&body["config"]["secret"]).or_else(|| hook.secret.clone());
    hook.is_active = body["active"].as_bool().unwrap_or(hook.is_active);
    if let Some(events) = body["events"].as_array() {
        hook.events = events.iter().filter_map(text).collect();
    }
}

fn deliveries(repository: &mut FakeRepository, seen: &Seen, rest: &[&str], url: &str) -> Reply {
    repository.deliveries.sort_by_key(|delivery| std::cmp::Reverse(delivery.id));
    match (seen.method.as_str(), rest) {
        ("GET", []) => {
            let from: u64 = seen.parameter("cursor").and_then(|text| text.parse().ok()).unwrap_or(u64::MAX);
            let older = repository.deliveries.iter().filter(|delivery| delivery.id < from);
            let size = seen.number("per_page", 30).min(100);
            let (items, is_more) = page(older.collect::<Vec<_>>(), 1, size);
            let next = items.last().map_or(0, |delivery| delivery.id);
            let reply = Reply::json(200, &items.iter().map(|delivery| attempt(delivery)).collect());
            let link = format!("<{url}/{}?per_page={size}&cursor={next}>; rel=\"next\"", seen.path);
            if is_more { reply.with("link", &link) } else { reply }
        }
        ("POST", [id, "attempts"]) => {
            let Some(old) = repository.deliveries.iter().find(|delivery| delivery.id.to_string() == **id)
            else {
                return Reply::status(404);
            };
            let newest = repository.deliveries.first().map_or(0, |delivery| delivery.id);
            let again = FakeDelivery { id: newest + 1, status: 202, is_redelivery: true, ..old.clone() };
            repository.deliveries.push(again);
            Reply::json(202, &json!({}))
        }
        _ => Reply::status(404),
    }
}

fn attempt(delivery: &FakeDelivery) -> Value {
    let words = match delivery.status {
        200..300 => "OK",
        0 => "failed to connect to host",
        _ => "Invalid HTTP Response",
    };
    json!({
        "id": delivery.id, "guid": delivery.guid, "delivered_at": delivery.at, "event": delivery.event,
        "redelivery": delivery.is_redelivery, "status": words, "status_code": delivery.status, "action": null,
        "duration": 0.27, "installation_id": null, "repository_id": parse::<u64>("42"),
    })
}
