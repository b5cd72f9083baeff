//! What the webhook function needs of an installation: the emulator with the table of `template.yaml`, one
//! hook with its secret, and a state machine.
//!
//! The state machine ends at once: the emulator runs executions in its own process, and 1,000 real ones would
//! measure that. No container engine is started.

use std::collections::BTreeSet;
use std::ffi::OsString;

use anyhow::Context as _;
use pushway_core::keys::{self, META};
use pushway_core::run::Run;
use pushway_core::source::{Hook, Provider};
use pushway_local::{Emulator, Engine, Layout, Options, tools};
use pushway_tests::repository;
use pushway_tests::sim::story;
use serde::Serialize;
use serde_json::{Value, json};

use crate::deliveries::{SECRET, Sample};
use crate::figures::say;

/// The hook's id; `events/webhook.json` is addressed to it.
const HOOK: &str = "web";
/// The name of the hook's secret.
const SECRET_NAME: &str = "pushway/web";
/// The name of the table.
pub(crate) const TABLE: &str = "webhook-burst";
/// What the table's properties mean to `CreateTable`; the others are other operations'.
const TABLE_PROPERTIES: [&str; 4] =
    ["AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes", "BillingMode"];

/// An emulator of this benchmark's own.
pub(crate) struct Installation {
    engine: Engine,
    emulator: Emulator,
    state_machine: String,
    /// Deleted with it.
    _folder: tempfile::TempDir,
}

/// What lies in the installation after the burst.
#[derive(Debug, Serialize)]
pub(crate) struct Recorded {
    /// Runs.
    pub(crate) runs: usize,
    /// Different commits of those runs.
    pub(crate) commits: usize,
    /// Executions.
    pub(crate) executions: usize,
}

impl Recorded {
    /// Whether each push is one run and one execution.
    pub(crate) fn is_once_each(&self, pushes: u32) -> bool {
        [self.runs, self.commits, self.executions] == [pushes as usize; 3]
    }
}

impl Installation {
    /// Starts the emulator in a folder of its own, with the tools of this repository, and fills it.
    pub(crate) async fn up() -> anyhow::Result<Self> {
        let tools = Layout::new(&repository::root())?;
        tools::install(&tools, &say).await?;
        let folder = tempfile::tempdir().context("make a folder for the emulator")?;
        let engine = Engine::new(folder.path())?;
        std::fs::create_dir_all(engine.layout().root()).context("make a folder for the emulator")?;
        std::os::unix::fs::symlink(tools.venv(), engine.layout().venv()).context("share the tools")?;
        let own = std::env::current_exe().context("find this program")?;
        let supervisor: [OsString; 3] = [own.into(), "supervise".into(), engine.layout().project().into()];
        let options = Options { docker: false, ..Options::default() };
        let emulator = engine.up(&options, &supervisor, &say).await?.emulator()?;
        let mut installation = Self { engine, emulator, state_machine: String::new(), _folder: folder };
        if let Err(error) = installation.fill().await {
            installation.down().await?;
            return Err(error);
        }
        Ok(installation)
    }

    /// Stops the emulator.
    pub(crate) async fn down(&self) -> anyhow::Result<()> {
        self.engine.down().await.map(drop)
    }

    async fn fill(&mut self) -> anyhow::Result<()> {
        let template = repository::template();
        let properties = &template["Resources"]["Table"]["Properties"];
        let mut table = json!({ "TableName": TABLE });
        for name in TABLE_PROPERTIES {
            table[name] = properties[name].clone();
        }
        self.dynamodb("CreateTable", table).await?;
        let secret = json!({ "Name": SECRET_NAME, "SecretString": SECRET });
        self.emulator.json("secretsmanager", "secretsmanager.CreateSecret", secret).await?;
        let hook = Hook {
            id: HOOK.parse()?,
            provider: Provider::Github,
            repository: Sample::read()?.repository().to_owned(),
            repository_id: None,
            secret: Some(SECRET_NAME.into()),
            ..story::hook()
        };
        let key = keys::hook(hook.provider, HOOK);
        let item = json!({
            "pk": { "S": key.pk }, "sk": { "S": key.sk }, "data": { "S": serde_json::to_string(&hook)? },
        });
        self.dynamodb("PutItem", json!({ "TableName": TABLE, "Item": item })).await?;
        let trust = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole",
            "Principal":{"Service":"states.amazonaws.com"}}]}"#;
        let role = [("RoleName", TABLE), ("AssumeRolePolicyDocument", trust), ("Version", "2010-05-08")];
        self.emulator.query("iam", "CreateRole", &role).await?;
        let definition = json!({ "StartAt": "Done", "States": { "Done": { "Type": "Succeed" } } });
        let machine = json!({
            "name": TABLE, "definition": definition.to_string(), "roleArn": format!("arn:aws:iam::000000000000:role/{TABLE}"),
        });
        let created = self.states("CreateStateMachine", machine).await?;
        let arn = created["stateMachineArn"].as_str().context("CreateStateMachine gave no ARN")?;
        arn.clone_into(&mut self.state_machine);
        Ok(())
    }

    /// The environment variables that Lambda would give the function, its settings among them.
    pub(crate) fn function_environment(&self) -> Vec<(String, String)> {
        let mut variables = self.emulator.env();
        let own = [
            ("PUSHWAY_TABLE", TABLE),
            ("PUSHWAY_STATE_MACHINE_ARN", &self.state_machine),
            ("AWS_LAMBDA_FUNCTION_NAME", "webhook"),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
            ("AWS_LAMBDA_LOG_GROUP_NAME", "webhook"),
            ("AWS_LAMBDA_LOG_STREAM_NAME", "webhook"),
        ];
        variables.extend(own.map(|(name, value)| (name.to_owned(), value.to_owned())));
        variables
    }

    /// Calls DynamoDB.
    pub(crate) async fn dynamodb(&self, operation: &str, body: Value) -> anyhow::Result<Value> {
        self.emulator.json("dynamodb", &format!("DynamoDB_20120810.{operation}"), body).await
    }

    async fn states(&self, operation: &str, body: Value) -> anyhow::Result<Value> {
        self.emulator.json("states", &format!("AWSStepFunctions.{operation}"), body).await
    }

    /// Counts what was recorded, but for the first `before` pushes.
    pub(crate) async fn recorded(&self, before: u32) -> anyhow::Result<Recorded> {
        let before = before as usize;
        let mut runs = Vec::new();
        let mut scan = json!({ "TableName": TABLE, "ConsistentRead": true });
        loop {
            let page = self.dynamodb("Scan", scan.clone()).await?;
            for item in page["Items"].as_array().into_iter().flatten() {
                let text = |name: &str| item[name]["S"].as_str().unwrap_or_default();
                if text("sk") == META && text("pk").starts_with("RUN#") {
                    runs.push(serde_json::from_str::<Run>(text("data")).context("read a recorded run")?);
                }
            }
            scan["ExclusiveStartKey"] = page["LastEvaluatedKey"].clone();
            if scan["ExclusiveStartKey"].is_null() {
                break;
            }
        }
        let commits: BTreeSet<_> = runs.iter().map(|run| &run.source.commit).collect();
        Ok(Recorded {
            runs: runs.len().saturating_sub(before),
            commits: commits.len().saturating_sub(before),
            executions: self.executions().await?.saturating_sub(before),
        })
    }

    async fn executions(&self) -> anyhow::Result<usize> {
        let mut count = 0;
        let mut list = json!({ "stateMachineArn": self.state_machine, "maxResults": 1000 });
        loop {
            let page = self.states("ListExecutions", list.clone()).await?;
            count += page["executions"].as_array().map_or(0, Vec::len);
            list["nextToken"] = page["nextToken"].clone();
            if list["nextToken"].is_null() {
                return Ok(count);
            }
        }
    }
}
