//! Files and refs made to do harm: rows A16, A17, A23 and A24.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use pushway_core::ids::RefName;
use pushway_core::pipeline_file::{Decision, Occasion, parse};

use super::{GOOD, changed, problems, read, repeated};

fn is_run(decision: &Decision) -> bool {
    matches!(decision, Decision::Run { .. })
}

fn with_on(on: &str) -> String {
    format!("version: 1\npipeline: p\non: {on}\ntest:\n  unit: {{ buildspec: b.yml }}\n")
}

fn with_jobs(jobs: &str) -> String {
    format!("version: 1\npipeline: p\non: {{ push: {{ branches: [main] }} }}\ntest:\n{jobs}")
}

#[test]
fn a16_a_ref_is_taken_for_no_other() {
    let only_main = read(&with_on("{ push: { branches: [main], tags: [\"v*\"] } }")).on;
    for (pushed, starts) in [
        ("refs/heads/main", true),
        ("refs/tags/v1", true),
        ("refs/tags/main", false),
        ("refs/heads/v1", false),
        ("refs/heads/refs/heads/main", false),
        ("refs/heads/heads/main", false),
        ("refs/remotes/origin/main", false),
        ("refs/heads/Main", false),
        ("refs/heads/MAIN", false),
        ("refs/heads/m\u{430}in", false),
        ("refs/heads/main\u{200b}", false),
        ("refs/heads/\u{202e}niam", false),
        ("refs/heads/ma\u{131}n", false),
    ] {
        let pushed: RefName = pushed.parse().unwrap();
        assert_eq!(is_run(&only_main.decide(&Occasion::Push(&pushed))), starts, "{pushed:?}");
    }
    let long = format!("refs/heads/{}", "x".repeat(300));
    for impossible in
        ["main", "heads/main", "refs/heads/a/../b", "refs/heads/main.lock", "refs/heads/main ", &long]
    {
        assert!(impossible.parse::<RefName>().is_err(), "{impossible}");
    }
}

#[test]
fn a17_a_filter_matches_the_whole_name_or_not_at_all() {
    let on = read(&with_on(
        "{ push: { branches: [main, \"release/*\"], paths: [web/app.rs, \"web/*.css\"] }, \
         pull_request: { branches: [main] }, image: { repository: base/rust, tags: [v1] }, schedule: [\"rate(1 hour)\"] }",
    ))
    .on;
    let base = "0".repeat(39) + "1";
    let base = base.parse().unwrap();
    let files = |file: &str| pushway_core::forge::Changes::Files(vec![file.to_owned()]);
    let main: RefName = "refs/heads/main".parse().unwrap();
    let push = Occasion::Push(&main);
    for around in ["", "x", "-", "/", "\n", ".", "^", "$", "*"] {
        for (before, after) in [(around, ""), ("", around), (around, around)] {
            let put = |name: &str| format!("{before}{name}{after}");
            let same = around.is_empty();
            if let Ok(pushed) = format!("refs/heads/{}", put("main")).parse::<RefName>() {
                assert_eq!(on.decide(&Occasion::Push(&pushed)) == Decision::AskPaths, same, "{pushed:?}");
            }
            for file in ["web/app.rs", "web/a.css"] {
                let file = put(file);
                let name = file.strip_prefix("web/").and_then(|rest| rest.strip_suffix(".css"));
                let is_other_css = name.is_some_and(|name| !name.contains('/'));
                let wanted = same || is_other_css;
                let decision = on.decide_paths(&push, Some(&base), &files(&file));
                assert_eq!(is_run(&decision), wanted, "{file:?}");
            }
            assert_eq!(is_run(&on.decide(&Occasion::PullRequest { base: &put("main") })), same);
            let (repository, tag) = (put("base/rust"), put("v1"));
            let image = |repository, tag| on.decide(&Occasion::Image { repository, tag: Some(tag) });
            assert_eq!(is_run(&image(&repository, "v1")), same, "{repository}");
            assert_eq!(is_run(&image("base/rust", &tag)), same, "{tag}");
            assert_eq!(is_run(&on.decide(&Occasion::Schedule { expression: &put("rate(1 hour)") })), same);
        }
    }
}

/// A matcher that backtracks takes 2^60 steps for each of these; they end, so it does not.
#[test]
fn a17_no_pattern_takes_more_than_linear_time() {
    let stars = "*a".repeat(60);
    let anywhere = "**/".repeat(60);
    let choices = "{a,aa}".repeat(40);
    for pattern in [
        &format!("{stars}b"),
        &format!("{anywhere}b"),
        &format!("{choices}b"),
        "(a+)+$",
        &format!("{}b", "[a-a]*".repeat(40)),
    ] {
        let on = read(&with_on(&format!("{{ push: {{ branches: [main, {pattern:?}] }} }}"))).on;
        for name in ["a".repeat(200), "a/".repeat(100) + "a", "aa/".repeat(70) + "c"] {
            let pushed: RefName = format!("refs/heads/{name}").parse().unwrap();
            assert!(!is_run(&on.decide(&Occasion::Push(&pushed))), "{pattern}");
        }
    }
}

#[test]
fn a23_yaml_that_is_made_to_harm_is_refused_within_the_budget() {
    let laughs = repeated(29, |n| format!("a{0}: &a{0} [*a{n},*a{n},*a{n},*a{n}]\n", n + 1));
    let merges = repeated(29, |n| format!("m{0}: &m{0} {{ <<: [*m{n}, *m{n}], k{n}: 1 }}\n", n + 1));
    for (file, refusal) in [
        (format!("a0: &a0 [x]\n{laughs}"), "repeats too much through aliases"),
        (format!("m0: &m0 {{ k: 1 }}\n{merges}"), "the file"),
        ("[".repeat(10_000), "the file nests too deep"),
        ("{a: ".repeat(10_000), "the file nests too deep"),
        ("- ".repeat(10_000), "the file nests too deep"),
        (changed("info", &"x".repeat(10_000_000)), "the file is larger than 64 KiB"),
        (changed("info", &"x".repeat(60_000)), "`LOG_LEVEL` is longer than 4096 bytes"),
        (changed("info", "!!python/object/apply:os.system [id]"), "the tag"),
        (changed("pipeline: web", "pipeline: web\npipeline: web"), "`pipeline` is written twice in one map"),
        (format!("{GOOD}---\n{GOOD}"), "a second document begins here"),
        (changed("info", "&a [*a]"), "this alias"),
        (changed("info", "*nowhere"), "this alias has no anchor"),
    ] {
        let said = problems(&file);
        assert!(said.contains(refusal), "{refusal:?} is not in {said}");
        assert!(said.len() < 10_000);
    }
}

#[test]
fn a23_a_scalar_is_never_guessed_to_be_text_or_the_other_way_round() {
    // Text that other readers take for false, and numbers that look like text: each says what it is.
    for text in ["no", "off", "Yes", "n", "0o14x", "1:30", "2026-11-21", "0b1z"] {
        let plan = read(&changed("LOG_LEVEL: info", &format!("LOG_LEVEL: {text}"))).plan;
        assert_eq!(plan.build[0].env[&"LOG_LEVEL".parse().unwrap()], text);
    }
    for other in ["1e3", "012", "1_000", "0x7f", "1.95", "true", "~", "", ".inf", "-0"] {
        let said = problems(&changed("LOG_LEVEL: info", &format!("LOG_LEVEL: {other}")));
        assert!(said.contains("`LOG_LEVEL` must be text"), "{other}: {said}");
    }
    for number in ["\"1\"", "1.0", "true", "one", "1e0"] {
        assert!(
            parse("pushway.yml", &changed("version: 1", &format!("version: {number}"))).is_err(),
            "{number}"
        );
    }
}

#[test]
fn a24_a_matrix_of_a_million_jobs_is_refused_by_its_size() {
    let ten = (0..10).map(|n| format!("v{n}")).collect::<Vec<_>>().join(", ");
    let keys = |count: usize| (0..count).map(|n| format!("k{n}: [{ten}]")).collect::<Vec<_>>().join(", ");
    let matrix = |keys: String| with_jobs(&format!("  unit: {{ buildspec: b.yml, matrix: {{ {keys} }} }}\n"));
    assert!(
        problems(&matrix(keys(5))).contains("the matrix makes 100000 jobs, and a stage takes at most 50")
    );
    assert!(problems(&matrix(keys(6))).contains("`matrix` has 6 entries, and at most 5 are allowed"));
    let thousand = (0..1_000).map(|n| format!("v{n}")).collect::<Vec<_>>().join(", ");
    let million = matrix(format!("a: [{thousand}], b: [{thousand}]"));
    assert!(problems(&million).contains("the matrix makes 1000000 jobs"));
    // Many matrices that are each small enough.
    let twenty = repeated(20, |n| format!("  j{n}: {{ buildspec: b.yml, matrix: {{ k: [{ten}] }} }}\n"));
    let said = problems(&with_jobs(&twenty));
    assert!(
        said.contains("`test` has 200 jobs with its matrices expanded, and at most 50 are allowed"),
        "{said}"
    );
}

#[test]
fn a24_jobs_that_wait_for_themselves_or_each_other_are_refused() {
    let job = |name: &str, needs: &str| format!("  {name}: {{ buildspec: b.yml, needs: [{needs}] }}\n");
    insta::assert_snapshot!(problems(&with_jobs(&job("a", "a"))), @r"
    pushway.yml:5:34: the job `a` needs itself
    5 |   a: { buildspec: b.yml, needs: [a] }
      |                                  ^
    hint: remove it from its own `needs`
    ");
    let cycle =
        [job("start", ""), job("a", "start, c"), job("b", "a"), job("c", "b"), job("end", "c")].concat();
    insta::assert_snapshot!(problems(&with_jobs(&cycle)), @r"
    pushway.yml:6:41: these jobs wait for each other: a needs c needs b needs a
    6 |   a: { buildspec: b.yml, needs: [start, c] }
      |                                         ^
    hint: take one of the needs away
    ");
}

#[test]
fn a24_absurd_timeouts_and_a_million_variables_are_refused() {
    for timeout in
        ["0", "0s", "-1", "-1s", "1000000000", "1000000000s", "99999999999999999999h", "1e9", ".inf"]
    {
        let text = with_jobs(&format!("  unit: {{ buildspec: b.yml, timeout: {timeout} }}\n"));
        assert!(problems(&text).contains("`timeout`"), "{timeout}");
    }
    let variables = |count: usize| (0..count).map(|n| format!("V{n}: x")).collect::<Vec<_>>().join(", ");
    assert!(problems(&changed("LOG_LEVEL: info", &variables(1_000_000))).contains("larger than 64 KiB"));
    assert!(problems(&changed("LOG_LEVEL: info", &variables(5_000))).contains("and at most 100 are allowed"));
    let text = changed("version: 1", &format!("version: 1\nvariables: {{ {} }}", variables(101)));
    assert!(problems(&text).contains("`variables` has 101 entries, and at most 100 are allowed"));
}

/// Whether every job of a graph can run, by removing jobs that wait for nothing.
fn comes_to_an_end(needs: &BTreeMap<usize, BTreeSet<usize>>) -> bool {
    let mut done = BTreeSet::new();
    while let Some((job, _)) =
        needs.iter().find(|(job, needs)| !done.contains(*job) && needs.is_subset(&done))
    {
        done.insert(*job);
    }
    done.len() == needs.len()
}

proptest! {
    #[test]
    fn a24_needs_are_accepted_exactly_if_every_job_can_run(
        edges in prop::collection::btree_set((0..8_usize, 0..8_usize), 0..14),
    ) {
        let mut needs: BTreeMap<usize, BTreeSet<usize>> = (0..8).map(|job| (job, BTreeSet::new())).collect();
        for (job, needed) in &edges {
            needs.entry(*job).or_default().insert(*needed);
        }
        let jobs = repeated(8, |job| {
            let needs = &needs[&job];
            let needs: Vec<String> = needs.iter().map(|needed| format!("j{needed}")).collect();
            format!("  j{job}: {{ buildspec: b.yml, needs: [{}] }}\n", needs.join(", "))
        });
        match parse("pushway.yml", &with_jobs(&jobs)) {
            Ok(file) => {
                prop_assert!(comes_to_an_end(&needs));
                let written = file.plan.test.iter().map(|job| job.needs.len()).sum::<usize>();
                prop_assert_eq!(written, edges.len());
            }
            Err(problems) => {
                prop_assert!(!comes_to_an_end(&needs));
                prop_assert!(problems.to_string().contains("needs"));
            }
        }
    }

    #[test]
    fn a24_a_matrix_makes_its_product_of_jobs_or_is_refused(sizes in prop::collection::vec(1..9_usize, 1..4)) {
        let key = |(key, size): (usize, &usize)| {
            let values: Vec<String> = (0..*size).map(|value| format!("v{value}")).collect();
            format!("k{key}: [{}]", values.join(", "))
        };
        let matrix: Vec<String> = sizes.iter().enumerate().map(key).collect();
        let text = with_jobs(&format!("  unit: {{ buildspec: b.yml, matrix: {{ {} }} }}\n", matrix.join(", ")));
        let product: usize = sizes.iter().product();
        match parse("pushway.yml", &text) {
            Ok(file) => {
                let names: BTreeSet<_> = file.plan.test.iter().map(|job| job.name.clone()).collect();
                prop_assert_eq!(names.len(), product);
                prop_assert!(product <= 50);
            }
            Err(_) => prop_assert!(product > 50),
        }
    }
}
