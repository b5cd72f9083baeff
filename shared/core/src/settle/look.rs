//! One look at what a check or a watch asks of AWS: read, then judge.

use jiff::Timestamp;

use crate::checks::{
    ERRORS, REQUESTS, Sample, judge_alarms, judge_errors, judge_metrics, judge_targets, queries_of,
};
use crate::fact::Rollout;
use crate::plan::{Measure, Metric, MetricSource, Place};
use crate::ports::{Answer, Clock, ReadAlarms, ReadMetrics, ReadTargetHealth};
use crate::rollout::check_digests;
use crate::views::{MetricQuery, TargetGroupView, TaskView};

/// Looks at alarms.
pub async fn look_at_alarms<P: ReadAlarms>(ports: &P, place: &Place, names: &[String]) -> Answer<Sample> {
    Ok(judge_alarms(names, &ports.alarms(place, names).await?))
}

/// Looks at a measure; values of before `since` are of another version.
pub async fn look_at_metrics<P>(
    ports: &P,
    place: &Place,
    measure: &Measure,
    since: Timestamp,
) -> Answer<Sample>
where
    P: ReadMetrics + Clock,
{
    let series = ports.metrics(place, &queries_of(measure), since, ports.now()).await?;
    Ok(judge_metrics(measure, &series, since))
}

/// Looks at the tasks and the targets of a service.
pub async fn look_at_targets<P>(
    ports: &P,
    rollout: &Rollout,
    healthy: u16,
    tasks: &[TaskView],
) -> Answer<Sample>
where
    P: ReadTargetHealth,
{
    if let Err(problem) = check_digests(&rollout.task_definition, &rollout.images, tasks) {
        return Ok(Sample::Other(problem));
    }
    Ok(judge_targets(healthy, &ports.targets(&rollout.at()).await?))
}

/// Looks at the share of errors among the answers of a service's targets, group by group: the first that is
/// too high, or that says nothing, counts.
pub async fn look_at_errors<P>(ports: &P, rollout: &Rollout, percent: u8, since: Timestamp) -> Answer<Sample>
where
    P: ReadMetrics + ReadTargetHealth + Clock,
{
    let groups = ports.targets(&rollout.at()).await?;
    let mut seen = Sample::Bad("the service has no load balancer; remove `target_5xx`".to_owned());
    for group in &groups {
        let queries = error_queries(group);
        let series = ports.metrics(&rollout.place, &queries, since, ports.now()).await?;
        seen = judge_errors(percent, &series, since);
        if !matches!(seen, Sample::Good(_)) {
            break;
        }
    }
    Ok(seen)
}

/// Requests and errors of a target group, as its load balancers count them (Elastic Load Balancing User Guide,
/// "`CloudWatch` metrics for your Application Load Balancer").
fn error_queries(group: &TargetGroupView) -> Vec<MetricQuery> {
    let mut queries = Vec::new();
    for (id, name) in [(REQUESTS, "RequestCount"), (ERRORS, "HTTPCode_Target_5XX_Count")] {
        let balancer = group.balancer().unwrap_or_default().to_owned();
        let dimensions = [("LoadBalancer", balancer), ("TargetGroup", group.name().to_owned())];
        let metric = Metric {
            namespace: "AWS/ApplicationELB".to_owned(),
            name: name.to_owned(),
            statistic: "Sum".to_owned(),
            dimensions: dimensions.map(|(name, value)| (name.to_owned(), value)).into(),
        };
        queries.push(MetricQuery {
            id: id.to_owned(),
            source: MetricSource::Metric(metric),
            is_wanted: true,
        });
    }
    queries
}

/// The share of its reservation that a service uses, in percent (Amazon ECS Developer Guide, "Amazon ECS
/// `CloudWatch` metrics").
pub(super) fn usage(rollout: &Rollout, metric: &str, percent: u8) -> Measure {
    let last = |text: &str| text.rsplit('/').next().unwrap_or_default().to_owned();
    let dimensions = [("ClusterName", last(&rollout.cluster)), ("ServiceName", last(&rollout.service))];
    let source = Metric {
        namespace: "AWS/ECS".to_owned(),
        name: metric.to_owned(),
        statistic: "Average".to_owned(),
        dimensions: dimensions.map(|(name, value)| (name.to_owned(), value)).into(),
    };
    Measure {
        queries: [("usage".to_owned(), MetricSource::Metric(source))].into(),
        expression: "usage".to_owned(),
        baseline: None,
        bound: crate::plan::Bound::Below(percent.to_string()),
    }
}
