//! Where the engine keeps things: everything lies under `<project>/.pushway`, and nowhere else.
//!
//! The one exception is forced by the kernel: a unix socket path holds at most 107 bytes, so a project in
//! a deep folder gets its container engine's sockets under `/run` instead. This module only names paths;
//! it creates the folders it is asked for and never deletes.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use sha2::{Digest as _, Sha256};

/// `sun_path` holds 108 bytes with the closing zero (unix(7)).
const LONGEST_SOCKET_PATH: usize = 107;
/// The deepest socket that dockerd makes below its run folder.
const DEEPEST_SOCKET: &str = "exec/containerd/containerd-debug.sock";

/// The folders and files of one project's engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    project: PathBuf,
}

impl Layout {
    /// The layout of the project at `project`, an existing folder.
    pub fn new(project: &Path) -> anyhow::Result<Self> {
        let project =
            project.canonicalize().with_context(|| format!("project folder {}", project.display()))?;
        Ok(Self { project })
    }

    /// The project folder itself, absolute.
    pub fn project(&self) -> &Path {
        &self.project
    }

    /// `.pushway`: the engine's own folder.
    pub fn root(&self) -> PathBuf {
        self.project.join(".pushway")
    }

    /// The private Python environment.
    pub fn venv(&self) -> PathBuf {
        self.root().join("venv")
    }

    /// The programs of the private Python environment: `sam`, `aws`, `cfn-lint`, `ministack`.
    pub fn venv_bin(&self) -> PathBuf {
        self.venv().join("bin")
    }

    /// What one running engine keeps: state, logs, builds, scratch.
    pub fn local(&self) -> PathBuf {
        self.root().join("local")
    }

    /// One log file per child, and one per deployed stack.
    pub fn logs(&self) -> PathBuf {
        self.local().join("logs")
    }

    /// Who runs and where it listens; readable by its owner only.
    pub fn state_file(&self) -> PathBuf {
        self.local().join("engine.json")
    }

    /// What `up` was asked for, for the supervisor to read.
    pub fn options_file(&self) -> PathBuf {
        self.local().join("options.json")
    }

    /// Held while `up` or `down` works, so that two of them do not race.
    pub fn lock_file(&self) -> PathBuf {
        self.local().join("lock")
    }

    /// Scratch of the emulator and of its functions; emptied at each start.
    pub fn scratch(&self) -> PathBuf {
        self.local().join("tmp")
    }

    /// The home folder that tools and functions see, so that nothing of the user's is read or written.
    pub fn home(&self) -> PathBuf {
        self.local().join("home")
    }

    /// Where the build worker checks out and builds.
    pub fn builds(&self) -> PathBuf {
        self.local().join("builds")
    }

    /// The bare repositories that are pushed to.
    pub fn git(&self) -> PathBuf {
        self.local().with_file_name("git")
    }

    /// Images and containers of the engine's own dockerd.
    pub fn docker_data(&self) -> PathBuf {
        self.root().join("docker").join("data")
    }

    /// Sockets and pid file of the engine's own dockerd.
    pub fn docker_run(&self) -> PathBuf {
        let inside = self.root().join("docker").join("run");
        if inside.join(DEEPEST_SOCKET).as_os_str().len() <= LONGEST_SOCKET_PATH {
            inside
        } else {
            PathBuf::from("/run").join(self.instance())
        }
    }

    /// A name for this project's engine that no other project on the machine has.
    pub fn instance(&self) -> String {
        let digest = Sha256::digest(self.project.as_os_str().as_encoded_bytes());
        format!("pushway-{}", hex::encode(&digest[..6]))
    }

    /// Creates the folders that a start needs.
    pub(crate) fn create(&self) -> anyhow::Result<()> {
        for folder in [self.logs(), self.scratch(), self.home(), self.builds(), self.git()] {
            std::fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
        }
        Ok(())
    }
}

/// The first program named `name` in the folders of `PATH`.
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    // Root's shell on Debian may lack the sbin folders, where dockerd lives.
    let sbin = ["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from);
    std::env::split_paths(&path).chain(sbin).map(|folder| folder.join(name)).find(|file| file.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deep_project_keeps_its_sockets_short() {
        let root = tempfile::tempdir().unwrap();
        let deep = root.path().join("d".repeat(120));
        std::fs::create_dir(&deep).unwrap();
        let run = Layout::new(&deep).unwrap().docker_run();
        assert!(run.starts_with("/run"), "{}", run.display());
        assert!(run.join(DEEPEST_SOCKET).as_os_str().len() <= LONGEST_SOCKET_PATH);
    }

    #[test]
    fn two_projects_have_two_names() {
        let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        assert_ne!(Layout::new(a.path()).unwrap().instance(), Layout::new(b.path()).unwrap().instance());
    }
}
