//! The git remote: bare repositories that are pushed to by path and cloned over loopback HTTP.
//!
//! After a push the hook refreshes what the "dumb" HTTP protocol needs (gitprotocol-http(5)) and then runs
//! the given command with the pushed refs on its standard input, as post-receive hooks get them. Serving is
//! read-only: static files, no git process. A clone over it is always a full one.

use std::{
    ffi::OsString,
    os::unix::{ffi::OsStrExt as _, fs::PermissionsExt as _},
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context as _, bail};
use tokio::{net::TcpListener, process::Command};
use tower_http::services::ServeDir;

use crate::layout::Layout;

/// A bare repository of the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repository {
    /// Where it lies: the remote to push to.
    pub path: PathBuf,
    /// Its file name under the git server's base URL, `<name>.git`.
    pub file: String,
}

impl Repository {
    /// The URL to clone from, with the base that `Endpoints::git` gives.
    pub fn clone_url(&self, base: &str) -> String {
        format!("{}/{}", base.trim_end_matches('/'), self.file)
    }
}

/// Creates the repository `name` if it is not there, with `main` as its first branch, and sets its
/// post-receive hook to run `hook` (a program and its arguments; nothing is expanded in them).
pub async fn create(layout: &Layout, name: &str, hook: &[OsString]) -> anyhow::Result<Repository> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || name.starts_with(['.', '-']) || !name.chars().all(plain) {
        bail!(
            "repository name {name:?} must be letters, digits, `-`, `_` or `.`, and begin with one of the first"
        );
    }
    let file = format!("{}.git", name.strip_suffix(".git").unwrap_or(name));
    let path = layout.git().join(&file);
    if !path.join("HEAD").exists() {
        std::fs::create_dir_all(layout.git()).context("create the git folder")?;
        git(Command::new("git").args(["init", "--quiet", "--bare", "--initial-branch=main"]).arg(&path))
            .await?;
    }
    // A repack would take files away from under a clone in progress: plain files have no locks.
    git(Command::new("git").arg("-C").arg(&path).args(["config", "gc.auto", "0"])).await?;
    write_hook(&path, hook)?;
    git(Command::new("git").arg("-C").arg(&path).arg("update-server-info")).await?;
    Ok(Repository { path, file })
}

/// Serves every repository under `folder`, read-only, until the listener fails.
pub async fn serve(listener: TcpListener, folder: PathBuf) -> anyhow::Result<()> {
    let files =
        axum::Router::new().fallback_service(ServeDir::new(folder).append_index_html_on_directories(false));
    axum::serve(listener, files).await.context("serve the git repositories")
}

fn write_hook(repository: &Path, hook: &[OsString]) -> anyhow::Result<()> {
    let mut script = b"#!/bin/sh\ngit update-server-info\n".to_vec();
    if !hook.is_empty() {
        script.extend_from_slice(b"exec");
        for word in hook {
            script.push(b' ');
            quote(word.as_bytes(), &mut script);
        }
        script.push(b'\n');
    }
    let path = repository.join("hooks").join("post-receive");
    let write = || {
        std::fs::create_dir_all(repository.join("hooks"))?;
        std::fs::write(&path, &script)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))
    };
    write().with_context(|| format!("write the hook {}", path.display()))
}

/// Quotes a word for a POSIX shell: everything in single quotes, a single quote as `'\''`.
fn quote(word: &[u8], script: &mut Vec<u8>) {
    script.push(b'\'');
    for byte in word {
        match byte {
            b'\'' => script.extend_from_slice(br"'\''"),
            byte => script.push(*byte),
        }
    }
    script.push(b'\'');
}

/// Runs git without the user's configuration, whose hooks or templates must not change the remote.
async fn git(command: &mut Command) -> anyhow::Result<()> {
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1").env_remove("GIT_DIR");
    let output = command.stdin(Stdio::null()).output().await.context("start git; is it installed?")?;
    if !output.status.success() {
        bail!("git failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn sh(folder: &Path, script: &str) -> String {
        let output = Command::new("sh")
            .args(["-ec", script])
            .current_dir(folder)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .output()
            .await
            .unwrap();
        assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    #[tokio::test]
    async fn a_push_runs_the_hook_and_can_be_cloned_over_http_at_once() {
        let project = tempfile::tempdir().unwrap();
        let layout = Layout::new(project.path()).unwrap();
        layout.create().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(serve(listener, layout.git()));

        // A hostile word stays a word; the hook itself clones, as the build that it triggers would.
        let told = project.path().join("told; touch pwned '$(x)'");
        let script = format!("cat > \"$1\"; git clone -q {base}/app.git \"$1.clone\"");
        let hook = ["sh", "-c", &script, "hook"].map(OsString::from).into_iter().chain([told.clone().into()]);
        let repository = create(&layout, "app", &hook.collect::<Vec<_>>()).await.unwrap();
        assert_eq!(repository.clone_url(&base), format!("{base}/app.git"));

        let commit = "git init -q -b main w; cd w; echo hi > f; git add f; \
                      git -c user.name=a -c user.email=a@b commit -qm one; git rev-parse HEAD; ";
        let push = format!("{commit} git push -q '{}' main", repository.path.display());
        let head = sh(project.path(), &push).await;
        let zero = "0".repeat(40);
        let line = format!("{zero} {} refs/heads/main\n", head.trim());
        assert_eq!(std::fs::read_to_string(&told).unwrap(), line);
        let clone = PathBuf::from(format!("{}.clone", told.display()));
        assert_eq!(std::fs::read_to_string(clone.join("f")).unwrap(), "hi\n");
        assert!(!project.path().join("pwned").exists());

        // Creating it again keeps what was pushed.
        create(&layout, "app", &[]).await.unwrap();
        let refs = sh(project.path(), &format!("git ls-remote {base}/app.git main")).await;
        assert!(refs.starts_with(head.trim()));
        assert!(create(&layout, "../x", &[]).await.is_err());
    }
}
