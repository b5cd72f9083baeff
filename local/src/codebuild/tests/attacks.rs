//! What names, addresses and versions from outside can do to a build: nothing (rows A14, A15).

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use pushway_core::ids::RefName;
use serde_json::{Value, json};

use super::{World, context, git, small_limits};

/// Branches that git lets people make, and that a shell would run.
const BRANCHES: [&str; 10] = [
    "zzz\";echo${IFS}\"hello\";touch${IFS}canary;#",
    "$(touch${IFS}canary)",
    "`touch${IFS}canary`",
    "a;touch${IFS}canary",
    "a&&touch${IFS}canary",
    "a|touch${IFS}canary",
    "a>canary",
    "'\"$(touch${IFS}canary)\"'",
    "%s%n$IFS$(touch${IFS}canary)",
    "-x/--upload-pack=touch${IFS}canary",
];
/// What no ref may be called; as a value of a variable it is data all the same.
const NO_BRANCHES: [&str; 5] =
    ["a\ntouch canary", "a\rtouch canary", "a\ttouch canary", "a touch canary", "a\n\u{1e}touch canary\n"];

/// Every phase, with the variables used as careful and as careless people use them.
const BUILDSPEC: &str = r#"
version: 0.2
env:
  exported-variables: [PUSHWAY_BRANCH, PUSHWAY_REF, PUSHWAY_BUILD_IMAGE_NOTE, COPIED]
phases:
  install:
    commands:
      - printf '%s' "$PUSHWAY_BRANCH" > branch; printf '%s' "$PUSHWAY_REF" > ref
      - printf '%s' "$CODEBUILD_SOURCE_VERSION" > version
      - export COPIED="$PUSHWAY_BRANCH"
  build:
    commands:
      - printf '%s\n' $PUSHWAY_BRANCH $PUSHWAY_REF $PUSHWAY_BUILD_IMAGE_NOTE > unquoted
      - env > all; export -p > exports; echo $PUSHWAY_BRANCH
      - sh -c 'test "$1" = "$PUSHWAY_BRANCH"' sh "$COPIED"
    finally:
      - printf '%s' "$PUSHWAY_BRANCH" | cmp - branch
  post_build:
    commands:
      - for file in branch ref version; do cp "$file" "$OUT/$file"; done
      - if [ -e canary ]; then cp canary "$OUT/canary"; fi
"#;

/// Builds with these values in every variable that outsiders choose.
async fn build(world: &World, name: &str, source: &Value) -> Value {
    let variable = |variable: &str, value: &str| json!({"name": variable, "value": value});
    let out = world.folder.path().join("out");
    fs::create_dir_all(&out).unwrap();
    let mut order = source.clone();
    order["projectName"] = json!("web");
    order["environmentVariablesOverride"] = json!([
        variable("OUT", out.to_str().unwrap()),
        variable("PUSHWAY_REF", &format!("refs/heads/{name}")),
        variable("PUSHWAY_BRANCH", name),
        variable("PUSHWAY_BUILD_IMAGE_NOTE", name),
    ]);
    let id = world.start(order).await;
    world.ended(&id).await
}

fn check(world: &World, name: &str, build: &Value) {
    let log = world.log();
    assert_eq!(build["buildStatus"], "SUCCEEDED", "{name:?}: {log}");
    let out = world.folder.path().join("out");
    let told = |file: &str| fs::read_to_string(out.join(file)).unwrap();
    assert_eq!((told("branch"), told("ref")), (name.to_owned(), format!("refs/heads/{name}")));
    assert!(!out.join("canary").exists(), "{name:?} was run");
    let exported = build["exportedEnvironmentVariables"].as_array().unwrap();
    let branch = exported.iter().find(|variable| variable["name"] == "COPIED").unwrap();
    assert_eq!(branch["value"].as_str().unwrap().trim_end_matches('\n'), name.trim_end_matches('\n'));
}

#[tokio::test(flavor = "multi_thread")]
async fn a14_a_branch_that_looks_like_shell_is_built_and_never_run() {
    let world = World::new().await;
    let (repository, _) = world.repository(&[("buildspec.yml", BUILDSPEC)]);
    for name in BRANCHES {
        format!("refs/heads/{name}").parse::<RefName>().unwrap();
        git(&repository, &["update-ref", &format!("refs/heads/{name}"), "HEAD"]);
        // Pushway names the commit; others who start builds name the branch.
        let version = format!("refs/heads/{name}");
        let source = json!({
            "sourceTypeOverride": "GITHUB", "sourceLocationOverride": repository, "sourceVersion": version,
        });
        check(&world, name, &build(&world, name, &source).await);
        let told = fs::read_to_string(world.folder.path().join("out/version")).unwrap();
        assert_eq!(told, version, "CODEBUILD_SOURCE_VERSION");
    }
    let inline = json!({"sourceTypeOverride": "NO_SOURCE", "buildspecOverride": BUILDSPEC});
    for name in NO_BRANCHES {
        assert!(format!("refs/heads/{name}").parse::<RefName>().is_err(), "{name:?} was taken for a ref");
        check(&world, name, &build(&world, name, &inline).await);
    }
    assert!(!world.folder.path().join("canary").exists());
}

/// A git that notes its arguments, one to a line and calls ended by `=`, and then does what git does.
fn noting_git(folder: &std::path::Path) -> std::path::PathBuf {
    let bin = folder.join("bin");
    fs::create_dir_all(&bin).unwrap();
    let real = std::env::split_paths(&std::env::var_os("PATH").unwrap())
        .map(|folder| folder.join("git"))
        .find(|git| git.is_file())
        .unwrap();
    let script = format!(
        "#!/bin/sh\nprintf '%s\\n' \"$GIT_ALLOW_PROTOCOL\" \"$@\" = >> '{}'\nexec '{}' \"$@\"\n",
        folder.join("calls").display(),
        real.display()
    );
    fs::write(bin.join("git"), script).unwrap();
    fs::set_permissions(bin.join("git"), fs::Permissions::from_mode(0o755)).unwrap();
    bin
}

#[tokio::test(flavor = "multi_thread")]
async fn a15_git_is_never_given_an_option_or_a_transport_from_outside() {
    let tools = tempfile::tempdir().unwrap();
    let world = World::with(small_limits(), vec![noting_git(tools.path())]).await;
    let calls = || fs::read_to_string(tools.path().join("calls")).unwrap_or_default();
    let (repository, commit) = world.repository(&[("buildspec.yml", "version: 0.2\nphases: {}\n")]);
    let location = repository.to_str().unwrap();
    let never = tools.path().join("never");
    let touch = format!("touch {}", never.display());
    let source = |location: &str, version: &str| {
        json!({
            "projectName": "web", "sourceTypeOverride": "GITHUB", "sourceLocationOverride": location,
            "sourceVersion": version,
        })
    };
    for (location, version, expected) in [
        (&*format!("--upload-pack={touch}"), "main", "no usable location"),
        (&format!("-c core.sshCommand={touch}"), "main", "no usable location"),
        (&format!("ext::sh -c {touch}"), "main", "no usable location"),
        (&format!("ext::https://sh -c {touch}"), "main", "no usable location"),
        ("fd::7", "main", "no usable location"),
        ("../repository", "main", "no usable location"),
        ("user@host:path", "main", "no usable location"),
        ("gopher://example.com/web", "main", "no usable location"),
        (&format!("ssh://-oProxyCommand={touch}/web"), "main", "no usable location"),
        ("https://example.com/\n--upload-pack=x", "main", "no usable location"),
        (location, &format!("--upload-pack={touch}"), "is no branch, tag, ref or commit"),
        (location, "-c", "is no branch, tag, ref or commit"),
        (location, "+refs/heads/*:refs/heads/*", "is no branch, tag, ref or commit"),
        (location, "main:refs/heads/other", "is no branch, tag, ref or commit"),
    ] {
        let id = world.start(source(location, version)).await;
        let build = world.ended(&id).await;
        let (code, message) = context(&build, "DOWNLOAD_SOURCE");
        assert!(code == "CLIENT_ERROR" && message.contains(expected), "{location} {version}: {message}");
    }
    assert_eq!(calls(), "", "git was started for one of them");

    // What is taken comes behind the end of options, under an allow-list of transports.
    for version in [commit.as_str(), "main", "refs/pull/7/head", "$(id)"] {
        let id = world.start(source(location, version)).await;
        world.ended(&id).await;
    }
    let noted = calls();
    let noted: Vec<Vec<&str>> = noted.split("\n=\n").map(|call| call.lines().collect()).collect();
    assert!(
        noted.iter().any(|call| call.contains(&"clone")) && noted.iter().any(|call| call.contains(&"fetch"))
    );
    for call in noted.iter().filter(|call| call.contains(&"clone") || call.contains(&"fetch")) {
        assert_eq!(call[0], "file:git:http:https:ssh", "{call:?}");
        let end = call.iter().position(|word| *word == "--").unwrap();
        let outside = |word: &&str| *word == location || *word == "refs/pull/7/head" || *word == "$(id)";
        assert!(!call[..end].iter().any(outside), "{call:?}");
        assert!(!call[end..].iter().skip(1).any(|word| word.starts_with('-')), "{call:?}");
    }
    assert!(!never.exists(), "something from outside was run");
}
