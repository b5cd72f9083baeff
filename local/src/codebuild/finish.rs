//! From a build's commands to what it leaves: exported variables, reports, artifacts.
//!
//! Runs after the source is there and before the build is closed. A stopped or timed out build leaves
//! nothing.

use super::{
    artifacts,
    buildspec::Buildspec,
    phases::{self, Outcome},
    record::{Context, PhaseType, Status},
    reports::Report,
    runner::Run,
    shell::Shell,
};
use crate::Emulator;

/// Runs the commands of `spec` and collects their results; answers the build's status.
pub(super) async fn commands_and_uploads(
    run: &Run,
    spec: &Buildspec,
    shell: &mut Shell,
    role: &Emulator,
) -> Status {
    let Outcome { has_failed, was_built } = match phases::run_all(run, spec, shell).await {
        Ok(outcome) => outcome,
        Err(cut) => return cut,
    };
    match run.uncut(phases::exported(&spec.env.exported_variables, shell)).await {
        Ok(exported) => run.update(|build| build.exported_environment_variables = exported),
        Err(cut) => return cut,
    }
    let mut status = if has_failed { Status::Failed } else { Status::Succeeded };
    if was_built {
        match run.phase(PhaseType::UploadArtifacts, upload(run, spec, shell, role)).await {
            Ok(()) => {}
            Err(Status::Failed) => status = Status::Failed,
            Err(cut) => return cut,
        }
    }
    status
}

async fn upload(run: &Run, spec: &Buildspec, shell: &Shell, role: &Emulator) -> Result<(), Context> {
    collect_reports(run, spec, shell).await;
    let Some(set) = spec.artifacts.as_ref().filter(|set| !set.files.is_empty()) else {
        // In the words of CodeBuild's own agent.
        let missing = || Context::new("CLIENT_ERROR", "no definition for primary artifacts in buildspec");
        return if artifacts::are_wanted(&run.order) { Err(missing()) } else { Ok(()) };
    };
    let target = run.worker.config.work_dir.join("artifacts").join(run.uuid());
    let location = artifacts::publish(&run.order, run.uuid(), set, shell.source(), &target, role)
        .await
        .map_err(|error| Context::new("CLIENT_ERROR", format!("{error:#}")))?;
    run.log.say(&format!("Copied artifacts to {}", target.display()));
    if let Some(location) = location {
        run.update(|build| build.artifacts["location"] = location.into());
    }
    Ok(())
}

async fn collect_reports(run: &Run, spec: &Buildspec, shell: &Shell) {
    let arn = run.build().map(|build| build.arn).unwrap_or_default();
    for (group, set) in &spec.reports {
        let (order, arn, source) = (run.order.clone(), arn.clone(), shell.source().to_owned());
        let (name, set) = (group.clone(), set.clone());
        let reading =
            tokio::task::spawn_blocking(move || Report::collect(&order, &arn, &name, &set, &source)).await;
        let Ok(report) = reading else { continue };
        let status = report.summary["status"].as_str().unwrap_or_default();
        run.log.say(&format!(
            "Test report {group}: {status}, {} test cases",
            report.summary["testSummary"]["total"]
        ));
        if let Some(problem) = &report.problem {
            run.log.say(&format!("Test report {group}: {problem}"));
        }
        let report_arn = report.arn.clone();
        run.worker.store.add_report(report);
        run.update(|build| build.report_arns.push(report_arn));
    }
}
