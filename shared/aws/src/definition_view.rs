//! Task definitions as people compare them.
//!
//! Values of variables are told by fingerprints only, and so is what nobody would read in a line. Defaults that
//! ECS fills in count as absent, so that a file of the repository and its registration look alike.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Debug;

use aws_sdk_ecs::types::{
    ContainerDefinition, CpuArchitecture, HealthCheck, LogConfiguration, MountPoint, NetworkMode, OsFamily,
    PortMapping, TaskDefinition,
};
use pushway_core::definition::{ContainerDefinitionView, DefinitionView};

/// What people compare of a task definition.
pub(crate) fn definition_view(definition: TaskDefinition) -> DefinitionView {
    let settings = Named::default()
        .put("task role", definition.task_role_arn.clone())
        .put("execution role", definition.execution_role_arn.clone())
        .put("network mode", network(definition.network_mode.as_ref()))
        .put("pid mode", definition.pid_mode.as_ref().map(ToString::to_string))
        .put("ipc mode", definition.ipc_mode.as_ref().map(ToString::to_string))
        .put("cpu architecture", architecture(&definition))
        .put("operating system", operating_system(&definition))
        .put("launch types", Some(list(definition.requires_compatibilities())))
        .put(
            "ephemeral storage in GiB",
            definition.ephemeral_storage.as_ref().map(|it| it.size_in_gib.to_string()),
        )
        .put("fault injection", flag(definition.enable_fault_injection));
    let parts = Named::default()
        .put("volumes", part(definition.volumes()))
        .put("placement constraints", part(definition.placement_constraints()))
        .put("proxy configuration", definition.proxy_configuration.as_ref().map(canonical));
    let containers = definition.container_definitions.unwrap_or_default().into_iter();
    DefinitionView {
        cpu: definition.cpu.as_deref().and_then(|text| amount(text, "vcpu")),
        memory: definition.memory.as_deref().and_then(|text| amount(text, "gb")),
        settings: settings.0,
        parts: parts.0,
        containers: containers
            .filter_map(|known| Some((known.name.clone()?, container_view(known))))
            .collect(),
    }
}

fn container_view(container: ContainerDefinition) -> ContainerDefinitionView {
    let env = container.environment().iter().filter_map(|pair| Some((pair.name.clone()?, pair.value()?)));
    let secrets = container.secrets().iter().map(|secret| (secret.name.clone(), secret.value_from()));
    ContainerDefinitionView {
        ports: container.port_mappings().iter().filter_map(port).collect(),
        env: env.map(|(name, value)| (name, fingerprint(value))).collect(),
        secrets: secrets.map(|(name, from)| (name, fingerprint(from))).collect(),
        settings: container_settings(&container),
        parts: container_parts(&container),
        cpu: Some(container.cpu).filter(|cpu| *cpu > 0).map(|cpu| cpu.to_string()),
        memory: container.memory.map(|memory| memory.to_string()),
        image: container.image.unwrap_or_default(),
    }
}

fn container_settings(container: &ContainerDefinition) -> BTreeMap<String, String> {
    let words = |words: &[String]| (!words.is_empty()).then(|| serde_json::json!(words).to_string());
    let number = |number: Option<i32>| number.map(|number| number.to_string());
    let driver = container.log_configuration.as_ref().map(|log| log.log_driver.to_string());
    Named::default()
        .put("command", words(container.command()))
        .put("entry point", words(container.entry_point()))
        .put("user", container.user.clone())
        .put("working directory", container.working_directory.clone())
        .put("memory reservation", number(container.memory_reservation))
        .put("log driver", driver)
        .put("start timeout", number(container.start_timeout))
        .put("stop timeout", number(container.stop_timeout))
        .put("privileged", flag(container.privileged))
        .put("read-only root", flag(container.readonly_root_filesystem))
        .put("not essential", flag(container.essential.map(|is_essential| !is_essential)))
        .0
}

fn container_parts(container: &ContainerDefinition) -> BTreeMap<String, String> {
    let credentials = container.repository_credentials.as_ref().map(|it| it.credentials_parameter.clone());
    let mounts: Vec<String> = container.mount_points().iter().map(mount).collect();
    let labels = container.docker_labels.as_ref().filter(|labels| !labels.is_empty());
    Named::default()
        .put("registry credentials", credentials.as_deref().map(fingerprint))
        .put("environment files", part(container.environment_files()))
        .put("mount points", part(&mounts))
        .put("volumes from", part(container.volumes_from()))
        .put("links", part(container.links()))
        .put("dependencies", part(container.depends_on()))
        .put("restart policy", container.restart_policy.as_ref().map(canonical))
        .put("health check", container.health_check.as_ref().and_then(health_check))
        .put("log options", container.log_configuration.as_ref().and_then(log_options))
        .put("log router", container.firelens_configuration.as_ref().map(canonical))
        .put("labels", labels.map(sorted))
        .put("ulimits", part(container.ulimits()))
        .put("kernel parameters", part(container.system_controls()))
        .put("GPUs and the like", part(container.resource_requirements()))
        .put("hosts", part(container.extra_hosts()))
        .put("DNS servers", part(container.dns_servers()))
        .put("security options", part(container.docker_security_options()))
        .put("Linux parameters", container.linux_parameters.as_ref().and_then(linux))
        .0
}

/// Settings that are there, by what people call them.
#[derive(Default)]
struct Named(BTreeMap<String, String>);

impl Named {
    fn put(mut self, name: &str, value: Option<String>) -> Self {
        self.0.extend(value.filter(|value| !value.is_empty()).map(|value| (name.to_owned(), value)));
        self
    }
}

fn port(port: &PortMapping) -> Option<String> {
    let protocol = port.protocol.as_ref().map_or("tcp", |protocol| protocol.as_str());
    Some(format!("{}/{protocol}", port.container_port?))
}

fn mount(mount: &MountPoint) -> String {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let mode = if mount.read_only == Some(true) { "ro" } else { "rw" };
    format!("{}:{}:{mode}", text(&mount.source_volume), text(&mount.container_path))
}

fn network(mode: Option<&NetworkMode>) -> Option<String> {
    mode.filter(|mode| **mode != NetworkMode::Bridge).map(ToString::to_string)
}

fn architecture(definition: &TaskDefinition) -> Option<String> {
    let known = definition.runtime_platform.as_ref()?.cpu_architecture.as_ref()?;
    (*known != CpuArchitecture::X8664).then(|| known.to_string())
}

fn operating_system(definition: &TaskDefinition) -> Option<String> {
    let known = definition.runtime_platform.as_ref()?.operating_system_family.as_ref()?;
    (*known != OsFamily::Linux).then(|| known.to_string())
}

fn list<T: ToString>(items: &[T]) -> String {
    let mut items: Vec<String> = items.iter().map(ToString::to_string).collect();
    items.sort();
    items.join(", ")
}

/// What is off by default, where it is on.
fn flag(value: Option<bool>) -> Option<String> {
    value.filter(|is_on| *is_on).map(|_| "yes".to_owned())
}

/// ECS takes `1 vCPU` and `0.5 GB`, too, and tells `1024` and `512` (Amazon ECS API Reference,
/// `RegisterTaskDefinition`).
fn amount(text: &str, unit: &str) -> Option<String> {
    let text = text.trim();
    let small = text.to_ascii_lowercase();
    let number = small.strip_suffix(unit).and_then(|number| number.trim().parse::<f64>().ok());
    Some(number.map_or_else(|| text.to_owned(), |number| format!("{:.0}", number * 1024.0)))
        .filter(|text| !text.is_empty())
}

/// With the defaults of what is left out (Amazon ECS API Reference, `HealthCheck`).
fn health_check(check: &HealthCheck) -> Option<String> {
    if check.command.is_empty() {
        return None;
    }
    let numbers = (
        check.interval.unwrap_or(30),
        check.timeout.unwrap_or(5),
        check.retries.unwrap_or(3),
        check.start_period.unwrap_or(0),
    );
    Some(fingerprint(&format!("{:?} {numbers:?}", check.command)))
}

fn log_options(log: &LogConfiguration) -> Option<String> {
    let options = log.options.clone().unwrap_or_default();
    let secrets = log.secret_options().iter().map(|it| (it.name.clone(), it.value_from.clone()));
    let all: HashMap<String, String> = options.into_iter().chain(secrets).collect();
    (!all.is_empty()).then(|| sorted(&all))
}

fn linux(parameters: &aws_sdk_ecs::types::LinuxParameters) -> Option<String> {
    let nothing = aws_sdk_ecs::types::LinuxParameters::builder().build();
    (*parameters != nothing).then(|| canonical(parameters))
}

fn sorted(map: &HashMap<String, String>) -> String {
    fingerprint(&format!("{:?}", map.iter().collect::<BTreeMap<_, _>>()))
}

fn part<T: Debug>(items: &[T]) -> Option<String> {
    (!items.is_empty()).then(|| canonical(&items))
}

/// A fingerprint of the SDK's own structure. Its lines are sorted, since maps have no order.
fn canonical<T: Debug + ?Sized>(value: &T) -> String {
    let text = format!("{value:#?}");
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    fingerprint(&lines.join("\n"))
}

fn fingerprint(text: &str) -> String {
    use sha2::Digest as _;
    hex::encode(sha2::Sha256::digest(text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use pushway_core::definition::changes;
    use serde_json::{Value, json};

    use super::*;

    fn view(definition: &Value) -> DefinitionView {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let pinned = json!({ "taskDefinition": definition });
        definition_view(runtime.block_on(crate::canned::task_definition(&pinned)).unwrap().0)
    }

    fn file() -> Value {
        json!({
            "family": "web", "cpu": "0.25 vCPU", "memory": "0.5GB", "networkMode": "awsvpc",
            "executionRoleArn": "arn:aws:iam::1:role/execution",
            "volumes": [{ "name": "v", "dockerVolumeConfiguration": { "driverOpts": { "a": "1", "b": "2", "c": "3" } } }],
            "containerDefinitions": [{
                "name": "web", "image": "web:1", "command": ["serve", "--port", "80"],
                "portMappings": [{ "containerPort": 80 }],
                "environment": [{ "name": "COLOUR", "value": "hunter2" }],
                "secrets": [{ "name": "KEY", "valueFrom": "arn:aws:ssm:eu-west-1:1:parameter/key" }],
                "healthCheck": { "command": ["CMD", "true"] },
                "mountPoints": [{ "sourceVolume": "v", "containerPath": "/v" }],
                "logConfiguration": { "logDriver": "awslogs", "options": { "awslogs-group": "/web", "awslogs-region": "eu-west-1" } },
            }],
        })
    }

    /// The file as ECS describes it once it is registered.
    fn described() -> Value {
        let mut described = file();
        described["cpu"] = json!("256");
        described["memory"] = json!("512");
        described["placementConstraints"] = json!([]);
        described["compatibilities"] = json!(["EC2", "FARGATE"]);
        let web = &mut described["containerDefinitions"][0];
        web["essential"] = json!(true);
        web["cpu"] = json!(0);
        web["volumesFrom"] = json!([]);
        web["systemControls"] = json!([]);
        web["portMappings"] = json!([{ "containerPort": 80, "hostPort": 80, "protocol": "tcp" }]);
        web["healthCheck"] =
            json!({ "command": ["CMD", "true"], "interval": 30, "timeout": 5, "retries": 3 });
        web["mountPoints"] = json!([{ "sourceVolume": "v", "containerPath": "/v", "readOnly": false }]);
        described
    }

    #[test]
    fn a_file_and_its_registration_look_alike() {
        assert_eq!(changes(&view(&described()), &view(&file())), Vec::<String>::new());
        // Maps have no order: another reading of the same is the same.
        for _ in 0..20 {
            assert_eq!(view(&file()), view(&file()));
        }
    }

    #[test]
    fn every_kind_of_change_is_told_and_no_value_of_a_variable() {
        let mut new = file();
        new["taskRoleArn"] = json!("arn:aws:iam::1:role/task");
        new["runtimePlatform"] = json!({ "cpuArchitecture": "ARM64" });
        new["volumes"][0]["dockerVolumeConfiguration"]["driverOpts"]["b"] = json!("5");
        let web = &mut new["containerDefinitions"][0];
        web["command"] = json!(["serve", "--port", "81"]);
        web["user"] = json!("nobody");
        web["essential"] = json!(false);
        web["environment"][0]["value"] = json!("hunter3");
        web["secrets"][0]["valueFrom"] = json!("arn:aws:ssm:eu-west-1:1:parameter/other");
        web["healthCheck"]["retries"] = json!(5);
        web["mountPoints"][0]["readOnly"] = json!(true);
        web["logConfiguration"]["options"]["awslogs-group"] = json!("/other");
        let told = changes(&view(&described()), &view(&new));
        let wanted = [
            "cpu architecture: none → ARM64",
            "task role: none → arn:aws:iam::1:role/task",
            "volumes changed",
            r#"web: command: ["serve","--port","80"] → ["serve","--port","81"]"#,
            "web: not essential: none → yes",
            "web: user: none → nobody",
            "web: health check changed",
            "web: log options changed",
            "web: mount points changed",
            "web: variable COLOUR changed",
            "web: secret KEY changed",
        ];
        // Settings that are new stand behind those that were there.
        let sorted = |lines: &[String]| lines.iter().cloned().collect::<std::collections::BTreeSet<_>>();
        assert_eq!(sorted(&told), sorted(&wanted.map(str::to_owned)), "{told:?}");
    }
}
