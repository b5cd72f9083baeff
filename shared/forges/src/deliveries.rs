//! GitHub's deliveries of a webhook: which failed for good, and a second try of those (row F3).
//!
//! GitHub never delivers again by itself ("Handling failed webhook deliveries") and keeps deliveries for
//! three days. What was tried several times is left alone: it is refused for a reason that trying does not
//! mend, and the heads are compared anyway.

use std::collections::BTreeMap;

use jiff::Timestamp;
use pushway_core::ports::Answer;
use reqwest::Method;
use serde::Deserialize;

use crate::api::Api;
use crate::http::Listing;

/// How often a delivery is tried at most, the first time included.
const MAX_ATTEMPTS: u32 = 4;
/// How many are asked for at once: a burst after an outage is spread over several sweeps.
const MAX_AT_ONCE: usize = 20;

/// One try of a delivery.
#[derive(Deserialize)]
struct Attempt {
    id: u64,
    /// The delivery's own id, the same for all tries.
    guid: String,
    delivered_at: Timestamp,
    /// What we answered; 0 where there was no answer.
    status_code: u16,
}

/// What is known of one delivery.
struct Tries {
    newest: u64,
    count: u32,
    succeeded: bool,
}

/// Asks for another try of what failed since then; gives how many.
pub(crate) async fn redeliver(api: &Api, hook: &str, since: Timestamp) -> Answer<u32> {
    let ask = api.get(&["hooks", hook, "deliveries"], "list the deliveries");
    let attempts = match api.list::<Attempt>(ask.query("per_page", "100")).await? {
        Listing::Items { items, .. } => items,
        Listing::Absent | Listing::Unchanged => return Ok(0),
    };
    let mut asked = 0;
    for attempt in failed(&attempts, since) {
        let attempt = attempt.to_string();
        let segments = ["hooks", hook, "deliveries", &attempt, "attempts"];
        let ask = api.ask(Method::POST, &segments, "repeat a delivery");
        // One that GitHub keeps no longer can't be had again.
        if api.send(&ask).await?.found()?.is_some() {
            asked += 1;
        }
    }
    Ok(asked)
}

/// The newest try of each delivery that no try of succeeded, oldest delivery first.
fn failed(attempts: &[Attempt], since: Timestamp) -> Vec<u64> {
    let mut deliveries: BTreeMap<&str, Tries> = BTreeMap::new();
    for attempt in attempts.iter().filter(|attempt| attempt.delivered_at >= since) {
        let tries = deliveries.entry(&attempt.guid);
        let tries = tries.or_insert(Tries { newest: attempt.id, count: 0, succeeded: false });
        tries.newest = tries.newest.max(attempt.id);
        tries.count += 1;
        tries.succeeded |= (200..300).contains(&attempt.status_code);
    }
    let hopeful = deliveries.values().filter(|tries| !tries.succeeded && tries.count < MAX_ATTEMPTS);
    let mut newest: Vec<u64> = hopeful.map(|tries| tries.newest).collect();
    newest.sort_unstable();
    newest.truncate(MAX_AT_ONCE);
    newest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f3_only_deliveries_that_never_arrived_are_asked_for_again_and_not_for_ever() {
        let at = |minute: i64| Timestamp::from_second(1_800_000_000 + 60 * minute).unwrap();
        let attempt = |id, guid: &str, minute, status_code| Attempt {
            id,
            guid: guid.into(),
            delivered_at: at(minute),
            status_code,
        };
        let attempts = [
            attempt(31, "repaired", 9, 202),
            attempt(30, "tired", 9, 500),
            attempt(29, "tired", 8, 500),
            attempt(28, "tired", 7, 500),
            attempt(27, "tired", 6, 500),
            attempt(22, "twice", 5, 0),
            attempt(21, "repaired", 4, 502),
            attempt(20, "twice", 3, 504),
            attempt(19, "fine", 2, 200),
            attempt(18, "lost", 1, 0),
            attempt(17, "old", 0, 0),
        ];
        assert_eq!(failed(&attempts, at(1)), [18, 22]);
    }
}
