//! The Python tools, in a private environment with every version pinned.
//!
//! `ministack`, `sam`, `cfn-lint` and `aws` come from `PyPI` into `.pushway/venv` and nowhere else. A stamp
//! with the digest of the pins makes the second call free, and a half-done install is done again. This
//! module must not touch the user's own Python packages.

use std::{fs::File, path::Path, process::Stdio};

use anyhow::{Context as _, bail};
use sha2::{Digest as _, Sha256};
use tokio::process::Command;

use crate::{Progress, layout::Layout};

const REQUIREMENTS: &str = include_str!("../requirements.txt");
/// What the pinned packages need at least (their `Requires-Python`).
const OLDEST_PYTHON: (u32, u32) = (3, 11);

/// Makes sure that the tools are installed, in about a minute the first time and at once afterwards.
pub async fn install(layout: &Layout, progress: Progress<'_>) -> anyhow::Result<()> {
    install_into(layout, &layout.venv(), REQUIREMENTS, progress).await
}

/// Makes sure that a virtual environment holds just these packages.
pub async fn install_into(
    layout: &Layout,
    venv: &Path,
    pins: &str,
    progress: Progress<'_>,
) -> anyhow::Result<()> {
    let stamp = venv.join("pushway-stamp");
    let wanted = hex::encode(Sha256::digest(pins));
    let is_current = || std::fs::read_to_string(&stamp).is_ok_and(|found| found == wanted);
    if is_current() {
        return Ok(());
    }
    check_python().await?;
    std::fs::create_dir_all(layout.logs()).context("create the log folder")?;
    let _lock = lock(venv).await?;
    if is_current() {
        return Ok(());
    }
    progress(&format!("installing python tools into {} (once, about a minute)", venv.display()));
    let requirements = venv.with_extension("txt");
    std::fs::write(&requirements, pins).context("write the pinned requirements")?;
    let log = layout.logs().join("tools.log");
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(venv), &log).await?;
    let mut pip = Command::new(venv.join("bin/python"));
    pip.args(["-m", "pip", "install", "--no-input", "--disable-pip-version-check", "--quiet"]);
    // Its cache would lie in the user's home.
    pip.arg("--no-cache-dir");
    run(pip.arg("--requirement").arg(&requirements), &log).await?;
    std::fs::write(&stamp, &wanted).with_context(|| format!("write {}", stamp.display()))
}

/// Waits for the others who install into the same environment: several projects may share one by a link.
async fn lock(venv: &Path) -> anyhow::Result<File> {
    let beside = venv.canonicalize().unwrap_or_else(|_| venv.to_owned()).with_extension("lock");
    let file = File::create(&beside).with_context(|| format!("open {}", beside.display()))?;
    tokio::task::spawn_blocking(move || file.lock().map(|()| file))
        .await
        .context("wait for the lock")?
        .with_context(|| format!("lock {}", beside.display()))
}

/// One line that says what is missing and how to get it, before anything is begun.
async fn check_python() -> anyhow::Result<()> {
    const PROBE: &str = "import sys; print(*sys.version_info[:2]); import venv, ensurepip; print('venv')";
    let (major, minor) = OLDEST_PYTHON;
    let advice =
        format!("install Python {major}.{minor} or newer (Debian: apt-get install python3 python3-venv)");
    let output = match Command::new("python3").args(["-c", PROBE]).stdin(Stdio::null()).output().await {
        Ok(output) => output,
        Err(error) => bail!("python3 cannot be started ({error}); {advice}"),
    };
    let text = String::from_utf8_lossy(&output.stdout);
    let mut lines = text.lines();
    let version: Vec<u32> =
        lines.next().unwrap_or_default().split(' ').filter_map(|part| part.parse().ok()).collect();
    if version < vec![major, minor] {
        let found = version.iter().map(u32::to_string).collect::<Vec<_>>().join(".");
        bail!("python3 is version {found:?}, too old for the tools; {advice}");
    }
    if lines.next() != Some("venv") {
        bail!("python3 lacks its venv module; install it (Debian: apt-get install python3-venv)");
    }
    Ok(())
}

/// Runs `command` with its output appended to `log`.
async fn run(command: &mut Command, log: &Path) -> anyhow::Result<()> {
    let file = crate::process::open_log(log)?;
    let errors = file.try_clone().context("share the log file")?;
    let status = command.stdin(Stdio::null()).stdout(file).stderr(errors).status().await;
    let program = command.as_std().get_program().to_string_lossy().into_owned();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => bail!(
            "{program} failed with {status} while installing the python tools; see {}:\n{}",
            log.display(),
            crate::process::tail(log, 12)
        ),
        Err(error) => bail!("{program} cannot be started while installing the python tools ({error})"),
    }
}
