//! Every sentence of this crate that a person reads, in one place.
//!
//! Each says what failed, with which input, and ends with what to do next. Facts go in as values; nothing
//! here decides.

mod approvals;
mod artifacts;
pub mod checkpoints;
mod definitions;
pub(crate) mod delivery;
mod insights;
pub mod money;
mod preflight;
pub mod scheduled;
mod steering;
mod test_cases;

pub use approvals::*;
pub use artifacts::*;
pub use definitions::*;
pub use insights::*;
pub use preflight::*;
pub use steering::*;
pub use test_cases::*;

use jiff::Timestamp;

use crate::approval::{ApprovalState, Refusal};
use crate::environment::{Deployed, Freeze, ServiceClaim};
use crate::fact::{Cause, CheckResult, JobId, TestSummary};
use crate::ids::{EnvironmentName, RunId, VariableName};
use crate::plan::{Check, HttpCheck};
use crate::source::Source;
use crate::views::{BuildStatus, BuildView, ContainerView, RolloutView, TaskView};

pub mod deploys;

/// How causes name an environment.
pub fn environment_stage(environment: &EnvironmentName) -> String {
    format!("environment {environment}")
}

/// A failed check after a deploy, as a cause; `None` where all passed.
pub fn validation_failed(environment: &EnvironmentName, checks: &[CheckResult]) -> Option<Cause> {
    let failed = checks.iter().find(|check| !check.passed)?;
    let summary = format!(
        "the new version is deployed, but {} did not hold: {} ({} of {} samples were good)",
        failed.check, failed.detail, failed.good, failed.samples
    );
    let evidence = checks.iter().map(check_line).chain(failed.evidence.iter().cloned());
    let advice = "look at the service's log and at what the check expects in pushway.yml, then push a fix";
    Some(Cause::new(environment_stage(environment), summary, advice).with_evidence(evidence))
}

/// What a check is called in results.
pub fn check_name(check: &Check) -> String {
    match check {
        Check::Http(check) => http_check_name(check),
        Check::Ecs(_) => "tasks have the built image, and targets are healthy".to_owned(),
        Check::Alarms(check) => format!("no alarm of {} rings", check.names.join(", ")),
        Check::Job(plan) => format!("job {}", plan.name),
        Check::Metrics(check) => format!("{} is {}", check.measure.expression, check.measure.bound),
    }
}

/// What an HTTP check is called in results.
pub fn http_check_name(check: &HttpCheck) -> String {
    format!("GET {}", check.url)
}

/// A new version that turned sick after so long under watch, as a cause; `None` where it is well.
pub fn turned_sick(
    environment: &EnvironmentName,
    after: jiff::SignedDuration,
    checks: &[CheckResult],
) -> Option<Cause> {
    let failed = checks.iter().find(|check| !check.passed)?;
    let minutes = after.as_secs() / 60;
    let when = if minutes == 0 {
        "the new version passed its checks, and turned sick within a minute".to_owned()
    } else {
        format!("the new version was healthy, and turned sick after {minutes} min")
    };
    let advice = "look at what turned sick and at the service's log from then, then push a fix";
    let evidence = checks.iter().map(check_line).chain(failed.evidence.iter().cloned());
    let summary = format!("{when}: {}", failed.detail);
    Some(Cause::new(environment_stage(environment), summary, advice).with_evidence(evidence))
}

/// That no task of the service runs, with how one of the new revision ended, where one has.
pub fn nothing_runs(stopped: Option<&TaskView>) -> String {
    let why = stopped.map_or_else(String::new, |task| format!("; {}", stopped_tasks(&[task])));
    format!("no task of the service runs{why}")
}

/// Tasks that have stopped, with what their containers said, at most five.
pub fn stopped_tasks(stopped: &[&TaskView]) -> String {
    let container = |container: &ContainerView| {
        let code =
            container.exit_code.map_or_else(|| "no exit code".into(), |code| format!("exit code {code}"));
        let reason =
            if container.reason.is_empty() { String::new() } else { format!(": {}", container.reason) };
        format!("{} {code}{reason}", container.name)
    };
    let line = |task: &&TaskView| {
        let id = task.arn.rsplit('/').next().unwrap_or(&task.arn);
        let containers = task.containers.iter().map(container).collect::<Vec<_>>().join(", ");
        format!("task {id} stopped: {} ({containers})", task.stopped_reason)
    };
    stopped.iter().take(5).map(line).collect::<Vec<_>>().join("; ")
}

fn check_line(check: &CheckResult) -> String {
    let mark = if check.passed { "passed" } else { "failed" };
    format!("{mark}: {} ({} of {}): {}", check.check, check.good, check.samples, check.detail)
}

/// No pipeline file at the commit.
pub fn no_pipeline_file(source: &Source, paths: &[&str]) -> Cause {
    let summary = format!(
        "{} has no pipeline file at commit {}: neither {} exists",
        source.repository,
        source.commit.short(),
        paths.join(" nor ")
    );
    Cause::new("plan", summary, "add a pushway.yml at the root of the repository and push it")
}

/// A pipeline file with problems, each already told in full.
pub fn bad_pipeline_file(path: &str, problems: &[String]) -> Cause {
    let first = problems.first().map_or("", |problem| problem.lines().next().unwrap_or_default());
    let summary = match problems.len() {
        0 | 1 => first.to_owned(),
        n => format!("{first} (and {} more)", n - 1),
    };
    let evidence = problems.iter().flat_map(|problem| problem.lines().map(str::to_owned));
    let mut cause = Cause::new("plan", summary, format!("mend {path} and push again"));
    // The head of the list matters, not its tail: problems follow from each other.
    cause.evidence =
        evidence.take(Cause::MAX_EVIDENCE).map(|line| crate::fact::bounded(&line, 400)).collect();
    cause
}

/// A buildspec that a plain git server's delivery should have carried.
pub fn no_buildspec(job: &JobId, path: &str) -> Cause {
    let summary = format!("the commit has no buildspec {path:?}");
    Cause::new(job, summary, "add the file, or mend the job's `buildspec` in pushway.yml, and push again")
}

/// A build that could not even start.
pub fn build_not_started(job: &JobId, why: &str) -> Cause {
    let summary = format!("CodeBuild did not start the build: {why}");
    Cause::new(job, summary, "mend what the message names, then push again")
}

/// A check's build that could not even start.
pub fn check_not_started(why: &str) -> String {
    format!("CodeBuild did not start the build: {why}")
}

/// A build that failed, with the last lines of its log.
pub fn build_failed(job: &JobId, build: &BuildView, tests: Option<&TestSummary>, log: Vec<String>) -> Cause {
    let tests = tests.filter(|tests| tests.failed > 0);
    let phase = build.failed_phase.as_ref();
    let (summary, advice) = match (build.status, tests, phase) {
        (BuildStatus::TimedOut, ..) => (
            format!("the build ran into its timeout in phase {}", build.phase),
            "raise the job's `timeout` in pushway.yml, or find what hangs in the log",
        ),
        (BuildStatus::Stopped, ..) => {
            ("the build was stopped".to_owned(), "push again if that was not meant")
        }
        (BuildStatus::Fault, ..) => {
            ("CodeBuild itself failed".to_owned(), "push again; see the AWS Health Dashboard")
        }
        (_, Some(tests), _) => (tests_failed(tests), "mend the test or the code and push again"),
        (_, None, Some((name, message))) => {
            (format!("phase {name} failed: {message}"), "see the end of the log, mend it and push again")
        }
        (_, None, None) => ("the build failed".to_owned(), "see the end of the log, mend it and push again"),
    };
    Cause::new(job, summary, advice).with_evidence(log)
}

/// A build that succeeded without what it promised.
pub fn outputs_missing(job: &JobId, missing: &[&VariableName]) -> Cause {
    let names = missing.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(", ");
    let summary =
        format!("the build succeeded, but did not export {names}, which pushway.yml promises as outputs");
    Cause::new(job, summary, "name it under env.exported-variables in the buildspec and set it in a command")
}

/// A build whose outputs find no room in the run's record.
pub fn outputs_too_large(job: &JobId, bytes: usize, most: usize) -> Cause {
    let summary = format!(
        "the outputs take {} KB, and {} KB find room beside those of the other jobs",
        bytes / 1024,
        most / 1024
    );
    Cause::new(
        job,
        summary,
        "export less: put long values into a file or into Parameter Store and export its name",
    )
}

/// A build that did not end in time, by Pushway's own clock.
pub fn build_overdue(job: &JobId) -> Cause {
    let summary = "the build had not ended when its time was over; it was told to stop";
    Cause::new(job, summary, "raise the job's `timeout` in pushway.yml, or find what hangs in the log")
}

/// A build that `CodeBuild` does not know any more.
pub fn build_unknown(job: &JobId, build: &str) -> Cause {
    Cause::new(
        job,
        format!("CodeBuild knows no build {build}"),
        "push again; if it stays so, look at the project's history",
    )
}

/// The service is already moved elsewhere.
pub fn moved_elsewhere(primary: &RolloutView) -> String {
    format!("someone else has started deployment {} with {} meanwhile", primary.id, primary.task_definition)
}

/// The service of a deploy does not exist.
pub fn no_service(cluster: &str, service: &str) -> String {
    format!(
        "cluster {cluster:?} has no active service {service:?}; create it, or mend `cluster` and `service` in pushway.yml"
    )
}

/// The service has no container of a name that the plan gives an image for.
pub fn no_container(service: &str, wanted: &str, known: &[String]) -> String {
    format!(
        "service {service:?} has no container {wanted:?}, only {}; mend `images` in pushway.yml",
        known.join(", ")
    )
}

/// An output that should name an image does not.
pub fn not_an_image(job: &crate::ids::JobName, output: &VariableName, why: &str) -> String {
    format!("output {output} of build/{job} can't be deployed: {why}")
}

/// The lock is not ours any more.
pub fn lock_lost(environment: &EnvironmentName, holder: Option<RunId>) -> String {
    match holder {
        Some(holder) => format!("the lock of {environment} is held by run {holder}; nothing was deployed"),
        None => format!("the lock of {environment} was taken away; nothing was deployed"),
    }
}

/// People did not consent to a deploy.
pub fn not_approved(environment: &EnvironmentName, refusal: &Refusal) -> Cause {
    let advice = match refusal.by {
        Some(_) => "talk to them, then push a fix or start the commit again",
        None => "ask for the approval again: push, or start the commit by hand",
    };
    Cause::new(environment_stage(environment), refused(refusal), advice)
}

/// Who refused, and in which words.
pub fn refused(refusal: &Refusal) -> String {
    match &refusal.by {
        Some(by) => format!("{by} rejected the deploy: {}", refusal.reason),
        None => refusal.reason.clone(),
    }
}

/// Nobody, or not enough people, consented in time.
pub fn approval_timed_out(asked: &ApprovalState) -> String {
    format!("{} were given before the time was over", approvals_given(asked))
}

/// A newer push of the branch waits for the same environment.
pub fn asked_by_newer(by: RunId) -> String {
    format!("run {by} of a newer push waits for the environment by now")
}

/// There is no such version to go back to.
pub fn no_way_back(environment: &EnvironmentName, to: Option<RunId>, good: &[&Deployed]) -> String {
    let known = || good.iter().map(|deployed| deployed.run.to_string()).collect::<Vec<_>>().join(", ");
    match to {
        _ if good.is_empty() => format!("nothing was ever good in {environment}; push a fix"),
        None => {
            format!("{environment} has no earlier good version, only that of run {}; push a fix", known())
        }
        Some(run) => format!(
            "run {run} is none of the last good ones in {environment}, which are {}; choose one of them",
            known()
        ),
    }
}

/// A rollback would go over a deploy that can't be undone.
pub fn over_irreversible(undone: &[RunId]) -> String {
    let runs = undone.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    format!(
        "what run {runs} did can't be undone (`irreversible` in its pipeline file), and the version before may not          work with it; if you are sure that it does, roll back with --accept-irreversible"
    )
}

/// Another pipeline deploys to the same service.
pub fn service_in_use(claim: &ServiceClaim) -> String {
    let ServiceClaim { service, run, pipeline, environment, .. } = claim;
    // Rules and schedules are claimed by what they lie in, which no service's name shows.
    let kind = if service.service.contains('/') { &service.cluster } else { "service" };
    format!("run {run} deploys to {kind} {} for {environment} of {pipeline}", service.service)
}

/// The environment takes no deploys for now.
pub fn frozen(environment: &EnvironmentName, freeze: &Freeze) -> String {
    format!("{environment} is frozen by {} since {}: {}", freeze.by, freeze.since, freeze.reason)
}

/// The environment takes deploys at other times.
pub fn outside_windows(environment: &EnvironmentName, opens: Timestamp) -> String {
    format!("{environment} takes no deploys at this time; its next window opens at {opens}")
}

/// A state of the workflow broke, as the state machine tells it.
pub fn broke(error: &str, cause: &str) -> Cause {
    // A Lambda error's cause is JSON; its message is the part for people.
    let message = serde_json::from_str::<serde_json::Value>(cause)
        .ok()
        .and_then(|json| Some(json.get("errorMessage")?.as_str()?.to_owned()))
        .unwrap_or_else(|| cause.to_owned());
    let (summary, advice) = match error {
        "States.Timeout" | "States.HeartbeatTimeout" => (
            "a state of the run gave no answer in time".to_owned(),
            "look at the function's log and at the alarms; then push again",
        ),
        _ if message.is_empty() => {
            (format!("the run broke: {error}"), "look at the function's log, then push again")
        }
        _ => (message, "mend what the message names; the function's log has more; then push again"),
    };
    Cause::new("workflow", summary, advice)
}

/// The execution is gone without having closed the run.
pub fn execution_lost(reason: &str) -> Cause {
    let reason = if reason.is_empty() { "it left no reason" } else { reason };
    let summary = format!("the run's execution ended without finishing the run: {reason}");
    Cause::new("workflow", summary, "look at the execution in Step Functions, then push again")
}

/// A rollback that did not bring the old version back.
pub fn rollback_failed(environment: &EnvironmentName, reason: &str) -> Cause {
    let summary = format!("the last good version could not be brought back: {reason}");
    let advice =
        "look at the service now; its environment stays locked until someone frees it (docs/operations.md)";
    Cause::new(environment_stage(environment), summary, advice)
}

/// A deploy ended before it changed anything.
pub fn not_touched() -> String {
    "the deploy had not touched the service".into()
}

/// The repository of a run was disconnected while it ran.
pub fn disconnected(source: &crate::source::Source) -> String {
    format!("hook {} of {} was disconnected; connect the repository again", source.hook, source.repository)
}

/// A newer push took a run's place before it deployed anything.
pub fn overtaken(by: crate::ids::RunId) -> String {
    format!("run {by} of a newer push took its place")
}

/// Another run was recorded for the same head.
pub fn same_head(source: &crate::source::Source, run: crate::ids::RunId) -> String {
    format!("run {run} was started for {} at {} before", source.git_ref, source.commit.short())
}

/// The commit's message asks for no run.
pub fn skipped(marker: &str) -> String {
    format!("the commit's message says {marker}")
}

/// A fork's code is built only once someone of the repository has looked at it (rows A19, A20).
pub fn fork_needs_approval(source: &Source, number: u64) -> String {
    let Source { provider, hook, commit, .. } = source;
    format!(
        "pull request {number} comes from a fork; once you have read it, run: pushway approve-fork {provider} {hook} --pull-request {number} --commit {commit}"
    )
}

/// Nothing of a pipeline is for code that nobody has merged.
pub fn nothing_untrusted(pipeline: &crate::ids::PipelineName) -> String {
    format!("pipeline {pipeline} has no jobs, and code that is not merged is never deployed")
}

/// A repository has more pipeline files than are looked at.
pub fn too_many_pipeline_files(count: usize, max: usize) -> Cause {
    let summary = format!("the repository has {count} pipeline files, and at most {max} are taken");
    Cause::new("plan", summary, "put pipelines that belong together into one file")
}

/// Another connected repository has the pipeline's name.
pub fn pipeline_name_taken(claim: &crate::claim::PipelineClaim) -> Cause {
    let (pipeline, owner) = (&claim.pipeline, format!("{} on {}", claim.repository, claim.provider));
    let summary = format!(
        "the pipeline name {pipeline} belongs to {owner}; two repositories can't share one, since locks and records of environments go by it"
    );
    let advice = format!(
        "choose another name for `pipeline` and push again, or disconnect {owner} if it is no longer in use"
    );
    Cause::new("plan", summary, advice)
}

/// The pipeline that a person asked for is not in the repository.
pub fn no_such_pipeline(chosen: &crate::ids::PipelineName, known: &[String]) -> Cause {
    let summary = format!("no pipeline file names the pipeline {chosen}");
    let advice = if known.is_empty() {
        "add it, or start the commit without naming a pipeline".to_owned()
    } else {
        format!("at this commit there are: {}", known.join(", "))
    };
    Cause::new("plan", summary, advice)
}
