//! Figures of `CloudWatch` against their bounds.
//!
//! Only values of minutes that began after the new version came count, and the newest of them decides.
//! Where there is none, nothing is known yet, and at a check's end that is a failure.

use jiff::Timestamp;

use super::{Sample, shown};
use crate::plan::{Bound, Measure, MetricSource};
use crate::views::{MetricQuery, MetricSeries};

/// The id under which a measure's figure is asked for.
const FIGURE: &str = "pushway_figure";
/// The id under which its baseline is asked for.
const BASELINE: &str = "pushway_baseline";

/// What to ask of `CloudWatch` for a measure.
pub fn queries_of(measure: &Measure) -> Vec<MetricQuery> {
    let query = |id: &str, source: &MetricSource, is_wanted| MetricQuery {
        id: id.to_owned(),
        source: source.clone(),
        is_wanted,
    };
    let mut queries: Vec<MetricQuery> =
        measure.queries.iter().map(|(id, source)| query(id, source, false)).collect();
    for (id, expression) in [(FIGURE, Some(&measure.expression)), (BASELINE, measure.baseline.as_ref())] {
        let Some(expression) = expression else { continue };
        // The name of a query alone is no expression to CloudWatch: the query itself is asked for.
        let source = measure.queries.get(expression).cloned();
        queries.push(query(id, &source.unwrap_or(MetricSource::Expression(expression.clone())), true));
    }
    queries
}

/// Judges what was answered to [`queries_of`].
pub fn judge_metrics(measure: &Measure, series: &[MetricSeries], since: Timestamp) -> Sample {
    let Some((at, figure)) = newest(series, FIGURE, since) else {
        return Sample::NoData(format!(
            "{} has no data since the new version came",
            shown(&measure.expression)
        ));
    };
    let Some(baseline) = &measure.baseline else {
        return judge(&measure.bound, figure, &shown(&measure.expression));
    };
    let known = series.iter().find(|series| series.id == BASELINE);
    let beside = known.and_then(|series| series.points.iter().find(|(time, _)| *time == at));
    let Some((_, beside)) = beside else {
        return Sample::NoData(format!("{} has no data to compare with", shown(baseline)));
    };
    // Nothing beside nothing is the same; something beside nothing is endlessly more.
    let ratio = if figure.abs() + beside.abs() == 0.0 { 1.0 } else { figure / beside };
    judge(&measure.bound, ratio, &format!("{} against {}", shown(&measure.expression), shown(baseline)))
}

/// Judges the share of a target group's answers that are errors of the target, in percent.
pub fn judge_errors(percent: u8, series: &[MetricSeries], since: Timestamp) -> Sample {
    let Some((at, requests)) = newest(series, REQUESTS, since) else {
        return Sample::NoData("no request came since the new version did".to_owned());
    };
    // A minute without errors has no value.
    let errors = series.iter().filter(|series| series.id == ERRORS).flat_map(|series| &series.points);
    let errors: f64 = errors.filter(|(time, _)| *time == at).map(|(_, value)| value).sum();
    let share = if requests > 0.0 { 100.0 * errors / requests } else { 0.0 };
    judge(&Bound::Below(percent.to_string()), share, "errors of the target, in percent")
}

/// The id of the requests that a target group was asked.
pub const REQUESTS: &str = "requests";
/// The id of its answers that were errors.
pub const ERRORS: &str = "errors";

fn newest(series: &[MetricSeries], id: &str, since: Timestamp) -> Option<(Timestamp, f64)> {
    let points = series.iter().filter(|series| series.id == id).flat_map(|series| &series.points);
    points.filter(|(at, _)| *at >= since).max_by_key(|(at, _)| *at).copied()
}

fn judge(bound: &Bound, figure: f64, what: &str) -> Sample {
    let figure_said = (figure * 1000.0).round() / 1000.0;
    if bound.holds(figure) {
        Sample::Good(format!("{what} is {figure_said}, {bound}"))
    } else {
        Sample::Bad(format!("{what} is {figure_said}, not {bound}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measure(baseline: bool) -> Measure {
        let mut measure = serde_json::json!({ "expression": "errors", "below": "2" });
        if baseline {
            measure["baseline"] = "old".into();
        }
        serde_json::from_value(measure).unwrap()
    }

    fn series(id: &str, points: &[(i64, f64)]) -> MetricSeries {
        let point = |(second, value): &(i64, f64)| (Timestamp::from_second(*second).unwrap(), *value);
        MetricSeries { id: id.to_owned(), points: points.iter().map(point).collect() }
    }

    fn since() -> Timestamp {
        Timestamp::from_second(100).unwrap()
    }

    #[test]
    fn the_newest_value_since_the_new_version_came_decides() {
        let judged =
            |points: &[(i64, f64)]| judge_metrics(&measure(false), &[series(FIGURE, points)], since());
        assert!(matches!(judged(&[(120, 9.0), (180, 1.9)]), Sample::Good(_)));
        assert!(matches!(judged(&[(180, 2.0), (120, 1.0)]), Sample::Bad(_)));
        assert!(matches!(judged(&[(40, 1.0), (99, 1.0)]), Sample::NoData(_)));
        assert!(matches!(judged(&[(120, f64::NAN)]), Sample::Bad(_)));
    }

    #[test]
    fn a_canary_is_judged_by_its_ratio_to_the_baseline_of_the_same_minute() {
        let judged = |canary: f64, old: &[(i64, f64)]| {
            let all = [series(FIGURE, &[(120, canary)]), series(BASELINE, old)];
            judge_metrics(&measure(true), &all, since())
        };
        assert!(matches!(judged(3.0, &[(120, 2.0)]), Sample::Good(_)));
        assert!(matches!(judged(4.0, &[(120, 2.0)]), Sample::Bad(_)));
        assert!(matches!(judged(0.0, &[(120, 0.0)]), Sample::Good(_)));
        assert!(matches!(judged(1.0, &[(120, 0.0)]), Sample::Bad(_)));
        assert!(matches!(judged(1.0, &[(60, 1.0)]), Sample::NoData(_)));
    }

    #[test]
    fn minutes_without_errors_are_good_and_minutes_without_requests_say_nothing() {
        let judged = |all: &[MetricSeries]| judge_errors(1, all, since());
        assert!(matches!(judged(&[series(REQUESTS, &[(120, 50.0)])]), Sample::Good(_)));
        assert!(matches!(judged(&[series(ERRORS, &[(120, 5.0)])]), Sample::NoData(_)));
        let one = [series(REQUESTS, &[(120, 50.0)]), series(ERRORS, &[(120, 1.0)])];
        assert!(matches!(judged(&one), Sample::Bad(_)));
    }
}
