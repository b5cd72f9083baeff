//! The command line as people run it: the real binary against a table, a store of secrets, a forge and a git
//! server on this machine.

#![expect(clippy::unwrap_used, reason = "a helper that breaks ends its test, and says where")]

mod api;
mod arguments;
mod aws;
mod connect;
mod errors;
mod forge;
mod hook;
mod watching;

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// Serves a router on loopback until the test ends.
async fn serve(router: axum::Router) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    address
}

/// What a command has said, and how it ended.
struct Said {
    code: i32,
    out: String,
    err: String,
}

impl Said {
    fn of(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
    }

    fn all(&self) -> String {
        format!("{}{}", self.out, self.err)
    }
}

/// Runs a command without the person's own settings, with this standard input.
async fn run(mut command: Command, input: &str) -> Said {
    let input = input.to_owned();
    let work = move || {
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap()).env("HOME", "/nonexistent");
        command.envs([("GIT_CONFIG_GLOBAL", "/dev/null"), ("GIT_CONFIG_NOSYSTEM", "1")]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // Who reads no input may be gone by now.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        Said::of(child.wait_with_output().unwrap())
    };
    tokio::task::spawn_blocking(work).await.unwrap()
}

/// The binary with these words.
fn pushway(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pushway"));
    command.args(words);
    command
}

/// git in a folder.
fn git(folder: &Path, words: &[&str]) -> Command {
    let mut command = Command::new("git");
    command.arg("-C").arg(folder).args(["-c", "user.name=a", "-c", "user.email=a@example.com"]).args(words);
    command
}
