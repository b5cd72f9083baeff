//! Schedules that are due, started once each at the head of their branch.

use crate::delivery::made_id;
use crate::intake::{Taken, Wish, take_wish};
use crate::ports::{
    Answer, BranchRecords, Clock, Deliveries, Fault, Heads, Random, ReadRuns, StartExecutions,
    SubscriptionRecords, Written,
};
use crate::source::{Hook, Trigger};
use crate::subscription::Due;

/// Starts what a hook's schedules ask for by now; gives how many runs that made.
pub async fn start_due<P>(ports: &P, hook: &Hook) -> Answer<u32>
where
    P: SubscriptionRecords + BranchRecords + ReadRuns + Heads + Deliveries + StartExecutions + Clock + Random,
{
    let now = ports.now();
    let Some(mut wanted) = ports.subscriptions(hook).await? else { return Ok(0) };
    let mut started = 0;
    for Due { file, expression, at } in wanted.due(now) {
        let wish = Wish {
            delivery: made_id("schedule", &[file.as_str(), &expression, &at.to_string()]),
            git_ref: wanted.git_ref.clone(),
            commit: None,
            trigger: Trigger::Schedule { expression, due: at },
            file: Some(file),
        };
        match take_wish(ports, hook, wish).await? {
            Some(Taken::New { .. }) => started += 1,
            // Nothing was ever pushed to the branch, or this very time was started before.
            None | Some(Taken::Before(_)) => {}
            Some(Taken::Malformed(malformed)) => return Err(Fault::Permanent(malformed.to_string())),
        }
    }
    wanted.done_until = now;
    wanted.version += 1;
    match ports.put_subscriptions(&wanted).await? {
        // Whoever wrote in between leaves the next sweep to find the same runs started.
        Written::Stored | Written::Conflict => Ok(started),
    }
}
