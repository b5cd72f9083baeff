use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::summary::{EnvironmentBrief, EnvironmentWord};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000 + second).unwrap()
}

fn summary(second: i64, environments: Option<&[&str]>) -> RunSummary {
    let brief = |name: &&str| EnvironmentBrief { name: name.parse().unwrap(), state: EnvironmentWord::Live };
    RunSummary {
        id: RunId::new(at(second), [9; 10]),
        pipeline: Some("web".parse().unwrap()),
        status: Status::Succeeded,
        repository: "octo/web".into(),
        git_ref: "refs/heads/main".parse().unwrap(),
        commit: "a".repeat(40).parse().unwrap(),
        message: "fix".into(),
        author: "Ada Lovelace".into(),
        received_at: at(second),
        updated_at: at(second),
        duration_seconds: None,
        retry_of: None,
        place: None,
        trigger: None,
        cause: None,
        environments: environments.map(|names| names.iter().map(brief).collect()),
        environments_left_out: 0,
    }
}

fn query(filter: RunFilter) -> RunQuery {
    RunQuery { filter, before: None, limit: 25, now: at(1_000) }
}

#[test]
fn each_filter_has_the_list_that_holds_fewest_others() {
    let (web, main) = ("web".parse().unwrap(), RunFilter::branch("main").unwrap());
    let commit: CommitSha = "a".repeat(40).parse().unwrap();
    let mut filter = RunFilter { git_ref: Some(main.clone()), ..RunFilter::default() };
    assert_eq!((filter.list(), filter.is_told_by_list()), (RunList::Days, false));
    filter.pipeline = Some("web".parse().unwrap());
    assert_eq!((filter.list(), filter.is_told_by_list()), (RunList::Ref(&web, &main), true));
    filter.status = Some(Status::Failed);
    assert!(!filter.is_told_by_list());
    filter.commit = Some(commit.clone());
    assert_eq!(filter.list(), RunList::Commit(&commit));
    assert_eq!(RunFilter::branch("refs/tags/v1").unwrap().as_str(), "refs/tags/v1");
    assert!(RunFilter::branch("a b").is_err() && RunFilter::branch("").is_err());
}

#[test]
fn an_environment_that_a_summary_does_not_tell_is_looked_up_in_the_run() {
    let filter = RunFilter { environment: Some("production".parse().unwrap()), ..RunFilter::default() };
    assert_eq!(filter.judge(&summary(1, Some(&["staging", "production"]))), Verdict::Wanted);
    assert_eq!(filter.judge(&summary(1, Some(&["staging"]))), Verdict::Unwanted);
    // Of an older version, or of one that had no room.
    assert_eq!(filter.judge(&summary(1, None)), Verdict::Unsure);
    let fat = RunSummary { environments_left_out: 1, ..summary(1, Some(&["staging"])) };
    assert_eq!(filter.judge(&fat), Verdict::Unsure);
}

#[test]
fn times_become_bounds_of_ids_and_an_empty_span_asks_for_nothing() {
    let span = |since, until| RunFilter { since, until, ..RunFilter::default() };
    assert_eq!(query(span(None, None)).bounds(), Some(Bounds { least: "0".into(), most: "g".into() }));
    let bounds = query(span(Some(at(1)), Some(at(3)))).bounds().unwrap();
    let is_in = |second, random| {
        let id = RunId::new(at(second), [random; 10]).to_string();
        bounds.least <= id && id <= bounds.most
    };
    assert!(is_in(1, 0) && is_in(2, 255) && !is_in(0, 255) && !is_in(3, 0));
    assert_eq!(query(span(Some(at(3)), Some(at(3)))).bounds(), None);
    let id = RunId::new(at(2), [0; 10]);
    let older = RunQuery { before: Some(id), ..query(span(None, Some(at(9)))) };
    assert!(older.bounds().unwrap().most < id.to_string());
}

#[test]
fn a_call_looks_at_so_many_runs_and_goes_on_behind_the_last_one() {
    let query = query(RunFilter { author: Some("nobody".into()), ..RunFilter::default() });
    let mut page = Gathering::new(&query);
    let mut second = 10_000;
    while !page.is_done() {
        assert_eq!(page.chunk(), CHUNK);
        page.take(summary(second, None), None);
        second -= 1;
    }
    let page = page.page();
    assert_eq!((page.runs.len(), 10_000 - second), (0, i64::try_from(EXAMINED).unwrap()));
    assert_eq!(page.next, Some(RunId::new(at(second + 1), [9; 10])));
}

proptest! {
    /// Whatever a filter's text is, it is compared and nothing else: a run is listed exactly if it says the same.
    #[test]
    fn a29_a_filters_text_is_only_ever_compared(
        text in prop_oneof![
            any::<String>(), Just("#a = :b OR attribute_exists(pk)".to_owned()), Just(":partition".to_owned()),
            Just("' OR '1'='1".to_owned()), Just("ada".to_owned()), Just("LOVE".to_owned()),
        ],
    ) {
        let run = summary(1, Some(&["production"]));
        let author = RunFilter { author: Some(text.clone()), ..RunFilter::default() };
        let holds = run.author.to_lowercase().contains(&text.to_lowercase());
        prop_assert_eq!(author.judge(&run) == Verdict::Wanted, holds);
        // What would become a key is of a kind first, and then escaped or hashed.
        let parsed: BTreeMap<&str, bool> = [
            ("branch", RunFilter::branch(&text).is_ok()),
            ("pipeline", text.parse::<PipelineName>().is_ok()),
            ("commit", text.parse::<CommitSha>().is_ok()),
            ("status", text.parse::<Status>().is_ok()),
        ].into();
        for (name, is_of_its_kind) in parsed {
            let odd = text.contains(['#', ':', '\'']) && text.contains(' ');
            prop_assert!(!(is_of_its_kind && odd), "{} takes {:?}", name, text);
        }
    }
}
