//! `explain`: which rule started, ignored, queued or superseded what; and what another file would have done.

use aws_lambda_events::event::apigw::ApiGatewayV2httpRequest;
use pushway_core::explain::Explanation;
use pushway_core::ids::{CommitSha, DeliveryId, RefName, RunId};
use pushway_core::pipeline_file::{Decision, parse, parse_for};
use pushway_core::ports::{
    BranchRecords, DeliveryOutcome, Differences, History, Hooks, ReadDeliveries, ReadRuns, Reconciliations,
};
use pushway_core::settle::{decide, load};
use pushway_core::source::Hook;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::reply::{Problem, body, parameter, parsed, required};
use crate::runs::find;

/// `GET /v1/explain` of a delivery, a commit or a branch.
pub(crate) async fn explain<P>(ports: &P, request: &ApiGatewayV2httpRequest) -> Result<Value, Problem>
where
    P: ReadRuns + History + Hooks + ReadDeliveries + BranchRecords + Reconciliations,
{
    if let Some(commit) = parameter(request, "commit") {
        let told = of_commit(ports, &parsed(commit)?, |_| true).await?;
        return Ok(json!({ "explanations": told }));
    }
    let (provider, id) = (required(request, "provider")?, required(request, "hook")?);
    let hook = ports.hook(parsed(provider)?, id).await?;
    let hook = hook.ok_or_else(|| {
        Problem::NotFound(format!(
            "no {provider} repository is connected as {id:?}; see GET /v1/repositories"
        ))
    })?;
    match (parameter(request, "delivery"), parameter(request, "ref")) {
        (Some(delivery), _) => of_delivery(ports, &hook, &parsed(delivery)?).await,
        (None, Some(git_ref)) => of_branch(ports, &hook, &parsed(git_ref)?).await,
        (None, None) => Err(Problem::BadRequest("ask for a delivery, a commit or a ref".into())),
    }
}

async fn of_delivery<P>(ports: &P, hook: &Hook, delivery: &DeliveryId) -> Result<Value, Problem>
where
    P: ReadRuns + History + ReadDeliveries,
{
    let known = ports.delivery(hook, delivery).await?.ok_or_else(|| {
        Problem::NotFound(format!(
            "delivery {delivery} of hook {} is not recorded: it never arrived, its signature did not fit, or it is \
             older than 180 days",
            hook.id
        ))
    })?;
    let told = match known.outcome {
        DeliveryOutcome::Ignored(rule) => vec![Explanation::ignored(&rule)],
        DeliveryOutcome::Run(id) => {
            let run = load(ports, id).await?;
            of_commit(ports, &run.source.commit, |run| run.id == id || run.source.parent == Some(id)).await?
        }
    };
    Ok(json!({ "received_at": known.at, "explanations": told }))
}

async fn of_commit<P: ReadRuns + History>(
    ports: &P,
    commit: &CommitSha,
    wanted: impl Fn(&pushway_core::run::Run) -> bool,
) -> Result<Vec<Explanation>, Problem> {
    let mut told = Vec::new();
    for summary in ports.of_commit(commit).await? {
        let run = load(ports, summary.id).await?;
        if wanted(&run) {
            told.push(Explanation::from(&run));
        }
    }
    Ok(told)
}

async fn of_branch<P>(ports: &P, hook: &Hook, git_ref: &RefName) -> Result<Value, Problem>
where
    P: ReadRuns + History + BranchRecords + Reconciliations,
{
    let branch = ports.branch(hook, git_ref).await?;
    let known = ports.reconciliation(hook).await?;
    let told = match &branch.head {
        Some(head) => of_commit(ports, &head.commit, |run| run.source.git_ref == *git_ref).await?,
        None => Vec::new(),
    };
    let at_forge = known.as_ref().and_then(|known| known.seen.get(git_ref));
    let missing = known.as_ref().and_then(|known| known.missing.get(git_ref));
    Ok(json!({
        "head": branch.head,
        "lanes": branch.lanes,
        "at_forge": at_forge,
        "missing_since": missing,
        "explanations": told,
    }))
}

/// A pipeline file to try.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Trial {
    run: RunId,
    path: String,
    file: String,
}

/// `POST /v1/explain`: what a changed pipeline file would have made of a past delivery. Starts nothing.
pub(crate) async fn try_file<P>(ports: &P, request: &ApiGatewayV2httpRequest) -> Result<Value, Problem>
where
    P: ReadRuns + Hooks + BranchRecords + Differences,
{
    let trial: Trial = body(request)?;
    let run = find(ports, &trial.run.to_string()).await?;
    let hook = ports.hook(run.source.provider, run.source.hook.as_str()).await?;
    let hook = hook.ok_or_else(|| Problem::NotFound(pushway_core::messages::disconnected(&run.source)))?;
    // What the run has no value for is wrong only where the file asks for the run.
    let read =
        parse(&trial.path, &trial.file).and_then(|file| match file.on.decide(&run.source.occasion()) {
            Decision::Ignore { .. } => Ok(file),
            _ => parse_for(&trial.path, &trial.file, &run.context()),
        });
    let file = match read {
        Ok(file) => file,
        Err(problems) => {
            return Ok(json!({ "would": "reject", "because": problems.to_string() }));
        }
    };
    Ok(match decide(ports, &run, &hook, &file).await? {
        Decision::Run { rule } => json!({ "would": "run", "pipeline": file.plan.pipeline, "because": rule }),
        Decision::Ignore { rule } => {
            json!({ "would": "ignore", "pipeline": file.plan.pipeline, "because": rule })
        }
        Decision::AskPaths => {
            json!({ "would": "run", "pipeline": file.plan.pipeline, "because": "a path matches" })
        }
    })
}
