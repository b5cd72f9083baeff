//! The commits between two others, as an approval shows them.
//!
//! Pure, and bounded: whoever can push chooses messages and names, and a run's record keeps them. What a
//! forge lists is put in here; how one is asked lies in `pushway-forges` and `pushway-aws`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::delivery::Carried;
use crate::fact::bounded;
use crate::ids::CommitSha;

/// How many commits are shown each way: more of them nobody reads.
pub const MAX_COMMITS: usize = 20;
/// Characters of a message's first line that are shown.
const MAX_MESSAGE: usize = 120;
/// Characters of an author's name that are shown.
const MAX_AUTHOR: usize = 60;

/// A commit in a few words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CommitLine {
    /// Its id.
    pub commit: CommitSha,
    /// First line of its message.
    pub message: String,
    /// Who wrote it.
    pub author: String,
}

impl CommitLine {
    /// A commit, its message and author cut to what is shown.
    pub fn new(commit: CommitSha, message: &str, author: &str) -> Self {
        // A name of two lines could tell of a commit that is none.
        let first =
            |text: &str, max| bounded(text.trim_start().lines().next().unwrap_or_default().trim_end(), max);
        Self { commit, message: first(message, MAX_MESSAGE), author: first(author, MAX_AUTHOR) }
    }
}

/// Commits, newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CommitList {
    /// As many as are shown.
    pub lines: Vec<CommitLine>,
    /// Whether there are more.
    pub has_more: bool,
}

impl CommitList {
    /// The newest of these commits, which come newest first.
    pub fn of(lines: impl IntoIterator<Item = CommitLine>) -> Self {
        let mut lines: Vec<CommitLine> = lines.into_iter().take(MAX_COMMITS + 1).collect();
        let has_more = lines.len() > MAX_COMMITS;
        lines.truncate(MAX_COMMITS);
        Self { lines, has_more }
    }
}

/// How a commit lies to the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// It is the same.
    Same,
    /// It follows.
    Forward,
    /// It is an ancestor: the deploy goes back.
    Backward,
    /// Neither follows the other: the history was rewritten, or another branch comes.
    Parted,
}

/// What lies between the commit that serves and the one that would come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CommitRange {
    /// How the one that would come lies to the one that serves.
    pub way: Way,
    /// The commits that would come, newest first.
    pub coming: Vec<CommitLine>,
    /// Whether more would come than are shown.
    #[serde(default)]
    pub has_more: bool,
    /// The commits that serve and would be gone, newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub leaving: Vec<CommitLine>,
    /// Whether more would be gone than are shown.
    #[serde(default)]
    pub has_more_leaving: bool,
}

/// What a forge tells of the commits between two others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Commits {
    /// They are told.
    Known(CommitRange),
    /// They can't be told, and why.
    Unknown(String),
}

impl CommitRange {
    /// Nothing lies between a commit and itself.
    pub fn same() -> Self {
        Self::new(Way::Same, CommitList::default(), CommitList::default())
    }

    fn new(way: Way, coming: CommitList, leaving: CommitList) -> Self {
        Self {
            way,
            coming: coming.lines,
            has_more: coming.has_more,
            leaving: leaving.lines,
            has_more_leaving: leaving.has_more,
        }
    }

    /// What lies between two commits that differ: what only the newer one has, and what only the older one
    /// has. `None` where both are empty, which can't be.
    pub fn between(coming: CommitList, leaving: CommitList) -> Option<Self> {
        let way = match (coming.lines.is_empty(), leaving.lines.is_empty()) {
            (true, true) => return None,
            (false, true) => Way::Forward,
            (true, false) => Way::Backward,
            (false, false) => Way::Parted,
        };
        Some(Self::new(way, coming, leaving))
    }
}

impl CommitRange {
    /// Leaves out the oldest line of the longer list; `false` where one line a list is all there is.
    pub fn drop_oldest(&mut self) -> bool {
        let (list, has_more) = if self.leaving.len() > self.coming.len() {
            (&mut self.leaving, &mut self.has_more_leaving)
        } else {
            (&mut self.coming, &mut self.has_more)
        };
        if list.len() <= 1 {
            return false;
        }
        *has_more = true;
        list.pop().is_some()
    }
}

impl Commits {
    /// What a delivery's history (first parents, newest first) tells of the way from `base` to `commit`.
    /// Unknown where it does not hold both in this order: it ends somewhere, and tells no other branch.
    pub fn carried(history: &[Carried], base: &CommitSha, commit: &CommitSha) -> Self {
        let newer: Vec<&Carried> = history.iter().skip_while(|carried| carried.commit != *commit).collect();
        let range = newer.iter().position(|carried| carried.commit == *base).and_then(|end| {
            let line =
                |known: &&Carried| CommitLine::new(known.commit.clone(), &known.message, &known.author);
            CommitRange::between(CommitList::of(newer[..end].iter().map(line)), CommitList::default())
        });
        range.map_or_else(|| Self::Unknown(crate::messages::not_carried(base)), Self::Known)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: usize) -> CommitSha {
        format!("{number:040}").parse().unwrap()
    }

    fn list(numbers: std::ops::Range<usize>) -> CommitList {
        CommitList::of(numbers.map(|number| CommitLine::new(id(number), "m", "a")))
    }

    #[test]
    fn lines_are_bounded_whatever_was_pushed() {
        let line = CommitLine::new(id(1), &format!("\n\n{}\nbody", "é".repeat(500)), &"x".repeat(500));
        assert!(line.message.starts_with("éé") && line.message.chars().count() < 140, "{}", line.message);
        assert!(line.author.len() < 80 && !line.message.contains("body"));
        let forged = CommitLine::new(id(1), "m", "\nAda)\n+ 1234567 Nothing to see (Ada");
        assert_eq!(forged.author, "Ada)");
        let twenty = list(0..20);
        assert_eq!((twenty.lines.len(), twenty.has_more), (20, false));
        let more = list(0..21);
        assert_eq!((more.lines.len(), more.has_more), (20, true));
    }

    #[test]
    fn the_way_follows_from_what_either_side_has() {
        let way = |coming, leaving| CommitRange::between(list(coming), list(leaving)).map(|range| range.way);
        assert_eq!(way(0..2, 0..0), Some(Way::Forward));
        assert_eq!(way(0..0, 0..2), Some(Way::Backward));
        assert_eq!(way(0..1, 2..3), Some(Way::Parted));
        assert_eq!(way(0..0, 0..0), None);
    }

    #[test]
    fn a_carried_history_tells_of_the_commits_after_the_base_or_of_nothing() {
        let carried = |number| Carried {
            commit: id(number),
            files: Vec::new(),
            message: format!("m{number}"),
            author: "Ada".into(),
        };
        let history = [carried(4), carried(3), carried(2), carried(1)];
        let Commits::Known(range) = Commits::carried(&history, &id(2), &id(4)) else { panic!() };
        let messages: Vec<_> = range.coming.iter().map(|line| line.message.as_str()).collect();
        assert_eq!((range.way, messages), (Way::Forward, vec!["m4", "m3"]));
        for (base, commit) in [(0, 4), (4, 2), (2, 0)] {
            let told = Commits::carried(&history, &id(base), &id(commit));
            assert!(matches!(told, Commits::Unknown(_)), "{base} to {commit}");
        }
    }
}
