//! The jobs of one stage: their keys, matrices expanded, needs resolved.
//!
//! A job is read once for each combination of its matrix, because every value may depend on it; a mistake
//! that all combinations share is reported once.

use std::collections::{BTreeMap, BTreeSet};

use super::expression::{Scope, plain};
use super::limits::{
    DEFAULT_JOB_SECONDS, JOB_SECONDS, MAX_JOBS, MAX_OUTPUTS, MAX_PATTERN_BYTES, MAX_REPORTS, MAX_RETRIES,
    MAX_VALUE_BYTES, MAX_VARIABLES,
};
use super::matrix::{self, Combination};
use super::needs::{self, Group};
use super::reader::{Fields, Reader};
use super::yaml::{Entry, MAX_TEXT_BYTES, Node, Position, Value};
use super::{keys, messages};
use crate::ids::{JobName, RepositoryPath, VariableName};
use crate::plan::{Arch, Compute, JobPlan, JobStage, SecretRef};

/// Variables with their values put together.
pub(super) type Variables = BTreeMap<VariableName, String>;

/// The build stage's jobs and their outputs, for the expressions; no outputs where they were unreadable.
pub(super) type Declared<'n> = BTreeMap<String, Option<BTreeSet<&'n str>>>;

/// A job as written, with the combinations of its matrix: one empty one where it has no matrix, none where
/// its matrix is wrong.
struct Written<'n> {
    entry: &'n Entry,
    fields: Fields<'n>,
    combinations: Vec<Combination<'n>>,
}

/// Reads a stage, and what its jobs export into `declared`.
pub(super) fn jobs<'n>(
    reader: &mut Reader<'_>,
    stage: JobStage,
    node: &'n Node,
    shared: &Variables,
    scope: Scope<'_>,
    declared: &mut Declared<'n>,
) -> Vec<JobPlan> {
    let Some(entries) = reader.entries(node, stage.as_str(), MAX_JOBS) else { return Vec::new() };
    if entries.is_empty() {
        reader.report(node.at, messages::none_given(stage.as_str(), "a job"));
    }
    let mut written: Vec<_> = entries.iter().filter_map(|entry| as_written(reader, entry)).collect();
    let count: usize = written.iter().map(|job| job.combinations.len()).sum();
    if count > MAX_JOBS {
        reader.report(node.at, messages::too_many_jobs(stage.as_str(), count, MAX_JOBS));
        // One of each is enough to find the other mistakes.
        for job in &mut written {
            job.combinations.truncate(1);
        }
    }
    let (mut plans, mut groups) = (Vec::new(), Vec::new());
    for job in &written {
        let names: Vec<String> =
            job.combinations.iter().map(|values| matrix::job_name(&job.entry.key, values)).collect();
        for name in &names {
            declared.insert(name.clone(), outputs_as_written(&job.entry.value));
        }
        groups.push(Group::new(
            reader,
            job.entry,
            job.fields.get("needs"),
            plans.len()..plans.len() + names.len(),
        ));
        plans.extend(expanded(reader, job, names, shared, scope));
    }
    needs::resolve(reader, entries, &groups, &mut plans);
    plans.into_iter().flatten().collect()
}

fn as_written<'n>(reader: &mut Reader<'_>, entry: &'n Entry) -> Option<Written<'n>> {
    let fields = reader.fields(&entry.value, &keys::JOB)?;
    let combinations = match fields.get("matrix") {
        Some(node) => matrix::combinations(reader, node).unwrap_or_default(),
        None => vec![Vec::new()],
    };
    Some(Written { entry, fields, combinations })
}

/// One plan, or none where it was wrong, for each name.
fn expanded(
    reader: &mut Reader<'_>,
    job: &Written<'_>,
    names: Vec<String>,
    shared: &Variables,
    scope: Scope<'_>,
) -> Vec<Option<JobPlan>> {
    let mut good = true;
    let mut read = |(name, values): (String, &Combination<'_>)| {
        // What is wrong in one combination is most often wrong in all.
        if !good {
            return None;
        }
        let name = reader.checked::<JobName>(job.entry.at, &name);
        let plan = plan(reader, name, &job.fields, shared, scope.with_matrix(values));
        good = plan.is_some();
        plan
    };
    names.into_iter().zip(&job.combinations).map(&mut read).collect()
}

fn plan(
    reader: &mut Reader<'_>,
    name: Option<JobName>,
    fields: &Fields<'_>,
    shared: &Variables,
    scope: Scope<'_>,
) -> Option<JobPlan> {
    let before = reader.count();
    let buildspec = reader.required(fields, "buildspec", "buildspec.yml").and_then(|node| {
        let text = plain(reader, node, "buildspec", MAX_TEXT_BYTES)?;
        reader.checked::<RepositoryPath>(node.at, text)
    });
    let image = fields.get("image").and_then(|node| build_image(reader, node, scope));
    let compute = fields.get("compute").and_then(|node| {
        let known = [
            ("small", Compute::Small),
            ("medium", Compute::Medium),
            ("large", Compute::Large),
            ("xlarge", Compute::Xlarge),
        ];
        reader.choice(node, "compute", &known, &[])
    });
    let arch = fields.get("arch").and_then(|node| {
        reader.choice(node, "arch", &[("arm64", Arch::Arm64), ("x86_64", Arch::X86_64)], &[])
    });
    let timeout = fields.get("timeout").and_then(|node| reader.seconds(node, "timeout", JOB_SECONDS));
    let retries = fields.get("retries").and_then(|node| reader.integer(node, "retries", 0..=MAX_RETRIES));
    let outputs = fields.get("outputs").map(|node| outputs(reader, node)).unwrap_or_default();
    let reports = fields.get("reports").map(|node| reports(reader, node)).unwrap_or_default();
    let (env, secrets) = variables(reader, fields, shared, scope);
    if reader.count() > before {
        return None;
    }
    Some(JobPlan {
        name: name?,
        buildspec: buildspec?,
        image,
        compute: compute.unwrap_or_default(),
        arch,
        timeout_seconds: timeout.unwrap_or(DEFAULT_JOB_SECONDS),
        retries: retries.and_then(|retries| u8::try_from(retries).ok()).unwrap_or_default(),
        needs: Vec::new(),
        outputs,
        image_files: Vec::new(),
        reports,
        env,
        secrets,
    })
}

/// A job that is a check of an environment: with the pipeline's variables, and a name of its own.
pub(super) fn check_job(
    reader: &mut Reader<'_>,
    node: &Node,
    shared: &Variables,
    scope: Scope<'_>,
) -> Option<JobPlan> {
    let fields = reader.fields(node, &keys::CHECK_JOB)?;
    let name = reader.required(&fields, "name", "smoke").and_then(|node| reader.parsed(node, "name"));
    plan(reader, name, &fields, shared, scope)
}

fn build_image(reader: &mut Reader<'_>, node: &Node, scope: Scope<'_>) -> Option<String> {
    let text = scope.text(reader, node, "image", MAX_TEXT_BYTES)?;
    let is_reference = (1..=512).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"/:@._-".contains(&b))
        && text.starts_with(|c: char| c.is_ascii_alphanumeric());
    if is_reference { Some(text) } else { reader.fail(node.at, messages::bad_build_image(&text)) }
}

/// What a job says it exports, whatever else is wrong with it, so that one mistake is reported once.
fn outputs_as_written(job: &Node) -> Option<BTreeSet<&str>> {
    let Value::Map(entries) = &job.value else { return None };
    let Some(outputs) = entries.iter().find(|entry| entry.key == "outputs") else {
        return Some(BTreeSet::new());
    };
    let Value::List(items) = &outputs.value.value else { return None };
    items
        .iter()
        .map(|item| if let Value::Text(text) = &item.value { Some(text.as_str()) } else { None })
        .collect()
}

fn outputs(reader: &mut Reader<'_>, node: &Node) -> Vec<VariableName> {
    let mut outputs = Vec::new();
    for item in reader.list(node, "outputs", MAX_OUTPUTS).unwrap_or_default() {
        let Some(text) = reader.text(item, "outputs", MAX_TEXT_BYTES) else { continue };
        let Some(name) = variable_name(reader, item.at, text) else { continue };
        if outputs.contains(&name) {
            reader.report(item.at, messages::listed_twice("outputs", text));
        } else {
            outputs.push(name);
        }
    }
    outputs
}

/// Patterns of files in the job's working directory: paths that stay inside it.
fn reports(reader: &mut Reader<'_>, node: &Node) -> Vec<String> {
    let mut reports = Vec::new();
    for item in reader.list(node, "reports", MAX_REPORTS).unwrap_or_default() {
        let Some(text) = plain(reader, item, "reports", MAX_PATTERN_BYTES) else { continue };
        if reader.checked::<RepositoryPath>(item.at, text).is_some() {
            reports.push(text.to_owned());
        }
    }
    reports
}

/// The variables of a job: the pipeline's, the job's own on top, and its secrets.
fn variables(
    reader: &mut Reader<'_>,
    fields: &Fields<'_>,
    shared: &Variables,
    scope: Scope<'_>,
) -> (Variables, BTreeMap<VariableName, SecretRef>) {
    let mut values = shared.clone();
    values.extend(fields.get("env").map(|node| env(reader, node, scope)).unwrap_or_default());
    let mut secrets = BTreeMap::new();
    let written = fields.get("secrets").and_then(|node| reader.entries(node, "secrets", MAX_VARIABLES));
    for entry in written.unwrap_or_default() {
        let Some(name) = variable_name(reader, entry.at, &entry.key) else { continue };
        if values.contains_key(&name) {
            reader.report(entry.at, messages::env_and_secret(&entry.key));
        }
        let reference = if let Value::Text(text) = &entry.value.value { text.parse().ok() } else { None };
        match reference {
            Some(reference) => {
                secrets.insert(name, reference);
            }
            None => reader.report_hidden(entry.value.at, messages::not_a_secret_reference()),
        }
    }
    let count = values.len() + secrets.len();
    if let Some(node) = fields.get("env").or(fields.get("secrets")).filter(|_| count > MAX_VARIABLES) {
        reader.report(node.at, messages::too_many_variables(count, MAX_VARIABLES));
    }
    (values, secrets)
}

/// An `env` map with checked names and values.
pub(super) fn env(reader: &mut Reader<'_>, node: &Node, scope: Scope<'_>) -> Variables {
    let mut variables = Variables::new();
    for entry in reader.entries(node, "env", MAX_VARIABLES).unwrap_or_default() {
        let name = variable_name(reader, entry.at, &entry.key);
        let value = scope.text(reader, &entry.value, &entry.key, MAX_VALUE_BYTES);
        if let (Some(name), Some(value)) = (name, value) {
            variables.insert(name, value);
        }
    }
    variables
}

fn variable_name(reader: &mut Reader<'_>, at: Position, text: &str) -> Option<VariableName> {
    let name = reader.checked::<VariableName>(at, text)?;
    let upper = text.to_ascii_uppercase();
    if ["AWS_", "CODEBUILD_", "PUSHWAY_"].iter().any(|prefix| upper.starts_with(prefix)) {
        return reader.fail(at, messages::reserved_variable(text));
    }
    Some(name)
}
