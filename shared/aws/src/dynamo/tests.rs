//! What lists cost and give through the SDK, on a table in memory.

use jiff::{SignedDuration, Timestamp};
use pushway_core::environment::EnvironmentRecord;
use pushway_core::fact::{Cause, Fact};
use pushway_core::ids::{PipelineName, RunId};
use pushway_core::listing::{EXAMINED, RunFilter, RunQuery};
use pushway_core::ports::{
    Environments as _, Fault, History as _, ListEnvironments as _, ListPipelines as _, PipelineClaims as _,
    RunPage, SealingKey as _, Written,
};
use pushway_core::run::{Applied, Run, Status};
use pushway_core::source::{Provider, Source, Trigger};
use pushway_core::summary::{MAX_BYTES, RunSummary};
use serde_json::{Value, json};

use super::fake::{Table, size};
use super::{MAX_TRANSACTION, item, runs, transaction_token};
use crate::Aws;

fn noon() -> Timestamp {
    "2026-11-20T12:00:00Z".parse().unwrap()
}

/// A planned run of so many seconds before noon.
fn run(before: i64, pipeline: &str, git_ref: &str, author: &str, environments: &[&str]) -> Run {
    let at = noon() - SignedDuration::from_secs(before);
    let random = u64::try_from(before).unwrap().to_be_bytes();
    let id = RunId::new(at, std::array::from_fn(|i| random.get(i).copied().unwrap_or(3)));
    let commit = format!("{:040x}", before / 3);
    let source = Source {
        provider: Provider::Github,
        hook: "web".parse().unwrap(),
        delivery: "d".parse().unwrap(),
        repository_id: "1".parse().unwrap(),
        repository: "octo/web".into(),
        git_ref: git_ref.parse().unwrap(),
        commit: commit.parse().unwrap(),
        before: None,
        message: "fix the checkout".into(),
        author: author.into(),
        trigger: Trigger::Push,
        skip: None,
        pushed_at: None,
        file: None,
        parent: None,
        carried_by: None,
        place: None,
        retry: None,
    };
    let (run, _) = Run::receive(id, source, at);
    let planned = Fact::Planned {
        pipeline: pipeline.parse().unwrap(),
        plan_digest: "d".into(),
        jobs: Vec::new(),
        environments: environments.iter().map(|name| name.parse().unwrap()).collect(),
        approvals: Vec::new(),
        place: None,
        rule: None,
        findings: Vec::new(),
        watched: Vec::new(),
    };
    after(&run, &planned)
}

fn after(run: &Run, fact: &Fact) -> Run {
    let Ok(Applied::Changed(next, _)) =
        run.apply(fact.clone(), run.received_at + SignedDuration::from_secs(60))
    else {
        panic!("{fact:?} changes nothing")
    };
    *next
}

/// A run with everything that others choose as long and as costly in JSON as it may be.
fn fattest(before: i64) -> Run {
    let name = |n: usize| format!("{n:02}{}", "e".repeat(61));
    let environments: Vec<String> = (0..13).map(name).collect();
    let environments: Vec<&str> = environments.iter().map(String::as_str).collect();
    let quotes = format!("refs/heads/{}", "\"".repeat(244));
    let mut run = run(before, &"p".repeat(63), &quotes, &"\u{1b}".repeat(115), &environments);
    run.source.commit = "f".repeat(64).parse().unwrap();
    run.source.repository = "\u{1b}".repeat(400);
    run.source.message = Source::title_of(&"\u{1b}".repeat(5_000));
    let text = "\u{1b}\"".repeat(3_000);
    let broke = after(&run, &Fact::Broke { cause: Cause::new(&text, &text, &text) });
    Run { status: Status::FailedNoBaseline, ..broke }
}

async fn filled(all: &[Run], throttles: u8) -> (Aws, Table) {
    let (aws, table) = Table::ports(throttles);
    for run in all.chunks(25) {
        while aws.store_runs(run).await.is_err() {}
    }
    (aws, table)
}

fn query(filter: RunFilter) -> RunQuery {
    RunQuery { filter, ..RunQuery::newest(25, noon()) }
}

#[tokio::test]
async fn a_page_of_25_runs_is_one_query_and_3_read_units_at_most_whatever_was_pushed() {
    let all: Vec<Run> = (0..60).map(fattest).collect();
    let (aws, table) = filled(&all, 0).await;
    let (aws, meter) = aws.metered();
    let (pipeline, git_ref) = (all[0].pipeline.clone(), Some(all[0].source.git_ref.clone()));
    for filter in [
        RunFilter::default(),
        RunFilter { pipeline: pipeline.clone(), ..RunFilter::default() },
        RunFilter { pipeline, git_ref, ..RunFilter::default() },
        RunFilter { commit: Some(all[0].source.commit.clone()), ..RunFilter::default() },
    ] {
        let page = aws.list(&query(filter.clone())).await.unwrap();
        assert_eq!((page.runs.len(), page.next), (25, Some(all[24].id)), "{filter:?}");
        let (queries, units) = meter.take();
        assert!(queries == 1 && units > 2.5 && units <= 3.0, "{queries} queries, {units} units: {filter:?}");
        let page = aws.list(&RunQuery { before: page.next, ..query(filter.clone()) }).await.unwrap();
        assert_eq!((page.runs[0].id, meter.take().0), (all[25].id, 1), "{filter:?}");
    }
    // Nobody who does not measure asks for figures.
    drop(meter);
    let (plain, _) = Table::ports(0);
    plain.list(&query(RunFilter::default())).await.unwrap();
    let figures = |(_, body): &(String, Value)| body.get("ReturnConsumedCapacity").is_some();
    assert!(table.state().asked.iter().any(figures));
}

#[test]
fn f22_a_summary_fits_into_its_place_in_every_index_whatever_was_pushed() {
    let run = fattest(0);
    let summary = RunSummary::from(&run);
    let bytes = serde_json::to_string(&summary).unwrap().len();
    assert!(bytes <= MAX_BYTES, "{bytes} bytes");
    // What people look for is still there.
    assert_eq!((summary.id, &summary.commit), (run.id, &run.source.commit));
    assert!(summary.git_ref.as_str().starts_with("refs/heads/\"\"\"") && summary.message.chars().count() > 5);
    assert_eq!(summary.environments.as_ref().map_or(0, Vec::len) + summary.environments_left_out, 13);
    // An ordinary run loses nothing.
    let plain =
        self::run(0, "web", "refs/heads/feature/checkout", "Ada Lovelace", &["staging", "production"]);
    let summary = RunSummary::from(&plain);
    assert_eq!((&summary.message, &summary.author), (&plain.source.message, &plain.source.author));
    assert_eq!((summary.git_ref, summary.environments_left_out), (plain.source.git_ref, 0));

    let stored = runs::snapshot(&run).unwrap();
    for key in ["pipeline_pk", "ref_pk", "day_pk", "commit_pk"] {
        let part = |name: &&str| ((*name).to_owned(), json!({ "S": stored[*name].as_s().unwrap() }));
        let shown: Value = Value::Object(["pk", "sk", "run_id", key, "summary"].iter().map(part).collect());
        assert!(size(&shown) * 25 <= 24 * 1024, "{key}: {} bytes", size(&shown));
    }
}

/// Runs of three days by several people, pipelines and refs.
fn mixture() -> Vec<Run> {
    (0..900)
        .map(|n| {
            let pipeline = ["web", "api"][usize::try_from(n % 2).unwrap()];
            let git_ref =
                ["refs/heads/main", "refs/heads/next", "refs/tags/v1"][usize::try_from(n % 3).unwrap()];
            let author = ["Ada", "Grace", "Edsger"][usize::try_from(n % 5 % 3).unwrap()];
            let environments: &[&str] = if n % 7 == 0 { &["staging", "production"] } else { &["staging"] };
            run(n * 280, pipeline, git_ref, author, environments)
        })
        .collect()
}

fn filters() -> Vec<RunFilter> {
    let all = mixture();
    let pipeline = Some("web".parse().unwrap());
    let git_ref = Some(RunFilter::branch("main").unwrap());
    let times = (Some(noon() - SignedDuration::from_hours(40)), Some(noon() - SignedDuration::from_hours(9)));
    vec![
        RunFilter::default(),
        RunFilter { pipeline: pipeline.clone(), ..RunFilter::default() },
        RunFilter { pipeline: pipeline.clone(), git_ref: git_ref.clone(), ..RunFilter::default() },
        RunFilter { git_ref, author: Some("GRA".into()), ..RunFilter::default() },
        RunFilter { commit: Some(all[30].source.commit.clone()), pipeline, ..RunFilter::default() },
        RunFilter { environment: Some("production".parse().unwrap()), ..RunFilter::default() },
        RunFilter { status: Some(Status::Failed), ..RunFilter::default() },
        RunFilter { since: times.0, until: times.1, ..RunFilter::default() },
        RunFilter { author: Some("#a = :b OR attribute_exists(pk)".into()), ..RunFilter::default() },
    ]
}

/// All pages of a list, asked for until each is answered; and how many there were.
async fn pages(aws: &Aws, filter: &RunFilter) -> (Vec<RunId>, usize, usize) {
    let (mut seen, mut before, mut count, mut refused) = (Vec::new(), None, 0, 0);
    loop {
        let RunPage { runs, next } = match aws.list(&RunQuery { before, ..query(filter.clone()) }).await {
            Ok(page) => page,
            Err(Fault::Retryable(_)) => {
                refused += 1;
                continue;
            }
            Err(other) => panic!("{other}"),
        };
        count += 1;
        seen.extend(runs.iter().map(|run| run.id));
        before = next;
        if before.is_none() {
            return (seen, count, refused);
        }
    }
}

fn wanted(filter: &RunFilter, all: &[Run]) -> Vec<RunId> {
    let is_wanted = |run: &&Run| {
        filter.pipeline.as_ref().is_none_or(|it| run.pipeline.as_ref() == Some(it))
            && filter.git_ref.as_ref().is_none_or(|it| run.source.git_ref == *it)
            && filter.commit.as_ref().is_none_or(|it| run.source.commit == *it)
            && filter
                .author
                .as_ref()
                .is_none_or(|it| run.source.author.to_lowercase().contains(&it.to_lowercase()))
            && filter.status.is_none_or(|it| run.status == it)
            && filter
                .environment
                .as_ref()
                .is_none_or(|it| run.environments.iter().any(|state| state.name == *it))
            && filter.since.is_none_or(|it| run.received_at >= it)
            && filter.until.is_none_or(|it| run.received_at < it)
    };
    all.iter().filter(is_wanted).map(|run| run.id).collect()
}

#[tokio::test]
async fn f24_a_history_that_is_throttled_half_of_the_time_is_still_whole_and_in_order() {
    let all = mixture();
    let (aws, table) = filled(&all, 128).await;
    let mut refused = 0;
    for mut filter in filters() {
        // Not through the empty days of the year, too.
        filter.since.get_or_insert(noon() - SignedDuration::from_hours(90));
        let (seen, _, failed) = pages(&aws, &filter).await;
        assert_eq!(seen, wanted(&filter, &all), "{filter:?}");
        refused += failed;
    }
    // Many a call got through at its second or third attempt, and some pages failed and were asked for again.
    let throttled = table.state().throttled;
    assert!(refused > 0 && usize::try_from(throttled).unwrap() > 3 * refused, "{throttled} {refused}");
}

#[tokio::test]
async fn a29_whatever_is_asked_the_expressions_are_the_same_few() {
    let all = mixture();
    let (aws, table) = filled(&all, 0).await;
    for filter in filters() {
        let before = table.state().asked.len();
        let (seen, count, _) = pages(&aws, &filter).await;
        assert_eq!(seen, wanted(&filter, &all), "{filter:?}");
        let asked = &table.state().asked[before..];
        // Full pages, those that end because enough was looked at, and the walk through the empty days of the year.
        let most = seen.len() / 25 + all.len() / EXAMINED + 1 + 9;
        assert!(count <= most, "{count} pages for {} runs: {filter:?}", seen.len());
        for (_, body) in asked.iter().filter(|(operation, _)| operation == "Query") {
            let condition = body["KeyConditionExpression"].as_str().unwrap();
            let (name, rest) = condition.split_once(' ').unwrap();
            assert!(["pipeline_pk", "ref_pk", "day_pk", "commit_pk"].contains(&name), "{condition}");
            assert_eq!(rest, "= :partition AND run_id BETWEEN :least AND :most");
            for open in
                ["FilterExpression", "ExpressionAttributeNames", "ProjectionExpression", "QueryFilter"]
            {
                assert!(body.get(open).is_none(), "{open}: {body}");
            }
        }
    }
}

#[test]
fn a29_no_expression_is_put_together() {
    // Of each source that speaks to the table: what an expression is made of is a constant, by name or in quotes.
    let sources = [
        include_str!("access.rs"),
        include_str!("bulk.rs"),
        include_str!("catalog.rs"),
        include_str!("deliveries.rs"),
        include_str!("environments.rs"),
        include_str!("figures.rs"),
        include_str!("history.rs"),
        include_str!("hooks.rs"),
        include_str!("mod.rs"),
        include_str!("overdue.rs"),
        include_str!("plans.rs"),
        include_str!("repositories.rs"),
        include_str!("runs.rs"),
        include_str!("sealing.rs"),
        include_str!("test_cases.rs"),
        include_str!("versioned.rs"),
        include_str!("waits.rs"),
        include_str!("../account/mod.rs"),
    ];
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/dynamo");
    let here = std::fs::read_dir(folder).unwrap().count();
    // Beside those: this file, the table in memory, the meter, which builds no request.
    assert_eq!(here, sources.len() - 1 + 3, "a file of this folder is not looked at");
    let mut seen = 0;
    for source in sources {
        for (at, _) in source.match_indices("_expression(") {
            let given = source[at + "_expression(".len()..].split([')', ',']).next().unwrap();
            let is_constant = |text: &str| {
                let words = text.trim_start_matches("super::");
                words.chars().all(|c| c.is_ascii_uppercase() || c == '_')
                    || (text.starts_with('"') && !text.contains('{'))
                    || ["condition", "partition.condition"].contains(&text)
            };
            assert!(is_constant(given.trim()), "an expression is made of {given:?}");
            seen += 1;
        }
        // What is called a condition is a constant, too.
        for (at, _) in source.match_indices("condition: ") {
            let kind = source[at + "condition: ".len()..].split([',', '\n', ')']).next().unwrap();
            let is_constant = kind.chars().all(|c| c.is_ascii_uppercase() || c == '_');
            assert!(kind == "&'static str" || is_constant, "a condition is {kind:?}");
        }
    }
    assert!(seen >= 12, "only {seen} expressions were found");
}

#[tokio::test]
async fn f23_a_transaction_holds_25_writes_at_most() {
    let (aws, table) = Table::ports(0);
    let put = |n: usize| {
        let key = pushway_core::keys::Key { pk: n.to_string(), sk: "x".into() };
        aws.put(item(key, &n).unwrap(), super::IS_NEW)
    };
    let write = async |count: usize| aws.transact(transaction_token(&["t"]), (0..count).map(put)).await;
    assert_eq!(write(MAX_TRANSACTION).await, Ok(Ok(())));
    for count in [MAX_TRANSACTION + 1, 99, 100, 101] {
        let Err(Fault::Permanent(why)) = write(count).await else { panic!("{count} writes were taken") };
        assert!(why.contains(&count.to_string()), "{why}");
    }
    assert_eq!(table.state().asked.len(), 1, "nothing is sent that is too large");
}

#[tokio::test]
async fn environments_and_pipelines_are_listed_by_name_page_by_page() {
    let (aws, table) = Table::ports(0);
    let names = ["a", "b-1", "b", "prod", "z"];
    for pipeline in ["web", "web-2", "api"] {
        for name in names {
            let mut record = EnvironmentRecord::new(pipeline.parse().unwrap(), name.parse().unwrap());
            record.version = 1;
            assert_eq!(aws.put_environment(&record).await, Ok(Written::Stored));
        }
        let claim =
            json!({ "pipeline": pipeline, "version": 1, "provider": "git", "repository": "r", "hooks": [] });
        let claim = serde_json::from_value(claim).unwrap();
        assert_eq!(aws.put_pipeline_claim(&claim).await, Ok(Written::Stored));
    }
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = aws.environments(None, after.as_ref(), 4).await.unwrap();
        seen.extend(page.environments.iter().map(|record| format!("{}/{}", record.pipeline, record.name)));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let mut all: Vec<String> =
        ["web", "web-2", "api"].iter().flat_map(|of| names.map(|name| format!("{of}/{name}"))).collect();
    all.sort();
    let mut sorted = seen.clone();
    sorted.sort();
    assert_eq!((seen.len(), &sorted), (all.len(), &all), "each once, none left out: {seen:?}");
    let web: PipelineName = "web".parse().unwrap();
    let own: Vec<String> =
        aws.environment_names(&web).await.unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(own, ["a", "b", "b-1", "prod", "z"]);
    assert_eq!(aws.environments(Some(&web), None, 100).await.unwrap().environments.len(), 5);
    let page = aws.pipelines(None, 2).await.unwrap();
    let rest = aws.pipelines(page.next.as_ref(), 2).await.unwrap();
    let names = |page: &pushway_core::ports::PipelinePage| -> Vec<String> {
        page.pipelines.iter().map(|claim| claim.pipeline.to_string()).collect()
    };
    assert_eq!((names(&page), names(&rest)), (vec!["api".into(), "web".into()], vec!["web-2".into()]));
    assert!(table.state().asked.iter().all(|(operation, _)| operation != "Scan"));
}

#[tokio::test]
async fn a30_the_key_of_cursors_is_made_once_and_whoever_comes_second_takes_it() {
    let (aws, table) = Table::ports(0);
    let key = aws.sealing_key().await.unwrap();
    let asked = table.state().asked.len();
    assert_eq!(aws.clone().sealing_key().await.unwrap(), key);
    assert_eq!(table.state().asked.len(), asked, "it is read once in a process");

    let (late, table) = Table::ports(0);
    let other = pushway_core::cursor::CursorKey::new([1; 32]);
    let kept = json!({ "pk": { "S": "KEY#cursor" }, "sk": { "S": "META" },
        "data": { "S": serde_json::to_string(&other.to_hex()).unwrap() } });
    table.state().first = Some(kept);
    assert_eq!(late.sealing_key().await, Ok(other));
}
