//! Where a run's time went, from its journal: builds, rollout, validation, and Pushway's own share.

use jiff::Timestamp;
use pushway_core::fact::{Entry, Fact};
use serde::Serialize;

/// Seconds of one run.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Ledger {
    /// From `git push` to the final status.
    pub(crate) total: f64,
    /// Building, testing and pushing images, as the build service tells.
    pub(crate) builds: f64,
    /// From telling the service to move until it says that it has.
    pub(crate) rollout: f64,
    /// Everything else: delivery, planning, hand-overs, probes.
    pub(crate) own: f64,
    /// The part of `own` in which the pipeline file's checks were made, with the pauses it asks for.
    pub(crate) validation: f64,
}

impl Ledger {
    /// The ledger of a run that was pushed at `pushed` and is over.
    pub(crate) fn of(pushed: Timestamp, journal: &[Entry]) -> Self {
        let end = journal.last().map_or(pushed, |entry| entry.at);
        let total = seconds(pushed, end);
        let (mut started, mut deployed) = (None, None);
        let (mut builds, mut rollout, mut validation) = (Vec::new(), Vec::new(), 0.0);
        for entry in journal {
            match &entry.fact {
                Fact::JobEnded { end, .. } => builds.extend(end.started_at.zip(end.ended_at)),
                Fact::DeployStarted { .. } => started = Some(entry.at),
                Fact::DeployEnded { ended_at, .. } => {
                    // The service may tell whole seconds only, and so an end before the start.
                    let ended = ended_at.unwrap_or(entry.at);
                    rollout.extend(started.take().map(|from| (from, ended.max(from))));
                    deployed = Some(entry.at);
                }
                Fact::Validated { .. } => {
                    validation += deployed.take().map_or(0.0, |from| seconds(from, entry.at));
                }
                _ => {}
            }
        }
        let (builds, rollout) = (covered(builds), covered(rollout));
        Self { total, builds, rollout, own: (total - builds - rollout).max(0.0), validation }
    }
}

/// Seconds that at least one of the spans covers: jobs of a stage run side by side.
fn covered(mut spans: Vec<(Timestamp, Timestamp)>) -> f64 {
    spans.sort();
    let mut sum = 0.0;
    let mut reached: Option<Timestamp> = None;
    for (from, to) in spans {
        let from = reached.map_or(from, |reached| from.max(reached));
        if to > from {
            sum += seconds(from, to);
            reached = Some(to);
        }
    }
    sum
}

fn seconds(from: Timestamp, to: Timestamp) -> f64 {
    to.duration_since(from).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_side_by_side_are_counted_once() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let spans = vec![(at(10), at(20)), (at(12), at(15)), (at(18), at(25)), (at(30), at(31))];
        assert!((covered(spans) - 16.0).abs() < f64::EPSILON);
    }
}
