//! A run is followed to its end, whatever the network does meanwhile, and what is written stays JSON; and which
//! installation is asked where several are named.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};

use crate::{Said, run, serve};

const RUN: &str = "01890a5d-ac96-774b-bcce-b302099a8057";
const COMMIT: &str = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";
/// What nobody must see raw: a right-to-left mark, DEL, and the C1 form of an escape sequence's beginning.
const EVIL: &str = "\u{200f}\u{7f}\u{9b}31m";

fn source() -> Value {
    json!({ "provider": "git", "hook": "web", "delivery": "d", "repository_id": "web", "repository": "web",
        "git_ref": "refs/heads/main", "commit": COMMIT, "before": null, "message": EVIL, "author": "Ada" })
}

fn ended(status: &str) -> Value {
    let approval = json!({ "request": { "digest": "0123456789abcdef", "required": 1,
        "deadline": "2026-11-25T12:00:00Z", "images": {}, "serving": null, "pushes": [] }, "given": [], "refusal": null });
    let environment = json!({ "name": "production", "fence": null, "rollout": null, "deployment": null,
        "deploy": null, "checks": [], "rollback": null, "needs_approval": true, "approval": approval });
    let taken = json!({ "job": { "stage": "build", "name": "image" }, "attempt": 0, "build": null,
        "end": { "failure": null, "will_retry": false, "started_at": null, "ended_at": null }, "taken_from": RUN });
    json!({ "id": RUN, "version": 1, "status": status, "received_at": "2026-11-01T00:00:00Z",
        "updated_at": "2026-11-01T00:00:00Z", "source": source(), "pipeline": "web", "plan_digest": null,
        "jobs": [taken], "environments": [environment], "cause": null, "ignored_by": null, "over": status != "deploying" })
}

/// An API that answers so many requests with 503 first.
#[derive(Clone)]
struct Api {
    url: String,
    status: &'static str,
    ill: Arc<AtomicUsize>,
}

async fn answer(State(api): State<Api>, request: Request) -> Response {
    let is_ill = api.ill.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
    if is_ill {
        return (StatusCode::SERVICE_UNAVAILABLE, "no").into_response();
    }
    let path = request.uri().path();
    let received =
        json!({ "seq": 0, "at": "2026-11-01T00:00:00Z", "fact": { "fact": "received", "source": source() } });
    axum::Json(match path {
        _ if path.ends_with("/journal") => json!({ "journal": [received] }),
        _ if path.ends_with("/retry") => {
            json!({ "run_id": RUN, "new": true, "of": RUN, "from": "start", "notes": [] })
        }
        _ if path.ends_with("/log") => {
            json!({ "lines": [{ "at": "2026-11-01T00:00:00Z", "text": "\u{1b}[32mok\u{1b}[0m \u{1b}[2J\n" }],
            "next": "x", "over": true })
        }
        _ if path == format!("/v1/runs/{RUN}") => ended(api.status),
        _ => return (StatusCode::NOT_FOUND, axum::Json(json!({ "detail": "nothing" }))).into_response(),
    })
    .into_response()
}

impl Api {
    async fn start(status: &'static str, ill: usize) -> Self {
        let mut api = Self { url: String::new(), status, ill: Arc::new(AtomicUsize::new(ill)) };
        api.url = format!("http://{}", serve(Router::new().fallback(answer).with_state(api.clone())).await);
        api
    }

    async fn ask(&self, words: &[&str]) -> Said {
        let mut command = std::process::Command::new("env");
        command.arg("PUSHWAY_TOKEN=t").arg(env!("CARGO_BIN_EXE_pushway"));
        command.args(words).args(["--url", &self.url]);
        run(command, "").await
    }
}

#[tokio::test]
async fn a_network_that_fails_for_a_while_is_not_a_run_that_failed() {
    // More than one question is tried; so the watch itself goes on.
    let api = Api::start("succeeded", 6).await;
    let said = api.ask(&["run", "watch", RUN]).await;
    assert_eq!(said.code, 0, "{}", said.all());
    assert!(said.err.contains("answered 503") && said.err.contains("answers again"), "{}", said.err);
    assert!(said.out.contains("received"), "{}", said.out);
    let api = Api::start("failed", 1).await;
    let said = api.ask(&["run", "watch", RUN]).await;
    assert_eq!((said.code, said.err.as_str()), (1, ""), "{}", said.out);
    // What can't be seen has a code of its own, whoever is to blame.
    let said = api.ask(&["run", "watch", "01890a5d-ac96-774b-bcce-b302099a8058"]).await;
    assert_eq!(said.code, 3, "{}", said.all());
    assert!(said.err.contains("could not be seen: the API answered 404: nothing"), "{}", said.err);
    // Whatever else is read is tried again, too.
    let api = Api::start("failed", 2).await;
    assert_eq!(api.ask(&["run", "show", RUN]).await.code, 0);
}

#[tokio::test]
async fn a35_json_is_json_line_by_line_and_steers_no_terminal() {
    let api = Api::start("succeeded", 0).await;
    for (words, lines) in [(vec!["run", "watch", RUN], 1), (vec!["run", "retry", RUN, "--watch"], 2)] {
        let said = api.ask(&[words.as_slice(), &["--json"]].concat()).await;
        let told: Vec<Value> = said.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!((said.code, told.len()), (0, lines), "{}", said.all());
        assert_eq!(told[lines - 1]["fact"]["source"]["message"], EVIL);
        assert!(!said.out.contains(['\u{200f}', '\u{7f}', '\u{9b}']), "{}", said.out);
    }
    let said = api.ask(&["run", "show", RUN, "--json"]).await;
    assert_eq!(serde_json::from_str::<Value>(&said.out).unwrap()["source"]["message"], EVIL);
    assert!(!said.out.contains(['\u{200f}', '\u{7f}', '\u{9b}']), "{}", said.out);
}

#[tokio::test]
async fn a35_logs_are_read_without_colours_unless_someone_wants_them_raw() {
    let api = Api::start("succeeded", 0).await;
    let log = ["run", "logs", RUN, "test", "unit"];
    assert_eq!(api.ask(&log).await.out, "ok \\u{1b}[2J\n");
    assert_eq!(api.ask(&[&log[..], &["--raw"]].concat()).await.out, "\u{1b}[32mok\u{1b}[0m \u{1b}[2J\n");
    let line: Value = serde_json::from_str(&api.ask(&[&log[..], &["--json"]].concat()).await.out).unwrap();
    assert_eq!(line["text"], "\u{1b}[32mok\u{1b}[0m \u{1b}[2J\n");
}

#[tokio::test]
async fn an_ended_run_waits_for_nobody_and_a_running_one_says_what_to_type() {
    let shown = async |status| Api::start(status, 0).await.ask(&["run", "show", RUN]).await.out;
    let stopped = shown("stopped").await;
    assert!(
        stopped.contains("ended before it was approved") && !stopped.contains("pushway approve"),
        "{stopped}"
    );
    assert!(stopped.contains(&format!("succeeded in run {RUN}")), "{stopped}");
    let waiting = shown("deploying").await;
    assert!(waiting.contains(&format!("0 of 1); pushway approve {RUN} production")), "{waiting}");
}

#[tokio::test]
async fn a_flag_goes_before_the_environment_and_orders_say_where_they_go() {
    let api = Api::start("succeeded", 0).await;
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("pushway");
    std::fs::create_dir(&config).unwrap();
    let profile = format!("[profiles.mine]\nurl = \"{}\"\ntoken = \"t\"\n", api.url);
    std::fs::write(config.join("config.toml"), profile).unwrap();
    let own = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(config.join("config.toml"), own).unwrap();
    let nobody = "http://127.0.0.1:1";
    let ask = async |variables: &[&str], words: &[&str]| {
        let mut command = std::process::Command::new("env");
        command.arg(format!("XDG_CONFIG_HOME={}", folder.path().display())).args(variables);
        command.arg(env!("CARGO_BIN_EXE_pushway")).args(words).current_dir(folder.path());
        run(command, "").await
    };
    let by_url = format!("PUSHWAY_URL={nobody}");
    let said = ask(&[&by_url], &["run", "retry", RUN, "--profile", "mine"]).await;
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(said.err.starts_with(&format!("to {}/ (profile mine)\n", api.url)), "{}", said.err);
    let said =
        ask(&["PUSHWAY_PROFILE=none", "PUSHWAY_TOKEN=t"], &["run", "show", RUN, "--url", &api.url]).await;
    assert_eq!(said.code, 0, "{}", said.err);
    for (variables, words) in [
        (vec![by_url.as_str(), "PUSHWAY_PROFILE=mine"], vec!["runs"]),
        (vec![], vec!["runs", "--profile", "mine", "--url", nobody]),
    ] {
        let said = ask(&variables, &words).await;
        assert!(said.code == 1 && said.err.contains("give one of them"), "{}", said.all());
    }
    // Nobody answers there, and the reason is told.
    let said = ask(&["PUSHWAY_TOKEN=t"], &["whoami", "--url", nobody]).await;
    assert!(said.code == 1 && said.err.to_lowercase().contains("connection refused"), "{}", said.err);
}

#[tokio::test]
async fn a_laptop_engine_that_is_broken_sends_no_order_elsewhere() {
    let api = Api::start("succeeded", 0).await;
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("pushway");
    std::fs::create_dir(&config).unwrap();
    std::fs::write(
        config.join("config.toml"),
        format!("[profiles.default]\nurl = \"{}\"\ntoken = \"t\"\n", api.url),
    )
    .unwrap();
    let own = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(config.join("config.toml"), own).unwrap();
    let ask = async || {
        let mut command = std::process::Command::new("env");
        command.arg(format!("XDG_CONFIG_HOME={}", folder.path().display()));
        command.arg(env!("CARGO_BIN_EXE_pushway")).args(["run", "retry", RUN]).current_dir(folder.path());
        run(command, "").await
    };
    let said = ask().await;
    assert!(said.code == 0 && said.err.contains("(profile default)"), "{}", said.all());
    // One that was killed, and so counts as crashed.
    let engine = folder.path().join(".pushway/local");
    std::fs::create_dir_all(&engine).unwrap();
    let state = json!({ "phase": "starting", "supervisor": { "pid": 0, "started": 0 }, "children": [] });
    std::fs::write(engine.join("engine.json"), state.to_string()).unwrap();
    let said = ask().await;
    assert!(said.code == 1 && said.err.contains("laptop engine is not running"), "{}", said.all());
}
