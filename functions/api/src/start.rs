//! Runs started by hand: of a ref or commit, and of a fork's pull request that someone has read.

use std::collections::BTreeMap;

use aws_lambda_events::event::apigw::ApiGatewayV2httpRequest;
use http::StatusCode;
use pushway_core::delivery::{Push, made_id};
use pushway_core::ids::{CommitSha, HookId, PipelineName, RefKind, RefName, RepositoryId, VariableName};
use pushway_core::intake::{Taken, Wish, take, take_wish};
use pushway_core::ports::{
    BranchRecords, Clock, Deliveries, DeliveryOutcome, Heads, Hooks, PullRequests, Random, ReadRuns,
    StartExecutions,
};
use pushway_core::source::{Hook, Provider, PullRequest, Trigger};
use serde::Deserialize;
use serde_json::json;

use crate::reply::{Problem, Reply, body, caller, key, parsed};

/// What to start.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Order {
    provider: Provider,
    hook: HookId,
    #[serde(rename = "ref")]
    git_ref: RefName,
    commit: Option<CommitSha>,
    pipeline: Option<PipelineName>,
    #[serde(default)]
    variables: BTreeMap<VariableName, String>,
}

/// Which commit of a pull request to let in.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Approval {
    commit: CommitSha,
}

/// `POST /v1/runs`.
pub(crate) async fn start<P>(ports: &P, request: &ApiGatewayV2httpRequest) -> Result<Reply, Problem>
where
    P: Hooks + BranchRecords + ReadRuns + Heads + Deliveries + StartExecutions + Clock + Random,
{
    let order: Order = body(request)?;
    let hook = hook(ports, order.provider, order.hook.as_str()).await?;
    let git_ref = order.git_ref;
    if matches!(git_ref.kind(), RefKind::Other) {
        return Err(Problem::BadRequest(format!(
            "{git_ref} is neither a branch nor a tag; a pull request's commit is let in by its approval"
        )));
    }
    let wish = Wish {
        delivery: made_id("manual", &[key(request)?]),
        git_ref: git_ref.clone(),
        commit: order.commit,
        trigger: Trigger::Manual {
            by: caller(request),
            pipeline: order.pipeline,
            variables: order.variables,
        },
        file: None,
    };
    match take_wish(ports, &hook, wish).await? {
        Some(taken) => answer(taken),
        None => Err(Problem::NotFound(format!("{} has no {git_ref}; push it first", hook.repository))),
    }
}

/// `POST /v1/repositories/{provider}/{hook}/pull-requests/{number}/approve`: lets one commit of a pull request
/// be built, and no other (row A20).
pub(crate) async fn approve<P>(
    ports: &P,
    request: &ApiGatewayV2httpRequest,
    provider: &str,
    id: &str,
    number: &str,
) -> Result<Reply, Problem>
where
    P: Hooks + PullRequests + Deliveries + StartExecutions + Clock + Random,
{
    let hook = hook(ports, parsed(provider)?, id).await?;
    let number: u64 = parsed(number)?;
    let Approval { commit } = body(request)?;
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
    let by = caller(request);
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
            Ok(Reply { status: StatusCode::ACCEPTED, body: json!({ "run_id": run, "new": true }) })
        }
        Taken::Before(DeliveryOutcome::Run(run)) => Ok(Reply::ok(json!({ "run_id": run, "new": false }))),
        Taken::Before(DeliveryOutcome::Ignored(rule)) => Ok(Reply::ok(json!({ "ignored": rule }))),
        Taken::Malformed(malformed) => Err(Problem::BadRequest(malformed.to_string())),
    }
}
