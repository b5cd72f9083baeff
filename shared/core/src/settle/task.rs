//! Settling a task that a deploy waits for: once it is over, the deploy's state is tried again and goes on.
//!
//! What its end means is for the deploy to say, which alone may stop a task or touch the service. So who
//! looks here needs no right but to look.

use super::{Settled, answer, load, state_of};
use crate::contract::errors;
use crate::ports::{Answer, Callbacks, Clock, Fault, ReadRuns, ReadTasks, Waits};
use crate::rollout::SETTLING;
use crate::views::TaskRef;
use crate::wait::{Subject, Wait, Work};

/// Lets a deploy go on if the task that it waits for is over, or its time is.
pub async fn settle_task<P>(ports: &P, wait: &Wait) -> Answer<Settled>
where
    P: ReadRuns + Waits + ReadTasks + Callbacks + Clock,
{
    let (Subject::Task(arn), Work::Task { environment, task }) = (&wait.subject, &wait.work) else {
        return Err(Fault::Permanent("a wait on a task must be for one before a deploy".into()));
    };
    let run = load(ports, wait.run).await?;
    if run.status.is_terminal() {
        ports.close(wait).await?;
        return Ok(Settled::Done);
    }
    let state = state_of(&run, environment)?;
    let is_known = state.task(*task).is_some_and(|task| task.end.is_some());
    let is_over = is_known
        || ports.now() >= wait.deadline
        || match &state.rollout {
            None => true,
            Some(rollout) => {
                let (place, cluster) = (rollout.place.clone(), rollout.cluster.clone());
                match ports.task(&TaskRef { place, cluster, arn: arn.clone() }).await? {
                    Some(task) => task.is_stopped,
                    None => ports.now() >= wait.opened_at + SETTLING,
                }
            }
        };
    if is_over {
        return answer(ports, wait, Some((errors::TASK_READY, "the task before the deploy is over"))).await;
    }
    Ok(Settled::Waiting)
}
