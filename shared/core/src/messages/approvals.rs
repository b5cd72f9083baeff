//! What an approval says of what it could not find out.

use crate::ids::CommitSha;

/// A delivery's history that does not reach back far enough.
pub fn not_carried(base: &CommitSha) -> String {
    format!("the push did not carry the history back to {}", base.short())
}

/// A forge that shows nothing between two commits that differ.
pub fn nothing_between(forge: &str, base: &CommitSha, commit: &CommitSha) -> String {
    format!("{forge} shows no commits between {} and {}", base.short(), commit.short())
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
