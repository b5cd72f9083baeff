//! The push's place among those of its ref: told of late, twice, or in the right order (row F10).

use pushway_core::branch::{Branch, Placed};
use pushway_core::fact::Fact;
use pushway_core::ids::CommitSha;
use pushway_core::messages;
use pushway_core::ports::{Answer, BranchRecords, Clock, Fault, Heads, PullRequests};
use pushway_core::run::Run;
use pushway_core::settle::update_branch;
use pushway_core::source::{Hook, Provider};

/// How often the forge is asked while others push to the same ref.
const MAX_QUESTIONS: u32 = 10;

/// The run's place; or the fact that ends it here.
pub(crate) async fn place<P>(ports: &P, run: &Run, hook: &Hook) -> Answer<Result<u64, Fact>>
where
    P: BranchRecords + Heads + PullRequests + Clock,
{
    if let Some(place) = run.source.place {
        return Ok(Ok(place));
    }
    // The run that is retried had none of its own yet: its push may have.
    if run.source.retry.is_some() {
        let branch = ports.branch(hook, &run.source.git_ref).await?;
        return Ok(Ok(branch.place_of(&run.source.commit)));
    }
    let mut at_forge: Option<(u64, CommitSha)> = None;
    // A plain git server has no API to ask.
    let mut can_ask = hook.provider != Provider::Git;
    for _ in 0..MAX_QUESTIONS {
        // What the forge said counts only while the record is the one that made us ask.
        let place = |branch: &mut Branch| {
            let word = at_forge.as_ref().filter(|(version, _)| *version == branch.version);
            let version = branch.version;
            (branch.place(run.id, &run.source, word.map(|(_, commit)| commit), can_ask), version)
        };
        let (placed, version) = update_branch(ports, hook, &run.source.git_ref, place).await?;
        match placed {
            Placed::At(place) => return Ok(Ok(place)),
            Placed::Same(other) => {
                return Ok(Err(Fact::Ignored { rule: messages::same_head(&run.source, other) }));
            }
            Placed::AskForge => match head(ports, run, hook).await? {
                Some(commit) => at_forge = Some((version, commit)),
                // A ref that is gone there leaves only what was told.
                None => can_ask = false,
            },
        }
    }
    Err(Fault::Retryable(format!("{} moves faster than it can be looked at", run.source.git_ref)))
}

async fn head<P: Heads + PullRequests>(ports: &P, run: &Run, hook: &Hook) -> Answer<Option<CommitSha>> {
    match run.source.pull_request() {
        Some(request) => Ok(ports.pull_request(hook, request.number).await?.map(|view| view.head)),
        None => Ok(ports.head(hook, &run.source.git_ref).await?.map(|view| view.commit)),
    }
}
