//! What git is given: nothing from outside that it could take for an option, a transport or an expression
//! (row A15).

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::aws::Aws;
use crate::hook::{PIPELINE, Server};
use crate::{Said, git, run};

/// A folder with a git that notes its arguments, one to a line and calls ended by `=`, and then does what
/// git does.
struct Noting {
    folder: tempfile::TempDir,
}

impl Noting {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = std::env::var_os("PATH").unwrap();
        let real = std::env::split_paths(&path).map(|folder| folder.join("git")).find(|git| git.is_file());
        let (calls, own) = (folder.path().join("calls"), folder.path().join("git"));
        let (calls, real) = (calls.display(), real.unwrap());
        let script =
            format!("#!/bin/sh\nprintf '%s\\n' \"$@\" = >> '{calls}'\nexec '{}' \"$@\"\n", real.display());
        std::fs::write(&own, script).unwrap();
        std::fs::set_permissions(&own, std::fs::Permissions::from_mode(0o755)).unwrap();
        Self { folder }
    }

    /// Runs the binary in a folder with these words and this input; gives the calls of git, too.
    async fn pushway(&self, at: &Path, words: &[&str], input: &str) -> (Said, Vec<Vec<String>>) {
        let calls = self.folder.path().join("calls");
        let _ = std::fs::remove_file(&calls);
        let path = std::env::var("PATH").unwrap();
        let mut command = Command::new("env");
        command.arg(format!("PATH={}:{path}", self.folder.path().display()));
        command.arg(env!("CARGO_BIN_EXE_pushway")).args(words).current_dir(at);
        let said = run(command, input).await;
        let noted = std::fs::read_to_string(calls).unwrap_or_default();
        let calls = noted.split_terminator("=\n").map(|call| call.lines().map(str::to_owned).collect());
        (said, calls.collect())
    }
}

#[tokio::test]
async fn a15_a_pushed_line_is_judged_before_git_sees_any_of_it() {
    let (server, noting) = (Server::start().await, Noting::new());
    server.push("main", &[("pushway.yml", PIPELINE)]).await;
    let sha = run(git(&server.bare, &["rev-parse", "main"]), "").await.out;
    let (sha, zero) = (sha.trim(), "0".repeat(40));
    let words = ["hook", "post-receive", "--config", server.config.to_str().unwrap()];
    for line in [
        format!("--upload-pack=x {sha} refs/heads/main"),
        format!("{zero} --output=pwned refs/heads/main"),
        format!("{zero} HEAD refs/heads/main"),
        format!("{zero} {sha}^{{/x}} refs/heads/main"),
        format!("{zero} {sha} --upload-pack=x"),
        format!("{zero} {sha} -c core.sshCommand=x"),
        format!("{zero} {sha} ext::sh"),
        format!("{zero} {sha} main"),
    ] {
        let (said, calls) = noting.pushway(&server.bare, &words, &line).await;
        assert!(said.code == 1 && said.err.contains("is not `old new ref`"), "{line}: {}", said.all());
        assert_eq!(calls, [["-C", ".", "rev-parse", "--absolute-git-dir"]], "{line}");
    }
    assert_eq!(server.taken(), []);
}

#[tokio::test]
async fn a15_what_a_commit_holds_is_never_an_option_of_git() {
    let (server, noting) = (Server::start().await, Noting::new());
    let odd = PIPELINE.replace("buildspec.yml", "--output=pwned");
    let files = [
        ("pushway.yml", odd.as_str()),
        ("--output=pwned", "version: 0.2"),
        ("--upload-pack=touch pwned", ""),
        (".pushway/--help.yml", &odd.replace("pipeline: web", "pipeline: help")),
    ];
    server.push("-x/--upload-pack=pwned", &files).await;
    let sha = run(git(&server.bare, &["rev-parse", "refs/heads/-x/--upload-pack=pwned"]), "").await.out;
    let line = format!("{} {} refs/heads/-x/--upload-pack=pwned", "0".repeat(40), sha.trim());
    let words = ["hook", "post-receive", "--config", server.config.to_str().unwrap()];
    let (said, calls) = noting.pushway(&server.bare, &words, &line).await;
    assert_eq!(said.code, 0, "{}", said.all());
    let [push] = &server.taken()[..] else { panic!("one push arrives: {}", said.all()) };
    let carried: Vec<&str> = push.files.keys().map(pushway_core::ids::RepositoryPath::as_str).collect();
    assert_eq!(carried, ["--output=pwned", ".pushway/--help.yml", "pushway.yml"]);

    let is_outside =
        |word: &String| word.contains("pwned") || word.contains("--help") || word.contains(sha.trim());
    let given: Vec<_> = calls.iter().filter(|call| call.iter().any(is_outside)).collect();
    assert!(given.len() >= 6, "{calls:?}");
    for call in given {
        let end = call.iter().position(|word| word == "--end-of-options").unwrap_or(call.len());
        let early: Vec<_> = call[..end].iter().filter(|word| is_outside(word)).collect();
        // An object by its commit's id can be no option.
        assert!(early.iter().all(|word| word.starts_with(sha.trim())), "{call:?}");
    }
    for folder in [&server.bare, &server.work] {
        assert!(!PathBuf::from(folder).join("pwned").exists());
    }
}

#[tokio::test]
async fn a15_no_repository_is_connected_that_git_would_not_simply_fetch() {
    let aws = Aws::start().await;
    for url in [
        "--upload-pack=touch pwned",
        "-c core.sshCommand=touch pwned",
        "-oProxyCommand=x",
        "ext::sh -c touch% pwned",
        "file:///srv/git/other.git",
        "/srv/git/other.git",
        "git://example.com/web.git",
        "http://example.com/web.git",
        "ssh://-oProxyCommand=x/web.git",
        "git@example.com:web.git",
    ] {
        let clone = format!("--clone-url={url}");
        let words = ["connect", "git", "web", &clone, "--webhooks", "https://hooks.example.com/webhooks"];
        let said = aws.pushway(&words, "").await;
        assert!(said.code == 1 && said.err.contains("clone URL"), "{url}: {}", said.all());
    }
    assert_eq!(aws.record("HOOK#git#web"), None);
    assert!(aws.look(|content| content.secrets.is_empty()));
}
