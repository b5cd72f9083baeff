//! Telling of a run: what its forge and the sinks do not know yet, and again later what they did not take.

use std::collections::BTreeSet;

use jiff::SignedDuration;

use super::load;
use crate::ids::RunId;
use crate::notice::{LEASE, News, Notice, page, statuses};
use crate::ports::{
    Announcements, Answer, Clock, CommitStatuses, Fault, History, Hooks, Notices, ReadRuns, Written,
};
use crate::run::{Run, Status};

/// How long after a run's last fact its commit may have got a newer run that was told of.
const LATE: SignedDuration = SignedDuration::from_secs(60);
/// How many newer runs of a commit are looked at.
const MAX_NEWER: usize = 5;
/// How often a teller starts over when the run has changed under it; after that the sweep goes on.
const MAX_ROUNDS: u32 = 10;

/// Tells what is not told yet of a run; `pages` is where runs have their pages. A sink that fails is noted
/// and tried again by the sweep (row F41): an error here is one of our own table's.
pub async fn tell<P>(ports: &P, id: RunId, pages: Option<&str>) -> Answer<()>
where
    P: ReadRuns + History + Hooks + Notices + CommitStatuses + Announcements + Clock,
{
    for _ in 0..MAX_ROUNDS {
        let mut notice = ports.notice(id).await?;
        let now = ports.now();
        if notice.busy_until.is_some_and(|until| until > now) {
            // One at a time, or an older state could be shown over a newer one.
            notice.is_stale = true;
            match put(ports, &mut notice).await? {
                Written::Stored => return Ok(()),
                Written::Conflict => continue,
            }
        }
        let is_paused = notice.next_at.is_some_and(|at| at > now);
        let run = load(ports, id).await?;
        if is_paused || !has_news(&run, &notice, pages) {
            return Ok(());
        }
        (notice.busy_until, notice.is_stale) = (Some(now + LEASE), false);
        if put(ports, &mut notice).await? == Written::Conflict {
            continue;
        }
        let sent = send(ports, &run, &mut notice, pages).await;
        notice.told(sent.as_ref().err(), ports.now());
        if !close(ports, notice).await? || sent.is_err() {
            return Ok(());
        }
    }
    Ok(())
}

fn has_news(run: &Run, notice: &Notice, pages: Option<&str>) -> bool {
    let is_new = |status: &crate::forge::CommitStatus| notice.shown.get(&status.context) != Some(status);
    run.status != Status::Ignored
        && (notice.announced != Some(run.status) || statuses(run, pages).iter().any(is_new))
}

/// Sends what is new; what was taken is noted even where a later part fails.
async fn send<P>(ports: &P, run: &Run, notice: &mut Notice, pages: Option<&str>) -> Answer<()>
where
    P: ReadRuns + History + Hooks + CommitStatuses + Announcements + Clock,
{
    let announced = announce(ports, run, notice, pages).await;
    // A repository that was disconnected meanwhile has no one to tell.
    if let Some(hook) = ports.hook(run.source.provider, run.source.hook.as_str()).await? {
        let is_late = notice.failures > 0 || ports.now().duration_since(run.updated_at) > LATE;
        let newer = if is_late { shown_by_newer(ports, run).await? } else { BTreeSet::new() };
        for status in statuses(run, pages) {
            if notice.shown.get(&status.context) == Some(&status) {
                continue;
            }
            if !newer.contains(&status.context) {
                ports.post_status(&hook, &run.source.commit, &status).await?;
            }
            notice.shown.insert(status.context.clone(), status);
        }
    }
    announced
}

/// What newer runs of the same commit and pipeline show: a forge keeps the last word, which must be theirs.
async fn shown_by_newer<P: ReadRuns + History>(ports: &P, run: &Run) -> Answer<BTreeSet<String>> {
    let mut shown = BTreeSet::new();
    let all = ports.of_commit(&run.source.commit).await?;
    let newer = all.iter().filter(|other| other.id > run.id && other.pipeline == run.pipeline);
    for other in newer.take(MAX_NEWER) {
        shown.extend(statuses(&load(ports, other.id).await?, None).into_iter().map(|status| status.context));
    }
    Ok(shown)
}

async fn announce<P: Announcements>(
    ports: &P,
    run: &Run,
    notice: &mut Notice,
    pages: Option<&str>,
) -> Answer<()> {
    if notice.announced == Some(run.status) {
        return Ok(());
    }
    ports.announce(&News { run: run.into(), url: page(pages, run.id) }).await?;
    notice.announced = Some(run.status);
    Ok(())
}

/// Stores how it went; gives whether the run has changed meanwhile.
async fn close<P: Notices>(ports: &P, mut notice: Notice) -> Answer<bool> {
    for _ in 0..super::MAX_CONFLICTS {
        if put(ports, &mut notice).await? == Written::Stored {
            return Ok(notice.is_stale);
        }
        // Only a word that the run has changed can have come between.
        let stored = ports.notice(notice.run).await?;
        (notice.version, notice.is_stale) = (stored.version, stored.is_stale);
    }
    Err(Fault::Retryable(format!("the notice of run {} is written to by too many at once", notice.run)))
}

async fn put<P: Notices>(ports: &P, notice: &mut Notice) -> Answer<Written> {
    notice.version += 1;
    ports.put_notice(notice).await
}
