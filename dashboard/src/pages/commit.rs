//! `GET /commits/{sha}`: a commit's runs, and where it is deployed.

use askama::Template;
use jiff::Timestamp;
use pushway_core::ids::{CommitSha, EnvironmentName, PipelineName, RunId};
use pushway_core::summary::RunSummary;

use crate::frame::Frame;
use crate::links;
use crate::parts::{Icon, Pill, Tone};

/// A commit.
#[derive(Template)]
#[template(path = "commit.html", blocks = ["main"])]
pub struct CommitPage<'a> {
    /// Who looks, and when.
    pub frame: &'a Frame,
    /// The commit.
    pub commit: &'a CommitSha,
    /// Its runs, newest first.
    pub runs: &'a [RunSummary],
    /// Where it serves or has served.
    pub deployments: &'a [Deployment],
    /// The commit's page at its forge; shown only if its scheme may be followed.
    pub forge: Option<&'a str>,
}

/// A commit's place in an environment.
#[derive(Debug, Clone)]
pub struct Deployment {
    /// The pipeline.
    pub pipeline: PipelineName,
    /// The environment.
    pub environment: EnvironmentName,
    /// The run that brought it.
    pub run: RunId,
    /// Since when.
    pub since: Timestamp,
    /// Whether it serves now.
    pub serves: bool,
}

impl Deployment {
    fn pill(&self) -> Pill {
        if self.serves { Pill::new(Tone::Ok, "Serves") } else { Pill::new(Tone::Quiet, "Served before") }
    }
}

impl CommitPage<'_> {
    fn forge(&self) -> Option<&str> {
        self.forge.and_then(links::outside)
    }

    fn message(&self) -> &str {
        self.runs.first().map(|run| run.message.as_str()).unwrap_or_default()
    }
}
