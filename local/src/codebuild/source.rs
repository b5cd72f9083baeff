//! The build's source: a fresh clone at the wanted commit, or an empty folder.
//!
//! Locations and versions are data from outside: they follow `--` or name a ref that git has resolved, the
//! transports are an allow-list, and no hook or template of anyone runs. Complaints are git's own words.

use std::{
    path::Path,
    process::{Output, Stdio},
};

use anyhow::{Context as _, bail};
use tokio::process::Command;

use super::order::Order;

/// The transports a source may use; `ext` and remote helpers run commands.
const TRANSPORTS: &str = "file:git:http:https:ssh";
/// How much of git's complaint is kept.
const MESSAGE_BYTES: usize = 2_000;

/// Variables that git needs from this process.
const KEPT: [&str; 8] =
    ["HOME", "USER", "SSH_AUTH_SOCK", "SSL_CERT_FILE", "SSL_CERT_DIR", "TMPDIR", "XDG_CONFIG_HOME", "LANG"];

/// Git for one build.
pub(super) struct Git<'a> {
    pub(super) build_id: &'a str,
    pub(super) search_path: &'a str,
}

impl Git<'_> {
    /// Fills `folder` with the order's source and answers the commit, or nothing for `NO_SOURCE`.
    pub(super) async fn fetch(&self, order: &Order, folder: &Path) -> anyhow::Result<Option<String>> {
        if order.source_type == "NO_SOURCE" {
            tokio::fs::create_dir(folder).await.context("make the source folder")?;
            return Ok(None);
        }
        let location = usable_location(&order.source_location)
            .with_context(|| format!("the source of type {} has no usable location", order.source_type))?;
        if let Some(version) = &order.source_version {
            check_version(version)?;
        }
        let mut clone = self.git();
        // Hard links would let a build write into the user's repository.
        clone.args(["clone", "--quiet", "--no-checkout", "--no-hardlinks", "--template=", "--", location]);
        run(clone.arg(folder)).await?;
        let commit = match &order.source_version {
            None => self.resolve(folder, "HEAD").await.context("the repository has no commit to build")?,
            Some(version) => self.find(folder, version).await?,
        };
        run(self.git().arg("-C").arg(folder).args(["checkout", "--quiet", "--detach", &commit])).await?;
        Ok(Some(commit))
    }

    fn git(&self) -> Command {
        let mut command = Command::new("git");
        command.env_clear().env("PATH", self.search_path);
        for name in KEPT {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_ALLOW_PROTOCOL", TRANSPORTS)
            .env("GIT_SSH_COMMAND", "ssh -oBatchMode=yes")
            // By it the helpers of git are found and killed when the build is stopped.
            .env("CODEBUILD_BUILD_ID", self.build_id)
            .args(["-c", "core.hooksPath=/dev/null", "-c", "advice.detachedHead=false"])
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    /// The commit that `version` names: a branch, a tag, a ref or a commit, in this order, and
    /// `refs/heads/x^{sha}` as `CodeBuild` writes pinned branches.
    async fn find(&self, folder: &Path, version: &str) -> anyhow::Result<String> {
        let name = version.split_once("^{").and_then(|(_, sha)| sha.strip_suffix('}')).unwrap_or(version);
        let is_commit = name.len() >= 7 && name.len() <= 64 && name.bytes().all(|b| b.is_ascii_hexdigit());
        let branch = name.strip_prefix("refs/heads/").unwrap_or(name);
        let tag = name.strip_prefix("refs/tags/").unwrap_or(name);
        let mut candidates = vec![format!("refs/remotes/origin/{branch}"), format!("refs/tags/{tag}")];
        if is_commit {
            candidates.insert(0, name.to_owned());
        }
        for candidate in &candidates {
            if let Ok(commit) = self.resolve(folder, candidate).await {
                return Ok(commit);
            }
        }
        // Not under a branch or tag (a pull request's head, a commit pushed over): ask for it by name.
        let mut fetch = self.git();
        fetch.arg("-C").arg(folder).args(["fetch", "--quiet", "--no-tags", "--", "origin", name]);
        run(&mut fetch).await.with_context(|| format!("no branch, tag or commit {version:?}"))?;
        self.resolve(folder, "FETCH_HEAD").await
    }

    async fn resolve(&self, folder: &Path, name: &str) -> anyhow::Result<String> {
        let mut command = self.git();
        command.arg("-C").arg(folder).args(["rev-parse", "--verify", "--quiet", "--end-of-options"]);
        let output = run(command.arg(format!("{name}^{{commit}}"))).await?;
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }
}

/// A location that is an address of a known transport or a path from the root; no option, no remote helper
/// (`ext::…`), nothing that depends on where git is started (row A15).
fn usable_location(location: &str) -> anyhow::Result<&str> {
    let is_known = |scheme: &str| TRANSPORTS.split(':').any(|known| known == scheme);
    let host = match location.split_once("://") {
        Some((scheme, rest)) if is_known(scheme) => rest,
        None if location.starts_with('/') => location,
        _ => bail!("{location:?} is neither an address of {TRANSPORTS} nor a path from the root"),
    };
    if host.starts_with('-') || location.chars().any(char::is_control) {
        bail!("{location:?} could be read as an option or a line of its own");
    }
    Ok(location)
}

/// A version is a name, not an option, a refspec or an expression of git's.
fn check_version(version: &str) -> anyhow::Result<()> {
    if version.starts_with(['-', '+'])
        || version.contains([':', '*'])
        || version.chars().any(char::is_control)
    {
        bail!("source version {version:?} is no branch, tag, ref or commit");
    }
    Ok(())
}

async fn run(command: &mut Command) -> anyhow::Result<Output> {
    let output = command.output().await.context("run git")?;
    if output.status.success() {
        return Ok(output);
    }
    let text = String::from_utf8_lossy(&output.stderr);
    let text = text.trim();
    let start = text.char_indices().map(|(at, _)| at).find(|at| text.len() - at <= MESSAGE_BYTES);
    bail!("git: {}", &text[start.unwrap_or_default()..])
}
