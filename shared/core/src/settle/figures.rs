//! Noting a run's figures once it is over. Nothing of the run changes by it, and noting them again is no news.

use jiff::Timestamp;

use super::load;
use crate::environment::{Deployed, EnvironmentRecord};
use crate::figures::{Changes, Figures, MAX_CHANGES};
use crate::ids::{CommitSha, RunId};
use crate::listing::RunFilter;
use crate::ports::{Answer, Clock, Environments, History, Plans, ReadRuns, RunFigures, RunQuery};
use crate::run::{EnvironmentState, Run};
use crate::summary::{RunSummary, TriggerWord, shown_ref};

/// How many runs are looked through for the pushes that a deployment brought.
const LOOKED_THROUGH: usize = 100;

/// Keeps the figures of a run that is over; of one that goes on, or had no plan, there are none.
pub async fn note_figures<P>(ports: &P, id: RunId) -> Answer<()>
where
    P: ReadRuns + Plans + History + Environments + RunFigures + Clock,
{
    let run = load(ports, id).await?;
    if !run.status.is_terminal() || run.pipeline.is_none() {
        return Ok(());
    }
    let (journal, plan) = (ports.journal(id).await?, ports.plan(id).await?);
    let changes = changes(ports, &run).await?;
    match Figures::of(&run, &journal, plan.as_ref(), &changes) {
        Some(figures) => ports.put_figures(&figures).await,
        None => Ok(()),
    }
}

/// When the pushes were that came live with this one.
async fn changes<P>(ports: &P, run: &Run) -> Answer<Changes>
where
    P: History + Environments + Clock,
{
    let mut changes = Changes::new();
    let live: Vec<&EnvironmentState> = run.environments.iter().filter(|state| state.is_live()).collect();
    let Some(pipeline) = run.pipeline.as_ref().filter(|_| !live.is_empty()) else { return Ok(changes) };
    let filter = RunFilter { pipeline: Some(pipeline.clone()), ..RunFilter::default() };
    let query = RunQuery { filter, before: Some(run.id), limit: LOOKED_THROUGH, now: ports.now() };
    let before = ports.list(&query).await?.runs;
    for state in live {
        let record = ports.environment(pipeline, &state.name).await?;
        changes.insert(state.name.clone(), brought(run, &before, &record));
    }
    Ok(changes)
}

/// The pushes that a version brought: its own, and those of its ref since the version before, which went no further.
/// A commit is brought once, by its first push, however often it is retried or started by hand. The first version
/// ever brings itself alone: what was pushed before Pushway is unknown.
fn brought(run: &Run, before: &[RunSummary], record: &EnvironmentRecord) -> Vec<Timestamp> {
    let versions = record.current.iter().chain(&record.earlier).skip_while(|version| version.run != run.id);
    let served: Vec<&Deployed> = versions.skip(1).collect();
    let has_served = |commit: &CommitSha| served.iter().any(|version| version.commit == *commit);
    // Summaries cut long refs.
    let shown = shown_ref(&run.source.git_ref);
    let pushes: Vec<&RunSummary> = before
        .iter()
        .filter(|other| other.git_ref == shown && other.trigger.is_none_or(TriggerWord::is_push))
        .collect();
    let mut brought: Vec<(&CommitSha, Timestamp)> = Vec::new();
    let is_retry = run.source.retry.is_some();
    let is_own = match TriggerWord::from(&run.source.trigger) {
        word if word.is_push() => !(is_retry && has_served(&run.source.commit)),
        // Whoever starts a run by hand or by the clock pushes nothing, unless nobody has heard of the commit yet.
        _ => !has_served(&run.source.commit) && pushes.iter().all(|other| other.commit != run.source.commit),
    };
    if is_own {
        let received = first_of(run.id, run.source.retry.as_ref().map(|retry| retry.of), before);
        // A forge's clock may be ahead of ours.
        let pushed = run.source.pushed_at.map_or(received, |pushed| pushed.min(received));
        brought.push((&run.source.commit, pushed));
    }
    let Some(previous) = served.first() else { return brought.into_iter().map(|(_, at)| at).collect() };
    // By their places among the pushes of the ref where both are known: a retry has a new id for an old push.
    let is_between = |other: &RunSummary| match (other.place, run.place) {
        (Some(place), Some(own)) if previous.git_ref == run.source.git_ref => {
            place <= own && previous.place.map_or(other.id > previous.run, |before| place > before)
        }
        _ => other.id > previous.run,
    };
    for other in pushes.into_iter().filter(|other| is_between(other) && !has_served(&other.commit)) {
        let pushed = first_of(other.id, other.retry_of, before);
        match brought.iter_mut().find(|(commit, _)| *commit == &other.commit) {
            Some((_, at)) => *at = pushed.min(*at),
            None => brought.push((&other.commit, pushed)),
        }
    }
    brought.into_iter().map(|(_, at)| at).take(MAX_CHANGES).collect()
}

/// When the push was received that a run is of, or that it is a retry of a retry of.
fn first_of(run: RunId, retry_of: Option<RunId>, known: &[RunSummary]) -> Timestamp {
    let earlier = |run: &RunId| known.iter().find(|other| other.id == *run)?.retry_of;
    let first = retry_of.and_then(|of| std::iter::successors(Some(of), earlier).last());
    first.unwrap_or(run).received_at()
}
