//! What a person reads after a mistake that any key could hold, or the file as a whole.

use super::{changed, problems};

#[test]
fn a_typo_in_a_key_names_the_key_that_was_meant() {
    insta::assert_snapshot!(problems(&changed("    buildspec:", "    buildspce:")), @r"
    pushway.yml:8:5: unknown key `buildspce` in a job
    8 |     buildspce: buildspec.yml
      |     ^
    hint: did you mean `buildspec`?
    ");
}

#[test]
fn a_key_like_no_other_lists_those_there_are() {
    insta::assert_snapshot!(problems(&changed("    retries: 1", "    colour: red")), @r"
    pushway.yml:13:5: unknown key `colour` in a job
    13 |     colour: red
       |     ^
    hint: a job takes buildspec, image, compute, arch, timeout, retries, needs, matrix, env, secrets, outputs, reports
    ");
}

#[test]
fn a_value_of_another_type_says_both_types() {
    insta::assert_snapshot!(problems(&changed("outputs: [IMAGE]", "outputs: IMAGE")), @r"
    pushway.yml:15:14: `outputs` must be a list, but here is text
    15 |     outputs: IMAGE
       |              ^
    hint: write a list: [first, second]
    ");
}

#[test]
fn numbers_and_booleans_are_not_text() {
    insta::assert_snapshot!(problems(&changed("REGION: \"eu\"", "REGION: 012, A: true, B: 1e3, C: ~")), @r"
    pushway.yml:5:33: `REGION` must be text, but here is a number
    5 | env: { LOG_LEVEL: info, REGION: 012, A: true, B: 1e3, C: ~ }
      |                                 ^
    hint: put the value in quotes to make it text

    pushway.yml:5:41: `A` must be text, but here is true or false
    5 | env: { LOG_LEVEL: info, REGION: 012, A: true, B: 1e3, C: ~ }
      |                                         ^
    hint: put the value in quotes to make it text

    pushway.yml:5:50: `B` must be text, but here is a number
    5 | env: { LOG_LEVEL: info, REGION: 012, A: true, B: 1e3, C: ~ }
      |                                                  ^
    hint: put the value in quotes to make it text

    pushway.yml:5:58: `C` must be text, but here is nothing
    5 | env: { LOG_LEVEL: info, REGION: 012, A: true, B: 1e3, C: ~ }
      |                                                          ^
    hint: give it a value, or remove the key
    ");
}

#[test]
fn a_missing_key_is_asked_for_where_it_belongs() {
    insta::assert_snapshot!(problems(&changed("        cluster: demo\n", "")), @r"
    pushway.yml:22:9: `ecs` needs `cluster`
    22 |         service: web-staging
       |         ^
    hint: add `cluster: demo`
    ");
}

#[test]
fn a_tab_is_named_as_the_culprit() {
    insta::assert_snapshot!(problems(&changed("    compute: medium", "\tcompute: medium")), @r"
    pushway.yml:10:1: this is not valid YAML: while scanning a plain scalar, found a tab
    10 | \tcompute: medium
       | ^
    hint: indent with spaces; YAML does not allow tabs there
    ");
}

#[test]
fn a_duration_needs_its_unit() {
    insta::assert_snapshot!(problems(&changed("timeout: 1h30m", "timeout: 20")), @r"
    pushway.yml:12:14: `timeout` is not a duration: `20`
    12 |     timeout: 20
       |              ^
    hint: write whole numbers with their units: 90s, 20m, 2h or 1h30m
    ");
}

#[test]
fn a_duration_is_words_that_make_sense() {
    insta::assert_snapshot!(problems(&changed("timeout: 1h30m", "timeout: soon")), @r"
    pushway.yml:12:14: `timeout` is not a duration: `soon`
    12 |     timeout: soon
       |              ^
    hint: write whole numbers with their units: 90s, 20m, 2h or 1h30m
    ");
}

#[test]
fn absurd_timeouts_show_the_range() {
    insta::assert_snapshot!(["0s", "-1", "-5m", "1000000000s", "9999999999999999999h", "1.5s"].map(|t| problems(&changed("timeout: 10m", &format!("timeout: {t}")))).join("\n"), @r"
    pushway.yml:26:18: `timeout` is `0s`
    26 |         timeout: 0s
       |                  ^
    hint: give between 1m and 3h
    pushway.yml:26:18: `timeout` is not a duration: `-1`
    26 |         timeout: -1
       |                  ^
    hint: write whole numbers with their units: 90s, 20m, 2h or 1h30m
    pushway.yml:26:18: `timeout` is not a duration: `-5m`
    26 |         timeout: -5m
       |                  ^
    hint: write whole numbers with their units: 90s, 20m, 2h or 1h30m
    pushway.yml:26:18: `timeout` is `1000000000s`
    26 |         timeout: 1000000000s
       |                  ^
    hint: give between 1m and 3h
    pushway.yml:26:18: `timeout` is not a duration: `9999999999999999999h`
    26 |         timeout: 9999999999999999999h
       |                  ^
    hint: write whole numbers with their units: 90s, 20m, 2h or 1h30m
    pushway.yml:26:18: `timeout` is not a duration: `1.5s`
    26 |         timeout: 1.5s
       |                  ^
    hint: write whole numbers with their units: 90s, 20m, 2h or 1h30m
    ");
}

#[test]
fn a_key_twice_is_ambiguous() {
    insta::assert_snapshot!(problems(&changed("pipeline: web", "pipeline: web\npipeline: api")), @r"
    pushway.yml:3:1: `pipeline` is written twice in one map
    3 | pipeline: api
      | ^
    hint: keep one of the two
    ");
}

#[test]
fn an_empty_file_gets_a_start() {
    insta::assert_snapshot!(problems("# nothing yet\n"), @r"
    pushway.yml:1:1: the file is empty
    hint: begin with `version: 1`, `pipeline: <name>` and `on: {push: {branches: [main]}}`
    ");
}

#[test]
fn a_binary_file_is_no_pipeline_file() {
    insta::assert_snapshot!(problems("\u{7f}ELF\u{2}\u{1}"), @r"
    pushway.yml:1:1: the file holds the control character U+007F
    1 | \u{7f}ELF\u{2}\u{1}
      | ^
    hint: a pipeline file is plain text in UTF-8; is this the right file?
    ");
}

#[test]
fn a_second_document_is_refused() {
    insta::assert_snapshot!(problems(&changed("test:", "---\ntest:")), @r"
    pushway.yml:17:1: a second document begins here
    17 | test:
       | ^
    hint: keep one document in a file; remove the `---` or `...`
    ");
}

#[test]
fn a_bomb_of_aliases_is_refused() {
    insta::assert_snapshot!(problems("a: &a [1,1,1,1,1,1,1,1,1]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: [*c,*c,*c]\n"), @r"
    pushway.yml:3:32: the file repeats too much through aliases
    3 | c: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]
      |                                ^
    hint: a pipeline file is a short list of jobs and environments; write less
    ");
}

#[test]
fn a_list_of_a_million_is_refused() {
    insta::assert_snapshot!(problems(&changed("[IMAGE]", &format!("[{}]", "A,".repeat(30_000)))), @r"
    pushway.yml:15:39921: the file has too many values
    15 | …A,A,A,A,A,A,A,A,A,A,A,A,A,A,A,A,A,A,A,A,A,A,A,A,A,A,A,A,A,A,A,A,A,A,A,A,A,A,A,A,A,A,A,A,A,A,A,A,A,A,A,A,A,A,A,A,A,A,A,A,A,A,A,A,A,A,A,A,A,A,A,A,A,A,A,A,A,A,A…
       |                                                              ^
    hint: a pipeline file is a short list of jobs and environments; write less
    ");
}

#[test]
fn a_file_of_megabytes_is_refused() {
    insta::assert_snapshot!(problems(&"a: b\n".repeat(1_000_000)), @r"
    pushway.yml:1:1: the file is larger than 64 KiB
    hint: keep scripts in buildspec files and point at them
    ");
}

#[test]
fn deep_nesting_is_refused() {
    insta::assert_snapshot!(problems(&changed("[IMAGE]", &"[".repeat(200))), @r"
    pushway.yml:15:38: the file nests too deep
    15 |     outputs: [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[…
       |                                      ^
    hint: a pipeline file is a short list of jobs and environments; write less
    ");
}

#[test]
fn a_foreign_tag_is_refused() {
    insta::assert_snapshot!(problems(&changed("branches: [main,", "branches: [!main,")), @r#"
    pushway.yml:4:27: the tag `!main` is not supported
    4 |   push: { branches: [!main, "release/**", "!release/old"], tags: ["v*"] }
      |                           ^
    hint: put text that begins with `!` in quotes: "!main"
    "#);
}

#[test]
fn every_mistake_is_found_in_one_go() {
    insta::assert_snapshot!(problems("version: '1'\npipeline: Web\nbuild:\n  a: { buildspec: ../x, retries: 9 }\n  B: { buildspec: b.yml, compute: huge }\n  c:\ntest: []\n"), @r"
    pushway.yml:1:1: a pipeline file needs `on`
    1 | version: '1'
      | ^
    hint: add `on: {push: {branches: [main]}}`

    pushway.yml:1:10: `version` must be a whole number, but here is text
    1 | version: '1'
      |          ^
    hint: write the number without quotes and units

    pushway.yml:2:11: the pipeline name `Web` is not valid
    2 | pipeline: Web
      |           ^
    hint: use 1 to 63 lower-case letters, digits and inner hyphens

    pushway.yml:4:19: the path `../x` is not valid
    4 |   a: { buildspec: ../x, retries: 9 }
      |                   ^
    hint: use a relative path inside the repository, without `..`, `//`, a backslash or control characters

    pushway.yml:4:34: `retries` is 9
    4 |   a: { buildspec: ../x, retries: 9 }
      |                                  ^
    hint: give a number from 0 to 5

    pushway.yml:5:3: the job name `B` is not valid
    5 |   B: { buildspec: b.yml, compute: huge }
      |   ^
    hint: use 1 to 63 lower-case letters, digits and inner hyphens

    pushway.yml:5:35: `compute` cannot be `huge`
    5 |   B: { buildspec: b.yml, compute: huge }
      |                                   ^
    hint: write one of small, medium, large, xlarge

    pushway.yml:6:4: a job must be a map of keys and values, but here is nothing
    6 |   c:
      |    ^
    hint: give it a value, or remove the key

    pushway.yml:7:7: `test` must be a map of names and values, but here is a list
    7 | test: []
      |       ^
    hint: write a map of names and values here
    ");
}
