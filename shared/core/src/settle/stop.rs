//! Stopping a run: that a person wants it is a fact first; then its builds are stopped, and whoever waits is told.
//!
//! Each look at a wait asks for the stop, so whatever is left undone here, or begins at the same moment, is ended by
//! the next look: the sweep's at the latest. What a deploy has moved goes back by the state machine's own way.

use super::turn::abandon;
use super::{Settled, answer, load, try_record};
use crate::contract::errors;
use crate::fact::Fact;
use crate::ids::{EnvironmentName, RunId};
use crate::messages;
use crate::plan::Plan;
use crate::ports::{Answer, Callbacks, Clock, Plans, Runs, StopBuilds, Waits};
use crate::run::{Run, Status, Stop};
use crate::wait::{Subject, Wait, Work};

/// Records that a person stops a run, and ends what it waits for. The inner error is the run where there is
/// nothing to stop: it is over, or all that it had to do is done.
pub async fn stop<P>(ports: &P, id: RunId, stop: Stop) -> Answer<Result<Run, Box<Run>>>
where
    P: Runs + Plans + Waits + StopBuilds + Callbacks + Clock,
{
    let run = load(ports, id).await?;
    if run.stop.is_none() && (run.status.is_terminal() || run.conclusion() == Some(Status::Succeeded)) {
        return Ok(Err(Box::new(run)));
    }
    let Ok(run) = try_record(ports, id, Fact::StopAsked { stop }).await? else {
        return Ok(Err(Box::new(load(ports, id).await?)));
    };
    if !run.status.is_terminal() {
        // It is recorded: whatever keeps it from being carried out now, the sweep looks after it.
        let _ = end_waits(ports, &run).await;
    }
    Ok(Ok(run))
}

async fn end_waits<P>(ports: &P, run: &Run) -> Answer<()>
where
    P: Plans + Waits + StopBuilds + Callbacks,
{
    let plan = ports.plan(run.id).await?;
    for subject in subjects(run) {
        let Some(wait) = ports.find(&subject).await? else { continue };
        if let Some(why) = ends(run, plan.as_ref(), &wait) {
            abandon(ports, &wait, (errors::STOPPED, &why)).await?;
        }
    }
    Ok(())
}

/// All that the run may wait for and that a stop ends. Builds first: a stage whose first job is answered is over,
/// and nobody would look after the others.
fn subjects(run: &Run) -> Vec<Subject> {
    let id = run.id;
    let builds = run.jobs.iter().filter(|state| state.is_running()).filter_map(|state| state.build.clone());
    let checks = run.environments.iter().flat_map(|state| &state.check_jobs);
    let checks = checks.filter(|job| job.end.is_none()).map(|job| job.build.clone());
    let mut subjects: Vec<Subject> = builds.chain(checks).map(Subject::Build).collect();
    subjects.extend(run.jobs.iter().map(|state| Subject::Needs { run: id, job: state.job.clone() }));
    subjects.push(Subject::Turn(id));
    for state in &run.environments {
        let environment = state.name.clone();
        subjects.push(Subject::Approval { run: id, environment: environment.clone() });
        if let Some(pipeline) = run.pipeline.clone() {
            subjects.push(Subject::Lock { pipeline, environment: environment.clone(), run: id });
        }
        subjects.push(Subject::Watch { run: id, environment });
        subjects.extend(state.rollout.iter().map(|rollout| Subject::Service(rollout.service.clone())));
    }
    subjects
}

/// Why a wait of a run ends before its work does, if a stop ends it.
fn ends(run: &Run, plan: Option<&Plan>, wait: &Wait) -> Option<String> {
    let stop = run.stop.as_ref()?;
    let in_environment = |name: &EnvironmentName| plan.and_then(|plan| plan.environment(name));
    let counts = wait.run == run.id
        && match &wait.work {
            Work::Job { .. } | Work::Turn | Work::Needs(_) | Work::Acquire(_) => true,
            Work::Check { environment, .. } | Work::Watch(environment) => {
                in_environment(environment).is_some_and(|planned| run.stop_in(planned).is_some())
            }
            // Whoever moves the service at this moment must have said so first, or nobody would bring it back.
            Work::Deploy(environment) => {
                run.environment(environment).is_some_and(|state| state.deployment.is_some())
                    && in_environment(environment).is_some_and(|planned| run.stop_in(planned).is_some())
            }
            // A task that runs before a deploy is let end: half a migration is worse than a whole one.
            Work::Task { .. } | Work::Rollback(_) => false,
        };
    counts.then(|| messages::stopped_by(stop))
}

/// Ends a wait, if a stop does. `None`: the run was not stopped, or not as far as this is concerned.
pub(super) async fn ended_by_stop<P>(ports: &P, run: &Run, wait: &Wait) -> Answer<Option<Settled>>
where
    P: Plans + Waits + Callbacks,
{
    if run.stop.is_none() {
        return Ok(None);
    }
    match ends(run, ports.plan(run.id).await?.as_ref(), wait) {
        Some(why) => answer(ports, wait, Some((errors::STOPPED, &why))).await.map(Some),
        None => Ok(None),
    }
}

/// The same for a wait on a build, which is told to stop.
pub(super) async fn build_ended_by_stop<P>(ports: &P, run: &Run, wait: &Wait) -> Answer<Option<Settled>>
where
    P: Plans + Waits + StopBuilds + Callbacks,
{
    if run.stop.is_none() {
        return Ok(None);
    }
    match ends(run, ports.plan(run.id).await?.as_ref(), wait) {
        Some(why) => abandon(ports, wait, (errors::STOPPED, &why)).await.map(Some),
        None => Ok(None),
    }
}
