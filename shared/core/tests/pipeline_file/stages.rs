//! Matrices and needs: which jobs a stage has, and which of them wait.

use pushway_core::ids::JobName;
use pushway_core::plan::JobPlan;

use super::{problems, read};

fn file(test: &str) -> String {
    let jobs: Vec<String> = test.lines().map(|line| format!("  {line}\n")).collect();
    format!("version: 1\npipeline: web\non: {{ push: {{ branches: [main] }} }}\ntest:\n{}", jobs.concat())
}

fn shown(job: &JobPlan) -> String {
    let needs: Vec<&str> = job.needs.iter().map(JobName::as_str).collect();
    let env: Vec<String> = job.env.iter().map(|(name, value)| format!("{name}={value}")).collect();
    format!("{} [{}] needs [{}]", job.name, env.join(" "), needs.join(" "))
}

#[test]
fn a_matrix_becomes_a_job_for_each_combination_and_is_needed_as_a_whole() {
    let text = file(
        "unit: { buildspec: u.yml, matrix: { rust: [\"1.95\", beta], os: [Linux, mac OS] }, \
         env: { RUST: \"${matrix.rust}\" }, image: \"rust:${matrix.rust}\", reports: [\"junit/*.xml\"] }\n\
         lint: { buildspec: l.yml }\n\
         report: { buildspec: r.yml, needs: [unit, lint] }",
    );
    let plan = read(&text).plan;
    insta::assert_snapshot!(plan.test.iter().map(shown).collect::<Vec<_>>().join("\n"), @r"
    unit-1-95-linux [RUST=1.95] needs []
    unit-1-95-mac-os [RUST=1.95] needs []
    unit-beta-linux [RUST=beta] needs []
    unit-beta-mac-os [RUST=beta] needs []
    lint [] needs []
    report [] needs [unit-1-95-linux unit-1-95-mac-os unit-beta-linux unit-beta-mac-os lint]
    ");
    assert_eq!(plan.test[0].image.as_deref(), Some("rust:1.95"));
    assert_eq!(plan.test[3].reports, ["junit/*.xml"]);
}

#[test]
fn jobs_of_a_matrix_are_named_one_by_one_where_one_is_meant() {
    let text = |job: &str| {
        format!(
            "version: 1\npipeline: p\non: {{ push: {{ branches: [main] }} }}\nbuild:\n  image: {{ buildspec: b.yml, \
             matrix: {{ arch: [arm64, x86_64] }}, outputs: [IMAGE] }}\nenvironments:\n  - name: e\n    deploy: {{ ecs: \
             {{ cluster: c, service: s, images: {{ web: \"${{build.{job}.IMAGE}}\" }} }} }}\n"
        )
    };
    assert_eq!(read(&text("image-arm64")).plan.build.len(), 2);
    insta::assert_snapshot!(problems(&text("image")), @r#"
    pushway.yml:8:61: `build` has no job `image`
    8 |     deploy: { ecs: { cluster: c, service: s, images: { web: "${build.image.IMAGE}" } } }
      |                                                             ^
    hint: `build` has image-arm64, image-x86-64
    "#);
}

#[test]
fn mistakes_in_a_matrix_are_told_once() {
    insta::assert_snapshot!(problems(&file(
        "a: { buildspec: ../a.yml, matrix: { v: [\"1\", \"2\", \"3\"] }, env: { X: \"${matrix.w}\" } }\n\
         b: { buildspec: b.yml, matrix: { v: [\"1.0\", \"1-0\"] } }\n\
         c: { buildspec: b.yml, matrix: { v: [x] } }\n\
         c-x: { buildspec: b.yml }\n\
         d: { buildspec: b.yml, matrix: { v: [\"***\"], 1x: [a], n: [1, 2.5], e: [] } }\n\
         e: { buildspec: b.yml, matrix: {} }",
    )), @r#"
    pushway.yml:5:19: the path `../a.yml` is not valid
    5 |   a: { buildspec: ../a.yml, matrix: { v: ["1", "2", "3"] }, env: { X: "${matrix.w}" } }
      |                   ^
    hint: use a relative path inside the repository, without `..`, `//`, a backslash or control characters

    pushway.yml:5:71: `${matrix.w}` is not an expression that Pushway knows here
    5 |   a: { buildspec: ../a.yml, matrix: { v: ["1", "2", "3"] }, env: { X: "${matrix.w}" } }
      |                                                                       ^
    hint: did you mean ${matrix.v}?

    pushway.yml:6:3: two combinations of `b` both make a job named `b-1-0`
    6 |   b: { buildspec: b.yml, matrix: { v: ["1.0", "1-0"] } }
      |   ^
    hint: names keep letters and digits only; choose values, or a name, that differ in those

    pushway.yml:8:3: `c` and `c-x` both make a job named `c-x`
    8 |   c-x: { buildspec: b.yml }
      |   ^
    hint: names keep letters and digits only; choose values, or a name, that differ in those

    pushway.yml:9:40: `***` holds nothing that a job's name could take
    9 |   d: { buildspec: b.yml, matrix: { v: ["***"], 1x: [a], n: [1, 2.5], e: [] } }
      |                                        ^
    hint: give a value with a letter or digit: the job is named <job>-<value>

    pushway.yml:9:48: the variable name `1x` is not valid
    9 |   d: { buildspec: b.yml, matrix: { v: ["***"], 1x: [a], n: [1, 2.5], e: [] } }
      |                                                ^
    hint: use letters, digits and underscores, not starting with a digit, at most 128 characters

    pushway.yml:9:61: `n` must be text, but here is a number
    9 |   d: { buildspec: b.yml, matrix: { v: ["***"], 1x: [a], n: [1, 2.5], e: [] } }
      |                                                             ^
    hint: put the value in quotes to make it text

    pushway.yml:9:64: `n` must be text, but here is a number
    9 |   d: { buildspec: b.yml, matrix: { v: ["***"], 1x: [a], n: [1, 2.5], e: [] } }
      |                                                                ^
    hint: put the value in quotes to make it text

    pushway.yml:9:73: `e` is empty
    9 |   d: { buildspec: b.yml, matrix: { v: ["***"], 1x: [a], n: [1, 2.5], e: [] } }
      |                                                                         ^
    hint: add a value, or remove the key

    pushway.yml:10:34: `matrix` is empty
    10 |   e: { buildspec: b.yml, matrix: {} }
       |                                  ^
    hint: add a key and its values, or remove the key
    "#);
}

#[test]
fn a_needed_job_is_one_of_its_stage() {
    insta::assert_snapshot!(problems(&file(
        "unit: { buildspec: b.yml }\n\
         lint: { buildspec: b.yml, needs: [unti, unit, unit] }\n\
         other: { buildspec: b.yml, needs: [deployment] }",
    )), @r"
    pushway.yml:6:37: `needs` names `unti`, which is no job of this stage
    6 |   lint: { buildspec: b.yml, needs: [unti, unit, unit] }
      |                                     ^
    hint: did you mean `unit`?

    pushway.yml:6:49: `unit` is listed twice in `needs`
    6 |   lint: { buildspec: b.yml, needs: [unti, unit, unit] }
      |                                                 ^
    hint: keep one of the two

    pushway.yml:7:38: `needs` names `deployment`, which is no job of this stage
    7 |   other: { buildspec: b.yml, needs: [deployment] }
      |                                      ^
    hint: there is unit, lint
    ");
}
