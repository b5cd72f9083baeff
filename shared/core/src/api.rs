//! What the API takes and gives, as types: its OpenAPI document is made from them, and the CLI reads them.
//!
//! Orders refuse fields they don't know, so that a typing error is told; answers may gain fields.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::access::{Revoked, Scope, Scopes, TokenRecord};
use crate::approval::ApprovalState;
use crate::audit::AuditEntry;
use crate::branch::{Head, Lane};
use crate::deployments::{EnvironmentSummary, PipelineSummary};
use crate::environment::Freeze;
use crate::explain::Explanation;
use crate::fact::{Entry, JobId};
use crate::forge::HookHealth;
use crate::ids::{
    CommitSha, EnvironmentName, HookId, ImageDigestRef, PipelineName, RefName, RunId, TokenName, VariableName,
};
use crate::protection::{Approvers, ProtectionRule};
use crate::run::{CheckpointState, JobState, Run};
use crate::source::Provider;
use crate::summary::RunSummary;
use crate::views::LogLine;

/// That the installation can read its table.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Health {
    /// Always `ok`.
    pub status: String,
    /// The installation's version.
    pub version: String,
}

/// Who asks.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Me {
    /// Their name, as runs and the audit list keep it.
    pub name: String,
    /// What they may do.
    pub scopes: Scopes,
    /// Groups that the issuer says they belong to; none for tokens and AWS credentials.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub groups: BTreeSet<String>,
}

/// A page of runs.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct RunsPage {
    /// Newest first.
    pub runs: Vec<RunSummary>,
    /// Where the next page begins, if there may be one: the parameter `cursor`, with the same filters. A page may be
    /// short, or empty, and still have a next one.
    pub next: Option<String>,
}

/// A page of environments.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct EnvironmentsPage {
    /// By pipeline and name.
    pub environments: Vec<EnvironmentSummary>,
    /// Where the next page begins, if there may be one: the parameter `cursor`.
    pub next: Option<String>,
}

/// A page of pipelines.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct PipelinesPage {
    /// By name.
    pub pipelines: Vec<PipelineSummary>,
    /// Where the next page begins, if there may be one: the parameter `cursor`.
    pub next: Option<String>,
}

/// A run, with what a reader would work out from it anyway.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct RunView {
    /// The run.
    #[serde(flatten)]
    pub run: Run,
    /// Whether it will never change again.
    pub over: bool,
    /// The commit's page at its forge, where Pushway knows the address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit_url: Option<String>,
}

/// A run's journal.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Journal {
    /// In order.
    pub journal: Vec<Entry>,
}

/// A run's jobs.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Jobs {
    /// Build stage first.
    pub jobs: Vec<JobState>,
    /// Builds of checks after a deploy, in the stage `check`; the newest attempt of each that has begun.
    #[serde(default)]
    pub checks: Vec<JobState>,
}

/// A part of a job's log.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct JobLog {
    /// Oldest first.
    pub lines: Vec<LogLine>,
    /// The cursor of the next part.
    pub next: Option<String>,
    /// Whether there will be no more.
    pub over: bool,
}

/// What a run has made, and where it went.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Artifacts {
    /// By the job that made it.
    pub jobs: Vec<JobArtifacts>,
    /// Where it went.
    pub environments: Vec<EnvironmentArtifacts>,
}

/// What a job has made.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct JobArtifacts {
    /// The job.
    pub job: JobId,
    /// The outputs that it promised.
    pub outputs: BTreeMap<VariableName, String>,
}

/// What a run has brought to an environment.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct EnvironmentArtifacts {
    /// The environment.
    pub environment: EnvironmentName,
    /// Container name to image.
    pub images: BTreeMap<String, ImageDigestRef>,
    /// Whether it was validated there.
    pub live: bool,
}

/// What waits for people.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Approvals {
    /// Deploys that wait for consent, oldest first.
    pub approvals: Vec<OpenApproval>,
    /// Deployments that wait in the middle.
    pub pauses: Vec<OpenPause>,
}

/// A deploy that waits for consent.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct OpenApproval {
    /// Its run.
    pub run_id: RunId,
    /// Its pipeline.
    pub pipeline: Option<PipelineName>,
    /// The environment.
    pub environment: EnvironmentName,
    /// The repository's name.
    pub repository: String,
    /// The ref that was pushed.
    #[serde(rename = "ref")]
    pub git_ref: RefName,
    /// The commit.
    pub commit: CommitSha,
    /// First line of its message.
    pub message: String,
    /// Who wrote it.
    pub author: String,
    /// Since when it waits.
    pub asked_at: Timestamp,
    /// What is asked, and who has said what.
    pub approval: ApprovalState,
}

/// A deployment that waits in the middle.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct OpenPause {
    /// Its run.
    pub run_id: RunId,
    /// Its pipeline.
    pub pipeline: Option<PipelineName>,
    /// The environment.
    pub environment: EnvironmentName,
    /// The commit.
    pub commit: CommitSha,
    /// First line of its message.
    pub message: String,
    /// Who wrote it.
    pub author: String,
    /// Where it waits, and until when.
    pub pause: CheckpointState,
    /// Who may let it go on, by the environment's rule.
    #[serde(default, skip_serializing_if = "Approvers::is_anyone")]
    pub approvers: Approvers,
}

/// Consent to a deploy.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Consenting {
    /// What is consented to: `approval.request.digest`.
    pub digest: String,
    /// A word to keep with it; at most 500 characters are kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

/// A word to keep with an answer.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Commented {
    /// At most 500 characters are kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

/// Why.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reasoned {
    /// Others will read it; at most 500 characters are kept.
    #[schemars(regex(pattern = r"\S"))]
    pub reason: String,
}

/// What consent or refusal came to.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Answered {
    /// The run.
    pub run_id: RunId,
    /// The environment.
    pub environment: EnvironmentName,
    /// Whether all consent that is needed is there.
    pub granted: bool,
    /// Who has said what.
    pub approval: Option<ApprovalState>,
}

/// What the answer to a pause came to.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct PauseAnswered {
    /// The run.
    pub run_id: RunId,
    /// The environment.
    pub environment: EnvironmentName,
    /// Whether the deployment goes on.
    pub goes_on: bool,
}

/// A run to start.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StartOrder {
    /// Where the repository lies.
    pub provider: Provider,
    /// The id of its hook: `GET /v1/repositories` lists them.
    pub hook: HookId,
    /// A branch or tag, in full.
    #[serde(rename = "ref")]
    #[schemars(regex(pattern = "^refs/(heads|tags)/"))]
    pub git_ref: RefName,
    /// A commit of it; its head without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<CommitSha>,
    /// Only this pipeline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pipeline: Option<PipelineName>,
    /// Values of variables that the pipeline file declares.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub variables: BTreeMap<VariableName, String>,
}

/// What starting a run came to.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Started {
    /// There is a run.
    Run {
        /// Its id.
        run_id: RunId,
        /// Whether this order has started it.
        new: bool,
    },
    /// There is none.
    Ignored {
        /// The rule that says so.
        ignored: String,
    },
}

/// Which commit of a pull request to let in.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ForkConsent {
    /// The one that was read.
    pub commit: CommitSha,
}

/// That an environment takes no deploys.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Frozen {
    /// Who says so, and why.
    pub freeze: Freeze,
}

/// That an environment takes deploys again.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Unfrozen {
    /// Why it took none, if it took none.
    pub was: Option<Freeze>,
}

/// That nobody holds an environment's lock any more who is over.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Unlocked {
    /// The run that had kept it, if one had.
    pub was: Option<RunId>,
}

/// What a pattern of approvers looks like: no control characters.
const APPROVER: &str = r"^(arn|token|person|group):[^\x00-\x1f\x7f-\x9f]+$";

/// Who must consent to deploys to an environment.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProtectOrder {
    /// How many different people, at least.
    #[schemars(range(min = 1, max = 10))]
    pub required: u16,
    /// Patterns of those who count: names of principals (`arn:…`, `token:…`, `person:…`) and groups (`group:…`);
    /// anyone with the scope `approve` counts without them. `*` and `?` match within a part between slashes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20), inner(length(max = 200), regex(pattern = APPROVER)))]
    pub approvers: Vec<String>,
}

/// Who must consent to deploys to an environment from now on.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Protected {
    /// The rule.
    pub protection: ProtectionRule,
}

/// That an environment has no rule any more.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Unprotected {
    /// The rule that it had, if it had one.
    pub was: Option<ProtectionRule>,
}

/// Where an environment is to go back to.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RollbackOrder {
    /// The run that brought that version; the good one before what serves without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<RunId>,
    /// Others will read it; at most 500 characters are kept.
    #[schemars(regex(pattern = r"\S"))]
    pub reason: String,
    /// Also over a deploy that its pipeline file calls irreversible.
    #[serde(default)]
    pub accept_irreversible: bool,
}

/// The connected repositories.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Repositories {
    /// All of them.
    pub repositories: Vec<RepositoryView>,
}

/// A connected repository, and how well its webhook and heads are looked after.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct RepositoryView {
    /// Where it lies.
    pub provider: Provider,
    /// The id of its hook.
    pub hook: HookId,
    /// Its name.
    pub repository: String,
    /// Where builds clone from.
    pub clone_url: String,
    /// The branch whose pipeline file says what schedules and images start.
    pub default_branch: Option<String>,
    /// Until when the webhook's old secret is taken.
    pub old_secret_until: Option<Timestamp>,
    /// How its webhook stands.
    pub webhook: Option<HookHealth>,
    /// When its heads were last compared with the forge's.
    pub reconciled_at: Option<Timestamp>,
    /// Why they could not be.
    pub problem: Option<String>,
    /// Heads that no delivery has told of yet, and since when.
    pub missing: Option<BTreeMap<RefName, Timestamp>>,
    /// How many pushes were found that no delivery had told of.
    pub found: Option<u64>,
    /// Whether it has more branches than are compared.
    pub is_truncated: Option<bool>,
}

/// Why what has happened has happened.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct Explanations {
    /// One for each run, newest first.
    pub explanations: Vec<Explanation>,
    /// When the delivery arrived.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub received_at: Option<Timestamp>,
    /// Where the branch points, as far as Pushway was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<Head>,
    /// The branch's runs by pipeline.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub lanes: BTreeMap<PipelineName, Lane>,
    /// Where the branch points, as the forge says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_forge: Option<CommitSha>,
    /// Since when a push of the branch is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing_since: Option<Timestamp>,
}

/// A pipeline file to try.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Trial {
    /// The run whose delivery it is tried on.
    pub run: RunId,
    /// What the file is called.
    pub path: String,
    /// What it says.
    pub file: String,
}

/// What a pipeline file would have made of a delivery.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct TrialVerdict {
    /// `run`, `ignore` or `reject`.
    pub would: String,
    /// The file's pipeline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pipeline: Option<PipelineName>,
    /// The rule, or what is wrong with the file.
    pub because: String,
}

/// A token to make.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenOrder {
    /// Its name, which no token had before.
    pub name: TokenName,
    /// What its holder may do.
    #[schemars(length(min = 1))]
    pub scopes: Vec<Scope>,
    /// How many days it lives.
    #[schemars(range(min = 1, max = 366))]
    pub days: u16,
}

/// A token that was made.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
pub struct TokenMade {
    /// The token itself, shown this once.
    pub token: String,
    /// What is known of it.
    #[serde(flatten)]
    pub view: TokenView,
}

/// What is known of a token.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct TokenView {
    /// Its name.
    pub name: TokenName,
    /// What its holder may do.
    pub scopes: Scopes,
    /// Who made it.
    pub created_by: String,
    /// When.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
    /// Who has ended it before that.
    pub revoked: Option<Revoked>,
}

impl From<TokenRecord> for TokenView {
    fn from(record: TokenRecord) -> Self {
        let TokenRecord { name, scopes, created_by, created_at, expires_at, revoked, .. } = record;
        Self { name, scopes, created_by, created_at, expires_at, revoked }
    }
}

/// The API tokens.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct TokensView {
    /// Oldest first, those included that have ended.
    pub tokens: Vec<TokenView>,
}

/// A part of the audit list.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct AuditPage {
    /// Newest first.
    pub entries: Vec<AuditEntry>,
    /// Where the next page begins, if there may be one: the parameter `cursor`.
    pub next: Option<String>,
}

/// Why a request was not answered as hoped (RFC 9457).
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ProblemDocument {
    /// `about:blank`: the status says what kind it is.
    #[serde(rename = "type")]
    pub kind: String,
    /// The status in words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What was wrong, and what to do about it.
    pub detail: String,
}
