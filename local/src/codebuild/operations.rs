//! The operations about builds and reports, each a function from its input to its output.
//!
//! Shapes and errors are those of the `CodeBuild` API reference. They read and write the store and start
//! the runner; none of them waits for a build.

use std::sync::Arc;

use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    Worker, events,
    order::{Order, Project, StartBuild},
    protocol::{Fault, TARGET_PREFIX},
    record::{self, Build, Context, Environment, Logs, PhaseType, Status},
    runner,
    store::Admission,
};

/// The most ids a batch operation takes, and the length of a page.
const PAGE: usize = 100;

/// Starts a build and answers its record at once.
pub(super) async fn start_build(worker: &Arc<Worker>, input: Value) -> Result<Value, Fault> {
    let request: StartBuild = serde_json::from_value(input.clone())?;
    let token = request.idempotency_token.clone();
    if let Some(id) = worker.store.repeated(token.as_deref(), &input)? {
        return Ok(json!({"build": worker.store.get(&id)}));
    }
    let project = project(worker, &request.project_name).await?;
    let order = Order::new(project, request)?;
    // Two requests with one token may both have got here; the store lets one of them in.
    let submitted = match worker.store.admit(token, input, new_build(&order))? {
        Admission::New(build) => build,
        Admission::Known(id) => return Ok(json!({"build": worker.store.get(&id)})),
    };
    let event = events::state_change(&submitted, &order);
    let queued = worker.store.get(&submitted.id);
    tokio::spawn(runner::run(Arc::clone(worker), submitted.id, order, event));
    Ok(json!({"build": queued}))
}

/// The project, from the emulator, by name or ARN.
async fn project(worker: &Worker, name: &str) -> Result<Project, Fault> {
    let target = format!("{TARGET_PREFIX}BatchGetProjects");
    let answer = worker.config.emulator.json("codebuild", &target, json!({"names": [name]})).await?;
    match answer.pointer("/projects/0") {
        Some(project) => serde_json::from_value(project.clone())
            .map_err(|error| anyhow::anyhow!("read the project {name:?}: {error}").into()),
        None => Err(Fault::not_found(format!("Project cannot be found: {name}"))),
    }
}

fn new_build(order: &Order) -> Build {
    let uuid = Uuid::now_v7().to_string();
    let id = format!("{}:{uuid}", order.project);
    let stream = match &order.log_stream_prefix {
        Some(prefix) => format!("{prefix}/{uuid}"),
        None => uuid,
    };
    let group = &order.log_group;
    let mut build = Build {
        arn: order.arn(&format!("build/{id}")),
        build_number: 0,
        start_time: record::now(),
        end_time: None,
        current_phase: PhaseType::Submitted,
        build_status: Status::InProgress,
        source_version: order.source_version.clone(),
        resolved_source_version: None,
        project_name: order.project.clone(),
        phases: Vec::new(),
        source: order.source.clone(),
        secondary_sources: Vec::new(),
        secondary_source_versions: Vec::new(),
        artifacts: json!({"location": ""}),
        cache: order.cache.clone(),
        environment: Environment {
            r#type: order.environment_type.clone(),
            image: order.image.clone(),
            compute_type: order.compute_type.clone(),
            environment_variables: order.variables.clone(),
            privileged_mode: order.is_privileged,
            image_pull_credentials_type: "CODEBUILD".to_owned(),
        },
        service_role: order.service_role.clone(),
        logs: Logs {
            deep_link: format!(
                "https://console.aws.amazon.com/cloudwatch/home?region={}#logEvent:group={group};stream={stream}",
                order.region
            ),
            cloud_watch_logs_arn: format!(
                "arn:aws:logs:{}:{}:log-group:{group}:log-stream:{stream}",
                order.region, order.account
            ),
            cloud_watch_logs: json!({"status": "ENABLED"}),
            group_name: group.clone(),
            stream_name: stream,
        },
        timeout_in_minutes: order.timeout_minutes,
        queued_timeout_in_minutes: order.queued_timeout_minutes,
        build_complete: false,
        initiator: "pushway-local".to_owned(),
        encryption_key: order.encryption_key.clone(),
        exported_environment_variables: Vec::new(),
        report_arns: Vec::new(),
        id,
    };
    build.begin(PhaseType::Submitted);
    build.end(Status::Succeeded, Context::default());
    build
}

/// Asks a build to stop; it ends `STOPPED` soon after. An ended build is answered unchanged.
pub(super) fn stop_build(worker: &Worker, input: &Value) -> Result<Value, Fault> {
    let id = input.get("id").and_then(Value::as_str).ok_or_else(|| Fault::invalid("id is required"))?;
    match worker.store.stop(id) {
        Some(build) => Ok(json!({"build": build})),
        None => Err(Fault::not_found(format!("Build {id} cannot be found"))),
    }
}

/// The builds of `ids` (ids or ARNs) and the ids that name none.
pub(super) fn batch_get_builds(worker: &Worker, input: &Value) -> Result<Value, Fault> {
    let (found, missing) = batch(input, "ids", |id| worker.store.get(id))?;
    Ok(json!({"builds": found, "buildsNotFound": missing}))
}

/// The reports of `reportArns` and the ARNs that name none.
pub(super) fn batch_get_reports(worker: &Worker, input: &Value) -> Result<Value, Fault> {
    let (found, missing) =
        batch(input, "reportArns", |arn| worker.store.report(arn).map(|report| report.summary.clone()))?;
    Ok(json!({"reports": found, "reportsNotFound": missing}))
}

fn batch<T>(
    input: &Value,
    name: &str,
    find: impl Fn(&str) -> Option<T>,
) -> Result<(Vec<T>, Vec<String>), Fault> {
    let ids: Vec<String> = serde_json::from_value(input.get(name).cloned().unwrap_or_default())?;
    if ids.is_empty() || ids.len() > PAGE {
        return Err(Fault::invalid(format!("{name} must hold between 1 and {PAGE} items")));
    }
    let (mut found, mut missing) = (Vec::new(), Vec::new());
    for id in ids {
        match find(&id) {
            Some(thing) => found.push(thing),
            None => missing.push(id),
        }
    }
    Ok((found, missing))
}

/// Ids of a project's builds, newest first unless `sortOrder` is `ASCENDING`.
pub(super) async fn list_builds_for_project(worker: &Worker, input: &Value) -> Result<Value, Fault> {
    let name = input
        .get("projectName")
        .and_then(Value::as_str)
        .ok_or_else(|| Fault::invalid("projectName is required"))?;
    let project = project(worker, name).await?;
    list_builds(worker, Some(&project.name), input)
}

/// Ids of all builds or of one project's.
pub(super) fn list_builds(worker: &Worker, project: Option<&str>, input: &Value) -> Result<Value, Fault> {
    let mut ids = worker.store.ids(project);
    if input.get("sortOrder").and_then(Value::as_str) != Some("ASCENDING") {
        ids.reverse();
    }
    page("ids", ids, input, PAGE)
}

/// A report's test cases, by status and keyword where the filter says so.
pub(super) fn describe_test_cases(worker: &Worker, input: &Value) -> Result<Value, Fault> {
    let arn = input
        .get("reportArn")
        .and_then(Value::as_str)
        .ok_or_else(|| Fault::invalid("reportArn is required"))?;
    let report =
        worker.store.report(arn).ok_or_else(|| Fault::not_found(format!("Report {arn} cannot be found")))?;
    let filter = |name: &str| {
        input.pointer(&format!("/filter/{name}")).and_then(Value::as_str).filter(|text| !text.is_empty())
    };
    let (status, keyword) = (filter("status"), filter("keyword"));
    let cases: Vec<Value> = report
        .cases
        .iter()
        .filter(|case| status.is_none_or(|status| case.status.name() == status))
        .filter(|case| keyword.is_none_or(|word| case.name.contains(word) || case.prefix.contains(word)))
        .map(|case| case.shape(arn, report.expires))
        .collect();
    let most = input.get("maxResults").and_then(Value::as_u64).and_then(|n| usize::try_from(n).ok());
    page("testCases", cases, input, most.unwrap_or(PAGE).clamp(1, PAGE))
}

/// One page of `items`; the token is the offset of the next.
fn page<T: serde::Serialize>(name: &str, items: Vec<T>, input: &Value, size: usize) -> Result<Value, Fault> {
    let from = match input.get("nextToken").and_then(Value::as_str) {
        Some(token) => token.parse::<usize>().map_err(|_| Fault::invalid("Invalid nextToken"))?,
        None => 0,
    };
    let total = items.len();
    let items: Vec<T> = items.into_iter().skip(from).take(size).collect();
    let mut answer = json!({ name: items });
    if from.saturating_add(size) < total {
        answer["nextToken"] = json!((from + size).to_string());
    }
    Ok(answer)
}
