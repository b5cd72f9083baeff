//! `pushway hook install`: writes hooks/post-receive of a repository on a git server.
//!
//! It replaces only what it has written itself, unless told otherwise, and writes nowhere but into the
//! repository.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context as _, bail};

use super::config::Config;
use super::read::git_dir;
use crate::output;

/// The line by which a hook is known as ours.
const MARK: &str = "# Written by `pushway hook install`.";

/// Which repository.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The repository on the git server.
    #[arg(long)]
    repository: PathBuf,
    /// File with `url`, `repository` and `secret` as JSON, as `pushway connect --hook-config` writes it.
    #[arg(long)]
    config: PathBuf,
    /// Replace a post-receive hook that something else has written; it is kept beside as
    /// post-receive.before-pushway.
    #[arg(long)]
    force: bool,
}

/// Writes the hook.
pub(crate) fn main(args: &Args) -> anyhow::Result<ExitCode> {
    let config = Config::read(&args.config)?;
    let path = hooks_folder(&args.repository)?.join("post-receive");
    let own = std::env::current_exe().context("find this program")?;
    write(&path, &script(&own, &args.config.canonicalize()?)?, args.force)?;
    output::line(&format!("{} delivers pushes of {} from now on", path.display(), config.repository))?;
    output::note("whoever pushes runs it: they must be able to read the configuration");
    Ok(ExitCode::SUCCESS)
}

/// Where the repository's hooks lie.
fn hooks_folder(repository: &Path) -> anyhow::Result<PathBuf> {
    let own = git_dir(repository)?;
    let configured = Command::new("git")
        .arg("--git-dir")
        .arg(&own)
        .args(["config", "--get", "core.hooksPath"])
        .output()
        .context("start git")?;
    if configured.status.success() {
        bail!(
            "git's core.hooksPath is {}, which may serve other repositories too; add to its post-receive: pushway hook post-receive --config <file>",
            String::from_utf8_lossy(&configured.stdout).trim()
        );
    }
    Ok(own.join("hooks"))
}

fn script(own: &Path, config: &Path) -> anyhow::Result<String> {
    let word =
        |path: &Path| path.to_str().map(quoted).with_context(|| format!("{} is not UTF-8", path.display()));
    Ok(format!("#!/bin/sh\n{MARK}\nexec {} hook post-receive --config {}\n", word(own)?, word(config)?))
}

/// A word for a POSIX shell: everything in single quotes, a single quote as `'\''`.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

fn write(path: &Path, script: &str, force: bool) -> anyhow::Result<()> {
    let shown = path.display();
    let known = match std::fs::read(path) {
        Ok(known) => Some(String::from_utf8_lossy(&known).into_owned()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(error).with_context(|| format!("read {shown}")),
    };
    if let Some(known) = known.filter(|known| !known.contains(MARK)) {
        if !force {
            bail!(
                "{shown} is not Pushway's; call `pushway hook post-receive` in it yourself, or replace it with --force"
            );
        }
        let kept = path.with_extension("before-pushway");
        std::fs::write(&kept, known).with_context(|| format!("write {}", kept.display()))?;
    }
    let draft = path.with_extension("new");
    let write = || {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(&draft, script)?;
        std::fs::set_permissions(&draft, std::fs::Permissions::from_mode(0o755))?;
        // At once: a push in between runs the old hook or the new one.
        std::fs::rename(&draft, path)
    };
    write().with_context(|| format!("write {shown}"))
}
