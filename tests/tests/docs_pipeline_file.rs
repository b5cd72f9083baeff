//! docs/pipeline-file.md against the code: its keys, its examples, its figures.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use pushway_core::definition_file::{MAX_DEFINITION_BYTES, MAX_DEFINITIONS_BYTES};
use pushway_core::image_file::{ImageFile, MAX_IMAGE_FILE_BYTES};
use pushway_core::pipeline_file::{DIRECTORY, JSON_SCHEMA, PATHS, limits, parse, skip_marker};
use pushway_tests::repository::{template, text};
use serde_json::Value;

fn page() -> String {
    text("docs/pipeline-file.md")
}

/// The rows of each table of keys: by the title of the map, by the key.
fn documented(page: &str) -> BTreeMap<String, BTreeMap<String, String>> {
    let mut tables: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    let mut title = None;
    for line in page.lines() {
        if line.starts_with('#') {
            title = line.strip_prefix("### Keys of ");
        }
        let key = line.strip_prefix("| `").and_then(|row| row.split_once('`'));
        if let (Some(title), Some((key, _))) = (title, key) {
            tables.entry(title.to_owned()).or_default().insert(key.to_owned(), line.to_owned());
        }
    }
    tables
}

/// The keys of each map in the JSON Schema, which a test of the reader holds equal to the reader's own.
fn known(schema: &Value, found: &mut BTreeMap<String, BTreeSet<String>>) {
    if let (Some(title), Some(properties)) = (schema["title"].as_str(), schema["properties"].as_object()) {
        found.insert(title.to_owned(), properties.keys().cloned().collect());
    }
    if let Value::Object(map) = schema {
        map.values().for_each(|part| known(part, found));
    }
}

#[test]
fn every_key_is_documented_and_no_other() {
    let mut keys = BTreeMap::new();
    known(&serde_json::from_str(JSON_SCHEMA).unwrap(), &mut keys);
    let documented = documented(&page());
    let documented: BTreeMap<_, BTreeSet<_>> =
        documented.into_iter().map(|(title, rows)| (title, rows.into_keys().collect())).collect();
    assert_eq!(documented, keys);
}

#[test]
fn every_example_is_a_file_that_pushway_takes() {
    let page = page();
    let examples: Vec<&str> =
        page.split("```yaml\n").skip(1).map(|rest| rest.split_once("```").unwrap().0).collect();
    assert!(examples.len() >= 5);
    for example in examples {
        // An example shows what it is about; the rest is the shortest that there is.
        let has = |key: &str| example.lines().any(|line| line.starts_with(&format!("{key}:")));
        let mut file = example.to_owned();
        for (key, rest) in [
            ("version", "version: 1\n"),
            ("pipeline", "pipeline: example\n"),
            ("on", "on: { push: { branches: [main] } }\n"),
        ] {
            file.push_str(if has(key) { "" } else { rest });
        }
        if !["build", "test", "environments"].into_iter().any(has) {
            file.push_str("test: { unit: { buildspec: buildspec.yml } }\n");
        }
        parse("docs/pipeline-file.md", &file).unwrap_or_else(|problems| panic!("{example}\n{problems}"));
    }
}

fn duration(seconds: u32) -> String {
    match seconds {
        s if s % 3600 == 0 => format!("{}h", s / 3600),
        s if s % 60 == 0 => format!("{}m", s / 60),
        s => format!("{s}s"),
    }
}

fn durations(range: RangeInclusive<u32>) -> String {
    format!("{} to {}", duration(*range.start()), duration(*range.end()))
}

fn at_most(count: usize) -> String {
    format!("at most {count}")
}

fn default(value: &dyn std::fmt::Display) -> String {
    format!("| `{value}` |")
}

/// Each figure stands in the row of its key.
fn documents(figures: &[(&str, &str, String)]) {
    let tables = documented(&page());
    for (title, key, figure) in figures {
        let row = &tables[*title][*key];
        assert!(row.contains(figure), "{title}, {key}: {figure:?} is not in {row}");
    }
}

#[test]
fn figures_of_jobs_and_deploys_are_those_of_the_code() {
    documents(&[
        ("a pipeline file", "variables", at_most(limits::MAX_VARIABLES)),
        ("a pipeline file", "variables", at_most(limits::MAX_VALUE_BYTES)),
        ("a pipeline file", "build", at_most(limits::MAX_JOBS)),
        ("a pipeline file", "test", at_most(limits::MAX_JOBS)),
        ("a pipeline file", "environments", at_most(limits::MAX_ENVIRONMENTS)),
        ("`on`", "schedule", at_most(limits::MAX_SCHEDULES)),
        ("`on`", "image", at_most(limits::MAX_IMAGE_TRIGGERS)),
        ("a job", "timeout", durations(limits::JOB_SECONDS)),
        ("a job", "timeout", default(&duration(limits::DEFAULT_JOB_SECONDS))),
        ("a job", "retries", format!("0 to {}", limits::MAX_RETRIES)),
        ("a job", "matrix", at_most(limits::MAX_MATRIX_KEYS)),
        ("a job", "outputs", at_most(limits::MAX_OUTPUTS)),
        ("a job", "reports", at_most(limits::MAX_REPORTS)),
        ("an environment", "validate", at_most(limits::MAX_CHECKS)),
        ("an environment", "before", at_most(limits::MAX_BEFORE)),
        ("`ecs_task`", "command", format!("at most {} words", limits::MAX_ARGUMENTS)),
        ("`ecs_task`", "command", at_most(limits::MAX_ARGUMENT_BYTES)),
        ("`ecs_task`", "timeout", durations(limits::TASK_SECONDS)),
        ("`ecs_task`", "timeout", default(&duration(limits::DEFAULT_TASK_SECONDS))),
        ("`ecs`", "images", at_most(limits::MAX_IMAGES)),
        ("`ecs_scheduled_task`", "images", at_most(limits::MAX_IMAGES)),
        ("`ecs`", "timeout", durations(limits::DEPLOY_SECONDS)),
        ("`ecs`", "timeout", default(&duration(limits::DEFAULT_DEPLOY_SECONDS))),
        ("`ecs`", "alarms", at_most(limits::MAX_ALARMS)),
        ("`blue_green`", "bake", default(&duration(u32::from(limits::DEFAULT_BAKE_MINUTES) * 60))),
        ("`canary`", "hold", default(&duration(u32::from(limits::DEFAULT_HOLD_MINUTES) * 60))),
        ("`canary`", "percent", default(&limits::DEFAULT_CANARY_PERCENT)),
        ("`canary`", "percent", "1 to 99".into()),
        ("`linear`", "step", default(&limits::DEFAULT_STEP_PERCENT)),
        ("`linear`", "step", "3 to 100".into()),
        ("`blue_green`", "test", at_most(limits::MAX_CHECKPOINT_CHECKS)),
        ("`canary`", "during", at_most(limits::MAX_CHECKPOINT_CHECKS)),
        ("`linear`", "during", at_most(limits::MAX_CHECKPOINT_CHECKS)),
        ("`blue_green`", "pause", durations(limits::PAUSE_SECONDS)),
        ("`canary`", "pause", durations(limits::PAUSE_SECONDS)),
        ("`linear`", "pause", durations(limits::PAUSE_SECONDS)),
        ("`linear`", "every", default(&duration(u32::from(limits::DEFAULT_EVERY_MINUTES) * 60))),
    ]);
}

#[test]
fn figures_of_checks_are_those_of_the_code() {
    documents(&[
        ("`http`", "url", at_most(limits::MAX_URL_BYTES)),
        ("`http`", "body_contains", at_most(limits::MAX_BODY_BYTES)),
        ("`alarms`", "names", at_most(limits::MAX_ALARMS)),
        ("`alarms`", "interval", default(&duration(limits::DEFAULT_LOOK_SECONDS.into()))),
        ("`metrics`", "queries", at_most(limits::MAX_QUERIES)),
        ("`metrics`", "attempts", default(&limits::DEFAULT_ATTEMPTS)),
        ("a query", "dimensions", at_most(limits::MAX_DIMENSIONS)),
        ("a check `ecs`", "healthy", format!("1 to {}", limits::MAX_HEALTHY)),
        ("a check `job`", "timeout", durations(limits::JOB_SECONDS)),
        ("a check `job`", "retries", format!("0 to {}", limits::MAX_RETRIES)),
        ("a check `job`", "reports", at_most(limits::MAX_REPORTS)),
        ("`watch`", "metrics", at_most(limits::MAX_MEASURES)),
        ("`watch`", "for", durations(limits::WATCH_SECONDS)),
        ("`watch`", "alarms", at_most(limits::MAX_ALARMS)),
        ("`http`", "header", at_most(limits::MAX_EXPECTATIONS)),
        ("`http`", "json", at_most(limits::MAX_EXPECTATIONS)),
        ("`latency`", "percentile", default(&limits::DEFAULT_PERCENTILE)),
        ("`http`", "status", default(&limits::DEFAULT_STATUS)),
        ("`http`", "attempts", format!("1 to {}", limits::MAX_ATTEMPTS)),
        ("`http`", "attempts", default(&limits::DEFAULT_ATTEMPTS)),
        ("`http`", "need", default(&limits::DEFAULT_NEED)),
        ("`http`", "interval", durations(limits::INTERVAL_SECONDS)),
        ("`http`", "interval", default(&duration(limits::DEFAULT_PROBE_SECONDS.into()))),
        ("`http`", "timeout", durations(limits::PROBE_SECONDS)),
        ("`http`", "timeout", default(&duration(limits::DEFAULT_PROBE_SECONDS.into()))),
    ]);
}

#[test]
fn figures_in_sentences_are_those_of_the_code() {
    let prose = page().replace('\n', " ");
    for sentence in [
        format!("at most {} KiB of UTF-8", limits::MAX_FILE_BYTES / 1024),
        format!("describes at most {} KiB", limits::MAX_PLAN_BYTES / 1024),
        format!("at most {} patterns of at most {} bytes", limits::MAX_PATTERNS, limits::MAX_PATTERN_BYTES),
        format!("at most {} variables and secrets", limits::MAX_VARIABLES),
        format!("together take at most {}", duration(limits::MAX_VALIDATE_SECONDS)),
        format!("At most {} checks of an environment are jobs", limits::MAX_CHECK_JOBS),
        format!("at most {} jobs with all matrices expanded", limits::MAX_JOBS),
        format!("`{}` at the root of the repository, or, where that is missing, `{}`", PATHS[0], PATHS[1]),
        format!("every `{DIRECTORY}/*.yml`"),
        format!("of at most {} KiB, and all such files", MAX_DEFINITION_BYTES / 1024),
        format!("at most {} KiB. It is read once", MAX_IMAGE_FILE_BYTES / 1024),
        format!(
            "forgets them after {} days",
            template()["Resources"]["Artifacts"]["Properties"]["LifecycleConfiguration"]["Rules"][0]["ExpirationInDays"]
        ),
        format!("of a pipeline of at most {} KiB together", MAX_DEFINITIONS_BYTES / 1024),
    ] {
        assert!(prose.contains(&sentence), "{sentence:?} is not in the page");
    }
}

#[test]
fn expressions_and_markers_are_those_of_the_code() {
    let page = page();
    let rows: Vec<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `${"))
        .filter_map(|row| row.split_once('}'))
        .map(|(name, _)| name)
        .collect();
    // The reader lists what it knows when it is asked for something else.
    let file = "version: 1\npipeline: p\non: { push: { branches: [main] } }\nvariables: { NAME: x }\n\
                test: { unit: { buildspec: b.yml, matrix: { KEY: [x] }, env: { X: \"${colour}\" } } }\n";
    let said = parse("pushway.yml", file).unwrap_err().to_string();
    let known = said.split_once("hint: there is ").unwrap().1.split_once(';').unwrap().0;
    let files = ImageFile::ALL.map(|file| format!("build.JOB.{file}"));
    let of_builds = files.iter().map(String::as_str).chain(["build.JOB.OUTPUT"]);
    let known: BTreeSet<&str> = known.split(", ").chain(of_builds).collect();
    assert_eq!(rows.into_iter().collect::<BTreeSet<_>>(), known);

    let markers = page.lines().find(|line| line.starts_with("**Commit messages**")).unwrap();
    let markers: Vec<&str> = markers.split('`').filter(|part| part.starts_with('[')).collect();
    assert_eq!(markers.len(), 4);
    for marker in markers {
        assert_eq!(skip_marker(marker), Some(marker));
    }
}
