//! From a believed push to a run: recorded once, durably, and only then started.
//!
//! The one road for every source. Whether to believe a delivery was decided before; whether anything is to
//! be done for it is decided later, by the plan.

use crate::delivery::{Malformed, Push, content_key};
use crate::ids::RunId;
use crate::ports::{
    Answer, Clock, Deliveries, DeliveryOutcome, Fault, NewRun, Random, Recorded, StartExecutions,
};
use crate::run::Run;
use crate::source::Hook;

/// What became of a push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taken {
    /// It is recorded as a new run.
    New {
        /// The run.
        run: RunId,
        /// Why its execution could not be started yet. The push is safe all the same: the sweep starts it.
        not_started: Option<Fault>,
    },
    /// It, or another delivery of the same push, was recorded before.
    Before(DeliveryOutcome),
    /// It is not of the hook's repository; nothing was recorded.
    Malformed(Malformed),
}

/// Records a push and starts its run.
pub async fn take<P>(ports: &P, hook: &Hook, push: Push) -> Answer<Taken>
where
    P: Deliveries + StartExecutions + Clock + Random,
{
    let (source, files) = match push.into_source(hook) {
        Ok(parts) => parts,
        Err(malformed) => return Ok(Taken::Malformed(malformed)),
    };
    let content_key = content_key(&source);
    let now = ports.now();
    let (run, entry) = Run::receive(RunId::new(now, ports.bytes()), source, now);
    let id = run.id;
    match ports.record_run(&NewRun { run, entry, content_key, files }).await? {
        Recorded::Before(outcome) => Ok(Taken::Before(outcome)),
        Recorded::New => Ok(Taken::New { run: id, not_started: ports.start_execution(id).await.err() }),
    }
}
