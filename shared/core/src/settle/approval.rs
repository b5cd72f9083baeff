//! Settling an approval: ask, collect consent, go on to the lock; void it where a newer push asks.
//!
//! Asked before the lock is taken, so that nobody waits behind an open question. The run's journal holds who
//! said what; the environment's record says which of several pushes may still ask.

use std::collections::BTreeMap;

use super::consent::{Declined, admitted, by_current_rule};
use super::lock::{LOCK_PATIENCE, acquire, update};
use super::question::request;
use super::{Settled, answer, load, record, state_of, try_record};
use crate::approval::{Consent, Refusal};
use crate::contract::{TaskToken, errors};
use crate::fact::Fact;
use crate::ids::{EnvironmentName, ImageDigestRef, PipelineName, RunId};
use crate::messages;
use crate::plan::EnvironmentPlan;
use crate::ports::{
    Answer, Callbacks, Clock, Environments, Fault, History, Hooks, Plans, ReadCommits, ReadDefinitions, Runs,
    Waits, Written,
};
use crate::run::Run;
use crate::wait::{Subject, Wait, Work};

/// Asks for consent to deploy these images, and leaves the question with the token that waits.
pub async fn ask<P>(
    ports: &P,
    run: &Run,
    planned: &EnvironmentPlan,
    images: BTreeMap<String, ImageDigestRef>,
    token: TaskToken,
) -> Answer<Settled>
where
    P: Runs
        + Plans
        + Hooks
        + Environments
        + History
        + ReadCommits
        + ReadDefinitions
        + Waits
        + Callbacks
        + Clock,
{
    let environment = &planned.name;
    let run = if state_of(run, environment)?.approval.is_some() {
        run.clone()
    } else {
        let request = Box::new(request(ports, run, planned, images).await?);
        record(ports, run.id, Fact::ApprovalAsked { environment: environment.clone(), request }).await?
    };
    let state = state_of(&run, environment)?.approval.as_ref();
    let asked = state.ok_or_else(|| Fault::Permanent(format!("run {} asked for nothing", run.id)))?;
    let wait = Wait {
        subject: Subject::Approval { run: run.id, environment: environment.clone() },
        run: run.id,
        work: Work::Acquire(environment.clone()),
        token,
        opened_at: ports.now(),
        deadline: asked.request.deadline,
    };
    if ports.open(&wait).await? == Written::Conflict {
        return Err(Fault::Permanent("another run waits in this run's name".into()));
    }
    if asked.is_open() {
        let pipeline = pipeline_of(&run)?;
        for older in update(ports, pipeline, environment, |record| record.ask(&run)).await? {
            supersede(ports, older, environment, run.id).await?;
        }
    }
    settle_approval(ports, &wait).await
}

/// Answers whoever waits for consent, once there is or will be none.
pub async fn settle_approval<P>(ports: &P, wait: &Wait) -> Answer<Settled>
where
    P: Runs + Plans + Environments + Waits + Callbacks + Clock,
{
    let Work::Acquire(environment) = &wait.work else {
        return Err(Fault::Permanent("a wait for consent must be for an environment".into()));
    };
    let run = load(ports, wait.run).await?;
    let (pipeline, state) = (pipeline_of(&run)?, state_of(&run, environment)?);
    if run.status.is_terminal() || state.fence.is_some() {
        // Whoever waited has gone on or given up.
        update(ports, pipeline, environment, |record| record.withdraw(run.id)).await?;
        ports.close(wait).await?;
        return Ok(Settled::Done);
    }
    if let Some(stop) = &run.stop {
        return end(ports, wait, &run, environment, (errors::STOPPED, &messages::stopped_by(stop))).await;
    }
    let stored = ports.environment(pipeline, environment).await?;
    let run = by_current_rule(ports, run.clone(), environment, &stored).await?;
    let asked = state_of(&run, environment)?.approval.as_ref();
    let asked = asked.ok_or_else(|| Fault::Permanent(format!("run {} asked for nothing", run.id)))?;
    if let Some(refusal) = &asked.refusal {
        return end(ports, wait, &run, environment, (errors::DEPLOY_FAILED, &messages::refused(refusal)))
            .await;
    }
    let newer = run.superseded_by.or_else(|| stored.newer_than(&run));
    if let Some(by) = newer.or_else(|| stored.newer_asking(&run).filter(|_| !asked.is_granted())) {
        supersede(ports, run.id, environment, by).await?;
        return Ok(Settled::Done);
    }
    if asked.is_granted() {
        update(ports, pipeline, environment, |record| record.withdraw(run.id)).await?;
        let subject =
            Subject::Lock { pipeline: pipeline.clone(), environment: environment.clone(), run: run.id };
        let now = ports.now();
        let lock = Wait { subject, opened_at: now, deadline: now + LOCK_PATIENCE, ..wait.clone() };
        acquire(ports, &lock).await?;
        ports.close(wait).await?;
        return Ok(Settled::Done);
    }
    if ports.now() < wait.deadline.max(asked.request.deadline) {
        return Ok(Settled::Waiting);
    }
    let reason = messages::approval_timed_out(asked);
    let refusal = Refusal { by: None, reason };
    let fact = Fact::ApprovalRefused { environment: environment.clone(), refusal: refusal.clone() };
    match try_record(ports, run.id, fact).await? {
        Ok(_) => {
            let why = messages::refused(&refusal);
            end(ports, wait, &run, environment, (errors::DEPLOY_FAILED, &why)).await
        }
        // Someone consented or refused in this very moment: the next look sees it.
        Err(_) => Ok(Settled::Waiting),
    }
}

/// A newer push asks for the environment, too: the older run goes no further.
pub(super) async fn supersede<P>(ports: &P, id: RunId, environment: &EnvironmentName, by: RunId) -> Answer<()>
where
    P: Runs + Environments + Waits + Callbacks + Clock,
{
    let fact = Fact::Superseded { environment: environment.clone(), by };
    // One that has gone on meanwhile is for the lock to order.
    let Ok(run) = try_record(ports, id, fact).await? else { return Ok(()) };
    let pipeline = pipeline_of(&run)?.clone();
    let approval = Subject::Approval { run: id, environment: environment.clone() };
    let lock = Subject::Lock { pipeline, environment: environment.clone(), run: id };
    for subject in [approval, lock] {
        if let Some(wait) = ports.find(&subject).await? {
            let why = messages::asked_by_newer(by);
            end(ports, &wait, &run, environment, (errors::DEPLOY_FAILED, &why)).await?;
        }
    }
    Ok(())
}

async fn end<P>(
    ports: &P,
    wait: &Wait,
    run: &Run,
    environment: &EnvironmentName,
    failure: (&str, &str),
) -> Answer<Settled>
where
    P: Environments + Waits + Callbacks,
{
    update(ports, pipeline_of(run)?, environment, |record| record.withdraw(run.id)).await?;
    answer(ports, wait, Some(failure)).await
}

/// Records one person's consent, and lets the run go on if that was enough. The consent names all groups of the
/// one who gives it; the inner error is why it can't be given.
pub async fn approve<P>(
    ports: &P,
    id: RunId,
    environment: &EnvironmentName,
    digest: &str,
    consent: Consent,
) -> Answer<Result<Run, Declined>>
where
    P: Runs + Plans + Environments + Waits + Callbacks + Clock,
{
    let run = load(ports, id).await?;
    let stored = ports.environment(pipeline_of(&run)?, environment).await?;
    let run = by_current_rule(ports, run, environment, &stored).await?;
    let mut consent = consent;
    if let Some(asked) = &state_of(&run, environment)?.approval {
        match admitted(environment, asked.request.approvers(), &consent.by, &consent.groups) {
            Ok(groups) => consent.groups = groups,
            Err(declined) => return Ok(Err(declined)),
        }
    }
    let fact = Fact::Approved { environment: environment.clone(), digest: digest.to_owned(), consent };
    decide(ports, id, environment, fact).await
}

/// Records that a person does not consent, and ends the run.
pub async fn reject<P>(
    ports: &P,
    id: RunId,
    environment: &EnvironmentName,
    refusal: Refusal,
) -> Answer<Result<Run, Declined>>
where
    P: Runs + Plans + Environments + Waits + Callbacks + Clock,
{
    decide(ports, id, environment, Fact::ApprovalRefused { environment: environment.clone(), refusal }).await
}

async fn decide<P>(
    ports: &P,
    id: RunId,
    environment: &EnvironmentName,
    fact: Fact,
) -> Answer<Result<Run, Declined>>
where
    P: Runs + Plans + Environments + Waits + Callbacks + Clock,
{
    if let Some(stop) = load(ports, id).await?.stop {
        return Ok(Err(Declined::Impossible(messages::stopped_by(&stop))));
    }
    let run = match try_record(ports, id, fact).await? {
        Ok(run) => run,
        Err(illegal) => return Ok(Err(Declined::Impossible(illegal.to_string()))),
    };
    let subject = Subject::Approval { run: id, environment: environment.clone() };
    if let Some(wait) = ports.find(&subject).await? {
        // It is recorded: whatever keeps the run from going on now, the sweep looks after it.
        let _ = settle_approval(ports, &wait).await;
    }
    Ok(Ok(run))
}

pub(super) fn pipeline_of(run: &Run) -> Answer<&PipelineName> {
    run.pipeline.as_ref().ok_or_else(|| Fault::Permanent(format!("run {} has no plan", run.id)))
}
