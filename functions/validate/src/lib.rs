//! State `Validate`: checks that what serves is what was built, and that it answers as it should.
//!
//! Decides n of m; no sample is a failure. The first check is always the same: every running task of the
//! service runs the built image, by digest.

use std::time::Duration;

use pushway_core::checks::{Tally, judge_http};
use pushway_core::contract::{Done, EnvironmentInput, Failure, errors};
use pushway_core::fact::{CheckResult, Fact, Rollout};
use pushway_core::messages::validation_failed;
use pushway_core::plan::{Check, HttpCheck};
use pushway_core::ports::{Answer, Clock, Fault, Plans, ProbeRequest, Probed, Probes, ReadServices, Runs};
use pushway_core::rollout::check_digests;
use pushway_core::settle::{load_planned, record, state_of};

/// Looks at the tasks, and the seconds between two: tasks of the version before may still drain.
const DIGEST_LOOKS: u32 = 30;
const DIGEST_PAUSE: Duration = Duration::from_secs(2);

/// Validates one environment.
pub async fn handle<P>(ports: &P, input: EnvironmentInput) -> Result<Done, Failure>
where
    P: Runs + Plans + ReadServices + Probes + Clock,
{
    let (run, planned) = load_planned(ports, input.run_id, &input.environment).await?;
    let state = state_of(&run, &input.environment)?;
    let Some(rollout) = &state.rollout else {
        let problem = format!("run {} has deployed nothing to {}", run.id, input.environment);
        return Err(Fault::Permanent(problem).into());
    };
    let checks = if state.checks.is_empty() {
        let checks = check_all(ports, rollout, &planned.validate).await?;
        let fact = Fact::Validated { environment: input.environment.clone(), checks: checks.clone() };
        record(ports, run.id, fact).await?;
        checks
    } else {
        state.checks.clone()
    };
    match validation_failed(&input.environment, &checks) {
        None => Ok(Done {}),
        Some(cause) => Err(Failure::new(errors::VALIDATION_FAILED, cause.summary)),
    }
}

/// All checks in order, up to the first that fails: what follows it would only say so again.
async fn check_all<P: ReadServices + Probes>(
    ports: &P,
    rollout: &Rollout,
    checks: &[Check],
) -> Answer<Vec<CheckResult>> {
    let mut results = vec![check_running_images(ports, rollout).await?];
    for check in checks {
        if results.iter().any(|result| !result.passed) {
            break;
        }
        let Check::Http(check) = check;
        results.push(probe(ports, check).await);
    }
    Ok(results)
}

async fn check_running_images<P: ReadServices + Probes>(ports: &P, rollout: &Rollout) -> Answer<CheckResult> {
    let mut detail = String::new();
    for look in 1..=DIGEST_LOOKS {
        let tasks = ports.tasks(&rollout.at()).await?;
        match check_digests(&rollout.task_definition, &rollout.images, &tasks) {
            Ok(running) => return Ok(digest_result(true, format!("{running} running, all of them"), look)),
            Err(problem) => detail = problem,
        }
        if look < DIGEST_LOOKS {
            ports.pause(DIGEST_PAUSE).await;
        }
    }
    Ok(digest_result(false, detail, DIGEST_LOOKS))
}

fn digest_result(passed: bool, detail: String, samples: u32) -> CheckResult {
    let check = "every running task has the built image by digest".to_owned();
    CheckResult { check, passed, detail, samples, good: u32::from(passed) }
}

async fn probe<P: Probes>(ports: &P, check: &HttpCheck) -> CheckResult {
    let request = ProbeRequest {
        url: check.url.clone(),
        timeout: Duration::from_secs(check.timeout_seconds.into()),
        follows: check.follow,
    };
    let (mut tally, mut pause) = (Tally::of_http(check), None);
    while !tally.is_decided() {
        if let Some(pause) = pause.replace(Duration::from_secs(check.interval_seconds.into())) {
            ports.pause(pause).await;
        }
        let probed = ports.probe(&request).await;
        let took = match &probed {
            Probed::Answer(answer) => Some(answer.took),
            Probed::Nothing(_) | Probed::Refused(_) => None,
        };
        tally.add(judge_http(check, &probed), took);
    }
    tally.result(format!("GET {}", check.url))
}
