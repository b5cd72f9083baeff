//! `GET /commits/{sha}`: a commit's runs, and where it is deployed.

use askama::Template;
use pushway_core::deployments::CommitDeployment;
use pushway_core::ids::CommitSha;
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
    pub deployments: &'a [CommitDeployment],
    /// The commit's page at its forge; shown only if its scheme may be followed.
    pub forge: Option<&'a str>,
}

impl CommitPage<'_> {
    fn forge(&self) -> Option<&str> {
        self.forge.and_then(links::outside)
    }

    fn message(&self) -> &str {
        self.runs.first().map(|run| run.message.as_str()).unwrap_or_default()
    }
}

/// What became of a deployment.
fn state(deployment: &CommitDeployment) -> Pill {
    match (&deployment.replaced, &deployment.left_broken_by) {
        (None, None) => Pill::new(Tone::Ok, "Serves"),
        (None, Some(_)) => Pill::new(Tone::Bad, "Left broken by a later deploy"),
        (Some(_), _) => Pill::new(Tone::Quiet, "Served before"),
    }
}
