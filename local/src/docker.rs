//! The container engine: the user's own if it answers, else one of the project's.
//!
//! `find` asks, `prepare` installs Debian's `docker.io` where it may (root, and only after saying so),
//! `start` runs a dockerd whose data, sockets and pid file are the project's. Nothing here pulls an image,
//! and containers are only removed by the label that the emulator gives to this engine's, images by its port.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};
use tokio::process::{Child, Command};

use crate::{
    Progress, debian,
    layout::{Layout, find_program},
    process::{self, Spawner, bound_command, tail},
};

/// The label by which the emulator says which instance made a container (`<instance>:<port>`).
const INSTANCE_LABEL: &str = "ministack.instance";
/// A dockerd that has not opened its socket by then never will.
const LONGEST_START: Duration = Duration::from_secs(40);

/// Which container engine a start will use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// The one that `docker` reaches now, at this `DOCKER_HOST` (none: docker's default).
    Users(Option<String>),
    /// None answers, but this dockerd can be started here.
    Own(PathBuf),
    /// None answers and none can be started; the text says what to do.
    Missing(String),
}

/// Which container engine a running engine uses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "engine")]
pub enum Containers {
    /// None was asked for: ECS records tasks and runs nothing.
    Off,
    /// The user's own, which outlives this one.
    Users {
        /// Its `DOCKER_HOST`; none is docker's default.
        host: Option<String>,
    },
    /// The project's own dockerd.
    Own {
        /// Its `DOCKER_HOST`.
        host: String,
    },
}

impl Containers {
    /// The `DOCKER_HOST` to set, if one must be set.
    pub fn host(&self) -> Option<&str> {
        match self {
            Self::Off => None,
            Self::Users { host } => host.as_deref(),
            Self::Own { host } => Some(host),
        }
    }

    /// Removes the containers that this project's emulator made, of whatever run, and the images of the
    /// registry at `registry_port`, which ends with the emulator. Returns how many containers there were;
    /// an engine that does not answer runs none.
    pub(crate) async fn remove_ours(
        &self,
        layout: &Layout,
        registry_port: Option<&str>,
    ) -> anyhow::Result<usize> {
        if *self == Self::Off || !answers(self.host()).await {
            return Ok(0);
        }
        let removed = remove_containers(layout, self.host()).await?;
        if let Some(port) = registry_port {
            remove_images(port, self.host()).await?;
        }
        Ok(removed)
    }
}

/// Looks for a container engine, changing nothing.
pub async fn find(user_host: Option<&str>) -> Found {
    if answers(user_host).await {
        return Found::Users(user_host.map(str::to_owned));
    }
    if !rustix::process::geteuid().is_root() {
        return Found::Missing(
            "no container engine answers `docker version`; start one, or point DOCKER_HOST at one, \
             or run as root to have Pushway start its own"
                .to_owned(),
        );
    }
    // Two dockerds share a bridge and each rewrites the other's firewall rules: never start a second one.
    if let Some(pid) = process::neighbour("dockerd") {
        return Found::Missing(format!(
            "a container engine runs on this machine (dockerd, process {pid}), but `docker version` does not \
             reach it; point DOCKER_HOST at its socket, or stop it"
        ));
    }
    match (find_program("dockerd"), find_program("docker")) {
        (Some(dockerd), Some(_)) => Found::Own(dockerd),
        _ => {
            Found::Missing("no container engine is installed; install docker (Debian: docker.io)".to_owned())
        }
    }
}

/// `find`, and where nothing is there: installs `docker.io` on Debian and Ubuntu as root.
pub async fn prepare(user_host: Option<&str>, log: &Path, progress: Progress<'_>) -> anyhow::Result<Found> {
    let advice = match find(user_host).await {
        Found::Missing(advice) => advice,
        found => return Ok(found),
    };
    if !debian::can_install() {
        bail!("{advice}");
    }
    progress("installing the Debian package docker.io on this machine: no container engine is here");
    debian::apt_get(&["update"], log).await?;
    debian::apt_get(&["install", "docker.io"], log).await?;
    // Newer Debians keep the client in a package of its own, older ones do not have that package.
    if find_program("docker").is_none() {
        debian::apt_get(&["install", "docker-cli"], log).await?;
    }
    match find(user_host).await {
        Found::Missing(advice) => bail!("{advice}"),
        found => Ok(found),
    }
}

/// Starts `dockerd` for this project and waits until it answers. Returns it with its `DOCKER_HOST`.
pub(crate) async fn start(
    layout: &Layout,
    dockerd: &Path,
    spawner: &Spawner,
) -> anyhow::Result<(Child, String)> {
    let (data, run) = (layout.docker_data(), layout.docker_run());
    for folder in [&data, &run] {
        std::fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
    }
    // A pid file of a killed dockerd names a pid that may belong to anyone by now; ours are all dead here.
    let _absent = std::fs::remove_file(run.join("docker.pid"));
    let log = layout.logs().join("dockerd.log");
    let host = format!("unix://{}", run.join("docker.sock").display());
    let mut command = bound_command(layout, dockerd, &log)?;
    command.envs(std::env::var_os("PATH").map(|path| ("PATH", with_sbin(&path))));
    command.arg("--data-root").arg(&data).arg("--exec-root").arg(run.join("exec"));
    command.arg("--pidfile").arg(run.join("docker.pid")).arg("--host").arg(&host);
    let mut child = spawner.spawn(command).await?;
    let deadline = tokio::time::Instant::now() + LONGEST_START;
    while !answers(Some(&host)).await {
        if let Some(status) = child.try_wait().context("look after dockerd")? {
            bail!("dockerd ended with {status}; see {}:\n{}", log.display(), tail(&log, 12));
        }
        if tokio::time::Instant::now() > deadline {
            bail!("dockerd did not answer within {LONGEST_START:?}; see {}", log.display());
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    Ok((child, host))
}

async fn remove_containers(layout: &Layout, host: Option<&str>) -> anyhow::Result<usize> {
    let format = format!("{{{{.ID}}}} {{{{.Label \"{INSTANCE_LABEL}\"}}}}");
    let mut list = docker(host);
    list.args(["ps", "--all", "--no-trunc", "--filter"]).arg(format!("label={INSTANCE_LABEL}"));
    let output = list.arg("--format").arg(format).output().await.context("start docker ps")?;
    if !output.status.success() {
        bail!("docker ps failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let ours = format!("{}:", layout.instance());
    let ids: Vec<&str> = text
        .lines()
        .filter_map(|line| line.split_once(' '))
        .filter(|(_, instance)| instance.starts_with(&ours))
        .map(|(id, _)| id)
        .collect();
    remove(host, &["rm", "--force", "--volumes"], &ids).await?;
    Ok(ids.len())
}

/// Removes what was pushed to or pulled from the emulated registry: nobody else can have that port. It goes
/// by name, for the same image may bear a name of the user's, too.
async fn remove_images(port: &str, host: Option<&str>) -> anyhow::Result<()> {
    let mut list = docker(host);
    list.args(["images", "--digests", "--format", "{{.Repository}} {{.Tag}} {{.Digest}}"]);
    for depth in ["*", "*/*", "*/*/*"] {
        list.arg("--filter").arg(format!("reference=localhost:{port}/{depth}"));
    }
    let output = list.output().await.context("start docker images")?;
    let names = image_names(&String::from_utf8_lossy(&output.stdout), &format!("localhost:{port}/"));
    remove(host, &["rmi"], &names.iter().map(String::as_str).collect::<Vec<_>>()).await
}

/// The names in lines of repository, tag and digest, of repositories that begin with `registry`.
fn image_names(lines: &str, registry: &str) -> Vec<String> {
    let mut names = std::collections::BTreeSet::new();
    for line in lines.lines().filter(|line| line.starts_with(registry)) {
        let mut words = line.split(' ');
        let (repository, tag) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let digest = words.next().unwrap_or_default();
        if tag != "<none>" {
            names.insert(format!("{repository}:{tag}"));
        }
        if digest != "<none>" {
            names.insert(format!("{repository}@{digest}"));
        }
    }
    names.into_iter().collect()
}

async fn remove(host: Option<&str>, verb: &[&str], ids: &[&str]) -> anyhow::Result<()> {
    if ids.is_empty() {
        return Ok(());
    }
    let output = docker(host).args(verb).args(ids).output().await.context("start docker")?;
    if !output.status.success() {
        bail!("docker {} failed: {}", verb.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

/// The ids of the containers that the project's own dockerd knows, read from its data folder: needed when
/// it was killed and cannot be asked.
pub(crate) fn own_containers(layout: &Layout) -> Vec<String> {
    let entries = std::fs::read_dir(layout.docker_data().join("containers")).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    names.filter(|name| name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit())).collect()
}

/// Takes away what a killed dockerd left mounted below the project, deepest first.
pub(crate) async fn unmount(layout: &Layout) -> anyhow::Result<()> {
    let table = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    for point in mounted_below(&table, &[layout.docker_data(), layout.docker_run()]) {
        let output =
            Command::new("umount").arg("--lazy").arg(&point).output().await.context("start umount")?;
        if !output.status.success() {
            let why = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            bail!("{} stays mounted: {why}", point.display());
        }
    }
    Ok(())
}

/// The mount points in a mountinfo table (proc(5)) at or below `folders`, deepest first.
fn mounted_below(table: &str, folders: &[PathBuf]) -> Vec<PathBuf> {
    let points = table.lines().filter_map(|line| line.split(' ').nth(4));
    let plain = points.map(|point| PathBuf::from(point.replace("\\040", " ").replace("\\134", "\\")));
    let mut below: Vec<PathBuf> =
        plain.filter(|point| folders.iter().any(|folder| point.starts_with(folder))).collect();
    below.sort_by_key(|point| std::cmp::Reverse(point.components().count()));
    below
}

/// Whether an engine answers at `host`. Five seconds are plenty over a local socket.
async fn answers(host: Option<&str>) -> bool {
    let mut command = docker(host);
    command.args(["version", "--format", "{{.Server.Version}}"]).stdout(Stdio::null()).stderr(Stdio::null());
    let status = tokio::time::timeout(Duration::from_secs(5), command.status()).await;
    matches!(status, Ok(Ok(status)) if status.success())
}

fn docker(host: Option<&str>) -> Command {
    let mut command = Command::new("docker");
    command.stdin(Stdio::null()).kill_on_drop(true);
    if let Some(host) = host {
        command.env("DOCKER_HOST", host);
    }
    command
}

/// dockerd needs `iptables` and `containerd`, which a stripped `PATH` may not reach.
fn with_sbin(path: &std::ffi::OsStr) -> std::ffi::OsString {
    let mut path = path.to_owned();
    path.push(":/usr/local/sbin:/usr/sbin:/sbin");
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_loses_the_names_of_our_registry_only() {
        let lines = "localhost:1/web 1 sha256:aa\nlocalhost:1/web <none> sha256:bb\n\
                     localhost:10/web 1 <none>\nusers 1 sha256:aa\n";
        let names = ["localhost:1/web:1", "localhost:1/web@sha256:aa", "localhost:1/web@sha256:bb"];
        assert_eq!(image_names(lines, "localhost:1/"), names);
    }

    #[test]
    fn only_mounts_of_the_project_are_taken_away_and_the_deepest_first() {
        let table = "30 1 254:0 / / rw - ext4 /dev/vda rw\n\
                     31 30 254:0 /x /p/my\\040app/.pushway/docker/data rw - ext4 /dev/vda rw\n\
                     32 31 0:40 / /p/my\\040app/.pushway/docker/data/overlay2/a/merged rw - overlay overlay rw\n\
                     33 30 254:0 /y /p/my\\040app2/.pushway/docker/data rw - ext4 /dev/vda rw\n";
        let ours = PathBuf::from("/p/my app/.pushway/docker/data");
        assert_eq!(
            mounted_below(table, std::slice::from_ref(&ours)),
            [ours.join("overlay2/a/merged"), ours.clone()]
        );
    }
}
