//! What people ask of the API: the requests that are sent, and what is made of the answers.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};

use crate::aws::with_environment;
use crate::{Said, pushway, run, serve};

/// Method, path with query, key and body of a request.
type Seen = (String, String, String, Value);

const RUN: &str = "01890a5d-ac96-774b-bcce-b302099a8057";
const COMMIT: &str = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";

/// A run as lists show it.
fn summary() -> Value {
    json!({ "id": RUN, "pipeline": "web", "status": "rolled_back", "repository": "octo/web",
        "git_ref": "refs/heads/main", "commit": COMMIT, "message": "fix\u{1b}[2J", "author": "Ada",
        "received_at": "2026-11-01T00:00:00Z", "updated_at": "2026-11-01T00:05:10Z", "duration_seconds": 310,
        "cause": null, "environments": [{ "name": "production", "state": "rolled_back" }],
        "environments_left_out": 2 })
}

/// A run as it is shown by itself, with the build of a check.
fn one_run() -> Value {
    let check = json!({ "check": 1, "attempt": 2, "build": "b:1", "before": [] });
    let environment = json!({ "name": "production", "needs_approval": false, "approval": null, "fence": 7, "rollout": null,
        "deployment": null, "deploy": null, "checks": [], "rollback": null, "outcome": null, "check_jobs": [check] });
    json!({ "id": RUN, "version": 3, "status": "deploying", "source": { "provider": "github", "hook": "octo.web",
        "delivery": "d-1", "repository_id": "42", "repository": "octo/web", "git_ref": "refs/heads/main",
        "commit": COMMIT, "before": null, "message": "fix", "author": "Ada" }, "pipeline": "web", "plan_digest": null,
        "jobs": [], "environments": [environment], "cause": null, "ignored_by": null, "superseded_by": null,
        "received_at": "2026-11-01T00:00:00Z", "updated_at": "2026-11-01T00:05:10Z", "over": false,
        "commit_url": "https://github.com/octo/web/commit/4b825dc6\u{1b}[2J" })
}

fn environment(name: &str) -> Value {
    json!({ "pipeline": "web", "name": name, "current": { "run": RUN, "git_ref": "refs/heads/main",
        "commit": COMMIT, "images": {}, "since": "2026-11-01T00:00:00Z" }, "lock": null, "queue": [RUN],
        "asking": [], "freeze": { "by": "ada", "reason": "sale", "since": "2026-11-01T00:00:00Z" },
        "protection": rule() })
}

fn rule() -> Value {
    json!({ "required": 2, "approvers": ["group:release\u{1b}[2J", "token:bot"], "by": "ada", "since": "2026-11-01T00:00:00Z" })
}

#[derive(Clone)]
struct Api {
    url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

async fn answer(State(seen): State<Arc<Mutex<Vec<Seen>>>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let header = |name: &str| parts.headers.get(name).map_or("", |value| value.to_str().unwrap()).to_owned();
    assert!(header("authorization").starts_with("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/"));
    let unsigned = |path: &str| path.strip_prefix("/iam").unwrap_or_else(|| panic!("{path}")).to_owned();
    let (method, path) = (parts.method.to_string(), unsigned(parts.uri.path()));
    let whole = unsigned(&parts.uri.to_string());
    seen.lock().unwrap().push((method.clone(), whole, header("idempotency-key"), body));
    let value = match (method.as_str(), path.as_str()) {
        ("GET", "/v1/repositories") => json!({ "repositories": [
            { "provider": "github", "hook": "octo.web", "repository": "octo/web", "default_branch": "trunk",
              "webhook": { "state": "failing", "reason": "502 \u{1b}[2Jno" }, "reconciled_at": null,
              "problem": null, "old_secret_until": null },
        ]}),
        ("GET", "/v1/explain/delivery" | "/v1/explain/ref") => json!({ "explanations": [
            { "run": null, "pipeline": null, "status": null, "trigger": "a delivery", "because": "ignored: ping" },
        ]}),
        ("GET", "/v1/runs/01890a5d-ac96-774b-bcce-b302099a8057") => one_run(),
        ("GET", path) if path.ends_with("/jobs") => json!({ "jobs": [], "checks": [
            { "job": { "stage": "check", "name": "0-1-smoke" }, "attempt": 2, "build": "b:1", "started_at": null, "end": null },
        ] }),
        ("GET", "/v1/runs") => json!({ "runs": [summary()], "next": "c2" }),
        ("GET", "/v1/pipelines") => json!({ "pipelines": [{ "name": "web", "provider": "github",
            "repository": "octo/web", "last_run": summary(), "environments": ["production", "staging"] }], "next": null }),
        // Two pages of one environment each.
        ("GET", "/v1/environments") => {
            if parts.uri.query().is_some_and(|query| query.contains("cursor=e2")) {
                json!({ "environments": [environment("staging")], "next": null })
            } else {
                json!({ "environments": [environment("production")], "next": "e2" })
            }
        }
        ("GET", "/v1/commits/4b825dc642cb6eb9a060e54bf8d69288fbee4904") => json!({ "commit": COMMIT,
            "runs": [summary()], "deployments": [{ "pipeline": "web", "environment": "production", "run": RUN,
            "since": "2026-11-01T00:00:00Z", "images": {}, "replaced": { "by": RUN, "commit": "b".repeat(40),
            "at": "2026-11-02T00:00:00Z" } }] }),
        ("GET", "/v1/environments/web/production") => {
            json!({ "pipeline": "web", "name": "production", "version": 1,
            "fence": 0, "holder": null, "queue": [], "current": null, "protection": rule() })
        }
        ("POST", path) if path.ends_with("/protect") => json!({ "protection": rule() }),
        ("POST", path) if path.ends_with("/unprotect") => json!({ "was": rule() }),
        ("POST", "/v1/explain") => json!({ "would": "reject", "because": "pushway.yml:1:1: no" }),
        ("POST", path) if path.ends_with("/stop") => json!({
            "run_id": path.split('/').nth(3), "status": "deploying", "over": false,
            "stop": { "by": "ada", "reason": "wrong \u{1b}[2Jbranch" }, "follows": ["staging goes back"],
        }),
        ("POST", path) if path.ends_with("/retry") => json!({
            "run_id": "01890a5d-ac96-774b-bcce-b302099a8058", "new": true, "of": path.split('/').nth(3),
            "from": "failed", "notes": ["it stays an older push"],
        }),
        ("POST", "/v1/runs") => json!({ "run_id": "r1", "new": true }),
        _ => json!({ "ignored": "no" }),
    };
    axum::Json(value).into_response()
}

impl Api {
    async fn start() -> Self {
        let seen = Arc::<Mutex<Vec<Seen>>>::default();
        let address = serve(Router::new().fallback(answer).with_state(Arc::clone(&seen))).await;
        Self { url: format!("http://{address}"), seen }
    }

    async fn ask(&self, words: &[&str]) -> (Said, Seen) {
        let mut command = pushway(words);
        command.args(["--url", &self.url]);
        let said = run(with_environment(&command, &[]), "").await;
        let last = self.seen.lock().unwrap().last().cloned().unwrap_or_else(|| panic!("{}", said.all()));
        (said, last)
    }
}

#[tokio::test]
async fn a_run_is_started_by_hand_on_the_default_branch_unless_told_otherwise() {
    let api = Api::start().await;
    let (said, (method, path, key, body)) =
        api.ask(&["start", "github", "octo/web", "--var", "REGION=eu=1"]).await;
    assert_eq!(
        (said.code, said.out.as_str(), method.as_str(), path.as_str()),
        (0, "r1\n", "POST", "/v1/runs")
    );
    assert_eq!(body["ref"], "refs/heads/trunk");
    assert_eq!(body["variables"], json!({ "REGION": "eu=1" }));
    assert_eq!(key.len(), 32);
    let (_, (.., other, body)) = api.ask(&["start", "github", "octo.web", "--ref", "refs/tags/v1"]).await;
    assert_eq!(body["ref"], "refs/tags/v1");
    assert_ne!(key, other, "two orders are two runs");

    let commit = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";
    let words = ["approve-fork", "github", "octo/web", "--pull-request", "42", "--commit", commit];
    let (said, (_, path, _, body)) = api.ask(&words).await;
    assert_eq!(path, "/v1/repositories/github/octo.web/pull-requests/42/approve");
    assert_eq!((said.code, body), (0, json!({ "commit": commit })));
}

#[tokio::test]
async fn runs_are_asked_for_by_every_filter_and_shown_with_what_became_of_them() {
    let api = Api::start().await;
    let words = [
        "runs",
        "--pipeline",
        "web",
        "--branch",
        "a&b",
        "--commit",
        COMMIT,
        "--author",
        "Ada L",
        "--status",
        "rolled_back",
        "--environment",
        "production",
        "--since",
        "2026-11-01",
        "--until",
        "2026-11-02T00:00:00Z",
        "--limit",
        "5",
        "--cursor",
        "c1",
    ];
    let (said, (_, path, ..)) = api.ask(&words).await;
    assert_eq!(
        path,
        format!(
            "/v1/runs?limit=5&pipeline=web&branch=a%26b&commit={COMMIT}&author=Ada+L&status=rolled_back\
             &environment=production&since=2026-11-01T00%3A00%3A00Z&until=2026-11-02T00%3A00%3A00Z&cursor=c1"
        )
    );
    for told in
        ["rolled_back", "main 4b825dc6", "5 min 10 s", "2 more, production rolled_back", r"fix\u{1b}[2J"]
    {
        assert!(said.out.contains(told), "{told}: {}", said.out);
    }
    assert!(said.code == 0 && said.err.contains("--cursor c2"), "{}", said.err);
    let (said, _) = api.ask(&["runs", "--json"]).await;
    let page: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!((&page["next"], &page["runs"][0]["id"]), (&json!("c2"), &json!(RUN)));
    // A wrong filter is a wrong command line.
    for wrong in [
        ["--status", "happy"],
        ["--since", "yesterday"],
        ["--since", "2026-11-01T12:00"],
        ["--commit", "4b825dc6"],
        ["--pipeline", "A#B"],
    ] {
        let words: Vec<&str> = ["runs"].into_iter().chain(wrong).collect();
        assert_eq!(crate::run(pushway(&words), "").await.code, 2, "{wrong:?}");
    }
}

#[tokio::test]
async fn a_run_tells_where_its_forge_shows_it_and_under_which_names_its_checks_have_logs() {
    let api = Api::start().await;
    let (said, _) = api.ask(&["run", "show", RUN]).await;
    for told in [
        "at       https://github.com/octo/web/commit/4b825dc6\\u{1b}[2J\n",
        "check/0-1-smoke          running (attempt 2)",
    ] {
        assert!(said.out.contains(told), "{told}: {}", said.all());
    }
    let path = format!("/v1/runs/{RUN}/jobs");
    assert!(api.seen.lock().unwrap().iter().any(|(_, asked, ..)| *asked == path));
}

#[tokio::test]
async fn what_is_deployed_where_is_told_of_environments_pipelines_and_commits() {
    let api = Api::start().await;
    let (said, (_, path, ..)) = api.ask(&["env", "ls", "--pipeline", "web"]).await;
    assert_eq!(path, "/v1/environments?pipeline=web&limit=100&cursor=e2");
    for told in [
        "production",
        "staging",
        "main 4b825dc6",
        "frozen by ada: sale; 1 queued; every deploy takes 2 approvals by group:release\\u{1b}[2J, token:bot",
    ] {
        assert!(said.out.contains(told), "{told}: {}", said.out);
    }
    let (said, _) = api.ask(&["env", "ls", "--json"]).await;
    assert_eq!(serde_json::from_str::<Value>(&said.out).unwrap().as_array().unwrap().len(), 2);
    let (said, _) = api.ask(&["pipelines"]).await;
    assert!(said.out.contains("github octo/web") && said.out.contains("production, staging"), "{}", said.out);
    let (said, (_, path, ..)) = api.ask(&["commit", COMMIT]).await;
    assert_eq!(path, format!("/v1/commits/{COMMIT}"));
    assert!(
        said.out.contains("by bbbbbbbb (run 01890a5d") && said.out.contains("rolled_back"),
        "{}",
        said.out
    );
}

#[tokio::test]
async fn who_must_consent_is_said_shown_and_taken_back() {
    let api = Api::start().await;
    let words = "every deploy takes 2 approvals by group:release\\u{1b}[2J, token:bot";
    let protect =
        ["env", "protect", "web", "production", "--required", "2", "--approver", "group:release\u{1b}[2J"];
    let (said, (method, path, key, body)) =
        api.ask(&[&protect[..], &["--approver", "token:bot"]].concat()).await;
    assert_eq!((method.as_str(), path.as_str()), ("POST", "/v1/environments/web/production/protect"));
    assert_eq!((key.len(), body), (32, json!({ "required": 2, "approvers": rule()["approvers"] })));
    assert_eq!(said.out, format!("{words}\n"), "{}", said.all());
    let (_, (.., body)) = api.ask(&["env", "protect", "web", "production"]).await;
    assert_eq!(body, json!({ "required": 1, "approvers": [] }));
    let (said, _) = api.ask(&["env", "show", "web", "production"]).await;
    assert!(
        said.out.contains(&format!("rule     since 2026-11-01T00:00:00Z by ada: {words}\n")),
        "{}",
        said.out
    );
    let (said, (_, path, ..)) = api.ask(&["env", "unprotect", "web", "production"]).await;
    assert_eq!(path, "/v1/environments/web/production/unprotect");
    assert_eq!(said.out, format!("no longer protected (it was by ada: {words})\n"));
    for wrong in ["0", "11", "two"] {
        let command = ["env", "protect", "web", "production", "--required", wrong];
        assert_eq!(crate::run(pushway(&command), "").await.code, 2, "{wrong}");
    }
}

#[tokio::test]
async fn repositories_and_reasons_are_shown_to_people_and_to_programs() {
    let api = Api::start().await;
    let (said, _) = api.ask(&["repos"]).await;
    assert!(said.out.contains(r"failing: 502 \u{1b}[2Jno") && said.out.contains("never"), "{}", said.out);
    let (said, _) = api.ask(&["repos", "--json"]).await;
    assert_eq!(serde_json::from_str::<Value>(&said.out).unwrap()[0]["hook"], "octo.web");

    let (said, (_, path, ..)) = api.ask(&["explain", "--delivery", "d-1", "--repo", "github/octo/web"]).await;
    assert_eq!(path, "/v1/explain/delivery?provider=github&hook=octo.web&delivery=d-1");
    assert!(said.out.contains("because  ignored: ping"), "{}", said.out);
    let (_, (_, path, ..)) = api.ask(&["explain", "--branch", "a&b", "--repo", "github/octo.web"]).await;
    assert!(path.ends_with("ref=refs%2Fheads%2Fa%26b"), "{path}");

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pushway.yml");
    std::fs::write(&file, "version: 2").unwrap();
    let run = "01890a5d-ac96-774b-bcce-b302099a8057";
    let (said, (.., body)) = api.ask(&["explain", "--run", run, "--file", file.to_str().unwrap()]).await;
    assert_eq!((said.code, body["run"].as_str(), body["file"].as_str()), (1, Some(run), Some("version: 2")));

    // A command line that asks for nothing is wrong, and says so by its code.
    assert_eq!(crate::run(pushway(&["explain", "--repo", "github/octo/web"]), "").await.code, 2);
}

#[tokio::test]
async fn a_run_is_stopped_and_retried() {
    let api = Api::start().await;
    let run = "01890a5d-ac96-774b-bcce-b302099a8057";
    let (said, (method, path, key, body)) = api.ask(&["run", "stop", run, "--reason", "wrong branch"]).await;
    assert_eq!((method.as_str(), path.as_str()), ("POST", format!("/v1/runs/{run}/stop").as_str()));
    assert_eq!((said.code, key.len(), body), (0, 32, json!({ "reason": "wrong branch" })), "{}", said.all());
    assert_eq!(said.out, "stopped by ada: wrong \\u{1b}[2Jbranch\nstaging goes back\n");
    assert!(said.all().contains(&format!("pushway run watch {run}")), "{}", said.all());
    assert_eq!(crate::run(pushway(&["run", "stop", run]), "").await.code, 2, "a stop has a reason");

    for (words, from) in
        [(&["run", "retry", run][..], "start"), (&["run", "retry", run, "--from-failed"], "failed")]
    {
        let (said, (_, path, _, body)) = api.ask(words).await;
        assert_eq!((path, body), (format!("/v1/runs/{run}/retry"), json!({ "from": from })));
        assert_eq!((said.code, said.out.as_str()), (0, "01890a5d-ac96-774b-bcce-b302099a8058\n"));
        assert!(said.all().contains("it stays an older push"), "{}", said.all());
    }
}
