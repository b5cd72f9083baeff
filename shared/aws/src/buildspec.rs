//! Puts a clone in front of a buildspec's own commands, for builds that have no source.
//!
//! Knows just enough of a buildspec to find `phases.install.commands`. One that can't be understood is
//! passed on as it is: `CodeBuild` tells best what is wrong with it.

use serde_json::{Map, Value, json};

/// The clone, without any text from outside in it: URL, login, ref and commit come as variables (row A14).
/// Fetched into the folder rather than cloned: it need not be empty. The commit may lie in no branch (a pull
/// request's head), so its own ref is fetched too, where there is one. Git is given the transports of clone URLs
/// only (row A15); the buildspec's own commands may use others.
const CLONE: [&str; 5] = [
    "git init --quiet .",
    r#"if [ -n "${PUSHWAY_CLONE_TOKEN:-}" ]; then git config --local credential.helper '!f() { echo "username=$PUSHWAY_CLONE_USER"; echo "password=$PUSHWAY_CLONE_TOKEN"; }; f'; fi"#,
    r#"GIT_ALLOW_PROTOCOL=http:https:ssh git fetch --quiet -- "$PUSHWAY_CLONE_URL" "+refs/heads/*:refs/remotes/origin/*" "+refs/tags/*:refs/tags/*""#,
    r#"git cat-file -e "$PUSHWAY_COMMIT" 2>/dev/null || GIT_ALLOW_PROTOCOL=http:https:ssh git fetch --quiet -- "$PUSHWAY_CLONE_URL" "+$PUSHWAY_REF:refs/pushway/head""#,
    r#"git -c advice.detachedHead=false checkout --quiet --detach "$PUSHWAY_COMMIT""#,
];
/// The report group that a pipeline file's own reports go to.
const REPORTS: &str = "pushway";

/// The buildspec with what Pushway adds to it, as JSON (which is YAML too, and the form in which the CDK
/// writes inline buildspecs): the clone as its first commands where `clone` says so, and the reports.
pub(crate) fn prepared(buildspec: &str, clone: bool, reports: &[String]) -> String {
    insert(buildspec, clone, reports).unwrap_or_else(|| buildspec.to_owned())
}

fn insert(buildspec: &str, clone: bool, reports: &[String]) -> Option<String> {
    let mut document: Value = serde_saphyr::from_str(buildspec).ok()?;
    let root = document.as_object_mut()?;
    if clone {
        let phases = root.get_mut("phases")?.as_object_mut()?;
        let install = object(phases, "install")?;
        let commands = install.entry("commands").or_insert_with(|| json!([]));
        if commands.is_null() {
            *commands = json!([]);
        }
        commands.as_array_mut()?.splice(0..0, CLONE.map(Value::from));
    }
    if !reports.is_empty() {
        let group = json!({ "files": reports, "file-format": "JUNITXML" });
        object(root, "reports")?.insert(REPORTS.to_owned(), group);
    }
    serde_json::to_string_pretty(&document).ok()
}

/// The object under a key, made where there is none.
fn object<'v>(parent: &'v mut Map<String, Value>, key: &str) -> Option<&'v mut Map<String, Value>> {
    let value = parent.entry(key).or_insert_with(|| Value::Object(Map::new()));
    if value.is_null() {
        *value = Value::Object(Map::new());
    }
    value.as_object_mut()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commands(buildspec: &str) -> Vec<String> {
        let document: Value = serde_saphyr::from_str(&prepared(buildspec, true, &[])).unwrap();
        let commands = document.pointer("/phases/install/commands").unwrap().as_array().unwrap();
        commands.iter().map(|command| command.as_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn the_clone_comes_before_the_first_command() {
        let own = "version: 0.2\nphases:\n  install:\n    commands:\n      - echo one\n      - |\n        echo two\n        echo three\n";
        let commands = commands(own);
        assert_eq!(commands[..5], CLONE);
        assert_eq!(commands[5..], ["echo one", "echo two\necho three\n"]);
    }

    /// Runs the clone in a real shell with a `git` that writes down the transports it may use and its
    /// arguments, one to a line, and that does not find the commit at first.
    fn arguments_of_git(url: &str, commit: &str) -> Vec<Vec<String>> {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = std::env::temp_dir().join(format!("pushway-argv-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let git = folder.join("git");
        std::fs::write(
            &git,
            "#!/bin/sh\nprintf '%s\\n' \"${GIT_ALLOW_PROTOCOL:-}\" \"$@\" =\ntest \"$1\" != cat-file\n",
        )
        .unwrap();
        std::fs::set_permissions(&git, std::fs::Permissions::from_mode(0o755)).unwrap();
        let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
        let mut shell = std::process::Command::new("sh");
        shell.args(["-euc", &CLONE.join("\n")]).env("PATH", path);
        let done = shell
            .env("PUSHWAY_CLONE_URL", url)
            .env("PUSHWAY_COMMIT", commit)
            .env("PUSHWAY_REF", REF)
            .output()
            .unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
        let text = String::from_utf8(done.stdout).unwrap();
        text.split("=\n").map(|call| call.lines().map(str::to_owned).collect()).collect()
    }

    const REF: &str = "refs/heads/--upload-pack=touch${IFS}x";

    #[test]
    fn a15_what_comes_from_outside_is_never_an_option_of_git() {
        for url in ["--upload-pack=touch x", "-c core.sshCommand=x", "ext::sh -c x", "$(touch x); `x`", "a b"]
        {
            let calls = arguments_of_git(url, "4f0c6a1d9be27735c8e1fa02b6d3949e0a7c5581");
            for fetch in [&calls[1], &calls[3]] {
                assert_eq!(fetch[0], pushway_core::clone_url::TRANSPORTS, "{fetch:?}");
                let end = fetch.iter().position(|argument| argument == "--").unwrap();
                assert_eq!(fetch[end + 1], url, "one argument, after the end of options: {fetch:?}");
                assert_eq!(fetch.iter().filter(|argument| argument.contains(url)).count(), 1, "{fetch:?}");
            }
            assert_eq!(*calls[3].last().unwrap(), format!("+{REF}:refs/pushway/head"));
            assert_eq!(calls[4].last().unwrap(), "4f0c6a1d9be27735c8e1fa02b6d3949e0a7c5581");
        }
    }

    #[test]
    fn an_install_phase_is_made_where_there_is_none() {
        for own in [
            "version: 0.2\nphases:\n  build:\n    commands: [make]\n",
            "version: 0.2\nphases:\n  install:\n  build:\n    commands: [make]\n",
            "version: 0.2\nphases:\n  install: {runtime-versions: {nodejs: 22}}\n  build:\n    commands: [make]\n",
        ] {
            assert_eq!(commands(own), CLONE, "{own}");
            let document: Value = serde_saphyr::from_str(&prepared(own, true, &[])).unwrap();
            assert_eq!(document.pointer("/phases/build/commands/0"), Some(&json!("make")));
        }
    }

    #[test]
    fn reports_join_those_that_the_buildspec_names() {
        let own = "version: 0.2\nphases: {build: {commands: [make]}}\nreports: {own: {files: [a.xml]}}\n";
        let document: Value = serde_saphyr::from_str(&prepared(own, false, &["junit/*.xml".into()])).unwrap();
        assert_eq!(document["reports"]["own"], json!({ "files": ["a.xml"] }));
        let added = json!({ "files": ["junit/*.xml"], "file-format": "JUNITXML" });
        assert_eq!(document["reports"]["pushway"], added);
        assert!(document.pointer("/phases/install").is_none());
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
        let mut after: Value = serde_saphyr::from_str(&prepared(own, true, &[])).unwrap();
        after["phases"].as_object_mut().unwrap().remove("install");
        assert_eq!(before, after);
    }

    #[test]
    fn what_is_no_buildspec_is_passed_on() {
        for own in ["phases: [", "just text", "version: 0.2\n", "phases: {install: {commands: make}}", ""] {
            assert_eq!(prepared(own, true, &[]), own);
        }
    }
}
