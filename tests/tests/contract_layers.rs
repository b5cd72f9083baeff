//! The arrows of the rooms: who may use whom, read from the manifests.

use std::collections::BTreeSet;

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};
use pushway_tests::repository::{entries, root, sources, text};

fn metadata() -> Metadata {
    let mut command = MetadataCommand::new();
    command.manifest_path(root().join("Cargo.toml")).no_deps();
    command.other_options(["--offline".to_owned()]).exec().expect("cargo metadata")
}

/// What a crate ships with: its normal dependencies.
fn shipped(package: &Package) -> BTreeSet<&str> {
    let normal = package.dependencies.iter().filter(|dependency| dependency.kind == DependencyKind::Normal);
    normal.map(|dependency| dependency.name.as_str()).collect()
}

/// The crates of this workspace that a crate may ship with.
fn allowed(name: &str, functions: &BTreeSet<String>) -> BTreeSet<String> {
    let names = |list: &[&str]| list.iter().map(|name| (*name).to_owned()).collect();
    match name {
        "pushway-core" => BTreeSet::new(),
        "pushway-forges" | "pushway-local" | "pushway-dashboard" => names(&["pushway-core"]),
        "pushway-aws" => names(&["pushway-core", "pushway-forges"]),
        "pushway" => names(&["pushway-core", "pushway-aws", "pushway-forges", "pushway-local"]),
        "xtask" => names(&["pushway-core", "pushway-local"]),
        "pushway-tests" => {
            let mut all = functions.clone();
            all.extend(names(&["pushway-core", "pushway-aws", "pushway-forges", "pushway-local"]));
            all
        }
        "pushway-fuzz" => names(&["pushway-core", "pushway-forges", "pushway-local", "pushway-tests"]),
        "pushway-benches" => names(&["pushway-core", "pushway-aws", "pushway-local", "pushway-tests"]),
        "api" => names(&["pushway-core", "pushway-aws", "pushway-dashboard"]),
        function if functions.contains(function) => names(&["pushway-core", "pushway-aws"]),
        other => panic!("which crates may {other} use? say it here and in docs/architecture.md"),
    }
}

#[test]
fn crates_use_whom_they_may() {
    let metadata = metadata();
    let functions = entries("functions");
    let members: BTreeSet<&str> = metadata.packages.iter().map(|package| package.name.as_str()).collect();
    for package in &metadata.packages {
        let allowed = allowed(&package.name, &functions);
        let uses = package.dependencies.iter().map(|dependency| dependency.name.as_str());
        for used in uses.filter(|name| members.contains(name)) {
            assert!(allowed.contains(used), "{} must not use {used}", package.name);
        }
    }
}

#[test]
fn a_handler_is_linked_without_aws() {
    let metadata = metadata();
    for name in entries("functions") {
        let package = metadata.packages.iter().find(|package| *package.name == name);
        let package = package.unwrap_or_else(|| panic!("functions/{name} is no crate of that name"));
        let aws = package.dependencies.iter().find(|dependency| dependency.name == "pushway-aws");
        assert!(aws.is_some_and(|dependency| dependency.optional), "pushway-aws is optional in {name}");
        let default = package.features.get("default").map(Vec::as_slice).unwrap_or_default();
        assert_eq!(default, ["lambda"], "default feature of {name}");
        let main = text(format!("functions/{name}/src/main.rs"));
        assert!(main.lines().count() <= 40, "functions/{name}/src/main.rs only wires");
        // The API is many small verbs, and fills the pages.
        let most = if name == "api" { 4_500 } else { 800 };
        assert!(
            sources(&format!("functions/{name}/src")).lines().count() <= most,
            "function {name} is too long"
        );
        assert!(
            text(format!("functions/{name}/src/lib.rs")).lines().count() <= 260,
            "handler {name} is too long"
        );
    }
}

#[test]
fn aws_is_named_in_one_place_and_the_core_is_pure() {
    for package in &metadata().packages {
        let shipped = shipped(package);
        if package.name != "pushway-aws" {
            let sdk = shipped.iter().find(|name| name.starts_with("aws-sdk-") || **name == "aws-config");
            assert_eq!(sdk, None, "{} speaks to AWS by itself", package.name);
        }
        if package.name == "pushway-core" {
            for impure in ["tokio", "reqwest", "lambda_runtime", "tracing", "aws_lambda_events"] {
                assert!(!shipped.contains(impure), "the core uses {impure}");
            }
        }
    }
}

#[test]
fn settings_are_read_in_one_place() {
    for name in entries("functions") {
        for file in ["lib.rs", "main.rs"] {
            let source = text(format!("functions/{name}/src/{file}"));
            assert!(!source.contains("env::var"), "functions/{name}/src/{file} reads the environment");
        }
    }
}
