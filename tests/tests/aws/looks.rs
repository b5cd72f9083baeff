//! What checks, watches and approvals read of AWS, request by request: `CloudWatch`, Elastic Load Balancing and
//! ECS, each in its own protocol, with answers as their API references document them.

mod server;

use jiff::Timestamp;
use pushway_core::definition::changes;
use pushway_core::plan::{Metric, MetricSource, Place};
use pushway_core::ports::{
    Fault, ReadAlarms as _, ReadDefinitions as _, ReadMetrics as _, ReadTargetHealth as _,
};
use pushway_core::views::{AlarmState, MetricQuery, ServiceRef, TargetHealth};
use serde_json::{Value, json};
use server::Fake;

fn second(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("a time")
}

fn alarms_asked() -> Value {
    json!({
        "AlarmNames": ["web-5xx", "web-all"], "AlarmTypes": ["CompositeAlarm", "MetricAlarm"], "MaxRecords": 100,
    })
}

async fn alarms(fake: &Fake) -> Result<Vec<(String, AlarmState)>, Fault> {
    let seen = fake.aws.alarms(&Place::default(), &["web-5xx".to_owned(), "web-all".to_owned()]).await?;
    Ok(seen.into_iter().map(|alarm| (alarm.name, alarm.state)).collect())
}

#[tokio::test]
async fn alarms_of_metrics_and_composite_ones_are_asked_for_by_name() {
    let answer = json!({
        "MetricAlarms": [{ "AlarmName": "web-5xx", "StateValue": "ALARM", "StateReason": "Threshold Crossed" }],
        "CompositeAlarms": [{ "AlarmName": "web-all", "StateValue": "INSUFFICIENT_DATA" }],
    });
    let fake = Fake::start(vec![("DescribeAlarms", alarms_asked(), Ok(answer))]).await;
    let seen = alarms(&fake).await.expect("they are told");
    let wanted =
        [("web-5xx".to_owned(), AlarmState::Alarm), ("web-all".to_owned(), AlarmState::InsufficientData)];
    assert_eq!(seen, wanted);
    fake.done();
}

fn search() -> MetricQuery {
    let source = MetricSource::Expression("SEARCH('MetricName=\"RestartCount\"', 'Maximum', 60)".into());
    MetricQuery { id: "restarts".into(), source, is_wanted: true }
}

fn cpu() -> MetricQuery {
    let dimensions = [("ClusterName", "demo"), ("ServiceName", "web")];
    let metric = Metric {
        namespace: "ECS/ContainerInsights".into(),
        name: "TaskCpuUtilization".into(),
        statistic: "Maximum".into(),
        dimensions: dimensions.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
    };
    MetricQuery { id: "cpu".into(), source: MetricSource::Metric(metric), is_wanted: true }
}

fn metrics_asked(next: Option<&str>) -> Value {
    let dimensions =
        json!([{ "Name": "ClusterName", "Value": "demo" }, { "Name": "ServiceName", "Value": "web" }]);
    let metric = json!({
        "Namespace": "ECS/ContainerInsights", "MetricName": "TaskCpuUtilization", "Dimensions": dimensions,
    });
    let mut asked = json!({
        "MetricDataQueries": [
            { "Id": "cpu", "MetricStat": { "Metric": metric, "Period": 60, "Stat": "Maximum" }, "ReturnData": true },
            {
                "Id": "restarts", "Expression": "SEARCH('MetricName=\"RestartCount\"', 'Maximum', 60)",
                "ReturnData": true, "Period": 60,
            },
        ],
        "StartTime": { "at": 60 }, "EndTime": { "at": 300 }, "ScanBy": "TimestampDescending",
    });
    if let Some(next) = next {
        asked["NextToken"] = next.into();
    }
    asked
}

fn series(id: &str, label: &str, points: &[(i64, f64)]) -> Value {
    let times: Vec<Value> = points.iter().map(|(at, _)| json!({ "at": at })).collect();
    let values: Vec<f64> = points.iter().map(|(_, value)| *value).collect();
    json!({ "Id": id, "Label": label, "Timestamps": times, "Values": values, "StatusCode": "Complete" })
}

#[tokio::test]
async fn values_are_read_over_all_pages_and_a_searchs_series_stay_apart() {
    let first = json!({
        "MetricDataResults": [
            series("cpu", "cpu", &[(240, 50.5), (180, 40.5)]), series("restarts", "web a", &[(240, 1.5)]),
        ],
        "NextToken": "more",
    });
    let second_page = json!({
        "MetricDataResults": [
            series("restarts", "web a", &[(180, 0.5)]), series("restarts", "web b", &[(180, 7.5)]),
        ],
    });
    let fake = Fake::start(vec![
        ("GetMetricData", metrics_asked(None), Ok(first)),
        ("GetMetricData", metrics_asked(Some("more")), Ok(second_page)),
    ])
    .await;
    let seen = fake.aws.metrics(&Place::default(), &[cpu(), search()], second(60), second(300)).await;
    let seen: Vec<_> =
        seen.expect("they are told").into_iter().map(|series| (series.id, series.points)).collect();
    let wanted = [
        ("cpu".to_owned(), vec![(second(240), 50.5), (second(180), 40.5)]),
        ("restarts".to_owned(), vec![(second(240), 1.5), (second(180), 0.5)]),
        ("restarts".to_owned(), vec![(second(180), 7.5)]),
    ];
    assert_eq!(seen, wanted);
    fake.done();
}

#[tokio::test]
async fn throttling_may_pass_and_a_refusal_does_not() {
    // The SDK asks three times in all.
    for (status, code, tries, passes) in [
        (400, "ThrottlingException", 3, true),
        (500, "InternalServiceFault", 3, true),
        (403, "AccessDeniedException", 1, false),
        (400, "InvalidNextToken", 1, false),
    ] {
        let alarms_script = || (0..tries).map(|_| ("DescribeAlarms", alarms_asked(), Err((status, code))));
        let fake = Fake::start(alarms_script().collect()).await;
        told(&alarms(&fake).await.expect_err("it is refused"), "cloudwatch DescribeAlarms", code, passes);
        fake.done();
        let fake =
            Fake::start(vec![("GetMetricData", metrics_asked(None), Err((status, code))); tries]).await;
        let seen = fake.aws.metrics(&Place::default(), &[cpu(), search()], second(60), second(300)).await;
        told(&seen.expect_err("it is refused"), "cloudwatch GetMetricData", code, passes);
        fake.done();
    }
    for (status, code, tries, passes) in
        [(400, "Throttling", 3, true), (503, "ServiceUnavailable", 3, true), (403, "AccessDenied", 1, false)]
    {
        let mut script = vec![describe_service("web:7")];
        script.extend((0..tries).map(|_| ("DescribeTargetGroups", group_asked(), Err((status, code)))));
        let fake = Fake::start(script).await;
        let fault = fake.aws.targets(&at()).await.expect_err("it is refused");
        told(&fault, "elasticloadbalancing DescribeTargetGroups", code, passes);
        fake.done();
    }
}

/// The fault is of the right kind, and names the call and the service's code.
fn told(fault: &Fault, call: &str, code: &str, passes: bool) {
    assert_eq!(matches!(fault, Fault::Retryable(_)), passes, "{fault}");
    assert!(fault.to_string().starts_with(&format!("{call}: {code}")), "{fault}");
}

const GROUP: &str = "arn:aws:elasticloadbalancing:eu-central-1:1:targetgroup/web/1";
const BALANCER: &str = "arn:aws:elasticloadbalancing:eu-central-1:1:loadbalancer/app/web/2";

fn at() -> ServiceRef {
    ServiceRef { place: Place::default(), cluster: "demo".into(), service: "web".into() }
}

fn describe_service(revision: &str) -> (&'static str, Value, Result<Value, (u16, &'static str)>) {
    let service = json!({
        "serviceName": "web", "status": "ACTIVE", "taskDefinition": "web:1",
        "loadBalancers": [{ "targetGroupArn": GROUP, "containerName": "web", "containerPort": 80 }],
        "deployments": [
            { "id": "ecs-svc/2", "status": "PRIMARY", "taskDefinition": revision },
            { "id": "ecs-svc/1", "status": "ACTIVE", "taskDefinition": "web:6" },
        ],
    });
    let asked = json!({ "cluster": "demo", "services": ["web"] });
    ("DescribeServices", asked, Ok(json!({ "services": [service], "failures": [] })))
}

fn group_asked() -> Value {
    json!({ "TargetGroupArns.member.1": GROUP })
}

#[tokio::test]
async fn targets_are_those_of_the_services_own_groups() {
    let group = format!(
        "<DescribeTargetGroupsResponse><DescribeTargetGroupsResult><TargetGroups><member>\
         <TargetGroupArn>{GROUP}</TargetGroupArn><LoadBalancerArns><member>{BALANCER}</member></LoadBalancerArns>\
         </member></TargetGroups></DescribeTargetGroupsResult></DescribeTargetGroupsResponse>"
    );
    let target = |id: &str, state: &str, why: &str| {
        format!(
            "<member><Target><Id>{id}</Id><Port>80</Port></Target><TargetHealth><State>{state}</State>\
             <Description>{why}</Description></TargetHealth></member>"
        )
    };
    let health = format!(
        "<DescribeTargetHealthResponse><DescribeTargetHealthResult><TargetHealthDescriptions>{}{}{}\
         </TargetHealthDescriptions></DescribeTargetHealthResult></DescribeTargetHealthResponse>",
        target("10.0.0.1", "healthy", ""),
        target("10.0.0.2", "unhealthy", "Health checks failed with these codes: [502]"),
        target("10.0.0.3", "draining", "Target deregistration is in progress"),
    );
    let fake = Fake::start(vec![
        describe_service("web:7"),
        ("DescribeTargetGroups", group_asked(), Ok(group.into())),
        ("DescribeTargetHealth", json!({ "TargetGroupArn": GROUP }), Ok(health.into())),
    ])
    .await;
    let groups = fake.aws.targets(&at()).await.expect("they are told");
    let [seen] = &groups[..] else { panic!("{groups:?}") };
    assert_eq!((seen.arn.as_str(), seen.balancer.as_deref()), (GROUP, Some(BALANCER)));
    let targets: Vec<_> = seen.targets.iter().map(|target| (target.id.as_str(), target.health)).collect();
    let wanted = [
        ("10.0.0.1", TargetHealth::Healthy),
        ("10.0.0.2", TargetHealth::Unhealthy),
        ("10.0.0.3", TargetHealth::Other),
    ];
    assert_eq!(targets, wanted);
    assert!(seen.targets[1].reason.contains("502"));
    fake.done();
}

#[tokio::test]
async fn an_approval_compares_with_the_revision_that_the_service_moves_to() {
    let definition = |cpu: &str, colour: &str| {
        json!({
            "family": "web", "cpu": cpu,
            "containerDefinitions": [{
                "name": "web", "image": "web:1", "environment": [{ "name": "COLOUR", "value": colour }],
            }],
        })
    };
    let described = json!({ "taskDefinition": definition("256", "hunter2") });
    let asked = json!({ "taskDefinition": "web:7", "include": ["TAGS"] });
    let fake =
        Fake::start(vec![describe_service("web:7"), ("DescribeTaskDefinition", asked, Ok(described))]).await;
    let serving = fake.aws.serving_definition(&at()).await.expect("it is told").expect("it is there");
    let pinned = json!({ "taskDefinition": definition("1 vCPU", "hunter3") });
    let coming = fake.aws.file_definition(&pinned).await.expect("it is one");
    assert_eq!(changes(&serving, &coming), ["cpu: 256 → 1024", "web: variable COLOUR changed"]);
    assert!(!format!("{serving:?}{coming:?}").contains("hunter"));
    fake.done();

    let services = json!({ "cluster": "demo", "services": ["web"] });
    let gone = json!({ "services": [], "failures": [{ "reason": "MISSING" }] });
    let fake = Fake::start(vec![("DescribeServices", services.clone(), Ok(gone))]).await;
    assert_eq!(fake.aws.serving_definition(&at()).await, Ok(None));
    fake.done();
    let fake = Fake::start(vec![("DescribeServices", services, Err((400, "AccessDeniedException")))]).await;
    let fault = fake.aws.serving_definition(&at()).await.expect_err("it is refused");
    told(&fault, "ecs DescribeServices", "AccessDeniedException", false);
}
