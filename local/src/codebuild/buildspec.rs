//! The buildspec, version 0.2: parsed with a budget and judged before anything runs.
//!
//! Source: `CodeBuild` user guide, "Build specification reference for `CodeBuild`". Every complaint says
//! which file and, for YAML, which line and column. It reads no file of its own and runs nothing; what it
//! does not know (`batch`, `proxy`, `cache`) is ignored, as `CodeBuild`'s single builds ignore it.

use std::{collections::BTreeMap, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{SeqAccess, Visitor},
};

use super::{order::is_name, record::PhaseType};

/// The version this worker runs. 0.1 differs in how commands share a shell.
const VERSION: &str = "0.2";
/// "You can specify up to five report groups" (user guide, "Report groups").
const MOST_REPORT_GROUPS: usize = 5;
/// The path that means "no path was given".
pub(super) const DEFAULT_PATH: &str = "buildspec.yml";
/// The phases with commands, in their order, with their names in the file.
pub(super) const PHASES: [(&str, PhaseType); 4] = [
    ("install", PhaseType::Install),
    ("pre_build", PhaseType::PreBuild),
    ("build", PhaseType::Build),
    ("post_build", PhaseType::PostBuild),
];

/// A buildspec that can be run.
#[derive(Debug)]
pub(super) struct Buildspec {
    pub(super) env: Env,
    /// By name, those of `PHASES` only.
    pub(super) phases: BTreeMap<String, PhaseSpec>,
    /// Phases the file names that do not exist.
    pub(super) unknown_phases: Vec<String>,
    /// By group name or ARN.
    pub(super) reports: BTreeMap<String, FileSet>,
    pub(super) artifacts: Option<FileSet>,
}

/// The `env` section.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub(super) struct Env {
    pub(super) shell: Option<String>,
    pub(super) variables: BTreeMap<String, String>,
    pub(super) parameter_store: BTreeMap<String, String>,
    pub(super) secrets_manager: BTreeMap<String, String>,
    pub(super) exported_variables: Vec<String>,
}

/// What a failed phase does to the build.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(super) enum OnFailure {
    #[serde(rename = "ABORT")]
    Abort,
    #[serde(rename = "CONTINUE")]
    Continue,
}

/// One phase's section.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub(super) struct PhaseSpec {
    pub(super) on_failure: Option<OnFailure>,
    pub(super) commands: Vec<String>,
    pub(super) finally: Vec<String>,
}

/// Files of the build: a report's or the artifact's.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub(super) struct FileSet {
    #[serde(deserialize_with = "one_or_many")]
    pub(super) files: Vec<String>,
    #[serde(deserialize_with = "one_or_many")]
    pub(super) exclude_paths: Vec<String>,
    pub(super) base_directory: Option<String>,
    pub(super) discard_paths: YesNo,
    pub(super) file_format: Option<String>,
    pub(super) name: Option<String>,
}

/// A list, or the only item of one: AWS' own tutorials write `files: imagedefinitions.json`.
fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    struct OneOrMany;
    impl<'de> Visitor<'de> for OneOrMany {
        type Value = Vec<String>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list of texts")
        }

        fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Vec<String>, E> {
            Ok(vec![text.to_owned()])
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Vec<String>, A::Error> {
            let mut list = Vec::new();
            while let Some(item) = items.next_element()? {
                list.push(item);
            }
            Ok(list)
        }
    }
    deserializer.deserialize_any(OneOrMany)
}

/// `yes`, `no`, `true`, `false`: YAML 1.1's booleans, which YAML 1.2 reads as text.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(from = "String")]
pub(super) struct YesNo(pub(super) bool);

impl From<String> for YesNo {
    fn from(text: String) -> Self {
        Self(matches!(text.to_ascii_lowercase().as_str(), "yes" | "true" | "on"))
    }
}

#[derive(Deserialize)]
struct File {
    version: Option<String>,
    #[serde(default)]
    env: Option<Env>,
    #[serde(default)]
    phases: Option<BTreeMap<String, Option<PhaseSpec>>>,
    #[serde(default)]
    reports: Option<BTreeMap<String, FileSet>>,
    artifacts: Option<FileSet>,
}

/// Whether a buildspec setting is the text itself rather than a path to it.
pub(super) fn is_inline(setting: &str) -> bool {
    let start = setting.trim_start();
    setting.contains('\n') || start.starts_with("version:") || start.starts_with('{')
}

/// Reads `text`; `name` is what complaints call the file.
pub(super) fn parse(name: &str, text: &str) -> Result<Buildspec, String> {
    let file: File = serde_saphyr::from_str(text).map_err(|error| {
        let place = error
            .location()
            .map(|at| format!(" at line {}, column {}", at.line(), at.column()))
            .unwrap_or_default();
        let told = error.without_snippet().to_string();
        let told = told.lines().next().unwrap_or_default();
        if told.contains("line ") { format!("{name}: {told}") } else { format!("{name}{place}: {told}") }
    })?;
    judge(file).map_err(|complaint| format!("{name}: {complaint}"))
}

fn judge(file: File) -> Result<Buildspec, String> {
    match file.version.as_deref() {
        Some(VERSION) => {}
        Some(other) => return Err(format!("version {other:?} is not supported; write version: {VERSION}")),
        None => return Err(format!("version is missing; write version: {VERSION}")),
    }
    let env = file.env.unwrap_or_default();
    if let Some(shell) = env.shell.as_deref().filter(|shell| !matches!(*shell, "sh" | "bash" | "/bin/sh")) {
        return Err(format!("env/shell {shell:?} is not supported here; use sh or bash"));
    }
    let keys = env.variables.keys().chain(env.parameter_store.keys()).chain(env.secrets_manager.keys());
    if let Some(bad) = keys.chain(&env.exported_variables).find(|name| !is_name(name)) {
        return Err(format!("env: {bad:?} is not a variable name"));
    }
    let mut phases = BTreeMap::new();
    let mut unknown_phases = Vec::new();
    for (name, phase) in file.phases.unwrap_or_default() {
        if PHASES.iter().any(|(known, _)| *known == name) {
            phases.insert(name, phase.unwrap_or_default());
        } else {
            unknown_phases.push(name);
        }
    }
    if phases.values().all(|phase| phase.commands.is_empty() && phase.finally.is_empty()) {
        return Err("no phase has commands; write at least phases/build/commands".to_owned());
    }
    let reports = file.reports.unwrap_or_default();
    if reports.len() > MOST_REPORT_GROUPS {
        return Err(format!("{} report groups; at most {MOST_REPORT_GROUPS} are allowed", reports.len()));
    }
    for (group, files) in &reports {
        let format = files.file_format.as_deref().unwrap_or("JUNITXML");
        if format != "JUNITXML" {
            return Err(format!("reports/{group}: file-format {format} is not supported here; use JUNITXML"));
        }
    }
    Ok(Buildspec { env, phases, unknown_phases, reports, artifacts: file.artifacts })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_buildspec_is_read() {
        let text = r#"
version: 0.2
env:
  shell: bash
  variables: { A: 1, B: "two", C: yes }
  exported-variables: [A]
phases:
  build:
    on-failure: CONTINUE
    commands:
      - echo one
      - |
        echo two
        echo three
    finally: [echo four]
  prebuild: { commands: [echo typo] }
  post_build:
reports:
  unit: { files: ["junit/*.xml"], base-directory: out, discard-paths: yes }
artifacts:
  files: ["**/*"]
"#;
        let spec = parse("buildspec.yml", text).unwrap();
        assert_eq!(spec.env.variables["A"], "1");
        assert_eq!(spec.env.variables["C"], "yes");
        assert_eq!(spec.phases["build"].commands[1], "echo two\necho three\n");
        assert_eq!(spec.phases["build"].on_failure, Some(OnFailure::Continue));
        assert_eq!(spec.unknown_phases, ["prebuild"]);
        assert!(spec.reports["unit"].discard_paths.0);
        assert!(!spec.artifacts.unwrap().discard_paths.0);
    }

    #[test]
    fn a_single_file_needs_no_list() {
        let files = |files: &str| {
            let text = format!(
                "version: 0.2\nphases: {{build: {{commands: [ls]}}}}\nartifacts:\n  files: {files}\n"
            );
            parse("buildspec.yml", &text).map(|spec| spec.artifacts.unwrap().files)
        };
        assert_eq!(files("imagedefinitions.json"), Ok(vec!["imagedefinitions.json".to_owned()]));
        assert_eq!(files("[a, 'b*']"), Ok(vec!["a".to_owned(), "b*".to_owned()]));
        assert!(files("{ a: b }").unwrap_err().contains("a list of texts"));
    }

    #[test]
    fn a_complaint_says_what_and_where() {
        let complaint = |text: &str| parse("ci/build.yml", text).unwrap_err();
        let yaml = complaint("version: 0.2\nphases:\n  build:\n    commands: [echo\n  x: }");
        assert!(yaml.starts_with("ci/build.yml") && yaml.contains("line "), "{yaml}");
        let kind = complaint("version: 0.2\nphases:\n  build:\n    commands:\n      - a: b\n");
        assert!(kind.contains("line 5"), "{kind}");
        assert!(complaint("phases: {}").contains("version is missing"));
        assert!(complaint("version: 0.3").contains("\"0.3\" is not supported"));
        assert!(complaint("version: 0.2").contains("no phase has commands"));
        assert!(complaint("version: 0.2\nphases: {build: {}}").contains("no phase has commands"));
        assert!(complaint("").contains("ci/build.yml"));
        let name = complaint("version: 0.2\nenv: {exported-variables: [\"A;B\"]}\nphases: {}");
        assert!(name.contains("\"A;B\" is not a variable name"), "{name}");
        let retry = complaint("version: 0.2\nphases:\n  build:\n    on-failure: RETRY\n    commands: [ls]");
        assert!(retry.contains("RETRY") && retry.contains("line 4"), "{retry}");
    }

    #[test]
    fn a_yaml_bomb_is_refused() {
        let mut text = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
        for level in 1..9 {
            let uses = vec![format!("*a{}", level - 1); 10].join(",");
            text.extend(["a", &level.to_string(), ": &a", &level.to_string(), " [", &uses, "]\n"]);
        }
        assert!(parse("buildspec.yml", &format!("version: 0.2\n{text}")).is_err());
    }
}
