//! `cargo xtask package`: one folder a function with its `bootstrap`, as `template.yaml` names them.

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;

use crate::process::{command, print, run, say};
use crate::root;

/// The oldest C library that `provided.al2023` has (Amazon Linux 2023).
const GLIBC: &str = "2.34";

/// How to build.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Build for AWS: optimised, for the Lambda runtime's C library. Needs `cargo-zigbuild` and zig.
    #[arg(long)]
    release: bool,
    /// The functions' architecture on AWS.
    #[arg(long, value_parser = ["arm64", "x86_64"], default_value = "arm64", requires = "release")]
    arch: String,
}

/// Builds and lays out.
pub(crate) fn main(args: &Args) -> anyhow::Result<ExitCode> {
    let folder = if args.release { release(&args.arch)? } else { debug()? };
    print(&format!("packaged {} functions in {}", names()?.len(), folder))?;
    Ok(ExitCode::SUCCESS)
}

/// Builds the functions and the `pushway` command with the profile that tests use too, and lays them out.
pub(crate) fn debug() -> anyhow::Result<String> {
    build(&["--bins", "--exclude", "xtask"])
}

/// The same with every test: what `cargo test` then finds built. Two calls of cargo with other targets would
/// agree on other features of shared crates, and so build the AWS SDK twice.
pub(crate) fn debug_with_tests() -> anyhow::Result<String> {
    build(&["--all-targets"])
}

fn build(what: &[&str]) -> anyhow::Result<String> {
    let root = root();
    say("building (the first time takes minutes)");
    run(&mut command(&root, "cargo", &[&["build", "--quiet", "--workspace"], what].concat()))?;
    lay_out(&root.join("target/debug"))
}

fn release(arch: &str) -> anyhow::Result<String> {
    let root = root();
    let target = if arch == "arm64" { "aarch64-unknown-linux-gnu" } else { "x86_64-unknown-linux-gnu" };
    run(&mut command(&root, "rustup", &["target", "add", target]))?;
    let exact = format!("{target}.{GLIBC}");
    let mut args = vec!["zigbuild".to_owned(), "--release".into(), "--target".into(), exact];
    args.extend(names()?.into_iter().flat_map(|name| ["--package".to_owned(), name]));
    run(&mut command(&root, "cargo", &args))
        .context("cargo zigbuild is needed: pip install cargo-zigbuild ziglang")?;
    lay_out(&root.join("target").join(target).join("release"))
}

fn lay_out(binaries: &Path) -> anyhow::Result<String> {
    let lambda = root().join("target/lambda");
    for name in names()? {
        let folder = lambda.join(&name);
        fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
        let (from, to) = (binaries.join(&name), folder.join("bootstrap"));
        fs::copy(&from, &to).with_context(|| format!("copy {} to {}", from.display(), to.display()))?;
        // Half of an unoptimised binary is symbols, and each is packed and uploaded at every deploy. Without
        // binutils it merely takes longer.
        let _absent = command(&folder, "strip", &["bootstrap"]).status();
    }
    Ok(lambda.display().to_string())
}

/// The functions: the folders under `functions/`.
fn names() -> anyhow::Result<Vec<String>> {
    let folder = root().join("functions");
    let mut names = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| format!("list {}", folder.display()))? {
        let entry = entry?;
        if entry.path().join("Cargo.toml").exists() {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}
