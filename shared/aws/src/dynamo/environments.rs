//! Environments: lock, queue, what serves.

use pushway_core::environment::{EnvironmentRecord, ServiceClaim};
use pushway_core::ids::{EnvironmentName, PipelineName};
use pushway_core::keys;
use pushway_core::ports::{Answer, Environments, Written};
use pushway_core::views::ServiceRef;

use super::item;
use super::versioned::listed;
use crate::Aws;

impl Environments for Aws {
    async fn environment(
        &self,
        pipeline: &PipelineName,
        name: &EnvironmentName,
    ) -> Answer<EnvironmentRecord> {
        let stored = self.thing(keys::environment(pipeline, name)).await?;
        Ok(stored.unwrap_or_else(|| EnvironmentRecord::new(pipeline.clone(), name.clone())))
    }

    async fn put_environment(&self, record: &EnvironmentRecord) -> Answer<Written> {
        let mut item = item(keys::environment(&record.pipeline, &record.name), record)?;
        let place = keys::environment_place(&record.pipeline, &record.name);
        listed(&mut item, keys::LISTED_ENVIRONMENTS, place);
        self.put_versioned(item, record.version).await
    }

    async fn service_claim(&self, at: &ServiceRef) -> Answer<Option<ServiceClaim>> {
        self.thing(keys::service_claim(at)).await
    }

    async fn put_service_claim(&self, claim: &ServiceClaim) -> Answer<Written> {
        let item = item(keys::service_claim(&claim.service), claim)?;
        self.put_versioned(item, claim.version).await
    }
}
