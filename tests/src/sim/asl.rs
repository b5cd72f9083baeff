//! The subset of the Amazon States Language that the state machine uses, read strictly.
//!
//! A field or a value that the interpreter does not play is refused here, so that the simulation never
//! runs something other than what AWS would.

use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;

use serde::Deserialize;
use serde_json::Value;

/// States and where they begin.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct Machine {
    #[serde(default, rename = "Comment")]
    _comment: String,
    #[serde(default, rename = "ProcessorConfig")]
    _processor_config: Option<ProcessorConfig>,
    pub(super) start_at: String,
    pub(super) states: BTreeMap<String, State>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ProcessorConfig {
    #[serde(rename = "Mode")]
    _mode: Mode,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum Mode {
    Inline,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "Type", deny_unknown_fields)]
pub(super) enum State {
    Task(Task),
    Choice(Choice),
    Map(Map),
    #[serde(rename_all = "PascalCase")]
    Succeed {
        #[serde(default, rename = "Comment")]
        _comment: String,
    },
    Fail(Fail),
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct Task {
    #[serde(default, rename = "Comment")]
    _comment: String,
    pub(super) resource: Resource,
    pub(super) parameters: Invocation,
    pub(super) timeout_seconds: u32,
    pub(super) heartbeat_seconds: Option<u32>,
    #[serde(default)]
    pub(super) retry: Vec<Retrier>,
    #[serde(default)]
    pub(super) catch: Vec<Catcher>,
    #[serde(default = "root")]
    pub(super) result_path: Option<String>,
    pub(super) output_path: Option<String>,
    pub(super) next: Option<String>,
    #[serde(default)]
    pub(super) end: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(super) enum Resource {
    #[serde(rename = "arn:${Partition}:states:::lambda:invoke")]
    Invoke,
    #[serde(rename = "arn:${Partition}:states:::lambda:invoke.waitForTaskToken")]
    InvokeAndWait,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct Invocation {
    pub(super) function_name: String,
    pub(super) payload: BTreeMap<String, Value>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct Retrier {
    pub(super) error_equals: Vec<String>,
    pub(super) interval_seconds: u32,
    pub(super) backoff_rate: f64,
    pub(super) max_attempts: u32,
    pub(super) max_delay_seconds: u32,
    #[serde(rename = "JitterStrategy")]
    _jitter: Jitter,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum Jitter {
    Full,
    None,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct Catcher {
    pub(super) error_equals: Vec<String>,
    #[serde(default = "root")]
    pub(super) result_path: Option<String>,
    pub(super) next: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct Choice {
    #[serde(default, rename = "Comment")]
    _comment: String,
    pub(super) choices: Vec<Rule>,
    pub(super) default: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct Rule {
    pub(super) variable: String,
    pub(super) boolean_equals: bool,
    pub(super) next: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct Map {
    #[serde(default, rename = "Comment")]
    _comment: String,
    pub(super) items_path: String,
    pub(super) max_concurrency: usize,
    pub(super) item_selector: BTreeMap<String, Value>,
    pub(super) item_processor: Machine,
    #[serde(default)]
    pub(super) catch: Vec<Catcher>,
    #[serde(default = "root")]
    pub(super) result_path: Option<String>,
    pub(super) next: Option<String>,
    #[serde(default)]
    pub(super) end: bool,
}

/// Error and cause: paths, or expressions of the one form that the interpreter knows.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct Fail {
    #[serde(default, rename = "Comment")]
    _comment: String,
    #[serde(default, rename = "QueryLanguage")]
    _query_language: Option<QueryLanguage>,
    pub(super) error: Option<String>,
    pub(super) cause: Option<String>,
    pub(super) error_path: Option<String>,
    pub(super) cause_path: Option<String>,
}

#[derive(Debug, Deserialize)]
enum QueryLanguage {
    #[serde(rename = "JSONata")]
    Jsonata,
    #[serde(rename = "JSONPath")]
    JsonPath,
}

#[expect(clippy::unnecessary_wraps, reason = "serde wants the field's own type; null means to discard")]
fn root() -> Option<String> {
    Some("$".into())
}

/// The state machine of this repository.
///
/// # Panics
/// When it can't be read, or says something that the interpreter does not play.
pub(super) fn of_this_repository() -> Rc<Machine> {
    thread_local! {
        static MACHINE: Rc<Machine> = {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../statemachine/pipeline.asl.json");
            let text = std::fs::read_to_string(&path)
                .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let machine = serde_json::from_str(&text);
            Rc::new(machine.unwrap_or_else(|error| panic!("{}: {error}", path.display())))
        };
    }
    MACHINE.with(Rc::clone)
}
