//! The server: dynalite, which keeps a table and each of its indexes in `LevelDB` in the order of their keys.
//!
//! Installed from npm with every version pinned into `.pushway/dynalite`, and nowhere else.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use aws_credential_types::Credentials;
use pushway_local::{Emulator, Layout};
use pushway_tests::repository;
use serde_json::json;
use tokio::process::{Child, Command};

use crate::figures::say;

/// The region that requests are signed for.
pub(crate) const REGION: &str = "eu-central-1";
/// How long it may take to listen.
const PATIENCE: Duration = Duration::from_secs(30);
/// What the table's properties mean to `CreateTable`; the others are other operations'.
const TABLE_PROPERTIES: [&str; 4] =
    ["AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes", "BillingMode"];
/// What is installed, and by which versions.
const FILES: [(&str, &str); 2] = [
    ("package.json", include_str!("../../dynalite/package.json")),
    ("package-lock.json", include_str!("../../dynalite/package-lock.json")),
];

/// Any will do.
pub(crate) fn credentials() -> Credentials {
    Credentials::from_keys("bench", "bench", None)
}

/// A server that ends with this program.
pub(crate) struct Server {
    _child: Child,
    client: Emulator,
    /// Deleted with it.
    _folder: Option<tempfile::TempDir>,
}

impl Server {
    /// Starts one on a free port, with its tables in `data` or in a folder that does not stay.
    pub(crate) async fn start(data: Option<&Path>) -> anyhow::Result<Self> {
        let program = install().await?;
        let folder = match data {
            Some(_) => None,
            None => Some(tempfile::tempdir_in(program.parent().unwrap_or(&program))?),
        };
        let data =
            data.or(folder.as_ref().map(tempfile::TempDir::path)).context("a folder for the tables")?;
        std::fs::create_dir_all(data).with_context(|| format!("make {}", data.display()))?;
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut command = Command::new("node");
        command.arg(program.join("node_modules/dynalite/cli.js")).args([
            "--host",
            "127.0.0.1",
            "--createTableMs",
            "0",
        ]);
        command.arg("--port").arg(port.to_string()).arg("--path").arg(data.join("level"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true);
        let child = command.spawn().context("start node; the benchmark needs Node.js")?;
        let client = Emulator::new(&format!("http://127.0.0.1:{port}"), REGION, credentials())?;
        let server = Self { _child: child, client, _folder: folder };
        let begun = std::time::Instant::now();
        while server.call("ListTables", json!({})).await.is_err() {
            ensure!(begun.elapsed() < PATIENCE, "dynalite does not answer on port {port}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(server)
    }

    /// Where it listens.
    pub(crate) fn endpoint(&self) -> &str {
        self.client.endpoint()
    }

    /// Creates a table as the template has it; whether there was none of that name.
    pub(crate) async fn create(&self, name: &str) -> anyhow::Result<bool> {
        if self.call("DescribeTable", json!({ "TableName": name })).await.is_ok() {
            return Ok(false);
        }
        let template = repository::template();
        let properties = &template["Resources"]["Table"]["Properties"];
        let mut table = json!({ "TableName": name });
        for property in TABLE_PROPERTIES {
            table[property] = properties[property].clone();
        }
        self.call("CreateTable", table).await.with_context(|| format!("create {name}"))?;
        Ok(true)
    }

    async fn call(&self, operation: &str, body: serde_json::Value) -> anyhow::Result<serde_json::Value> {
        self.client.json("dynamodb", &format!("DynamoDB_20120810.{operation}"), body).await
    }
}

/// Installs what is pinned, unless it is there; gives the folder.
async fn install() -> anyhow::Result<PathBuf> {
    let folder = Layout::new(&repository::root())?.root().join("dynalite");
    let is_there = FILES
        .iter()
        .all(|(name, text)| std::fs::read_to_string(folder.join(name)).is_ok_and(|found| found == *text));
    if is_there && folder.join("node_modules/dynalite/cli.js").is_file() {
        return Ok(folder);
    }
    say("installing dynalite into .pushway/dynalite (once, some seconds)");
    std::fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
    for (name, text) in FILES {
        std::fs::write(folder.join(name), text)?;
    }
    // Its one native part comes built; no package's script is run.
    let mut npm = Command::new("npm");
    npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(&folder).stdin(Stdio::null());
    let status =
        npm.stdout(std::io::stderr()).status().await.context("start npm; the benchmark needs Node.js")?;
    if !status.success() {
        bail!("npm ci failed with {status} in {}", folder.display());
    }
    Ok(folder)
}
