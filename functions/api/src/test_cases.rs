//! Tests: those of a run, and what a pipeline remembers of its own.

use pushway_core::ids::PipelineName;
use pushway_core::ports::{Answer, Clock, ReadRuns, ReadTestCases, SealingKey, TestsOf};
use pushway_core::run::{JobState, Run};
use pushway_core::test_answers::{Asked, KeptCase, RunTests};
use pushway_core::test_history::{JobTests, PipelineTests};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::call::Call;
use crate::lists;
use crate::reply::Problem;
use crate::runs;

/// Cases on a page, unless asked otherwise, and at most.
const DEFAULT_LIMIT: u16 = 100;
const MAX_LIMIT: u16 = 1_000;
/// Bytes that failures of all jobs may take together, and the cases of a page: a function's answer is 6 MB at most
/// (Lambda Developer Guide, "Quotas"), and everything may fail at once.
const FAILURES_BYTES: usize = 1_500_000;
const PAGE_BYTES: usize = 3_000_000;
/// Chunks that one request looks through: a filter that finds little gives a page that is short, and goes on.
const MAX_CHUNKS: usize = 20;
/// Jobs whose tests a page shows, those with failures first: each is one read, and one more where a retry has taken it
/// over.
const MAX_SHOWN: usize = 12;

/// Which cases are asked for; without any of these, none.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Cases {
    /// Only those that ended so.
    status: Option<Asked>,
    /// `next` of the page before; the beginning without it.
    cursor: Option<String>,
    /// At most this many; 100 without it. A page may hold fewer and still have a next one.
    #[schemars(range(min = 1, max = 1000))]
    limit: Option<u16>,
}

/// `GET /v1/runs/{run}/tests`.
pub(crate) async fn of_run<P: ReadRuns + ReadTestCases + SealingKey>(
    ports: &P,
    call: &Call<'_>,
) -> Result<RunTests, Problem> {
    let wanted: Cases = call.query()?;
    let run = runs::asked(ports, call).await?;
    let mut answer = RunTests { run: run.id, jobs: Vec::new(), cases: None, next: None };
    let mut kept = Vec::new();
    let mut room = FAILURES_BYTES;
    for state in &run.jobs {
        let Some(of) = tested(ports, &run, state).await? else { continue };
        if let Some(mut tests) = ports.job_tests(&of).await? {
            kept.push((of, tests.chunks));
            // Whoever goes on with a list has had them on its first page.
            if wanted.cursor.is_none() {
                let fit = tests.failures.iter().take_while(|case| take(&mut room, case)).count();
                tests.failures_left_out = tests.failures.len() - fit;
                tests.failures.truncate(fit);
                answer.jobs.push(tests);
            }
        }
    }
    if wanted.status.is_some() || wanted.cursor.is_some() || wanted.limit.is_some() {
        let asked = wanted.status.unwrap_or_default();
        let list = ("tests", run.id, asked);
        let place = lists::position(ports, &list, wanted.cursor.as_deref()).await?.unwrap_or_default();
        let (cases, next) = cases(ports, &kept, asked, limit(&wanted)?, place).await?;
        answer.cases = Some(cases);
        answer.next = lists::next(ports, &list, next.as_ref()).await?;
    }
    Ok(answer)
}

/// The tests that a run's page shows. As long as the run goes on its page is asked for every few seconds, so only those
/// are read that failed a job for good, after which a run ends soon; its summaries tell of the others.
pub(crate) async fn shown<P: ReadRuns + ReadTestCases>(ports: &P, run: &Run) -> Answer<Vec<JobTests>> {
    let over = run.status.is_terminal();
    let is_shown = |state: &&JobState| over || (state.is_settled() && !state.has_succeeded());
    let failed = |state: &JobState| state.end.iter().flat_map(|end| &end.tests).any(|tests| tests.failed > 0);
    let has_tests = |state: &&JobState| state.end.as_ref().is_some_and(|end| end.tests.is_some());
    let mut states: Vec<&JobState> = run.jobs.iter().filter(has_tests).filter(is_shown).collect();
    states.sort_by_key(|state| !failed(state));
    let mut shown = Vec::new();
    for state in states.into_iter().take(MAX_SHOWN) {
        let Some(of) = tested(ports, run, state).await? else { continue };
        shown.extend(ports.job_tests(&of).await?);
    }
    Ok(shown)
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

/// A place among a run's cases.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct Place {
    /// Which of the jobs that kept tests.
    job: usize,
    /// Which of its chunks.
    chunk: u32,
    /// Which of the chunk's cases.
    case: usize,
}

fn limit(wanted: &Cases) -> Result<usize, Problem> {
    let limit = wanted.limit.unwrap_or(DEFAULT_LIMIT);
    if (1..=MAX_LIMIT).contains(&limit) {
        return Ok(usize::from(limit));
    }
    Err(Problem::BadRequest(format!("limit {limit} is not a number from 1 to {MAX_LIMIT}")))
}

/// Whether a part of an answer finds room in what is left for its like, and takes it. The answer is JSON that stands as
/// a text in JSON, so its quotes are counted as they are escaped there.
fn take(room: &mut usize, part: &impl Serialize) -> bool {
    let inner = serde_json::to_string(part).unwrap_or_default();
    let outer = serde_json::to_string(&inner).map_or(usize::MAX, |text| text.len());
    let fits = outer <= *room;
    *room = room.saturating_sub(outer);
    fits
}

/// The newest attempt of a job, if it kept tests; one that a retry took over has kept them with its own run.
async fn tested<P: ReadRuns>(ports: &P, run: &Run, state: &JobState) -> Answer<Option<TestsOf>> {
    let tests = state.end.as_ref().and_then(|end| end.tests.as_ref());
    if tests.is_none_or(|tests| tests.unread.is_some()) {
        return Ok(None);
    }
    let job = state.job.clone();
    let Some(from) = state.taken_from else {
        return Ok(Some(TestsOf { run: run.id, job, attempt: state.attempt }));
    };
    let done = ports.load(from).await?;
    let attempt = done.as_ref().and_then(|run| run.job(&job)).map(|done| done.attempt);
    Ok(attempt.map(|attempt| TestsOf { run: from, job, attempt }))
}

/// A page of the cases that are kept, and where the next one begins.
async fn cases<P: ReadTestCases>(
    ports: &P,
    kept: &[(TestsOf, u32)],
    asked: Asked,
    limit: usize,
    mut place: Place,
) -> Result<(Vec<KeptCase>, Option<Place>), Problem> {
    let (mut found, mut room) = (Vec::new(), PAGE_BYTES);
    for _ in 0..MAX_CHUNKS {
        let Some((of, chunks)) = kept.get(place.job) else { return Ok((found, None)) };
        if place.chunk >= *chunks {
            place = Place { job: place.job + 1, ..Place::default() };
            continue;
        }
        let chunk = ports.test_cases(of, place.chunk).await?;
        while let Some(case) = chunk.get(place.case) {
            let is_wanted = asked.takes(case.status);
            if found.len() >= limit || (is_wanted && !take(&mut room, case)) {
                return Ok((found, Some(place)));
            }
            place.case += 1;
            if is_wanted {
                found.push(KeptCase { job: of.job.clone(), attempt: of.attempt, case: case.clone() });
            }
        }
        place = Place { chunk: place.chunk + 1, case: 0, ..place };
    }
    Ok((found, Some(place)))
}
