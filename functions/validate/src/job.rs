//! A check that is a job: a `CodeBuild` build whose end lets the state go on.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use pushway_core::contract::ValidateTask;
use pushway_core::fact::{CheckResult, Fact};
use pushway_core::messages;
use pushway_core::plan::JobPlan;
use pushway_core::ports::{
    Answer, Callbacks, Clock, Fault, Hooks, RepositoryFiles, Runs, StartBuilds, Waits, Written,
};
use pushway_core::run::{CheckJobState, EnvironmentState, Run};
use pushway_core::settle::{QUEUE_AND_GRACE_SECONDS, begin_build, check_job, record};
use pushway_core::wait::{Subject, Wait, Work};

/// Begins the build of a check, or goes on waiting for the one that runs. Gives a result where there is one
/// at once: the build could not be started.
pub(crate) async fn begin<P>(
    ports: &P,
    run: &Run,
    task: &ValidateTask,
    (check, plan): (u16, &JobPlan),
    before: &[CheckResult],
) -> Answer<Option<CheckResult>>
where
    P: Runs + Hooks + RepositoryFiles + StartBuilds + Waits + Callbacks + Clock,
{
    let state = pushway_core::settle::state_of(run, &task.environment)?;
    let known = state.check_jobs.iter().rfind(|job| job.check == check);
    let (attempt, build) = match known {
        Some(job) if job.end.is_none() => (job.attempt, job.build.clone()),
        _ => {
            let attempt = known.map_or(1, |job| job.attempt + 1);
            let job = check_job(run, &task.environment, check, &plan.name)?;
            let variables = variables(state);
            let begun = begin_build(ports, run, (&job, attempt), plan, task.retry, variables).await?;
            let build = match begun {
                Ok(build) => build,
                Err(why) => return Ok(Some(not_started(plan, &why))),
            };
            let job =
                CheckJobState { check, attempt, build: build.clone(), before: before.to_vec(), end: None };
            record(ports, run.id, Fact::CheckStarted { environment: task.environment.clone(), job }).await?;
            tracing::info!(run_id = %run.id, environment = %task.environment, build, "check's build started");
            (attempt, build)
        }
    };
    let now = ports.now();
    let wait = Wait {
        subject: Subject::Build(build),
        run: run.id,
        work: Work::Check { environment: task.environment.clone(), check, attempt },
        token: task.task_token.clone(),
        opened_at: now,
        deadline: now + SignedDuration::from_secs(i64::from(plan.timeout_seconds) + QUEUE_AND_GRACE_SECONDS),
    };
    match ports.open(&wait).await? {
        Written::Stored => Ok(None),
        Written::Conflict => Err(Fault::Permanent("another run waits for this check's build".into())),
    }
}

/// What a check's build may know besides: where it looks, and what serves there.
fn variables(state: &EnvironmentState) -> BTreeMap<String, String> {
    let mut variables = BTreeMap::from([("PUSHWAY_ENVIRONMENT".to_owned(), state.name.to_string())]);
    for (container, image) in state.rollout.iter().flat_map(|rollout| &rollout.images) {
        let name = container.to_uppercase().replace('-', "_");
        variables.insert(format!("PUSHWAY_IMAGE_{name}"), image.to_string());
    }
    variables
}

fn not_started(plan: &JobPlan, why: &str) -> CheckResult {
    CheckResult {
        check: format!("job {}", plan.name),
        passed: false,
        detail: messages::check_not_started(why),
        samples: 0,
        good: 0,
        evidence: Vec::new(),
    }
}
