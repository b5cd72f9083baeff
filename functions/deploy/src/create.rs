//! A service that does not exist yet: created from the repository's definition, once.

use pushway_core::fact::Rollout;
use pushway_core::messages;
use pushway_core::one_off;
use pushway_core::plan::{EcsTarget, EnvironmentPlan};
use pushway_core::ports::{Answer, CreateServices, Fault, ReadServices};
use pushway_core::run::Run;
use pushway_core::views::ServiceView;
use serde_json::Value;

use crate::Stopped;

/// The definition that the service of an environment is created from, if there is one.
pub(crate) fn definition(planned: &EnvironmentPlan) -> Option<&Value> {
    planned.target.service_definition()?.content.as_ref()
}

/// The service as it is, or as one that is yet to be created.
pub(crate) async fn find<P>(
    ports: &P,
    planned: &EnvironmentPlan,
    target: &EcsTarget,
) -> Result<ServiceView, Stopped>
where
    P: ReadServices + CreateServices,
{
    let at = target.at(&planned.place);
    let found = ports.service(&at).await?;
    if let Some(service) = found.filter(|service| service.is_active) {
        return Ok(service);
    }
    if definition(planned).is_none() {
        return Err(Stopped::Refused(messages::no_service(&target.cluster, &target.service)));
    }
    let absent = || Stopped::Refused(messages::no_cluster_for_service(&target.cluster, &target.service));
    ports.service_arn(&at).await?.map(ServiceView::absent).ok_or_else(absent)
}

/// Creates it; gives the id of its first deployment.
pub(crate) async fn create<P: CreateServices>(
    ports: &P,
    run: &Run,
    (planned, target): (&EnvironmentPlan, &EcsTarget),
    rollout: &Rollout,
) -> Answer<String> {
    let absent = || Fault::Permanent(messages::no_service(&target.cluster, &target.service));
    let definition = definition(planned).ok_or_else(absent)?;
    // The number of no task.
    let token = one_off::mark(run.id, &planned.name, usize::MAX);
    ports.create_service(&target.at(&planned.place), definition, &rollout.task_definition, &token).await
}
