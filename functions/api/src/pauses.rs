//! Deployments that wait for a person in the middle: whether they go on or back.

use pushway_core::api::{Commented, OpenPause, PauseAnswered, Reasoned};
use pushway_core::ids::{EnvironmentName, RunId};
use pushway_core::ports::{Clock, Environments, ReadRuns, Runs};
use pushway_core::protection::Approvers;
use pushway_core::run::{EnvironmentState, PauseAnswer, Run};
use pushway_core::settle;

use crate::call::Call;
use crate::reply::{Problem, comment, words};
use crate::runs;

/// A deployment that waits, as `GET /v1/approvals` lists it.
pub(crate) async fn waiting<P: ReadRuns + Environments>(
    ports: &P,
    id: RunId,
    environment: &EnvironmentName,
) -> Result<Option<OpenPause>, Problem> {
    let Some(run) = ports.load(id).await? else { return Ok(None) };
    let pause = run.environment(environment).and_then(EnvironmentState::paused).cloned();
    let Some(pause) = pause.filter(|_| !run.status.is_terminal()) else { return Ok(None) };
    let approvers = approvers(ports, &run, environment).await?;
    Ok(Some(OpenPause {
        run_id: run.id,
        pipeline: run.pipeline,
        environment: environment.clone(),
        commit: run.source.commit,
        message: run.source.message,
        author: run.source.author,
        pause,
        approvers,
    }))
}

/// Who may let a deployment go on that waits in the middle.
pub(crate) async fn approvers<P: Environments>(
    ports: &P,
    run: &Run,
    environment: &EnvironmentName,
) -> Result<Approvers, Problem> {
    let Some(pipeline) = &run.pipeline else { return Ok(Approvers::ANYONE) };
    let rule = ports.environment(pipeline, environment).await?.rule_for(&run.source.trigger).cloned();
    Ok(rule.map(|rule| rule.approvers).unwrap_or_default())
}

/// `POST /v1/runs/{run}/environments/{environment}/continue`.
pub(crate) async fn go_on<P: Runs + Environments + Clock>(
    ports: &P,
    call: &Call<'_>,
) -> Result<PauseAnswered, Problem> {
    let Commented { comment: text } = call.order()?;
    say(ports, call, PauseAnswer { by: call.by(), goes_on: true, reason: comment(text) }).await
}

/// `POST /v1/runs/{run}/environments/{environment}/go-back`.
pub(crate) async fn go_back<P: Runs + Environments + Clock>(
    ports: &P,
    call: &Call<'_>,
) -> Result<PauseAnswered, Problem> {
    let Reasoned { reason } = call.order()?;
    let reason = Some(words(&reason)?);
    say(ports, call, PauseAnswer { by: call.by(), goes_on: false, reason }).await
}

async fn say<P: Runs + Environments + Clock>(
    ports: &P,
    call: &Call<'_>,
    answer: PauseAnswer,
) -> Result<PauseAnswered, Problem> {
    let (run, name) = (runs::asked(ports, call).await?, call.text("environment"));
    let state = run.environments.iter().find(|state| state.name.as_str() == name);
    let Some(environment) = state.map(|state| state.name.clone()) else {
        return Err(Problem::NotFound(format!("run {} has no environment {name:?}", run.id)));
    };
    let goes_on = answer.goes_on;
    let outcome = settle::answer_pause(ports, run.id, &environment, answer, &call.principal.groups);
    outcome.await??;
    Ok(PauseAnswered { run_id: run.id, environment, goes_on })
}
