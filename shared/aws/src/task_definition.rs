//! Copies of task definitions: a revision for a run is its base with other images, and nothing else.

use std::collections::BTreeMap;

use aws_sdk_ecs::operation::register_task_definition::RegisterTaskDefinitionInput;
use aws_sdk_ecs::operation::register_task_definition::builders::RegisterTaskDefinitionInputBuilder;
use aws_sdk_ecs::types::{
    ContainerDefinition, IpcMode, LinuxParameters, LogDriver, PidMode, Tag, TaskDefinition,
};
use pushway_core::fact::LogPointer;
use pushway_core::ids::{ImageDigestRef, RunId};
use pushway_core::ports::{Answer, Fault};

/// The tag that tells which run a revision was registered for.
const RUN_TAG: &str = "pushway:run";

/// What to register: every field that `base` and a registration share, with `images` put in. Elastic
/// Inference is left out, since AWS has ended it.
pub(crate) fn copy(
    base: TaskDefinition,
    tags: Vec<Tag>,
    images: &BTreeMap<String, ImageDigestRef>,
    run: RunId,
) -> Answer<RegisterTaskDefinitionInputBuilder> {
    let name = base.task_definition_arn.clone().unwrap_or_default();
    let mut containers: Vec<ContainerDefinition> =
        base.container_definitions.unwrap_or_default().into_iter().map(mended).collect();
    for (container, image) in images {
        let known: Vec<&str> = containers.iter().filter_map(|known| known.name.as_deref()).collect();
        let position = known.iter().position(|known| known == container).ok_or_else(|| {
            Fault::Permanent(format!(
                "{name} has no container {container:?}; it has {}: mend `images` in the pipeline file",
                known.join(", ")
            ))
        })?;
        containers[position].image = Some(image.to_string());
    }
    Ok(RegisterTaskDefinitionInput::builder()
        .set_family(base.family)
        .set_task_role_arn(filled(base.task_role_arn))
        .set_execution_role_arn(filled(base.execution_role_arn))
        .set_network_mode(base.network_mode.filter(|mode| !mode.as_str().is_empty()))
        .set_container_definitions(Some(containers))
        .set_volumes(base.volumes)
        .set_placement_constraints(base.placement_constraints)
        .set_requires_compatibilities(base.requires_compatibilities)
        .set_cpu(filled(base.cpu))
        .set_memory(filled(base.memory))
        .set_tags(Some(tags_for(run, tags)?))
        .set_pid_mode(base.pid_mode.filter(|mode: &PidMode| !mode.as_str().is_empty()))
        .set_ipc_mode(base.ipc_mode.filter(|mode: &IpcMode| !mode.as_str().is_empty()))
        .set_proxy_configuration(base.proxy_configuration)
        .set_ephemeral_storage(base.ephemeral_storage)
        .set_runtime_platform(base.runtime_platform)
        .set_enable_fault_injection(base.enable_fault_injection))
}

/// Where a container's log lies, if the `awslogs` driver writes it (ECS Developer Guide, "Send Amazon ECS
/// logs to CloudWatch": stream names).
pub(crate) fn log_pointer(
    definition: &TaskDefinition,
    container: &str,
    task_arn: &str,
) -> Option<LogPointer> {
    let containers = definition.container_definitions();
    let container = containers.iter().find(|known| known.name.as_deref() == Some(container))?;
    let log = container.log_configuration.as_ref()?;
    let options = log.options.as_ref().filter(|_| log.log_driver == LogDriver::Awslogs)?;
    let (group, prefix) = (options.get("awslogs-group")?, options.get("awslogs-stream-prefix")?);
    let task = task_arn.rsplit('/').next()?;
    Some(LogPointer {
        group: group.clone(),
        stream: format!("{prefix}/{}/{task}", container.name.as_deref()?),
    })
}

/// A container without the empty parts that a description may show and a registration refuses.
fn mended(mut container: ContainerDefinition) -> ContainerDefinition {
    container.health_check = container.health_check.filter(|check| !check.command.is_empty());
    let nothing = LinuxParameters::builder().build();
    container.linux_parameters = container.linux_parameters.filter(|parameters| *parameters != nothing);
    container.hostname = filled(container.hostname);
    container.user = filled(container.user);
    container.working_directory = filled(container.working_directory);
    container
}

fn filled(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

/// The base's tags without those that AWS reserves for itself, and the run's.
fn tags_for(run: RunId, tags: Vec<Tag>) -> Answer<Vec<Tag>> {
    let is_kept = |tag: &Tag| {
        tag.key.as_deref().is_some_and(|key| key != RUN_TAG && !key.to_ascii_lowercase().starts_with("aws:"))
    };
    let mut kept: Vec<Tag> = tags.into_iter().filter(is_kept).collect();
    kept.push(Tag::builder().key(RUN_TAG).value(run.to_string()).build());
    // A revision takes 50 tags (ECS API reference, `RegisterTaskDefinition`).
    if kept.len() > 50 {
        return Err(Fault::Permanent(format!(
            "the task definition has 50 tags, so there is no room for {RUN_TAG}; remove one"
        )));
    }
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use aws_sdk_ecs::types::{HealthCheck, LogConfiguration, NetworkMode, RuntimePlatform};

    use super::*;

    const RUN: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

    fn image(digit: &str) -> ImageDigestRef {
        format!("registry/web@sha256:{}", digit.repeat(64)).parse().unwrap()
    }

    fn container(name: &str) -> ContainerDefinition {
        let log = LogConfiguration::builder()
            .log_driver(LogDriver::Awslogs)
            .options("awslogs-group", "/web")
            .options("awslogs-stream-prefix", "ecs")
            .build()
            .unwrap();
        ContainerDefinition::builder()
            .name(name)
            .image("registry/web:1")
            .cpu(128)
            .user("")
            .docker_labels("a", "b")
            .log_configuration(log)
            .build()
    }

    fn base() -> TaskDefinition {
        TaskDefinition::builder()
            .task_definition_arn("arn:aws:ecs:eu-west-1:1:task-definition/web:3")
            .family("web")
            .task_role_arn("")
            .execution_role_arn("arn:aws:iam::1:role/x")
            .network_mode(NetworkMode::Awsvpc)
            .pid_mode(PidMode::from(""))
            .cpu("256")
            .memory("512")
            .runtime_platform(RuntimePlatform::builder().build())
            .container_definitions(container("web"))
            .container_definitions(container("side"))
            .build()
    }

    fn copied(base: TaskDefinition, images: &[(&str, &str)]) -> Answer<RegisterTaskDefinitionInput> {
        let images = images.iter().map(|(name, digit)| ((*name).to_owned(), image(digit))).collect();
        let tag = |key: &str| Tag::builder().key(key).value("x").build();
        let tags = vec![tag("team"), tag("aws:cloudformation:stack-name"), tag(RUN_TAG)];
        copy(base, tags, &images, RUN.parse().unwrap()).map(|builder| builder.build().unwrap())
    }

    #[test]
    fn only_the_image_changes_and_the_run_is_tagged() {
        let copy = copied(base(), &[("web", "a")]).unwrap();
        let containers = copy.container_definitions();
        assert_eq!(containers[0].image, Some(image("a").to_string()));
        let mut web = container("web");
        (web.image, web.user) = (Some(image("a").to_string()), None);
        let mut side = container("side");
        side.user = None;
        assert_eq!(containers, [web, side]);
        assert_eq!((copy.family(), copy.cpu(), copy.memory()), (Some("web"), Some("256"), Some("512")));
        assert_eq!(copy.execution_role_arn(), Some("arn:aws:iam::1:role/x"));
        assert!(copy.runtime_platform().is_some() && copy.network_mode() == Some(&NetworkMode::Awsvpc));
        let tags: HashMap<_, _> =
            copy.tags().iter().map(|tag| (tag.key().unwrap(), tag.value().unwrap())).collect();
        assert_eq!(tags, HashMap::from([("team", "x"), (RUN_TAG, RUN)]));
    }

    #[test]
    fn empty_texts_and_empty_health_checks_are_left_out() {
        let mut base = base();
        if let Some(containers) = &mut base.container_definitions {
            containers[0].health_check =
                Some(HealthCheck::builder().set_command(Some(Vec::new())).build().unwrap());
            containers[0].linux_parameters = Some(LinuxParameters::builder().build());
        }
        let copy = copied(base, &[]).unwrap();
        assert_eq!((copy.task_role_arn(), copy.pid_mode()), (None, None));
        let web = &copy.container_definitions()[0];
        assert_eq!((&web.health_check, &web.linux_parameters, &web.user), (&None, &None, &None));
    }

    #[test]
    fn an_unknown_container_is_named_beside_the_known_ones() {
        let Err(Fault::Permanent(text)) = copied(base(), &[("wbe", "a")]) else { panic!("it was taken") };
        assert!(text.contains("\"wbe\"") && text.contains("web, side"), "{text}");
    }

    #[test]
    fn a_containers_log_is_found_by_its_task() {
        let log = log_pointer(&base(), "web", "arn:aws:ecs:eu-west-1:1:task/demo/0123").unwrap();
        assert_eq!((log.group.as_str(), log.stream.as_str()), ("/web", "ecs/web/0123"));
        assert_eq!(log_pointer(&base(), "none", "x"), None);
    }
}
