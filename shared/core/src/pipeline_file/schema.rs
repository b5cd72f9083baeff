//! The pipeline file as a whole: its top-level keys, in the order in which one needs the other.
//!
//! The sections have modules of their own: `on`, `jobs` and `environment`. What may stand in a file and how
//! much of it is said in `keys` and `limits`.

use std::collections::BTreeMap;

use super::environment::environments;
use super::expression::{Values, plain};
use super::jobs::{Declared, env, jobs};
use super::limits::{MAX_PLAN_BYTES, MAX_VALUE_BYTES, MAX_VARIABLES};
use super::on::triggers;
use super::reader::{Fields, Reader};
use super::yaml::{Node, Position, Value};
use super::{Context, PipelineFile, keys, messages};
use crate::ids::{PipelineName, VariableName};
use crate::image_file;
use crate::plan::{Concurrency, JobStage, Plan};

/// The whole file, for a run or, without one, for a check.
pub(super) fn pipeline_file(
    reader: &mut Reader<'_>,
    path: &str,
    root: &Node,
    context: Option<&Context>,
) -> Option<PipelineFile> {
    if matches!(root.value, Value::Null) {
        reader.report_as_whole(messages::empty_file());
        return None;
    }
    let fields = reader.fields(root, &keys::TOP)?;
    version(reader, &fields);
    let pipeline =
        reader.required(&fields, "pipeline", "web").and_then(|node| reader.parsed(node, "pipeline"));
    let on = reader
        .required(&fields, "on", "{push: {branches: [main]}}")
        .and_then(|node| triggers(reader, path, node));
    let concurrency = fields.get("concurrency").and_then(|node| {
        let known = [
            ("parallel", Concurrency::Parallel),
            ("queued", Concurrency::Queued),
            ("superseded", Concurrency::Superseded),
        ];
        reader.choice(node, "concurrency", &known, &[])
    });
    let written = fields.get("variables");
    let declared = written.map(|node| variables(reader, node)).unwrap_or_default();
    let at = written.map_or(Position::START, |node| node.at);
    let values = Values::new(reader, at, declared, context);
    let scope = values.scope();
    let shared = fields.get("env").map(|node| env(reader, node, scope)).unwrap_or_default();
    let mut outputs = Declared::new();
    let mut stage = |stage: JobStage| {
        let node = fields.get(stage.as_str());
        // Only the build stage makes what is deployed.
        let mut unused = Declared::new();
        let outputs = if stage == JobStage::Build { &mut outputs } else { &mut unused };
        node.map(|node| jobs(reader, stage, node, &shared, scope, outputs)).unwrap_or_default()
    };
    let (build, test) = (stage(JobStage::Build), stage(JobStage::Test));
    let node = fields.get("environments");
    let mut environments =
        node.map(|node| environments(reader, node, &outputs, &shared, scope)).unwrap_or_default();
    if ["build", "test", "environments"].iter().all(|key| fields.get(key).is_none()) {
        reader.report_as_whole(messages::no_stages());
    }
    let concurrency = concurrency.unwrap_or_default();
    let pipeline: PipelineName = pipeline?;
    for environment in environments.iter_mut().filter(|environment| !environment.place.is_own()) {
        environment.place.pipeline = Some(pipeline.clone());
    }
    let mut plan = Plan { pipeline, concurrency, build, test, environments };
    image_file::mark(&mut plan);
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

/// The variables of `${var.…}`, with the values that they have where a run says nothing else.
fn variables(reader: &mut Reader<'_>, node: &Node) -> BTreeMap<VariableName, String> {
    let mut variables = BTreeMap::new();
    for entry in reader.entries(node, "variables", MAX_VARIABLES).unwrap_or_default() {
        let name = reader.checked::<VariableName>(entry.at, &entry.key);
        let value = plain(reader, &entry.value, &entry.key, MAX_VALUE_BYTES);
        if let (Some(name), Some(value)) = (name, value) {
            variables.insert(name, value.to_owned());
        }
    }
    variables
}
