//! What there is, in memory: environments, pipelines, and the key that seals cursors.

use super::World;
use crate::claim::PipelineClaim;
use crate::cursor::CursorKey;
use crate::environment::EnvironmentRecord;
use crate::ids::{EnvironmentName, PipelineName};
use crate::ports::{Answer, EnvironmentPage, ListEnvironments, ListPipelines, PipelinePage, SealingKey};

impl ListEnvironments for World {
    async fn environments(
        &self,
        pipeline: Option<&PipelineName>,
        after: Option<&(PipelineName, EnvironmentName)>,
        limit: usize,
    ) -> Answer<EnvironmentPage> {
        self.call("environments", limit, |state| {
            let wanted = |(key, _): &(&(PipelineName, EnvironmentName), _)| {
                pipeline.is_none_or(|pipeline| key.0 == *pipeline) && after.is_none_or(|after| *key > after)
            };
            let mut found: Vec<EnvironmentRecord> =
                state.environments.iter().filter(wanted).map(|(_, record)| record.clone()).collect();
            let has_more = found.len() > limit;
            found.truncate(limit);
            let last = found.last().map(|last| (last.pipeline.clone(), last.name.clone()));
            Ok(EnvironmentPage { environments: found, next: last.filter(|_| has_more) })
        })
        .await
    }

    async fn environment_names(&self, pipeline: &PipelineName) -> Answer<Vec<EnvironmentName>> {
        self.call("environment_names", pipeline, |state| {
            let own = state.environments.keys().filter(|(of, _)| of == pipeline);
            Ok(own.map(|(_, name)| name.clone()).collect())
        })
        .await
    }
}

impl ListPipelines for World {
    async fn pipelines(&self, after: Option<&PipelineName>, limit: usize) -> Answer<PipelinePage> {
        self.call("pipelines", limit, |state| {
            let claims = state.repositories.claims.values();
            let rest = claims.filter(|claim| after.is_none_or(|after| claim.pipeline > *after));
            let mut pipelines: Vec<PipelineClaim> = rest.cloned().collect();
            let has_more = pipelines.len() > limit;
            pipelines.truncate(limit);
            let next = pipelines.last().map(|last| last.pipeline.clone()).filter(|_| has_more);
            Ok(PipelinePage { pipelines, next })
        })
        .await
    }
}

impl SealingKey for World {
    async fn sealing_key(&self) -> Answer<CursorKey> {
        self.call("sealing_key", "cursors", |_| Ok(CursorKey::new([7; 32]))).await
    }
}
