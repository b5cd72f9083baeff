//! Bitbucket Cloud's REST API 2.0, as far as a CI system asks it (Atlassian Developer, "The Bitbucket Cloud
//! REST API").
//!
//! Repository, source, refs, commits, diffstat, pull requests, build statuses and webhooks. Pull requests
//! show commits by their first twelve digits only, as the real one does.

use base64::Engine as _;
use pushway_core::ids::CommitSha;
use pushway_core::source::Provider;
use serde_json::{Value, json};

use super::reply::{page, unauthorized};
use super::{FakeHook, FakeRepository, FakeStatus, Reply, Seen};

pub(super) fn answer(repository: &mut FakeRepository, seen: &Seen, token: &str, url: &str) -> Reply {
    if !is_known(seen.header("authorization"), token) {
        return unauthorized(Provider::Bitbucket);
    }
    let segments = seen.segments();
    let parts: Vec<&str> = segments.iter().map(String::as_str).collect();
    let ["repositories", workspace, slug, rest @ ..] = &parts[..] else { return missing() };
    if format!("{workspace}/{slug}") != repository.name {
        return Reply::json(
            404,
            &json!({
                "type": "error",
                "error": { "message": format!("Repository {workspace}/{slug} not found") },
            }),
        );
    }
    match (seen.method.as_str(), rest) {
        ("GET", []) => Reply::json(200, &described(repository, url)),
        ("GET", ["src", at, path @ ..]) => source(repository, seen, at, &path.join("/"), url),
        ("GET", ["refs", "branches"]) => {
            let of = |(name, sha): (&String, &CommitSha)| branch(repository, name, sha);
            paged(seen, repository.branches.iter().map(of).collect(), url)
        }
        ("GET", ["refs", kind, name @ ..]) => {
            let name = name.join("/");
            let refs = if *kind == "tags" { &repository.tags } else { &repository.branches };
            refs.get(&name).map_or_else(missing, |sha| Reply::json(200, &branch(repository, &name, sha)))
        }
        ("GET", ["commit", name]) => {
            repository.resolve(name).map_or_else(missing, |sha| Reply::json(200, &commit(repository, sha)))
        }
        ("GET", ["commits"]) => commits(repository, seen, url),
        ("GET", ["diffstat", spec]) => diffstat(repository, seen, spec, url),
        ("GET", ["pullrequests", number]) => pull_request(repository, number),
        ("GET", ["pullrequests", number, "commits"]) => pull_commits(repository, seen, number, url),
        ("POST", ["commit", sha, "statuses", "build"]) => post_status(repository, seen, sha, None),
        ("PUT", ["commit", sha, "statuses", "build", key]) => post_status(repository, seen, sha, Some(key)),
        ("GET", ["commit", sha, "statuses"]) => {
            let of = |status: &&FakeStatus| status.commit.as_str() == *sha;
            paged(seen, repository.statuses.iter().filter(of).map(status).collect(), url)
        }
        (_, ["hooks", rest @ ..]) => hooks(repository, seen, rest, url),
        _ => missing(),
    }
}

/// An access token as a bearer, or a user's API token or app password by basic authentication.
fn is_known(header: &str, token: &str) -> bool {
    let basic = header.strip_prefix("Basic ").and_then(|text| {
        let pair = base64::engine::general_purpose::STANDARD.decode(text).ok()?;
        String::from_utf8(pair).ok()
    });
    let password = basic.as_deref().and_then(|pair| pair.split_once(':'));
    header.strip_prefix("Bearer ") == Some(token) || password.is_some_and(|(_, given)| given == token)
}

fn missing() -> Reply {
    Reply::json(404, &json!({ "type": "error", "error": { "message": "Resource not found" } }))
}

fn described(repository: &FakeRepository, url: &str) -> Value {
    let https = json!({ "name": "https", "href": repository.clone_url(url) });
    let ssh = json!({ "name": "ssh", "href": format!("git@bitbucket.org:{}.git", repository.name) });
    json!({
        "type": "repository", "uuid": repository.id, "full_name": repository.name,
        "name": repository.name.rsplit('/').next(), "is_private": true, "scm": "git",
        "mainbranch": { "type": "branch", "name": repository.default_branch },
        "links": { "clone": [https, ssh] },
    })
}

fn commit(repository: &FakeRepository, sha: &CommitSha) -> Value {
    let commit = &repository.commits[sha];
    json!({
        "type": "commit", "hash": sha, "message": commit.message, "date": "2026-11-20T09:12:20+00:00",
        "author": { "type": "author", "raw": format!("{} <ada@example.com>", commit.author) },
        "parents": commit.parents.iter().map(|sha| json!({ "type": "commit", "hash": sha })).collect::<Vec<_>>(),
    })
}

fn branch(repository: &FakeRepository, name: &str, sha: &CommitSha) -> Value {
    json!({ "type": "branch", "name": name, "target": commit(repository, sha) })
}

/// "Pagination": a page of `values`, and the address of the next one.
fn paged(seen: &Seen, items: Vec<Value>, url: &str) -> Reply {
    let (number, size) = (seen.number("page", 1), seen.number("pagelen", 10).min(100));
    let total = items.len();
    let (items, is_more) = page(items, number, size);
    let mut body = json!({ "pagelen": size, "size": total, "page": number, "values": items });
    if is_more {
        let next = format!("{url}/2.0/{}?pagelen={size}&page={}", seen.path, number + 1);
        body["next"] = json!(next);
    }
    Reply::json(200, &body)
}

fn source(repository: &FakeRepository, seen: &Seen, at: &str, path: &str, url: &str) -> Reply {
    let Some(sha) = repository.resolve(at) else { return missing() };
    if let Some(text) = repository.file(sha, path) {
        return Reply::raw(text.as_bytes().to_vec(), "text/plain");
    }
    let folder = repository.folder(sha, path.trim_end_matches('/'));
    let Some(entries) = folder else {
        let message = format!("No such file or directory: {path}");
        return Reply::json(404, &json!({ "type": "error", "error": { "message": message } }));
    };
    let entry = |(path, is_folder): (String, bool)| {
        let kind = if is_folder { "commit_directory" } else { "commit_file" };
        json!({ "type": kind, "path": path, "commit": { "type": "commit", "hash": sha } })
    };
    paged(seen, entries.into_iter().map(entry).collect(), url)
}

/// "Compare two commit diff stats": unlike git's, the range names the newer commit first.
fn diffstat(repository: &FakeRepository, seen: &Seen, spec: &str, url: &str) -> Reply {
    let ends = spec.split_once("..").and_then(|(new, old)| {
        let new = repository.resolve(new)?;
        Some((new, repository.resolve(old)?))
    });
    let Some((new, old)) = ends else { return missing() };
    let is_topic = seen.parameter("topic") == Some("true");
    let base = if is_topic { repository.merge_base(old, new) } else { Some(old) };
    let Some(base) = base else { return missing() };
    let file = |path: Option<&str>| path.map(|path| json!({ "type": "commit_file", "path": path }));
    let stat = |change: &super::Change<'_>| {
        json!({
            "type": "diffstat", "status": change.word(), "lines_added": 1, "lines_removed": 1,
            "old": file(change.old), "new": file(change.new),
        })
    };
    paged(seen, repository.changes(base, new).iter().map(stat).collect(), url)
}

fn pull_request(repository: &FakeRepository, number: &str) -> Reply {
    let Some(pull) = repository.pulls.iter().find(|pull| pull.number.to_string() == number) else {
        return missing();
    };
    let short = |sha: &CommitSha| json!({ "type": "commit", "hash": &sha.as_str()[..12] });
    let ours = json!({ "type": "repository", "full_name": repository.name, "uuid": repository.id });
    let theirs = json!({ "type": "repository", "full_name": "someone/web", "uuid": "{99}" });
    Reply::json(
        200,
        &json!({
            "type": "pullrequest", "id": pull.number, "title": pull.title,
            "state": if pull.is_open { "OPEN" } else { "DECLINED" },
            "author": { "type": "user", "display_name": pull.author, "nickname": pull.author },
            "source": {
                "branch": { "name": pull.branch }, "commit": short(&pull.head),
                "repository": if pull.is_fork { theirs } else { ours.clone() },
            },
            "destination": {
                "branch": { "name": pull.base }, "commit": repository.branches.get(&pull.base).map(short),
                "repository": ours,
            },
        }),
    )
}

/// "List commits": of one commit without those of another, newest first.
fn commits(repository: &FakeRepository, seen: &Seen, url: &str) -> Reply {
    let end = |name: &str| seen.parameter(name).and_then(|text| repository.resolve(text));
    let (Some(include), Some(exclude)) = (end("include"), end("exclude")) else { return missing() };
    let mut ahead = repository.ahead(exclude, include);
    ahead.reverse();
    paged(seen, ahead.into_iter().map(|sha| commit(repository, sha)).collect(), url)
}

/// "List commits on a pull request", newest first.
fn pull_commits(repository: &FakeRepository, seen: &Seen, number: &str, url: &str) -> Reply {
    let pull = repository.pulls.iter().find(|pull| pull.number.to_string() == number);
    let Some((pull, base)) = pull.and_then(|pull| Some((pull, repository.branches.get(&pull.base)?))) else {
        return missing();
    };
    let mut ahead = repository.ahead(base, &pull.head);
    ahead.reverse();
    paged(seen, ahead.into_iter().map(|sha| commit(repository, sha)).collect(), url)
}

fn status(status: &FakeStatus) -> Value {
    json!({
        "type": "build", "key": status.context, "state": status.state, "description": status.description,
        "url": status.url, "commit": { "type": "commit", "hash": status.commit },
    })
}

fn post_status(repository: &mut FakeRepository, seen: &Seen, sha: &str, key: Option<&str>) -> Reply {
    let body = seen.json();
    let text = |name: &str| body[name].as_str().map(ToOwned::to_owned);
    let key = key.map(ToOwned::to_owned).or(text("key")).unwrap_or_default();
    let state = text("state").unwrap_or_default();
    let is_state = matches!(state.as_str(), "SUCCESSFUL" | "FAILED" | "INPROGRESS" | "STOPPED");
    let url = text("url");
    if key.is_empty() || key.len() > 40 || !is_state || url.is_none() {
        let message = "key: at most 40 characters; state, url: required";
        return Reply::json(400, &json!({ "type": "error", "error": { "message": message } }));
    }
    let Some(commit) = repository.commits.keys().find(|known| known.as_str() == sha).cloned() else {
        return missing();
    };
    let description = text("description").unwrap_or_default();
    let posted = FakeStatus { commit, context: key, state, description, url };
    let same = |old: &FakeStatus| old.commit == posted.commit && old.context == posted.context;
    let code = if repository.statuses.iter().any(same) { 200 } else { 201 };
    let reply = Reply::json(code, &status(&posted));
    repository.statuses.push(posted);
    reply
}

fn hook(hook: &FakeHook) -> Value {
    json!({
        "type": "webhook_subscription", "uuid": hook.id, "url": hook.url, "description": "Pushway",
        "subject_type": "repository", "active": hook.is_active, "events": hook.events,
        "secret_set": hook.secret.is_some(),
    })
}

fn hooks(repository: &mut FakeRepository, seen: &Seen, rest: &[&str], url: &str) -> Reply {
    let body = seen.json();
    match (seen.method.as_str(), rest) {
        ("GET", []) => paged(seen, repository.hooks.iter().map(hook).collect(), url),
        ("POST", []) => {
            let id = format!("{{00000000-0000-4000-8000-{:012}}}", repository.hooks.len() + 1);
            let mut made = FakeHook { id, ..FakeHook::default() };
            change_hook(&mut made, &body);
            let reply = Reply::json(201, &hook(&made));
            repository.hooks.push(made);
            reply
        }
        (method, [id]) => {
            let Some(at) = repository.hooks.iter().position(|hook| hook.id == **id) else { return missing() };
            match method {
                "GET" => Reply::json(200, &hook(&repository.hooks[at])),
                "PUT" => {
                    change_hook(&mut repository.hooks[at], &body);
                    Reply::json(200, &hook(&repository.hooks[at]))
                }
                "DELETE" => {
                    repository.hooks.remove(at);
                    Reply::status(204)
                }
                _ => missing(),
            }
        }
        _ => missing(),
    }
}

fn change_hook(hook: &mut FakeHook, body: &Value) {
    let text = |value: &Value| value.as_str().map(ToOwned::to_owned);
    hook.url = text(&body["url"]).unwrap_or_else(|| hook.url.clone());
    hook.is_active = body["active"].as_bool().unwrap_or(hook.is_active);
    // "Update a webhook": a secret stays as it is unless it is given; null takes it away.
    match &body["secret"] {
        Value::Null if body.get("secret").is_some() => hook.secret = None,
        given => hook.secret = text(given).or_else(|| hook.secret.clone()),
    }
    if let Some(events) = body["events"].as_array() {
        hook.events = events.iter().filter_map(text).collect();
    }
}
