//! What an approval says of what it could not find out.

use crate::ids::{CommitSha, RefName};

/// A delivery's history that does not reach back far enough.
pub fn not_carried(base: &CommitSha) -> String {
    format!("the push did not carry the history back to {}", base.short())
}

/// A forge that shows nothing between two commits that differ.
pub fn nothing_between(forge: &str, base: &CommitSha, commit: &CommitSha) -> String {
    format!("{forge} shows no commits between {} and {}", base.short(), commit.short())
}

/// A commit that someone wants to run as part of a ref, and that is none.
pub fn not_of_ref(commit: &CommitSha, git_ref: &RefName, head: &CommitSha) -> String {
    format!(
        "{commit} is no part of {git_ref}, which is at {head}; nobody has merged it there. Merge it, or start the \
         ref that it is on"
    )
}

/// The same, where it could not be told.
pub fn perhaps_not_of_ref(commit: &CommitSha, git_ref: &RefName, why: &str) -> String {
    format!(
        "whether {commit} is part of {git_ref} can't be told ({why}), and what nobody has merged there does not run in its \
         name. Start the ref itself, or retry a run of that commit"
    )
}

/// Neither of two commits is among the newest ancestors of the other.
pub fn not_among(base: &CommitSha, commit: &CommitSha, most: usize) -> String {
    format!(
        "neither of {} and {} is among the last {most} commits before the other: the history was rewritten, or \
         the way is longer",
        base.short(),
        commit.short()
    )
}

/// The commits of a repository that is connected no more.
pub fn repository_gone() -> String {
    "the repository is not connected any more".into()
}

/// The commits could not be read; the pushes are what is left.
pub fn commits_unread(why: &str) -> String {
    format!("the commits could not be read, so only the pushes that Pushway knows are shown: {why}")
}

/// The task definitions could not be compared.
pub fn definitions_unread(why: &str) -> String {
    format!("the task definitions could not be compared: {why}; look at the service before you approve")
}

/// There is no service, rule or schedule yet.
pub fn nothing_to_compare(target: &str) -> String {
    format!("{target} runs nothing yet, so there is no task definition to compare with")
}

/// Changes that are not shown.
pub fn more_changes(count: usize) -> String {
    format!("and {count} more; compare the task definitions themselves")
}
