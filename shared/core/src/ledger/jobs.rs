//! The jobs' part in a run's time: every attempt, and which of them the run waited for.

use std::collections::BTreeMap;

use super::paint::Span;
use super::{JobTime, Kind, at};
use crate::fact::{BuildPhase, Entry, Fact, JobEnd, JobId};

/// Above what merely covers the rest of a stage, below everything of an environment.
const RANK: u8 = 2;
/// Phases before a build's machine is there (`CodeBuild` User Guide, "Build phase transitions").
const WAITING: [&str; 3] = ["SUBMITTED", "QUEUED", "PROVISIONING"];

/// An attempt of a job.
struct Attempt<'j> {
    job: &'j JobId,
    number: u32,
    from: i64,
    to: i64,
    end: Option<&'j JobEnd>,
    is_critical: bool,
}

/// What the jobs claim of the time until `until`, and every attempt.
pub(super) fn read(journal: &[Entry], times: &[i64], until: i64) -> (Vec<Span>, Vec<JobTime>) {
    let mut attempts = attempts(journal, times, until);
    mark_critical(&mut attempts, until);
    let (mut spans, mut jobs) = (Vec::new(), Vec::new());
    for attempt in &attempts {
        let own = attempt.spans();
        let sum = |kind| {
            own.iter().filter(|span| span.kind == kind).map(|span| super::length(span.from, span.to)).sum()
        };
        jobs.push(JobTime {
            job: attempt.job.clone(),
            attempt: attempt.number,
            from: at(attempt.from),
            to: at(attempt.to),
            provisioning_milliseconds: sum(Kind::Provisioning),
            work_milliseconds: sum(Kind::Work),
            is_critical: attempt.is_critical,
        });
        if attempt.is_critical {
            spans.extend(own);
        }
    }
    (spans, jobs)
}

fn attempts<'j>(journal: &'j [Entry], times: &[i64], until: i64) -> Vec<Attempt<'j>> {
    let mut attempts: Vec<Attempt<'j>> = Vec::new();
    let mut known: BTreeMap<(&JobId, u32), usize> = BTreeMap::new();
    for (entry, time) in journal.iter().zip(times) {
        match &entry.fact {
            Fact::JobStarted { job, attempt, .. } => {
                known.entry((job, *attempt)).or_insert_with(|| {
                    let (from, to) = (*time, until.max(*time));
                    attempts.push(Attempt { job, number: *attempt, from, to, end: None, is_critical: false });
                    attempts.len() - 1
                });
            }
            Fact::JobEnded { job, attempt, end } => {
                let place = known.get(&(job, *attempt));
                if let Some(found) =
                    place.and_then(|place| attempts.get_mut(*place)).filter(|found| found.end.is_none())
                {
                    (found.to, found.end) = (*time, Some(end));
                }
            }
            _ => {}
        }
    }
    attempts
}

/// Goes back from where the jobs were over: what ended last held everything up, and so did what ended last before it
/// began.
fn mark_critical(attempts: &mut [Attempt<'_>], until: i64) {
    let mut cursor = until;
    loop {
        let open = attempts.iter_mut().filter(|attempt| !attempt.is_critical && attempt.to <= cursor);
        // Of those that ended together the longest one was there all along.
        let Some(last) = open.max_by_key(|attempt| (attempt.to, -attempt.from)) else { return };
        last.is_critical = true;
        cursor = last.from;
    }
}

impl Attempt<'_> {
    fn spans(&self) -> Vec<Span> {
        let span = |kind, from: i64, to: i64| Span {
            kind,
            name: self.job.to_string(),
            from: from.clamp(self.from, self.to),
            to: to.clamp(self.from, self.to),
            rank: RANK,
        };
        let Some(end) = self.end else {
            // It runs, or nobody was there to see its end.
            return vec![span(Kind::Work, self.from, self.to)];
        };
        if end.phases.is_empty() {
            // One that was lost or told to stop has no times of its own; it was waited for all the same.
            let told = end.started_at.zip(end.ended_at);
            let (from, to) =
                told.map_or((self.from, self.to), |(from, to)| (from.as_millisecond(), to.as_millisecond()));
            let work = span(Kind::Work, from, to);
            return Some(work).filter(|span| span.from < span.to).into_iter().collect();
        }
        let phase = |phase: &BuildPhase| {
            let waits = WAITING.contains(&phase.name.as_str());
            let kind = if waits { Kind::Provisioning } else { Kind::Work };
            span(kind, phase.from.as_millisecond(), phase.to.as_millisecond())
        };
        end.phases.iter().map(phase).filter(|span| span.from < span.to).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fact::JobStage;

    #[test]
    fn the_critical_path_is_found_backwards() {
        let names: Vec<JobId> = ["a", "b", "c", "d", "e"]
            .map(|name| JobId { stage: JobStage::Build, name: name.parse().unwrap() })
            .into();
        // a and b begin together; c needs a; d ended long before c; e never ended.
        let times = [(0, 50), (0, 20), (55, 100), (55, 60), (70, 120)];
        let attempt = |(job, (from, to))| Attempt { job, number: 1, from, to, end: None, is_critical: false };
        let mut attempts: Vec<Attempt<'_>> = names.iter().zip(times).map(attempt).collect();
        mark_critical(&mut attempts, 110);
        let critical: Vec<bool> = attempts.iter().map(|attempt| attempt.is_critical).collect();
        assert_eq!(critical, [true, false, true, false, false]);
    }
}
