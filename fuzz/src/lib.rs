//! Every parser of outside bytes, as a fuzz target: a function that takes any bytes and must never panic.
//!
//! A target panics where a parser does, or where what was read breaks a rule that holds for every input.
//! `cargo xtask fuzz` runs the targets under libFuzzer, guided by coverage; `tests/seeds.rs` runs each on
//! its seeds. Targets are deterministic and touch nothing outside the process.

mod seeds;
mod targets;

pub use seeds::write_seeds;

use targets::{answers, builds, forges, functions, git_hook, names, pipeline_file};

/// One fuzz target.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name on the command line, and of its folders.
    pub name: &'static str,
    /// What it does with an input.
    pub run: fn(&[u8]),
    /// Inputs to begin with, made of the repository's own samples.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// All targets. Each costs a minute of continuous integration, two at a time.
pub const TARGETS: &[Target] = &[
    Target { name: "webhook", run: functions::webhook, seeds: functions::webhook_seeds },
    Target { name: "github", run: forges::github, seeds: forges::github_seeds },
    Target { name: "gitlab", run: forges::gitlab, seeds: forges::gitlab_seeds },
    Target { name: "bitbucket", run: forges::bitbucket, seeds: forges::bitbucket_seeds },
    Target { name: "gitea", run: forges::gitea, seeds: forges::gitea_seeds },
    Target { name: "git", run: forges::git, seeds: forges::git_seeds },
    Target { name: "forge_answers", run: answers::run, seeds: answers::seeds },
    Target { name: "git_hook", run: git_hook::run, seeds: git_hook::seeds },
    Target { name: "events", run: functions::events, seeds: functions::event_seeds },
    Target { name: "api", run: functions::api, seeds: functions::api_seeds },
    Target { name: "pipeline_file", run: pipeline_file::run, seeds: pipeline_file::seeds },
    Target { name: "names", run: names::run, seeds: names::seeds },
    Target { name: "junit", run: builds::junit, seeds: builds::junit_seeds },
    Target { name: "buildspec", run: builds::buildspec, seeds: builds::buildspec_seeds },
    Target { name: "image_files", run: builds::image_files, seeds: builds::image_files_seeds },
];

/// The target of a name.
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}
