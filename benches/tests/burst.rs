//! The burst of row F43 as a test: what is recorded, on the emulator, by the function's own binary. How fast
//! it is depends on the machine, so that is judged by `cargo xtask bench webhook` only.
//!
//! `cargo xtask test` builds the function that it runs.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

#[test]
fn f43_1000_pushes_in_10_seconds_are_1000_runs_though_some_come_twice() {
    let burst = Path::new(env!("CARGO_BIN_EXE_webhook-burst"));
    let function = burst.with_file_name("webhook");
    let output = Command::new(burst).arg("--function").arg(function).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{told}"));
    let recorded = json!({ "runs": 1000, "commits": 1000, "executions": 1000 });
    assert_eq!(report["recorded"], recorded, "{report:#}");
    assert_eq!((&report["once_each"], &report["answers"]["other"]), (&json!(true), &json!(0)), "{report:#}");
}
