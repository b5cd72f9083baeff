//! What the pipeline files of the default branch ask for besides pushes: schedules and images.

use pushway_core::ports::{Answer, BranchRecords, Clock, Fault, SubscriptionRecords, Written};
use pushway_core::run::Run;
use pushway_core::source::Hook;
use pushway_core::subscription::{Subscription, Subscriptions};

use crate::files::Judged;

/// Where the hook names no default branch.
const DEFAULT_BRANCH: &str = "main";

/// Notes what the files ask for, if the ref is the default branch. What a file that is wrong asked for
/// before stays: a slip of the pen stops no nightly run.
pub(crate) async fn subscribe<P>(ports: &P, run: &Run, hook: &Hook, judged: &[Judged]) -> Answer<()>
where
    P: SubscriptionRecords + BranchRecords + Clock,
{
    let git_ref = &run.source.git_ref;
    let default = hook.default_branch.as_deref().unwrap_or(DEFAULT_BRANCH);
    if git_ref.as_str().strip_prefix("refs/heads/") != Some(default) {
        return Ok(());
    }
    // A push that is told of late must not bring back what a newer one has changed.
    if ports.branch(hook, git_ref).await?.head.is_none_or(|head| head.run != run.id) {
        return Ok(());
    }
    let stored = ports.subscriptions(hook).await?;
    let before = |one: &Judged| stored.as_ref()?.files.iter().find(|known| known.file == one.path).cloned();
    // Where there is no file at all, nothing is asked for: that is no slip.
    let asked = |one: &Judged| match &one.file {
        None if one.is_absent => None,
        None => before(one),
        Some(file) => Some(Subscription {
            file: one.path.clone(),
            pipeline: file.plan.pipeline.clone(),
            schedules: file.schedules().to_vec(),
            images: file.images().iter().map(|image| image.repository.clone()).collect(),
        }),
    };
    let wanted = |one: &Subscription| !one.schedules.is_empty() || !one.images.is_empty();
    let files: Vec<Subscription> = judged.iter().filter_map(asked).filter(wanted).collect();
    let known = stored.as_ref().map(|stored| (stored.files.as_slice(), &stored.git_ref));
    if known.map_or(files.is_empty(), |known| known == (files.as_slice(), git_ref)) {
        return Ok(());
    }
    let next = Subscriptions {
        provider: hook.provider,
        hook: hook.id.clone(),
        version: stored.as_ref().map_or(0, |stored| stored.version) + 1,
        git_ref: git_ref.clone(),
        files,
        // A schedule that is new or changed begins now: what it would have asked for before nobody has missed.
        done_until: ports.now(),
    };
    match ports.put_subscriptions(&next).await? {
        Written::Stored => Ok(()),
        Written::Conflict => Err(Fault::Retryable(format!("hook {} is being swept", hook.id))),
    }
}
