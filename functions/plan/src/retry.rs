//! A run that goes on where an earlier one failed: its plan is that one's, what was good in it is taken over.

use pushway_core::fact::Fact;
use pushway_core::messages;
use pushway_core::ports::{Answer, Clock, Fault, Hooks, PipelineClaims, Plans, Runs};
use pushway_core::run::Run;
use pushway_core::settle::{claim_pipeline, load, record};
use pushway_core::source::Hook;

use crate::{Outcome, planned};

/// The plan that the earlier run was pinned to.
pub(crate) async fn plan<P>(ports: &P, run: &Run, hook: &Hook, place: u64) -> Answer<Outcome>
where
    P: Runs + Plans + Hooks + PipelineClaims,
{
    let Some(retry) = &run.source.retry else {
        return Err(Fault::Permanent(format!("run {} is no retry", run.id)));
    };
    let then = load(ports, retry.of).await?;
    let plan = ports.plan(then.id).await?;
    let plan = plan.ok_or_else(|| Fault::Permanent(format!("the plan of run {} is gone", then.id)))?;
    if let Err(other) = claim_pipeline(ports, hook, &plan.pipeline).await? {
        let cause = messages::pipeline_name_taken(&other);
        return Ok(Outcome::Over(Box::new(Fact::Rejected { cause })));
    }
    let fact = planned(&plan, place, messages::retry_rule(retry), then.findings);
    Ok(Outcome::Plan(Box::new(plan), Box::new(fact)))
}

/// Takes over what was good in the run that this one goes on from, if it is such a retry.
pub(crate) async fn take_over<P: Runs + Clock>(ports: &P, run: Run) -> Answer<Run> {
    let Some(from) = run.continues() else { return Ok(run) };
    let (jobs, environments) = load(ports, from).await?.leaves_behind();
    record(ports, run.id, Fact::TakenOver { from, jobs, environments }).await
}
