//! Noting a run's figures once it is over. Nothing of the run changes by it, and noting them again is no news.

use super::load;
use crate::environment::{Deployed, EnvironmentRecord};
use crate::figures::{Changes, Figures, MAX_CHANGES};
use crate::ids::RunId;
use crate::listing::RunFilter;
use crate::ports::{Answer, Clock, Environments, History, Plans, ReadRuns, RunFigures, RunQuery};
use crate::run::{EnvironmentState, Run, Status};
use crate::summary::{RunSummary, shown_ref};

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

/// When the pushes were that came live with this one: those of its ref since the version before, which went no
/// further than it. The first version ever brings itself alone: what was pushed before Pushway is unknown.
async fn changes<P>(ports: &P, run: &Run) -> Answer<Changes>
where
    P: History + Environments + Clock,
{
    let mut changes = Changes::new();
    let live: Vec<&EnvironmentState> = run.environments.iter().filter(|state| state.is_live()).collect();
    let Some(pipeline) = run.pipeline.as_ref().filter(|_| !live.is_empty()) else { return Ok(changes) };
    let filter = RunFilter { pipeline: Some(pipeline.clone()), ..RunFilter::default() };
    let before = Some(run.id);
    let query = RunQuery { filter, before, limit: LOOKED_THROUGH, now: ports.now() };
    let before = ports.list(&query).await?.runs;
    for state in live {
        let record = ports.environment(pipeline, &state.name).await?;
        let Some(previous) = previous(&record, run.id) else { continue };
        // Summaries cut long refs.
        let shown = shown_ref(&run.source.git_ref);
        let is_brought = |other: &&RunSummary| {
            other.git_ref == shown && other.id > previous.run && other.status != Status::Rejected
        };
        let brought = before.iter().filter(is_brought).map(|other| other.received_at);
        changes.insert(state.name.clone(), brought.take(MAX_CHANGES).collect());
    }
    Ok(changes)
}

/// What served before a run's version.
fn previous(record: &EnvironmentRecord, run: RunId) -> Option<&Deployed> {
    let mut versions =
        record.current.iter().chain(&record.earlier).skip_while(|deployed| deployed.run != run);
    versions.nth(1)
}
