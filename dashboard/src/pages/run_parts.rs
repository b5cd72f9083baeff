//! A run's states as pills, and what it built with where that went.

use std::collections::BTreeMap;

use pushway_core::fact::{CheckResult, RollbackOutcome};
use pushway_core::ids::{EnvironmentName, ImageDigestRef};
use pushway_core::preflight::Level;
use pushway_core::run::{EnvironmentState, JobState, Run};

use crate::messages;
use crate::parts::{Pill, Tone};
use crate::picture::{Row, Subject};
use crate::time;

/// How a job stands.
pub(crate) fn job_pill(run: &Run, state: &JobState) -> Pill {
    match &state.end {
        Some(end) if end.failure.is_none() => Pill::new(Tone::Ok, "Succeeded"),
        Some(end) if end.will_retry && !run.status.is_terminal() => Pill::new(Tone::Run, "Tried again"),
        Some(_) => Pill::new(Tone::Bad, "Failed"),
        None if run.status.is_terminal() && state.attempt > 0 => Pill::new(Tone::Quiet, "Cut off"),
        None if run.status.is_terminal() => Pill::new(Tone::Quiet, "Not run"),
        None if state.attempt > 0 => Pill::new(Tone::Run, "Running"),
        None => Pill::new(Tone::Wait, "To come"),
    }
}

/// How an environment of a run stands.
pub(crate) fn environment_pill(run: &Run, state: &EnvironmentState) -> Pill {
    let over = run.status.is_terminal();
    let (tone, word) = match state.rollback_outcome() {
        Some(RollbackOutcome::Restored { .. }) => (Tone::Warn, "Rolled back"),
        Some(RollbackOutcome::NotNeeded { .. }) => (Tone::Quiet, "Nothing to undo"),
        Some(RollbackOutcome::Held) => (Tone::Bad, "Held for people"),
        Some(RollbackOutcome::NoBaseline) => (Tone::Bad, "Nothing to go back to"),
        Some(RollbackOutcome::Failed { .. }) => (Tone::Bad, "Rollback failed"),
        None if state.rollback.is_some() && !over => (Tone::Run, "Rolling back"),
        None if state.has_failed() => (Tone::Bad, "Failed"),
        None if state.is_live() => (Tone::Ok, "Live"),
        None if state.approval.as_ref().is_some_and(|asked| asked.refusal.is_some()) => {
            (Tone::Warn, "Refused")
        }
        None if over && state.fence.is_some() => (Tone::Quiet, "Cut off"),
        None if over => (Tone::Quiet, "Not reached"),
        None if state.paused().is_some() => (Tone::Ask, "Waits for a person"),
        None if state.fence.is_none() => before_lock(state),
        None if state.is_validated() => (Tone::Run, "Watched"),
        None if state.deploy.is_some() => (Tone::Run, "Checking"),
        None if state.deployment.is_some() => (Tone::Run, "Rolling out"),
        None => (Tone::Run, "Preparing"),
    };
    Pill::new(tone, word)
}

fn before_lock(state: &EnvironmentState) -> (Tone, &'static str) {
    match &state.approval {
        Some(approval) if approval.is_open() => (Tone::Ask, "Waits for approval"),
        _ if state.blocked.is_some() => (Tone::Ask, "Waits for its time"),
        Some(_) => (Tone::Wait, "Waits for the lock"),
        None => (Tone::Wait, "To come"),
    }
}

/// An image, where it comes from and where it went.
#[derive(Debug)]
pub(crate) struct Artifact {
    pub(crate) image: ImageDigestRef,
    /// Jobs and outputs, or containers, that name it.
    pub(crate) from: Vec<String>,
    /// Environments that it was deployed to.
    pub(crate) went: Vec<(EnvironmentName, Pill)>,
}

impl Artifact {
    /// The repository, without the digest.
    pub(crate) fn name(&self) -> String {
        let whole = self.image.to_string();
        whole.split_once('@').map_or(whole.clone(), |(name, _)| name.to_owned())
    }
}

/// The images of a run by digest, in the order of its jobs.
pub(crate) fn artifacts(run: &Run) -> Vec<Artifact> {
    let mut found: Vec<Artifact> = Vec::new();
    for state in &run.jobs {
        let Some(end) = &state.end else { continue };
        for (name, value) in &end.outputs {
            if let Ok(image) = value.parse() {
                note(&mut found, &image).from.push(format!("{} as {name}", state.job));
            }
        }
        let files = end.images.definitions.values().chain(&end.images.detail);
        for image in files {
            note(&mut found, image).from.push(state.job.to_string());
        }
    }
    for state in &run.environments {
        let images: BTreeMap<_, _> = state.rollout.iter().flat_map(|rollout| rollout.images.iter()).collect();
        for (container, image) in images {
            let pill = environment_pill(run, state);
            let artifact = note(&mut found, image);
            if artifact.from.is_empty() {
                artifact.from.push(format!("container {container}"));
            }
            if !artifact.went.iter().any(|(name, _)| *name == state.name) {
                artifact.went.push((state.name.clone(), pill));
            }
        }
    }
    found
}

fn note<'a>(found: &'a mut Vec<Artifact>, image: &ImageDigestRef) -> &'a mut Artifact {
    let place = found.iter().position(|artifact| artifact.image == *image).unwrap_or_else(|| {
        found.push(Artifact { image: image.clone(), from: Vec::new(), went: Vec::new() });
        found.len() - 1
    });
    &mut found[place]
}

/// What a row is called.
pub(crate) fn row_name(row: &Row) -> String {
    match &row.subject {
        Subject::Plan => "plan".to_owned(),
        Subject::Job(job) => job.name.to_string(),
        Subject::Environment(name) => name.to_string(),
    }
}

/// Which part of the run a row belongs to.
pub(crate) fn row_group(row: &Row) -> &'static str {
    match &row.subject {
        Subject::Plan => "",
        Subject::Job(job) => job.stage.as_str(),
        Subject::Environment(_) => "deploy",
    }
}

/// How long a job took, by the build service's times where they are told.
pub(crate) fn job_took(state: &JobState) -> String {
    let end = state.end.as_ref();
    let from = end.and_then(|end| end.started_at).or(state.started_at);
    match (from, end.and_then(|end| end.ended_at)) {
        (Some(from), Some(to)) => time::duration(time::between(from, to)),
        _ => String::new(),
    }
}

/// How a check came out.
pub(crate) fn check_pill(check: &CheckResult) -> Pill {
    if check.passed { Pill::new(Tone::Ok, "Held") } else { Pill::new(Tone::Bad, "Did not hold") }
}

/// How grave a finding is.
pub(crate) fn level(level: Level) -> Pill {
    match level {
        Level::Error => Pill::new(Tone::Bad, "Error"),
        Level::Warning => Pill::new(Tone::Warn, "Warning"),
        Level::Note => Pill::new(Tone::Quiet, "Note"),
    }
}

/// What a rollback came to, in words.
pub(crate) fn rollback(state: &EnvironmentState) -> Option<String> {
    state.rollback_outcome().map(messages::rollback)
}
