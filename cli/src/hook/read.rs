//! What a push changed, read from the repository on the git server: the delivery's body.
//!
//! Such a server has no API, so the delivery carries the pipeline files, the files they name, and which
//! files the newest commits changed. Names of refs and files come from whoever pushes: each is one argument behind
//! `--end-of-options`, or data (row A14).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};
use jiff::Timestamp;
use pushway_core::delivery::git::{Carried, MAX_FILES_BYTES, MAX_HISTORY, PushBody};
use pushway_core::delivery::git_hook::{Kept, Moved, read_history};
use pushway_core::ids::DeliveryId;
use pushway_core::pipeline_file::{DIRECTORY, PATHS, is_in_directory, parse};
use sha2::Digest as _;

use super::config::Config;

/// Characters of a message that are sent; a run shows its first line.
const MAX_MESSAGE: usize = 2_000;

/// The delivery of a ref that moved.
pub(super) fn delivery(config: &Config, moved: Moved<'_>) -> anyhow::Result<Kept> {
    let Moved { before, after, git_ref } = moved;
    let mut body = PushBody {
        repository: config.repository.clone(),
        git_ref: git_ref.to_owned(),
        before: before.to_owned(),
        after: after.to_owned(),
        message: String::new(),
        author: String::new(),
        files: BTreeMap::new(),
        history: Vec::new(),
        pushed_at: Some(Timestamp::now()),
    };
    let is_deletion = after.bytes().all(|b| b == b'0');
    if !is_deletion {
        let commit = commit_of(after)?;
        body.message = show(&commit, "%B")?;
        body.author = show(&commit, "%an")?;
        body.files = files(&commit)?;
        body.history = history(&commit)?;
        body.after = commit;
        fit(&mut body)?;
    }
    let id = delivery_id(config, moved)?;
    Ok(Kept { id, git_ref: git_ref.to_owned(), body: serde_json::to_string(&body)? })
}

/// The folder that holds a repository's objects and refs.
pub(super) fn git_dir(repository: &Path) -> anyhow::Result<PathBuf> {
    let path = repository.to_str().context("the repository's path is not UTF-8")?;
    Ok(PathBuf::from(git(&["-C", path, "rev-parse", "--absolute-git-dir"])?.trim_end_matches('\n')))
}

fn delivery_id(config: &Config, moved: Moved<'_>) -> anyhow::Result<DeliveryId> {
    let mut hash = sha2::Sha256::new();
    for part in [config.repository.as_str(), moved.before, moved.after, moved.git_ref] {
        hash.update(part.len().to_be_bytes());
        hash.update(part);
    }
    Ok(hex::encode(&hash.finalize()[..16]).parse()?)
}

/// The commit that an object is or that a tag points at.
fn commit_of(object: &str) -> anyhow::Result<String> {
    let commit = git(&["rev-parse", "--verify", "--end-of-options", &format!("{object}^{{commit}}")])?;
    Ok(commit.trim().to_owned())
}

fn show(commit: &str, format: &str) -> anyhow::Result<String> {
    let text = git(&[
        "log",
        "-1",
        "--no-show-signature",
        &format!("--format={format}"),
        "--end-of-options",
        commit,
    ])?;
    Ok(text.trim().chars().take(MAX_MESSAGE).collect())
}

/// The pipeline files, and the buildspecs and definitions they name, as far as the commit has them.
fn files(commit: &str) -> anyhow::Result<BTreeMap<String, String>> {
    let mut files = BTreeMap::new();
    for path in pipeline_files(commit)? {
        let Some(text) = file(commit, &path)? else { continue };
        if let Ok(parsed) = parse(&path, &text) {
            for named in parsed.plan.files() {
                if let Some(text) = file(commit, named.as_str())? {
                    files.insert(named.to_string(), text);
                }
            }
        }
        // Sent even if it is wrong: the run then says what is wrong with it.
        files.insert(path, text);
    }
    Ok(files)
}

/// Where the commit has pipeline files: the first of the places at the root, and all of the folder.
fn pipeline_files(commit: &str) -> anyhow::Result<Vec<String>> {
    let folder = format!("{DIRECTORY}/");
    let mut arguments = vec!["ls-tree", "--full-tree", "--name-only", "-z", "--end-of-options", commit];
    arguments.extend(PATHS);
    arguments.push(&folder);
    let listed = git(&arguments)?;
    let listed: Vec<&str> = listed.split('\0').collect();
    let at_root = PATHS.into_iter().find(|path| listed.contains(path));
    let in_folder = listed.iter().copied().filter(|path| is_in_directory(path));
    Ok(at_root.into_iter().chain(in_folder).map(str::to_owned).collect())
}

/// A file's text; `None` for what is absent or no plain file.
fn file(commit: &str, path: &str) -> anyhow::Result<Option<String>> {
    let listed = git(&["ls-tree", "--full-tree", "-z", "--end-of-options", commit, path])?;
    let is_file = listed
        .split('\0')
        .any(|line| line.starts_with("100") && line.split_once('\t').is_some_and(|(_, name)| name == path));
    if is_file { git(&["cat-file", "blob", &format!("{commit}:{path}")]).map(Some) } else { Ok(None) }
}

/// What the newest commits changed against their first parents, newest first.
fn history(commit: &str) -> anyhow::Result<Vec<Carried>> {
    let most = MAX_HISTORY.to_string();
    let told = git(&[
        "log",
        "--no-show-signature",
        "-z",
        "-n",
        &most,
        "--first-parent",
        "-m",
        "--root",
        "--name-only",
        "--no-renames",
        // An empty part before each id: no file is called so.
        "--format=%x00%H%n%an%n%s",
        "--end-of-options",
        commit,
    ])?;
    read_history(&told).map_err(anyhow::Error::msg)
}

/// Leaves out the oldest commits until the delivery keeps to its limit.
fn fit(body: &mut PushBody) -> anyhow::Result<()> {
    let files = serde_json::to_string(&body.files)?.len();
    if files + 2 > MAX_FILES_BYTES {
        bail!(
            "pipeline files and what they name are {files} bytes together, at most {MAX_FILES_BYTES} are taken; make them smaller"
        );
    }
    let mut room = MAX_FILES_BYTES - files - 2;
    let mut kept = 0;
    for commit in &body.history {
        // With the comma between two.
        let size = serde_json::to_string(commit)?.len() + 1;
        if size > room {
            break;
        }
        (room, kept) = (room - size, kept + 1);
    }
    body.history.truncate(kept);
    Ok(())
}

fn git(args: &[&str]) -> anyhow::Result<String> {
    let output = Command::new("git").args(args).output().context("start git")?;
    if !output.status.success() {
        bail!("git {} failed: {}", args.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
