//! The task definition revision of a run: registered from the repository's file, or from what runs now.

use std::collections::BTreeMap;

use pushway_core::definition_file;
use pushway_core::ids::ImageDigestRef;
use pushway_core::messages;
use pushway_core::plan::{EnvironmentPlan, Target};
use pushway_core::ports::MoveServices;
use pushway_core::run::Run;

use crate::Stopped;

/// Registers the revision and gives its ARN. `now` is the revision that runs, and its containers.
pub(crate) async fn register<P: MoveServices>(
    ports: &P,
    run: &Run,
    planned: &EnvironmentPlan,
    now: (Option<&str>, &[String]),
    images: &BTreeMap<String, ImageDigestRef>,
) -> Result<String, Stopped> {
    if let Some(base) = planned.target.base() {
        return Ok(ports.register(&planned.place, run.id, base, images).await?);
    }
    let file = planned.target.task_definition().and_then(|file| file.content.as_ref());
    let known = file.map_or_else(|| now.1.to_vec(), definition_file::containers);
    if let Some(wanted) = images.keys().find(|name| !known.contains(name)) {
        return Err(Stopped::Refused(no_container(&planned.target, wanted, &known)));
    }
    if let Some(file) = file {
        return Ok(ports.register_file(&planned.place, run.id, file, images).await?);
    }
    let base = now.0.ok_or_else(|| Stopped::Refused(no_revision(&planned.target)))?;
    Ok(ports.register(&planned.place, run.id, base, images).await?)
}

fn no_container(target: &Target, wanted: &str, known: &[String]) -> String {
    match target {
        Target::Ecs(target) => messages::no_container(&target.service, wanted, known),
        Target::EcsScheduledTask(target) => messages::scheduled::no_container(&target.starter, wanted, known),
    }
}

fn no_revision(target: &Target) -> String {
    match target {
        Target::Ecs(target) => messages::no_revision(&target.service),
        Target::EcsScheduledTask(target) => messages::scheduled::no_starter(&target.starter),
    }
}
