//! `cargo xtask lint`: everything that reads the sources without running them.

use std::path::Path;
use std::process::ExitCode;

use pushway_local::{Engine, tools};

use crate::process::{command, run, say};
use crate::root;

/// The version whose configuration format `deny.toml` has.
const CARGO_DENY: &str = "cargo-deny@0.20.2";

/// Checks format, lints, dependencies and templates; stops at the first that is not clean.
pub(crate) async fn main() -> anyhow::Result<ExitCode> {
    let root = root();
    let engine = Engine::new(&root)?;
    say("format");
    run(&mut command(&root, "cargo", &["fmt", "--all", "--check"]))?;
    say("clippy");
    let clippy =
        ["clippy", "--quiet", "--workspace", "--all-targets", "--locked", "--", "--deny", "warnings"];
    run(&mut command(&root, "cargo", &clippy))?;
    say("dependencies");
    // Advisories are left to a job with access to their database: a lint must not depend on a third party.
    let deny = cargo_deny(&root, &engine.layout().root().join("tools"))?;
    run(&mut command(&root, deny, &["--log-level", "error", "check", "bans", "licenses", "sources"]))?;
    say("templates");
    tools::install(engine.layout(), &say).await?;
    let bin = engine.layout().venv_bin();
    for template in ["template.yaml", "target-account.yaml", "examples/hello-ecs/infrastructure.yaml"] {
        run(&mut command(&root, bin.join("cfn-lint"), &["--regions", "us-east-1", "--", template]))?;
    }
    let mut validate = command(&root, bin.join("sam"), &["validate", "--lint", "--region", "us-east-1"]);
    run(validate.env("SAM_CLI_TELEMETRY", "0"))?;
    Ok(ExitCode::SUCCESS)
}

/// The checker, built once for this repository if it is not there.
fn cargo_deny(root: &Path, tools: &Path) -> anyhow::Result<std::path::PathBuf> {
    let program = tools.join("bin/cargo-deny");
    if !program.exists() {
        say("building cargo-deny (once, a few minutes)");
        let folder = tools.display().to_string();
        // Unoptimised: it runs for seconds, and optimising it would take minutes.
        let args = ["install", "--quiet", "--locked", "--debug", "--root", &folder, CARGO_DENY];
        run(&mut command(root, "cargo", &args))?;
    }
    Ok(program)
}
