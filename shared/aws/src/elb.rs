//! Elastic Load Balancing: the targets that a service's tasks are.

use aws_sdk_elasticloadbalancingv2::Client;
use aws_sdk_elasticloadbalancingv2::types::{TargetHealthDescription, TargetHealthStateEnum};
use pushway_core::ports::{Answer, ReadTargetHealth};
use pushway_core::views::{ServiceRef, TargetGroupView, TargetHealth, TargetView};

use crate::Aws;
use crate::ecs::describe_service;
use crate::errors::fault;

impl ReadTargetHealth for Aws {
    async fn targets(&self, at: &ServiceRef) -> Answer<Vec<TargetGroupView>> {
        let clients = self.at(&at.place);
        let service = describe_service(&clients.ecs, at).await?;
        let balancers = service.and_then(|service| service.load_balancers).unwrap_or_default();
        let mut groups = Vec::new();
        // A blue/green service has a second group beside; which of them serves is its own affair.
        for arn in balancers.into_iter().filter_map(|balancer| balancer.target_group_arn) {
            groups.push(target_group(&clients.elb, arn).await?);
        }
        Ok(groups)
    }
}

async fn target_group(elb: &Client, arn: String) -> Answer<TargetGroupView> {
    let described = elb
        .describe_target_groups()
        .target_group_arns(&arn)
        .send()
        .await
        .map_err(|error| fault("elasticloadbalancing DescribeTargetGroups", &error))?;
    let health = elb
        .describe_target_health()
        .target_group_arn(&arn)
        .send()
        .await
        .map_err(|error| fault("elasticloadbalancing DescribeTargetHealth", &error))?;
    let balancer = described.target_groups().first().and_then(|group| group.load_balancer_arns().first());
    Ok(TargetGroupView {
        arn,
        balancer: balancer.cloned(),
        targets: health.target_health_descriptions().iter().filter_map(target).collect(),
    })
}

fn target(described: &TargetHealthDescription) -> Option<TargetView> {
    let health = described.target_health.as_ref()?;
    let state = match health.state.as_ref()? {
        TargetHealthStateEnum::Healthy => TargetHealth::Healthy,
        TargetHealthStateEnum::Unhealthy => TargetHealth::Unhealthy,
        _ => TargetHealth::Other,
    };
    Some(TargetView {
        id: described.target.as_ref()?.id.clone()?,
        health: state,
        reason: health.description.clone().unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use aws_sdk_elasticloadbalancingv2::types::{self, TargetDescription};

    use super::*;

    #[test]
    fn only_a_target_that_answers_badly_is_sick() {
        let seen = |state: TargetHealthStateEnum| {
            let health = types::TargetHealth::builder().state(state).description("codes: [502]").build();
            let id = TargetDescription::builder().id("10.0.0.1").build();
            let described = TargetHealthDescription::builder().target(id).target_health(health).build();
            let view = target(&described).unwrap();
            assert_eq!((view.id.as_str(), view.reason.as_str()), ("10.0.0.1", "codes: [502]"));
            view.health
        };
        assert_eq!(seen(TargetHealthStateEnum::Healthy), TargetHealth::Healthy);
        assert_eq!(seen(TargetHealthStateEnum::Unhealthy), TargetHealth::Unhealthy);
        for other in
            [TargetHealthStateEnum::Initial, TargetHealthStateEnum::Draining, TargetHealthStateEnum::Unused]
        {
            assert_eq!(seen(other), TargetHealth::Other);
        }
    }
}
