//! What a build does and what it leaves.

use serde_json::{Value, json};

use super::{World, context, git, inline, phases};

const WHOLE: &str = r#"
version: 0.2
env:
  variables: { FROM: buildspec, OWN: 1 }
  exported-variables: [IMAGE, OWN, NEVER_SET, SECRET_LENGTH]
phases:
  install:
    commands: ["cd ci", "UNEXPORTED=kept"]
  build:
    commands:
      - export IMAGE="$UNEXPORTED-$(cat name)-$FROM-$OVER"
      - SECRET_LENGTH="${#TOKEN} ${#PARAM}"
      - echo "the token is $TOKEN at $(pwd)"
      - printf 'no newline'
      - (exit 0)
      - mkdir -p ../junit && cp unit.xml ../junit/
      - exit 0
      - test "$(basename "$(pwd)")" = ci && test "$IMAGE" != ""
      - test "$CODEBUILD_BUILD_SUCCEEDING" = 1 && test "$AWS_ACCESS_KEY_ID" = ASIAROLE
      - test "$AWS_REGION" = eu-west-1 && test "$CODEBUILD_BUILD_NUMBER" = 1
      - test "$(git rev-parse HEAD)" = "$CODEBUILD_RESOLVED_SOURCE_VERSION"
reports:
  unit: { files: ["*.xml"], base-directory: junit }
artifacts:
  files: ["ci/name"]
"#;
const JUNIT: &str = r#"<testsuite name="s"><testcase classname="a.B" name="adds" time="0.5"/>
<testcase classname="a.B" name="divides"><failure message="by zero">at line 3</failure></testcase></testsuite>"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_is_built_with_exports_reports_artifacts_and_events() {
    let mut world = World::new().await;
    let files = [("buildspec.yml", WHOLE), ("ci/name", "web"), ("ci/unit.xml", JUNIT)];
    let (repository, commit) = world.repository(&files);
    git(
        &repository,
        &["-c", "user.name=T", "-c", "user.email=t@e", "commit", "-q", "--allow-empty", "-m", "two"],
    );
    let variables = json!([
        {"name": "OVER", "value": "$(touch /tmp/never); `id`"},
        {"name": "TOKEN", "value": "npm:token", "type": "SECRETS_MANAGER"},
        {"name": "PARAM", "value": "/p", "type": "PARAMETER_STORE"},
    ]);
    let id = world
        .start(json!({
            "projectName": "web", "sourceTypeOverride": "GITHUB", "sourceLocationOverride": repository,
            "sourceVersion": commit, "environmentVariablesOverride": variables,
        }))
        .await;
    let build = world.ended(&id).await;
    let log = world.log();
    assert_eq!(build["buildStatus"], "SUCCEEDED", "{log}");
    assert_eq!(build["resolvedSourceVersion"], commit.as_str());
    let all = [
        "SUBMITTED",
        "QUEUED",
        "PROVISIONING",
        "DOWNLOAD_SOURCE",
        "INSTALL",
        "PRE_BUILD",
        "BUILD",
        "POST_BUILD",
        "UPLOAD_ARTIFACTS",
        "FINALIZING",
    ];
    let want: Vec<String> =
        all.iter().map(|name| format!("{name} SUCCEEDED")).chain(["COMPLETED".into()]).collect();
    assert_eq!(phases(&build), want);
    assert_eq!(
        build["exportedEnvironmentVariables"],
        json!([
            {"name": "IMAGE", "value": "kept-web-project-$(touch /tmp/never); `id`"},
            {"name": "OWN", "value": "1"}, {"name": "NEVER_SET", "value": ""},
            {"name": "SECRET_LENGTH", "value": ""},
        ]),
        "a shell that exits keeps what is exported"
    );
    assert!(log.starts_with("[Container] ") && log.lines().next().unwrap().contains("shell of this machine"));
    assert!(log.contains("\nthe token is *** at "), "{log}");
    assert!(log.contains("\nno newline\n[Container]"), "{log}");
    assert!(!log.contains("hush-hush") && !log.contains('\u{1e}'), "{log}");
    let artifacts = world.folder.path().join("builds/artifacts");
    let one = std::fs::read_dir(artifacts).unwrap().next().unwrap().unwrap().path();
    assert_eq!(std::fs::read_to_string(one.join("ci/name")).unwrap(), "web");
    assert_reports(&world, &build).await;
    assert_events(&mut world, &build).await;
}

async fn assert_reports(world: &World, build: &Value) {
    let arns = build["reportArns"].clone();
    assert!(
        arns[0].as_str().unwrap().starts_with("arn:aws:codebuild:eu-west-1:000000000000:report/web-unit:")
    );
    let reports = world.call("BatchGetReports", json!({"reportArns": [arns[0], "absent"]})).await.unwrap();
    assert_eq!(reports["reports"][0]["status"], "FAILED");
    assert_eq!(reports["reports"][0]["testSummary"]["total"], 2);
    assert_eq!(reports["reportsNotFound"], json!(["absent"]));
    let filter = json!({"reportArn": arns[0], "filter": {"status": "FAILED"}});
    let failed = world.call("DescribeTestCases", filter).await.unwrap()["testCases"].clone();
    assert_eq!(failed.as_array().unwrap().len(), 1);
    assert_eq!((&failed[0]["name"], &failed[0]["prefix"]), (&json!("divides"), &json!("a.B")));
    assert_eq!(failed[0]["message"], "by zero\nat line 3");
}

async fn assert_events(world: &mut World, build: &Value) {
    let (first, last) = (world.events.recv().await.unwrap(), world.events.recv().await.unwrap());
    assert_eq!(first["detail"]["build-status"], "IN_PROGRESS");
    assert_eq!(first["detail"]["current-phase"], "SUBMITTED");
    assert_eq!(last["detail"]["build-status"], "SUCCEEDED");
    assert_eq!(last["detail"]["current-phase"], "COMPLETED");
    assert_eq!(last["detail"]["build-id"], build["arn"]);
    assert_eq!((&last["source"], &last["resources"]), (&json!("aws.codebuild"), &json!([build["arn"]])));
    assert_eq!(last["detail"]["additional-information"]["build-complete"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_build_still_runs_post_build_and_finally() {
    let world = World::new().await;
    let build = world
        .run(
            "version: 0.2\nphases:\n  build:\n    commands: [echo one, \"false\", echo never]\n    \
             finally: ['echo finally $CODEBUILD_BUILD_SUCCEEDING']\n  \
             post_build:\n    commands: ['echo post $CODEBUILD_BUILD_SUCCEEDING', 'exit 7']\n",
        )
        .await;
    assert_eq!(build["buildStatus"], "FAILED");
    assert_eq!(
        phases(&build)[6..],
        [
            "BUILD FAILED",
            "POST_BUILD FAILED",
            "UPLOAD_ARTIFACTS SUCCEEDED",
            "FINALIZING SUCCEEDED",
            "COMPLETED"
        ]
    );
    let want = ("COMMAND_EXECUTION_ERROR", "Error while executing command: false. Reason: exit status 1");
    assert_eq!(context(&build, "BUILD"), (want.0.to_owned(), want.1.to_owned()));
    assert!(context(&build, "POST_BUILD").1.ends_with("exit status 7"));
    let log = world.log();
    assert!(
        log.contains("\nfinally 0\n") && log.contains("\npost 0\n") && !log.contains("\nnever\n"),
        "{log}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_follows_a_failure_depends_on_the_phase_and_on_failure() {
    let world = World::new().await;
    let spec = |install: &str| {
        format!(
            "version: 0.2\nphases:\n  pre_build:\n{install}    commands: [\"false\"]\n    finally: [echo tidy]\n  \
             build: {{commands: [echo built]}}\n"
        )
    };
    let build = world.run(&spec("")).await;
    assert_eq!(build["buildStatus"], "FAILED");
    assert_eq!(phases(&build)[5..], ["PRE_BUILD FAILED", "FINALIZING SUCCEEDED", "COMPLETED"]);
    assert!(world.log().contains("\ntidy\n") && !world.log().contains("\nbuilt\n"));
    let build = world.run(&spec("    on-failure: CONTINUE\n")).await;
    assert_eq!(build["buildStatus"], "FAILED");
    assert!(phases(&build).contains(&"BUILD SUCCEEDED".to_owned()) && world.log().contains("\nbuilt\n"));
    let abort = "version: 0.2\nphases:\n  build: {on-failure: ABORT, commands: [\"false\"]}\n  \
                 post_build: {commands: [echo posted]}\n";
    let want = ["BUILD FAILED", "UPLOAD_ARTIFACTS SUCCEEDED", "FINALIZING SUCCEEDED", "COMPLETED"];
    assert_eq!(phases(&world.run(abort).await)[6..], want);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_buildspec_fails_the_download_and_says_where() {
    let world = World::new().await;
    let (repository, commit) =
        world.repository(&[("a", ""), ("bad.yml", "version: 0.2\nphases:\n  build: [\n")]);
    std::os::unix::fs::symlink("/etc/passwd", repository.join("link.yml")).unwrap();
    git(&repository, &["add", "."]);
    git(&repository, &["-c", "user.name=T", "-c", "user.email=t@e", "commit", "-q", "-m", "two"]);
    let source = |spec: Option<&str>, version: &str| {
        json!({
            "projectName": "web", "sourceTypeOverride": "CODECOMMIT", "sourceLocationOverride": repository,
            "sourceVersion": version, "buildspecOverride": spec,
        })
    };
    for (spec, version, code, want) in [
        (None, "main", "YAML_FILE_ERROR", "buildspec.yml does not exist"),
        (Some("bad.yml"), "refs/heads/main", "YAML_FILE_ERROR", "bad.yml"),
        (Some("link.yml"), "main", "YAML_FILE_ERROR", "outside the source"),
        (Some("../../x"), commit.as_str(), "YAML_FILE_ERROR", "does not exist"),
        (Some("version: 0.9\nphases: {}"), "main", "YAML_FILE_ERROR", "version \"0.9\""),
        (None, "absent", "CLIENT_ERROR", "source version absent"),
        (None, "0123456789012345678901234567890123456789", "CLIENT_ERROR", "git: "),
    ] {
        let id = world.start(source(spec, version)).await;
        let build = world.ended(&id).await;
        assert_eq!(build["buildStatus"], "FAILED");
        assert_eq!(phases(&build)[3..], ["DOWNLOAD_SOURCE FAILED", "FINALIZING SUCCEEDED", "COMPLETED"]);
        let (got, message) = context(&build, "DOWNLOAD_SOURCE");
        assert!(got == code && message.contains(want), "{spec:?} {version}: {got}: {message}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_report_is_incomplete_and_fails_nothing() {
    let world = World::new().await;
    let build = world
        .run(
            "version: 0.2\nphases: {build: {commands: [\"echo '<testsuite>' >a.xml\"]}}\n\
             reports: {bad: {files: [a.xml]}, none: {files: [b.xml]}}\n",
        )
        .await;
    assert_eq!(build["buildStatus"], "SUCCEEDED");
    let reports = world.call("BatchGetReports", json!({"reportArns": build["reportArns"]})).await.unwrap();
    assert_eq!(reports["reports"][0]["status"], "INCOMPLETE");
    assert_eq!(reports["reports"][1]["status"], "INCOMPLETE");
    assert!(world.log().contains("report files not found in build"));
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_judged_as_aws_judges_them() {
    let world = World::new().await;
    let refused = |operation: &'static str, body| world.refused(operation, body);
    let (code, message) = refused("StartBuild", json!({"projectName": "absent"})).await;
    assert_eq!(
        (code.as_str(), message.as_str()),
        ("ResourceNotFoundException", "Project cannot be found: absent")
    );
    let mut request = inline("version: 0.2");
    request["timeoutInMinutesOverride"] = json!(4);
    assert_eq!(refused("StartBuild", request).await.0, "InvalidInputException");
    assert_eq!(refused("StartBuild", json!({"projectName": "web"})).await.0, "InvalidInputException");
    let mut request = inline("version: 0.2");
    request["environmentVariablesOverride"] = json!([{"name": "A=B", "value": ""}]);
    assert_eq!(refused("StartBuild", request).await.0, "InvalidInputException");
    assert_eq!(refused("StopBuild", json!({"id": "web:absent"})).await.0, "ResourceNotFoundException");
    assert_eq!(refused("BatchGetBuilds", json!({"ids": []})).await.0, "InvalidInputException");
    let projects = world.call("BatchGetProjects", json!({"names": ["web"]})).await.unwrap();
    assert_eq!(projects["projects"][0]["name"], "web");
    world.call("ListProjects", json!({})).await.unwrap();
    assert!(world.told.others.lock().unwrap().contains(&"CodeBuild_20161006.ListProjects".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_may_do_what_they_like_to_their_shell() {
    let world = World::new().await;
    for shell in ["sh", "bash"] {
        for (command, status) in [
            ("set -e; false; true", 1),
            ("exec sh -c 'exit 4'", 4),
            ("kill -9 $$", 137),
            ("return 5", 5),
            ("echo 'unclosed", 2),
            ("exec >/dev/null 2>&1 </dev/null; exit 6", 6),
        ] {
            let spec = json!({
                "version": "0.2", "env": {"shell": shell, "exported-variables": ["KEPT"]},
                "phases": {"build": {
                    "commands": ["export KEPT=kept; (exit 0)", command, "export KEPT=overrun"],
                    "finally": ["echo after"],
                }},
            });
            let build = world.run(&spec.to_string()).await;
            let message = context(&build, "BUILD").1;
            let got = message.rsplit(' ').next().unwrap().parse::<i32>().unwrap();
            assert!(
                got == status || (command.contains("unclosed") && got != 0),
                "{shell} {command}: {message}"
            );
            let kept = build["exportedEnvironmentVariables"][0]["value"].as_str().unwrap();
            let is_lost = command.starts_with("kill") || command.starts_with("exec sh");
            assert_eq!(kept, if is_lost { "" } else { "kept" }, "{shell} {command}");
        }
    }
}
