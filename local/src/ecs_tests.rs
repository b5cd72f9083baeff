//! Two snapshots in, events out.

use super::*;

const SERVICE: &str = "arn:aws:ecs:us-east-1:000000000000:service/demo/web";
const TASK: &str = "arn:aws:ecs:us-east-1:000000000000:task/demo/0123";

fn world(deployments: &[(&str, &str)], tasks: &[(u64, &str, &str)]) -> Snapshot {
    let deployments: Vec<Value> = deployments
        .iter()
        .map(|(id, state)| json!({ "id": id, "rolloutState": state, "updatedAt": 1_700_000_000.5 }))
        .collect();
    let tasks = tasks
        .iter()
        .map(|(version, last, desired)| {
            json!({ "taskArn": TASK, "version": version, "lastStatus": last, "desiredStatus": desired,
                    "createdAt": 1_700_000_000.123, "containers": [{ "name": "web" }] })
        })
        .collect();
    Snapshot::new(&[json!({ "serviceArn": SERVICE, "deployments": deployments })], tasks)
}

/// The events of a story told in snapshots, each as `name id` or `task status`.
fn told(story: &[Snapshot]) -> Vec<String> {
    let mut before = Snapshot::default();
    let mut told = Vec::new();
    for after in story {
        for change in changes(&before, after) {
            let event = change.event("id", Timestamp::UNIX_EPOCH);
            let detail = &event["detail"];
            told.push(match change {
                Change::Deployment { .. } => {
                    format!("{} {}", text(&detail["eventName"]), text(&detail["deploymentId"]))
                }
                Change::Task(_) => format!("task {}", text(&detail["lastStatus"])),
            });
        }
        before = after.clone();
    }
    told
}

#[test]
fn a_rollout_that_the_breaker_stops_is_told_from_beginning_to_rollback() {
    let story = [
        world(&[("old", "COMPLETED")], &[]),
        world(&[("new", "IN_PROGRESS"), ("old", "COMPLETED")], &[(1, "PENDING", "RUNNING")]),
        world(&[("new", "IN_PROGRESS"), ("old", "COMPLETED")], &[(4, "STOPPED", "STOPPED")]),
        world(&[("new", "FAILED"), ("old", "IN_PROGRESS")], &[(4, "STOPPED", "STOPPED")]),
        world(&[("new", "FAILED"), ("old", "COMPLETED")], &[]),
        world(&[("new", "FAILED"), ("old", "COMPLETED")], &[]),
    ];
    assert_eq!(
        told(&story),
        [
            "SERVICE_DEPLOYMENT_IN_PROGRESS old",
            "SERVICE_DEPLOYMENT_COMPLETED old",
            "task PENDING",
            "SERVICE_DEPLOYMENT_IN_PROGRESS new",
            "task STOPPED",
            "SERVICE_DEPLOYMENT_FAILED new",
            "SERVICE_DEPLOYMENT_IN_PROGRESS old",
            "SERVICE_DEPLOYMENT_COMPLETED old",
        ]
    );
}

#[test]
fn a_rollout_between_two_looks_is_told_whole() {
    let story = [world(&[], &[]), world(&[("quick", "FAILED")], &[])];
    assert_eq!(told(&story), ["SERVICE_DEPLOYMENT_IN_PROGRESS quick", "SERVICE_DEPLOYMENT_FAILED quick"]);
}

#[test]
fn a_rollback_between_two_looks_is_told_whole() {
    let with_status = |deployments: &[(&str, &str, &str)]| {
        let deployments = deployments
            .iter()
            .map(|(id, status, state)| json!({ "id": id, "status": status, "rolloutState": state }));
        let deployments: Vec<Value> = deployments.collect();
        Snapshot::new(&[json!({ "serviceArn": SERVICE, "deployments": deployments })], Vec::new())
    };
    let before = with_status(&[("new", "PRIMARY", "IN_PROGRESS"), ("old", "ACTIVE", "COMPLETED")]);
    let after = with_status(&[("new", "ACTIVE", "FAILED"), ("old", "PRIMARY", "COMPLETED")]);
    assert_eq!(
        told(&[before, after])[3..],
        [
            "SERVICE_DEPLOYMENT_FAILED new",
            "SERVICE_DEPLOYMENT_IN_PROGRESS old",
            "SERVICE_DEPLOYMENT_COMPLETED old",
        ]
    );
}

#[test]
fn a_deployment_event_is_shaped_as_aws_documents_it() {
    let after = world(&[("ecs-svc/1", "FAILED")], &[]);
    let before = world(&[("ecs-svc/1", "IN_PROGRESS")], &[]);
    let [change] = &changes(&before, &after)[..] else { panic!("one change") };
    assert_eq!(
        change.event("id", "2026-01-02T03:04:05.678Z".parse().unwrap()),
        json!({
            "version": "0", "id": "id", "detail-type": "ECS Deployment State Change", "source": "aws.ecs",
            "account": "000000000000", "time": "2026-01-02T03:04:05Z", "region": "us-east-1",
            "resources": [SERVICE],
            "detail": {
                "eventType": "ERROR", "eventName": "SERVICE_DEPLOYMENT_FAILED", "deploymentId": "ecs-svc/1",
                "updatedAt": "2023-11-14T22:13:20Z",
                "reason": "ECS deployment circuit breaker: tasks failed to start.",
            },
        })
    );
}

#[test]
fn a_task_event_carries_the_task_with_its_moments_spelled_out() {
    let [change] = &changes(&Snapshot::default(), &world(&[], &[(2, "RUNNING", "RUNNING")]))[..] else {
        panic!("one change")
    };
    let event = change.event("id", "2026-01-02T03:04:05.678Z".parse().unwrap());
    assert_eq!(event["detail-type"], "ECS Task State Change");
    assert_eq!(event["resources"], json!([TASK]));
    assert_eq!(event["detail"]["createdAt"], "2023-11-14T22:13:20.123Z");
    assert_eq!(event["detail"]["updatedAt"], "2026-01-02T03:04:05.678Z");
    assert_eq!(event["detail"]["version"], 2);
}
