//! The checks that one invocation makes: asked and looked at until the outcome is certain.

use std::time::Duration;

use jiff::Timestamp;
use pushway_core::checks::{Sample, Tally, judge_http};
use pushway_core::fact::{CheckResult, Rollout};
use pushway_core::messages;
use pushway_core::plan::{AlarmsCheck, Check, EcsCheck, HttpCheck, MetricsCheck};
use pushway_core::ports::{
    Answer, Clock, Fault, ProbeRequest, Probed, Probes, ReadAlarms, ReadMetrics, ReadSchedules, ReadServices,
    ReadTargetHealth,
};
use pushway_core::rollout::check_digests;
use pushway_core::scheduled::{check, only};
use pushway_core::settle::{look_at_alarms, look_at_metrics, look_at_targets};

/// Looks at the tasks, and the seconds between two: tasks of the version before may still drain.
const DIGEST_LOOKS: u32 = 30;
const DIGEST_PAUSE: Duration = Duration::from_secs(2);

/// Makes one check. Values of before `since` are of another version.
pub(crate) async fn make<P>(
    ports: &P,
    rollout: &Rollout,
    check: &Check,
    since: Timestamp,
) -> Answer<CheckResult>
where
    P: ReadServices + ReadAlarms + ReadMetrics + ReadTargetHealth + Probes + Clock,
{
    let looks = match check {
        Check::Http(check) => return Ok(probe(ports, check).await),
        Check::Ecs(EcsCheck { looks, .. })
        | Check::Alarms(AlarmsCheck { looks, .. })
        | Check::Metrics(MetricsCheck { looks, .. }) => *looks,
        Check::Job(plan) => return Err(no_look(&plan.name)),
    };
    let (mut tally, mut pause) = (Tally::new(looks.attempts.into(), looks.need.into()), None);
    while !tally.is_decided() {
        if let Some(pause) = pause.replace(Duration::from_secs(looks.interval_seconds.into())) {
            ports.pause(pause).await;
        }
        tally.add(look(ports, rollout, check, since).await?, None);
    }
    Ok(tally.result(messages::check_name(check)))
}

async fn look<P>(ports: &P, rollout: &Rollout, check: &Check, since: Timestamp) -> Answer<Sample>
where
    P: ReadServices + ReadAlarms + ReadMetrics + ReadTargetHealth + Clock,
{
    match check {
        Check::Ecs(check) => {
            let tasks = ports.tasks(&rollout.at()).await?;
            look_at_targets(ports, rollout, check.healthy, &tasks).await
        }
        Check::Alarms(check) => look_at_alarms(ports, &rollout.place, &check.names).await,
        Check::Metrics(check) => look_at_metrics(ports, &rollout.place, &check.measure, since).await,
        Check::Http(check) => Err(no_look(&check.url)),
        Check::Job(plan) => Err(no_look(&plan.name)),
    }
}

fn no_look(check: &impl std::fmt::Display) -> Fault {
    Fault::Permanent(format!("{check} is no check that is made by looking"))
}

/// The check that is always made: what was built is what serves, or what will be started.
pub(crate) async fn check_images<P>(ports: &P, rollout: &Rollout) -> Answer<CheckResult>
where
    P: ReadServices + ReadSchedules + Probes,
{
    let Some(at) = rollout.starter() else { return check_running_images(ports, rollout).await };
    let view = only(&at.starter, ports.scheduled(&at).await?);
    let (passed, detail) = match view.and_then(|view| check(rollout, &view)) {
        Ok(seen) => (true, seen),
        Err(problem) => (false, problem),
    };
    let check = messages::scheduled::check_name(&at.starter);
    Ok(CheckResult { check, passed, detail, samples: 1, good: u32::from(passed), evidence: Vec::new() })
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
    CheckResult { check, passed, detail, samples, good: u32::from(passed), evidence: Vec::new() }
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
    tally.result(messages::http_check_name(check))
}
