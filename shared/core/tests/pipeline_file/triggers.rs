//! Which pushes start a run, and the words for it.

use pushway_core::pipeline_file::Decision;

use super::{GOOD, changed, read};

fn decide(text: &str, pushed: &str) -> Decision {
    read(text).on.decide(&pushed.parse().unwrap())
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
        // Rows A16 and A17.
        ("refs/heads/main-evil", false),
        ("refs/heads/evil-main", false),
        ("refs/heads/x/main", false),
        ("refs/heads/main/x", false),
        ("refs/heads/Main", false),
        ("refs/heads/m\u{430}in", false),
        ("refs/heads/refs/heads/main", false),
        ("refs/tags/main", false),
        ("refs/heads/v1", false),
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
            assert_eq!(matches!(read(&within).on.decide(&pushed), Decision::Run { .. }), expected, "{name}");
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
