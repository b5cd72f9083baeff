//! What is known of repositories: branches, pipeline names, reconciliations, subscriptions; and what was told of runs.

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;
use pushway_core::branch::Branch;
use pushway_core::claim::PipelineClaim;
use pushway_core::ids::{PipelineName, RefName, RunId};
use pushway_core::keys::{self, Key};
use pushway_core::notice::Notice;
use pushway_core::ports::{
    Answer, BranchRecords, Fault, ListHooks, Notices, PipelineClaims, Reconciliations, SubscriptionRecords,
    Written,
};
use pushway_core::reconcile::Reconciliation;
use pushway_core::source::{Hook, Provider};
use pushway_core::subscription::Subscriptions;

use super::versioned::{indexed, listed};
use super::{item, parsed, string, text};
use crate::Aws;
use crate::errors::fault;

const SUBSCRIBERS: &str = "pk = :pk";

impl BranchRecords for Aws {
    async fn branch(&self, hook: &Hook, git_ref: &RefName) -> Answer<Branch> {
        let stored = self.thing(keys::branch(hook.provider, &hook.id, git_ref)).await?;
        Ok(stored.unwrap_or_else(|| Branch::new(hook.provider, hook.id.clone(), git_ref.clone())))
    }

    async fn put_branch(&self, branch: &Branch, now: Timestamp) -> Answer<Written> {
        let mut item = item(keys::branch(branch.provider, &branch.hook, &branch.git_ref), branch)?;
        indexed(&mut item, keys::touched_branches(branch.provider, &branch.hook), now);
        self.put_versioned(item, branch.version).await
    }
}

impl PipelineClaims for Aws {
    async fn pipeline_claim(&self, pipeline: &PipelineName) -> Answer<Option<PipelineClaim>> {
        self.thing(keys::pipeline_claim(pipeline)).await
    }

    async fn put_pipeline_claim(&self, claim: &PipelineClaim) -> Answer<Written> {
        let mut item = item(keys::pipeline_claim(&claim.pipeline), claim)?;
        listed(&mut item, keys::LISTED_PIPELINES, claim.pipeline.as_str());
        self.put_versioned(item, claim.version).await
    }
}

impl Reconciliations for Aws {
    async fn reconciliation(&self, hook: &Hook) -> Answer<Option<Reconciliation>> {
        self.thing(keys::reconciliation(hook.provider, &hook.id)).await
    }

    async fn put_reconciliation(&self, known: &Reconciliation) -> Answer<Written> {
        let mut item = item(keys::reconciliation(known.provider, &known.hook), known)?;
        indexed(&mut item, keys::OPEN_RECONCILIATIONS, known.next_at);
        self.put_versioned(item, known.version).await
    }

    async fn due_hooks(&self, now: Timestamp) -> Answer<Vec<Hook>> {
        let mut hooks = Vec::new();
        for key in self.open(keys::OPEN_RECONCILIATIONS, None, Some(now)).await? {
            let Some(known) = self.thing::<Reconciliation>(key).await? else { continue };
            hooks.extend(self.thing::<Hook>(keys::hook(known.provider, known.hook.as_str())).await?);
        }
        Ok(hooks)
    }

    async fn touched(&self, hook: &Hook, since: Timestamp) -> Answer<Vec<RefName>> {
        let partition = keys::touched_branches(hook.provider, &hook.id);
        let mut refs = Vec::new();
        for key in self.open(&partition, Some(since), None).await? {
            refs.extend(self.thing::<Branch>(key).await?.map(|branch| branch.git_ref));
        }
        Ok(refs)
    }
}

impl SubscriptionRecords for Aws {
    async fn subscriptions(&self, hook: &Hook) -> Answer<Option<Subscriptions>> {
        self.thing(keys::subscriptions(hook.provider, &hook.id)).await
    }

    async fn put_subscriptions(&self, wanted: &Subscriptions) -> Answer<Written> {
        // Written first, and never taken back: whoever reads one looks into the hook's own record too.
        for repository in wanted.files.iter().flat_map(|file| &file.images) {
            let key = keys::image_subscription(repository, wanted.provider, &wanted.hook);
            let hook = (wanted.provider, wanted.hook.clone());
            self.dynamodb
                .put_item()
                .table_name(&self.settings.table)
                .set_item(Some(item(key, &hook)?))
                .send()
                .await
                .map_err(|error| fault("dynamodb PutItem", &error))?;
        }
        let mut item = item(keys::subscriptions(wanted.provider, &wanted.hook), wanted)?;
        if let Some(due) = wanted.next_due() {
            indexed(&mut item, keys::OPEN_SCHEDULES, due);
        }
        self.put_versioned(item, wanted.version).await
    }

    async fn due_schedules(&self, now: Timestamp) -> Answer<Vec<Hook>> {
        let mut hooks = Vec::new();
        for key in self.open(keys::OPEN_SCHEDULES, None, Some(now)).await? {
            let Some(wanted) = self.thing::<Subscriptions>(key).await? else { continue };
            hooks.extend(self.thing::<Hook>(keys::hook(wanted.provider, wanted.hook.as_str())).await?);
        }
        Ok(hooks)
    }

    async fn image_subscribers(&self, repository: &str) -> Answer<Vec<Hook>> {
        let found = self
            .dynamodb
            .query()
            .table_name(&self.settings.table)
            .key_condition_expression(SUBSCRIBERS)
            .expression_attribute_values(":pk", AttributeValue::S(keys::image_subscribers(repository)))
            .send()
            .await
            .map_err(|error| fault("dynamodb Query", &error))?;
        let mut hooks = Vec::new();
        for item in found.items() {
            let (provider, id): (Provider, String) = parsed(item, "data")?;
            hooks.extend(self.thing::<Hook>(keys::hook(provider, &id)).await?);
        }
        Ok(hooks)
    }
}

impl Notices for Aws {
    async fn notice(&self, id: RunId) -> Answer<Notice> {
        let stored = self.thing(keys::run_part(id, keys::NOTICE)).await?;
        Ok(stored.unwrap_or_else(|| Notice::new(id)))
    }

    async fn put_notice(&self, notice: &Notice) -> Answer<Written> {
        let mut item = item(keys::run_part(notice.run, keys::NOTICE), notice)?;
        if let Some(due) = notice.due_at() {
            indexed(&mut item, keys::OPEN_NOTICES, due);
        }
        self.put_versioned(item, notice.version).await
    }

    async fn due_notices(&self, now: Timestamp) -> Answer<Vec<RunId>> {
        let due = self.open(keys::OPEN_NOTICES, None, Some(now)).await?;
        Ok(due.iter().filter_map(|key| keys::run_of(&key.pk)).collect())
    }
}

impl ListHooks for Aws {
    async fn hooks(&self) -> Answer<Vec<Hook>> {
        let mut hooks = Vec::new();
        for key in self.open(keys::OPEN_HOOKS, None, None).await? {
            hooks.extend(self.thing::<Hook>(key).await?);
        }
        Ok(hooks)
    }
}

impl Aws {
    /// Keys in a partition of the index `open` from one time to another, oldest first, as many as one sweep
    /// can look at.
    async fn open(
        &self,
        partition: &str,
        from: Option<Timestamp>,
        until: Option<Timestamp>,
    ) -> Answer<Vec<Key>> {
        self.open_between(
            partition,
            text(crate::time::sortable(from.unwrap_or(Timestamp::UNIX_EPOCH))),
            // Sorts after every time.
            until.map_or_else(|| text("~"), |until| text(crate::time::sortable(until))),
        )
        .await
    }
}

/// The key of an item of an index.
pub(super) fn key_of(item: &super::Item) -> Result<Key, Fault> {
    Ok(Key { pk: string(item, "pk")?.to_owned(), sk: string(item, "sk")?.to_owned() })
}
