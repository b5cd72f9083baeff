//! The API v1 of Gitea and Forgejo, as far as a CI system asks it (Gitea, "API" reference).
//!
//! Repository, raw files and contents, branches, tags, commits, comparisons, pull requests, statuses and
//! webhooks. A comparison lists the files of each commit, not those of the whole.

use pushway_core::ids::CommitSha;
use pushway_core::source::Provider;
use serde_json::{Value, json};

use super::reply::{page, unauthorized};
use super::{FakeHook, FakeRepository, FakeStatus, Reply, Seen};

pub(super) fn answer(repository: &mut FakeRepository, seen: &Seen, token: &str, url: &str) -> Reply {
    let given = seen.header("authorization");
    if given != format!("token {token}") && given != format!("Bearer {token}") {
        return unauthorized(Provider::Gitea);
    }
    let segments = seen.segments();
    let parts: Vec<&str> = segments.iter().map(String::as_str).collect();
    let ["repos", owner, name, rest @ ..] = &parts[..] else { return Reply::status(404) };
    if format!("{owner}/{name}") != repository.name {
        return Reply::status(404);
    }
    match (seen.method.as_str(), rest) {
        ("GET", []) => Reply::json(200, &described(repository, url)),
        ("GET", ["raw", path @ ..]) => match at(repository, seen) {
            Some(sha) => match repository.file(sha, &path.join("/")) {
                Some(text) => Reply::raw(text.as_bytes().to_vec(), "text/plain; charset=utf-8"),
                None => Reply::status(404),
            },
            None => Reply::status(404),
        },
        ("GET", ["contents", path @ ..]) => contents(repository, seen, &path.join("/")),
        ("GET", ["branches"]) => {
            let of = |(name, sha): (&String, &CommitSha)| branch(repository, name, sha);
            paged(seen, repository.branches.iter().map(of).collect(), url)
        }
        ("GET", ["branches", name @ ..]) => match repository.branches.get_key_value(&name.join("/")) {
            Some((name, sha)) => Reply::json(200, &branch(repository, name, sha)),
            None => Reply::status(404),
        },
        ("GET", ["tags", name @ ..]) => match repository.tags.get_key_value(&name.join("/")) {
            Some((name, sha)) => {
                let id = repository.tag_objects.get(name).unwrap_or(sha);
                Reply::json(200, &json!({ "name": name, "id": id, "commit": { "sha": sha } }))
            }
            None => Reply::status(404),
        },
        ("GET", ["git", "commits", name]) => match repository.resolve(name) {
            Some(sha) => Reply::json(200, &commit(repository, sha)),
            None => Reply::status(404),
        },
        ("GET", ["compare", range @ ..]) => compare(repository, &range.join("/")),
        ("GET", ["pulls", number]) => pull_request(repository, number),
        ("POST", ["statuses", sha]) => post_status(repository, seen, sha),
        ("GET", ["commits", name, "statuses"]) => {
            let of = |status: &&FakeStatus| status.commit.as_str() == *name;
            paged(seen, repository.statuses.iter().filter(of).map(status).collect(), url)
        }
        (_, ["hooks", rest @ ..]) => hooks(repository, seen, rest, url),
        _ => Reply::status(404),
    }
}

fn at<'r>(repository: &'r FakeRepository, seen: &Seen) -> Option<&'r CommitSha> {
    repository.resolve(seen.parameter("ref").unwrap_or(&repository.default_branch))
}

fn described(repository: &FakeRepository, url: &str) -> Value {
    let id: u64 = repository.id.parse().unwrap_or_default();
    json!({
        "id": id, "name": repository.name.rsplit('/').next(), "full_name": repository.name, "private": true,
        "fork": false, "default_branch": repository.default_branch, "clone_url": repository.clone_url(url),
    })
}

fn contents(repository: &FakeRepository, seen: &Seen, path: &str) -> Reply {
    use base64::Engine as _;
    let Some(sha) = at(repository, seen) else { return Reply::status(404) };
    let entry = |path: &str, kind: &str| {
        let name = path.rsplit('/').next();
        json!({ "name": name, "path": path, "sha": "0".repeat(40), "type": kind, "size": 0 })
    };
    if let Some(text) = repository.file(sha, path) {
        let mut file = entry(path, "file");
        file["encoding"] = json!("base64");
        file["content"] = json!(base64::engine::general_purpose::STANDARD.encode(text));
        return Reply::json(200, &file);
    }
    match repository.folder(sha, path) {
        Some(entries) => {
            let of = |(path, is_folder): (String, bool)| entry(&path, if is_folder { "dir" } else { "file" });
            Reply::json(200, &entries.into_iter().map(of).collect())
        }
        None => Reply::status(404),
    }
}

fn branch(repository: &FakeRepository, name: &str, sha: &CommitSha) -> Value {
    let commit = &repository.commits[sha];
    json!({
        "name": name, "protected": false,
        "commit": {
            "id": sha, "message": commit.message, "timestamp": "2026-11-20T09:12:20Z",
            "author": { "name": commit.author, "email": "ada@example.com", "username": "ada" },
        },
    })
}

fn commit(repository: &FakeRepository, sha: &CommitSha) -> Value {
    let commit = &repository.commits[sha];
    let before = commit.parents.first();
    let changes = match before {
        Some(before) => repository.changes(before, sha),
        None => Vec::new(),
    };
    // Renames are not looked for: such a file was removed under one name and added under another.
    let files = |change: &super::Change<'_>| -> Vec<Value> {
        match change.word() {
            "renamed" => vec![(change.old, "removed"), (change.new, "added")],
            word => vec![(change.new.or(change.old), word)],
        }
        .into_iter()
        .map(|(name, word)| json!({ "filename": name, "status": word }))
        .collect()
    };
    json!({
        "sha": sha, "author": { "login": "ada", "id": 2 },
        "commit": {
            "message": commit.message,
            "author": { "name": commit.author, "email": "ada@example.com", "date": "2026-11-20T09:12:20Z" },
        },
        "parents": commit.parents.iter().map(|sha| json!({ "sha": sha })).collect::<Vec<_>>(),
        "files": changes.iter().flat_map(files).collect::<Vec<_>>(),
    })
}

fn paged(seen: &Seen, items: Vec<Value>, url: &str) -> Reply {
    let (number, size) = (seen.number("page", 1), seen.number("limit", 30).min(50));
    let total = items.len().to_string();
    let (items, is_more) = page(items, number, size);
    let reply = Reply::json(200, &json!(items)).with("x-total-count", &total);
    let link = format!("<{url}/api/v1/{}?page={}&limit={size}>; rel=\"next\"", seen.path, number + 1);
    if is_more { reply.with("link", &link).with("x-hasmore", "true") } else { reply }
}

fn compare(repository: &FakeRepository, range: &str) -> Reply {
    let ends = range.split_once("...");
    let ends = ends.and_then(|(base, head)| Some((repository.resolve(base)?, repository.resolve(head)?)));
    let Some((base, head)) = ends else { return Reply::status(404) };
    let mut ahead = repository.ahead(base, head);
    // Newest first, as `git log` has it.
    ahead.reverse();
    let commits: Vec<Value> = ahead.into_iter().map(|sha| commit(repository, sha)).collect();
    Reply::json(200, &json!({ "total_commits": commits.len(), "commits": commits }))
}

fn pull_request(repository: &FakeRepository, number: &str) -> Reply {
    let Some(pull) = repository.pulls.iter().find(|pull| pull.number.to_string() == number) else {
        return Reply::status(404);
    };
    let ours: u64 = repository.id.parse().unwrap_or_default();
    let target = repository.branches.get(&pull.base);
    let theirs = if pull.is_fork { (99, "someone/web") } else { (ours, repository.name.as_str()) };
    let repo = |(id, name): (u64, &str)| json!({ "id": id, "full_name": name });
    Reply::json(
        200,
        &json!({
            "id": 1_000 + pull.number, "number": pull.number, "title": pull.title,
            "state": if pull.is_open { "open" } else { "closed" }, "merged": false,
            "user": { "id": 2, "login": pull.author, "full_name": "Ada Example" },
            "head": {
                "label": pull.branch, "ref": pull.branch, "sha": pull.head, "repo_id": theirs.0,
                "repo": repo(theirs),
            },
            "base": {
                "label": pull.base, "ref": pull.base, "sha": target, "repo_id": ours,
                "repo": repo((ours, &repository.name)),
            },
            "merge_base": target.and_then(|base| repository.merge_base(base, &pull.head)),
        }),
    )
}

fn status(status: &FakeStatus) -> Value {
    json!({
        "context": status.context, "status": status.state, "description": status.description,
        "target_url": status.url,
    })
}

fn post_status(repository: &mut FakeRepository, seen: &Seen, sha: &str) -> Reply {
    let body = seen.json();
    let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
    let state = text("state");
    if !matches!(state.as_str(), "pending" | "success" | "error" | "failure" | "warning" | "skipped") {
        return Reply::json(422, &json!({ "message": format!("state: {state}") }));
    }
    let Some(commit) = repository.commits.keys().find(|known| known.as_str() == sha).cloned() else {
        return Reply::status(404);
    };
    let url = body["target_url"].as_str().map(ToOwned::to_owned);
    let (context, description) = (text("context"), text("description"));
    let posted = FakeStatus { commit, context, state, description, url };
    let reply = Reply::json(201, &status(&posted));
    repository.statuses.push(posted);
    reply
}

fn hook(hook: &FakeHook) -> Value {
    let id: u64 = hook.id.parse().unwrap_or_default();
    json!({
        "id": id, "type": "gitea", "active": hook.is_active, "events": hook.events,
        "config": { "url": hook.url, "content_type": "json" }, "authorization_header": "",
    })
}

fn hooks(repository: &mut FakeRepository, seen: &Seen, rest: &[&str], url: &str) -> Reply {
    let body = seen.json();
    match (seen.method.as_str(), rest) {
        ("GET", []) => paged(seen, repository.hooks.iter().map(hook).collect(), url),
        ("POST", []) if body["type"].is_null() || body["config"]["url"].is_null() => {
            Reply::json(422, &json!({ "message": "[Type]: Required" }))
        }
        ("POST", []) => {
            let id = (1 + repository.hooks.len()).to_string();
            let mut made = FakeHook { id, ..FakeHook::default() };
            change_hook(&mut made, &body);
            let reply = Reply::json(201, &hook(&made));
            repository.hooks.push(made);
            reply
        }
        (method, [id]) => {
            let Some(at) = repository.hooks.iter().position(|hook| hook.id == **id) else {
                return Reply::status(404);
            };
            match method {
                "GET" => Reply::json(200, &hook(&repository.hooks[at])),
                "PATCH" => {
                    change_hook(&mut repository.hooks[at], &body);
                    Reply::json(200, &hook(&repository.hooks[at]))
                }
                "DELETE" => {
                    repository.hooks.remove(at);
                    Reply::status(204)
                }
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
