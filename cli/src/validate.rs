//! `pushway validate`: checks pipeline files with the code that the installation plans with.
//!
//! It asks nobody and needs no account; what only a run can know stands for a sample.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use pushway_core::ids::PipelineName;
use pushway_core::pipeline_file::{DIRECTORY, PATHS, Problems, duplicate_pipeline, is_in_directory, parse};
use pushway_core::plan::Plan;
use serde::Serialize;

use crate::output;

/// What to check.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  pushway validate\n  pushway validate ../web\n  pushway validate .pushway/nightly.yml"
)]
pub(crate) struct Args {
    /// A repository's folder, for all of its pipeline files, or one file.
    #[arg(default_value = ".")]
    path: PathBuf,
}

/// What one file came to.
#[derive(Serialize)]
struct Checked {
    path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    plan: Option<Plan>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    problems: Option<Problems>,
}

/// Everything that was looked at.
#[derive(Serialize)]
struct Report {
    good: bool,
    files: Vec<Checked>,
    /// Pipelines that two files claim.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    duplicates: Vec<String>,
}

/// Checks files; exits with 1 if there is a problem.
pub(crate) fn main(as_json: bool, args: &Args) -> anyhow::Result<ExitCode> {
    let report = check(&args.path)?;
    if as_json {
        output::json(&report)?;
    } else {
        show(&report)?;
    }
    Ok(if report.good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn check(path: &Path) -> anyhow::Result<Report> {
    let (folder, names) = if path.is_dir() {
        (path, pipeline_files(path)?)
    } else {
        (Path::new(""), vec![path.display().to_string()])
    };
    if names.is_empty() {
        bail!("{} has no pipeline file; write a first one with: pushway init", path.display());
    }
    let mut files = Vec::new();
    let mut owners: BTreeMap<PipelineName, String> = BTreeMap::new();
    let mut duplicates = Vec::new();
    for name in names {
        let text = std::fs::read_to_string(folder.join(&name)).with_context(|| format!("read {name}"))?;
        let (plan, problems) = match parse(&name, &text) {
            Ok(file) => (Some(file.plan), None),
            Err(problems) => (None, Some(problems)),
        };
        let pipeline = plan.as_ref().map(|plan| plan.pipeline.clone());
        if let Some(pipeline) = pipeline {
            if let Some(first) = owners.get(&pipeline) {
                duplicates.push(duplicate_pipeline(&pipeline, first, &name));
            } else {
                owners.insert(pipeline, name.clone());
            }
        }
        files.push(Checked { path: name, plan, problems });
    }
    let good = duplicates.is_empty() && files.iter().all(|file| file.problems.is_none());
    Ok(Report { good, files, duplicates })
}

/// The pipeline files of a repository, by their paths in it, as the installation finds them.
pub(crate) fn pipeline_files(folder: &Path) -> anyhow::Result<Vec<String>> {
    let mut names: Vec<String> =
        PATHS.into_iter().find(|name| folder.join(name).is_file()).map(str::to_owned).into_iter().collect();
    let further = folder.join(DIRECTORY);
    if further.is_dir() {
        let shown = further.display();
        let mut found = Vec::new();
        for entry in std::fs::read_dir(&further).with_context(|| format!("read the folder {shown}"))? {
            let entry = entry.with_context(|| format!("read the folder {shown}"))?;
            let name = format!("{DIRECTORY}/{}", entry.file_name().to_string_lossy());
            if is_in_directory(&name) && entry.path().is_file() {
                found.push(name);
            }
        }
        found.sort();
        names.extend(found);
    }
    Ok(names)
}

fn show(report: &Report) -> anyhow::Result<()> {
    for file in &report.files {
        if let Some(plan) = &file.plan {
            output::line(&format!("{} is good: {}", file.path, summary(plan)))?;
        }
        if let Some(problems) = &file.problems {
            output::note(&format!("{problems}\n"));
        }
    }
    for duplicate in &report.duplicates {
        output::note(duplicate);
    }
    Ok(())
}

fn summary(plan: &Plan) -> String {
    let count = |count: usize, what: &str| {
        let s = if count == 1 { "" } else { "s" };
        format!("{count} {what}{s}")
    };
    format!(
        "pipeline {}, {}, {}",
        plan.pipeline,
        count(plan.build.len() + plan.test.len(), "job"),
        count(plan.environments.len(), "environment")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "version: 1\npipeline: web\non: { push: { branches: [main] } }\ntest:\n  unit: { buildspec: b.yml }\n";

    fn report(files: &[(&str, &str)]) -> anyhow::Result<Report> {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        check(folder.path())
    }

    #[test]
    fn all_files_of_a_repository_are_checked_as_the_installation_finds_them() {
        let api = GOOD.replace("web", "api");
        let report = report(&[
            ("pushway.yml", GOOD),
            (".pushway.yml", "is not read: pushway.yml is there"),
            (".pushway/nightly.yaml", &api),
            (".pushway/notes.txt", "no pipeline file"),
            (".pushway/deeper/x.yml", "neither"),
        ])
        .unwrap();
        let paths: Vec<&str> = report.files.iter().map(|file| file.path.as_str()).collect();
        assert_eq!(paths, ["pushway.yml", ".pushway/nightly.yaml"]);
        assert!(report.good);
    }

    #[test]
    fn a_problem_is_shown_with_its_line_and_two_files_cannot_share_a_pipeline() {
        let typo = GOOD.replace("buildspec:", "buildspce:").replace("web", "api");
        let files = [("pushway.yml", GOOD), (".pushway/a.yml", GOOD), (".pushway/b.yml", &typo)];
        let report = report(&files).unwrap();
        assert!(!report.good);
        insta::assert_snapshot!(report.files[2].problems.as_ref().unwrap(), @r"
        .pushway/b.yml:5:11: unknown key `buildspce` in a job
        5 |   unit: { buildspce: b.yml }
          |           ^
        hint: did you mean `buildspec`?
        ");
        insta::assert_snapshot!(report.duplicates.join("\n"), @"pushway.yml and .pushway/a.yml both describe the pipeline `web`; give one of them another name under `pipeline`");
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["files"][0]["plan"]["pipeline"], "web");
        assert_eq!(json["files"][2]["problems"][0]["line"], 5);
    }

    #[test]
    fn a_folder_without_a_pipeline_file_says_how_to_get_one() {
        assert!(report(&[]).err().unwrap().to_string().contains("pushway init"));
    }
}
