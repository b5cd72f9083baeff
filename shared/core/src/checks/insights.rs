//! Figures of Container Insights: restarts inside running tasks, and the task that uses most.
//!
//! They exist only where a cluster has Container Insights switched on. Their absence is told and fails nothing:
//! what else is watched does not depend on it.

use super::Sample;
use crate::messages;
use crate::views::MetricSeries;

/// Judges how often a container was restarted inside a running task. Each series is a counter that only grows
/// (of a container, or the highest of a service's), so what counts is by how much it grew while it was watched.
pub fn judge_restarts(below: u8, series: &[MetricSeries], cluster: &str) -> Sample {
    let grown = series.iter().filter_map(|series| {
        let newest = series.points.iter().max_by_key(|(at, _)| *at)?.1;
        let oldest = series.points.iter().min_by_key(|(at, _)| *at)?.1;
        Some(newest - oldest)
    });
    let Some(most) = grown.reduce(f64::max) else {
        return Sample::NoData(messages::no_restarts_told(cluster));
    };
    let words = messages::restarted(most);
    if most < f64::from(below) { Sample::Good(words) } else { Sample::Bad(words) }
}

/// A look whose figure may be missing for good.
pub fn or_told(sample: Sample, cluster: &str) -> Sample {
    match sample {
        Sample::NoData(_) => Sample::Good(messages::insights_silent(cluster)),
        told => told,
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    fn series(points: &[(i64, f64)]) -> MetricSeries {
        let point = |(minute, value): &(i64, f64)| (Timestamp::from_second(minute * 60).unwrap(), *value);
        MetricSeries { id: "restarts".into(), points: points.iter().map(point).collect() }
    }

    #[test]
    fn only_what_a_counter_grew_by_under_watch_counts_and_the_worst_container_decides() {
        let judged = |all: &[MetricSeries]| judge_restarts(2, all, "demo");
        // Newest first, as CloudWatch tells them.
        assert!(matches!(judged(&[series(&[(3, 7.0), (2, 6.0), (1, 6.0)])]), Sample::Good(_)));
        assert!(matches!(
            judged(&[series(&[(2, 0.0), (1, 0.0)]), series(&[(2, 8.0), (1, 6.0)])]),
            Sample::Bad(_)
        ));
        // A counter that falls is that of tasks that are gone.
        assert!(matches!(judged(&[series(&[(2, 0.0), (1, 9.0)])]), Sample::Good(_)));
        assert!(matches!(judged(&[series(&[(1, 9.0)])]), Sample::Good(_)), "it was so before");
        assert!(matches!(judged(&[]), Sample::NoData(_)));
        assert!(matches!(judged(&[series(&[])]), Sample::NoData(_)));
    }
}
