use super::*;
use crate::test_case::outcomes;

fn job(name: &str) -> JobId {
    JobId { stage: crate::fact::JobStage::Test, name: name.parse().unwrap() }
}

fn run(number: u8) -> RunId {
    RunId::new(Timestamp::from_second(1_790_000_000).unwrap(), [number; 10])
}

fn day(day: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000).unwrap() + SignedDuration::from_hours(24 * day)
}

fn case(name: &str, status: CaseStatus) -> TestCase {
    TestCase::new("cart", name, status, 1, "")
}

fn base(failing: &[&str], is_cut: bool) -> TestBase {
    TestBase {
        pipeline: "web".parse().unwrap(),
        git_ref: "refs/heads/main".parse().unwrap(),
        job: job("unit"),
        run: run(1),
        place: 1,
        before: None,
        failing: failing.iter().map(ToString::to_string).collect(),
        is_cut,
    }
}

fn judged(base: Option<&TestBase>, flaky: &[&str]) -> Vec<(String, Option<Standing>)> {
    let cases: Vec<TestCase> = ["a", "b", "c"].map(|name| case(name, CaseStatus::Failed)).into();
    let results = TestResults { failed: 3, cases, ..TestResults::default() };
    let flaky = flaky.iter().map(ToString::to_string).collect();
    let tests = JobTests::judge((&job("unit"), 1), &results, base, &flaky, 1);
    assert_eq!(tests.summary.new.is_some(), base.is_some_and(|base| !base.is_cut));
    tests.failures.into_iter().map(|case| (case.name, case.standing)).collect()
}

#[test]
fn a_failure_is_new_known_or_flaky_and_new_ones_come_first() {
    use Standing::{Flaky, Known, New};
    let told =
        |wanted: [(&str, Option<Standing>); 3]| wanted.map(|(name, standing)| (name.to_owned(), standing));
    let known = base(&["cart › a"], false);
    let wanted = told([("b", Some(New)), ("a", Some(Known)), ("c", Some(Flaky))]);
    assert_eq!(judged(Some(&known), &["cart › c"]), wanted);
    assert_eq!(judged(None, &["cart › a"]), told([("b", None), ("c", None), ("a", Some(Flaky))]));
    // Of a base that forgets some, what is not among the rest may have failed before, too.
    let wanted = told([("b", None), ("c", None), ("a", Some(Known))]);
    assert_eq!(judged(Some(&base(&["cart › a"], true)), &[]), wanted);
}

#[test]
fn a_base_knows_when_it_does_not_know_all() {
    let tests = |failed: u32, count: usize| {
        let cases: Vec<TestCase> = (0..count).map(|n| case(&n.to_string(), CaseStatus::Failed)).collect();
        let results = TestResults { failed, cases, ..TestResults::default() };
        let tests = JobTests::judge((&job("unit"), 1), &results, None, &BTreeSet::new(), 1);
        let base = base(&[], false);
        TestBase::new((base.pipeline, base.git_ref), (run(2), 2), &tests, &results.cases)
    };
    assert!(!tests(3, 3).is_cut);
    assert!(tests(501, 500).is_cut, "a report tells 500 cases at most");
    assert!(tests(600, 600).is_cut && tests(600, 600).failing.len() == 500);
}

#[test]
fn builds_of_one_commit_that_end_otherwise_make_a_case_flaky() {
    use CaseStatus::{Failed, Passed, Skipped};
    let ends = |cases: &[(&str, CaseStatus)]| {
        outcomes(&cases.iter().map(|(name, status)| case(name, *status)).collect::<Vec<_>>())
    };
    let before = ends(&[("a", Failed), ("b", Passed), ("c", Failed), ("d", Passed), ("e", Failed)]);
    let now =
        ends(&[("a", Passed), ("b", Failed), ("c", Failed), ("d", Passed), ("e", Skipped), ("f", Failed)]);
    let flaky = flaky_between(&now, &before);
    assert_eq!(flaky.iter().collect::<Vec<_>>(), ["cart › a", "cart › b"]);
    let twice = ends(&[("a", Failed), ("a", Passed), ("b", Passed), ("b", Passed)]);
    assert_eq!(flaky_within(&twice).iter().collect::<Vec<_>>(), ["cart › a"]);
}

#[test]
fn what_is_remembered_is_told_once_and_forgotten_after_thirty_days() {
    let (unit, none) = (job("unit"), BTreeSet::new());
    let flaky: BTreeSet<String> = ["cart › a".to_owned()].into();
    let news = |number, at, flaky| News {
        job: &unit,
        seen: Sighting { at, run: run(number), attempt: 1 },
        flaky,
        failing: &[],
        slowest: None,
    };
    let first = PipelineTests::new("web".parse().unwrap()).with(&news(1, day(0), &flaky)).unwrap();
    assert_eq!(first.with(&news(1, day(0), &flaky)), None, "a repeated step tells nothing new");
    assert_eq!(first.with(&news(2, day(1), &none)), None);
    let second = first.with(&news(2, day(20), &flaky)).unwrap();
    assert_eq!((second.version, second.flaky[0].sightings.len()), (2, 2));
    assert_eq!(second.flaky_at(&unit, day(49)).len(), 1);
    assert_eq!(second.flaky_at(&unit, day(50)).len(), 0);
    assert_eq!(second.flaky_at(&job("other"), day(21)).len(), 0);
    assert_eq!(second.clone().at(day(31)).flaky[0].sightings.len(), 1, "how often in the last 30 days");
    assert_eq!(second.at(day(60)).flaky, []);
}

#[test]
fn an_older_run_does_not_say_what_is_slow_by_now() {
    let (unit, none) = (job("unit"), BTreeSet::new());
    let slow = |duration_us| [SlowCase { case: "cart › a".into(), duration_us }];
    let (slow_then, slow_now) = (slow(9), slow(1));
    let news = |number, at, slowest| News {
        job: &unit,
        seen: Sighting { at, run: run(number), attempt: 1 },
        flaky: &none,
        failing: &[],
        slowest: Some(slowest),
    };
    let pipeline = PipelineTests::new("web".parse().unwrap());
    let newest = pipeline.with(&news(2, day(0), &slow_now)).unwrap();
    assert_eq!(newest.with(&news(1, day(1), &slow_then)), None);
    let next = newest.with(&news(3, day(1), &slow_then)).unwrap();
    assert_eq!(next.slowest[0].cases, slow_then);
}

#[test]
fn f22_whatever_tests_are_called_what_is_remembered_of_them_fits_into_its_item() {
    for letter in ["\"", "漢", "\u{1}"] {
        let name = |number: usize| format!("{number}{}", letter.repeat(400));
        let message = letter.repeat(3_000);
        let failed = |n| TestCase::new(&name(n), &name(n), CaseStatus::Failed, 1, &message);
        let cases: Vec<TestCase> = (0..550).map(failed).collect();
        let results = TestResults { failed: 550, cases, ..TestResults::default() };
        let flaky = outcomes(&results.cases).into_keys().collect();
        let mut pipeline = PipelineTests::new("p".repeat(60).parse().unwrap());
        for number in 0..14u8 {
            let job = job(&format!("{}{number}", "j".repeat(50)));
            let tests = JobTests::judge((&job, 1), &results, None, &flaky, 1);
            for attempt in 1..=9 {
                let seen = Sighting { at: day(0), run: run(number), attempt };
                let (failing, slowest) = (&tests.failures[..], Some(&tests.slowest[..]));
                let news = News { job: &job, seen, flaky: &flaky, failing, slowest };
                pipeline = pipeline.with(&news).unwrap_or(pipeline);
            }
            // These two lie compressed.
            let base = base(&[], false);
            let base = TestBase::new((base.pipeline, base.git_ref), (run(1), 1), &tests, &results.cases);
            let base = TestBase { run: run(2), place: 2, ..base.clone() }.behind(Some(base));
            let tests = serde_json::to_string(&tests).unwrap().len();
            let base = serde_json::to_string(&base).unwrap().len();
            assert!(tests < 1024 * 1024 && base < 1024 * 1024, "{tests} and {base} bytes of {letter:?}");
        }
        let json = serde_json::to_string(&pipeline).unwrap();
        assert!(json.len() < 350 * 1024, "{} bytes of {letter:?}", json.len());
    }
}
