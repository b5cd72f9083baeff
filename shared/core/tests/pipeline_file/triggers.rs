//! Which pushes start a run, and the words for it.

use pushway_core::forge::Changes;
use pushway_core::ids::CommitSha;
use pushway_core::pipeline_file::{Decision, Occasion, duplicate_pipeline, is_in_directory, skip_marker};

use super::{GOOD, changed, problems, read};

fn decide(text: &str, pushed: &str) -> Decision {
    read(text).on.decide(&Occasion::Push(&pushed.parse().unwrap()))
}

fn starts(text: &str, pushed: &str) -> bool {
    matches!(decide(text, pushed), Decision::Run { .. })
}

#[test]
fn names_match_as_a_whole_and_in_their_own_namespace() {
    for (pushed, expected) in [
        ("refs/heads/main", true),
        ("refs/heads/release/1", true),
        ("refs/heads/release/1/rc", true),
        ("refs/tags/v1", true),
        ("refs/tags/v", true),
        ("refs/heads/release", false),
        ("refs/tags/v1/x", false),
        ("refs/notes/main", false),
        ("refs/pull/1/head", false),
    ] {
        assert_eq!(starts(GOOD, pushed), expected, "{pushed}");
    }
}

#[test]
fn the_last_matching_pattern_decides() {
    let only = |patterns: &str| changed("[main, \"release/**\", \"!release/old\"]", patterns);
    let last_wins = only(r#"["**", "!wip/**", "wip/keep"]"#);
    assert!(starts(&last_wins, "refs/heads/a/b/c"));
    assert!(!starts(&last_wins, "refs/heads/wip/x"));
    assert!(starts(&last_wins, "refs/heads/wip/keep"));
    let within = only(r#"["feature/*", "{fix,hot}-*", "v[0-9].?"]"#);
    for (name, expected) in [
        ("feature/a", true),
        ("feature/a/b", false),
        ("fix-1", true),
        ("hot-1", true),
        ("fix-a/b", false),
        ("v1.2", true),
        ("v1./", false),
        ("v1.22", false),
    ] {
        if let Ok(pushed) = format!("refs/heads/{name}").parse() {
            assert_eq!(
                matches!(read(&within).on.decide(&Occasion::Push(&pushed)), Decision::Run { .. }),
                expected,
                "{name}"
            );
        }
    }
}

#[test]
fn a_decision_says_its_rule() {
    let mut rules: Vec<String> = [
        "refs/heads/main",
        "refs/heads/feature/x",
        "refs/heads/release/old",
        "refs/heads/\u{202e}niam",
        "refs/tags/v2",
        "refs/notes/commits",
    ]
    .iter()
    .map(|pushed| format!("{:?}", decide(GOOD, pushed)))
    .collect();
    rules.push(format!("{:?}", decide(&changed(", tags: [\"v*\"]", ""), "refs/tags/v2")));
    insta::assert_snapshot!(rules.join("\n"), @r#"
    Run { rule: "branch main matches `main` of on.push.branches in pushway.yml" }
    Ignore { rule: "branch feature/x matches none of on.push.branches [main, release/**, !release/old] in pushway.yml" }
    Ignore { rule: "branch release/old is excluded by `!release/old` of on.push.branches in pushway.yml" }
    Ignore { rule: "branch \\u{202e}niam matches none of on.push.branches [main, release/**, !release/old] in pushway.yml" }
    Run { rule: "tag v2 matches `v*` of on.push.tags in pushway.yml" }
    Ignore { rule: "refs/notes/commits is neither a branch nor a tag, and pushway.yml starts runs only for those" }
    Ignore { rule: "tag v2 starts nothing: pushway.yml has no on.push.tags" }
    "#);
}

/// A file with filters of every kind.
fn full() -> String {
    changed(
        "  push: { branches: [main, \"release/**\", \"!release/old\"], tags: [\"v*\"] }",
        "  push: { branches: [main, \"!old\"], tags: [\"v*\"], paths: [\"web/**\", \"!web/*.txt\"], paths_ignore: [\"**/*.md\"] }
  pull_request: { branches: [main], paths_ignore: [\"docs/**\"] }
  schedule: [\"cron(0 6 * * ? *)\", {expression: \"rate(1 hour)\", timezone: Europe/Berlin}]
  image: [{ repository: base/rust, tags: [\"v*\"] }, { repository: base/node }]",
    )
}

#[test]
fn every_occasion_is_decided_with_a_rule() {
    let [main, tag, other] =
        ["refs/heads/main", "refs/tags/v1", "refs/heads/x"].map(|name| name.parse().unwrap());
    let occasions = [
        Occasion::Push(&main),
        Occasion::Push(&tag),
        Occasion::Push(&other),
        Occasion::PullRequest { base: "main" },
        Occasion::PullRequest { base: "next" },
        Occasion::Schedule { expression: "rate(1 hour)" },
        Occasion::Schedule { expression: "rate(2 hours)" },
        Occasion::Image { repository: "base/rust", tag: Some("v1") },
        Occasion::Image { repository: "base/rust", tag: Some("latest") },
        Occasion::Image { repository: "base/rust", tag: None },
        Occasion::Image { repository: "base/node", tag: None },
        Occasion::Image { repository: "base/go", tag: Some("v1") },
        Occasion::Manual,
    ];
    let decisions = |text: &str| {
        let on = read(text).on;
        occasions.iter().map(|occasion| format!("{:?}", on.decide(occasion))).collect::<Vec<_>>().join("\n")
    };
    insta::assert_snapshot!(decisions(&full()), @r#"
    AskPaths
    Run { rule: "tag v1 matches `v*` of on.push.tags in pushway.yml" }
    Ignore { rule: "branch x matches none of on.push.branches [main, !old] in pushway.yml" }
    AskPaths
    Ignore { rule: "pull request into next matches none of on.pull_request.branches [main] in pushway.yml" }
    Run { rule: "the time of `rate(1 hour)` came, which on.schedule in pushway.yml lists" }
    Ignore { rule: "the schedule `rate(2 hours)` starts nothing: on.schedule in pushway.yml does not list it" }
    Run { rule: "image tag v1 matches `v*` of on.image.tags in pushway.yml" }
    Ignore { rule: "image tag latest matches none of on.image.tags [v*] in pushway.yml" }
    Ignore { rule: "the image pushed to base/rust has no tag, and on.image.tags in pushway.yml asks for one" }
    Run { rule: "an image was pushed to base/node, which on.image in pushway.yml lists with any tag" }
    Ignore { rule: "an image pushed to base/go starts nothing: on.image in pushway.yml does not list the repository" }
    Run { rule: "a run was asked for, and filters do not apply to that" }
    "#);
    let only_images = changed("{ branches: [main, \"release/**\", \"!release/old\"], tags: [\"v*\"] }", "")
        .replace("  push: ", "  image: { repository: base/rust, tags: [\"v*\"] }");
    insta::assert_snapshot!(decisions(&only_images), @r#"
    Ignore { rule: "a push starts nothing: pushway.yml has no on.push" }
    Ignore { rule: "a push starts nothing: pushway.yml has no on.push" }
    Ignore { rule: "a push starts nothing: pushway.yml has no on.push" }
    Ignore { rule: "a pull request starts nothing: pushway.yml has no on.pull_request" }
    Ignore { rule: "a pull request starts nothing: pushway.yml has no on.pull_request" }
    Ignore { rule: "the schedule `rate(1 hour)` starts nothing: on.schedule in pushway.yml does not list it" }
    Ignore { rule: "the schedule `rate(2 hours)` starts nothing: on.schedule in pushway.yml does not list it" }
    Run { rule: "image tag v1 matches `v*` of on.image.tags in pushway.yml" }
    Ignore { rule: "image tag latest matches none of on.image.tags [v*] in pushway.yml" }
    Ignore { rule: "the image pushed to base/rust has no tag, and on.image.tags in pushway.yml asks for one" }
    Ignore { rule: "an image pushed to base/node starts nothing: on.image in pushway.yml does not list the repository" }
    Ignore { rule: "an image pushed to base/go starts nothing: on.image in pushway.yml does not list the repository" }
    Run { rule: "a run was asked for, and filters do not apply to that" }
    "#);
}

#[test]
fn changed_files_decide_where_a_filter_asks_for_them() {
    let on = read(&full()).on;
    let base: CommitSha = "c0ffee".repeat(7)[..40].parse().unwrap();
    let main = "refs/heads/main".parse().unwrap();
    let files = |files: &[&str]| Changes::Files(files.iter().map(|file| (*file).to_owned()).collect());
    let push = Occasion::Push(&main);
    let decided = [
        on.decide_paths(&push, Some(&base), &files(&["README.md", "web/src/app.rs"])),
        on.decide_paths(
            &push,
            Some(&base),
            &files(&["api/main.rs", "web/README.md", "web/notes.txt", "webs/x"]),
        ),
        on.decide_paths(&push, Some(&base), &files(&[])),
        on.decide_paths(&push, None, &files(&["api/main.rs"])),
        on.decide_paths(&push, Some(&base), &Changes::Unknown("the forge cut its list at 300 files".into())),
        on.decide_paths(
            &Occasion::PullRequest { base: "main" },
            Some(&base),
            &files(&["docs/a.md", "web/x"]),
        ),
        on.decide_paths(&Occasion::PullRequest { base: "main" }, Some(&base), &files(&["docs/a.md"])),
        // Where no path filter is asked, files change nothing.
        on.decide_paths(&Occasion::PullRequest { base: "next" }, Some(&base), &files(&["web/x"])),
        on.decide_paths(&Occasion::Manual, None, &files(&[])),
    ];
    insta::assert_snapshot!(decided.map(|decision| format!("{decision:?}")).join("\n"), @r#"
    Run { rule: "web/src/app.rs changed since c0ffeec0 and matches `web/**` of on.push.paths in pushway.yml" }
    Ignore { rule: "no file that changed since c0ffeec0 counts for pushway.yml (changed: 4, outside `paths`: 3, in `paths_ignore`: 1)" }
    Ignore { rule: "no file changed since c0ffeec0, and pushway.yml filters by paths" }
    Run { rule: "there is no commit to compare with (no green run yet), so the path filter of pushway.yml lets everything through" }
    Run { rule: "the files that changed since c0ffeec0 are not known (the forge cut its list at 300 files), so a run starts to be safe" }
    Run { rule: "web/x changed since c0ffeec0, and on.pull_request.paths_ignore in pushway.yml does not ignore it" }
    Ignore { rule: "no file that changed since c0ffeec0 counts for pushway.yml (changed: 1, outside `paths`: 0, in `paths_ignore`: 1)" }
    Ignore { rule: "pull request into next matches none of on.pull_request.branches [main] in pushway.yml" }
    Run { rule: "a run was asked for, and filters do not apply to that" }
    "#);
}

#[test]
fn a_trigger_that_could_never_fire_is_refused() {
    let on = |on: &str| {
        let text =
            changed("push: { branches: [main, \"release/**\", \"!release/old\"], tags: [\"v*\"] }", on);
        let said = problems(&text);
        format!("{on}\n  {}", said.lines().next().unwrap())
    };
    let refused = [
        "{}",
        "push: {}",
        "push: { paths: [\"web/**\"] }",
        "push: { tags: [\"v*\"], paths: [\"web/**\"] }",
        "push: { branches: [\"refs/heads/main\"] }",
        "push: { branches: [\"!main\"] }",
        "push: { branches: [\"\"] }",
        "push: { branches: [main], paths: [\"/web/**\"] }",
        "push: { branches: [main], paths: [\"./web/**\"] }",
        "push: { branches: [main], paths: [\"../web/**\"] }",
        "push: { branches: [main], paths: [\"web/\"] }",
        "pull_request: { branches: [] }",
        "pull_requests: { branches: [main] }",
        "manual: true",
        "image: { repository: \"registry.example.com:5000/base/rust\" }",
        "image: { repository: \"base/rust:v1\" }",
        "image: [{ repository: base/rust }, { repository: base/rust }]",
        "image: []",
    ];
    insta::assert_snapshot!(refused.map(on).join("\n"), @r#"
    {}
      pushway.yml:4:3: `on` names nothing that starts a run
    push: {}
      pushway.yml:4:9: `push` names neither branches nor tags
    push: { paths: ["web/**"] }
      pushway.yml:4:9: `push` names neither branches nor tags
    push: { tags: ["v*"], paths: ["web/**"] }
      pushway.yml:4:32: paths are compared for branches only, and `push` names none
    push: { branches: ["refs/heads/main"] }
      pushway.yml:4:22: the pattern `refs/heads/main` begins with `refs/`, but patterns are compared with the short name
    push: { branches: ["!main"] }
      pushway.yml:4:21: every pattern excludes, so nothing can match
    push: { branches: [""] }
      pushway.yml:4:22: the pattern is empty
    push: { branches: [main], paths: ["/web/**"] }
      pushway.yml:4:37: the pattern `/web/**` can match no path
    push: { branches: [main], paths: ["./web/**"] }
      pushway.yml:4:37: the pattern `./web/**` can match no path
    push: { branches: [main], paths: ["../web/**"] }
      pushway.yml:4:37: the pattern `../web/**` can match no path
    push: { branches: [main], paths: ["web/"] }
      pushway.yml:4:37: the pattern `web/` can match no file
    pull_request: { branches: [] }
      pushway.yml:4:29: `branches` is empty
    pull_requests: { branches: [main] }
      pushway.yml:4:3: unknown key `pull_requests` in `on`
    manual: true
      pushway.yml:4:3: unknown key `manual` in `on`
    image: { repository: "registry.example.com:5000/base/rust" }
      pushway.yml:4:24: `registry.example.com:5000/base/rust` is not the name of an ECR repository
    image: { repository: "base/rust:v1" }
      pushway.yml:4:24: `base/rust:v1` is not the name of an ECR repository
    image: [{ repository: base/rust }, { repository: base/rust }]
      pushway.yml:4:38: `base/rust` is listed twice
    image: []
      pushway.yml:4:10: `image` is empty
    "#);
    // Files whose names begin with a dot are ordinary files.
    read(&changed("tags: [\"v*\"] }", "paths: [\".github/**\", \"*\", \"[.]env\"] }"));
}

#[test]
fn an_author_can_ask_for_no_run() {
    for (message, marker) in [
        ("fix\n\nlater [Skip CI] text", Some("[skip ci]")),
        ("[CI SKIP]", Some("[ci skip]")),
        ("docs [no ci]", Some("[no ci]")),
        ("x[skip pushway]y", Some("[skip pushway]")),
        ("skip ci", None),
        ("[skip  ci]", None),
        ("[\u{17f}kip ci]", None),
        ("", None),
    ] {
        assert_eq!(skip_marker(message), marker, "{message}");
    }
}

#[test]
fn further_files_lie_directly_in_their_folder_and_name_pipelines_of_their_own() {
    for (path, expected) in [
        (".pushway/api.yml", true),
        (".pushway/api.yaml", true),
        (".pushway/api.json", false),
        (".pushway/.yml", false),
        (".pushway/sub/api.yml", false),
        (".pushway", false),
        ("x/.pushway/api.yml", false),
        (".pushway.yml", false),
        (".pushwayx/api.yml", false),
    ] {
        assert_eq!(is_in_directory(path), expected, "{path}");
    }
    insta::assert_snapshot!(duplicate_pipeline(&"web".parse().unwrap(), "pushway.yml", ".pushway/web.yml"), @"pushway.yml and .pushway/web.yml both describe the pipeline `web`; give one of them another name under `pipeline`");
}
