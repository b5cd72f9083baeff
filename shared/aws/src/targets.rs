//! What a preflight sees of a deploy's target: ECS, and the target groups of its load balancers.

use aws_sdk_ecs::types::{
    DeploymentCircuitBreaker, DeploymentConfiguration, DeploymentRolloutState, Service,
};
use aws_sdk_elasticloadbalancingv2::types::TargetGroup;
use pushway_core::ports::{Answer, ReadSchedules as _, ReadTargets};
use pushway_core::preflight::{BalancerFacts, ServiceFacts, StarterFacts, TargetView};
use pushway_core::scheduled::StarterRef;
use pushway_core::views::ServiceRef;

use crate::Aws;
use crate::ecs::{describe_service, describe_task_definition};
use crate::ecs_deployments::settings;
use crate::errors::fault;
use crate::places::Clients;
use crate::schedules::is_on;

/// Elastic Load Balancing's own, where a target group does not say it (API Reference,
/// `TargetGroupAttribute`).
const DEFAULT_DEREGISTRATION_SECONDS: u32 = 300;

impl ReadTargets for Aws {
    async fn target(&self, at: &ServiceRef) -> Answer<TargetView> {
        let clients = self.at(&at.place);
        let answer = clients.ecs.describe_clusters().clusters(&at.cluster).send().await;
        let answer = answer.map_err(|error| fault("ecs DescribeClusters", &error))?;
        // One that is not there comes as a failure `MISSING`.
        let cluster = answer.clusters().first().and_then(|cluster| cluster.status.clone());
        let service = match &cluster {
            Some(_) => describe_service(&clients.ecs, at).await?,
            None => None,
        };
        let service = match service {
            Some(service) => Some(facts(&clients, service).await?),
            None => None,
        };
        // What another account's role may pass is that account's own affair.
        let passable = if at.place.is_own() { self.settings.task_roles.clone() } else { Vec::new() };
        Ok(TargetView { cluster, service, passable })
    }

    async fn scheduled_target(&self, at: &StarterRef) -> Answer<StarterFacts> {
        let clients = self.at(&at.place);
        let tasks = self.scheduled(at).await?;
        let is_on = tasks.is_none() || is_on(&clients, &at.starter).await?;
        let own = |roles: &Vec<String>| if at.place.is_own() { roles.clone() } else { Vec::new() };
        let (passable, starting) = (own(&self.settings.task_roles), own(&self.settings.schedule_roles));
        Ok(StarterFacts { tasks, is_on, passable, starting })
    }
}

async fn facts(clients: &Clients, service: Service) -> Answer<ServiceFacts> {
    let (containers, roles) = match service.task_definition() {
        Some(revision) => {
            let (definition, _) = describe_task_definition(&clients.ecs, revision).await?;
            let roles = [definition.task_role_arn, definition.execution_role_arn];
            let names = definition.container_definitions.unwrap_or_default().into_iter();
            (
                names.filter_map(|container| container.name).collect(),
                roles.into_iter().flatten().filter(|role| !role.is_empty()).collect(),
            )
        }
        None => (Vec::new(), Vec::new()),
    };
    let groups = service.load_balancers().iter().filter_map(|balancer| balancer.target_group_arn.clone());
    let balancers = balancers(clients, groups.collect()).await?;
    let is_completed =
        |state: Option<&DeploymentRolloutState>| state == Some(&DeploymentRolloutState::Completed);
    let mut deployments = service.deployments().iter();
    Ok(ServiceFacts {
        settings: settings(&service),
        has_breaker: service.deployment_configuration().is_some_and(has_breaker),
        has_completed: deployments
            .any(|deployment| is_completed(deployment.rollout_state()) && deployment.running_count > 0),
        status: service.status.unwrap_or_default(),
        containers,
        roles,
        balancers,
    })
}

fn has_breaker(configuration: &DeploymentConfiguration) -> bool {
    configuration.deployment_circuit_breaker().is_some_and(DeploymentCircuitBreaker::enable)
}

async fn balancers(clients: &Clients, arns: Vec<String>) -> Answer<Vec<BalancerFacts>> {
    if arns.is_empty() {
        return Ok(Vec::new());
    }
    let answer = clients.elb.describe_target_groups().set_target_group_arns(Some(arns)).send().await;
    let answer = answer.map_err(|error| fault("elasticloadbalancing DescribeTargetGroups", &error))?;
    let mut balancers = Vec::new();
    for group in answer.target_groups() {
        balancers.push(balancer(clients, group).await?);
    }
    Ok(balancers)
}

async fn balancer(clients: &Clients, group: &TargetGroup) -> Answer<BalancerFacts> {
    let attributes = clients
        .elb
        .describe_target_group_attributes()
        .set_target_group_arn(group.target_group_arn.clone())
        .send()
        .await
        .map_err(|error| fault("elasticloadbalancing DescribeTargetGroupAttributes", &error))?;
    let mut all = attributes.attributes().iter();
    let delay = all.find(|attribute| attribute.key() == Some("deregistration_delay.timeout_seconds"));
    let delay = delay.and_then(|attribute| attribute.value()?.parse().ok());
    let count = |number: Option<i32>| number.and_then(|number| u32::try_from(number).ok()).unwrap_or(0);
    Ok(BalancerFacts {
        name: group.target_group_name.clone().unwrap_or_default(),
        interval_seconds: count(group.health_check_interval_seconds),
        healthy_threshold: count(group.healthy_threshold_count),
        deregistration_seconds: delay.unwrap_or(DEFAULT_DEREGISTRATION_SECONDS),
    })
}
