//! Sentences about definitions that lie in the repository.

use crate::fact::Cause;
use crate::ids::{EnvironmentName, RepositoryPath};

/// A definition file that can never be used.
pub fn bad_definition(environment: &EnvironmentName, path: &RepositoryPath, problem: &str) -> Cause {
    let summary = format!("{path}: {problem}");
    Cause::new(super::environment_stage(environment), summary, format!("mend {path} and push again"))
}

/// A definition file that the commit does not have.
pub fn no_definition(environment: &EnvironmentName, path: &RepositoryPath, key: &str) -> Cause {
    let summary = format!("the commit has no file {path}, which `{key}` names");
    let advice = format!("add the file, or mend `{key}` in pushway.yml, and push again");
    Cause::new(super::environment_stage(environment), summary, advice)
}

/// All definitions of a plan together are too large.
pub fn definitions_too_large(size: usize, max: usize) -> Cause {
    let summary = format!(
        "the definition files of this pipeline are {size} bytes together, and at most {} KiB are taken",
        max / 1024
    );
    Cause::new("plan", summary, "split the pipeline, or let environments share what does not differ")
}

/// A file that is larger than what is taken.
pub fn definition_too_large(size: usize, max: usize) -> String {
    format!("the file has {size} bytes, and at most {} KiB are taken", max / 1024)
}

/// A file that is not JSON.
pub fn definition_no_json(error: &serde_json::Error) -> String {
    format!("the file is not JSON: {error}")
}

/// A file that is JSON of another kind.
pub fn definition_no_object() -> String {
    "the file must be a JSON object, as `aws ecs register-task-definition --cli-input-json` takes it".into()
}

/// A field that is missing or of another type.
pub fn definition_field(field: &str, expected: &str) -> String {
    format!("`{field}` must be {expected}")
}

/// A container's name that is there twice.
pub fn definition_twice(container: &str) -> String {
    format!("there are two containers {container:?}")
}

/// A container that is to get an image and is not in the file.
pub fn definition_no_container(wanted: &str, known: &[&str]) -> String {
    format!("there is no container {wanted:?}, only {}, and pushway.yml names it", known.join(", "))
}

/// A container that nothing gives an image.
pub fn definition_no_image(container: &str) -> String {
    format!("container {container:?} has no image, and `images` in pushway.yml gives it none")
}

/// A service that has no task definition to copy.
pub fn no_revision(service: &str) -> String {
    format!(
        "service {service} has no deployment to take its task definition from; \
         name a file under `task_definition` in pushway.yml"
    )
}

/// A task that ran before a deploy and did not end well.
pub fn task_failed(container: &str, exit_code: Option<i32>, stopped: &str, reason: &str) -> String {
    let what = match exit_code {
        Some(code) => format!("container {container} exited with code {code}"),
        None => format!("container {container} never ran to its end"),
    };
    let why = [stopped, reason].into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join(": ");
    if why.is_empty() { what } else { format!("{what} ({why})") }
}

/// A task that ECS does not show any more.
pub fn task_gone() -> String {
    "ECS does not know the task any more, so nobody can tell how it ended".into()
}

/// A task that did not end in time.
pub fn task_overdue(seconds: u32) -> String {
    format!("the task had not ended after {seconds} s and was told to stop")
}

/// A deploy that did not begin after a task before it.
pub fn task_stopped_deploy(number: usize, why: &str) -> String {
    format!("task {number} of `before` failed, so the service was not moved: {why}")
}

/// What to do about a task that failed.
pub fn task_advice() -> &'static str {
    "see the task's last log lines, and in what state it left your data; then push a fix"
}

/// A task that another run waits for.
pub fn task_of_another_run(arn: &str) -> String {
    format!("another run waits for the task {arn}; push again")
}

/// A service that would be created without a task.
pub fn service_without_tasks() -> String {
    "`desiredCount` must be a number of at least 1: a deploy is good once the tasks run".into()
}

/// A service that is about to be created in a cluster that is not there.
pub fn no_cluster_for_service(cluster: &str, service: &str) -> String {
    format!(
        "service {service:?} can't be created: there is no active cluster {cluster:?}; create the cluster"
    )
}
