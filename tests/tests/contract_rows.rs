//! Every row of faults and attacks that the sources answer for has a test that bears its name.

use std::collections::BTreeSet;

use pushway_tests::repository::sources;

/// Deliveries and their order (F1 to F12), what fails and dies between (F13 to F21), sizes and throttles of the table (F22 to
/// F24), deploys (F26 to F37), forges' limits and bursts (F42, F43), attacks from outside (A1 to A24), on who may ask, on pages, terminals and logs (A29
/// to A37), exports and the CLI's own files (A46, A47).
fn rows() -> impl Iterator<Item = String> {
    let faults = (1..=24).chain(26..=37).chain(42..=43).map(|row| format!("f{row}"));
    faults.chain((1..=24).chain(29..=37).chain(46..=47).map(|row| format!("a{row}")))
}

#[test]
fn every_row_has_a_test_of_its_name() {
    let all = ["shared", "functions", "cli", "dashboard", "local", "tests/tests", "benches"]
        .map(sources)
        .join("\n");
    // A test's attribute, others that it may have, and its name.
    let tests = all.split("test]\n").chain(all.split("test(flavor = \"multi_thread\")]\n")).skip(1);
    let attributes = |line: &&str| line.trim_start().starts_with("#[");
    let names = tests.filter_map(|text| text.lines().find(|line| !attributes(line))?.split_once("fn "));
    let parts: BTreeSet<&str> = names.flat_map(|(_, name)| name.split(['(', '_'])).collect();
    let missing: Vec<String> = rows().filter(|row| !parts.contains(row.as_str())).collect();
    assert!(missing.is_empty(), "no test is named by {missing:?}");
}
