//! Definitions that lie in the repository: task definitions as ECS describes or takes them.
//!
//! The file is read at the run's commit and pinned in its plan, so that the run, tried again or looked at
//! later, means the same. What a description has beside a registration's fields is dropped. Nothing here
//! knows ECS's own rules beyond what can be told at once: ECS has the last word.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::fact::Cause;
use crate::ids::{ImageDigestRef, RepositoryPath};
use crate::messages;
use crate::plan::{EnvironmentPlan, OneOff};

/// The largest file that is taken: ECS takes task definitions of 64 KB (Amazon ECS Developer Guide, "Amazon
/// ECS service quotas").
pub const MAX_DEFINITION_BYTES: usize = 64 * 1024;
/// All definitions of a plan: it lies in one item of the table, which takes 400 KB.
pub const MAX_DEFINITIONS_BYTES: usize = 160 * 1024;

/// Fields that a registration takes (Amazon ECS API Reference, `RegisterTaskDefinition`), but for the tags.
const TASK_FIELDS: [&str; 16] = [
    "containerDefinitions",
    "cpu",
    "enableFaultInjection",
    "ephemeralStorage",
    "executionRoleArn",
    "family",
    "ipcMode",
    "memory",
    "networkMode",
    "pidMode",
    "placementConstraints",
    "proxyConfiguration",
    "requiresCompatibilities",
    "runtimePlatform",
    "taskRoleArn",
    "volumes",
];

/// A task definition as a description gives it: `{"taskDefinition": {…}, "tags": […]}`. `images` are the
/// containers that get an image of the run, as far as they are there; every other one must name its own. `None`:
/// the build will say which they are (`check_images`). `must_have` are containers that must be there.
pub fn task_definition(text: &str, images: Option<&[&str]>, must_have: &[&str]) -> Result<Value, String> {
    let mut read = object(text)?;
    let tags = read.remove("tags").unwrap_or_else(|| json!([]));
    let mut definition = match read.remove("taskDefinition") {
        Some(Value::Object(described)) => described,
        Some(_) => return Err(messages::definition_field("taskDefinition", "an object")),
        None => read,
    };
    let tags = definition.remove("tags").unwrap_or(tags);
    definition.retain(|field, value| TASK_FIELDS.contains(&field.as_str()) && !value.is_null());
    for field in ["cpu", "memory"] {
        if let Some(Value::Number(number)) = definition.get(field) {
            let text = number.to_string();
            definition.insert(field.to_owned(), text.into());
        }
    }
    if definition.get("family").and_then(Value::as_str).is_none_or(str::is_empty) {
        return Err(messages::definition_field("family", "a text"));
    }
    check_containers(&definition, images, must_have)?;
    Ok(json!({ "taskDefinition": definition, "tags": tags }))
}

fn object(text: &str) -> Result<Map<String, Value>, String> {
    if text.len() > MAX_DEFINITION_BYTES {
        return Err(messages::definition_too_large(text.len(), MAX_DEFINITION_BYTES));
    }
    match serde_json::from_str(text.trim_start_matches('\u{feff}')) {
        Ok(Value::Object(read)) => Ok(read),
        Ok(_) => Err(messages::definition_no_object()),
        Err(error) => Err(messages::definition_no_json(&error)),
    }
}

fn check_containers(
    definition: &Map<String, Value>,
    images: Option<&[&str]>,
    must_have: &[&str],
) -> Result<(), String> {
    let containers = definition.get("containerDefinitions").and_then(Value::as_array);
    let containers = containers.filter(|containers| !containers.is_empty());
    let containers = containers
        .ok_or_else(|| messages::definition_field("containerDefinitions", "a list of containers"))?;
    let mut names: BTreeMap<&str, &Value> = BTreeMap::new();
    for container in containers {
        let name = container["name"].as_str().filter(|name| !name.is_empty());
        let name = name.ok_or_else(|| messages::definition_field("containerDefinitions[].name", "a text"))?;
        if names.insert(name, container).is_some() {
            return Err(messages::definition_twice(name));
        }
    }
    let known: Vec<&str> = names.keys().copied().collect();
    if let Some(absent) = must_have.iter().find(|wanted| !names.contains_key(**wanted)) {
        return Err(messages::definition_no_container(absent, &known));
    }
    let Some(images) = images else { return Ok(()) };
    let mut left = names.iter().filter(|(name, _)| !images.contains(*name));
    match left.find_map(|(name, container)| Some((name, unset(container)?))) {
        Some((name, Unset::Placeholder(text))) => Err(messages::definition_placeholder(name, text)),
        Some((name, Unset::Absent)) => Err(messages::definition_no_image(name)),
        None => Ok(()),
    }
}

/// What stands where a container's image should.
enum Unset<'v> {
    Absent,
    /// `<IMAGE1_NAME>` and the like: `CodePipeline` puts the image of an `imageDetail.json` there.
    Placeholder(&'v str),
}

fn unset(container: &Value) -> Option<Unset<'_>> {
    match container["image"].as_str().unwrap_or_default() {
        "" => Some(Unset::Absent),
        text if text.starts_with('<') && text.ends_with('>') => Some(Unset::Placeholder(text)),
        _ => None,
    }
}

/// Whether each container of a pinned task definition that has no image of its own gets one of `images`.
pub fn check_images(definition: &Value, images: &BTreeMap<String, ImageDigestRef>) -> Result<(), String> {
    let containers = definition["taskDefinition"]["containerDefinitions"].as_array().into_iter().flatten();
    for container in containers {
        let name = container["name"].as_str().unwrap_or_default();
        let placeholder = match unset(container) {
            Some(Unset::Placeholder(text)) => Some(text),
            Some(Unset::Absent) => None,
            None => continue,
        };
        if !images.contains_key(name) {
            return Err(messages::image_file_leaves_out(name, placeholder));
        }
    }
    Ok(())
}

/// Fields that are the deploy's own to say.
const SERVICE_OWN: [&str; 4] = ["cluster", "serviceName", "taskDefinition", "clientToken"];

/// A service definition: the input of `CreateService` without what the deploy says itself.
pub fn service_definition(text: &str) -> Result<Value, String> {
    let mut definition = object(text)?;
    definition.retain(|field, value| !SERVICE_OWN.contains(&field.as_str()) && !value.is_null());
    let is_daemon = definition.get("schedulingStrategy").is_some_and(|strategy| strategy == "DAEMON");
    if !is_daemon {
        let count = definition.entry("desiredCount").or_insert_with(|| json!(1));
        if count.as_u64().is_none_or(|count| count == 0) {
            return Err(messages::service_without_tasks());
        }
    }
    Ok(Value::Object(definition))
}

/// Puts the content of each file that an environment names into its plan, or says what is wrong with the
/// first that is. Gives how many bytes were put in.
pub fn fill(planned: &mut EnvironmentPlan, files: &BTreeMap<RepositoryPath, String>) -> Result<usize, Cause> {
    let name = planned.name.clone();
    let names: Vec<String> = planned.target.images().keys().cloned().collect();
    let images: Vec<&str> = names.iter().map(String::as_str).collect();
    let known = planned.target.images_from().is_none().then_some(&images[..]);
    let (task_definition_file, service_definition_file) = planned.target.definitions_mut();
    // Each with the containers that it must have.
    let own = task_definition_file.into_iter().map(|file| (file, images.clone()));
    let of_tasks = planned.before.iter_mut().filter_map(|OneOff::EcsTask(task)| {
        Some((task.task_definition.as_mut()?, vec![task.container.as_str()]))
    });
    let mut size = 0;
    if let Some(file) = service_definition_file {
        let text = files.get(&file.path);
        let text = text.ok_or_else(|| messages::no_definition(&name, &file.path, "service_definition"))?;
        let content = service_definition(text);
        let content = content.map_err(|problem| messages::bad_definition(&name, &file.path, &problem))?;
        size += content.to_string().len();
        file.content = Some(content);
    }
    for (file, must_have) in own.chain(of_tasks) {
        let text = files.get(&file.path);
        let text = text.ok_or_else(|| messages::no_definition(&name, &file.path, "task_definition"))?;
        let content = task_definition(text, known, &must_have);
        let content = content.map_err(|problem| messages::bad_definition(&name, &file.path, &problem))?;
        size += content.to_string().len();
        file.content = Some(content);
    }
    Ok(size)
}

/// Names of the containers of a pinned task definition.
pub fn containers(definition: &Value) -> Vec<String> {
    let containers = definition["taskDefinition"]["containerDefinitions"].as_array();
    let names = containers.into_iter().flatten().filter_map(|container| container["name"].as_str());
    names.map(str::to_owned).collect()
}

/// Roles of a pinned task definition, as it names them.
pub fn roles(definition: &Value) -> Vec<String> {
    let task = &definition["taskDefinition"];
    let roles = ["taskRoleArn", "executionRoleArn"].into_iter().filter_map(|field| task[field].as_str());
    roles.filter(|role| !role.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DESCRIBED: &str = r#"{
        "taskDefinition": {
            "taskDefinitionArn": "arn:aws:ecs:eu-west-1:1:task-definition/web:3", "revision": 3, "status": "ACTIVE",
            "family": "web", "cpu": 256, "memory": "512", "registeredBy": "me", "requiresAttributes": [{"name": "x"}],
            "taskRoleArn": null, "compatibilities": ["EC2"], "somethingNew": {"a": 1},
            "containerDefinitions": [{"name": "web", "cpu": 0, "environment": [{"name": "A", "value": "1"}]},
                                     {"name": "side", "image": "envoy:1"}]
        },
        "tags": [{"key": "team", "value": "x"}]
    }"#;

    #[test]
    fn a_description_and_a_registration_mean_the_same() {
        let described = task_definition(DESCRIBED, Some(&["web"]), &["web"]).unwrap();
        let mut input = serde_json::from_str::<Value>(DESCRIBED).unwrap()["taskDefinition"].clone();
        input["tags"] = json!([{ "key": "team", "value": "x" }]);
        assert_eq!(task_definition(&input.to_string(), Some(&["web"]), &["web"]), Ok(described.clone()));
        let task = described["taskDefinition"].as_object().unwrap();
        let fields: Vec<&str> = task.keys().map(String::as_str).collect();
        assert_eq!(fields, ["containerDefinitions", "cpu", "family", "memory"]);
        assert_eq!(task["cpu"], "256", "ECS takes a text");
        assert_eq!(described["tags"][0]["key"], "team");
        assert_eq!(containers(&described), ["web", "side"]);
    }

    #[test]
    fn a_placeholder_needs_an_image_whoever_names_it() {
        let text =
            r#"{"family": "web", "containerDefinitions": [{"name": "web", "image": "<IMAGE1_NAME>"}]}"#;
        assert!(task_definition(text, Some(&["web"]), &["web"]).is_ok());
        let later = task_definition(text, None, &[]).unwrap();
        let image: ImageDigestRef = format!("r/web@sha256:{}", "a".repeat(64)).parse().unwrap();
        assert_eq!(check_images(&later, &BTreeMap::from([("web".to_owned(), image.clone())])), Ok(()));
        let other = BTreeMap::from([("side".to_owned(), image)]);
        assert!(check_images(&later, &other).unwrap_err().contains("<IMAGE1_NAME>"));
    }

    #[test]
    fn what_can_never_be_registered_is_told_with_its_field() {
        let said = |text: &str| task_definition(text, Some(&["web"]), &["web"]).unwrap_err();
        for (text, words) in [
            ("{", "is not JSON"),
            ("[]", "must be a JSON object"),
            ("{}", "`family`"),
            (r#"{"family": "web"}"#, "`containerDefinitions`"),
            (r#"{"family": "web", "containerDefinitions": []}"#, "`containerDefinitions`"),
            (r#"{"family": "web", "containerDefinitions": [{}]}"#, "`containerDefinitions[].name`"),
            (
                r#"{"family": "web", "containerDefinitions": [{"name": "api"}]}"#,
                "no container \"web\", only api",
            ),
            (
                r#"{"family": "web", "containerDefinitions": [{"name": "web"}, {"name": "web"}]}"#,
                "two containers \"web\"",
            ),
            (r#"{"family": "web", "containerDefinitions": [{"name": "web"}, {"name": "a"}]}"#, "no image"),
            (r#"{"taskDefinition": "arn:x"}"#, "`taskDefinition`"),
            (
                r#"{"family": "w", "containerDefinitions": [{"name": "web"}, {"name": "a", "image": "<IMAGE2_NAME>"}]}"#,
                "placeholder <IMAGE2_NAME>",
            ),
        ] {
            assert!(said(text).contains(words), "{text}: {}", said(text));
        }
        let large = format!("{{\"family\": \"{}\"}}", "x".repeat(MAX_DEFINITION_BYTES));
        assert!(said(&large).contains("64 KiB"), "{}", &said(&large)[..80]);
    }
}
