//! A repository on this machine that the fakes serve for clones.

use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

/// A bare repository, and the working tree that is pushed from.
pub(crate) struct Git {
    folder: TempDir,
}

impl Git {
    /// A repository whose first commit, on `main`, has these files.
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        let git = Self { folder: tempfile::tempdir().expect("a folder for a repository") };
        git.git(&["init", "--quiet", "--initial-branch=main", "."]);
        git.git(&["init", "--quiet", "--bare", "--initial-branch=main", "web.git"]);
        std::fs::write(git.folder.path().join(".git/info/exclude"), "/web.git\n").expect("write");
        git.commit(&["refs/heads/main"], "Begin", files);
        git
    }

    /// The bare repository.
    pub(crate) fn bare(&self) -> PathBuf {
        self.folder.path().join("web.git")
    }

    /// Pushes a commit with these files, made from `parent`, to some refs; gives its id.
    pub(crate) fn push(&self, parent: &str, refs: &[&str], message: &str, files: &[(&str, &str)]) -> String {
        self.git(&["checkout", "--quiet", "--detach", parent]);
        self.commit(refs, message, files)
    }

    /// Where a ref points.
    pub(crate) fn head(&self, git_ref: &str) -> String {
        self.git(&["--git-dir=web.git", "rev-parse", git_ref])
    }

    fn commit(&self, refs: &[&str], message: &str, files: &[(&str, &str)]) -> String {
        for (path, text) in files {
            let path = self.folder.path().join(path);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("create a folder");
            std::fs::write(path, text).expect("write");
        }
        self.git(&["add", "--all"]);
        let author = ["-c", "user.name=Ada Example", "-c", "user.email=ada@example.com"];
        self.git(&[&author[..], &["commit", "--quiet", "--allow-empty", "--message", message]].concat());
        for git_ref in refs {
            self.git(&["push", "--quiet", "web.git", &format!("+HEAD:{git_ref}")]);
        }
        self.git(&["rev-parse", "HEAD"])
    }

    fn git(&self, args: &[&str]) -> String {
        let mut command = Command::new("git");
        command.args(args).current_dir(self.folder.path());
        command.envs([("GIT_CONFIG_GLOBAL", "/dev/null"), ("GIT_CONFIG_NOSYSTEM", "1")]);
        let output = command.output().expect("start git");
        assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }
}
