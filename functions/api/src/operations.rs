//! Every operation of the API, in one table: routing, the scopes that are needed and the OpenAPI document follow it.

use std::sync::LazyLock;

use http::Method;
use pushway_core::access::Scope;
mod lists;
use crate::lists::Runs;
use crate::reply::{JSON, JSON_SCHEMA};
use crate::{explain, insights, runs, test_cases, tokens};
use pushway_core::{api, environment, plan, steering, test_answers, test_history};
use schemars::{JsonSchema, Schema, SchemaGenerator};

/// What an operation does; `dispatch` has an arm for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    OpenApi,
    PipelineSchema,
    Health,
    Me,
    ListRuns,
    StartRun,
    ShowRun,
    StopRun,
    RetryRun,
    Journal,
    Plan,
    Jobs,
    JobLog,
    Artifacts,
    RunTests,
    PipelineTests,
    Approvals,
    Approve,
    Reject,
    Continue,
    GoBack,
    ListEnvironments,
    ListPipelines,
    ShowPipeline,
    ShowCommit,
    ShowEnvironment,
    Freeze,
    Unfreeze,
    Unlock,
    Protect,
    Unprotect,
    RollBack,
    Repositories,
    ApproveFork,
    ExplainCommit,
    ExplainDelivery,
    ExplainRef,
    TryFile,
    Ledger,
    Insights,
    Badge,
    Tokens,
    MakeToken,
    RevokeToken,
    Audit,
}

/// The schema of a type.
pub(crate) type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// An operation of the API.
#[derive(Debug)]
pub(crate) struct Operation {
    pub(crate) verb: Verb,
    /// Its name in the OpenAPI document and the audit list.
    pub(crate) id: &'static str,
    pub(crate) method: Method,
    /// With its parameters in braces, as both `matchit` and OpenAPI write them.
    pub(crate) path: &'static str,
    /// What it takes; `None` where anyone may ask.
    pub(crate) scope: Option<Scope>,
    /// What it does, in a line.
    pub(crate) summary: &'static str,
    /// The parameters of its query: the fields of a struct.
    pub(crate) query: Option<SchemaOf>,
    pub(crate) body: Option<SchemaOf>,
    /// Statuses of its good answers.
    pub(crate) good: &'static [u16],
    pub(crate) answer: SchemaOf,
    /// What its good answers are.
    pub(crate) content_type: &'static str,
    /// Whether it changes something: then it is noted in the audit list.
    pub(crate) changes: bool,
    /// Whether its answer is shown once and kept nowhere.
    pub(crate) gives_secret: bool,
}

fn of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// Any JSON document.
fn document(_: &mut SchemaGenerator) -> Schema {
    schemars::json_schema!({ "type": "object" })
}

pub(crate) fn get(verb: Verb, id: &'static str, path: &'static str, summary: &'static str) -> Operation {
    Operation {
        verb,
        id,
        method: Method::GET,
        path,
        scope: Some(Scope::Read),
        summary,
        query: None,
        body: None,
        good: &[200],
        answer: document,
        content_type: JSON,
        changes: false,
        gives_secret: false,
    }
}

fn post(verb: Verb, id: &'static str, path: &'static str, scope: Scope, summary: &'static str) -> Operation {
    Operation { method: Method::POST, changes: true, ..get(verb, id, path, summary) }.needs(Some(scope))
}

impl Operation {
    fn needs(self, scope: Option<Scope>) -> Self {
        Self { scope, ..self }
    }

    pub(crate) fn asks<T: JsonSchema>(self) -> Self {
        Self { query: Some(of::<T>), ..self }
    }

    fn takes<T: JsonSchema>(self) -> Self {
        Self { body: Some(of::<T>), ..self }
    }

    pub(crate) fn gives<T: JsonSchema>(self) -> Self {
        Self { answer: of::<T>, ..self }
    }

    fn is(self, content_type: &'static str) -> Self {
        Self { content_type, ..self }
    }

    fn with(self, good: &'static [u16]) -> Self {
        Self { good, ..self }
    }
}

/// All of them, in the order in which the document lists them.
pub(crate) static OPERATIONS: LazyLock<Vec<Operation>> = LazyLock::new(|| {
    [
        about(),
        of_runs(),
        of_steering(),
        of_people(),
        of_environments(),
        lists::operations(),
        of_repositories(),
        insights::operations(),
        of_access(),
    ]
    .into_iter()
    .flatten()
    .collect()
});

fn about() -> Vec<Operation> {
    vec![
        get(Verb::OpenApi, "getOpenApi", "/openapi.json", "This document").needs(None),
        get(
            Verb::PipelineSchema,
            "getPipelineSchema",
            "/schema/pushway.schema.json",
            "The JSON Schema of pipeline files, for editors",
        )
        .needs(None)
        .is(JSON_SCHEMA),
        get(Verb::Health, "getHealth", "/v1/health", "Whether the installation can read its table")
            .gives::<api::Health>(),
        get(Verb::Me, "getMe", "/v1/me", "Who asks, and what they may do").gives::<api::Me>(),
    ]
}

fn of_runs() -> Vec<Operation> {
    vec![
        get(
            Verb::ListRuns,
            "listRuns",
            "/v1/runs",
            "Runs, newest first; a page may be short, or empty, and still have a next one",
        )
        .asks::<Runs>()
        .gives::<api::RunsPage>(),
        post(
            Verb::StartRun,
            "startRun",
            "/v1/runs",
            Scope::Run,
            "Start a run of a branch, a tag or a commit",
        )
        .takes::<api::StartOrder>()
        .gives::<api::Started>()
        .with(&[202, 200]),
        get(Verb::ShowRun, "getRun", "/v1/runs/{run}", "A run: where it stands, and why")
            .gives::<api::RunView>(),
        get(
            Verb::Journal,
            "getJournal",
            "/v1/runs/{run}/journal",
            "Everything that has happened to a run, in order",
        )
        .gives::<api::Journal>(),
        get(Verb::Plan, "getPlan", "/v1/runs/{run}/plan", "The plan that a run is pinned to")
            .gives::<plan::Plan>(),
        get(Verb::Jobs, "listJobs", "/v1/runs/{run}/jobs", "A run's jobs, and the builds of its checks")
            .gives::<api::Jobs>(),
        get(
            Verb::JobLog,
            "getJobLog",
            "/v1/runs/{run}/jobs/{stage}/{job}/log",
            "A job's log from a cursor on, while it runs and after",
        )
        .asks::<runs::LogFrom>()
        .gives::<api::JobLog>(),
        get(
            Verb::Artifacts,
            "getArtifacts",
            "/v1/runs/{run}/artifacts",
            "What a run has made, and where it went",
        )
        .gives::<api::Artifacts>(),
        get(Verb::RunTests, "getTests", "/v1/runs/{run}/tests", "What a run's tests came to, and its cases")
            .asks::<test_cases::Cases>()
            .gives::<test_answers::RunTests>(),
        get(
            Verb::PipelineTests,
            "getPipelineTests",
            "/v1/pipelines/{pipeline}/tests",
            "A pipeline's flaky, lately failing and slowest tests",
        )
        .gives::<test_history::PipelineTests>(),
    ]
}

/// What people do to a run as a whole.
fn of_steering() -> Vec<Operation> {
    vec![
        post(
            Verb::StopRun,
            "stopRun",
            "/v1/runs/{run}/stop",
            Scope::Run,
            "Stop a run: nothing of it begins any more, and a deploy under way goes back",
        )
        .takes::<api::Reasoned>()
        .gives::<steering::StopAnswer>()
        .with(&[202, 200]),
        post(
            Verb::RetryRun,
            "retryRun",
            "/v1/runs/{run}/retry",
            Scope::Run,
            "Start the same push again, whole or from where it failed",
        )
        .takes::<steering::RetryOrder>()
        .gives::<steering::RetryAnswer>()
        .with(&[202, 200]),
    ]
}

fn of_people() -> Vec<Operation> {
    let answer = |verb, id, path, summary| post(verb, id, path, Scope::Approve, summary);
    vec![
        get(Verb::Approvals, "listApprovals", "/v1/approvals", "What waits for people, oldest first")
            .gives::<api::Approvals>(),
        answer(
            Verb::Approve,
            "approve",
            "/v1/runs/{run}/environments/{environment}/approve",
            "Consent to a deploy of the images that a digest stands for",
        )
        .takes::<api::Consenting>()
        .gives::<api::Answered>(),
        answer(
            Verb::Reject,
            "reject",
            "/v1/runs/{run}/environments/{environment}/reject",
            "Refuse a deploy; its run ends",
        )
        .takes::<api::Reasoned>()
        .gives::<api::Answered>(),
        answer(
            Verb::Continue,
            "continue",
            "/v1/runs/{run}/environments/{environment}/continue",
            "Let a deployment go on that waits in the middle",
        )
        .takes::<api::Commented>()
        .gives::<api::PauseAnswered>(),
        answer(
            Verb::GoBack,
            "goBack",
            "/v1/runs/{run}/environments/{environment}/go-back",
            "Let a deployment go back that waits in the middle",
        )
        .takes::<api::Reasoned>()
        .gives::<api::PauseAnswered>(),
    ]
}

fn of_environments() -> Vec<Operation> {
    let steer = |verb, id, path, summary| post(verb, id, path, Scope::Approve, summary);
    vec![
        get(
            Verb::ShowEnvironment,
            "getEnvironment",
            "/v1/environments/{pipeline}/{environment}",
            "What serves, what served before, who deploys or waits",
        )
        .gives::<environment::EnvironmentRecord>(),
        steer(
            Verb::Freeze,
            "freeze",
            "/v1/environments/{pipeline}/{environment}/freeze",
            "Let no deploy begin there until further notice",
        )
        .takes::<api::Reasoned>()
        .gives::<api::Frozen>(),
        steer(
            Verb::Unfreeze,
            "unfreeze",
            "/v1/environments/{pipeline}/{environment}/unfreeze",
            "Let deploys begin there again",
        )
        .gives::<api::Unfrozen>(),
        steer(
            Verb::Unlock,
            "unlock",
            "/v1/environments/{pipeline}/{environment}/unlock",
            "Free what a failed rollback has kept locked, once people have looked at it",
        )
        .takes::<api::Reasoned>()
        .gives::<api::Unlocked>(),
        post(
            Verb::Protect,
            "protect",
            "/v1/environments/{pipeline}/{environment}/protect",
            Scope::Admin,
            "Say who must consent to deploys there, whatever the pipeline file says",
        )
        .takes::<api::ProtectOrder>()
        .gives::<api::Protected>(),
        post(
            Verb::Unprotect,
            "unprotect",
            "/v1/environments/{pipeline}/{environment}/unprotect",
            Scope::Admin,
            "Leave it to the pipeline file again who must consent to deploys there",
        )
        .gives::<api::Unprotected>(),
        steer(
            Verb::RollBack,
            "rollBack",
            "/v1/environments/{pipeline}/{environment}/rollback",
            "Bring an earlier good version back, by a run of its own",
        )
        .takes::<api::RollbackOrder>()
        .gives::<api::Started>()
        .with(&[202, 200]),
    ]
}

fn of_repositories() -> Vec<Operation> {
    vec![
        get(
            Verb::Repositories,
            "listRepositories",
            "/v1/repositories",
            "The connected repositories, and how well they are looked after",
        )
        .gives::<api::Repositories>(),
        post(
            Verb::ApproveFork,
            "approveFork",
            "/v1/repositories/{provider}/{hook}/pull-requests/{number}/approve",
            Scope::Approve,
            "Let one commit of a fork's pull request be built",
        )
        .takes::<api::ForkConsent>()
        .gives::<api::Started>()
        .with(&[202, 200]),
        get(
            Verb::ExplainCommit,
            "explainCommit",
            "/v1/explain/commit",
            "Which rules started the runs of a commit, or not",
        )
        .asks::<explain::OfCommit>()
        .gives::<api::Explanations>(),
        get(
            Verb::ExplainDelivery,
            "explainDelivery",
            "/v1/explain/delivery",
            "What became of a forge's delivery, and by which rule",
        )
        .asks::<explain::OfDelivery>()
        .gives::<api::Explanations>(),
        get(
            Verb::ExplainRef,
            "explainRef",
            "/v1/explain/ref",
            "What became of the newest push of a branch or tag, and where the forge says that it points",
        )
        .asks::<explain::OfRef>()
        .gives::<api::Explanations>(),
        Operation {
            changes: false,
            ..post(
                Verb::TryFile,
                "tryFile",
                "/v1/explain",
                Scope::Read,
                "What a changed pipeline file would have made of a past delivery; starts nothing",
            )
        }
        .takes::<api::Trial>()
        .gives::<api::TrialVerdict>(),
    ]
}

fn of_access() -> Vec<Operation> {
    let admin = Some(Scope::Admin);
    vec![
        get(Verb::Tokens, "listTokens", "/v1/tokens", "The API tokens, without their secrets")
            .needs(admin)
            .gives::<api::TokensView>(),
        Operation {
            gives_secret: true,
            ..post(
                Verb::MakeToken,
                "createToken",
                "/v1/tokens",
                Scope::Admin,
                "Make an API token; it is shown once",
            )
        }
        .takes::<api::TokenOrder>()
        .gives::<api::TokenMade>()
        .with(&[201]),
        post(
            Verb::RevokeToken,
            "revokeToken",
            "/v1/tokens/{token}/revoke",
            Scope::Admin,
            "End a token before its time",
        )
        .gives::<api::TokenView>(),
        get(
            Verb::Audit,
            "listAudit",
            "/v1/audit",
            "Who has asked for which change, newest first, a day at a time",
        )
        .needs(admin)
        .asks::<tokens::AuditFrom>()
        .gives::<api::AuditPage>(),
    ]
}

/// Which operations a path has, by method.
pub(crate) type AtPath = Vec<&'static Operation>;

/// The operations by path.
static ROUTES: LazyLock<matchit::Router<AtPath>> = LazyLock::new(|| {
    let mut paths: std::collections::BTreeMap<&str, AtPath> = std::collections::BTreeMap::new();
    for operation in OPERATIONS.iter() {
        paths.entry(operation.path).or_default().push(operation);
    }
    let mut router = matchit::Router::new();
    for (path, operations) in paths {
        // Two paths that can't be told apart are an error of this table, which every test would show.
        router.insert(path, operations).unwrap_or_else(|error| panic!("the route {path}: {error}"));
    }
    router
});

/// The operations at a path, and the path's parameters.
pub(crate) fn at(path: &str) -> Option<(&'static AtPath, matchit::Params<'static, '_>)> {
    let found = ROUTES.at(path).ok()?;
    Some((found.value, found.params))
}
