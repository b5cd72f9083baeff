//! `CodeBuild`: starts, finds and stops builds. Reading them back is in `view`
//! and `reports`.
//!
//! Nothing is left to the project's defaults that a run depends on: source, limits and variables are given
//! with each build. A build is never repeated here; attempts are counted in the run.

mod reports;
mod view;

use std::collections::BTreeMap;

use aws_sdk_codebuild::operation::start_build::builders::StartBuildFluentBuilder;
use aws_sdk_codebuild::types::{
    ArtifactNamespace, ArtifactPackaging, ArtifactsType, Build, ComputeType, EnvironmentType,
    EnvironmentVariable, EnvironmentVariableType, ImagePullCredentialsType, ProjectArtifacts, SortOrderType,
    SourceType,
};
use pushway_core::image_file::{ARTIFACT, folder};
use pushway_core::plan::{Arch, Compute, JobPlan, SecretRef};
use pushway_core::ports::{Answer, StartBuilds, StopBuilds};
use pushway_core::source::Zone;
use pushway_core::views::{BuildRequest, Checkout};
use sha2::Digest as _;

use crate::Aws;
use crate::buildspec::prepared;
use crate::errors::{code, fault, incomplete};

/// The variable by which a build is known as a run's own.
const RUN_ID: &str = "PUSHWAY_RUN_ID";
/// The variable that names the job, as `stage/name`.
const JOB: &str = "PUSHWAY_JOB";
/// The variable that counts attempts from 1.
const ATTEMPT: &str = "PUSHWAY_ATTEMPT";

/// How long a build may queue, in minutes. `CodeBuild`'s default of 8 hours would hold everyone up (row F17).
const QUEUED_MINUTES: i32 = 60;
/// What `CodeBuild` takes as a build's timeout, in minutes (API reference, `StartBuild`).
const TIMEOUT_MINUTES: (u32, u32) = (5, 2160);
/// Images of `CodeBuild` itself are pulled with its own rights, all others with the project's.
const CURATED_IMAGES: &str = "aws/codebuild/";

impl StartBuilds for Aws {
    async fn start_build(&self, request: &BuildRequest) -> Answer<String> {
        let call = "codebuild StartBuild";
        let start = self
            .codebuild
            .start_build()
            .project_name(self.settings.build_project(request.zone)?)
            .idempotency_token(token(request))
            .queued_timeout_in_minutes_override(QUEUED_MINUTES)
            .timeout_in_minutes_override(minutes(request.plan.timeout_seconds))
            .auto_retry_limit_override(0)
            .compute_type_override(compute(request.plan.compute))
            .set_environment_type_override(request.plan.arch.map(environment_type))
            .set_environment_variables_override(Some(variables(request)?));
        let start = with_image(with_source(start, request), &request.plan);
        let start = start.set_artifacts_override(self.artifacts(request)?);
        let answer = start.send().await.map_err(|error| fault(call, &error))?;
        answer.build_value.and_then(|build| build.id).ok_or_else(|| incomplete(call, "build.id"))
    }

    async fn started_build(&self, request: &BuildRequest) -> Answer<Option<String>> {
        let listed = self
            .codebuild
            .list_builds_for_project()
            .project_name(self.settings.build_project(request.zone)?)
            .sort_order(SortOrderType::Descending)
            .send()
            .await
            .map_err(|error| fault("codebuild ListBuildsForProject", &error))?;
        if listed.ids().is_empty() {
            return Ok(None);
        }
        let builds = self
            .codebuild
            .batch_get_builds()
            .set_ids(listed.ids)
            .send()
            .await
            .map_err(|error| fault("codebuild BatchGetBuilds", &error))?;
        let ours = builds.builds().iter().find(|build| is_for(build, request));
        Ok(ours.and_then(|build| build.id.clone()))
    }
}

impl StopBuilds for Aws {
    async fn stop_build(&self, id: &str) -> Answer<()> {
        match self.codebuild.stop_build().id(id).send().await {
            Ok(_) => Ok(()),
            // Gone is as stopped as a build can be.
            Err(error) if code(&error) == Some("ResourceNotFoundException") => Ok(()),
            Err(error) => Err(fault("codebuild StopBuild", &error)),
        }
    }
}

impl Aws {
    /// Where the build leaves its artifacts, if a deploy asks for one of their files; else it leaves none. A build
    /// of code that nobody has merged never does (row A22).
    fn artifacts(&self, request: &BuildRequest) -> Answer<Option<ProjectArtifacts>> {
        if request.plan.image_files.is_empty() || request.zone != Zone::Trusted {
            return Ok(None);
        }
        let artifacts = ProjectArtifacts::builder()
            .r#type(ArtifactsType::S3)
            .location(self.settings.artifacts()?)
            .path(folder(request.run, &request.job, request.attempt))
            .name(ARTIFACT)
            .namespace_type(ArtifactNamespace::None)
            .packaging(ArtifactPackaging::None)
            // A name in the buildspec would lead elsewhere.
            .override_artifact_name(false)
            // The bucket encrypts; CodeBuild's own key would have to be shared with whoever reads.
            .encryption_disabled(true);
        artifacts.build().map(Some).map_err(|error| incomplete("codebuild StartBuild", error))
    }
}

/// The same for the same run, job and attempt; 64 hex digits, the most that `CodeBuild` takes.
fn token(request: &BuildRequest) -> String {
    let identity = format!("{}/{}/{}", request.run, request.job, request.attempt);
    hex::encode(sha2::Sha256::digest(identity))
}

fn minutes(seconds: u32) -> i32 {
    let (least, most) = TIMEOUT_MINUTES;
    i32::try_from(seconds.div_ceil(60).clamp(least, most)).unwrap_or(i32::MAX)
}

fn compute(compute: Compute) -> ComputeType {
    match compute {
        Compute::Small => ComputeType::BuildGeneral1Small,
        Compute::Medium => ComputeType::BuildGeneral1Medium,
        Compute::Large => ComputeType::BuildGeneral1Large,
        Compute::Xlarge => ComputeType::BuildGeneral1Xlarge,
    }
}

fn environment_type(arch: Arch) -> EnvironmentType {
    match arch {
        Arch::Arm64 => EnvironmentType::ArmContainer,
        Arch::X86_64 => EnvironmentType::LinuxContainer,
    }
}

/// The image that the template names for an architecture.
fn curated_image(arch: Arch) -> &'static str {
    match arch {
        Arch::Arm64 => "aws/codebuild/amazonlinux-aarch64-standard:3.0",
        Arch::X86_64 => "aws/codebuild/amazonlinux-x86_64-standard:5.0",
    }
}

fn with_source(start: StartBuildFluentBuilder, request: &BuildRequest) -> StartBuildFluentBuilder {
    let is_clone = matches!(request.checkout, Checkout::Clone { .. });
    let start = match &request.inline {
        Some(text) => start.buildspec_override(prepared(text, is_clone, &request.plan.reports)),
        None => start.buildspec_override(request.plan.buildspec.as_str()),
    };
    let commit = request.commit.as_str();
    match &request.checkout {
        Checkout::Github { url, pull_request } => start
            .source_type_override(SourceType::Github)
            .source_location_override(url)
            // A fork's commit is found by the pull request's own ref (CodeBuild User Guide, "Source version
            // sample"); what is built is the commit all the same.
            .source_version(match pull_request {
                Some(number) => format!("refs/pull/{number}/head^{{{commit}}}"),
                None => commit.to_owned(),
            }),
        Checkout::Codecommit { url } => start
            .source_type_override(SourceType::Codecommit)
            .source_location_override(url)
            .source_version(commit),
        Checkout::Clone { .. } => start.source_type_override(SourceType::NoSource),
    }
}

fn with_image(start: StartBuildFluentBuilder, plan: &JobPlan) -> StartBuildFluentBuilder {
    let image = match (&plan.image, plan.arch) {
        (Some(image), _) => image.as_str(),
        // The project's own image fits the project's own architecture only.
        (None, Some(arch)) => curated_image(arch),
        (None, None) => return start,
    };
    let credentials = if image.starts_with(CURATED_IMAGES) {
        ImagePullCredentialsType::Codebuild
    } else {
        ImagePullCredentialsType::ServiceRole
    };
    start.image_override(image).image_pull_credentials_type_override(credentials)
}

/// A secret as a build's variable names it.
fn reference(secret: &SecretRef) -> (EnvironmentVariableType, String) {
    use EnvironmentVariableType::{ParameterStore, SecretsManager};
    match secret {
        SecretRef::SecretsManager { name, json_key: None } => (SecretsManager, name.clone()),
        SecretRef::SecretsManager { name, json_key: Some(key) } => (SecretsManager, format!("{name}:{key}")),
        SecretRef::Ssm { name } => (ParameterStore, name.clone()),
    }
}

/// The build's variables; of two with one name, Pushway's own wins, then the secret.
fn variables(request: &BuildRequest) -> Answer<Vec<EnvironmentVariable>> {
    use EnvironmentVariableType::Plaintext;
    let url = match &request.checkout {
        Checkout::Github { url, .. } | Checkout::Codecommit { url } | Checkout::Clone { url, .. } => url,
    };
    let mut all = BTreeMap::new();
    for (name, value) in &request.plan.env {
        all.insert(name.as_str(), (Plaintext, value.clone()));
    }
    for (name, secret) in &request.plan.secrets {
        all.insert(name.as_str(), reference(secret));
    }
    if let Checkout::Clone { login: Some(login), .. } = &request.checkout {
        all.insert("PUSHWAY_CLONE_USER", (Plaintext, login.user.clone()));
        all.insert("PUSHWAY_CLONE_TOKEN", reference(&login.token));
    }
    for (name, value) in &request.variables {
        all.insert(name, (Plaintext, value.clone()));
    }
    all.extend([
        (RUN_ID, (Plaintext, request.run.to_string())),
        (JOB, (Plaintext, request.job.to_string())),
        (ATTEMPT, (Plaintext, request.attempt.to_string())),
        ("PUSHWAY_COMMIT", (Plaintext, request.commit.to_string())),
        ("PUSHWAY_CLONE_URL", (Plaintext, url.clone())),
    ]);
    let variable = |(name, (kind, value)): (&str, (EnvironmentVariableType, String))| {
        EnvironmentVariable::builder()
            .name(name)
            .value(value)
            .r#type(kind)
            .build()
            .map_err(|error| incomplete("codebuild StartBuild", error))
    };
    all.into_iter().map(variable).collect()
}

/// A variable that a build was started with.
fn variable<'a>(build: &'a Build, name: &str) -> Option<&'a str> {
    let variables = build.environment.as_ref()?.environment_variables();
    variables.iter().find(|variable| variable.name == name).map(|variable| variable.value.as_str())
}

fn is_for(build: &Build, request: &BuildRequest) -> bool {
    let has = |name, value: String| variable(build, name) == Some(value.as_str());
    has(RUN_ID, request.run.to_string())
        && has(JOB, request.job.to_string())
        && has(ATTEMPT, request.attempt.to_string())
}

/// A request with something of everything.
#[cfg(test)]
pub(crate) fn sample_request() -> BuildRequest {
    let plan = serde_json::json!({
        "name": "image", "buildspec": "ci/build.yml", "timeout_seconds": 1201,
        "env": { "LOG": "info", "PUSHWAY_ATTEMPT": "9", "TOKEN": "plain" },
        "secrets": { "TOKEN": "secretsmanager:npm:token", "KEY": "ssm:/web/key" },
    });
    BuildRequest {
        run: "01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap(),
        job: serde_json::from_value(serde_json::json!({ "stage": "build", "name": "image" })).unwrap(),
        attempt: 2,
        plan: serde_json::from_value(plan).unwrap(),
        commit: "a".repeat(40).parse().unwrap(),
        zone: Zone::Trusted,
        checkout: Checkout::Github { url: "https://github.com/o/web.git".into(), pull_request: None },
        inline: None,
        variables: BTreeMap::from([("IMAGE".to_owned(), "web@sha256:00".to_owned())]),
    }
}

#[cfg(test)]
mod tests {
    use super::sample_request as request;
    use super::*;

    #[test]
    fn a_build_gets_its_variables_and_nobody_can_forge_pushways_own() {
        let variables = variables(&request()).unwrap();
        let of = |name: &str| {
            let variable = variables.iter().find(|variable| variable.name == name).unwrap();
            (variable.value.as_str(), variable.r#type.as_ref().unwrap().as_str())
        };
        assert_eq!(of(RUN_ID), ("01890a5d-ac96-774b-bcce-b302099a8057", "PLAINTEXT"));
        assert_eq!(of(JOB), ("build/image", "PLAINTEXT"));
        assert_eq!(of(ATTEMPT), ("2", "PLAINTEXT"));
        assert_eq!(of("PUSHWAY_CLONE_URL"), ("https://github.com/o/web.git", "PLAINTEXT"));
        assert_eq!(of("LOG"), ("info", "PLAINTEXT"));
        assert_eq!(of("IMAGE"), ("web@sha256:00", "PLAINTEXT"));
        assert_eq!(of("TOKEN"), ("npm:token", "SECRETS_MANAGER"));
        assert_eq!(of("KEY"), ("/web/key", "PARAMETER_STORE"));
    }

    #[test]
    fn timeouts_are_rounded_up_into_what_codebuild_takes() {
        assert_eq!((minutes(60), minutes(1200), minutes(1201)), (5, 20, 21));
        assert_eq!(minutes(u32::MAX), 2160);
    }

    #[test]
    fn a_build_is_known_by_run_job_and_attempt() {
        let mut request = request();
        let environment = aws_sdk_codebuild::types::ProjectEnvironment::builder()
            .r#type(EnvironmentType::LinuxContainer)
            .image("x")
            .compute_type(ComputeType::BuildGeneral1Small)
            .set_environment_variables(Some(variables(&request).unwrap()))
            .build()
            .unwrap();
        let build = Build::builder().environment(environment).build();
        let first = token(&request);
        assert!(is_for(&build, &request) && first.len() == 64);
        request.attempt = 3;
        assert!(!is_for(&build, &request) && token(&request) != first);
    }
}
