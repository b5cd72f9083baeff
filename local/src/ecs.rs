//! The ECS watcher: tells of deployments and tasks as ECS does, by looking at the emulator twice a second.
//!
//! A snapshot is what the services and tasks were at one moment; `changes` is a pure function over two of
//! them, and `Change::event` gives the event that AWS documents ("Amazon ECS service deployment state
//! change events", "Amazon ECS task state change events"). A rollout or rollback that fits between two looks
//! is told whole; of a task, only what it is at a look. It must not judge a deployment: the emulator's
//! rollout state is the truth.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::{Emulator, log};

/// The pause between two looks.
const PAUSE: Duration = Duration::from_millis(500);
/// `DescribeServices` takes at most ten services, `DescribeTasks` at most a hundred tasks.
const SERVICES_AT_ONCE: usize = 10;
const TASKS_AT_ONCE: usize = 100;

/// All services and tasks of all clusters at one moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Snapshot {
    /// By service ARN and deployment id: the deployment as `DescribeServices` gives it.
    deployments: BTreeMap<(String, String), Value>,
    /// By task ARN: the task as `DescribeTasks` gives it.
    tasks: BTreeMap<String, Value>,
}

/// Something that ECS would have told.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// A deployment entered `rollout` (`IN_PROGRESS`, `COMPLETED` or `FAILED`).
    Deployment {
        /// The service's ARN.
        service: String,
        /// The deployment's id, `ecs-svc/…`.
        deployment: String,
        /// What it entered.
        rollout: Rollout,
        /// When the emulator last touched it.
        updated_at: Option<Timestamp>,
    },
    /// A task changed; the whole task as it is now.
    Task(Value),
}

/// A deployment's rollout state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rollout {
    /// Tasks are being replaced.
    InProgress,
    /// The service is steady on it.
    Completed,
    /// The circuit breaker tripped.
    Failed,
}

impl Rollout {
    fn of(deployment: &Value) -> Option<Self> {
        match deployment["rolloutState"].as_str()? {
            "IN_PROGRESS" => Some(Self::InProgress),
            "COMPLETED" => Some(Self::Completed),
            "FAILED" => Some(Self::Failed),
            _ => None,
        }
    }
}

impl Snapshot {
    /// Collects services and tasks, each as ECS describes it.
    pub fn new(services: &[Value], tasks: Vec<Value>) -> Self {
        let mut snapshot = Self::default();
        for service in services {
            for deployment in service["deployments"].as_array().into_iter().flatten() {
                let key = (text(&service["serviceArn"]), text(&deployment["id"]));
                snapshot.deployments.insert(key, deployment.clone());
            }
        }
        snapshot.tasks = tasks.into_iter().map(|task| (text(&task["taskArn"]), task)).collect();
        snapshot
    }

    /// Looks at the emulator. Fails as a whole, so that a half-seen world is never compared.
    pub async fn take(emulator: &Emulator) -> anyhow::Result<Self> {
        let (mut services, mut tasks) = (Vec::new(), Vec::new());
        for cluster in list(emulator, "ListClusters", json!({}), "clusterArns").await? {
            let within = json!({ "cluster": cluster });
            let arns = list(emulator, "ListServices", within.clone(), "serviceArns").await?;
            for some in arns.chunks(SERVICES_AT_ONCE) {
                let body = json!({ "cluster": cluster, "services": some });
                services.extend(list(emulator, "DescribeServices", body, "services").await?);
            }
            let mut arns = list(emulator, "ListTasks", within, "taskArns").await?;
            let stopped = json!({ "cluster": cluster, "desiredStatus": "STOPPED" });
            arns.extend(list(emulator, "ListTasks", stopped, "taskArns").await?);
            for some in arns.chunks(TASKS_AT_ONCE) {
                let body = json!({ "cluster": cluster, "tasks": some });
                tasks.extend(list(emulator, "DescribeTasks", body, "tasks").await?);
            }
        }
        Ok(Self::new(&services, tasks))
    }
}

/// What ECS would have told between `before` and `after`: tasks first, for they are the cause.
pub fn changes(before: &Snapshot, after: &Snapshot) -> Vec<Change> {
    let mut changes = Vec::new();
    for (arn, task) in &after.tasks {
        // A task's version grows with each change that ECS tells; the states guard against a missing one.
        let face =
            |task: &Value| [&task["version"], &task["lastStatus"], &task["desiredStatus"]].map(Value::clone);
        if before.tasks.get(arn).map(face) != Some(face(task)) {
            changes.push(Change::Task(task.clone()));
        }
    }
    for ((service, id), deployment) in &after.deployments {
        let was = before.deployments.get(&(service.clone(), id.clone()));
        changes.extend(entered(was, deployment).iter().map(|rollout| Change::Deployment {
            service: service.clone(),
            deployment: id.clone(),
            rollout: *rollout,
            updated_at: moment(&deployment["updatedAt"]),
        }));
    }
    changes
}

/// The rollout states that a deployment entered since it `was`, in order.
fn entered(was: Option<&Value>, now: &Value) -> &'static [Rollout] {
    let primary_again = was.is_some_and(|was| was["status"] == "ACTIVE") && now["status"] == "PRIMARY";
    match (was.and_then(Rollout::of), Rollout::of(now)) {
        // A rollback begins and ends the old deployment anew; that takes less than a look at times.
        (Some(Rollout::Completed), Some(Rollout::Completed)) if primary_again => {
            &[Rollout::InProgress, Rollout::Completed]
        }
        (was, now) if was == now => &[],
        (None, Some(Rollout::Completed)) => &[Rollout::InProgress, Rollout::Completed],
        (None, Some(Rollout::Failed)) => &[Rollout::InProgress, Rollout::Failed],
        (_, Some(Rollout::InProgress)) => &[Rollout::InProgress],
        (_, Some(Rollout::Completed)) => &[Rollout::Completed],
        (_, Some(Rollout::Failed)) => &[Rollout::Failed],
        (_, None) => &[],
    }
}

impl Change {
    /// The event, with its id and the moment it is told.
    pub fn event(&self, id: &str, now: Timestamp) -> Value {
        let (detail_type, about, detail) = match self {
            Self::Deployment { service, deployment, rollout, updated_at } => {
                let detail = deployment_detail(deployment, *rollout, updated_at.unwrap_or(now));
                ("ECS Deployment State Change", service.clone(), detail)
            }
            Self::Task(task) => {
                let mut detail = task.clone();
                spell_moments(&mut detail);
                detail["updatedAt"] = json!(milliseconds(now));
                ("ECS Task State Change", text(&task["taskArn"]), detail)
            }
        };
        // arn:aws:ecs:<region>:<account>:…
        let mut arn = about.split(':').skip(3);
        let (region, account) = (arn.next().unwrap_or_default(), arn.next().unwrap_or_default());
        json!({
            "version": "0", "id": id, "detail-type": detail_type, "source": "aws.ecs", "account": account,
            "time": seconds(now), "region": region, "resources": [about], "detail": detail,
        })
    }
}

fn deployment_detail(id: &str, rollout: Rollout, updated_at: Timestamp) -> Value {
    let (kind, name, reason) = match rollout {
        Rollout::InProgress => {
            ("INFO", "SERVICE_DEPLOYMENT_IN_PROGRESS", format!("ECS deployment {id} in progress."))
        }
        Rollout::Completed => {
            ("INFO", "SERVICE_DEPLOYMENT_COMPLETED", format!("ECS deployment {id} completed."))
        }
        Rollout::Failed => (
            "ERROR",
            "SERVICE_DEPLOYMENT_FAILED",
            "ECS deployment circuit breaker: tasks failed to start.".to_owned(),
        ),
    };
    json!({
        "eventType": kind, "eventName": name, "deploymentId": id,
        "updatedAt": seconds(updated_at), "reason": reason,
    })
}

/// Watches until the receiver of `events` is gone. A look that fails is taken again; nothing is missed by
/// it, for the next one is compared with the last that succeeded.
pub async fn watch(emulator: Emulator, events: mpsc::Sender<Value>) {
    let mut before = Snapshot::default();
    let mut failing = false;
    loop {
        match Snapshot::take(&emulator).await {
            Ok(after) => {
                for change in changes(&before, &after) {
                    let event = change.event(&uuid::Uuid::now_v7().to_string(), Timestamp::now());
                    if events.send(event).await.is_err() {
                        return;
                    }
                }
                (before, failing) = (after, false);
            }
            // A cluster or service may go away between listing and describing it: said once, not each time.
            Err(error) if !failing => {
                failing = true;
                log::fact("ecs not readable", json!({ "error": format!("{error:#}") }));
            }
            Err(_) => {}
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// All pages of an ECS listing, or the one page of a description.
async fn list(emulator: &Emulator, operation: &str, body: Value, key: &str) -> anyhow::Result<Vec<Value>> {
    let target = format!("AmazonEC2ContainerServiceV20141113.{operation}");
    let (mut all, mut body) = (Vec::new(), body);
    loop {
        let mut page = emulator.json("ecs", &target, body.clone()).await?;
        if let Value::Array(items) = page[key].take() {
            all.extend(items);
        }
        match page["nextToken"].take() {
            token @ Value::String(_) => body["nextToken"] = token,
            _ => return Ok(all),
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// The API gives seconds since 1970 as a number, an event spells the moment out.
fn moment(value: &Value) -> Option<Timestamp> {
    if let Some(spelled) = value.as_str() {
        return spelled.parse().ok();
    }
    let since_1970 = value.as_f64()?;
    let exact = Timestamp::from_duration(jiff::SignedDuration::try_from_secs_f64(since_1970).ok()?).ok()?;
    // A fraction like .123 is not exact in binary.
    exact.round(jiff::Unit::Millisecond).ok()
}

fn spell_moments(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                match moment(member) {
                    Some(at) if name.ends_with("At") && member.is_number() => {
                        *member = json!(milliseconds(at));
                    }
                    _ => spell_moments(member),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(spell_moments),
        _ => {}
    }
}

fn seconds(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn milliseconds(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}

#[cfg(test)]
#[path = "ecs_tests.rs"]
mod tests;
