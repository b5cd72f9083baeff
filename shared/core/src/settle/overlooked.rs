//! Runs that are over and of which the stream's reader told nobody: it tries each change a few times and gives up.
//!
//! Looked for once an hour among the newest runs, so that an installation in which nothing happens pays for next to
//! nothing. Looking again at what is told already does no harm.

use std::collections::{BTreeMap, BTreeSet};

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::{note_figures, tell};
use crate::ids::{PipelineName, RunId};
use crate::listing::{MAX_LIMIT, RunFilter};
use crate::ports::{
    Announcements, Answer, Clock, CommitStatuses, Environments, Fault, FiguresQuery, History, Hooks, Notices,
    Plans, ReadRuns, RunFigures, RunQuery,
};

/// The minute of each hour in which a sweep looks.
const MINUTE: i8 = 17;
/// How old a run may be: its people may have let it wait for a week (`statemachine/README.md`).
const AGE: SignedDuration = SignedDuration::from_hours(9 * 24);
/// Since when a run must be over: sooner the stream may still get to it.
const SINCE: SignedDuration = SignedDuration::from_mins(10);
/// And since when at most: three sweeps have looked at it by then.
const UNTIL: SignedDuration = SignedDuration::from_hours(3);

/// Tells of the runs that ended lately and notes their figures, once an hour, by a sweep that began at `began` and has
/// time until `until`: the next hour's goes on. Gives what went wrong with which run.
pub async fn catch_up<P>(
    ports: &P,
    pages: Option<&str>,
    (began, until): (Timestamp, Timestamp),
) -> Answer<Vec<(RunId, Fault)>>
where
    P: ReadRuns
        + Plans
        + History
        + Environments
        + RunFigures
        + Hooks
        + Notices
        + CommitStatuses
        + Announcements
        + Clock,
{
    let mut troubles = Vec::new();
    for (run, lacks_figures) in ended_lately(ports, began).await? {
        if ports.now() > until {
            break;
        }
        let noted = if lacks_figures { note_figures(ports, run).await } else { Ok(()) };
        let told = tell(ports, run, pages).await;
        troubles.extend([noted, told].into_iter().filter_map(Result::err).map(|fault| (run, fault)));
    }
    Ok(troubles)
}

/// The runs that ended lately, and whether their figures are missing.
async fn ended_lately<P: History + RunFigures>(ports: &P, now: Timestamp) -> Answer<Vec<(RunId, bool)>> {
    if now.to_zoned(TimeZone::UTC).minute() != MINUTE {
        return Ok(Vec::new());
    }
    let filter = RunFilter { since: Some(now - AGE), ..RunFilter::default() };
    let runs = ports.list(&RunQuery { filter, ..RunQuery::newest(MAX_LIMIT, now) }).await?.runs;
    let is_lately = |at| now - UNTIL < at && at <= now - SINCE;
    let ended = runs.iter().filter(|run| run.status.is_terminal() && is_lately(run.updated_at));
    let mut by_pipeline: BTreeMap<&PipelineName, Vec<RunId>> = BTreeMap::new();
    let mut found = Vec::new();
    for run in ended {
        match &run.pipeline {
            Some(pipeline) => by_pipeline.entry(pipeline).or_default().push(run.id),
            // Without a plan there are no figures.
            None => found.push((run.id, false)),
        }
    }
    for (pipeline, runs) in by_pipeline {
        let oldest = runs.iter().min().map_or(now, |run| run.received_at());
        let query = FiguresQuery { pipeline: pipeline.clone(), since: oldest, until: now, limit: MAX_LIMIT };
        let noted: BTreeSet<RunId> =
            ports.figures(&query).await?.figures.into_iter().map(|figures| figures.run).collect();
        found.extend(runs.into_iter().map(|run| (run, !noted.contains(&run))));
    }
    Ok(found)
}
