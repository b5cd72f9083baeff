//! Deploying to the emulator: an unmodified `sam deploy`, one way for every template.
//!
//! Installation and examples go the same road as on AWS: package, upload, change set, outputs. This module
//! gives `sam` an environment that reaches the emulator only, and must not change a template.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context as _, bail};
use serde::Deserialize;
use tokio::process::Command;

use crate::{AwsError, Emulator, engine::Running, process};

/// Where `sam` uploads packages to; made before each deploy.
const BUCKET: &str = "pushway-artifacts";
/// `CloudFormation`'s API version, which its Query protocol asks for.
const VERSION: (&str, &str) = ("Version", "2010-05-15");

/// Deploys `template` as `stack` with `parameters` and returns the stack's outputs. Deploying what is
/// already there is fine. Relative paths in the template are relative to it, as `sam` has it.
pub async fn deploy(
    running: &Running,
    stack: &str,
    template: &Path,
    parameters: &[(&str, &str)],
) -> anyhow::Result<BTreeMap<String, String>> {
    let emulator = running.emulator()?;
    create_bucket(&emulator, BUCKET).await?;
    let template = template.canonicalize().with_context(|| format!("template {}", template.display()))?;
    let log = running.layout.logs().join(format!("sam-{stack}.log"));
    let mut sam = sam_deploy(running, stack, &template, parameters)?;
    let file = process::open_log(&log)?;
    let errors = file.try_clone().context("share the log file")?;
    sam.stdin(Stdio::null()).stdout(file).stderr(errors).kill_on_drop(true);
    let status = sam.status().await.context("start sam; run `pushway local up` to install it")?;
    if !status.success() {
        bail!(
            "sam deploy of {} failed with {status}; see {}:\n{}",
            template.display(),
            log.display(),
            process::tail(&log, 20)
        );
    }
    outputs(&emulator, stack).await
}

/// The outputs of a deployed stack.
pub async fn outputs(emulator: &Emulator, stack: &str) -> anyhow::Result<BTreeMap<String, String>> {
    let xml = emulator.query("cloudformation", "DescribeStacks", &[("StackName", stack), VERSION]).await?;
    let answer: Answer = quick_xml::de::from_str(&xml).context("read the answer of DescribeStacks")?;
    let stack =
        answer.result.stacks.member.into_iter().next().with_context(|| format!("no stack {stack}"))?;
    let outputs = stack.outputs.unwrap_or_default().member.into_iter();
    Ok(outputs.map(|output| (output.output_key, output.output_value)).collect())
}

/// Creates the bucket; one that is there already is fine.
async fn create_bucket(emulator: &Emulator, bucket: &str) -> anyhow::Result<()> {
    match emulator.rest("s3", http::Method::PUT, &format!("/{bucket}"), Vec::new(), &[]).await {
        Ok(_) => Ok(()),
        Err(error) => match error.downcast_ref::<AwsError>() {
            Some(refusal) if refusal.code.starts_with("BucketAlready") => Ok(()),
            _ => Err(error).context("create the bucket for packages"),
        },
    }
}

fn sam_deploy(
    running: &Running,
    stack: &str,
    template: &Path,
    parameters: &[(&str, &str)],
) -> anyhow::Result<Command> {
    // A samconfig.toml beside the template is meant for AWS; an empty one keeps sam from reading it.
    let config = running.layout.local().join("samconfig.toml");
    std::fs::write(&config, "").with_context(|| format!("write {}", config.display()))?;
    let mut sam = Command::new(running.layout.venv_bin().join("sam"));
    sam.arg("deploy").arg("--template-file").arg(template).args(["--stack-name", stack]);
    sam.arg("--config-file").arg(&config).args(["--s3-bucket", BUCKET, "--s3-prefix", stack]);
    sam.args(["--capabilities", "CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"]);
    sam.args(["--no-confirm-changeset", "--no-fail-on-empty-changeset", "--no-progressbar"]);
    sam.args(["--region", &running.endpoints.region]);
    if !parameters.is_empty() {
        sam.arg("--parameter-overrides");
        for (name, value) in parameters {
            sam.arg(override_of(name, value)?);
        }
    }
    let folder = template.parent().map_or_else(PathBuf::new, Path::to_path_buf);
    sam.current_dir(folder).envs(running.env()?).env("HOME", running.layout.home());
    sam.envs([("SAM_CLI_TELEMETRY", "0"), ("SAM_CLI_CHECK_VERSION", "0"), ("PYTHONUNBUFFERED", "1")]);
    Ok(sam)
}

/// `Name="value"`, the form in which `sam` takes any text.
fn override_of(name: &str, value: &str) -> anyhow::Result<String> {
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        bail!("template parameter {name:?} must be letters and digits");
    }
    Ok(format!("{name}=\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"")))
}

#[derive(Deserialize)]
struct Answer {
    #[serde(rename = "DescribeStacksResult")]
    result: Stacks,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Stacks {
    stacks: Members<Stack>,
}

#[derive(Deserialize)]
struct Members<T> {
    #[serde(default = "Vec::new")]
    member: Vec<T>,
}

impl<T> Default for Members<T> {
    fn default() -> Self {
        Self { member: Vec::new() }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Stack {
    outputs: Option<Members<Output>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Output {
    output_key: String,
    #[serde(default)]
    output_value: String,
}
