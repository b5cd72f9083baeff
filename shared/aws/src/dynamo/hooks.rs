//! Hooks, and the files that came with deliveries.

use std::collections::BTreeMap;

use pushway_core::delivery::Carried;
use pushway_core::ids::{RepositoryPath, RunId};
use pushway_core::keys::{self, FILES};
use pushway_core::ports::{Answer, Hooks};
use pushway_core::source::{Hook, Provider};

use super::{HISTORY, parsed};
use crate::Aws;

impl Hooks for Aws {
    async fn hook(&self, provider: Provider, id: &str) -> Answer<Option<Hook>> {
        self.thing(keys::hook(provider, id)).await
    }
}

impl Aws {
    /// The files that came with a run's delivery.
    pub(crate) async fn delivered_files(&self, run: RunId) -> Answer<BTreeMap<RepositoryPath, String>> {
        Ok(self.thing(keys::run_part(run, FILES)).await?.unwrap_or_default())
    }

    /// The history that came with a run's delivery, newest commit first.
    pub(crate) async fn delivered_history(&self, run: RunId) -> Answer<Vec<Carried>> {
        match self.item(keys::run_part(run, FILES)).await? {
            Some(item) if item.contains_key(HISTORY) => parsed(&item, HISTORY),
            _ => Ok(Vec::new()),
        }
    }
}
