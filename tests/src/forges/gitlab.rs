//! GitLab's REST API v4, as far as a CI system asks it (GitLab Docs, "REST API resources").
//!
//! Projects by number or encoded path, repository files and trees, branches, tags, commits, comparisons,
//! merge requests, commit statuses, and project webhooks with the rules by which GitLab disables them.

use jiff::{SignedDuration, Timestamp};
use pushway_core::ids::CommitSha;
use pushway_core::source::Provider;
use serde_json::{Value, json};

use super::reply::{page, unauthorized};
use super::{FakeHook, FakeRepository, FakeStatus, Reply, Seen};

pub(super) fn answer(repository: &mut FakeRepository, seen: &Seen, token: &str, url: &str) -> Reply {
    let is_known = seen.header("private-token") == token
        || seen.header("authorization").strip_prefix("Bearer ") == Some(token);
    if !is_known {
        return unauthorized(Provider::Gitlab);
    }
    let segments = seen.segments();
    let parts: Vec<&str> = segments.iter().map(String::as_str).collect();
    let ["projects", project, rest @ ..] = &parts[..] else { return missing("404 Not Found") };
    // "Namespaced paths": the path is one segment, its slash encoded.
    if *project != repository.name && *project != repository.id {
        return missing("404 Project Not Found");
    }
    match (seen.method.as_str(), rest) {
        ("GET", []) => Reply::json(200, &described(repository, url)),
        ("GET", ["repository", "files", path, "raw"]) => file(repository, seen, path, true),
        ("GET", ["repository", "files", path]) => file(repository, seen, path, false),
        ("GET", ["repository", "tree"]) => tree(repository, seen, url),
        ("GET", ["repository", "branches"]) => branches(repository, seen, url),
        ("GET", ["repository", "branches", name]) => match repository.branches.get(*name) {
            Some(sha) => Reply::json(200, &branch(repository, name, sha)),
            None => missing("404 Branch Not Found"),
        },
        ("GET", ["repository", "tags", name]) => match repository.tags.get(*name) {
            Some(sha) => {
                let target = repository.tag_objects.get(*name).unwrap_or(sha);
                let tag = json!({ "name": name, "target": target, "commit": commit(repository, sha) });
                Reply::json(200, &tag)
            }
            None => missing("404 Tag Not Found"),
        },
        ("GET", ["repository", "commits"]) => commits(repository, seen),
        ("GET", ["repository", "commits", name]) => match repository.resolve(name) {
            Some(sha) => Reply::json(200, &commit(repository, sha)),
            None => missing("404 Commit Not Found"),
        },
        ("GET", ["repository", "commits", name, "statuses"]) => {
            let of = |status: &&FakeStatus| status.commit.as_str() == *name;
            Reply::json(200, &repository.statuses.iter().filter(of).map(status).collect())
        }
        ("GET", ["repository", "compare"]) => compare(repository, seen),
        ("GET", ["merge_requests", number]) => merge_request(repository, number),
        ("POST", ["statuses", sha]) => post_status(repository, seen, sha),
        (_, ["hooks", rest @ ..]) => hooks(repository, seen, rest),
        _ => missing("404 Not Found"),
    }
}

fn missing(message: &str) -> Reply {
    Reply::json(404, &json!({ "message": message }))
}

fn described(repository: &FakeRepository, url: &str) -> Value {
    let id: u64 = repository.id.parse().unwrap_or_default();
    json!({
        "id": id, "name": repository.name.rsplit('/').next(), "path_with_namespace": repository.name,
        "default_branch": repository.default_branch, "visibility": "private",
        "http_url_to_repo": repository.clone_url(url), "web_url": format!("{url}/{}", repository.name),
    })
}

fn commit(repository: &FakeRepository, sha: &CommitSha) -> Value {
    let commit = &repository.commits[sha];
    json!({
        "id": sha, "short_id": sha.short(), "title": commit.message.lines().next(),
        "message": commit.message, "author_name": commit.author, "author_email": "ada@example.com",
        "created_at": "2026-11-20T09:12:20.000+00:00", "parent_ids": commit.parents,
    })
}

fn branch(repository: &FakeRepository, name: &str, sha: &CommitSha) -> Value {
    json!({
        "name": name, "commit": commit(repository, sha), "merged": false, "protected": false,
        "default": name == repository.default_branch,
    })
}

fn file(repository: &FakeRepository, seen: &Seen, path: &str, is_raw: bool) -> Reply {
    use base64::Engine as _;
    let name = seen.parameter("ref").unwrap_or(&repository.default_branch);
    let Some(at) = repository.resolve(name) else { return missing("404 Commit Not Found") };
    let Some(text) = repository.file(at, path) else { return missing("404 File Not Found") };
    if is_raw {
        return Reply::raw(text.as_bytes().to_vec(), "text/plain; charset=utf-8")
            .with("x-gitlab-file-path", path)
            .with("x-gitlab-commit-id", at.as_str())
            .with("x-gitlab-size", &text.len().to_string());
    }
    let content = base64::engine::general_purpose::STANDARD.encode(text);
    Reply::json(
        200,
        &json!({
            "file_name": path.rsplit('/').next(), "file_path": path, "size": text.len(), "encoding": "base64",
            "content": content, "ref": name, "commit_id": at,
        }),
    )
}

/// "Offset-based pagination": numbers in headers, and links.
fn paged(seen: &Seen, items: Vec<Value>, url: &str) -> Reply {
    let (number, size) = (seen.number("page", 1), seen.number("per_page", 20).min(100));
    let total = items.len();
    let (items, is_more) = page(items, number, size);
    let next = if is_more { (number + 1).to_string() } else { String::new() };
    let reply = Reply::json(200, &json!(items))
        .tagged(seen)
        .with("x-page", &number.to_string())
        .with("x-per-page", &size.to_string())
        .with("x-total", &total.to_string())
        .with("x-next-page", &next);
    let link = format!("<{url}/api/v4/{}?page={}&per_page={size}>; rel=\"next\"", seen.path, number + 1);
    if is_more { reply.with("link", &link) } else { reply }
}

fn tree(repository: &FakeRepository, seen: &Seen, url: &str) -> Reply {
    let name = seen.parameter("ref").unwrap_or(&repository.default_branch);
    let path = seen.parameter("path").unwrap_or_default();
    let entries = repository.resolve(name).and_then(|at| repository.folder(at, path));
    let Some(entries) = entries else { return missing("404 invalid revision or path Not Found") };
    let entry = |(path, is_folder): (String, bool)| {
        json!({
            "id": "0".repeat(40), "name": path.rsplit('/').next(), "path": path,
            "type": if is_folder { "tree" } else { "blob" }, "mode": if is_folder { "040000" } else { "100644" },
        })
    };
    paged(seen, entries.into_iter().map(entry).collect(), url)
}

fn branches(repository: &FakeRepository, seen: &Seen, url: &str) -> Reply {
    let all = repository.branches.iter().map(|(name, sha)| branch(repository, name, sha));
    paged(seen, all.collect(), url)
}

/// "List repository commits" of a revision range, newest first; a range that git can't read lists nothing.
fn commits(repository: &FakeRepository, seen: &Seen) -> Reply {
    let ends = seen.parameter("ref_name").and_then(|range| range.split_once(".."));
    let ends = ends.and_then(|(from, to)| Some((repository.resolve(from)?, repository.resolve(to)?)));
    let mut ahead = ends.map(|(from, to)| repository.ahead(from, to)).unwrap_or_default();
    ahead.reverse();
    let shown = ahead.into_iter().take(seen.number("per_page", 20)).map(|sha| commit(repository, sha));
    Reply::json(200, &shown.collect())
}

fn compare(repository: &FakeRepository, seen: &Seen) -> Reply {
    let end = |name: &str| seen.parameter(name).and_then(|text| repository.resolve(text));
    let (Some(from), Some(to)) = (end("from"), end("to")) else { return missing("404 Ref Not Found") };
    let is_straight = seen.parameter("straight") == Some("true");
    let base = if is_straight { Some(from) } else { repository.merge_base(from, to) };
    let Some(base) = base else { return missing("404 Ref Not Found") };
    let diff = |change: &super::Change<'_>| {
        json!({
            "old_path": change.old.or(change.new), "new_path": change.new.or(change.old),
            "a_mode": "100644", "b_mode": "100644", "diff": "@@ -1 +1 @@\n",
            "new_file": change.word() == "added", "renamed_file": change.word() == "renamed",
            "deleted_file": change.word() == "removed",
        })
    };
    let commits: Vec<Value> =
        repository.ahead(from, to).into_iter().map(|sha| commit(repository, sha)).collect();
    let changes = repository.changes(base, to);
    // Where comparing takes too long, the answer says so and lists nothing.
    let shown = if repository.compare_times_out { &[] } else { changes.as_slice() };
    let diffs: Vec<Value> = shown.iter().map(diff).collect();
    Reply::json(
        200,
        &json!({
            "commit": commits.last(), "commits": commits, "diffs": diffs,
            "compare_timeout": repository.compare_times_out, "compare_same_ref": from == to,
        }),
    )
}

fn merge_request(repository: &FakeRepository, number: &str) -> Reply {
    let Some(pull) = repository.pulls.iter().find(|pull| pull.number.to_string() == number) else {
        return missing("404 Not found");
    };
    let ours: u64 = repository.id.parse().unwrap_or_default();
    let target = repository.branches.get(&pull.base);
    let base = target.and_then(|base| repository.merge_base(base, &pull.head));
    Reply::json(
        200,
        &json!({
            "id": 1_000 + pull.number, "iid": pull.number, "project_id": ours, "title": pull.title,
            "state": if pull.is_open { "opened" } else { "closed" }, "sha": pull.head,
            "source_branch": pull.branch, "target_branch": pull.base,
            "source_project_id": if pull.is_fork { 99 } else { ours }, "target_project_id": ours,
            "author": { "id": 2, "username": pull.author, "name": "Ada Example" },
            "diff_refs": { "base_sha": base, "head_sha": pull.head, "start_sha": target },
        }),
    )
}

fn status(status: &FakeStatus) -> Value {
    json!({
        "id": 93, "sha": status.commit, "name": status.context, "status": status.state,
        "description": status.description, "target_url": status.url,
    })
}

fn post_status(repository: &mut FakeRepository, seen: &Seen, sha: &str) -> Reply {
    let body = seen.json();
    // Parameters may come in the body or in the query.
    let text = |name: &str| {
        let given = body[name].as_str().or(seen.parameter(name));
        given.map(ToOwned::to_owned)
    };
    let state = text("state").unwrap_or_default();
    let is_state =
        matches!(state.as_str(), "pending" | "running" | "success" | "failed" | "canceled" | "skipped");
    if !is_state {
        return Reply::json(400, &json!({ "error": "state does not have a valid value" }));
    }
    let Some(commit) = repository.commits.keys().find(|known| known.as_str() == sha).cloned() else {
        return missing("404 Commit Not Found");
    };
    let context = text("name").or(text("context")).unwrap_or_else(|| "default".to_owned());
    let mut earlier = repository.statuses.iter().rev();
    let earlier = earlier.find(|status| status.commit == commit && status.context == context);
    if earlier.is_some_and(|earlier| earlier.state == state) {
        let reason = format!(
            "Cannot transition status via :enqueue from :{state} (Reason(s): Status cannot transition via \"enqueue\")"
        );
        return Reply::json(400, &json!({ "message": reason }));
    }
    let posted = FakeStatus {
        commit,
        context,
        state,
        description: text("description").unwrap_or_default(),
        url: text("target_url"),
    };
    let reply = Reply::json(201, &status(&posted));
    repository.statuses.push(posted);
    reply
}

fn hook(hook: &FakeHook, now: Timestamp) -> Value {
    let id: u64 = hook.id.parse().unwrap_or_default();
    let listens = |event: &str| hook.events.iter().any(|known| known == event);
    let alert = match hook.disabled_until {
        _ if !hook.is_active => "disabled",
        Some(until) if until > now => "temporarily_disabled",
        _ => "executable",
    };
    json!({
        "id": id, "url": hook.url, "name": null, "project_id": 42, "push_events": listens("push_events"),
        "tag_push_events": listens("tag_push_events"),
        "merge_requests_events": listens("merge_requests_events"), "enable_ssl_verification": true,
        "alert_status": alert, "disabled_until": hook.disabled_until.filter(|until| *until > now),
        "created_at": "2026-11-20T09:00:00.000Z",
    })
}

fn hooks(repository: &mut FakeRepository, seen: &Seen, rest: &[&str]) -> Reply {
    let now = Timestamp::now();
    let body = seen.json();
    match (seen.method.as_str(), rest) {
        ("GET", []) => Reply::json(200, &repository.hooks.iter().map(|known| hook(known, now)).collect()),
        ("POST", []) => {
            let id = (10 + repository.hooks.len()).to_string();
            let events = vec!["push_events".into()];
            let mut made = FakeHook { id, is_active: true, events, ..FakeHook::default() };
            change_hook(&mut made, &body);
            let reply = Reply::json(201, &hook(&made, now));
            repository.hooks.push(made);
            reply
        }
        (method, [id]) => {
            let Some(at) = repository.hooks.iter().position(|hook| hook.id == **id) else {
                return missing("404 Not found");
            };
            match method {
                "GET" => Reply::json(200, &hook(&repository.hooks[at], now)),
                "PUT" if !body["url"].is_string() => Reply::json(400, &json!({ "error": "url is missing" })),
                "PUT" => {
                    change_hook(&mut repository.hooks[at], &body);
                    Reply::json(200, &hook(&repository.hooks[at], now))
                }
                "DELETE" => {
                    repository.hooks.remove(at);
                    Reply::status(204)
                }
                _ => missing("404 Not Found"),
            }
        }
        _ => missing("404 Not Found"),
    }
}

fn change_hook(hook: &mut FakeHook, body: &Value) {
    let text = |name: &str| body[name].as_str().map(ToOwned::to_owned);
    hook.url = text("url").unwrap_or_else(|| hook.url.clone());
    hook.secret = text("token").or(text("signing_token")).or_else(|| hook.secret.clone());
    for event in ["push_events", "tag_push_events", "merge_requests_events"] {
        match body[event].as_bool() {
            Some(true) if !hook.events.iter().any(|known| known == event) => hook.events.push(event.into()),
            Some(false) => hook.events.retain(|known| known != event),
            _ => {}
        }
    }
}

/// What GitLab makes of an answer ("Auto-disabled webhooks"): after four failures in a row it waits a minute,
/// doubled with each further one up to a day; after 40 it sends nothing any more.
pub fn note_answer(hook: &mut FakeHook, status: u16, now: Timestamp) {
    hook.last_status = Some(status);
    if (200..300).contains(&status) {
        (hook.failures, hook.disabled_until) = (0, None);
        return;
    }
    hook.failures += 1;
    hook.is_active = hook.failures < 40;
    if let Some(over) = hook.failures.checked_sub(4) {
        let minutes = 1_i64.checked_shl(over).unwrap_or(i64::MAX).clamp(1, 24 * 60);
        hook.disabled_until = Some(now + SignedDuration::from_mins(minutes));
    }
}

/// Whether GitLab sends deliveries to the hook at this time.
pub fn sends(hook: &FakeHook, now: Timestamp) -> bool {
    hook.is_active && hook.disabled_until.is_none_or(|until| until <= now)
}
