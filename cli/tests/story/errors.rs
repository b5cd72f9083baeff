//! What every verb says that can't do its work, and how it exits: with nothing to ask, and with an API that refuses.

use axum::Router;
use axum::http::{StatusCode, header};

use crate::{pushway, run, serve};

const RUN: &str = "01890a5d-ac96-774b-bcce-b302099a8057";
const COMMIT: &str = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";

/// Every verb that asks the API, with the least that it takes.
fn asking() -> Vec<Vec<&'static str>> {
    let lines = [
        "runs",
        "run show RUN",
        "run watch RUN",
        "run logs RUN test unit",
        "run tests RUN",
        "run stop RUN --reason why",
        "run retry RUN",
        "commit COMMIT",
        "pipelines",
        "tests web",
        "insights",
        "start github octo/web --ref refs/heads/main",
        "approve-fork github octo/web --pull-request 1 --commit COMMIT",
        "explain --commit COMMIT",
        "approvals",
        "approve RUN production",
        "reject RUN production --reason why",
        "continue RUN production",
        "go-back RUN production --reason why",
        "rollback web production --reason why",
        "env ls",
        "env show web production",
        "env freeze web production --reason why",
        "env unfreeze web production",
        "env protect web production --approver group:release",
        "env unprotect web production",
        "token create ci --scope run",
        "token ls",
        "token revoke ci",
        "audit",
        "whoami",
        "repos",
    ];
    let word = |word: &'static str| match word {
        "RUN" => RUN,
        "COMMIT" => COMMIT,
        word => word,
    };
    lines.iter().map(|line| line.split(' ').map(word).collect()).collect()
}

/// How a verb exits that could not do its work: who watches a run can say that it failed, and must not.
fn code(words: &[&str]) -> i32 {
    if words.contains(&"watch") { 3 } else { 1 }
}

fn without_watch(err: &str) -> String {
    err.replace(&format!("how run {RUN} ends could not be seen: "), "")
}

#[tokio::test]
async fn without_an_installation_every_verb_says_how_to_name_one() {
    let nowhere = tempfile::tempdir().unwrap();
    for words in asking() {
        let mut command = pushway(&words);
        command.current_dir(nowhere.path());
        let said = run(command, "").await;
        assert_eq!((said.code, said.out.as_str()), (code(&words), ""), "{words:?}");
        assert_eq!(
            without_watch(&said.err),
            "error: no installation is named: give --url, --profile, PUSHWAY_URL or PUSHWAY_PROFILE, or start one here \
             with `pushway local up`\n",
            "{words:?}"
        );
    }
}

#[tokio::test]
async fn what_the_api_says_against_it_is_told_by_every_verb() {
    let refuse = || async {
        let body = r#"{"type":"about:blank","title":"Forbidden","status":403,"detail":"no \u001b[2J entry"}"#;
        (StatusCode::FORBIDDEN, [(header::CONTENT_TYPE, "application/problem+json")], body)
    };
    let url = format!("http://{}", serve(Router::new().fallback(refuse)).await);
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("pushway");
    std::fs::create_dir(&config).unwrap();
    let token = format!("pwt_ci_{}", "0".repeat(64));
    let profile = format!("[profiles.default]\nurl = \"{url}\"\ntoken = \"{token}\"\n");
    std::fs::write(config.join("config.toml"), profile).unwrap();
    let with_profile = |words: &[&str]| {
        let mut command = std::process::Command::new("env");
        command
            .arg(format!("XDG_CONFIG_HOME={}", folder.path().display()))
            .arg(env!("CARGO_BIN_EXE_pushway"))
            .args(words);
        command.current_dir(folder.path());
        command
    };
    // Row A47: what others can read is no secret any more.
    let loose = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    std::fs::set_permissions(config.join("config.toml"), loose).unwrap();
    let said = run(with_profile(&["whoami"]), "").await;
    assert!(said.code == 1 && said.err.contains("others can read"), "{}", said.all());
    let own = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(config.join("config.toml"), own).unwrap();
    for words in asking() {
        let said = run(with_profile(&words), "").await;
        assert_eq!((said.code, said.out.as_str()), (code(&words), ""), "{words:?}: {}", said.all());
        // An order says first where it goes.
        let err = without_watch(&said.err);
        let err = err.strip_prefix(&format!("to {url}/ (profile default)\n")).unwrap_or(&err);
        assert_eq!(err, "error: the API answered 403: no \\u{1b}[2J entry\n", "{words:?}");
    }
}

#[tokio::test]
async fn a47_a_token_is_kept_for_its_owner_alone_and_sent_nowhere_in_the_open() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let login = |url: &str| {
        let mut command = std::process::Command::new("env");
        command
            .arg(format!("XDG_CONFIG_HOME={}", folder.path().display()))
            .arg(env!("CARGO_BIN_EXE_pushway"));
        command.args(["login", "--url", url]);
        command
    };
    let token = format!("pwt_ci_{}", "0".repeat(64));
    let said = run(login("http://pushway.example.com"), &token).await;
    assert!(said.code == 1 && said.err.contains("is not https"), "{}", said.all());
    let said = run(login("https://pushway.example.com"), "pwt_ci_00").await;
    assert!(said.code == 1 && !said.all().contains("pwt_ci_00"), "{}", said.all());
    let said = run(login("https://pushway.example.com"), &token).await;
    assert!(said.code == 0 && !said.all().contains(&token), "{}", said.all());
    let kept = folder.path().join("pushway/config.toml");
    assert_eq!(std::fs::metadata(&kept).unwrap().permissions().mode() & 0o777, 0o600);
    // A repository's own files have no say.
    let repository = tempfile::tempdir().unwrap();
    let there = repository.path().join(".config/pushway");
    std::fs::create_dir_all(&there).unwrap();
    std::fs::write(there.join("config.toml"), "[profiles.default]\nurl = \"https://evil.example\"\n")
        .unwrap();
    let mut command = pushway(&["whoami"]);
    command.current_dir(repository.path());
    let said = run(command, "").await;
    assert!(said.err.contains("no installation is named"), "{}", said.all());
}
