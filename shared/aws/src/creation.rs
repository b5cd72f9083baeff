//! ECS: services that do not exist yet.
//!
//! Only a service that is not there is ever created; how many tasks an existing one has, and what scales it,
//! is not Pushway's to say.

use aws_sdk_ecs::types::Service;
use pushway_core::ports::{Answer, CreateServices};
use pushway_core::views::ServiceRef;
use serde_json::Value;

use crate::errors::{fault, incomplete};
use crate::{Aws, canned};

type CreateService = aws_sdk_ecs::operation::create_service::builders::CreateServiceFluentBuilder;

impl CreateServices for Aws {
    async fn service_arn(&self, at: &ServiceRef) -> Answer<Option<String>> {
        let answer = self.at(&at.place).ecs.describe_clusters().clusters(&at.cluster).send().await;
        let answer = answer.map_err(|error| fault("ecs DescribeClusters", &error))?;
        let cluster = answer.clusters().first().filter(|cluster| cluster.status() == Some("ACTIVE"));
        let arn = cluster.and_then(|cluster| cluster.cluster_arn());
        Ok(arn.map(|arn| format!("{}/{}", arn.replacen(":cluster/", ":service/", 1), at.service)))
    }

    async fn create_service(
        &self,
        at: &ServiceRef,
        definition: &Value,
        task_definition: &str,
        token: &str,
    ) -> Answer<String> {
        let call = "ecs CreateService";
        let service = canned::service(definition).await?;
        let has_count = definition.get("desiredCount").is_some();
        let answer = from(self.at(&at.place).ecs.create_service(), service, has_count)
            .cluster(&at.cluster)
            .service_name(&at.service)
            .task_definition(task_definition)
            .client_token(token)
            .send()
            .await
            .map_err(|error| fault(call, &error))?;
        let deployment = answer.service().and_then(|service| service.deployments().first());
        deployment.and_then(|first| first.id.clone()).ok_or_else(|| incomplete(call, "a deployment"))
    }
}

/// Everything that a description and a creation share.
fn from(call: CreateService, service: Service, has_count: bool) -> CreateService {
    let told = service.deployments.unwrap_or_default().into_iter().next();
    let (connect, volumes, lattice) = told.map_or((None, None, None), |told| {
        (told.service_connect_configuration, told.volume_configurations, told.vpc_lattice_configurations)
    });
    call.set_load_balancers(service.load_balancers)
        .set_service_registries(service.service_registries)
        .set_desired_count(has_count.then_some(service.desired_count))
        .set_launch_type(service.launch_type)
        .set_capacity_provider_strategy(service.capacity_provider_strategy)
        .set_platform_version(service.platform_version)
        .set_deployment_configuration(service.deployment_configuration)
        .set_placement_constraints(service.placement_constraints)
        .set_placement_strategy(service.placement_strategy)
        .set_network_configuration(service.network_configuration)
        .set_health_check_grace_period_seconds(service.health_check_grace_period_seconds)
        .set_scheduling_strategy(service.scheduling_strategy)
        .set_deployment_controller(service.deployment_controller)
        .set_tags(service.tags)
        .enable_ecs_managed_tags(service.enable_ecs_managed_tags)
        .set_propagate_tags(service.propagate_tags)
        .enable_execute_command(service.enable_execute_command)
        .set_availability_zone_rebalancing(service.availability_zone_rebalancing)
        .set_service_connect_configuration(connect)
        .set_volume_configurations(volumes)
        .set_vpc_lattice_configurations(lattice)
}
