//! Sentences about triggers: mistakes in `on`, and the rules by which something starts a run or does not.

use globset::ErrorKind;

use super::{Words, quoted};
use crate::ids::CommitSha;
use crate::pipeline_file::problem::printable;

// Mistakes.

pub(in crate::pipeline_file) fn no_trigger() -> Words {
    Words::new(
        "`on` names nothing that starts a run",
        "add push, pull_request, schedule or image: on: {push: {branches: [main]}}",
    )
}

pub(in crate::pipeline_file) fn no_ref_filter() -> Words {
    Words::new("`push` names neither branches nor tags", "say which pushes count: push: {branches: [main]}")
}

pub(in crate::pipeline_file) fn paths_without_branches() -> Words {
    Words::new(
        "paths are compared for branches only, and `push` names none",
        "add `branches`, or remove the path filter: a tag changes no file",
    )
}

pub(in crate::pipeline_file) fn only_exclusions() -> Words {
    Words::new(
        "every pattern excludes, so nothing can match",
        "put an including pattern first: [\"**\", \"!wip/**\"]",
    )
}

pub(in crate::pipeline_file) fn full_ref_pattern(pattern: &str) -> Words {
    Words::new(
        format!(
            "the pattern {} begins with `refs/`, but patterns are compared with the short name",
            quoted(pattern)
        ),
        "write main, not refs/heads/main",
    )
}

pub(in crate::pipeline_file) fn rooted_path_pattern(pattern: &str) -> Words {
    Words::new(
        format!("the pattern {} can match no path", quoted(pattern)),
        "paths begin at the root of the repository, without `/` or `./`: web/**",
    )
}

pub(in crate::pipeline_file) fn folder_pattern(pattern: &str) -> Words {
    Words::new(
        format!("the pattern {} can match no file", quoted(pattern)),
        "end it with `/**` for everything in the folder",
    )
}

pub(in crate::pipeline_file) fn expression_in_pattern(pattern: &str) -> Words {
    Words::new(
        format!("the pattern {} holds an expression, and filters take none", quoted(pattern)),
        "write the name itself",
    )
}

pub(in crate::pipeline_file) fn empty_pattern() -> Words {
    Words::new("the pattern is empty", "write a name or a pattern such as main, \"release/**\" or \"v*\"")
}

pub(in crate::pipeline_file) fn bad_pattern(pattern: &str, reason: &ErrorKind) -> Words {
    Words::new(
        format!("{} is not a valid pattern: {reason}", quoted(pattern)),
        "`*` matches within a part of the name, `**` across parts, `{a,b}` either",
    )
}

pub(in crate::pipeline_file) fn bad_schedule(expression: &str, reason: &str) -> Words {
    Words::new(
        format!("{} is not a schedule: {}", quoted(expression), printable(reason, 200)),
        "write cron(minutes hours day-of-month month day-of-week year), such as cron(0 6 * * ? *), \
         or rate(1 hour)",
    )
}

pub(in crate::pipeline_file) fn schedule_never_fires(expression: &str) -> Words {
    Words::new(
        format!("the schedule {} never fires", quoted(expression)),
        "compare its day with its months and years",
    )
}

pub(in crate::pipeline_file) fn unknown_timezone(name: &str) -> Words {
    Words::new(
        format!("there is no time zone {}", quoted(name)),
        "give its IANA name, such as Europe/Berlin or UTC",
    )
}

pub(in crate::pipeline_file) fn bad_image_repository(name: &str) -> Words {
    Words::new(
        format!("{} is not the name of an ECR repository", quoted(name)),
        "give the name without registry and tag, such as base/rust",
    )
}

pub(in crate::pipeline_file) fn duplicate_image_repository(name: &str) -> Words {
    Words::new(format!("{} is listed twice", quoted(name)), "keep one, with the tags of both")
}

// Rules.

pub(in crate::pipeline_file) const MANUAL_START: &str =
    "a run was asked for, and filters do not apply to that";

pub(in crate::pipeline_file) fn matches(
    kind: &str,
    name: &str,
    pattern: &str,
    key: &str,
    path: &str,
) -> String {
    format!("{kind} {} matches {} of {key} in {path}", printable(name, 100), quoted(pattern))
}

pub(in crate::pipeline_file) fn excluded(
    kind: &str,
    name: &str,
    pattern: &str,
    key: &str,
    path: &str,
) -> String {
    format!("{kind} {} is excluded by {} of {key} in {path}", printable(name, 100), quoted(pattern))
}

pub(in crate::pipeline_file) fn matches_none(
    kind: &str,
    name: &str,
    patterns: &str,
    key: &str,
    path: &str,
) -> String {
    let (name, patterns) = (printable(name, 100), printable(patterns, 200));
    format!("{kind} {name} matches none of {key} [{patterns}] in {path}")
}

pub(in crate::pipeline_file) fn not_on(what: &str, key: &str, path: &str) -> String {
    format!("{what} starts nothing: {path} has no on.{key}")
}

pub(in crate::pipeline_file) fn not_filtered(kind: &str, name: &str, key: &str, path: &str) -> String {
    format!("{kind} {} starts nothing: {path} has no on.push.{key}", printable(name, 100))
}

pub(in crate::pipeline_file) fn neither_branch_nor_tag(name: &str, path: &str) -> String {
    format!("{} is neither a branch nor a tag, and {path} starts runs only for those", printable(name, 100))
}

pub(in crate::pipeline_file) fn any_pull_request(base: &str, path: &str) -> String {
    format!("every pull request starts a run by on.pull_request in {path}; this one is into {}", name(base))
}

pub(in crate::pipeline_file) fn schedule_fires(expression: &str, path: &str) -> String {
    format!("the time of {} came, which on.schedule in {path} lists", quoted(expression))
}

pub(in crate::pipeline_file) fn no_such_schedule(expression: &str, path: &str) -> String {
    format!("the schedule {} starts nothing: on.schedule in {path} does not list it", quoted(expression))
}

pub(in crate::pipeline_file) fn any_image(repository: &str, path: &str) -> String {
    format!("an image was pushed to {}, which on.image in {path} lists with any tag", name(repository))
}

pub(in crate::pipeline_file) fn no_such_image(repository: &str, path: &str) -> String {
    format!(
        "an image pushed to {} starts nothing: on.image in {path} does not list the repository",
        name(repository)
    )
}

pub(in crate::pipeline_file) fn image_without_tag(repository: &str, path: &str) -> String {
    format!("the image pushed to {} has no tag, and on.image.tags in {path} asks for one", name(repository))
}

pub(in crate::pipeline_file) fn no_base(path: &str) -> String {
    format!(
        "there is no commit to compare with (no green run yet), so the path filter of {path} lets everything through"
    )
}

pub(in crate::pipeline_file) fn unknown_changes(base: &CommitSha, why: &str) -> String {
    format!(
        "the files that changed since {} are not known ({}), so a run starts to be safe",
        base.short(),
        printable(why, 200)
    )
}

pub(in crate::pipeline_file) fn path_matters(
    file: &str,
    pattern: Option<&str>,
    key: &str,
    base: &CommitSha,
    path: &str,
) -> String {
    let (file, base) = (printable(file, 200), base.short());
    match pattern {
        Some(pattern) => {
            format!("{file} changed since {base} and matches {} of {key} in {path}", quoted(pattern))
        }
        None => format!("{file} changed since {base}, and {key} in {path} does not ignore it"),
    }
}

pub(in crate::pipeline_file) fn no_path_matters(
    changed: usize,
    unwanted: usize,
    ignored: usize,
    base: &CommitSha,
    path: &str,
) -> String {
    let base = base.short();
    match changed {
        0 => format!("no file changed since {base}, and {path} filters by paths"),
        _ => format!(
            "no file that changed since {base} counts for {path} (changed: {changed}, outside `paths`: {unwanted}, \
             in `paths_ignore`: {ignored})"
        ),
    }
}

fn name(text: &str) -> String {
    printable(text, 100)
}
