//! Plans, each under its digest: a plan written by a planner that lost the race is never read.

use pushway_core::ids::RunId;
use pushway_core::keys::{self, PLAN};
use pushway_core::plan::Plan;
use pushway_core::ports::{Answer, Plans, ReadRuns as _};

use super::item;
use crate::Aws;
use crate::errors::fault;

impl Plans for Aws {
    async fn put_plan(&self, id: RunId, plan: &Plan) -> Answer<()> {
        let item = item(key(id, &plan.digest()), plan)?;
        // Equal digests mean equal plans, so writing one twice changes nothing.
        self.dynamodb
            .put_item()
            .table_name(&self.settings.table)
            .set_item(Some(item))
            .send()
            .await
            .map_err(|error| fault("dynamodb PutItem", &error))?;
        Ok(())
    }

    async fn plan(&self, id: RunId) -> Answer<Option<Plan>> {
        let Some(digest) = self.load(id).await?.and_then(|run| run.plan_digest) else { return Ok(None) };
        self.thing(key(id, &digest)).await
    }
}

fn key(id: RunId, digest: &str) -> keys::Key {
    keys::run_part(id, &format!("{PLAN}#{digest}"))
}
