//! What a watch asks of Container Insights (Amazon CloudWatch User Guide, "Amazon ECS Container Insights metrics"
//! and "… with enhanced observability metrics").
//!
//! Where a cluster tells nothing, the watch goes on without and says so.

use super::look::look_at_metrics;
use crate::checks::{Sample, judge_restarts, or_told};
use crate::fact::Rollout;
use crate::messages;
use crate::plan::{InsightsPlan, Measure, Metric, MetricSource};
use crate::ports::{Answer, Clock, Fault, ReadMetrics, ReadServices};
use crate::run::WatchStart;
use crate::views::{MetricQuery, TaskView};

const NAMESPACE: &str = "ECS/ContainerInsights";
/// Tasks whose containers are asked for by id: a search takes 1,024 characters (Amazon CloudWatch User Guide,
/// "Search expression syntax").
const MAX_TASKS: usize = 15;

/// Looks at what the plan asks for: a name and what was seen, each.
pub(super) async fn look<P: ReadServices + ReadMetrics + Clock>(
    ports: &P,
    rollout: &Rollout,
    plan: &InsightsPlan,
    start: &WatchStart,
) -> Answer<Vec<(String, Sample)>> {
    let (cluster, mut seen) = (last(&rollout.cluster), Vec::new());
    if let Some(below) = plan.restarts {
        let tasks = ports.tasks(&rollout.at()).await?;
        let ours = tasks.iter().filter(|task| task.task_definition == rollout.task_definition);
        let query = MetricQuery {
            id: "restarts".to_owned(),
            source: MetricSource::Expression(restarts(rollout, ours)),
            is_wanted: true,
        };
        let series = ports.metrics(&rollout.place, &[query], start.at, ports.now()).await;
        let sample = series.map(|series| judge_restarts(below, &series, cluster));
        seen.push((format!("restarts inside running tasks are below {below}"), told(sample, cluster)?));
    }
    let cpu = plan.cpu.map(|percent| ("CPU", "TaskCpuUtilization", percent));
    let memory = plan.memory.map(|percent| ("memory", "TaskMemoryUtilization", percent));
    for (what, metric, percent) in cpu.into_iter().chain(memory) {
        let measure = hottest(rollout, metric, percent);
        let sample = look_at_metrics(ports, &rollout.place, &measure, start.at).await;
        seen.push((
            format!("the busiest task's {what} in percent is below {percent}"),
            told(sample, cluster)?,
        ));
    }
    Ok(seen)
}

/// What can never be told fails nothing, either; what passes is looked at again.
fn told(sample: Answer<Sample>, cluster: &str) -> Answer<Sample> {
    match sample {
        Ok(sample) => Ok(or_told(sample, cluster)),
        Err(Fault::Permanent(why)) => Ok(Sample::Good(messages::insights_refused(&why))),
        Err(fault) => Err(fault),
    }
}

/// Where restarts are counted is told for a service, or for a container of a task by the task's id.
fn restarts<'t>(rollout: &Rollout, tasks: impl Iterator<Item = &'t TaskView>) -> String {
    let tasks = tasks.take(MAX_TASKS).map(|task| format!(" OR TaskId={:?}", last(&task.arn)));
    let (cluster, service) = (last(&rollout.cluster), last(&rollout.service));
    format!(
        "SEARCH('Namespace=\"{NAMESPACE}\" MetricName=\"RestartCount\" ClusterName={cluster:?} \
         (ServiceName={service:?}{})', 'Maximum', 60)",
        tasks.collect::<String>()
    )
}

fn hottest(rollout: &Rollout, metric: &str, percent: u8) -> Measure {
    let dimensions = [("ClusterName", last(&rollout.cluster)), ("ServiceName", last(&rollout.service))];
    let source = Metric {
        namespace: NAMESPACE.to_owned(),
        name: metric.to_owned(),
        statistic: "Maximum".to_owned(),
        dimensions: dimensions.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
    };
    Measure {
        queries: [("task".to_owned(), MetricSource::Metric(source))].into(),
        expression: "task".to_owned(),
        baseline: None,
        bound: crate::plan::Bound::Below(percent.to_string()),
    }
}

/// The name in an ARN, which is the name where it is none.
fn last(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or_default()
}
