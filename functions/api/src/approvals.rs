//! Approvals: which deploys wait for people, and what people say to them.

use pushway_core::api::{Answered, Approvals, Consenting, OpenApproval, Reasoned};
use pushway_core::approval::{ApprovalState, Consent, Refusal};
use pushway_core::ids::EnvironmentName;
use pushway_core::ports::{Callbacks, Clock, Environments, Overdue, Plans, ReadRuns, Runs, Waits};
use pushway_core::run::Run;
use pushway_core::settle::{self, Declined};
use pushway_core::wait::{SWEEP_PATIENCE, Subject, Work};

use crate::call::Call;
use crate::pauses;
use crate::reply::{Problem, comment, words};
use crate::runs;

/// `GET /v1/approvals`: what waits for people, oldest first: deploys before they begin, and in the middle.
pub(crate) async fn list<P: ReadRuns + Environments + Overdue + Clock>(
    ports: &P,
) -> Result<Approvals, Problem> {
    let (mut approvals, mut pauses) = (Vec::new(), Vec::new());
    // The open waits of the youngest age, too.
    for wait in ports.waits(ports.now() + SWEEP_PATIENCE).await? {
        if let Work::Deploy(environment) = &wait.work {
            pauses.extend(pauses::waiting(ports, wait.run, environment).await?);
        }
        let Subject::Approval { run, environment } = wait.subject else { continue };
        let Some(run) = ports.load(run).await? else { continue };
        let state = run.environment(&environment).and_then(|state| state.approval.clone());
        if let Some(approval) = state.filter(|state| state.is_open() && !run.status.is_terminal()) {
            approvals.push(OpenApproval {
                run_id: run.id,
                pipeline: run.pipeline,
                environment,
                repository: run.source.repository,
                git_ref: run.source.git_ref,
                commit: run.source.commit,
                message: run.source.message,
                author: run.source.author,
                asked_at: wait.opened_at,
                approval,
            });
        }
    }
    Ok(Approvals { approvals, pauses })
}

/// `POST /v1/runs/{run}/environments/{environment}/approve`: consent to the images that the digest stands for, and
/// to no others.
pub(crate) async fn approve<P>(ports: &P, call: &Call<'_>) -> Result<Answered, Problem>
where
    P: Runs + Plans + Environments + Waits + Callbacks + Clock,
{
    let Consenting { digest, comment: text } = call.order()?;
    let (run, environment) = asked(ports, call).await?;
    let groups = call.principal.groups.clone();
    let consent = Consent { by: call.by(), groups, comment: comment(text) };
    answer(settle::approve(ports, run.id, &environment, &digest, consent).await?, environment)
}

/// `POST /v1/runs/{run}/environments/{environment}/reject`.
pub(crate) async fn reject<P>(ports: &P, call: &Call<'_>) -> Result<Answered, Problem>
where
    P: Runs + Plans + Environments + Waits + Callbacks + Clock,
{
    let Reasoned { reason } = call.order()?;
    let reason = words(&reason)?;
    let (run, environment) = asked(ports, call).await?;
    let refusal = Refusal { by: Some(call.by()), reason };
    answer(settle::reject(ports, run.id, &environment, refusal).await?, environment)
}

/// The run and its environment that people are asked about.
async fn asked<P: ReadRuns>(ports: &P, call: &Call<'_>) -> Result<(Run, EnvironmentName), Problem> {
    let (run, name) = (runs::asked(ports, call).await?, call.text("environment"));
    let state = run.environments.iter().find(|state| state.name.as_str() == name);
    match state.filter(|state| state.approval.is_some()) {
        Some(state) => Ok((run.clone(), state.name.clone())),
        None => Err(Problem::NotFound(format!(
            "run {} asks for no approval of {name:?}; GET /v1/approvals lists what waits",
            run.id
        ))),
    }
}

fn answer(outcome: Result<Run, Declined>, environment: EnvironmentName) -> Result<Answered, Problem> {
    let run = outcome?;
    let approval = run.environment(&environment).and_then(|state| state.approval.clone());
    let granted = approval.as_ref().is_some_and(ApprovalState::is_granted);
    Ok(Answered { run_id: run.id, environment, granted, approval })
}
