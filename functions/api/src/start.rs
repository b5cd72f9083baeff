//! Runs started by hand: of a ref or commit, and of a fork's pull request that someone has read.

use std::collections::BTreeMap;

use http::StatusCode;
use pushway_core::api::{ForkConsent, StartOrder, Started};
use pushway_core::delivery::{Push, made_id};
use pushway_core::ids::{RefKind, RepositoryId};
use pushway_core::intake::{Taken, Wish, belongs, take, take_wish};
use pushway_core::ports::{
    BranchRecords, Clock, Deliveries, DeliveryOutcome, Heads, Hooks, PullRequests, Random, ReadCommits,
    ReadRuns, StartExecutions,
};
use pushway_core::source::{Hook, Provider, PullRequest, Trigger};

use crate::call::{Call, parsed};
use crate::reply::{Problem, Reply};

/// `POST /v1/runs`.
pub(crate) async fn start<P>(ports: &P, call: &Call<'_>) -> Result<Reply, Problem>
where
    P: Hooks + BranchRecords + ReadRuns + Heads + ReadCommits + Deliveries + StartExecutions + Clock + Random,
{
    let order: StartOrder = call.order()?;
    let hook = hook(ports, order.provider, order.hook.as_str()).await?;
    let git_ref = order.git_ref;
    if matches!(git_ref.kind(), RefKind::Other) {
        return Err(Problem::BadRequest(format!(
            "{git_ref} is neither a branch nor a tag; a pull request's commit is let in by its approval"
        )));
    }
    if let Some(commit) = &order.commit {
        belongs(ports, &hook, &git_ref, commit).await?.map_err(Problem::Conflict)?;
    }
    let wish = Wish {
        delivery: call.delivery("manual")?,
        git_ref: git_ref.clone(),
        commit: order.commit,
        trigger: Trigger::Manual { by: call.by(), pipeline: order.pipeline, variables: order.variables },
        file: None,
    };
    match take_wish(ports, &hook, wish).await? {
        Some(taken) => answer(taken),
        None => Err(Problem::NotFound(format!("{} has no {git_ref}; push it first", hook.repository))),
    }
}

/// `POST /v1/repositories/{provider}/{hook}/pull-requests/{number}/approve`: lets one commit of a pull request
/// be built, and no other (row A20).
pub(crate) async fn approve<P>(ports: &P, call: &Call<'_>) -> Result<Reply, Problem>
where
    P: Hooks + PullRequests + Deliveries + StartExecutions + Clock + Random,
{
    let hook = hook(ports, call.parsed("provider")?, call.text("hook")).await?;
    let number: u64 = call.parsed("number")?;
    let ForkConsent { commit } = call.order()?;
    let view = ports.pull_request(&hook, number).await?;
    let view = view.filter(|view| view.is_open);
    let view = view.ok_or_else(|| Problem::NotFound(format!("there is no open pull request {number}")))?;
    if view.head != commit {
        return Err(Problem::Conflict(format!(
            "pull request {number} is at {} by now, not at {commit}; read what has changed, then approve that",
            view.head
        )));
    }
    let git_ref = match hook.provider {
        Provider::Gitlab => format!("refs/merge-requests/{number}/head"),
        _ => format!("refs/pull/{number}/head"),
    };
    let by = call.by();
    let push = Push {
        delivery: parsed(&made_id("approved", &[&git_ref, commit.as_str(), &by]))?,
        repository_id: match &hook.repository_id {
            Some(id) => id.clone(),
            None => parsed::<RepositoryId>(&hook.repository)?,
        },
        repository: hook.repository.clone(),
        git_ref: parsed(&git_ref)?,
        commit,
        before: None,
        message: view.title,
        author: view.author,
        trigger: Trigger::PullRequest(PullRequest { approved_by: Some(by), ..view.request }),
        pushed_at: None,
        files: BTreeMap::new(),
        history: Vec::new(),
    };
    answer(take(ports, &hook, push).await?)
}

async fn hook<P: Hooks>(ports: &P, provider: Provider, id: &str) -> Result<Hook, Problem> {
    let hook = ports.hook(provider, id).await?;
    hook.ok_or_else(|| {
        Problem::NotFound(format!(
            "no {provider} repository is connected as {id:?}; see GET /v1/repositories"
        ))
    })
}

pub(crate) fn answer(taken: Taken) -> Result<Reply, Problem> {
    match taken {
        Taken::New { run, .. } => {
            tracing::info!(run_id = %run, "run started by hand");
            Reply::with(StatusCode::ACCEPTED, &Started::Run { run_id: run, new: true })
        }
        Taken::Before(DeliveryOutcome::Run(run)) => Reply::ok(&Started::Run { run_id: run, new: false }),
        Taken::Before(DeliveryOutcome::Ignored(rule)) => Reply::ok(&Started::Ignored { ignored: rule }),
        Taken::Malformed(malformed) => Err(Problem::BadRequest(malformed.to_string())),
    }
}
