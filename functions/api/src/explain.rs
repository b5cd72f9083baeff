//! `explain`: which rule started, ignored, queued or superseded what; and what another file would have done.

use pushway_core::api::{Explanations, Trial, TrialVerdict};
use pushway_core::explain::Explanation;
use pushway_core::ids::{CommitSha, DeliveryId, HookId, PipelineName, RefName};
use pushway_core::pipeline_file::{Decision, parse, parse_for};
use pushway_core::ports::{
    BranchRecords, DeliveryOutcome, Differences, History, Hooks, ReadDeliveries, ReadRuns, Reconciliations,
};
use pushway_core::settle::{decide, load};
use pushway_core::source::{Hook, Provider};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::call::Call;
use crate::reply::Problem;
use crate::runs::find;

/// Which commit to explain.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OfCommit {
    /// The commit, in full.
    commit: CommitSha,
}

/// Which delivery to explain.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OfDelivery {
    /// Where the hook's repository lies.
    provider: Provider,
    /// The hook's id.
    hook: HookId,
    /// The delivery, by the id that its forge gave it.
    delivery: DeliveryId,
}

/// Which branch or tag to explain.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OfRef {
    /// Where the hook's repository lies.
    provider: Provider,
    /// The hook's id.
    hook: HookId,
    /// The branch or tag, in full.
    #[serde(rename = "ref")]
    git_ref: RefName,
}

/// `GET /v1/explain/commit`: all runs of a commit.
pub(crate) async fn commit<P: ReadRuns + History>(
    ports: &P,
    call: &Call<'_>,
) -> Result<Explanations, Problem> {
    let OfCommit { commit } = call.query()?;
    let explanations = of_commit(ports, &commit, |_| true).await?;
    Ok(Explanations { explanations, ..Explanations::default() })
}

/// `GET /v1/explain/delivery`.
pub(crate) async fn delivery<P>(ports: &P, call: &Call<'_>) -> Result<Explanations, Problem>
where
    P: ReadRuns + History + Hooks + ReadDeliveries,
{
    let OfDelivery { provider, hook, delivery } = call.query()?;
    let hook = connected(ports, provider, &hook).await?;
    of_delivery(ports, &hook, &delivery).await
}

/// `GET /v1/explain/ref`: the newest push of a branch or tag, and where it points.
pub(crate) async fn branch<P>(ports: &P, call: &Call<'_>) -> Result<Explanations, Problem>
where
    P: ReadRuns + History + Hooks + BranchRecords + Reconciliations,
{
    let OfRef { provider, hook, git_ref } = call.query()?;
    let hook = connected(ports, provider, &hook).await?;
    of_branch(ports, &hook, &git_ref).await
}

async fn connected<P: Hooks>(ports: &P, provider: Provider, id: &HookId) -> Result<Hook, Problem> {
    ports.hook(provider, id.as_str()).await?.ok_or_else(|| {
        Problem::NotFound(format!(
            "no {provider} repository is connected as {id:?}; see GET /v1/repositories"
        ))
    })
}

async fn of_delivery<P>(ports: &P, hook: &Hook, delivery: &DeliveryId) -> Result<Explanations, Problem>
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
            let parts = of_commit(ports, &run.source.commit, |run| run.source.parent == Some(id)).await?;
            // However often the commit has been run since, its own run is told.
            [vec![Explanation::from(&run)], parts].concat()
        }
    };
    Ok(Explanations { explanations: told, received_at: Some(known.at), ..Explanations::default() })
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

async fn of_branch<P>(ports: &P, hook: &Hook, git_ref: &RefName) -> Result<Explanations, Problem>
where
    P: ReadRuns + History + BranchRecords + Reconciliations,
{
    let branch = ports.branch(hook, git_ref).await?;
    let known = ports.reconciliation(hook).await?;
    let told = match &branch.head {
        Some(head) => of_commit(ports, &head.commit, |run| run.source.git_ref == *git_ref).await?,
        None => Vec::new(),
    };
    let known = known.as_ref();
    Ok(Explanations {
        explanations: told,
        received_at: None,
        head: branch.head,
        lanes: branch.lanes,
        at_forge: known.and_then(|known| known.seen.get(git_ref)).cloned(),
        missing_since: known.and_then(|known| known.missing.get(git_ref)).copied(),
    })
}

/// `POST /v1/explain`: what a changed pipeline file would have made of a past delivery. Starts nothing.
pub(crate) async fn try_file<P>(ports: &P, call: &Call<'_>) -> Result<TrialVerdict, Problem>
where
    P: ReadRuns + Hooks + BranchRecords + Differences,
{
    let trial: Trial = call.order()?;
    let run = find(ports, &trial.run.to_string()).await?;
    let hook = ports.hook(run.source.provider, run.source.hook.as_str()).await?;
    let hook = hook.ok_or_else(|| Problem::NotFound(pushway_core::messages::disconnected(&run.source)))?;
    // What the run has no value for is wrong only where the file asks for the run.
    let read =
        parse(&trial.path, &trial.file).and_then(|file| match file.on.decide(&run.source.occasion()) {
            Decision::Ignore { .. } => Ok(file),
            _ => parse_for(&trial.path, &trial.file, &run.context()),
        });
    let verdict = |would: &str, pipeline: Option<PipelineName>, because: String| TrialVerdict {
        would: would.into(),
        pipeline,
        because,
    };
    let file = match read {
        Ok(file) => file,
        Err(problems) => return Ok(verdict("reject", None, problems.to_string())),
    };
    let decision = decide(ports, &run, &hook, &file).await?;
    let pipeline = Some(file.plan.pipeline);
    Ok(match decision {
        Decision::Run { rule } => verdict("run", pipeline, rule),
        Decision::Ignore { rule } => verdict("ignore", pipeline, rule),
        Decision::AskPaths => verdict("run", pipeline, "a path matches".into()),
    })
}
