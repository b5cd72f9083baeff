//! A person's answer to a deployment that waits at a checkpoint.
//!
//! Nothing is told to ECS here: it asks again by itself, and finds the answer in the run.

use super::{load, state_of, try_record};
use crate::fact::Fact;
use crate::ids::{EnvironmentName, RunId};
use crate::messages::checkpoints::nobody_asked;
use crate::ports::{Answer, Clock, Runs};
use crate::run::{PauseAnswer, Run};

/// Records whether a deployment goes on. The inner error is why it can't be said.
pub async fn answer_pause<P>(
    ports: &P,
    id: RunId,
    environment: &EnvironmentName,
    answer: PauseAnswer,
) -> Answer<Result<Run, String>>
where
    P: Runs + Clock,
{
    let run = load(ports, id).await?;
    let state = state_of(&run, environment)?;
    // Said before by the same person: a lost answer is asked for again.
    let said = state.checkpoints.iter().rev().find(|point| point.answer.as_ref() == Some(&answer));
    let Some(point) = state.paused().or(said) else { return Ok(Err(nobody_asked().to_owned())) };
    if point.answer.is_some() {
        return Ok(Ok(run));
    }
    let fact = Fact::CheckpointAnswered { environment: environment.clone(), served: point.served, answer };
    Ok(try_record(ports, id, fact).await?.map_err(|illegal| illegal.to_string()))
}
