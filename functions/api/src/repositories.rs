//! The connected repositories and how well their webhooks and heads are looked after.

use pushway_core::api::{Repositories, RepositoryView};
use pushway_core::ports::{ListHooks, Reconciliations};

use crate::reply::Problem;

/// All of them; names of secrets stay inside.
pub(crate) async fn list<P: ListHooks + Reconciliations>(ports: &P) -> Result<Repositories, Problem> {
    let mut repositories = Vec::new();
    for hook in ports.hooks().await? {
        let known = ports.reconciliation(&hook).await?;
        let known = known.as_ref();
        repositories.push(RepositoryView {
            provider: hook.provider,
            hook: hook.id,
            repository: hook.repository,
            clone_url: hook.clone_url,
            default_branch: hook.default_branch,
            old_secret_until: hook.old_secret_until,
            webhook: known.map(|known| known.health.clone()),
            reconciled_at: known.and_then(|known| known.reconciled_at),
            problem: known.and_then(|known| known.problem.clone()),
            missing: known.map(|known| known.missing.clone()),
            found: known.map(|known| known.found),
            is_truncated: known.map(|known| known.is_truncated),
        });
    }
    Ok(Repositories { repositories })
}
