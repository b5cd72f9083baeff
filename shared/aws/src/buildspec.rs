//! Puts a clone in front of a buildspec's own commands, for builds that have no source.
//!
//! Knows just enough of a buildspec to find `phases.install.commands`. One that can't be understood is
//! passed on as it is: `CodeBuild` tells best what is wrong with it.

use serde_json::{Map, Value, json};

/// The clone, without any text from outside in it: URL and commit come as variables.
/// Fetched into the folder rather than cloned: it need not be empty.
const CLONE: [&str; 3] = [
    "git init --quiet .",
    r#"git fetch --quiet -- "$PUSHWAY_CLONE_URL" "+refs/heads/*:refs/remotes/origin/*" "+refs/tags/*:refs/tags/*""#,
    r#"git -c advice.detachedHead=false checkout --quiet --detach "$PUSHWAY_COMMIT""#,
];

/// The buildspec with the clone as its first commands, as JSON (which is YAML too, and the form in which
/// the CDK writes inline buildspecs).
pub(crate) fn with_clone(buildspec: &str) -> String {
    insert(buildspec).unwrap_or_else(|| buildspec.to_owned())
}

fn insert(buildspec: &str) -> Option<String> {
    let mut document: Value = serde_saphyr::from_str(buildspec).ok()?;
    let phases = document.as_object_mut()?.get_mut("phases")?.as_object_mut()?;
    let install = phases.entry("install").or_insert_with(|| Value::Object(Map::new()));
    if install.is_null() {
        *install = Value::Object(Map::new());
    }
    let commands = install.as_object_mut()?.entry("commands").or_insert_with(|| json!([]));
    if commands.is_null() {
        *commands = json!([]);
    }
    commands.as_array_mut()?.splice(0..0, CLONE.map(Value::from));
    serde_json::to_string_pretty(&document).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commands(buildspec: &str) -> Vec<String> {
        let document: Value = serde_saphyr::from_str(&with_clone(buildspec)).unwrap();
        let commands = document.pointer("/phases/install/commands").unwrap().as_array().unwrap();
        commands.iter().map(|command| command.as_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn the_clone_comes_before_the_first_command() {
        let own = "version: 0.2\nphases:\n  install:\n    commands:\n      - echo one\n      - |\n        echo two\n        echo three\n";
        let commands = commands(own);
        assert_eq!(commands[..3], CLONE);
        assert_eq!(commands[3..], ["echo one", "echo two\necho three\n"]);
    }

    #[test]
    fn an_install_phase_is_made_where_there_is_none() {
        for own in [
            "version: 0.2\nphases:\n  build:\n    commands: [make]\n",
            "version: 0.2\nphases:\n  install:\n  build:\n    commands: [make]\n",
            "version: 0.2\nphases:\n  install: {runtime-versions: {nodejs: 22}}\n  build:\n    commands: [make]\n",
        ] {
            assert_eq!(commands(own), CLONE, "{own}");
            let document: Value = serde_saphyr::from_str(&with_clone(own)).unwrap();
            assert_eq!(document.pointer("/phases/build/commands/0"), Some(&json!("make")));
        }
    }

    #[test]
    fn everything_else_keeps_its_meaning() {
        let own = r#"
version: 0.2
env:
  variables: { EMPTY: "", QUOTED: "yes", NUMBER: "0123", TEXT: 'a: b # c' }
  exported-variables: [IMAGE]
phases:
  build:
    on-failure: ABORT
    commands:
      - 'echo "$A" | tee x'
    finally: [echo done]
reports:
  unit: { files: ["**/*.xml"], file-format: JUNITXML }
"#;
        let before: Value = serde_saphyr::from_str(own).unwrap();
        let mut after: Value = serde_saphyr::from_str(&with_clone(own)).unwrap();
        after["phases"].as_object_mut().unwrap().remove("install");
        assert_eq!(before, after);
    }

    #[test]
    fn what_is_no_buildspec_is_passed_on() {
        for own in ["phases: [", "just text", "version: 0.2\n", "phases: {install: {commands: make}}", ""] {
            assert_eq!(with_clone(own), own);
        }
    }
}
