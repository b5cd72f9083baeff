//! Sentences about scheduled tasks.

use crate::ids::ImageDigestRef;
use crate::scheduled::Starter;

/// A rule or schedule that is not there.
pub fn no_starter(starter: &Starter) -> String {
    format!("there is no {starter}; create it, or mend the deploy's target in pushway.yml")
}

/// A rule or schedule that does not start just the one task that is meant.
pub fn not_one_task(starter: &Starter, targets: &[String]) -> String {
    match (targets, starter.target()) {
        ([], _) => format!("{starter} starts no ECS task; give it a target that does, or name another"),
        (known, Some(wanted)) => format!(
            "{starter} has no ECS task with the target id {wanted:?}, only {}; mend `target` in pushway.yml",
            known.join(", ")
        ),
        (known, None) => format!(
            "{starter} starts several ECS tasks ({}); say which one by its target id, as `target` in pushway.yml",
            known.join(", ")
        ),
    }
}

/// A task definition without a container that gets an image.
pub fn no_container(starter: &Starter, wanted: &str, known: &[String]) -> String {
    format!(
        "the task of {starter} has no container {wanted:?}, only {}; mend `images` in pushway.yml",
        known.join(", ")
    )
}

/// The task was changed between looking and writing.
pub fn changed_meanwhile(starter: &Starter, found: &str, expected: &str) -> String {
    format!(
        "someone pointed {starter} at {found} meanwhile, and this run had found {expected}; nothing was \
         overwritten: look at who changed it, then push again"
    )
}

/// The task starts another revision than the one that a run brought.
pub fn starts_another(found: &str, expected: &str) -> String {
    format!("it starts {found}, not {expected}")
}

/// The task starts whichever revision is the latest.
pub fn names_the_latest(named: &str) -> String {
    format!("it names {named} without a revision, so whatever is registered next would be started")
}

/// The revision has another image.
pub fn has_another_image(container: &str, found: Option<&String>, expected: &ImageDigestRef) -> String {
    match found {
        Some(found) => format!("container {container} gets {found}, not {expected}"),
        None => format!("there is no container {container}"),
    }
}

/// All is as it was brought.
pub fn starts_ours(revision: &str) -> String {
    format!("it starts {revision}")
}

/// The check that is always made.
pub fn check_name(starter: &Starter) -> String {
    format!("{starter} starts the built image by digest")
}

/// The check of its runs while it is watched.
pub fn runs_check_name() -> &'static str {
    "each run that has ended did so with exit code 0"
}

/// Runs that have ended well.
pub fn runs_so_far(ended: usize) -> String {
    match ended {
        0 => "no run has ended yet".into(),
        1 => "1 run has ended".into(),
        ended => format!("{ended} runs have ended"),
    }
}

/// Someone pointed it elsewhere after this run had written.
pub fn moved_elsewhere(starter: &Starter, found: &str) -> String {
    format!("someone else has pointed {starter} at {found} meanwhile")
}

/// What was written does not show yet.
pub fn not_shown_yet(starter: &Starter, found: &str) -> String {
    format!("{starter} still starts {found} after it was told otherwise")
}

/// A role that starts tasks and that the deploy may not pass on.
pub fn starting_role_not_passable(role: &str) -> String {
    format!(
        "the deploy may not leave {role} in place as the role that starts the task; add it to the parameter \
         ScheduleRoleArns of the installation"
    )
}

/// A target that names no revision.
pub fn not_pinned(starter: &Starter, named: &str) -> String {
    format!(
        "{starter} names {named} without a revision; the deploy pins it to the revision that it comes to, \
         since a new one would be started as soon as it is registered"
    )
}

/// A rule or schedule that is turned off.
pub fn turned_off(starter: &Starter) -> String {
    format!("{starter} is turned off; the deploy leaves it so, and nothing will run")
}
