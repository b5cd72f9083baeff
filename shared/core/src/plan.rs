//! The plan: what one run does, fixed when the run is planned and pinned in it as JSON.
//!
//! A later change of the pipeline file changes nothing about a run that has its plan, and a rollback reads
//! the plan of the run that it undoes. So these types are read long after they were written: fields are
//! added with a serde default, never renamed. Values arrive checked by `pipeline_file`; nothing is checked
//! twice here, and nothing here does any work.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::Digest as _;

use crate::checkpoint::CheckHook;
use crate::fact::Rollout;
use crate::gate::{ApprovalRule, Window};
use crate::ids::{
    EnvironmentName, ImageDigestRef, InvalidId, JobName, PipelineName, RepositoryPath, RunId, VariableName,
};
use crate::image_file::ImageFile;
use crate::messages::deploys;
pub use crate::strategy::Strategy;
use crate::strategy::{DeploymentSettings, Movement};
use crate::views::ServiceRef;

mod check;
mod checkpoints;
mod measure;
mod target;
mod watch;

pub use check::{AlarmsCheck, Check, EcsCheck, HttpCheck, Latency, Looks, MetricsCheck, VersionProof};
pub use checkpoints::Checkpoints;
pub use measure::{Bound, Measure, Metric, MetricSource};
pub use target::{ScheduledTarget, Target};
pub use watch::{InsightsPlan, WatchPlan};

/// Everything a run does, in order: the build jobs, the test jobs, then one environment after another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Plan {
    /// The pipeline that the run belongs to.
    pub pipeline: PipelineName,
    /// What becomes of a run of this pipeline and ref while another one is under way.
    #[serde(default)]
    pub concurrency: Concurrency,
    /// Jobs of the build stage; they run side by side, in the order of the file where order shows.
    #[serde(default)]
    pub build: Vec<JobPlan>,
    /// Jobs of the test stage; they run side by side after the whole build stage.
    #[serde(default)]
    pub test: Vec<JobPlan>,
    /// Environments, deployed to one at a time in this order.
    #[serde(default)]
    pub environments: Vec<EnvironmentPlan>,
}

/// How the runs of one pipeline on one ref get along until they deploy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Concurrency {
    /// They run side by side.
    #[default]
    Parallel,
    /// They run one after another, in the order of their pushes.
    Queued,
    /// A newer run ends an older one that is not deploying yet.
    Superseded,
}

/// The stages that consist of jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum JobStage {
    /// Makes the artifacts.
    Build,
    /// Judges them.
    Test,
    /// Judges what was deployed: jobs that are checks of an environment.
    Check,
}

/// One job: one `CodeBuild` build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct JobPlan {
    /// Unique in its stage.
    pub name: JobName,
    /// Where the buildspec lies in the repository.
    pub buildspec: RepositoryPath,
    /// The build image; none means the installation's default.
    #[serde(default)]
    pub image: Option<String>,
    /// How large a machine the job gets.
    #[serde(default)]
    pub compute: Compute,
    /// The processor architecture; none means the installation's default.
    #[serde(default)]
    pub arch: Option<Arch>,
    /// How long the job may take, in seconds.
    pub timeout_seconds: u32,
    /// How often the job is started again after it failed.
    #[serde(default)]
    pub retries: u8,
    /// Jobs of the same stage that must succeed before this one starts.
    #[serde(default)]
    pub needs: Vec<JobName>,
    /// Names of the variables that the buildspec exports and later stages may use.
    #[serde(default)]
    pub outputs: Vec<VariableName>,
    /// Files among its artifacts that say which images it made, as far as a deploy asks for them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub image_files: Vec<ImageFile>,
    /// Patterns of the test reports that the job leaves in its working directory.
    #[serde(default)]
    pub reports: Vec<String>,
    /// Environment variables: the pipeline's, with the job's own on top.
    #[serde(default)]
    pub env: BTreeMap<VariableName, String>,
    /// Environment variables that hold secrets, by reference only: no secret ever enters a plan.
    #[serde(default)]
    pub secrets: BTreeMap<VariableName, SecretRef>,
}

/// The size of a build machine, in the steps of AWS (`CodeBuild` User Guide, "Build environment compute modes
/// and types").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Compute {
    /// 2 vCPU on arm64 and x86-64.
    #[default]
    Small,
    /// 4 vCPU.
    Medium,
    /// 8 vCPU.
    Large,
    /// 36 vCPU on x86-64.
    Xlarge,
}

/// A processor architecture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Arch {
    /// Graviton.
    #[serde(rename = "arm64")]
    Arm64,
    /// Intel and AMD.
    #[serde(rename = "x86_64")]
    X86_64,
}

/// Where a secret lies, written `secretsmanager:<name>`, `secretsmanager:<name>:<json key>` or `ssm:<name>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
pub enum SecretRef {
    /// A secret of AWS Secrets Manager, or one key of a secret that holds a JSON object.
    SecretsManager {
        /// The secret's name in the installation's account and region.
        name: String,
        /// The key whose value is wanted; none means the whole secret.
        json_key: Option<String>,
    },
    /// A parameter of Systems Manager's parameter store.
    Ssm {
        /// The parameter's name.
        name: String,
    },
}

/// One environment of the plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EnvironmentPlan {
    /// Unique in the pipeline.
    pub name: EnvironmentName,
    /// Who must consent before the environment is taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<ApprovalRule>,
    /// When deploys may begin; at any time where there is none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub windows: Vec<Window>,
    /// Whether a deploy here can't be undone: then nothing goes back without explicit consent.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub irreversible: bool,
    /// Where in AWS the target lies.
    #[serde(default, skip_serializing_if = "Place::is_own")]
    pub place: Place,
    /// What the deploy acts on.
    pub target: Target,
    /// What runs to its end before the target is touched, one after another.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub before: Vec<OneOff>,
    /// Checks after the deploy, one after another; each must hold.
    #[serde(default)]
    pub validate: Vec<Check>,
    /// How it is watched after the checks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watch: Option<WatchPlan>,
    /// What happens after a failed deploy or a failed check.
    #[serde(default)]
    pub on_failure: OnFailure,
}

/// Work that runs once, to its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OneOff {
    /// A task of Amazon ECS, in the network of the service.
    EcsTask(EcsTask),
}

/// A task that is started once and must end with code 0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EcsTask {
    /// The container whose exit code counts, and whose command is replaced.
    pub container: String,
    /// The command; none means that of the task definition or the image.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
    /// A task definition of its own; none means the revision that the service is about to run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_definition: Option<DefinitionFile>,
    /// How long it may take, in seconds.
    pub timeout_seconds: u32,
}

/// Where in AWS something lies: in the installation's own account and region, unless it says otherwise.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Place {
    /// ARN of the role to assume first; it belongs to the account that is meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// What that role asks for, so that nobody else's installation can be talked into assuming it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    /// The region; none means the installation's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// For whom the role is assumed: what the other account's trail shows, and its role may ask for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pipeline: Option<PipelineName>,
}

/// What follows a failure in an environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// Return to the last good artifact.
    #[default]
    Rollback,
    /// Leave everything as it is for a person to look at.
    Hold,
}

/// An ECS service and what it is to run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EcsTarget {
    /// The cluster's name.
    pub cluster: String,
    /// The service's name.
    pub service: String,
    /// The image of each container that changes, by the container's name in the task definition.
    pub images: BTreeMap<String, ImageSource>,
    /// The job of the build stage whose `imagedefinitions.json` names all containers and images instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub images_from: Option<JobName>,
    /// Containers that the service was seen to have when the run was planned, where `images_from` will be held
    /// against them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub containers: Vec<String>,
    /// ARN of the revision that everything but the images is taken from; none means the one that serves. Only
    /// a rollback by hand has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    /// The task definition that lies in the repository; none means that of the service, with other images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_definition: Option<DefinitionFile>,
    /// What the service is created from where it does not exist; `task_definition` is there, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_definition: Option<DefinitionFile>,
    /// How the service moves to the new images.
    #[serde(default)]
    pub strategy: Strategy,
    /// What must hold while its traffic moves.
    #[serde(default, skip_serializing_if = "Checkpoints::is_empty")]
    pub checkpoints: Checkpoints,
    /// Alarms that make ECS go back by itself while it deploys.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alarms: Vec<String>,
    /// How long the deploy may take, in seconds.
    pub timeout_seconds: u32,
}

/// A definition that lies in the repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DefinitionFile {
    /// Where it lies.
    pub path: RepositoryPath,
    /// What it says, once the run is planned: the plan's digest counts it in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<serde_json::Value>,
}

/// Where an image comes from; either way it is an image by digest when it is deployed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ImageSource {
    /// The value that a job of the build stage exported.
    Output {
        /// A job of the build stage.
        job: JobName,
        /// One of the job's declared outputs.
        output: VariableName,
    },
    /// The image of a job's `imageDetail.json`.
    Detail {
        /// A job of the build stage.
        job: JobName,
    },
    /// An image written into the pipeline file.
    Fixed(ImageDigestRef),
}

impl Plan {
    /// The plan's identity: `sha256:` and the hash of its JSON with sorted keys and no spaces. Two runs with
    /// one digest do the same things, up to the commit they do them to.
    pub fn digest(&self) -> String {
        let canonical = serde_json::json!(self).to_string();
        format!("sha256:{}", hex::encode(sha2::Sha256::digest(canonical.as_bytes())))
    }

    /// What is left of the plan for code that nobody has looked at yet: no secret and no deploy.
    #[must_use]
    pub fn for_untrusted(mut self) -> Self {
        self.environments.clear();
        for job in self.build.iter_mut().chain(&mut self.test) {
            job.secrets.clear();
            job.image_files.clear();
        }
        self
    }

    /// What brings back what this plan has deployed to an environment: the same deploy and checks, of the very
    /// images and revision, and nothing that people must wait for.
    pub fn for_rollback(mut self, environment: &EnvironmentName, rollout: &Rollout) -> Option<Self> {
        self.environments.retain(|planned| planned.name == *environment);
        let planned = self.environments.first_mut()?;
        (planned.approval, planned.windows) = (None, Vec::new());
        // What ran before that deploy has run, and what came later may not take it a second time.
        planned.before.clear();
        let fixed =
            |(name, image): (&String, &ImageDigestRef)| (name.clone(), ImageSource::Fixed(image.clone()));
        let images = rollout.images.iter().map(fixed).collect();
        planned.target.fix(images, rollout.task_definition.clone());
        (self.build, self.test, self.concurrency) = (Vec::new(), Vec::new(), Concurrency::Parallel);
        Some(self)
    }

    /// The jobs of one stage.
    pub fn jobs(&self, stage: JobStage) -> &[JobPlan] {
        match stage {
            JobStage::Build => &self.build,
            JobStage::Test => &self.test,
            JobStage::Check => &[],
        }
    }

    /// The jobs of one stage, each after those that it needs, else in the order of the file.
    pub fn jobs_in_order(&self, stage: JobStage) -> Vec<&JobPlan> {
        let (mut ordered, mut left): (Vec<&JobPlan>, Vec<&JobPlan>) =
            (Vec::new(), self.jobs(stage).iter().collect());
        while !left.is_empty() {
            let is_ready =
                |job: &&JobPlan| job.needs.iter().all(|need| left.iter().all(|other| other.name != *need));
            let (ready, rest): (Vec<&JobPlan>, Vec<&JobPlan>) = left.iter().copied().partition(is_ready);
            if ready.is_empty() {
                // A circle, which the parser refuses: nothing sensible follows, but an end does.
                ordered.extend(rest);
                break;
            }
            ordered.extend(ready);
            left = rest;
        }
        ordered
    }

    /// The files of the repository that the plan names: buildspecs and definitions.
    pub fn files(&self) -> impl Iterator<Item = &RepositoryPath> {
        let buildspecs = self.every_job().map(|(_, job)| &job.buildspec);
        let definitions = self.environments.iter().flat_map(EnvironmentPlan::definitions);
        buildspecs.chain(definitions.map(|file| &file.path))
    }

    /// Every job: of the stages, and of the checks.
    pub fn every_job(&self) -> impl Iterator<Item = (JobStage, &JobPlan)> {
        let of = |stage| self.jobs(stage).iter().map(move |job| (stage, job));
        let checks = self.environments.iter().flat_map(|environment| &environment.validate);
        let checks = checks.filter_map(|check| match check {
            Check::Job(job) => Some((JobStage::Check, &**job)),
            _ => None,
        });
        of(JobStage::Build).chain(of(JobStage::Test)).chain(checks)
    }

    /// The job of this name in a stage.
    pub fn job(&self, stage: JobStage, name: &JobName) -> Option<&JobPlan> {
        self.jobs(stage).iter().find(|job| job.name == *name)
    }

    /// The environments that people must consent to.
    pub fn asking(&self) -> impl Iterator<Item = &EnvironmentPlan> {
        self.environments.iter().filter(|environment| environment.approval.is_some())
    }

    /// The environment of this name.
    pub fn environment(&self, name: &EnvironmentName) -> Option<&EnvironmentPlan> {
        self.environments.iter().find(|environment| environment.name == *name)
    }
}

impl EcsTarget {
    /// The service, by name.
    pub fn at(&self, place: &Place) -> ServiceRef {
        ServiceRef { place: place.clone(), cluster: self.cluster.clone(), service: self.service.clone() }
    }

    /// How the service is told to move for a run.
    pub fn movement(&self, run: RunId, environment: &EnvironmentName) -> Movement {
        let hook = || CheckHook::new(run, environment.clone(), self.timeout_seconds);
        Movement {
            strategy: self.strategy,
            alarms: self.alarms.clone(),
            hook: (!self.checkpoints.is_empty()).then(hook),
        }
    }

    /// Whether the service has what the strategy takes; else what is missing.
    pub fn check(&self, settings: &DeploymentSettings) -> Result<(), String> {
        self.strategy.check(&self.service, settings)?;
        if !self.checkpoints.is_empty() && settings.shifting == 0 {
            return Err(deploys::nothing_to_ask_about(&self.service));
        }
        Ok(())
    }
}

impl EnvironmentPlan {
    /// The definitions of the repository that it names.
    pub fn definitions(&self) -> impl Iterator<Item = &DefinitionFile> {
        let tasks = self.before.iter().filter_map(|OneOff::EcsTask(task)| task.task_definition.as_ref());
        self.target.definitions().chain(tasks)
    }

    /// What its lock stands for, by name: the service, or what starts the task.
    pub fn claimed(&self) -> ServiceRef {
        match &self.target {
            Target::Ecs(target) => target.at(&self.place),
            Target::EcsScheduledTask(target) => target.at(&self.place).claimed(),
        }
    }
}

impl Place {
    /// Whether it is the installation's own account and region.
    pub fn is_own(&self) -> bool {
        *self == Self::default()
    }
}

impl JobStage {
    /// `build` or `test`, as the pipeline file writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Build => "build",
            Self::Test => "test",
            Self::Check => "check",
        }
    }
}

impl fmt::Display for JobStage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl SecretRef {
    const RULE: &str = "write secretsmanager:<name>, secretsmanager:<name>:<json key> or ssm:<name>; \
                        the secret itself never belongs into the file";

    /// Names as the two services allow them (Secrets Manager API Reference, `CreateSecret`; Systems Manager
    /// API Reference, `PutParameter`), which leaves no room for a further colon.
    fn is_name(text: &str, more: &str) -> bool {
        (1..=512).contains(&text.len())
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"/_.-".contains(&b) || more.as_bytes().contains(&b))
    }

    fn read(text: &str) -> Option<Self> {
        let (store, rest) = text.split_once(':')?;
        match store {
            "secretsmanager" => {
                let (name, json_key) =
                    rest.split_once(':').map_or((rest, None), |(name, key)| (name, Some(key)));
                let valid =
                    Self::is_name(name, "+=@") && json_key.is_none_or(|key| Self::is_name(key, "+=@"));
                valid.then(|| Self::SecretsManager {
                    name: name.to_owned(),
                    json_key: json_key.map(str::to_owned),
                })
            }
            "ssm" => Self::is_name(rest, "").then(|| Self::Ssm { name: rest.to_owned() }),
            _ => None,
        }
    }
}

impl FromStr for SecretRef {
    type Err = InvalidId;
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        // The text is not repeated: a secret pasted in place of its name must not travel on in a message.
        Self::read(text).ok_or_else(|| InvalidId {
            what: "secret reference",
            text: "…".to_owned(),
            rule: Self::RULE,
        })
    }
}

impl TryFrom<String> for SecretRef {
    type Error = InvalidId;
    fn try_from(text: String) -> Result<Self, InvalidId> {
        text.parse()
    }
}

impl From<SecretRef> for String {
    fn from(secret: SecretRef) -> Self {
        secret.to_string()
    }
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SecretsManager { name, json_key: None } => write!(f, "secretsmanager:{name}"),
            Self::SecretsManager { name, json_key: Some(key) } => write!(f, "secretsmanager:{name}:{key}"),
            Self::Ssm { name } => write!(f, "ssm:{name}"),
        }
    }
}
