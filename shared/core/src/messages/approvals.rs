//! What an approval says of what it could not find out, and of those who may consent.

use std::collections::BTreeSet;

use crate::approval::{ApprovalState, RuleChange};
use crate::ids::{CommitSha, EnvironmentName, RefName};
use crate::protection::{Approvers, KINDS, MAX_PATTERN_CHARS, MAX_PATTERNS, MAX_RULE_BYTES, ProtectionRule};

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

/// Who may consent by these patterns.
pub fn who_may(approvers: &Approvers) -> String {
    if approvers.is_anyone() { "anyone with the scope approve".into() } else { approvers.to_string() }
}

/// What a rule asks for.
pub fn protection(rule: &ProtectionRule) -> String {
    let people =
        if rule.required == 1 { "1 approval".into() } else { format!("{} approvals", rule.required) };
    format!("every deploy takes {people} by {}", who_may(&rule.approvers))
}

/// How far an approval has come.
pub fn approvals_given(state: &ApprovalState) -> String {
    format!("{} of {} approvals", state.counted(), state.request.required)
}

/// Someone may not consent.
pub fn may_not_approve(
    environment: &EnvironmentName,
    approvers: &Approvers,
    name: &str,
    groups: &BTreeSet<String>,
) -> String {
    let groups: Vec<&str> = groups.iter().map(String::as_str).collect();
    let groups = if groups.is_empty() { "no groups".into() } else { format!("groups {}", groups.join(", ")) };
    format!(
        "deploys to {environment} may be approved by {}; you are {name} with {groups}: ask one of them",
        who_may(approvers)
    )
}

/// The environment's rule is not what it was when people were asked.
pub fn rule_changed(environment: &EnvironmentName, change: &RuleChange) -> String {
    match &change.rule {
        Some(rule) => {
            let who = who_may(&rule.approvers);
            format!("{environment}: its rule has changed, {} approvals are needed by {who}", change.required)
        }
        None => format!("{environment}: its rule is gone, {} approvals are needed", change.required),
    }
}

/// The environment's rule asks for consent that a run lacks.
pub fn lacks_consent(environment: &EnvironmentName, rule: Option<&ProtectionRule>) -> String {
    match rule {
        Some(rule) => format!("the rule of {environment} has changed: {}", protection(rule)),
        None => format!("the rule of {environment} has changed"),
    }
}

/// A rule that asks for too few or too many people.
pub(crate) fn required_out_of_bounds(required: u16) -> String {
    format!("a rule can't ask for {required} approvals; say 1 to 10")
}

/// A rule of too many patterns.
pub(crate) fn too_many_approvers(count: usize) -> String {
    format!(
        "{count} patterns of approvers are too many; at most {MAX_PATTERNS} are taken, put people into groups"
    )
}

/// A rule of too many bytes.
pub(crate) fn approvers_too_large(bytes: usize) -> String {
    format!(
        "patterns of {bytes} bytes are too many; at most {MAX_RULE_BYTES} are taken together, put people into groups"
    )
}

/// A pattern that nobody could read.
pub(crate) fn approver_out_of_bounds(pattern: &str) -> String {
    let shown: String = pattern.chars().take(40).collect();
    format!(
        "the pattern {shown:?}… of approvers must have at most {MAX_PATTERN_CHARS} characters, without control characters"
    )
}

/// A pattern that could match nobody, or more kinds of principals than one.
pub(crate) fn approver_of_no_kind(pattern: &str) -> String {
    let [first, second, third, last] = KINDS;
    format!(
        "the pattern {pattern:?} of approvers must begin with {first}, {second}, {third} or {last}, as in \
         \"group:release\", \"person:ada@example.com\" or \"arn:aws:sts::111122223333:assumed-role/Release/*\""
    )
}

/// A pattern that is no glob.
pub(crate) fn approver_unreadable(pattern: &str, why: &str) -> String {
    format!(
        "the pattern {pattern:?} of approvers can't be read: {why}; a backslash takes a character for itself"
    )
}
