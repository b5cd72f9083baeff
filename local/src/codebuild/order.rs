//! What to build: a project as the emulator keeps it, with the overrides of one `StartBuild`.
//!
//! This is where a request is parsed and judged; past it, everything is known to be within bounds. It asks
//! the emulator nothing and starts nothing.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::protocol::Fault;

/// The build timeout that a project without one has, in minutes.
const DEFAULT_TIMEOUT: u32 = 60;
/// The queue timeout that a project without one has, in minutes (8 hours).
const DEFAULT_QUEUED_TIMEOUT: u32 = 480;
/// `CodeBuild`'s bounds of a build timeout, in minutes (API reference, `StartBuild`).
const TIMEOUT_BOUNDS: std::ops::RangeInclusive<u32> = 5..=2160;
/// `CodeBuild`'s bounds of a queue timeout, in minutes.
const QUEUED_TIMEOUT_BOUNDS: std::ops::RangeInclusive<u32> = 5..=480;

/// Where a variable's value comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum VariableType {
    #[default]
    Plaintext,
    ParameterStore,
    SecretsManager,
}

/// A variable as it was asked for; `value` names the secret where `type` is not `PLAINTEXT`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Variable {
    pub(super) name: String,
    #[serde(default)]
    pub(super) value: String,
    #[serde(default, rename = "type")]
    pub(super) kind: VariableType,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ProjectEnvironment {
    r#type: Option<String>,
    image: Option<String>,
    compute_type: Option<String>,
    environment_variables: Vec<Variable>,
    privileged_mode: Loose,
}

/// A boolean that `CloudFormation` may have written as text.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(untagged)]
enum Loose {
    #[default]
    No,
    Bool(bool),
    Text(String),
}

impl Loose {
    fn is_true(&self) -> bool {
        matches!(self, Self::Bool(true)) || matches!(self, Self::Text(text) if text == "true")
    }
}

/// A project, from `BatchGetProjects`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Project {
    pub(super) name: String,
    pub(super) arn: String,
    #[serde(default)]
    source: Value,
    source_version: Option<String>,
    #[serde(default)]
    artifacts: Value,
    #[serde(default)]
    environment: ProjectEnvironment,
    #[serde(default)]
    service_role: String,
    timeout_in_minutes: Option<u32>,
    queued_timeout_in_minutes: Option<u32>,
    #[serde(default)]
    encryption_key: String,
    #[serde(default)]
    logs_config: Value,
    #[serde(default)]
    cache: Value,
}

/// The parameters of `StartBuild` that this worker honours; others are accepted and have no effect.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StartBuild {
    pub(super) project_name: String,
    pub(super) idempotency_token: Option<String>,
    source_version: Option<String>,
    source_type_override: Option<String>,
    source_location_override: Option<String>,
    buildspec_override: Option<String>,
    git_clone_depth_override: Option<u32>,
    #[serde(default)]
    environment_variables_override: Vec<Variable>,
    environment_type_override: Option<String>,
    image_override: Option<String>,
    compute_type_override: Option<String>,
    privileged_mode_override: Option<bool>,
    service_role_override: Option<String>,
    timeout_in_minutes_override: Option<u32>,
    queued_timeout_in_minutes_override: Option<u32>,
    artifacts_override: Option<Value>,
    logs_config_override: Option<Value>,
    encryption_key_override: Option<String>,
}

/// One build, wholly specified.
#[derive(Clone, Debug)]
pub(super) struct Order {
    pub(super) project: String,
    pub(super) project_arn: String,
    pub(super) region: String,
    pub(super) account: String,
    /// The source as the API shows it, overrides applied.
    pub(super) source: Value,
    pub(super) source_type: String,
    pub(super) source_location: String,
    pub(super) source_version: Option<String>,
    /// Inline text or a path; nothing means `buildspec.yml`.
    pub(super) buildspec: Option<String>,
    pub(super) artifacts: Value,
    pub(super) variables: Vec<Variable>,
    pub(super) environment_type: String,
    pub(super) image: String,
    pub(super) compute_type: String,
    pub(super) is_privileged: bool,
    pub(super) service_role: String,
    pub(super) timeout_minutes: u32,
    pub(super) queued_timeout_minutes: u32,
    pub(super) log_group: String,
    /// What the stream's name begins with, where the project says so.
    pub(super) log_stream_prefix: Option<String>,
    pub(super) encryption_key: String,
    pub(super) cache: Value,
}

impl Order {
    /// `project` with the overrides of `request`. Errors: `InvalidInputException`.
    pub(super) fn new(project: Project, request: StartBuild) -> Result<Self, Fault> {
        let timeout = request.timeout_in_minutes_override;
        let queued = request.queued_timeout_in_minutes_override;
        within("timeoutInMinutes", timeout, &TIMEOUT_BOUNDS)?;
        within("queuedTimeoutInMinutes", queued, &QUEUED_TIMEOUT_BOUNDS)?;
        let source = overridden_source(&project.source, &request)?;
        let text = |name: &str| source.get(name).and_then(Value::as_str).map(str::to_owned);
        let source_type = text("type").unwrap_or_else(|| "NO_SOURCE".to_owned());
        let buildspec = text("buildspec").filter(|spec| !spec.trim().is_empty());
        if source_type == "NO_SOURCE" && !buildspec.as_deref().is_some_and(super::buildspec::is_inline) {
            return Err(Fault::invalid(
                "Invalid buildspec provided: a build with source type NO_SOURCE needs an inline buildspec",
            ));
        }
        let environment = project.environment;
        let variables = merged(environment.environment_variables, request.environment_variables_override)?;
        let logs = request.logs_config_override.unwrap_or(project.logs_config);
        let log = |name: &str| {
            let value = logs.get("cloudWatchLogs")?.get(name)?.as_str()?;
            (!value.is_empty()).then(|| value.to_owned())
        };
        let mut arn = project.arn.split(':').skip(3).map(str::to_owned);
        Ok(Self {
            region: arn.next().unwrap_or_default(),
            account: arn.next().unwrap_or_default(),
            source_location: text("location").unwrap_or_default(),
            source_version: request.source_version.or(project.source_version).filter(|v| !v.is_empty()),
            artifacts: request.artifacts_override.unwrap_or(project.artifacts),
            environment_type: first(request.environment_type_override, environment.r#type, "LINUX_CONTAINER"),
            image: first(request.image_override, environment.image, "aws/codebuild/standard:7.0"),
            compute_type: first(
                request.compute_type_override,
                environment.compute_type,
                "BUILD_GENERAL1_SMALL",
            ),
            is_privileged: request
                .privileged_mode_override
                .unwrap_or_else(|| environment.privileged_mode.is_true()),
            service_role: request.service_role_override.unwrap_or(project.service_role),
            timeout_minutes: timeout.or(project.timeout_in_minutes).unwrap_or(DEFAULT_TIMEOUT),
            queued_timeout_minutes: queued
                .or(project.queued_timeout_in_minutes)
                .unwrap_or(DEFAULT_QUEUED_TIMEOUT),
            log_group: log("groupName").unwrap_or_else(|| format!("/aws/codebuild/{}", project.name)),
            log_stream_prefix: log("streamName"),
            encryption_key: request.encryption_key_override.unwrap_or(project.encryption_key),
            cache: if project.cache.is_null() { json!({"type": "NO_CACHE"}) } else { project.cache },
            project: project.name,
            project_arn: project.arn,
            source,
            source_type,
            buildspec,
            variables,
        })
    }

    /// The address of `resource` (`build/…`, `report/…`) of this project's account and region.
    pub(super) fn arn(&self, resource: &str) -> String {
        format!("arn:aws:codebuild:{}:{}:{resource}", self.region, self.account)
    }
}

fn first(over: Option<String>, own: Option<String>, default: &str) -> String {
    over.or(own).unwrap_or_else(|| default.to_owned())
}

fn within(name: &str, value: Option<u32>, bounds: &std::ops::RangeInclusive<u32>) -> Result<(), Fault> {
    match value {
        Some(value) if !bounds.contains(&value) => Err(Fault::invalid(format!(
            "Invalid {name} {value}: it must be between {} and {} minutes",
            bounds.start(),
            bounds.end()
        ))),
        _ => Ok(()),
    }
}

fn overridden_source(own: &Value, request: &StartBuild) -> Result<Value, Fault> {
    let mut source = own.as_object().cloned().unwrap_or_default();
    if let Some(kind) = &request.source_type_override {
        const KNOWN: [&str; 7] = [
            "NO_SOURCE",
            "GITHUB",
            "CODECOMMIT",
            "GITHUB_ENTERPRISE",
            "BITBUCKET",
            "GITLAB",
            "GITLAB_SELF_MANAGED",
        ];
        if !KNOWN.contains(&kind.as_str()) {
            return Err(Fault::invalid(format!("Invalid source type: {kind}")));
        }
        source.insert("type".to_owned(), json!(kind));
        if kind == "NO_SOURCE" {
            source.remove("location");
        }
    }
    let overrides =
        [("location", &request.source_location_override), ("buildspec", &request.buildspec_override)];
    for (name, value) in overrides {
        if let Some(value) = value {
            source.insert(name.to_owned(), json!(value));
        }
    }
    if let Some(depth) = request.git_clone_depth_override {
        source.insert("gitCloneDepth".to_owned(), json!(depth));
    }
    Ok(Value::Object(source))
}

/// The project's variables with the request's on top, as `CodeBuild` merges them: by name.
fn merged(own: Vec<Variable>, over: Vec<Variable>) -> Result<Vec<Variable>, Fault> {
    let mut all = own;
    if let Some(bad) = all.iter().chain(&over).find(|v| !is_name(&v.name) || v.value.contains('\0')) {
        return Err(Fault::invalid(format!("Invalid environment variable {:?}", bad.name)));
    }
    for variable in over {
        match all.iter_mut().find(|known| known.name == variable.name) {
            Some(known) => *known = variable,
            None => all.push(variable),
        }
    }
    Ok(all)
}

/// Whether a shell can hold a variable of this name.
pub(super) fn is_name(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
}
