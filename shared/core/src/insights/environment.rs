//! An environment's deployments: which of them failed, at once or by somebody's word later, and how long that took
//! to mend.

use std::collections::BTreeMap;

use super::{Deployment, EnvironmentInsights, Spread, count};
use crate::figures::{EnvironmentFigures, Figures, Outcome};
use crate::ids::EnvironmentName;

/// The deployments to each environment, oldest first. A rollback by hand is none: it says that the one before failed.
pub(super) fn deployments<'f>(
    figures: &'f [Figures],
    only: Option<&EnvironmentName>,
) -> Vec<(&'f EnvironmentName, Vec<Deployment<'f>>)> {
    let mut by_name: BTreeMap<&EnvironmentName, Vec<(&Figures, &EnvironmentFigures)>> = BTreeMap::new();
    for run in figures {
        for environment in &run.environments {
            if only.is_none_or(|only| environment.name == *only) {
                by_name.entry(&environment.name).or_default().push((run, environment));
            }
        }
    }
    let read = |(name, mut touched): (_, Vec<(&'f Figures, &'f EnvironmentFigures)>)| {
        touched.sort_by_key(|(run, environment)| (environment.at, run.run));
        (name, read(&touched))
    };
    by_name.into_iter().map(read).collect()
}

fn read<'f>(touched: &[(&'f Figures, &'f EnvironmentFigures)]) -> Vec<Deployment<'f>> {
    let mut deployments: Vec<Deployment<'f>> = Vec::new();
    for (run, figures) in touched {
        let is_live = figures.outcome == Outcome::Deployed;
        let mut newer = deployments.iter().rev().take_while(|one| one.figures.outcome != Outcome::Deployed);
        let mends = newer.any(|one| one.recovery.is_none());
        if is_live {
            // Whatever was left broken before is over now.
            for broken in deployments.iter_mut().filter(|one| one.has_failed && one.recovery.is_none()) {
                broken.recovery = Some((broken.figures.began_at, figures.at));
            }
        }
        if run.is_rollback {
            if mends {
                // What was left broken served, and not the last good one: that was left by nobody's will.
                continue;
            }
            let undone = deployments.iter_mut().rev().find(|one| one.figures.outcome == Outcome::Deployed);
            if let Some(undone) = undone.filter(|undone| is_live && !undone.has_failed) {
                (undone.has_failed, undone.recovery) = (true, Some((run.received_at, figures.at)));
            }
            continue;
        }
        let undone = (figures.outcome == Outcome::RolledBack).then_some((figures.began_at, figures.at));
        deployments.push(Deployment { figures, has_failed: !is_live, recovery: undone });
    }
    deployments
}

/// What deployments of a span of so many weeks say.
pub(super) fn of(name: &EnvironmentName, all: &[Deployment<'_>], weeks: f64) -> EnvironmentInsights {
    let live = count(all.iter().filter(|one| one.figures.outcome == Outcome::Deployed).count());
    let failed = count(all.iter().filter(|one| one.has_failed).count());
    let attempts = count(all.len());
    let recoveries = all
        .iter()
        .filter_map(|one| one.recovery)
        .map(|(from, to)| u32::try_from(to.duration_since(from).as_secs().max(0)).unwrap_or(u32::MAX));
    EnvironmentInsights {
        environment: name.clone(),
        deployments: live,
        deployments_per_week: (live > 0).then(|| rounded(f64::from(live) / weeks, 100.0)),
        lead_time: Spread::of(all.iter().flat_map(|one| one.figures.leads.iter().copied())),
        attempts,
        failed,
        change_failure_percent: (attempts > 0)
            .then(|| rounded(f64::from(failed) * 100.0 / f64::from(attempts), 10.0)),
        recovery_time: Spread::of(recoveries),
        unrecovered: count(all.iter().filter(|one| one.has_failed && one.recovery.is_none()).count()),
    }
}

fn rounded(number: f64, parts: f64) -> f64 {
    (number * parts).round() / parts
}
