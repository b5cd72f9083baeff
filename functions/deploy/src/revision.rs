//! The task definition revision of a run: registered from the repository's file, or from what serves now.

use std::collections::BTreeMap;

use pushway_core::definition_file;
use pushway_core::ids::ImageDigestRef;
use pushway_core::messages;
use pushway_core::plan::{EnvironmentPlan, Target};
use pushway_core::ports::MoveServices;
use pushway_core::run::Run;
use pushway_core::views::ServiceView;

use crate::Stopped;

/// Registers the revision and gives its ARN.
pub(crate) async fn register<P: MoveServices>(
    ports: &P,
    run: &Run,
    planned: &EnvironmentPlan,
    service: &ServiceView,
    images: &BTreeMap<String, ImageDigestRef>,
) -> Result<String, Stopped> {
    let Target::Ecs(target) = &planned.target;
    if let Some(base) = &target.base {
        return Ok(ports.register(&planned.place, run.id, base, images).await?);
    }
    let file = target.task_definition.as_ref().and_then(|file| file.content.as_ref());
    let known = file.map_or_else(|| service.containers.clone(), definition_file::containers);
    if let Some(wanted) = images.keys().find(|name| !known.contains(name)) {
        return Err(Stopped::Refused(messages::no_container(&target.service, wanted, &known)));
    }
    if let Some(file) = file {
        return Ok(ports.register_file(&planned.place, run.id, file, images).await?);
    }
    let base = service.primary();
    let base = base.ok_or_else(|| Stopped::Refused(messages::no_revision(&target.service)))?;
    Ok(ports.register(&planned.place, run.id, &base.task_definition, images).await?)
}
