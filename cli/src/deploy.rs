//! `pushway deploy --dry-run`: what the installation would find out before a deploy, asked with the
//! credentials of whoever runs it.
//!
//! Nothing is changed anywhere. What only a run can know stands for a sample, as in `pushway validate`; which
//! roles may be passed to tasks only the installation knows, so that is not looked at.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use pushway_aws::account::Account;
use pushway_core::definition_file::fill;
use pushway_core::ids::EnvironmentName;
use pushway_core::messages;
use pushway_core::pipeline_file::{DIRECTORY, parse};
use pushway_core::plan::EnvironmentPlan;
use pushway_core::preflight::{self, Finding, Level};
use serde::Serialize;

use crate::output;

/// What to look at.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  pushway deploy --dry-run\n  pushway deploy --dry-run .pushway/api.yml --environment production"
)]
pub(crate) struct Args {
    /// The pipeline file.
    #[arg(default_value = "pushway.yml")]
    file: PathBuf,
    /// Only this environment.
    #[arg(long)]
    environment: Option<EnvironmentName>,
    /// Look, and change nothing. A deploy itself starts with a push, or with `pushway start`.
    #[arg(long, required = true)]
    dry_run: bool,
}

/// What was found.
#[derive(Serialize)]
struct Report {
    good: bool,
    environments: Vec<EnvironmentName>,
    findings: Vec<Finding>,
}

/// Looks at the targets; exits with 1 if a deploy to one of them can never work.
pub(crate) async fn main(as_json: bool, args: &Args) -> anyhow::Result<ExitCode> {
    let mut planned = planned(&args.file, args.environment.as_ref())?;
    let ports = Account::from_environment().await.ports("none");
    let mut findings = Vec::new();
    for one in &mut planned {
        match preflight::look(&ports, one).await {
            Ok(found) => findings.extend(found),
            Err(fault) => findings.push(Finding {
                level: Level::Warning,
                environment: one.name.clone(),
                text: messages::not_looked_at(&fault.to_string()),
            }),
        }
    }
    let good = findings.iter().all(|finding| finding.level != Level::Error);
    let environments = planned.into_iter().map(|one| one.name).collect();
    show(as_json, &Report { good, environments, findings })?;
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn show(as_json: bool, report: &Report) -> anyhow::Result<()> {
    if as_json {
        return output::json(report);
    }
    for finding in &report.findings {
        output::line(&output::clean(&finding.to_string()))?;
    }
    for name in &report.environments {
        if !report.findings.iter().any(|finding| finding.environment == *name) {
            output::line(&format!("{name}: nothing to say"))?;
        }
    }
    Ok(())
}

/// The environments that a file describes, with the definitions that lie beside it.
fn planned(file: &Path, only: Option<&EnvironmentName>) -> anyhow::Result<Vec<EnvironmentPlan>> {
    let text = std::fs::read_to_string(file).with_context(|| format!("read {}", file.display()))?;
    let name = file.display().to_string();
    let mut planned = match parse(&name, &text) {
        Ok(parsed) => parsed.plan.environments,
        Err(problems) => bail!("{problems}"),
    };
    planned.retain(|one| only.is_none_or(|only| one.name == *only));
    if planned.is_empty() {
        bail!("{name} has no such environment; `pushway validate` shows what it has");
    }
    let root = root(file);
    for one in &mut planned {
        let mut files = BTreeMap::new();
        for path in one.definitions().map(|file| &file.path) {
            if let Ok(text) = std::fs::read_to_string(root.join(path.as_str())) {
                files.insert(path.clone(), text);
            }
        }
        if let Err(cause) = fill(one, &files) {
            bail!("{}; {}", cause.summary, cause.advice);
        }
    }
    Ok(planned)
}

/// The repository's root: paths in a pipeline file begin there.
fn root(file: &Path) -> PathBuf {
    let folder = file.parent().unwrap_or(Path::new(""));
    if folder.file_name().is_some_and(|name| name == DIRECTORY) {
        folder.parent().unwrap_or(Path::new("")).to_owned()
    } else {
        folder.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "version: 1\npipeline: web\non: { push: { branches: [main] } }\nenvironments:\n  - name: staging\n    deploy: { ecs: { cluster: c, service: s, task_definition: ecs/web.json, images: { web: \"r@sha256:0000000000000000000000000000000000000000000000000000000000000000\" } } }\n";

    #[test]
    fn definitions_lie_at_the_root_wherever_the_pipeline_file_is() {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &str| folder.path().join(path);
        for path in ["ecs", ".pushway"] {
            std::fs::create_dir(at(path)).unwrap();
        }
        for path in ["pushway.yml", ".pushway/web.yml"] {
            std::fs::write(at(path), FILE).unwrap();
            let missing = planned(&at(path), None).unwrap_err().to_string();
            assert!(missing.contains("has no file ecs/web.json"), "{missing}");
        }
        std::fs::write(at("ecs/web.json"), r#"{"family": "web", "containerDefinitions": [{"name": "web"}]}"#)
            .unwrap();
        for path in ["pushway.yml", ".pushway/web.yml"] {
            let planned = planned(&at(path), None).unwrap();
            assert!(planned[0].definitions().all(|file| file.content.is_some()));
        }
        let other = planned(&at("pushway.yml"), Some(&"production".parse().unwrap())).unwrap_err();
        assert!(other.to_string().contains("no such environment"), "{other}");
    }
}
