//! ECS deployments: what a service is told to do with a strategy, and ECS' own records of what came of it.
//!
//! A record is found by the revision that it brings, which is ours alone: the ids of a service's deployments
//! and those of service deployments are not documented to be the same.

use aws_sdk_ecs::Client;
use aws_sdk_ecs::types::{
    CanaryConfiguration, DeploymentAlarms, DeploymentConfiguration, DeploymentLifecycleHookDetail,
    DeploymentLifecycleHookStatus as HookStatus, DeploymentStrategy, LinearConfiguration, Service,
    ServiceDeployment, ServiceDeploymentBrief, ServiceDeploymentRollbackMonitorsStatus as Monitor,
    ServiceDeploymentStatus, StopServiceDeploymentStopType,
};
use pushway_core::plan::Strategy;
use pushway_core::ports::Answer;
use pushway_core::service_deployment::{self, ServiceDeploymentView};
use pushway_core::strategy::{DeploymentSettings, Movement};
use pushway_core::views::ServiceRef;

use crate::errors::{code, fault};
use crate::time::timestamp;

/// How many of a service's latest deployments are looked through; `DescribeServiceRevisions` takes no more.
const LATEST: i32 = 20;

/// The record of the newest deployment of a revision. Where records can't be had (an emulator, a role of
/// before they were asked for), the service's own view has to do.
pub(crate) async fn newest_deployment(
    ecs: &Client,
    at: &ServiceRef,
    task_definition: &str,
) -> Answer<Option<ServiceDeploymentView>> {
    let call = "ecs ListServiceDeployments";
    let answer = ecs.list_service_deployments().cluster(&at.cluster).service(&at.service).max_results(LATEST);
    let briefs = match answer.send().await {
        Ok(answer) => answer.service_deployments.unwrap_or_default(),
        Err(error) => match code(&error) {
            Some(code @ ("AccessDeniedException" | "UnsupportedFeatureException")) => {
                tracing::warn!(service = at.service, code, "records of deployments can't be read");
                return Ok(None);
            }
            Some("ClusterNotFoundException" | "ServiceNotFoundException") => return Ok(None),
            _ => return Err(fault(call, &error)),
        },
    };
    let Some(arn) = newest_of(ecs, &briefs, task_definition).await? else { return Ok(None) };
    let answer = ecs.describe_service_deployments().service_deployment_arns(arn).send().await;
    let answer = answer.map_err(|error| fault("ecs DescribeServiceDeployments", &error))?;
    Ok(answer.service_deployments.unwrap_or_default().first().map(view))
}

/// The ARN of the newest of these deployments that brings the revision.
async fn newest_of(
    ecs: &Client,
    briefs: &[ServiceDeploymentBrief],
    task_definition: &str,
) -> Answer<Option<String>> {
    let mut revisions: Vec<String> =
        briefs.iter().filter_map(|brief| brief.target_service_revision_arn.clone()).collect();
    revisions.sort();
    revisions.dedup();
    if revisions.is_empty() {
        return Ok(None);
    }
    let answer = ecs.describe_service_revisions().set_service_revision_arns(Some(revisions)).send().await;
    let answer = answer.map_err(|error| fault("ecs DescribeServiceRevisions", &error))?;
    let ours: Vec<String> = answer
        .service_revisions
        .unwrap_or_default()
        .into_iter()
        .filter(|revision| revision.task_definition.as_deref() == Some(task_definition))
        .filter_map(|revision| revision.service_revision_arn)
        .collect();
    let is_ours = |brief: &&ServiceDeploymentBrief| {
        brief.target_service_revision_arn.as_ref().is_some_and(|revision| ours.contains(revision))
    };
    let newest = briefs.iter().filter(is_ours).max_by_key(|brief| brief.created_at.map(|at| at.as_nanos()));
    Ok(newest.and_then(|brief| brief.service_deployment_arn.clone()))
}

/// Tells a service deployment to go back. Gives whether it does.
pub(crate) async fn stop_service_deployment(ecs: &Client, arn: &str) -> Answer<bool> {
    let stop = ecs.stop_service_deployment().service_deployment_arn(arn);
    match stop.stop_type(StopServiceDeploymentStopType::Rollback).send().await {
        Ok(_) => Ok(true),
        Err(error) => match code(&error) {
            // It is over (`ConflictException`), or was never there.
            Some("ConflictException" | "ServiceDeploymentNotFoundException") => Ok(false),
            _ => Err(fault("ecs StopServiceDeployment", &error)),
        },
    }
}

fn view(record: &ServiceDeployment) -> ServiceDeploymentView {
    use service_deployment::ServiceDeploymentStatus as Status;
    let status = match &record.status {
        Some(ServiceDeploymentStatus::Pending) => Status::Pending,
        Some(ServiceDeploymentStatus::Successful) => Status::Successful,
        Some(ServiceDeploymentStatus::StopRequested) => Status::StopRequested,
        Some(ServiceDeploymentStatus::Stopped) => Status::Stopped,
        Some(ServiceDeploymentStatus::RollbackRequested) => Status::RollbackRequested,
        Some(ServiceDeploymentStatus::RollbackInProgress) => Status::RollbackInProgress,
        Some(ServiceDeploymentStatus::RollbackSuccessful) => Status::RollbackSuccessful,
        Some(ServiceDeploymentStatus::RollbackFailed) => Status::RollbackFailed,
        // One that is not known yet is not known to be over: the deadline still counts.
        _ => Status::InProgress,
    };
    let strategy = record.deployment_configuration.as_ref().and_then(|set| set.strategy.as_ref());
    let alarms = record.alarms.as_ref().filter(|alarms| alarms.status == Some(Monitor::Triggered));
    let breaker = record.deployment_circuit_breaker.as_ref();
    let hooks = record.lifecycle_hook_details();
    let has_failed = |hook: &DeploymentLifecycleHookDetail| {
        matches!(hook.status, Some(HookStatus::Failed | HookStatus::TimedOut))
    };
    let of_rollback = record.rollback.as_ref().and_then(|rollback| rollback.reason.clone());
    ServiceDeploymentView {
        arn: record.service_deployment_arn.clone().unwrap_or_default(),
        status,
        reason: of_rollback.or_else(|| record.status_reason.clone()).unwrap_or_default(),
        is_rolling: strategy.is_none_or(|strategy| *strategy == DeploymentStrategy::Rolling),
        breaker_tripped: breaker.is_some_and(|breaker| breaker.status == Some(Monitor::Triggered)),
        alarms: alarms.map(|alarms| alarms.triggered_alarm_names().to_vec()).unwrap_or_default(),
        hook_failed: hooks.iter().any(has_failed),
        finished_at: record.finished_at.or(record.stopped_at).as_ref().and_then(timestamp),
    }
}

/// What a service is set to and has, as far as strategies need it.
pub(crate) fn settings(service: &Service) -> DeploymentSettings {
    let can_shift = |balancer: &&aws_sdk_ecs::types::LoadBalancer| {
        let advanced = balancer.advanced_configuration.as_ref();
        advanced.is_some_and(|advanced| advanced.alternate_target_group_arn.is_some())
    };
    let balancers = service.load_balancers();
    let shifting = balancers.iter().filter(can_shift).count();
    let connects = |deployment: &aws_sdk_ecs::types::Deployment| {
        let connect = deployment.service_connect_configuration.as_ref();
        connect.is_some_and(|connect| connect.enabled) || !deployment.vpc_lattice_configurations().is_empty()
    };
    let meshed = service.deployments().iter().any(connects);
    let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    DeploymentSettings {
        controller: service
            .deployment_controller
            .as_ref()
            .map(|controller| controller.r#type.as_str().to_owned())
            .unwrap_or_default(),
        fixed_balancers: number(balancers.len() - shifting),
        shifting: number(shifting) + u32::from(meshed),
    }
}

/// The service's deployment configuration with what the plan asks for put in: what it leaves open stays.
pub(crate) fn configuration(service: &Service, movement: &Movement) -> DeploymentConfiguration {
    let mut wanted = service
        .deployment_configuration
        .clone()
        .unwrap_or_else(|| DeploymentConfiguration::builder().build());
    let minutes = |minutes: u16| Some(i32::from(minutes));
    let strategy = match movement.strategy {
        Strategy::AsConfigured => wanted.strategy.clone(),
        Strategy::Rolling => Some(DeploymentStrategy::Rolling),
        Strategy::BlueGreen { .. } => Some(DeploymentStrategy::BlueGreen),
        Strategy::Canary { .. } => Some(DeploymentStrategy::Canary),
        Strategy::Linear { .. } => Some(DeploymentStrategy::Linear),
    };
    wanted.strategy = strategy;
    if movement.strategy != Strategy::AsConfigured {
        (wanted.bake_time_in_minutes, wanted.canary_configuration, wanted.linear_configuration) =
            match movement.strategy {
                Strategy::AsConfigured | Strategy::Rolling => (None, None, None),
                Strategy::BlueGreen { bake_minutes } => (minutes(bake_minutes), None, None),
                Strategy::Canary { percent, hold_minutes, bake_minutes } => {
                    let canary = CanaryConfiguration::builder()
                        .canary_percent(f64::from(percent))
                        .canary_bake_time_in_minutes(i32::from(hold_minutes));
                    (minutes(bake_minutes), Some(canary.build()), None)
                }
                Strategy::Linear { step, every_minutes, bake_minutes } => {
                    let linear = LinearConfiguration::builder()
                        .step_percent(f64::from(step))
                        .step_bake_time_in_minutes(i32::from(every_minutes));
                    (minutes(bake_minutes), None, Some(linear.build()))
                }
            };
    }
    if !movement.alarms.is_empty() {
        let alarms = DeploymentAlarms::builder()
            .set_alarm_names(Some(movement.alarms.clone()))
            .enable(true)
            .rollback(true)
            .build();
        wanted.alarms = alarms.ok().or(wanted.alarms);
    }
    wanted
}
