//! A person's answer to a deployment that waits at a checkpoint.
//!
//! Nothing is told to ECS here: it asks again by itself, and finds the answer in the run.

use std::collections::BTreeSet;

use super::approval::pipeline_of;
use super::consent::{Declined, admitted};
use super::{load, state_of, try_record};
use crate::fact::Fact;
use crate::ids::{EnvironmentName, RunId};
use crate::messages::checkpoints::nobody_asked;
use crate::ports::{Answer, Clock, Environments, Runs};
use crate::run::{PauseAnswer, Run};

/// Records whether a deployment goes on. Letting it go on is consent, so the environment's rule says who of these
/// groups may; anyone may send it back, and a rollback by hand is held up by no rule. The inner error is why it can't
/// be said.
pub async fn answer_pause<P>(
    ports: &P,
    id: RunId,
    environment: &EnvironmentName,
    answer: PauseAnswer,
    groups: &BTreeSet<String>,
) -> Answer<Result<Run, Declined>>
where
    P: Runs + Environments + Clock,
{
    let run = load(ports, id).await?;
    let state = state_of(&run, environment)?;
    // Said before by the same person: a lost answer is asked for again.
    let said = state.checkpoints.iter().rev().find(|point| point.answer.as_ref() == Some(&answer));
    let Some(point) = state.paused().or(said) else {
        return Ok(Err(Declined::Impossible(nobody_asked().to_owned())));
    };
    if point.answer.is_some() {
        return Ok(Ok(run));
    }
    let stored = ports.environment(pipeline_of(&run)?, environment).await?;
    if let Some(rule) = stored.rule_for(&run.source.trigger).filter(|_| answer.goes_on)
        && let Err(declined) = admitted(environment, &rule.approvers, &answer.by, groups)
    {
        return Ok(Err(declined));
    }
    let fact = Fact::CheckpointAnswered { environment: environment.clone(), served: point.served, answer };
    Ok(try_record(ports, id, fact).await?.map_err(|illegal| Declined::Impossible(illegal.to_string())))
}
