//! From an operation to the handler that carries it out.

use http::StatusCode;
use pushway_core::access::Principal;
use pushway_core::api;
use pushway_core::pipeline_file::JSON_SCHEMA;

use crate::Ports;
use crate::call::Call;
use crate::operations::Verb;
use crate::reply::{Problem, Reply};
use crate::{
    approvals, environments, explain, insights, openapi, order, pauses, pipelines, repositories, runs, start,
    steer, test_cases, tokens,
};

/// Carries out what was asked, if it makes sense and who asks may ask it: orders by their rules, the rest at once.
pub(crate) async fn dispatch<P: Ports>(ports: &P, call: Result<Call<'_>, Problem>) -> Result<Reply, Problem> {
    let call = &call?;
    // Boxed: it holds the states of every verb, and one of them runs.
    let act = Box::pin(async move {
        match call.operation.verb {
            Verb::OpenApi => Ok(Reply::of(StatusCode::OK, call.operation.content_type, openapi::document())),
            Verb::PipelineSchema => {
                Ok(Reply::of(StatusCode::OK, call.operation.content_type, JSON_SCHEMA.to_owned()))
            }
            Verb::Health => Reply::ok(&runs::health(ports).await?),
            Verb::Me => {
                let Principal { name, scopes, groups } = call.principal.clone();
                Reply::ok(&api::Me { name, scopes, groups })
            }
            Verb::ListRuns => Reply::ok(&runs::list(ports, call).await?),
            Verb::StartRun => start::start(ports, call).await,
            Verb::ShowRun => Reply::ok(&runs::show(ports, call).await?),
            Verb::StopRun => steer::stop(ports, call).await,
            Verb::RetryRun => steer::retry(ports, call).await,
            Verb::Journal => Reply::ok(&runs::journal(ports, call).await?),
            Verb::Plan => Reply::ok(&runs::plan(ports, call).await?),
            Verb::Jobs => Reply::ok(&runs::jobs(ports, call).await?),
            Verb::JobLog => Reply::ok(&runs::log(ports, call).await?),
            Verb::Artifacts => Reply::ok(&runs::artifacts(&runs::asked(ports, call).await?)),
            Verb::RunTests => Reply::ok(&test_cases::of_run(ports, call).await?),
            Verb::PipelineTests => Reply::ok(&test_cases::of_pipeline(ports, call).await?),
            Verb::Approvals => Reply::ok(&approvals::list(ports).await?),
            Verb::Approve => Reply::ok(&approvals::approve(ports, call).await?),
            Verb::Reject => Reply::ok(&approvals::reject(ports, call).await?),
            Verb::Continue => Reply::ok(&pauses::go_on(ports, call).await?),
            Verb::GoBack => Reply::ok(&pauses::go_back(ports, call).await?),
            Verb::ListEnvironments => Reply::ok(&pipelines::environments(ports, call).await?),
            Verb::ListPipelines => Reply::ok(&pipelines::list(ports, call).await?),
            Verb::ShowPipeline => Reply::ok(&pipelines::show(ports, call).await?),
            Verb::ShowCommit => Reply::ok(&pipelines::commit(ports, call).await?),
            Verb::ShowEnvironment => Reply::ok(&environments::show(ports, call).await?),
            Verb::Freeze => Reply::ok(&environments::freeze(ports, call).await?),
            Verb::Unfreeze => Reply::ok(&environments::unfreeze(ports, call).await?),
            Verb::Unlock => Reply::ok(&environments::unlock(ports, call).await?),
            Verb::Protect => Reply::ok(&environments::protect(ports, call).await?),
            Verb::Unprotect => Reply::ok(&environments::unprotect(ports, call).await?),
            Verb::RollBack => environments::rollback(ports, call).await,
            Verb::Repositories => Reply::ok(&repositories::list(ports).await?),
            Verb::ApproveFork => start::approve(ports, call).await,
            Verb::ExplainCommit => Reply::ok(&explain::commit(ports, call).await?),
            Verb::ExplainDelivery => Reply::ok(&explain::delivery(ports, call).await?),
            Verb::ExplainRef => Reply::ok(&explain::branch(ports, call).await?),
            Verb::TryFile => Reply::ok(&explain::try_file(ports, call).await?),
            Verb::Ledger => Reply::ok(&insights::ledger(ports, call).await?),
            Verb::Insights => Reply::ok(&insights::show(ports, call).await?),
            Verb::Badge => insights::badge(ports, call).await,
            Verb::Tokens => Reply::ok(&tokens::list(ports).await?),
            Verb::MakeToken => tokens::make(ports, call).await,
            Verb::RevokeToken => Reply::ok(&tokens::revoke(ports, call).await?),
            Verb::Audit => Reply::ok(&tokens::audit(ports, call).await?),
        }
    });
    let act = async { act.await.map_err(Problem::told) };
    if call.operation.changes { order::carry_out(ports, call, act).await } else { act.await }
}
