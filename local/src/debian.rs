//! Packages of Debian and Ubuntu, installed only as root and only after saying so.

use std::path::Path;
use std::process::Stdio;

use anyhow::{Context as _, bail};
use tokio::process::Command;

use crate::{layout::find_program, process};

/// Whether packages can be installed here.
pub fn can_install() -> bool {
    let debian = Path::new("/etc/debian_version").exists();
    debian && rustix::process::geteuid().is_root() && find_program("apt-get").is_some()
}

/// `apt-get` with these arguments, its output appended to `log`.
pub async fn apt_get(arguments: &[&str], log: &Path) -> anyhow::Result<()> {
    let file = process::open_log(log)?;
    let errors = file.try_clone().context("share the log file")?;
    let mut command = Command::new("apt-get");
    command.args(["-y", "--no-install-recommends"]).args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
    // Debian would start what it installs at once.
    command.env("RUNLEVEL", "1").stdin(Stdio::null()).stdout(file).stderr(errors);
    let status = command.status().await.context("start apt-get")?;
    if !status.success() {
        bail!("apt-get {} failed with {status}; see {}", arguments.join(" "), log.display());
    }
    Ok(())
}
