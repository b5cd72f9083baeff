//! `pushway init`: writes a first pipeline file for the repository it stands in.
//!
//! It guesses from the files at the repository's root what tests the repository, and writes that down as a
//! person would, to be read and changed. It overwrites nothing unless told to, and a buildspec never.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context as _, bail};
use pushway_core::ids::PipelineName;
use pushway_core::pipeline_file::PATHS;
use serde::Serialize;

use crate::output;

const BUILDSPEC: &str = "buildspec.yml";

/// Where to write.
#[derive(clap::Args)]
#[command(after_help = "Example: pushway init && pushway validate")]
pub(crate) struct Args {
    /// The repository's folder.
    #[arg(default_value = ".")]
    path: PathBuf,
    /// Write pushway.yml even if the repository has a pipeline file.
    #[arg(long)]
    force: bool,
}

/// What a file at the root tells about a repository.
struct Kind {
    marker: &'static str,
    /// What a machine needs first.
    install: &'static [&'static str],
    /// What tests the repository.
    test: &'static [&'static str],
}

const KINDS: [Kind; 5] = [
    Kind {
        marker: "Cargo.toml",
        install: &[
            "command -v cargo >/dev/null || curl -sSf https://sh.rustup.rs | sh -s -- -y --profile minimal",
            "export PATH=\"$PATH:$HOME/.cargo/bin\"",
        ],
        test: &["cargo test"],
    },
    Kind { marker: "package.json", install: &["npm install"], test: &["npm test"] },
    Kind { marker: "pyproject.toml", install: &["pip install . pytest"], test: &["python -m pytest"] },
    Kind { marker: "go.mod", install: &[], test: &["go test ./..."] },
    // Last: an image is built of what passed its tests.
    Kind {
        marker: "Dockerfile",
        install: &[],
        test: &[
            "if docker info >/dev/null 2>&1; then docker build .; else echo \"builds of pull requests have no Docker daemon\"; fi",
        ],
    },
];

/// What was done.
#[derive(Serialize)]
struct Done {
    written: Vec<&'static str>,
    found: Vec<&'static str>,
}

/// Writes the files, and says what to do next.
pub(crate) fn main(as_json: bool, args: &Args) -> anyhow::Result<ExitCode> {
    let done = init(&args.path, args.force)?;
    if as_json {
        output::json(&done)?;
    } else {
        output::line(&format!("wrote {}", done.written.join(" and ")))?;
        output::note(&next_steps(&done));
    }
    Ok(ExitCode::SUCCESS)
}

fn init(folder: &Path, force: bool) -> anyhow::Result<Done> {
    let existing = PATHS.into_iter().find(|name| folder.join(name).exists());
    if let Some(existing) = existing.filter(|_| !force) {
        bail!("{existing} is there already; keep it, or replace it with: pushway init --force");
    }
    let kinds: Vec<&Kind> = KINDS.iter().filter(|kind| folder.join(kind.marker).is_file()).collect();
    let mut written = vec![PATHS[0]];
    write(folder, PATHS[0], &pipeline_file(&name_of(folder), &branch_of(folder)))?;
    if !folder.join(BUILDSPEC).exists() {
        write(folder, BUILDSPEC, &buildspec(&kinds))?;
        written.push(BUILDSPEC);
    }
    Ok(Done { written, found: kinds.iter().map(|kind| kind.marker).collect() })
}

fn write(folder: &Path, name: &str, text: &str) -> anyhow::Result<()> {
    let path = folder.join(name);
    std::fs::write(&path, text).with_context(|| format!("write {}", path.display()))
}

fn pipeline_file(name: &str, branch: &str) -> String {
    format!(
        "# What a push does. All keys: docs/pipeline-file.md of Pushway; check this file with: pushway validate\n\
         version: 1\n\
         pipeline: \"{name}\"\n\
         on:\n\
         \x20 push: {{ branches: [\"{branch}\"] }}\n\
         \x20 pull_request: {{ branches: [\"{branch}\"] }}\n\
         # A newer push ends the run of an older one, unless that is deploying already.\n\
         concurrency: superseded\n\
         test:\n\
         \x20 # One CodeBuild build; what it runs stands in {BUILDSPEC}.\n\
         \x20 unit: {{ buildspec: {BUILDSPEC}, timeout: 20m }}\n"
    )
}

fn buildspec(kinds: &[&Kind]) -> String {
    let mut text = String::from(
        "# What the job `unit` of pushway.yml runs, one line after another.\nversion: 0.2\nphases:\n",
    );
    let install: Vec<&str> = kinds.iter().flat_map(|kind| kind.install).copied().collect();
    let mut test: Vec<&str> = kinds.iter().flat_map(|kind| kind.test).copied().collect();
    if test.is_empty() {
        test.push("echo \"write here what tests this repository\"");
    }
    for (phase, commands) in [("install", install), ("build", test)] {
        if commands.is_empty() {
            continue;
        }
        let _ = writeln!(text, "  {phase}:\n    commands:");
        for command in commands {
            let _ = writeln!(text, "      - {command}");
        }
    }
    text
}

/// The folder's name as far as a pipeline's name can hold it.
fn name_of(folder: &Path) -> String {
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    let name = folder.file_name().map(|name| name.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
    let parts = name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|part| !part.is_empty());
    let name: String = parts.collect::<Vec<_>>().join("-").chars().take(63).collect();
    let name = name.trim_end_matches('-').to_owned();
    if name.parse::<PipelineName>().is_ok() { name } else { "main".to_owned() }
}

/// The branch that is checked out, where its name means only itself in a pattern; else `main`.
fn branch_of(folder: &Path) -> String {
    let git = Command::new("git").arg("-C").arg(folder).args(["symbolic-ref", "--short", "HEAD"]).output();
    let branch = git.ok().filter(|output| output.status.success());
    let branch = branch.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    let is_plain = |name: &String| {
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._/-".contains(&b))
    };
    branch.filter(is_plain).unwrap_or_else(|| "main".to_owned())
}

fn next_steps(done: &Done) -> String {
    let guess = match done.found.as_slice() {
        [] => "Nothing here says how it is tested".to_owned(),
        found => format!("The commands are guessed from {}", found.join(", ")),
    };
    format!(
        "{guess}: read {BUILDSPEC} and change what is wrong. Then:\n\
         \x20 pushway validate                        check the file\n\
         \x20 pushway local up && pushway local push  try it on this machine\n\
         \x20 pushway connect --help                  tie the repository to your AWS account"
    )
}

#[cfg(test)]
mod tests {
    use pushway_core::pipeline_file::parse;

    use super::*;

    fn repository(name: &str, files: &[&str]) -> (tempfile::TempDir, PathBuf) {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join(name);
        std::fs::create_dir(&folder).unwrap();
        for file in files {
            std::fs::write(folder.join(file), "").unwrap();
        }
        (parent, folder)
    }

    fn text(folder: &Path, name: &str) -> String {
        std::fs::read_to_string(folder.join(name)).unwrap()
    }

    #[test]
    fn what_is_written_is_good_whatever_the_repository_is() {
        for kind in KINDS.iter().map(|kind| kind.marker).chain(["nothing.txt"]) {
            for name in ["web", "My Äpp!", "-", "no", "123", &"x".repeat(200)] {
                let (_parent, folder) = repository(name, &[kind]);
                init(&folder, false).unwrap();
                let plan = parse("pushway.yml", &text(&folder, "pushway.yml")).unwrap().plan;
                assert!(folder.join(plan.test[0].buildspec.as_str()).is_file());
            }
        }
    }

    #[test]
    fn the_repository_tells_what_tests_it() {
        let (_parent, folder) = repository("Shop API", &["Cargo.toml", "Dockerfile"]);
        let git = |args: &[&str]| {
            let status = Command::new("git").arg("-C").arg(&folder).args(args).status().unwrap();
            assert!(status.success());
        };
        git(&["init", "--quiet", "--initial-branch", "trunk"]);
        let done = init(&folder, false).unwrap();
        insta::assert_snapshot!(text(&folder, "pushway.yml"), @r#"
        # What a push does. All keys: docs/pipeline-file.md of Pushway; check this file with: pushway validate
        version: 1
        pipeline: "shop-api"
        on:
          push: { branches: ["trunk"] }
          pull_request: { branches: ["trunk"] }
        # A newer push ends the run of an older one, unless that is deploying already.
        concurrency: superseded
        test:
          # One CodeBuild build; what it runs stands in buildspec.yml.
          unit: { buildspec: buildspec.yml, timeout: 20m }
        "#);
        insta::assert_snapshot!(text(&folder, "buildspec.yml"), @r#"
        # What the job `unit` of pushway.yml runs, one line after another.
        version: 0.2
        phases:
          install:
            commands:
              - command -v cargo >/dev/null || curl -sSf https://sh.rustup.rs | sh -s -- -y --profile minimal
              - export PATH="$PATH:$HOME/.cargo/bin"
          build:
            commands:
              - cargo test
              - if docker info >/dev/null 2>&1; then docker build .; else echo "builds of pull requests have no Docker daemon"; fi
        "#);
        insta::assert_snapshot!(next_steps(&done), @r"
        The commands are guessed from Cargo.toml, Dockerfile: read buildspec.yml and change what is wrong. Then:
          pushway validate                        check the file
          pushway local up && pushway local push  try it on this machine
          pushway connect --help                  tie the repository to your AWS account
        ");
    }

    #[test]
    fn nothing_is_overwritten_unless_asked_and_a_buildspec_never() {
        for existing in PATHS {
            let (_parent, folder) = repository("web", &[existing, "buildspec.yml"]);
            let refused = init(&folder, false).err().unwrap().to_string();
            assert!(refused.contains(existing) && refused.contains("--force"), "{refused}");
            assert_eq!(text(&folder, existing), "");
            let done = init(&folder, true).unwrap();
            assert_eq!(done.written, ["pushway.yml"]);
            assert_eq!(text(&folder, "buildspec.yml"), "");
        }
    }
}
