//! What a forge shows of a repository: heads, differences, pull requests, the health of its webhook.
//!
//! Views only, in the terms that all forges share; how each one is asked lies in `pushway-forges` and, for
//! `CodeCommit`, in `pushway-aws`.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::delivery::Carried;
use crate::ids::{CommitSha, RefName, RepositoryId};
use crate::source::PullRequest;

/// The branches of a repository and where they point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Branches {
    /// Nothing has changed since the listing that had this entity tag.
    Unchanged,
    /// All of them, or as many as are looked at.
    Listed {
        /// Branch to commit.
        heads: BTreeMap<RefName, CommitSha>,
        /// Whether there are more than were looked at.
        is_truncated: bool,
        /// What to ask with next time.
        etag: Option<String>,
    },
}

/// The state of one check of a commit, as forges show it beside the commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CheckState {
    /// It has not begun or goes on.
    Pending,
    /// It is good.
    Success,
    /// It is bad.
    Failure,
    /// It did not come to an end: stopped, superseded, broken.
    Error,
}

/// A commit status: what a forge shows beside a commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CommitStatus {
    /// What tells it from the commit's other statuses: `pushway/web/build`.
    pub context: String,
    /// How it stands.
    pub state: CheckState,
    /// One line for people, at most 140 characters.
    pub description: String,
    /// Where to read more.
    pub url: Option<String>,
}

/// A pull request as its forge tells it now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullRequestView {
    /// Number, base and whether it comes from a fork.
    pub request: PullRequest,
    /// Where its head is.
    pub head: CommitSha,
    /// Whether it is open.
    pub is_open: bool,
    /// Its title.
    pub title: String,
    /// Who opened it.
    pub author: String,
}

/// A repository as its forge tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RepositoryView {
    /// Its id there.
    pub id: RepositoryId,
    /// Its full name there.
    pub name: String,
    /// The short name of its default branch.
    pub default_branch: Option<String>,
    /// Where it is cloned from, over HTTPS.
    pub clone_url: String,
}

/// How a webhook is doing, in its forge's view.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum HookHealth {
    /// It is on, and the last delivery, if there was one, went well.
    Healthy,
    /// It is on, and the last delivery failed.
    Failing {
        /// The forge's words or status code.
        reason: String,
    },
    /// The forge, or a person there, has turned it off (row F4).
    Disabled {
        /// Until when, where the forge turns it on again by itself.
        until: Option<Timestamp>,
        /// The forge's words.
        reason: String,
    },
    /// The forge knows no such webhook.
    Gone,
    /// The forge does not tell.
    Unknown,
}

/// Which files differ between two commits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Changes {
    /// All of them, old and new names alike, from the repository's root.
    Files(Vec<String>),
    /// They can't be told in full, and why.
    Unknown(String),
}

impl Changes {
    /// What a delivery's history (first parents, newest first) tells of the way from `base` to `commit`:
    /// every file that a commit after `base` touched, also where a later one took that back. Unknown where
    /// the history does not hold both.
    pub fn carried(history: &[Carried], base: &CommitSha, commit: &CommitSha) -> Self {
        let newer = history.iter().skip_while(|carried| carried.commit != *commit);
        let mut files = BTreeSet::new();
        for carried in newer {
            if carried.commit == *base {
                return Self::Files(files.into_iter().collect());
            }
            files.extend(carried.files.iter().cloned());
        }
        Self::Unknown(format!("the delivery did not carry the history back to {}", base.short()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_carried_history_tells_of_the_commits_after_the_base_or_of_nothing() {
        let id = |digit: &str| digit.repeat(40).parse::<CommitSha>().unwrap();
        let carried = |digit, files: &[&str]| Carried {
            commit: id(digit),
            files: files.iter().map(ToString::to_string).collect(),
            message: String::new(),
            author: String::new(),
        };
        let history =
            [carried("4", &["d", "b"]), carried("3", &["b"]), carried("2", &["c"]), carried("1", &["a"])];
        let changes = |base, commit| Changes::carried(&history, &id(base), &id(commit));
        let files = |names: &[&str]| Changes::Files(names.iter().map(ToString::to_string).collect());
        assert_eq!(changes("2", "4"), files(&["b", "d"]));
        assert_eq!(changes("1", "3"), files(&["b", "c"]));
        assert_eq!(changes("4", "4"), files(&[]));
        for (base, commit) in [("0", "4"), ("4", "2"), ("2", "0")] {
            assert!(matches!(changes(base, commit), Changes::Unknown(_)), "{base} to {commit}");
        }
        assert!(matches!(Changes::carried(&[], &id("1"), &id("1")), Changes::Unknown(_)));
    }
}
