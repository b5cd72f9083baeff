//! `GET /environments/{pipeline}/{name}`: what serves, who holds or waits, and the way back; and
//! `GET /environments/{pipeline}/{name}/rollback?to=`, which asks for the reason.

use std::collections::BTreeMap;

use askama::Template;
use pushway_core::access::Scope;
use pushway_core::environment::{Deployed, EnvironmentRecord};
use pushway_core::ids::RunId;
use pushway_core::messages;
use pushway_core::summary::RunSummary;

use crate::frame::Frame;
use crate::links;
use crate::parts::{Icon, Pill, Tone};

/// An environment.
#[derive(Template)]
#[template(path = "environment.html", blocks = ["main"])]
pub struct EnvironmentPage<'a> {
    /// Who looks, and when; polled, so with a coarse time.
    pub frame: &'a Frame,
    /// The environment's record.
    pub record: &'a EnvironmentRecord,
    /// The runs it names, as far as they are known: they lend it messages and authors.
    pub runs: &'a BTreeMap<RunId, RunSummary>,
}

impl EnvironmentPage<'_> {
    fn message(&self, run: &RunId) -> &str {
        self.runs.get(run).map(|run| run.message.as_str()).unwrap_or_default()
    }

    fn author(&self, run: &RunId) -> &str {
        self.runs.get(run).map(|run| run.author.as_str()).unwrap_or_default()
    }

    fn pill(&self) -> Pill {
        state(self.record)
    }

    /// Where going back from is possible: what was left broken can be replaced by what last served.
    fn may_restore(&self) -> bool {
        self.record.left.is_some() && self.frame.may(Scope::Approve)
    }

    /// Whether the run that left it broken keeps its lock, until people have looked.
    fn is_kept(&self) -> bool {
        let (left, holder) = (&self.record.left, &self.record.holder);
        left.as_ref().is_some_and(|left| holder.as_ref().is_some_and(|holder| holder.run == left.run))
    }

    fn href(&self) -> String {
        links::environment(&self.record.pipeline, &self.record.name)
    }

    fn rollback(&self, to: &RunId) -> String {
        links::with_query(&format!("{}/rollback", self.href()), &[("to", &to.to_string())])
    }
}

/// How an environment stands.
pub(crate) fn state(record: &EnvironmentRecord) -> Pill {
    if record.left.is_some() {
        Pill::new(Tone::Bad, "Left broken")
    } else if record.freeze.is_some() {
        Pill::new(Tone::Ask, "Frozen")
    } else if record.holder.is_some() {
        Pill::new(Tone::Run, "Deploying")
    } else if record.current.is_some() {
        Pill::new(Tone::Ok, "Serves")
    } else {
        Pill::new(Tone::Wait, "Nothing yet")
    }
}

/// The confirmation of a rollback.
#[derive(Template)]
#[template(path = "rollback.html", blocks = ["main"])]
pub struct RollbackPage<'a> {
    /// Who looks, and when.
    pub frame: &'a Frame,
    /// The environment's record.
    pub record: &'a EnvironmentRecord,
    /// The version to go back to.
    pub to: &'a Deployed,
    /// The first line of its commit's message, where known.
    pub message: &'a str,
    /// Runs whose deploys can't be undone and would be gone back over.
    pub irreversible: &'a [RunId],
}

impl RollbackPage<'_> {
    fn href(&self) -> String {
        links::environment(&self.record.pipeline, &self.record.name)
    }
}
