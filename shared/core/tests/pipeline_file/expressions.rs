//! What `${…}` stands for, and what it can never become.

use pushway_core::pipeline_file::{Context, ImageContext, parse, parse_for};
use pushway_core::plan::{Check, ImageSource, Plan, Target};

use super::{changed, problems, problems_for, pushed};

/// A file that uses every name once.
const FILE: &str = r#"
version: 1
pipeline: web
on: { push: { branches: ["**"] }, pull_request: {}, image: { repository: base/rust } }
variables: { REGION: eu-west-1, HOST: staging }
env: { REGION: "${var.REGION}", COMMIT: "${commit.sha} ${commit.short}", REF: "at ${ref.name}", RUN: "${run.id}" }
build:
  image:
    buildspec: b.yml
    image: "tools:${var.HOST}"
    env: { SHELL_TEXT: "$${HOME} costs $5 $$", TWICE: "${var.HOST}${var.HOST}" }
environments:
  - name: staging
    deploy:
      ecs: { cluster: "c-${var.REGION}", service: "web-${ref.name}", images: { web: "REPO@sha256:DIGEST" } }
    validate:
      - http:
          url: "https://${var.HOST}.example.com/${ref.name}?at=${ref.name}"
          body_contains: "version ${commit.short}"
"#;

fn file() -> String {
    FILE.replace("DIGEST", &"a".repeat(64))
}

fn plan(text: &str, context: &Context) -> Plan {
    parse_for("pushway.yml", text, context).unwrap().plan
}

fn url(plan: &Plan) -> &str {
    let Check::Http(check) = &plan.environments[0].validate[0] else { panic!("it asks over HTTP") };
    check.url.as_str()
}

fn from_image() -> Context {
    let uri = format!("registry.example.com/base/rust@sha256:{}", "b".repeat(64));
    let image = ImageContext { uri: uri.parse().unwrap(), tag: Some("v1".into()) };
    Context { image: Some(image), ..pushed("refs/heads/main") }
}

#[test]
fn a_run_puts_its_values_in_place_of_the_names() {
    let mut context = pushed("refs/heads/main");
    context.variables.insert("HOST".parse().unwrap(), "blue".into());
    let plan = plan(&file(), &context);
    let job = &plan.build[0];
    insta::assert_snapshot!(serde_json::to_string_pretty(&job.env).unwrap(), @r#"
    {
      "COMMIT": "c0ffeec0ffeec0ffeec0ffeec0ffeec0ffeec0ff c0ffeec0",
      "REF": "at main",
      "REGION": "eu-west-1",
      "RUN": "01890a5d-ac96-774b-bcce-b302099a8057",
      "SHELL_TEXT": "${HOME} costs $5 $$",
      "TWICE": "blueblue"
    }
    "#);
    assert_eq!(job.image.as_deref(), Some("tools:blue"));
    let Target::Ecs(target) = &plan.environments[0].target else { panic!("a service") };
    assert_eq!((target.cluster.as_str(), target.service.as_str()), ("c-eu-west-1", "web-main"));
    assert_eq!(url(&plan), "https://blue.example.com/main?at=main");
    let Check::Http(check) = &plan.environments[0].validate[0] else { panic!("it asks over HTTP") };
    assert_eq!(check.body_contains.as_deref(), Some("version c0ffeec0"));
}

#[test]
fn a_pushed_image_is_deployed_by_its_digest() {
    for image in ["${image.uri}", "registry.example.com/base/rust@${image.digest}"] {
        let text = file().replace(&format!("REPO@sha256:{}", "a".repeat(64)), image);
        let plan = plan(&text, &from_image());
        let Target::Ecs(target) = &plan.environments[0].target else { panic!("a service") };
        let expected = from_image().image.unwrap().uri;
        assert_eq!(target.images["web"], ImageSource::Fixed(expected));
    }
}

#[test]
fn a_name_without_a_value_in_this_run_says_which_runs_have_one() {
    let text = file().replace("${run.id}", "${pull_request.number} ${image.tag}");
    assert!(parse("pushway.yml", &text).is_ok(), "without a run every known name is good");
    insta::assert_snapshot!(problems_for(&text, &pushed("refs/heads/main")), @r#"
    pushway.yml:6:102: `${pull_request.number}` has no value in this run
    6 | …${commit.sha} ${commit.short}", REF: "at ${ref.name}", RUN: "${pull_request.number} ${image.tag}" }
      |                                                              ^
    hint: only a run of a pull request has it; keep such a pipeline in a file of its own under .pushway/
    "#);
    let mut pull_request = from_image();
    pull_request.pull_request = Some(42);
    assert_eq!(plan(&text, &pull_request).build[0].env[&"RUN".parse().unwrap()], "42 v1");
}

#[test]
fn a_typo_in_a_name_is_found_without_a_run() {
    let text = file()
        .replace("${commit.sha}", "${comit.sha}")
        .replace("${var.REGION}", "${var.REGOIN}")
        .replace("${run.id}", "${HOME}")
        .replace("tools:${var.HOST}", "tools:${var.HOST")
        .replace("web-${ref.name}", "web-${matrix.os}");
    insta::assert_snapshot!(problems(&text), @r#"
    pushway.yml:6:16: `${var.REGOIN}` is not an expression that Pushway knows here
    6 | env: { REGION: "${var.REGOIN}", COMMIT: "${comit.sha} ${commit.short}", REF: "at ${ref.name}", RUN: "${HOME}" }
      |                ^
    hint: did you mean ${var.REGION}?

    pushway.yml:6:41: `${comit.sha}` is not an expression that Pushway knows here
    6 | env: { REGION: "${var.REGOIN}", COMMIT: "${comit.sha} ${commit.short}", REF: "at ${ref.name}", RUN: "${HOME}" }
      |                                         ^
    hint: did you mean ${commit.sha}?

    pushway.yml:6:101: `${HOME}` is not an expression that Pushway knows here
    6 | …"${comit.sha} ${commit.short}", REF: "at ${ref.name}", RUN: "${HOME}" }
      |                                                              ^
    hint: there is commit.sha, commit.short, ref.name, run.id, pull_request.number, image.uri, image.digest, image.tag, var.HOST, var.REGION; for the shell's own ${…} write $${…}

    pushway.yml:10:12: an expression in `tools:${var.HOST` is not closed
    10 |     image: "tools:${var.HOST"
       |            ^
    hint: write ${name}, or $${ for the two characters themselves

    pushway.yml:15:23: `${var.REGOIN}` is not an expression that Pushway knows here
    15 |       ecs: { cluster: "c-${var.REGOIN}", service: "web-${matrix.os}", images: { web: "REPO@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa…
       |                       ^
    hint: did you mean ${var.REGION}?

    pushway.yml:15:51: `${matrix.os}` is not an expression that Pushway knows here
    15 |       ecs: { cluster: "c-${var.REGOIN}", service: "web-${matrix.os}", images: { web: "REPO@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa…
       |                                                   ^
    hint: there is commit.sha, commit.short, ref.name, run.id, pull_request.number, image.uri, image.digest, image.tag, var.HOST, var.REGION; for the shell's own ${…} write $${…}
    "#);
}

#[test]
fn an_override_names_a_variable_of_the_file_and_is_checked_like_it() {
    let mut context = pushed("refs/heads/main");
    context.variables.insert("REGOIN".parse().unwrap(), "x".into());
    context.variables.insert("HOST".parse().unwrap(), "x".repeat(5_000));
    insta::assert_snapshot!(problems_for(&file(), &context), @r"
    pushway.yml:5:12: `HOST` is longer than 4096 bytes
    5 | variables: { REGION: eu-west-1, HOST: staging }
      |            ^
    hint: shorten it

    pushway.yml:5:12: this run sets the variable `REGOIN`, which the file does not declare
    5 | variables: { REGION: eu-west-1, HOST: staging }
      |            ^
    hint: did you mean `REGION`?
    ");
    let mut context = pushed("refs/heads/main");
    context.variables.insert("REGION".parse().unwrap(), "eu\u{1b}[2J".into());
    assert!(problems_for(&file(), &context).contains("`REGION` holds a control character"));
}

#[test]
fn names_filters_paths_and_secrets_take_no_expressions() {
    for (from, to) in [
        ("pipeline: web", "pipeline: \"${ref.name}\""),
        ("branches: [main,", "branches: [\"${ref.name}\","),
        ("buildspec: buildspec.yml", "buildspec: \"${ref.name}.yml\""),
        ("TOKEN: \"secretsmanager:npm\"", "TOKEN: \"secretsmanager:${ref.name}\""),
        ("outputs: [IMAGE]", "outputs: [\"${ref.name}\"]"),
        ("outputs: [IMAGE]", "outputs: [IMAGE]\n    reports: [\"${ref.name}\"]"),
        ("name: production", "name: \"${ref.name}\""),
        ("version: 1", "version: 1\nvariables: { A: \"${ref.name}\" }"),
        ("retries: 1", "matrix: { a: [\"${ref.name}\"] }"),
        ("compute: medium", "compute: \"${ref.name}\""),
    ] {
        let text = changed(from, to);
        assert!(parse_for("pushway.yml", &text, &pushed("refs/heads/main")).is_err(), "{to}");
        assert!(parse("pushway.yml", &text).is_err(), "{to}");
    }
}

#[test]
fn a14_a_branch_name_full_of_shell_stays_text_or_is_refused() {
    for name in
        ["zzz\";echo${IFS}\"hello\";#", "$(id)", "`id`", "a;b", "a&&b", "'", "${run.id}", "$${run.id}"]
    {
        let context = pushed(&format!("refs/heads/{name}"));
        // As the value of a variable it is what was pushed, byte for byte, and nothing in it is replaced.
        let open = file().replace("web-${ref.name}", "web");
        let plan = plan(&open, &context);
        assert_eq!(plan.build[0].env[&"REF".parse().unwrap()], format!("at {name}"));
        // In an address it cannot leave its place.
        let Check::Http(check) = &plan.environments[0].validate[0] else { panic!("it asks over HTTP") };
        assert_eq!(check.url.host_str(), Some("staging.example.com"), "{name}");
        assert_eq!(check.url.path_segments().unwrap().count(), 1, "{name}");
        assert_eq!(check.url.query_pairs().collect::<Vec<_>>(), [("at".into(), name.into())], "{name}");
        // In the name of a service it is checked as if it had been written.
        assert!(problems_for(&file(), &context).contains("is not a valid name for `service`"), "{name}");
    }
}

#[test]
fn a_value_cannot_choose_the_host_or_leave_the_path() {
    let with =
        |address: &str| file().replace("https://${var.HOST}.example.com/${ref.name}?at=${ref.name}", address);
    let main = pushed("refs/heads/main");
    for address in [
        "https://${ref.name}/",
        "https://${ref.name}.example.com/",
        "https://example.com:${ref.name}/",
        "https://${ref.name}@example.com/",
        "${ref.name}://example.com/",
        "https:///${ref.name}/",
        "https:${ref.name}/x",
        "https:\\\\\\\\${ref.name}/x",
        "https://example.com/${var.UP}/x",
        "https://example.com/.${var.DOT}/x",
        "https://${var.EVIL}/",
    ] {
        let text =
            with(address).replace("HOST: staging", "HOST: staging, UP: .., DOT: ., EVIL: \"evil.example/x\"");
        assert!(parse_for("pushway.yml", &text, &main).is_err(), "{address}");
    }
    let text = with("https://pr-${pull_request.number}.example.com/a/${ref.name}#${ref.name}");
    let pull_request = Context { pull_request: Some(7), ..pushed("refs/heads/b/c#d@e%2f") };
    let plan = plan(&text.replace("web-${ref.name}", "web"), &pull_request);
    assert_eq!(url(&plan), "https://pr-7.example.com/a/b%2Fc%23d%40e%252f#b%2Fc%23d%40e%252f");
}

#[test]
fn a_short_text_cannot_name_a_long_value_a_thousand_times() {
    let long = "${var.LONG}".repeat(300);
    let text = file()
        .replace("HOST: staging", &format!("HOST: staging, LONG: \"{}\"", "x".repeat(4_000)))
        .replace("at ${ref.name}", &long);
    assert!(problems(&text).contains("`REF` is longer than 4096 bytes"));
}
