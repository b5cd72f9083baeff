//! Claiming a pipeline's name for a repository, against others that claim it at the same moment.

use super::MAX_CONFLICTS;
use crate::claim::PipelineClaim;
use crate::ids::PipelineName;
use crate::ports::{Answer, Fault, Hooks, PipelineClaims, Written};
use crate::source::Hook;

/// Claims the name for the hook's repository; gives the claim of the connected repository that has it
/// already, if one has. What was stored counts: claiming again, after a crash or a lost answer, changes nothing.
pub async fn claim_pipeline<P: PipelineClaims + Hooks>(
    ports: &P,
    hook: &Hook,
    pipeline: &PipelineName,
) -> Answer<Result<(), PipelineClaim>> {
    for _ in 0..MAX_CONFLICTS {
        let stored = ports.pipeline_claim(pipeline).await?;
        if let Some(other) = stored.as_ref().filter(|stored| !stored.is_of(hook))
            && is_connected(ports, other).await?
        {
            return Ok(Err(other.clone()));
        }
        let Some(next) = PipelineClaim::next(stored.as_ref(), pipeline, hook) else { return Ok(Ok(())) };
        if ports.put_pipeline_claim(&next).await? == Written::Stored {
            return Ok(Ok(()));
        }
    }
    Err(Fault::Retryable(format!("pipeline {pipeline} is claimed by too many at once")))
}

/// Whether a hook of the claim is still there, and still connects that repository.
async fn is_connected<P: Hooks>(ports: &P, claim: &PipelineClaim) -> Answer<bool> {
    for id in claim.hooks.iter().rev() {
        if ports.hook(claim.provider, id.as_str()).await?.is_some_and(|hook| claim.is_of(&hook)) {
            return Ok(true);
        }
    }
    Ok(false)
}
