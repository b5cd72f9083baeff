//! What a fake forge holds: one repository, its history, and what Pushway has left there.
//!
//! Plain data that a test fills and reads. Histories can be made here or imported from a real one.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use jiff::Timestamp;
use pushway_core::ids::CommitSha;

use crate::sim::story::parse;

/// A commit with all its files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FakeCommit {
    /// The commits it was made from.
    pub parents: Vec<CommitSha>,
    /// Its message.
    pub message: String,
    /// Who wrote it.
    pub author: String,
    /// Path to text.
    pub files: BTreeMap<String, String>,
}

/// What became of one file: only `new` means added, only `old` removed, two names renamed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change<'a> {
    /// Its path before.
    pub old: Option<&'a str>,
    /// Its path after.
    pub new: Option<&'a str>,
}

impl Change<'_> {
    /// `added`, `removed`, `modified` or `renamed`.
    pub fn word(&self) -> &'static str {
        match (self.old, self.new) {
            (None, _) => "added",
            (_, None) => "removed",
            (old, new) if old == new => "modified",
            _ => "renamed",
        }
    }
}

/// A pull or merge request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FakePull {
    /// Its number in the repository.
    pub number: u64,
    /// Its title.
    pub title: String,
    /// Who opened it.
    pub author: String,
    /// The branch it comes from.
    pub branch: String,
    /// Where its head is.
    pub head: CommitSha,
    /// The branch it wants to go into.
    pub base: String,
    /// Whether it is open.
    pub is_open: bool,
    /// Whether its head lies in another repository.
    pub is_fork: bool,
}

/// A commit status as it was posted, in the provider's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FakeStatus {
    /// The commit.
    pub commit: CommitSha,
    /// Context, name or key.
    pub context: String,
    /// The provider's state.
    pub state: String,
    /// The line for people.
    pub description: String,
    /// Where to read more.
    pub url: Option<String>,
}

/// A webhook.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FakeHook {
    /// Its id at the forge.
    pub id: String,
    /// Where deliveries go.
    pub url: String,
    /// What they are signed with.
    pub secret: Option<String>,
    /// The provider's names of its events.
    pub events: Vec<String>,
    /// Whether it is on.
    pub is_active: bool,
    /// What the last delivery was answered with.
    pub last_status: Option<u16>,
    /// Deliveries in a row that were not answered with 2xx.
    pub failures: u32,
    /// Until when the forge has turned it off.
    pub disabled_until: Option<Timestamp>,
}

/// One attempt to deliver, as GitHub lists them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FakeDelivery {
    /// The attempt's id; newer ones are larger.
    pub id: u64,
    /// The delivery's id, the same for each attempt.
    pub guid: String,
    /// When it was sent.
    pub at: Timestamp,
    /// The event's name.
    pub event: String,
    /// The answer's status; 0 where there was none.
    pub status: u16,
    /// Whether somebody asked for it.
    pub is_redelivery: bool,
}

/// A repository and all that the forge knows of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FakeRepository {
    /// Its id at the forge.
    pub id: String,
    /// Its full name.
    pub name: String,
    /// The short name of its default branch.
    pub default_branch: String,
    /// All commits.
    pub commits: BTreeMap<CommitSha, FakeCommit>,
    /// Branch to commit.
    pub branches: BTreeMap<String, CommitSha>,
    /// Tag to commit.
    pub tags: BTreeMap<String, CommitSha>,
    /// Tag to the id of its tag object, for annotated ones.
    pub tag_objects: BTreeMap<String, CommitSha>,
    /// Pull requests.
    pub pulls: Vec<FakePull>,
    /// Statuses in the order in which they were posted.
    pub statuses: Vec<FakeStatus>,
    /// Webhooks.
    pub hooks: Vec<FakeHook>,
    /// Attempts of deliveries, in any order.
    pub deliveries: Vec<FakeDelivery>,
    /// `CodeCommit`: comments by their request token.
    pub comments: BTreeMap<String, String>,
    /// GitLab: whether comparing takes longer than it may; Gitea: nothing.
    pub compare_times_out: bool,
}

impl FakeRepository {
    /// `octo/web` with one commit on `main` that has these files.
    pub fn new(id: &str, files: &[(&str, &str)]) -> Self {
        let mut repository = Self {
            id: id.to_owned(),
            name: "octo/web".to_owned(),
            default_branch: "main".to_owned(),
            commits: BTreeMap::new(),
            branches: BTreeMap::new(),
            tags: BTreeMap::new(),
            tag_objects: BTreeMap::new(),
            pulls: Vec::new(),
            statuses: Vec::new(),
            hooks: Vec::new(),
            deliveries: Vec::new(),
            comments: BTreeMap::new(),
            compare_times_out: false,
        };
        repository.commit("main", "Begin", files);
        repository
    }

    /// Commits to a branch: its files, with these written over them. A branch that is not there begins at
    /// the default branch. Gives the commit.
    pub fn commit(&mut self, branch: &str, message: &str, files: &[(&str, &str)]) -> CommitSha {
        let parent = self.branches.get(branch).or_else(|| self.branches.get(&self.default_branch)).cloned();
        let mut all = parent.as_ref().map(|at| self.commits[at].files.clone()).unwrap_or_default();
        all.extend(files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())));
        let sha = self.add(FakeCommit {
            parents: parent.into_iter().collect(),
            message: message.to_owned(),
            author: "Ada Example".to_owned(),
            files: all,
        });
        self.branches.insert(branch.to_owned(), sha.clone());
        sha
    }

    /// Adds a commit that no branch points at; its id is made of what it holds.
    pub fn add(&mut self, commit: FakeCommit) -> CommitSha {
        use sha2::Digest as _;
        let hash = sha2::Sha256::digest(format!("{commit:?}"));
        let sha: CommitSha = parse(&hex::encode(&hash[..20]));
        self.commits.insert(sha.clone(), commit);
        sha
    }

    /// Opens a pull request of a branch.
    pub fn open_pull(&mut self, number: u64, branch: &str, head: &CommitSha, is_fork: bool) {
        self.pulls.push(FakePull {
            number,
            title: "Greet by name".to_owned(),
            author: "ada".to_owned(),
            branch: branch.to_owned(),
            head: head.clone(),
            base: self.default_branch.clone(),
            is_open: true,
            is_fork,
        });
    }

    /// Where it is cloned from.
    pub fn clone_url(&self, url: &str) -> String {
        format!("{url}/{}.git", self.name)
    }

    /// A commit by its id, a unique beginning of it, or the name of a branch or tag.
    pub fn resolve(&self, name: &str) -> Option<&CommitSha> {
        if let Some(sha) = self.branches.get(name).or_else(|| self.tags.get(name)) {
            return Some(sha);
        }
        let is_hex = name.len() >= 7 && name.bytes().all(|b| b.is_ascii_hexdigit());
        let mut found = self.commits.keys().filter(|sha| is_hex && sha.as_str().starts_with(name));
        found.next().filter(|_| found.next().is_none())
    }

    /// A file at a commit.
    pub fn file(&self, at: &CommitSha, path: &str) -> Option<&str> {
        self.commits.get(at)?.files.get(path).map(String::as_str)
    }

    /// What lies directly in a folder: path, and whether it is a folder itself. `None`: no such folder.
    pub fn folder(&self, at: &CommitSha, path: &str) -> Option<BTreeMap<String, bool>> {
        let prefix = if path.is_empty() { String::new() } else { format!("{}/", path.trim_end_matches('/')) };
        let inside = self.commits.get(at)?.files.keys().filter_map(|file| file.strip_prefix(&prefix));
        let entries: BTreeMap<String, bool> = inside
            .map(|rest| {
                let name = rest.split('/').next().unwrap_or(rest);
                (format!("{prefix}{name}"), rest.contains('/'))
            })
            .collect();
        (!entries.is_empty() || path.is_empty()).then_some(entries)
    }

    /// A commit and all that it was made from.
    pub fn ancestors(&self, of: &CommitSha) -> BTreeSet<&CommitSha> {
        let mut seen = BTreeSet::new();
        let mut open: Vec<&CommitSha> =
            self.commits.get_key_value(of).map(|(sha, _)| sha).into_iter().collect();
        while let Some(sha) = open.pop() {
            if seen.insert(sha) {
                open.extend(self.commits.get(sha).into_iter().flat_map(|commit| &commit.parents));
            }
        }
        seen
    }

    /// The newest common ancestor of two commits.
    pub fn merge_base(&self, base: &CommitSha, head: &CommitSha) -> Option<&CommitSha> {
        let theirs = self.ancestors(base);
        let common: Vec<_> = self.ancestors(head).into_iter().filter(|sha| theirs.contains(sha)).collect();
        common.iter().copied().max_by_key(|sha| self.ancestors(sha).len())
    }

    /// The commits that `head` has and `base` has not, oldest first.
    pub fn ahead(&self, base: &CommitSha, head: &CommitSha) -> Vec<&CommitSha> {
        let old = self.ancestors(base);
        let mut new: Vec<_> = self.ancestors(head).into_iter().filter(|sha| !old.contains(sha)).collect();
        new.sort_by_key(|sha| self.ancestors(sha).len());
        new
    }

    /// What differs between two trees, by path. A file that came with the text of one that went was renamed.
    pub fn changes(&self, base: &CommitSha, head: &CommitSha) -> Vec<Change<'_>> {
        static NONE: BTreeMap<String, String> = BTreeMap::new();
        let files = |at: &CommitSha| self.commits.get(at).map_or(&NONE, |commit| &commit.files);
        let (old, new) = (files(base), files(head));
        let mut gone: Vec<(&String, &String)> =
            old.iter().filter(|(path, _)| !new.contains_key(*path)).collect();
        let mut changes = Vec::new();
        for (path, text) in new {
            match old.get(path) {
                Some(before) if before == text => {}
                Some(_) => changes.push(Change { old: Some(path), new: Some(path) }),
                None => {
                    let from = gone.iter().position(|(_, before)| *before == text);
                    let from = from.map(|at| gone.remove(at).0.as_str());
                    changes.push(Change { old: from, new: Some(path) });
                }
            }
        }
        changes.extend(gone.into_iter().map(|(path, _)| Change { old: Some(path), new: None }));
        changes
    }

    /// Takes refs and commits from a bare repository.
    pub(super) fn import(&mut self, path: &Path) {
        let git = |args: &[&str]| {
            let output = Command::new("git").arg("-C").arg(path).args(args).output();
            let output = output.unwrap_or_else(|error| panic!("git {args:?}: {error}"));
            assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
            String::from_utf8_lossy(&output.stdout).into_owned()
        };
        git(&["update-server-info"]);
        let refs = |namespace: &str| -> BTreeMap<String, CommitSha> {
            let format = "--format=%(refname:lstrip=2) %(if)%(*objectname)%(then)%(*objectname)%(else)%(objectname)%(end)";
            let lines = git(&["for-each-ref", format, namespace]);
            let pairs = lines.lines().filter_map(|line| line.split_once(' '));
            pairs.map(|(name, sha)| (name.to_owned(), parse(sha))).collect()
        };
        (self.branches, self.tags) = (refs("refs/heads"), refs("refs/tags"));
        for line in git(&["rev-list", "--all", "--parents"]).lines() {
            let mut shas = line.split(' ').map(parse::<CommitSha>);
            let Some(sha) = shas.next() else { continue };
            let show = |format: &str| git(&["log", "-1", format, sha.as_str()]).trim().to_owned();
            let names = git(&["ls-tree", "-r", "--name-only", sha.as_str()]);
            let text = |path: &str| git(&["cat-file", "blob", &format!("{sha}:{path}")]);
            let commit = FakeCommit {
                parents: shas.collect(),
                message: show("--format=%B"),
                author: show("--format=%an"),
                files: names.lines().map(|path| (path.to_owned(), text(path))).collect(),
            };
            self.commits.insert(sha, commit);
        }
    }
}
