//! Tests through the ports on AWS, request by request: reports of `CodeBuild` with several pages, and what is kept of
//! them in a table that keeps its conditions.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use jiff::Timestamp;
use pushway_aws::{Aws, Settings};
use pushway_core::fact::JobId;
use pushway_core::ids::{PipelineName, RefName, RunId};
use pushway_core::ports::{Fault, ReadBuilds as _, ReadTestCases as _, TestCases as _, TestsOf, Written};
use pushway_core::test_case::{CaseStatus, TestCase, TestResults};
use pushway_core::test_history::{JobTests, TestBase, TestedCommit};
use pushway_tests::sim::story::parse;
use serde_json::{Value, json};

use crate::serve;

type Asked = Arc<Mutex<Vec<(String, Value)>>>;

/// A server that answers each request as `answer` does; gives the ports and what was asked.
async fn aws(
    answer: impl Fn(&str, &Value) -> (StatusCode, Value) + Clone + Send + Sync + 'static,
) -> (Aws, Asked) {
    let asked = Asked::default();
    let noted = Arc::clone(&asked);
    let reply = move |headers: HeaderMap, body: Bytes| {
        let (answer, noted) = (answer.clone(), Arc::clone(&noted));
        async move {
            let body: Value = serde_json::from_slice(&body).expect("JSON");
            let target = headers["x-amz-target"].to_str().expect("a name");
            let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
            let (status, answered) = answer(&operation, &body);
            noted.lock().expect("it is there").push((operation, body));
            (status, [("content-type", "application/x-amz-json-1.1")], answered.to_string())
        }
    };
    let config = serve(axum::Router::new().fallback(reply)).await;
    (Aws::with_config(&config, Settings::for_table("table")), asked)
}

const UNIT: &str = "arn:aws:codebuild:eu-central-1:1:report/pushway-unit:1";
const LINT: &str = "arn:aws:codebuild:eu-central-1:1:report/pushway-lint:1";
const COVERAGE: &str = "arn:aws:codebuild:eu-central-1:1:report/pushway-coverage:1";

fn reports(operation: &str, asked: &Value) -> (StatusCode, Value) {
    let summary = |total: u32, counts: Value| json!({ "total": total, "statusCounts": counts, "durationInNanoSeconds": 1 });
    let answer = match (operation, asked["reportArn"].as_str(), asked["nextToken"].as_str()) {
        ("BatchGetReports", ..) => json!({ "reports": [
            { "arn": UNIT, "type": "TEST", "status": "FAILED", "truncated": true,
              "testSummary": summary(612, json!({ "SUCCEEDED": 610, "FAILED": 1, "ERROR": 1, "SKIPPED": 0, "UNKNOWN": 0 })) },
            { "arn": COVERAGE, "type": "CODE_COVERAGE", "status": "SUCCEEDED" },
            { "arn": LINT, "type": "TEST", "status": "SUCCEEDED",
              "testSummary": summary(1, json!({ "SKIPPED": 1 })) },
        ] }),
        ("DescribeTestCases", Some(UNIT), None) => json!({ "nextToken": "two", "testCases": [
            { "reportArn": UNIT, "testRawDataPath": "junit/a.xml", "prefix": "shop.Cart", "name": "adds", "status": "FAILED",
              "durationInNanoSeconds": 1_500_000, "message": "want 2", "testSuiteName": "unit", "expired": 1.0 },
        ] }),
        ("DescribeTestCases", Some(UNIT), Some("two")) => json!({ "testCases": [
            { "name": "pays", "prefix": "", "testSuiteName": "unit", "status": "ERROR", "durationInNanoSeconds": 999 },
            { "name": "sums", "prefix": "shop.Cart", "status": "SUCCEEDED", "durationInNanoSeconds": -1 },
        ] }),
        ("DescribeTestCases", Some(LINT), None) => {
            json!({ "testCases": [{ "name": "todo", "status": "SKIPPED" }, { "name": "odd", "status": "NEW_STATUS" }] })
        }
        other => panic!("nobody asks {other:?}"),
    };
    (StatusCode::OK, answer)
}

#[tokio::test]
async fn every_case_of_every_report_is_read_page_by_page() {
    let (aws, asked) = aws(reports).await;
    let arns = [UNIT, COVERAGE, LINT].map(str::to_owned);
    let results = aws.test_results(&arns).await.expect("they are read").expect("they count cases");
    let cases = vec![
        TestCase::new("shop.Cart", "adds", CaseStatus::Failed, 1_500, "want 2"),
        TestCase::new("unit", "pays", CaseStatus::Error, 0, ""),
        TestCase::new("shop.Cart", "sums", CaseStatus::Passed, 0, ""),
        TestCase::new("", "todo", CaseStatus::Skipped, 0, ""),
        TestCase::new("", "odd", CaseStatus::Unknown, 0, ""),
    ];
    let wanted =
        TestResults { passed: 610, failed: 2, skipped: 1, cases, is_truncated: true, is_unfinished: false };
    assert_eq!(results, wanted);
    let asked = asked.lock().expect("it is there");
    assert_eq!(asked[0], ("BatchGetReports".to_owned(), json!({ "reportArns": arns })));
    let of_unit: Vec<&Value> =
        asked.iter().map(|(_, body)| body).filter(|body| body["reportArn"] == UNIT).collect();
    let first = json!({ "reportArn": UNIT, "maxResults": 100 });
    let second = json!({ "reportArn": UNIT, "maxResults": 100, "nextToken": "two" });
    assert_eq!(of_unit, [&first, &second]);
    assert_eq!(asked.len(), 4, "what counts no cases is asked for none");
}

#[tokio::test]
async fn reports_that_may_not_be_read_are_refused_for_good() {
    let denied = |_: &str, _: &Value| {
        let problem = json!({ "__type": "AccessDeniedException", "message": "not authorized to perform" });
        (StatusCode::BAD_REQUEST, problem)
    };
    let (aws, _) = aws(denied).await;
    assert!(matches!(aws.test_results(&[UNIT.to_owned()]).await, Err(Fault::Permanent(_))));
}

/// A table that knows the conditions that are used, and no other.
fn table() -> impl Fn(&str, &Value) -> (StatusCode, Value) + Clone + Send + Sync + 'static {
    let items: Arc<Mutex<BTreeMap<(String, String), Value>>> = Arc::default();
    move |operation, asked| {
        let mut items = items.lock().expect("it is there");
        let key = |of: &Value| {
            let part = |name: &str| of[name]["S"].as_str().expect("a key").to_owned();
            (part("pk"), part("sk"))
        };
        if operation == "GetItem" {
            assert_eq!(asked["ConsistentRead"], true);
            let item = items.get(&key(&asked["Key"]));
            return (StatusCode::OK, item.map_or_else(|| json!({}), |item| json!({ "Item": item })));
        }
        assert_eq!(operation, "PutItem");
        let (item, values) = (&asked["Item"], &asked["ExpressionAttributeValues"]);
        let stored = items.get(&key(item));
        let holds = match asked["ConditionExpression"].as_str() {
            None => true,
            Some("attribute_not_exists(pk)") => stored.is_none(),
            Some(
                "attribute_not_exists(push_place) OR push_place < :place OR (push_place = :place AND run_id <= :run)",
            ) => {
                let place =
                    |number: &Value| number["N"].as_str().map(|text| text.parse::<u64>().expect("one"));
                let known =
                    |stored: &Value| (place(&stored["push_place"]), stored["run_id"]["S"].to_string());
                let own = (place(&values[":place"]), values[":run"]["S"].to_string());
                stored.is_none_or(|stored| known(stored) <= own)
            }
            Some("#version = :expected") => {
                stored.is_some_and(|stored| stored["version"] == values[":expected"])
            }
            Some(other) => panic!("nobody asks for {other}"),
        };
        if !holds {
            let code = "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException";
            return (StatusCode::BAD_REQUEST, json!({ "__type": code, "message": "no", "Item": stored }));
        }
        items.insert(key(item), item.clone());
        (StatusCode::OK, json!({}))
    }
}

fn unit() -> JobId {
    serde_json::from_value(json!({ "stage": "test", "name": "unit" })).expect("a job")
}

fn run(number: u8) -> RunId {
    RunId::new(Timestamp::from_second(1_790_000_000 + i64::from(number)).expect("a time"), [0; 10])
}

fn of(number: u8) -> TestsOf {
    TestsOf { run: run(number), job: unit(), attempt: 2 }
}

fn judged(message: &str) -> (JobTests, Vec<TestCase>) {
    let cases = vec![TestCase::new("cart", "adds", CaseStatus::Failed, 1, message)];
    let results = TestResults { failed: 1, cases, ..TestResults::default() };
    (JobTests::judge((&unit(), 2), &results, None, &[].into(), 1), results.cases)
}

#[tokio::test]
async fn f13_what_tests_came_to_is_written_once_and_its_own_lost_answer_is_a_success() {
    let (aws, asked) = aws(table()).await;
    let (tests, cases) = judged("want 2");
    assert_eq!(aws.job_tests(&of(1)).await, Ok(None));
    aws.put_test_cases(&of(1), 0, &cases).await.expect("it is stored");
    assert_eq!(aws.put_job_tests(&of(1), &tests).await, Ok(Written::Stored));
    assert_eq!(aws.put_job_tests(&of(1), &tests).await, Ok(Written::Stored), "its own");
    assert_eq!(aws.put_job_tests(&of(1), &judged("else").0).await, Ok(Written::Conflict));
    assert_eq!(aws.job_tests(&of(1)).await, Ok(Some(tests)));
    assert_eq!(aws.test_cases(&of(1), 0).await, Ok(cases));
    assert_eq!(aws.test_cases(&of(1), 1).await, Ok(Vec::new()), "behind the last");
    let asked = asked.lock().expect("it is there");
    let puts: Vec<&Value> =
        asked.iter().filter(|(op, _)| op == "PutItem").map(|(_, body)| &body["Item"]).collect();
    assert_eq!(puts[0]["pk"]["S"], format!("RUN#{}", run(1)));
    assert_eq!(
        (&puts[0]["sk"]["S"], &puts[1]["sk"]["S"]),
        (&json!("TESTS#test#unit#2#00000"), &json!("TESTS#test#unit#2#META"))
    );
    assert!(puts[0]["data"]["B"].is_string() && puts[0].get("expires_at").is_none(), "kept for good");
}

#[tokio::test]
async fn an_older_run_never_takes_the_place_of_a_newer_one_as_the_base() {
    let (aws, _) = aws(table()).await;
    let (pipeline, git_ref): (PipelineName, RefName) = (parse("web"), parse("refs/heads/a#b"));
    let (tests, cases) = judged("");
    let base = |(number, place)| {
        TestBase::new((pipeline.clone(), git_ref.clone()), (run(number), place), &tests, &cases)
    };
    // The fourth run is a retry of the push in the second place, and the fifth one of the push in the third.
    for (put, wanted) in [
        ((2, 2), (2, 2)),
        ((1, 1), (2, 2)),
        ((2, 2), (2, 2)),
        ((3, 3), (3, 3)),
        ((4, 2), (3, 3)),
        ((5, 3), (5, 3)),
        ((6, 10), (6, 10)),
    ] {
        aws.put_test_base(&base(put)).await.expect("it is stored or stays");
        let stored = aws.test_base(&pipeline, &git_ref, &unit()).await.expect("it is read");
        assert_eq!(stored, Some(base(wanted)), "after {put:?}");
    }
    let other: RefName = parse("refs/heads/a");
    assert_eq!(aws.test_base(&pipeline, &other, &unit()).await, Ok(None), "another ref's");
}

#[tokio::test]
async fn records_move_on_only_from_what_was_read() {
    let (aws, asked) = aws(table()).await;
    let (pipeline, commit) = (parse::<PipelineName>("web"), "a".repeat(40).parse().expect("a commit"));
    let fresh = aws.tested_commit(&pipeline, &commit, &unit()).await.expect("it is read");
    assert_eq!(fresh, TestedCommit::new(pipeline.clone(), commit.clone(), unit()));
    let (one, other) = (fresh.with(run(1), 1).expect("new"), fresh.with(run(2), 1).expect("new"));
    assert_eq!(aws.put_tested_commit(&one).await, Ok(Written::Stored));
    assert_eq!(aws.put_tested_commit(&one).await, Ok(Written::Stored), "its own");
    assert_eq!(aws.put_tested_commit(&other).await, Ok(Written::Conflict));
    assert_eq!(aws.tested_commit(&pipeline, &commit, &unit()).await, Ok(one));
    let first = aws.pipeline_tests(&pipeline).await.expect("it is read");
    let next = pushway_core::test_history::PipelineTests { version: 1, ..first };
    assert_eq!(aws.put_pipeline_tests(&next).await, Ok(Written::Stored));
    assert_eq!(aws.pipeline_tests(&pipeline).await, Ok(next));
    let asked = asked.lock().expect("it is there");
    let put = asked.iter().find(|(operation, _)| operation == "PutItem").expect("one");
    assert!(put.1["Item"]["expires_at"]["N"].is_string(), "commits are cleaned up");
}
