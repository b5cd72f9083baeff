//! Tests: those of a run, and what a pipeline remembers of its own.

use pushway_core::ids::PipelineName;
use pushway_core::ports::{Clock, ReadRuns, ReadTestCases, TestsOf};
use pushway_core::run::{JobState, Run};
use pushway_core::test_answers::{Asked, KeptCase, Place, RunTests};
use pushway_core::test_history::PipelineTests;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::call::{Call, parsed};
use crate::reply::Problem;
use crate::runs;

/// Cases on a page, unless asked otherwise, and at most.
const DEFAULT_LIMIT: u16 = 100;
const MAX_LIMIT: u16 = 1_000;
/// Chunks that one request looks through: a filter that finds little gives a page that is short, and goes on.
const MAX_CHUNKS: usize = 20;

/// Which cases are asked for; without any of these, none.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Cases {
    /// Only those that ended so.
    status: Option<Asked>,
    /// `next` of the page before; the beginning without it.
    #[schemars(regex(pattern = r"^[0-9]{1,6}\.[0-9]{1,6}\.[0-9]{1,6}$"))]
    cursor: Option<String>,
    /// At most this many; 100 without it. A page may hold fewer and still have a next one.
    #[schemars(range(min = 1, max = 1000))]
    limit: Option<u16>,
}

/// `GET /v1/runs/{run}/tests`.
pub(crate) async fn of_run<P: ReadRuns + ReadTestCases>(
    ports: &P,
    call: &Call<'_>,
) -> Result<RunTests, Problem> {
    let wanted: Cases = call.query()?;
    let run = runs::asked(ports, call).await?;
    let mut answer = RunTests { run: run.id, jobs: Vec::new(), cases: None, next: None };
    for of in tested(&run) {
        answer.jobs.extend(ports.job_tests(&of).await?);
    }
    if wanted.status.is_some() || wanted.cursor.is_some() || wanted.limit.is_some() {
        cases(ports, &wanted, &run, &mut answer).await?;
    }
    Ok(answer)
}

/// `GET /v1/pipelines/{pipeline}/tests`.
pub(crate) async fn of_pipeline<P: ReadTestCases + Clock>(
    ports: &P,
    call: &Call<'_>,
) -> Result<PipelineTests, Problem> {
    let name = call.text("pipeline");
    let absent = |_| Problem::NotFound(format!("there is no pipeline {name:?}; GET /v1/runs names them"));
    let pipeline: PipelineName = name.parse().map_err(absent)?;
    Ok(ports.pipeline_tests(&pipeline).await?.at(ports.now()))
}

/// The newest attempts of a run's jobs that kept tests.
fn tested(run: &Run) -> Vec<TestsOf> {
    let has_tests = |state: &&JobState| {
        let tests = state.end.as_ref().and_then(|end| end.tests.as_ref());
        tests.is_some_and(|tests| tests.unread.is_none())
    };
    let of = |state: &JobState| TestsOf { run: run.id, job: state.job.clone(), attempt: state.attempt };
    run.jobs.iter().filter(has_tests).map(of).collect()
}

async fn cases<P: ReadTestCases>(
    ports: &P,
    wanted: &Cases,
    run: &Run,
    answer: &mut RunTests,
) -> Result<(), Problem> {
    let asked = wanted.status.unwrap_or_default();
    let limit = wanted.limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        return Err(Problem::BadRequest(format!("limit {limit} is not a number from 1 to {MAX_LIMIT}")));
    }
    let mut place: Place = wanted.cursor.as_deref().map(parsed).transpose()?.unwrap_or_default();
    let mut found = Vec::new();
    for _ in 0..MAX_CHUNKS {
        let Some(tests) = answer.jobs.get(place.job) else {
            answer.cases = Some(found);
            return Ok(());
        };
        if place.chunk >= tests.chunks {
            place = Place { job: place.job + 1, ..Place::default() };
            continue;
        }
        let of = TestsOf { run: run.id, job: tests.job.clone(), attempt: tests.attempt };
        let chunk = ports.test_cases(&of, place.chunk).await?;
        while let Some(case) = chunk.get(place.case) {
            if found.len() >= usize::from(limit) {
                (answer.cases, answer.next) = (Some(found), Some(place.to_string()));
                return Ok(());
            }
            place.case += 1;
            if asked.takes(case.status) {
                found.push(KeptCase { job: of.job.clone(), attempt: of.attempt, case: case.clone() });
            }
        }
        place = Place { chunk: place.chunk + 1, case: 0, ..place };
    }
    (answer.cases, answer.next) = (Some(found), Some(place.to_string()));
    Ok(())
}
