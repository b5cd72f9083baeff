//! Ports of what starts tasks by the clock: rules of `EventBridge`, schedules of `EventBridge` Scheduler.

use std::future::Future;

use super::Answer;
use crate::fact::Scheduled;
use crate::plan::Place;
use crate::scheduled::{ScheduledView, StarterRef};
use crate::views::TaskView;

/// Reads what starts tasks.
pub trait ReadSchedules: Sync {
    /// The ECS tasks that a rule or schedule starts; `None` where there is no such rule or schedule.
    fn scheduled(&self, at: &StarterRef) -> impl Future<Output = Answer<Option<Vec<ScheduledView>>>> + Send;
    /// The tasks of a revision, whoever started them: those that run, and those that stopped lately.
    fn started(
        &self,
        place: &Place,
        cluster: &str,
        task_definition: &str,
    ) -> impl Future<Output = Answer<Vec<TaskView>>> + Send;
}

/// What pointing a task at a revision came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pointed {
    /// It starts that revision, now or since an earlier call.
    There,
    /// It was found to start something else than it was expected to, and is left alone.
    Elsewhere(String),
    /// There is no such task any more.
    Gone,
}

/// Changes what is started.
pub trait MoveSchedules: Sync {
    /// Makes a task start `to`, if it names `from` now. Nothing else of it changes, known or not. Neither
    /// service takes a condition: whoever writes in the same moment may be overwritten, so it is read
    /// immediately before.
    fn point(
        &self,
        place: &Place,
        task: &Scheduled,
        from: &str,
        to: &str,
    ) -> impl Future<Output = Answer<Pointed>> + Send;
}
