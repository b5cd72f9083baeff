//! Pipeline names: each belongs to one repository of the installation.
//!
//! Locks, environments and lists go by the name, so two repositories with one name would deploy over each
//! other and read each other's history. The first to plan a run under a name has it. A repository is its
//! provider and its name there; it may be connected by several hooks. Who is connected is not decided here.

use serde::{Deserialize, Serialize};

use crate::ids::{HookId, PipelineName};
use crate::source::{Hook, Provider};

/// Hooks that a claim remembers: those of a repository that is connected anew now and then, the newest last.
const MAX_HOOKS: usize = 10;

/// A repository's hold on a pipeline's name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PipelineClaim {
    /// The name.
    pub pipeline: PipelineName,
    /// How often it has been stored.
    pub version: u64,
    /// The repository's provider.
    pub provider: Provider,
    /// Its name there.
    pub repository: String,
    /// The hooks under which it has used the name. The claim holds while one of them still connects it.
    pub hooks: Vec<HookId>,
    /// Whether it lies where lists of pipelines find it; one of an older version does once it is stored again.
    #[serde(default)]
    pub is_listed: bool,
}

impl PipelineClaim {
    /// What has to be stored before the hook's repository may run the pipeline; `None` where `stored` says
    /// that it may already. Who else's claim `stored` is has been found out, and that it is given up.
    pub fn next(stored: Option<&Self>, pipeline: &PipelineName, hook: &Hook) -> Option<Self> {
        let ours = stored.filter(|stored| stored.is_of(hook));
        if ours.is_some_and(|ours| ours.is_listed && ours.hooks.contains(&hook.id)) {
            return None;
        }
        let mut hooks = ours.map(|ours| ours.hooks.clone()).unwrap_or_default();
        if !hooks.contains(&hook.id) {
            hooks.push(hook.id.clone());
        }
        hooks.drain(..hooks.len().saturating_sub(MAX_HOOKS));
        Some(Self {
            pipeline: pipeline.clone(),
            version: stored.map_or(0, |stored| stored.version) + 1,
            provider: hook.provider,
            repository: hook.repository.clone(),
            hooks,
            is_listed: true,
        })
    }

    /// Whether the hook connects the repository that has the name.
    pub fn is_of(&self, hook: &Hook) -> bool {
        (self.provider, &self.repository) == (hook.provider, &hook.repository)
    }
}
