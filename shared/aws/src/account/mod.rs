//! What a person with AWS credentials does from a terminal: connect repositories, ask the API.
//!
//! Not a port: no function runs this, and no function's role may do it. Secrets and signed requests have
//! files of their own; here lie the hook's records, written as the functions read them.

mod api;
mod secrets;

use std::collections::HashMap;
use std::sync::Arc;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_sdk_dynamodb::types::AttributeValue;
use pushway_core::forge::RepositoryView;
use pushway_core::keys::{self, Key};
use pushway_core::ports::{Answer, Fault};
use pushway_core::source::Hook;
use pushway_core::subscription::Subscriptions;
use tokio::sync::Mutex;

pub use api::{ApiAnswer, ApiCall, chain};

use crate::errors::{code, fault, incomplete};
use crate::{Aws, Settings};

/// An AWS account as one person may use it.
#[derive(Clone, Debug)]
pub struct Account {
    config: SdkConfig,
    /// What the chain gave last: whoever watches a run signs every second.
    signer: Arc<Mutex<Option<Credentials>>>,
}

impl Account {
    /// The account of the standard credential chain: environment, profile, role.
    pub async fn from_environment() -> Self {
        Self::of(aws_config::defaults(BehaviorVersion::latest()).load().await)
    }

    /// An emulator's account.
    pub async fn emulated(endpoint: &str, region: &str, credentials: Credentials) -> Self {
        let config = aws_config::defaults(BehaviorVersion::latest())
            .endpoint_url(endpoint)
            .region(Region::new(region.to_owned()))
            .credentials_provider(credentials)
            .load()
            .await;
        Self::of(config)
    }

    fn of(config: SdkConfig) -> Self {
        Self { config, signer: Arc::default() }
    }

    /// The ports on the installation's table.
    pub fn ports(&self, table: &str) -> Aws {
        Aws::with_config(&self.config, Settings::for_table(table))
    }

    /// Writes a hook into the installation's table, in place of the one of its id; lists find it by the
    /// index of hooks.
    pub async fn put_hook(&self, table: &str, hook: &Hook) -> Answer<()> {
        let data = serde_json::to_string(hook).map_err(|error| Fault::Permanent(error.to_string()))?;
        aws_sdk_dynamodb::Client::new(&self.config)
            .put_item()
            .table_name(table)
            .set_item(Some(key(keys::hook(hook.provider, hook.id.as_str()))))
            .item("data", AttributeValue::S(data))
            .item("open_pk", AttributeValue::S(keys::OPEN_HOOKS.into()))
            .item("open_at", AttributeValue::S(format!("{}#{}", hook.provider, hook.id)))
            .send()
            .await
            .map_err(|error| fault("dynamodb PutItem", &error))?;
        Ok(())
    }

    /// Removes a hook and what keeps its repository looked after: reconciliation, schedules, images. Runs,
    /// journals and branches stay, so that the history stays whole. What is gone already is as good.
    pub async fn forget_hook(&self, table: &str, hook: &Hook, wanted: Option<&Subscriptions>) -> Answer<()> {
        let images = wanted.into_iter().flat_map(|wanted| &wanted.files).flat_map(|file| &file.images);
        let images = images.map(|repository| keys::image_subscription(repository, hook.provider, &hook.id));
        let client = aws_sdk_dynamodb::Client::new(&self.config);
        // The hook first: without it nothing else is followed any more.
        let records = [
            keys::hook(hook.provider, hook.id.as_str()),
            keys::reconciliation(hook.provider, &hook.id),
            keys::subscriptions(hook.provider, &hook.id),
        ];
        for record in records.into_iter().chain(images) {
            let call = client.delete_item().table_name(table).set_key(Some(key(record)));
            call.send().await.map_err(|error| fault("dynamodb DeleteItem", &error))?;
        }
        Ok(())
    }

    /// A `CodeCommit` repository; `None` where the account has none of this name in its region.
    pub async fn codecommit_repository(&self, name: &str) -> Answer<Option<RepositoryView>> {
        let call = "codecommit GetRepository";
        let client = aws_sdk_codecommit::Client::new(&self.config);
        let answer = match client.get_repository().repository_name(name).send().await {
            Err(error) if code(&error) == Some("RepositoryDoesNotExistException") => return Ok(None),
            answer => answer.map_err(|error| fault(call, &error))?,
        };
        let found = answer.repository_metadata.ok_or_else(|| incomplete(call, "repositoryMetadata"))?;
        let id = found.repository_id.ok_or_else(|| incomplete(call, "repositoryId"))?;
        Ok(Some(RepositoryView {
            id: id.parse().map_err(|error| incomplete(call, error))?,
            name: found.repository_name.unwrap_or_else(|| name.to_owned()),
            default_branch: found.default_branch,
            clone_url: found.clone_url_http.ok_or_else(|| incomplete(call, "cloneUrlHttp"))?,
        }))
    }
}

fn key(key: Key) -> HashMap<String, AttributeValue> {
    HashMap::from([
        ("pk".to_owned(), AttributeValue::S(key.pk)),
        ("sk".to_owned(), AttributeValue::S(key.sk)),
    ])
}
