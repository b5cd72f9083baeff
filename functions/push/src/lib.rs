//! Pushes told by EventBridge: `CodeCommit` reference changes.
//!
//! Such events are not signed and may come late, twice or never. So an event is only a hint: the ref is
//! read back at `CodeCommit`, and what is there is what runs. Repositories without a hook are not ours.

use std::collections::BTreeMap;

use pushway_core::contract::Failure;
use pushway_core::delivery::{Push, codecommit};
use pushway_core::fact::bounded;
use pushway_core::intake::{Taken, take};
use pushway_core::ports::{
    Clock, Deliveries, DeliveryOutcome, Fault, HeadView, Heads, Hooks, Random, StartExecutions,
};
use pushway_core::source::{Hook, Provider};
use serde_json::Value;

/// Looks at one event. The outcome is returned for whoever invokes the function by hand.
pub async fn handle<P>(ports: &P, event: Value) -> Result<DeliveryOutcome, Failure>
where
    P: Hooks + Heads + Deliveries + StartExecutions + Clock + Random,
{
    let claim = codecommit::parse(event).map_err(|malformed| Fault::Permanent(malformed.to_string()))?;
    let Some(hook) = ports.hook(Provider::Codecommit, &claim.repository).await? else {
        let rule = format!("repository {:?} is not connected", bounded(&claim.repository, 100));
        return Ok(DeliveryOutcome::Ignored(rule));
    };
    let outcome = believe(ports, &hook, claim).await?;
    match &outcome {
        DeliveryOutcome::Run(id) => tracing::info!(run_id = %id, hook = %hook.id, "run received"),
        DeliveryOutcome::Ignored(rule) => tracing::info!(hook = %hook.id, rule, "event ignored"),
    }
    Ok(outcome)
}

async fn believe<P>(ports: &P, hook: &Hook, claim: codecommit::Claim) -> Result<DeliveryOutcome, Fault>
where
    P: Heads + Deliveries + StartExecutions + Clock + Random,
{
    let head = match &claim.commit {
        Some(_) => ports.head(hook, &claim.git_ref).await?,
        None => None,
    };
    let rule = match (&claim.commit, &head) {
        (Some(claimed), Some(head)) if *claimed == head.commit => None,
        (Some(claimed), Some(head)) => {
            Some(format!("{} points at {} by now, not at {claimed}", claim.git_ref, head.commit))
        }
        _ => Some(format!("{} was deleted; there is nothing to run", claim.git_ref)),
    };
    if let Some(rule) = rule {
        ports.record_ignored(hook.provider, hook, &claim.delivery, &rule, ports.now()).await?;
        return Ok(DeliveryOutcome::Ignored(rule));
    }
    let HeadView { commit, message, author } =
        head.ok_or_else(|| Fault::Permanent(format!("{} has no head", claim.git_ref)))?;
    let push = Push {
        delivery: claim.delivery,
        repository_id: claim.repository_id,
        repository: claim.repository,
        git_ref: claim.git_ref,
        commit,
        before: claim.before,
        message,
        author,
        files: BTreeMap::new(),
    };
    match take(ports, hook, push).await? {
        Taken::New { run, not_started } => {
            if let Some(fault) = not_started {
                tracing::error!(run_id = %run, error = %fault, "execution not started; the sweep will start it");
            }
            Ok(DeliveryOutcome::Run(run))
        }
        Taken::Before(outcome) => Ok(outcome),
        Taken::Malformed(malformed) => Err(Fault::Permanent(malformed.to_string())),
    }
}
