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
