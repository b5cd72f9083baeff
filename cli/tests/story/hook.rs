//! Pushes to a plain git server whose installation is away for a while.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use pushway_core::delivery::{Delivery, Push, read};
use pushway_core::signature::{Secret, verify};
use pushway_core::source::Provider;
use serde_json::json;

use crate::{git, pushway, run, serve};

#[derive(Default)]
struct Installation {
    is_away: bool,
    taken: Vec<Push>,
}

type Shared = Arc<Mutex<Installation>>;

async fn take(State(at): State<Shared>, headers: HeaderMap, body: Bytes) -> Response {
    let mut at = at.lock().unwrap();
    if at.is_away {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let header = |name: &str| headers.get(name).map_or("", |value| value.to_str().unwrap());
    let secret = Secret::new("hunter2").unwrap();
    verify(Provider::Git, &secret, header, &body, jiff::Timestamp::now()).unwrap();
    let Delivery::Pushes(pushes) = read(Provider::Git, header, &body).unwrap() else { panic!("no push") };
    at.taken.extend(pushes);
    axum::Json(json!({ "run_id": "r1", "new": true })).into_response()
}

/// A bare repository, a clone of it, and the configuration of its hook.
pub(crate) struct Server {
    _folder: tempfile::TempDir,
    pub(crate) bare: PathBuf,
    pub(crate) work: PathBuf,
    pub(crate) config: PathBuf,
    at: Shared,
}

impl Server {
    pub(crate) async fn start() -> Self {
        let at = Shared::default();
        let address =
            serve(Router::new().route("/webhooks/git/web", post(take)).with_state(Arc::clone(&at))).await;
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let (bare, work, config) = (path("it's a web.git"), path("work"), path("web.json"));
        let new = |more: &[&str], at: &Path| {
            let mut words = vec!["init", "-q", "-b", "main"];
            words.extend(more);
            words.push(at.to_str().unwrap());
            git(folder.path(), &words)
        };
        assert_eq!(run(new(&["--bare"], &bare), "").await.code, 0);
        assert_eq!(run(new(&[], &work), "").await.code, 0);
        let url = format!("http://{address}/webhooks/git/web");
        let text = json!({ "url": url, "repository": "web", "secret": "hunter2" }).to_string();
        std::fs::write(&config, text).unwrap();
        std::fs::set_permissions(&config, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        Self { bare, work, config, at, _folder: folder }
    }

    async fn install(&self, more: &[&str]) -> crate::Said {
        let (bare, config) = (self.bare.to_str().unwrap(), self.config.to_str().unwrap());
        let mut words = vec!["hook", "install", "--repository", bare, "--config", config];
        words.extend(more);
        run(pushway(&words), "").await
    }

    /// Writes files, commits them and pushes the branch; gives what the pusher saw.
    pub(crate) async fn push(&self, branch: &str, files: &[(&str, &str)]) -> String {
        for (path, text) in files {
            let path = self.work.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let target = format!("HEAD:refs/heads/{branch}");
        let bare = self.bare.to_str().unwrap();
        let mut seen = String::new();
        for words in [&["add", "-A"][..], &["commit", "-qm", "work"], &["push", bare, &target]] {
            let said = run(git(&self.work, words), "").await;
            assert_eq!(said.code, 0, "git {words:?}: {}", said.all());
            seen.push_str(&said.err);
        }
        seen
    }

    pub(crate) fn taken(&self) -> Vec<Push> {
        self.at.lock().unwrap().taken.clone()
    }
}

pub(crate) const PIPELINE: &str = "version: 1\npipeline: web\non: { push: { branches: [main] } }\nbuild: { image: { buildspec: buildspec.yml } }\n";

#[tokio::test]
async fn a_push_while_the_installation_is_away_arrives_later_and_in_its_order() {
    let server = Server::start().await;
    assert_eq!(server.install(&[]).await.code, 0);
    server.at.lock().unwrap().is_away = true;
    let second = PIPELINE.replace("web", "nightly").replace("buildspec.yml", "ci/nightly.yml");
    let files = [
        ("pushway.yml", PIPELINE),
        ("buildspec.yml", "version: 0.2"),
        (".pushway/nightly.yml", &second),
        ("ci/nightly.yml", "version: 0.2 # nightly"),
        ("src/ü b.rs", ""),
    ];
    let seen = server.push("main", &files).await;
    assert!(seen.contains("not delivered yet") && seen.contains("in the background"), "{seen}");
    let spool = server.bare.join("pushway/spool");
    let kept = std::fs::read_dir(&spool).unwrap().map(|entry| std::fs::read(entry.unwrap().path()).unwrap());
    let kept = kept.map(|bytes| String::from_utf8(bytes).unwrap()).collect::<String>();
    assert!(kept.contains("refs/heads/main") && !kept.contains("hunter2"), "{kept}");

    server.at.lock().unwrap().is_away = false;
    let seen = server.push("main", &[("README.md", "hello")]).await;
    assert!(seen.contains("run r1 started for refs/heads/main"), "{seen}");
    let [first, second] = &server.taken()[..] else { panic!("both arrive, once each") };
    assert_eq!(second.before.as_ref(), Some(&first.commit));
    assert!(first.pushed_at < second.pushed_at);
    let carried: Vec<&str> = first.files.keys().map(pushway_core::ids::RepositoryPath::as_str).collect();
    assert_eq!(carried, [".pushway/nightly.yml", "buildspec.yml", "ci/nightly.yml", "pushway.yml"]);
    let changed: Vec<_> = second.history.iter().map(|commit| (&commit.commit, &commit.files[..])).collect();
    let all = [".pushway/nightly.yml", "buildspec.yml", "ci/nightly.yml", "pushway.yml", "src/ü b.rs"];
    let all = all.map(str::to_owned);
    assert_eq!(changed, [(&second.commit, &["README.md".to_owned()][..]), (&first.commit, &all[..])]);

    // What an approval shows of them later.
    assert!(second.history.iter().all(|commit| commit.author == second.author && !commit.author.is_empty()));
    let titles: Vec<_> = second.history.iter().map(|commit| commit.message.as_str()).collect();
    assert_eq!(titles, [&second.message, &first.message].map(|message| message.lines().next().unwrap()));

    let (bare, config) = (server.bare.to_str().unwrap(), server.config.to_str().unwrap());
    let flush = pushway(&["hook", "flush", "--repository", bare, "--config", config]);
    assert_eq!(run(flush, "").await.code, 0, "nothing is left");
}

#[tokio::test]
async fn a14_what_a_branch_or_file_is_called_is_never_run() {
    let server = Server::start().await;
    server.install(&[]).await;
    let name = "x;touch${IFS}pwned";
    let seen =
        server.push(name, &[("--output=pwned", ""), ("$(touch pwned)", ""), ("pushway.yml", PIPELINE)]).await;
    assert!(seen.contains("run r1 started"), "{seen}");
    let [push] = &server.taken()[..] else { panic!("one push arrives") };
    assert_eq!(push.git_ref.short(), name);
    assert_eq!(push.history[0].files, ["$(touch pwned)", "--output=pwned", "pushway.yml"]);
    assert!(!server.work.join("pwned").exists() && !server.bare.join("pwned").exists());
}

#[tokio::test]
async fn only_an_own_hook_is_replaced() {
    let server = Server::start().await;
    let hook = server.bare.join("hooks/post-receive");
    std::fs::create_dir_all(hook.parent().unwrap()).unwrap();
    std::fs::write(&hook, "#!/bin/sh\nmail-everyone\n").unwrap();
    let said = server.install(&[]).await;
    assert!(said.code == 1 && said.err.contains("--force"), "{}", said.all());
    assert!(std::fs::read_to_string(&hook).unwrap().contains("mail-everyone"));

    assert_eq!(server.install(&["--force"]).await.code, 0);
    let kept = std::fs::read_to_string(hook.with_extension("before-pushway")).unwrap();
    assert!(kept.contains("mail-everyone"));
    assert_eq!(server.install(&[]).await.code, 0, "its own hook is renewed");

    let shared = git(&server.bare, &["config", "core.hooksPath", "/etc/hooks"]);
    assert_eq!(run(shared, "").await.code, 0);
    let said = server.install(&["--force"]).await;
    assert!(said.code == 1 && said.err.contains("core.hooksPath"), "{}", said.all());
}
