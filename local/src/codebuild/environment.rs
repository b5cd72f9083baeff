//! The variables a build's commands see, and which of their values must not be seen in its log.
//!
//! Order, strongest first (user guide, "Environment variables in build environments"): the request's, the
//! project's, the buildspec's. Secrets are read with the build's own role, so a role that may not read
//! one fails here as it would on AWS. It never writes a value into a command.

use std::{collections::BTreeMap, fmt};

use anyhow::Context as _;
use serde_json::{Value, json};

use super::{
    Config,
    buildspec::Env,
    order::{Order, Variable, VariableType},
    record::Build,
};
use crate::Emulator;

/// Variables of this process that builds in a host shell keep, so that the user's tools are found.
/// Nothing of AWS is among them.
const KEPT: [&str; 14] = [
    "HOME",
    "USER",
    "LOGNAME",
    "LANG",
    "LC_ALL",
    "TZ",
    "TMPDIR",
    "CARGO_HOME",
    "RUSTUP_HOME",
    "RUSTUP_TOOLCHAIN",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "JAVA_HOME",
    "XDG_RUNTIME_DIR",
];

/// Resolved variables.
#[derive(Clone, Default)]
pub(super) struct Environment {
    /// By name.
    pub(super) variables: BTreeMap<String, String>,
    /// Values that the log must not show.
    pub(super) secrets: Vec<String>,
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment").field("names", &self.variables.keys()).finish_non_exhaustive()
    }
}

impl Environment {
    /// Reads every secret as `role` and puts all variables together.
    pub(super) async fn resolve(order: &Order, env: &Env, role: &Emulator) -> anyhow::Result<Self> {
        let of = |map: &BTreeMap<String, String>, kind| {
            map.iter()
                .map(|(name, value)| Variable { name: name.clone(), value: value.clone(), kind })
                .collect::<Vec<_>>()
        };
        let mut wanted = of(&env.variables, VariableType::Plaintext);
        wanted.extend(of(&env.parameter_store, VariableType::ParameterStore));
        wanted.extend(of(&env.secrets_manager, VariableType::SecretsManager));
        wanted.extend(order.variables.iter().cloned());
        // A name asked for twice is read once, from where it is stronger.
        let wanted: BTreeMap<String, Variable> = wanted.into_iter().map(|v| (v.name.clone(), v)).collect();

        let mut environment = Self::default();
        for (name, variable) in wanted {
            let value = match variable.kind {
                VariableType::Plaintext => variable.value,
                VariableType::ParameterStore => parameter(role, &variable.value)
                    .await
                    .with_context(|| format!("variable {name}: parameter {:?}", variable.value))?,
                VariableType::SecretsManager => secret(role, &variable.value)
                    .await
                    .with_context(|| format!("variable {name}: secret {:?}", variable.value))?,
            };
            if variable.kind != VariableType::Plaintext {
                environment.secrets.push(value.clone());
            }
            environment.variables.insert(name, value);
        }
        Ok(environment)
    }

    /// Adds what `CodeBuild` sets itself, which no one else's variable may replace.
    pub(super) fn add_standard(&mut self, build: &Build, order: &Order, source_dir: &str, role: &Emulator) {
        let mut set = |name: &str, value: String| {
            self.variables.insert(name.to_owned(), value);
        };
        for (name, value) in role.env() {
            set(&name, value);
        }
        set("CI", "true".to_owned());
        set("CODEBUILD_CI", "true".to_owned());
        set("CODEBUILD_BUILD_ARN", build.arn.clone());
        set("CODEBUILD_BUILD_ID", build.id.clone());
        set("CODEBUILD_BUILD_IMAGE", order.image.clone());
        set("CODEBUILD_BUILD_NUMBER", build.build_number.to_string());
        set("CODEBUILD_BUILD_SUCCEEDING", "1".to_owned());
        set("CODEBUILD_BUILD_URL", build.logs.deep_link.clone());
        set("CODEBUILD_INITIATOR", build.initiator.clone());
        set("CODEBUILD_KMS_KEY_ID", build.encryption_key.clone());
        set("CODEBUILD_LOG_PATH", build.logs.stream_name.clone());
        set("CODEBUILD_PROJECT_ARN", order.project_arn.clone());
        set("CODEBUILD_RESOLVED_SOURCE_VERSION", build.resolved_source_version.clone().unwrap_or_default());
        set("CODEBUILD_SOURCE_REPO_URL", order.source_location.clone());
        set("CODEBUILD_SOURCE_VERSION", order.source_version.clone().unwrap_or_default());
        set("CODEBUILD_SRC_DIR", source_dir.to_owned());
        #[expect(clippy::cast_possible_truncation, reason = "milliseconds since the epoch fit in an i64")]
        set("CODEBUILD_START_TIME", ((build.start_time * 1000.0) as i64).to_string());
    }

    /// Adds what a shell on this machine needs; a container brings its own.
    pub(super) fn add_host(&mut self, config: &Config) {
        for name in KEPT {
            if let Ok(value) = std::env::var(name) {
                self.variables.entry(name.to_owned()).or_insert(value);
            }
        }
        let path = search_path(config);
        self.variables.entry("PATH".to_owned()).or_insert(path);
    }
}

/// The worker's `PATH` for programs of this machine, the configured folders first.
pub(super) fn search_path(config: &Config) -> String {
    let own = std::env::var_os("PATH").unwrap_or_default();
    let folders = config.path.iter().cloned().chain(std::env::split_paths(&own));
    // A folder with a colon in its name cannot be in any PATH.
    let folders = folders.filter(|folder| !folder.to_string_lossy().contains(':'));
    std::env::join_paths(folders).map(|path| path.to_string_lossy().into_owned()).unwrap_or_default()
}

async fn parameter(role: &Emulator, name: &str) -> anyhow::Result<String> {
    let body = json!({"Name": name, "WithDecryption": true});
    let answer = role.json("ssm", "AmazonSSM.GetParameter", body).await?;
    text_at(&answer, "/Parameter/Value")
}

async fn secret(role: &Emulator, reference: &str) -> anyhow::Result<String> {
    let reference = SecretReference::parse(reference);
    let mut body = json!({"SecretId": reference.id});
    for (name, value) in [("VersionStage", reference.stage), ("VersionId", reference.version)] {
        if let Some(value) = value {
            body[name] = json!(value);
        }
    }
    let answer = role.json("secretsmanager", "secretsmanager.GetSecretValue", body).await?;
    let text = text_at(&answer, "/SecretString")?;
    let Some(key) = reference.key else { return Ok(text) };
    let fields: Value = serde_json::from_str(&text).context("the secret is not JSON")?;
    match fields.get(key) {
        Some(Value::String(value)) => Ok(value.clone()),
        Some(value) => Ok(value.to_string()),
        None => anyhow::bail!("the secret has no key {key:?}"),
    }
}

fn text_at(answer: &Value, pointer: &str) -> anyhow::Result<String> {
    let text = answer.pointer(pointer).and_then(Value::as_str);
    text.map(str::to_owned).with_context(|| format!("the answer has no text at {pointer}"))
}

/// `secret-id:json-key:version-stage:version-id`, all but the first optional; the id may be an ARN.
#[derive(Debug, PartialEq, Eq)]
struct SecretReference<'a> {
    id: &'a str,
    key: Option<&'a str>,
    stage: Option<&'a str>,
    version: Option<&'a str>,
}

impl<'a> SecretReference<'a> {
    fn parse(text: &'a str) -> Self {
        // An ARN of a secret has seven parts of its own.
        let own_colons = if text.starts_with("arn:") { 6 } else { 0 };
        let end = text.match_indices(':').nth(own_colons).map_or(text.len(), |(at, _)| at);
        let (id, rest) = text.split_at(end);
        let mut rest = rest.split(':').skip(1).map(|part| (!part.is_empty()).then_some(part));
        let mut next = || rest.next().flatten();
        Self { id, key: next(), stage: next(), version: next() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_named_in_every_documented_way() {
        let parts = |text| {
            let it = SecretReference::parse(text);
            (it.id, it.key, it.stage, it.version)
        };
        assert_eq!(parts("npm"), ("npm", None, None, None));
        assert_eq!(parts("npm:token"), ("npm", Some("token"), None, None));
        assert_eq!(parts("npm::AWSPREVIOUS"), ("npm", None, Some("AWSPREVIOUS"), None));
        let arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:npm-AbCdEf";
        assert_eq!(parts(arn), (arn, None, None, None));
        let long = format!("{arn}:token::v1");
        assert_eq!(parts(&long), (arn, Some("token"), None, Some("v1")));
    }
}
