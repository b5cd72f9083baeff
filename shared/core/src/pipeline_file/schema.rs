//! The keys of a pipeline file from the top down to its jobs, and the limits on them.
//!
//! What is not listed here is refused: a key that was ignored would be a promise that nobody keeps.
//! Environments are read by `environment`.

use std::collections::{BTreeMap, BTreeSet};

use super::PipelineFile;
use super::environment::environments;
use super::filter::{Filter, Pattern, Triggers};
use super::messages;
use super::problem::printable;
use super::reader::{Fields, Keys, Reader};
use super::yaml::{Entry, MAX_TEXT_BYTES, Node, Position, Value};
use crate::ids::{JobName, VariableName};
use crate::plan::{Arch, Compute, JobPlan, JobStage, Plan, SecretRef};

const AT_TOP: Keys = Keys {
    of: "a pipeline file",
    known: &["version", "pipeline", "on", "env", "build", "test", "environments"],
    later: messages::LATER_AT_TOP,
};
const ON: Keys = Keys { of: "`on`", known: &["push"], later: messages::LATER_ON };
const PUSH: Keys = Keys { of: "`push`", known: &["branches", "tags"], later: messages::LATER_PUSH };
const JOB: Keys = Keys {
    of: "a job",
    known: &["buildspec", "image", "compute", "arch", "timeout", "retries", "env", "secrets", "outputs"],
    later: messages::LATER_JOB,
};

/// A stage is one Map state; its history must leave room for the other stages of the run.
const MAX_JOBS: usize = 50;
/// Enough for any service, and far below what a build's request can carry.
const MAX_VARIABLES: usize = 100;
const MAX_OUTPUTS: usize = 50;
const MAX_PATTERNS: usize = 100;
const MAX_PATTERN_BYTES: usize = 255;
const MAX_VALUE_BYTES: usize = 4096;
const MAX_RETRIES: u16 = 5;
/// `CodeBuild` takes timeouts from 5 minutes to 36 hours (API Reference, "StartBuild"); a build of more than
/// 8 hours is beyond what the state machine waits for.
const JOB_SECONDS: std::ops::RangeInclusive<u32> = 300..=8 * 3600;
const DEFAULT_JOB_SECONDS: u32 = 20 * 60;
/// A plan lies beside the run, whose item must stay far from 400 KB.
const MAX_PLAN_BYTES: usize = 128 * 1024;

/// Variables as written: the name, and where its value stands.
type Variables<'n> = BTreeMap<VariableName, &'n Node>;

/// The build stage's jobs and their outputs, for the expressions; no outputs where they were unreadable.
pub(super) type Declared<'n> = BTreeMap<&'n str, Option<BTreeSet<&'n str>>>;

/// The whole file.
pub(super) fn pipeline_file(reader: &mut Reader<'_>, path: &str, root: &Node) -> Option<PipelineFile> {
    if matches!(root.value, Value::Null) {
        reader.report_as_whole(messages::empty_file());
        return None;
    }
    let fields = reader.fields(root, &AT_TOP)?;
    version(reader, &fields);
    let pipeline =
        reader.required(&fields, "pipeline", "web").and_then(|node| reader.parsed(node, "pipeline"));
    let on = reader
        .required(&fields, "on", "{push: {branches: [main]}}")
        .and_then(|node| triggers(reader, path, node));
    let shared = fields.get("env").map(|node| env(reader, node)).unwrap_or_default();
    let mut declared = Declared::new();
    let mut stage = |stage: JobStage| {
        let node = fields.get(stage.as_str());
        node.map(|node| jobs(reader, stage, node, &shared, &mut declared)).unwrap_or_default()
    };
    let (build, test) = (stage(JobStage::Build), stage(JobStage::Test));
    let environments =
        fields.get("environments").map(|node| environments(reader, node, &declared)).unwrap_or_default();
    if ["build", "test", "environments"].iter().all(|key| fields.get(key).is_none()) {
        reader.report_as_whole(messages::no_stages());
    }
    let plan = Plan { pipeline: pipeline?, build, test, environments };
    let size = serde_json::to_string(&plan).map_or(usize::MAX, |json| json.len());
    if size > MAX_PLAN_BYTES {
        reader.report_as_whole(messages::plan_too_large(MAX_PLAN_BYTES));
    }
    Some(PipelineFile { on: on?, plan })
}

fn version(reader: &mut Reader<'_>, fields: &Fields<'_>) {
    let Some(node) = reader.required(fields, "version", "1") else { return };
    match node.value {
        Value::Integer(1) => {}
        Value::Integer(other) => reader.report(node.at, messages::unknown_version(other)),
        _ => reader.wrong_type(node, "version", "a whole number").unwrap_or_default(),
    }
}

fn triggers(reader: &mut Reader<'_>, path: &str, node: &Node) -> Option<Triggers> {
    let fields = reader.fields(node, &ON)?;
    let push = reader.required(&fields, "push", "{branches: [main]}")?;
    let push_fields = reader.fields(push, &PUSH)?;
    if ["branches", "tags"].iter().all(|key| push_fields.get(key).is_none()) {
        return reader.fail(push.at, messages::no_ref_filter());
    }
    let mut filter = |key| push_fields.get(key).and_then(|node| filter(reader, node, key));
    let (branches, tags) = (filter("branches"), filter("tags"));
    Some(Triggers { path: printable(path, 200), branches, tags })
}

fn filter(reader: &mut Reader<'_>, node: &Node, key: &str) -> Option<Filter> {
    let items = reader.list(node, key, MAX_PATTERNS)?;
    if items.is_empty() {
        return reader.fail(node.at, messages::none_given(key, "a pattern"));
    }
    let mut patterns = Vec::with_capacity(items.len());
    for item in items {
        let Some(text) = reader.text(item, key, MAX_PATTERN_BYTES) else { continue };
        match Pattern::new(text) {
            Ok(pattern) => patterns.push(pattern),
            Err(words) => reader.report(item.at, words),
        }
    }
    if patterns.len() < items.len() {
        return None;
    }
    Filter::new(patterns).map_err(|words| reader.report(node.at, words)).ok()
}

fn jobs<'n>(
    reader: &mut Reader<'_>,
    stage: JobStage,
    node: &'n Node,
    shared: &Variables<'n>,
    declared: &mut Declared<'n>,
) -> Vec<JobPlan> {
    let Some(entries) = reader.entries(node, stage.as_str(), MAX_JOBS) else { return Vec::new() };
    if entries.is_empty() {
        reader.report(node.at, messages::none_given(stage.as_str(), "a job"));
    }
    let read = |entry: &'n Entry| {
        if stage == JobStage::Build {
            declared.insert(&entry.key, outputs_as_written(&entry.value));
        }
        job(reader, entry, shared)
    };
    entries.iter().filter_map(read).collect()
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

fn job<'n>(reader: &mut Reader<'_>, entry: &'n Entry, shared: &Variables<'n>) -> Option<JobPlan> {
    let name = reader.checked::<JobName>(entry.at, &entry.key);
    let fields = reader.fields(&entry.value, &JOB)?;
    let buildspec = reader
        .required(&fields, "buildspec", "buildspec.yml")
        .and_then(|node| reader.parsed(node, "buildspec"));
    let image = fields.get("image").and_then(|node| build_image(reader, node));
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
    let (env, secrets) = variables(reader, &fields, shared);
    Some(JobPlan {
        name: name?,
        buildspec: buildspec?,
        image,
        compute: compute.unwrap_or_default(),
        arch,
        timeout_seconds: timeout.unwrap_or(DEFAULT_JOB_SECONDS),
        retries: retries.and_then(|retries| u8::try_from(retries).ok()).unwrap_or_default(),
        outputs,
        env,
        secrets,
    })
}

fn build_image(reader: &mut Reader<'_>, node: &Node) -> Option<String> {
    let text = reader.text(node, "image", MAX_TEXT_BYTES)?;
    let is_reference = (1..=512).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"/:@._-".contains(&b))
        && text.starts_with(|c: char| c.is_ascii_alphanumeric());
    if is_reference { Some(text.to_owned()) } else { reader.fail(node.at, messages::bad_build_image(text)) }
}

fn outputs(reader: &mut Reader<'_>, node: &Node) -> Vec<VariableName> {
    let mut outputs = Vec::new();
    for item in reader.list(node, "outputs", MAX_OUTPUTS).unwrap_or_default() {
        let Some(text) = reader.text(item, "outputs", MAX_TEXT_BYTES) else { continue };
        let Some(name) = variable_name(reader, item.at, text) else { continue };
        if outputs.contains(&name) {
            reader.report(item.at, messages::duplicate_output(text));
        } else {
            outputs.push(name);
        }
    }
    outputs
}

/// The variables of a job: the pipeline's, the job's own on top, and its secrets.
fn variables<'n>(
    reader: &mut Reader<'_>,
    fields: &Fields<'n>,
    shared: &Variables<'n>,
) -> (BTreeMap<VariableName, String>, BTreeMap<VariableName, SecretRef>) {
    let mut values = shared.clone();
    values.extend(fields.get("env").map(|node| env(reader, node)).unwrap_or_default());
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
    let text = |node: &Node| if let Value::Text(text) = &node.value { text.clone() } else { String::new() };
    (values.into_iter().map(|(name, node)| (name, text(node))).collect(), secrets)
}

/// An `env` map with checked names and values.
fn env<'n>(reader: &mut Reader<'_>, node: &'n Node) -> Variables<'n> {
    let mut variables = Variables::new();
    for entry in reader.entries(node, "env", MAX_VARIABLES).unwrap_or_default() {
        let name = variable_name(reader, entry.at, &entry.key);
        let value = reader.text(&entry.value, &entry.key, MAX_VALUE_BYTES);
        if value.is_some_and(|text| text.contains("${build.") || text.contains("${test.")) {
            reader.report(entry.value.at, messages::expression_out_of_place(&entry.key));
        }
        if let (Some(name), Some(_)) = (name, value) {
            variables.insert(name, &entry.value);
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
