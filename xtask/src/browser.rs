//! What the tests of the dashboard need: Chromium, and what drives it.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, bail};
use pushway_local::debian;
use sha2::{Digest as _, Sha256};

use crate::process::{command, say};

/// The names under which Chromium is installed.
const CHROMIUM: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// Makes both ready: at once where they are there, in about a minute on a new machine.
pub(crate) async fn prepare(root: &Path, log: &Path) -> anyhow::Result<()> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_there = |name: &&str| std::env::split_paths(&path).any(|folder| folder.join(name).exists());
    if !CHROMIUM.iter().any(is_there) {
        if !debian::can_install() {
            bail!("the tests of the dashboard need Chromium (Debian: apt-get install chromium)");
        }
        say("installing the Debian package chromium on this machine: no browser is here");
        debian::apt_get(&["update"], log).await?;
        debian::apt_get(&["install", "chromium"], log).await?;
    }
    drive(&root.join("tests/browser"))
}

/// Installs what drives the browser, every version pinned; a stamp makes the second call free.
fn drive(folder: &Path) -> anyhow::Result<()> {
    let pins = fs::read(folder.join("package-lock.json")).context("read the pinned packages")?;
    let (stamp, wanted) = (folder.join("node_modules/pushway-stamp"), hex::encode(Sha256::digest(pins)));
    if fs::read_to_string(&stamp).is_ok_and(|found| found == wanted) {
        return Ok(());
    }
    say("installing what drives the browser into tests/browser/node_modules");
    let status = command(folder, "npm", &["ci", "--no-audit", "--no-fund", "--ignore-scripts"]).status();
    let status = status.context("start npm; install Node.js (Debian: apt-get install npm)")?;
    if !status.success() {
        bail!("npm ci failed with {status} in {}", folder.display());
    }
    fs::write(&stamp, wanted).with_context(|| format!("write {}", stamp.display()))
}
