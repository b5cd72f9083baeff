//! `needs`: which jobs of a stage wait for which, checked to come to an end.
//!
//! A job waits for jobs of its own stage only; the stages follow each other anyway. A job with a matrix
//! waits, and is waited for, as a whole.

use std::collections::BTreeMap;
use std::ops::Range;

use super::limits::MAX_JOBS;
use super::messages;
use super::reader::{Reader, most_similar};
use super::yaml::{Entry, MAX_TEXT_BYTES, Node, Position};
use crate::ids::JobName;
use crate::plan::JobPlan;

/// A job as written: what it needs, and where its plans are.
pub(super) struct Group<'n> {
    name: &'n str,
    at: Position,
    needs: Vec<(Position, &'n str)>,
    plans: Range<usize>,
}

impl<'n> Group<'n> {
    pub(super) fn new(
        reader: &mut Reader<'_>,
        entry: &'n Entry,
        needs: Option<&'n Node>,
        plans: Range<usize>,
    ) -> Self {
        let items = needs.and_then(|node| reader.list(node, "needs", MAX_JOBS)).unwrap_or_default();
        let mut needs: Vec<(Position, &str)> = Vec::new();
        for item in items {
            let Some(name) = reader.text(item, "needs", MAX_TEXT_BYTES) else { continue };
            if needs.iter().any(|(_, known)| *known == name) {
                reader.report(item.at, messages::listed_twice("needs", name));
            } else {
                needs.push((item.at, name));
            }
        }
        Self { name: &entry.key, at: entry.at, needs, plans }
    }
}

/// Writes the names of the needed jobs into the plans; reports names that clash, needs of jobs that do not
/// exist, and needs that never end.
pub(super) fn resolve(
    reader: &mut Reader<'_>,
    entries: &[Entry],
    groups: &[Group<'_>],
    plans: &mut [Option<JobPlan>],
) {
    let mut owners: BTreeMap<JobName, &str> = BTreeMap::new();
    for group in groups {
        for plan in plans[group.plans.clone()].iter().flatten() {
            if let Some(other) = owners.insert(plan.name.clone(), group.name) {
                reader.report(group.at, messages::job_name_clash(plan.name.as_str(), other, group.name));
                break;
            }
        }
    }
    for group in groups {
        for (at, name) in &group.needs {
            if *name == group.name {
                reader.report(*at, messages::needs_itself(name));
            } else if !entries.iter().any(|entry| entry.key == *name) {
                let known =
                    entries.iter().map(|entry| entry.key.as_str()).filter(|known| *known != group.name);
                let known: Vec<&str> = known.collect();
                reader.report(
                    *at,
                    messages::needs_unknown(name, most_similar(name, known.iter().copied()), &known),
                );
            }
        }
    }
    if let Some((at, cycle)) = cycle(groups) {
        reader.report(at, messages::needs_cycle(&cycle));
    }
    for group in groups {
        let needed =
            group.needs.iter().filter_map(|(_, name)| groups.iter().find(|other| other.name == *name));
        let names: Vec<JobName> = needed
            .flat_map(|other| plans[other.plans.clone()].iter().flatten().map(|plan| plan.name.clone()))
            .collect();
        for plan in plans[group.plans.clone()].iter_mut().flatten() {
            plan.needs.clone_from(&names);
        }
    }
}

/// The jobs of a circle, the first repeated at the end, and where the first says what it needs.
fn cycle<'n>(groups: &[Group<'n>]) -> Option<(Position, Vec<&'n str>)> {
    // Jobs that wait for nothing are taken away until none is left; who stays is in or behind a circle.
    let mut waiting: Vec<&Group<'n>> = groups.iter().collect();
    let next = |group: &Group<'n>, waiting: &[&Group<'n>]| {
        let other = |name: &str| waiting.iter().any(|other| other.name == name && name != group.name);
        group.needs.iter().find(|(_, name)| other(name)).copied()
    };
    loop {
        let left: Vec<_> = waiting.iter().copied().filter(|group| next(group, &waiting).is_some()).collect();
        if left.len() == waiting.len() {
            break;
        }
        waiting = left;
    }
    let mut path: Vec<(Position, &str)> = Vec::new();
    let mut group = *waiting.first()?;
    loop {
        let (at, needed) = next(group, &waiting)?;
        if let Some(start) = path.iter().position(|(_, name)| *name == group.name) {
            let names = path[start..].iter().map(|(_, name)| *name);
            return Some((path[start].0, names.chain([group.name]).collect()));
        }
        path.push((at, group.name));
        group = waiting.iter().copied().find(|other| other.name == needed)?;
    }
}
