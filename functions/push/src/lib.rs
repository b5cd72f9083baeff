//! Pushes told by EventBridge: `CodeCommit` reference changes, and images pushed to ECR.
//!
//! Such events are not signed and may come late, twice or never. So an event is only a hint: the ref is
//! read back at `CodeCommit`, and what is there is what runs. An image starts only those pipelines whose
//! own files ask for it. Repositories without a hook are not ours.

mod image;

use std::collections::BTreeMap;

use pushway_core::contract::Failure;
use pushway_core::delivery::{Push, codecommit};
use pushway_core::fact::bounded;
use pushway_core::intake::{Taken, take};
use pushway_core::ports::{
    BranchRecords, Clock, Deliveries, DeliveryOutcome, Fault, HeadView, Heads, Hooks, Random, ReadRuns,
    StartExecutions, SubscriptionRecords,
};
use pushway_core::source::{Hook, Provider, Trigger};
use serde_json::Value;

/// Looks at one event. The outcomes are returned for whoever invokes the function by hand.
pub async fn handle<P>(ports: &P, event: Value) -> Result<Vec<DeliveryOutcome>, Failure>
where
    P: Hooks
        + Heads
        + BranchRecords
        + ReadRuns
        + SubscriptionRecords
        + Deliveries
        + StartExecutions
        + Clock
        + Random,
{
    if event["source"] == "aws.ecr" {
        return Ok(image::start(ports, event).await?);
    }
    let claim = codecommit::parse(event).map_err(|malformed| Fault::Permanent(malformed.to_string()))?;
    let Some(hook) = ports.hook(Provider::Codecommit, &claim.repository).await? else {
        let rule = format!("repository {:?} is not connected", bounded(&claim.repository, 100));
        return Ok(vec![DeliveryOutcome::Ignored(rule)]);
    };
    let outcome = believe(ports, &hook, claim).await?;
    match &outcome {
        DeliveryOutcome::Run(id) => tracing::info!(run_id = %id, hook = %hook.id, "run received"),
        DeliveryOutcome::Ignored(rule) => tracing::info!(hook = %hook.id, rule, "event ignored"),
    }
    Ok(vec![outcome])
}

async fn believe<P>(ports: &P, hook: &Hook, claim: codecommit::Claim) -> Result<DeliveryOutcome, Fault>
where
    P: Heads + Deliveries + StartExecutions + Clock + Random,
{
    let head = match &claim.commit {
        Some(_) => ports.head(hook, &claim.git_ref).await?,
        None => None,
    };
    let Some(HeadView { commit, message, author }) = head else {
        let rule = format!("{} was deleted; there is nothing to run", claim.git_ref);
        ports.record_ignored(hook.provider, hook, &claim.delivery, &rule, ports.now()).await?;
        return Ok(DeliveryOutcome::Ignored(rule));
    };
    // The ref may have moved on since the event: where it is now is what runs, and whoever tells of that
    // movement later tells of the same head.
    let has_moved_on = claim.commit.as_ref() != Some(&commit);
    let push = Push {
        delivery: claim.delivery,
        repository_id: claim.repository_id,
        repository: claim.repository,
        git_ref: claim.git_ref,
        commit,
        before: claim.before.filter(|_| !has_moved_on),
        message,
        author,
        trigger: Trigger::Push,
        pushed_at: None,
        files: BTreeMap::new(),
        history: Vec::new(),
    };
    outcome(take(ports, hook, push).await?)
}

/// What a push or a wish came to, for the log and for people.
fn outcome(taken: Taken) -> Result<DeliveryOutcome, Fault> {
    match taken {
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
