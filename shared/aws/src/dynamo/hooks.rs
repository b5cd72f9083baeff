//! Hooks, and the files that came with deliveries.

use std::collections::BTreeMap;

use pushway_core::ids::{RepositoryPath, RunId};
use pushway_core::keys::{self, FILES};
use pushway_core::ports::{Answer, Hooks};
use pushway_core::source::{Hook, Provider};

use crate::Aws;

impl Hooks for Aws {
    async fn hook(&self, provider: Provider, id: &str) -> Answer<Option<Hook>> {
        self.thing(keys::hook(provider, id)).await
    }
}

impl Aws {
    /// The text of a file that came with a run's delivery.
    pub(crate) async fn delivered_file(&self, run: RunId, path: &RepositoryPath) -> Answer<Option<String>> {
        let files: Option<BTreeMap<RepositoryPath, String>> = self.thing(keys::run_part(run, FILES)).await?;
        Ok(files.and_then(|mut files| files.remove(path)))
    }
}
