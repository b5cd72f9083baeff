//! The connected repositories and how well their webhooks and heads are looked after.

use pushway_core::ports::{ListHooks, Reconciliations};
use serde_json::{Value, json};

use crate::reply::Problem;

/// All of them; names of secrets stay inside.
pub(crate) async fn list<P: ListHooks + Reconciliations>(ports: &P) -> Result<Value, Problem> {
    let mut repositories = Vec::new();
    for hook in ports.hooks().await? {
        let known = ports.reconciliation(&hook).await?;
        repositories.push(json!({
            "provider": hook.provider,
            "hook": hook.id,
            "repository": hook.repository,
            "clone_url": hook.clone_url,
            "default_branch": hook.default_branch,
            "old_secret_until": hook.old_secret_until,
            "webhook": known.as_ref().map(|known| &known.health),
            "reconciled_at": known.as_ref().and_then(|known| known.reconciled_at),
            "problem": known.as_ref().and_then(|known| known.problem.as_ref()),
            "missing": known.as_ref().map(|known| &known.missing),
            "found": known.as_ref().map(|known| known.found),
            "is_truncated": known.as_ref().map(|known| known.is_truncated),
        }));
    }
    Ok(json!({ "repositories": repositories }))
}
