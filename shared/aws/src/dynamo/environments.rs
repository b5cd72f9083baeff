//! Environments: locks are only as good as the condition of this write.

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure;
use pushway_core::environment::EnvironmentRecord;
use pushway_core::ids::{EnvironmentName, PipelineName};
use pushway_core::keys;
use pushway_core::ports::{Answer, Environments, Written};

use super::deliveries::refused;
use super::{IS_NEW, is_ours, item, number};
use crate::Aws;
use crate::errors::fault;

/// The record may be replaced only while it is the one that was changed.
const IS_PREDECESSOR: &str = "#version = :expected";

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
        item.insert("version".into(), number(record.version));
        let call = self
            .dynamodb
            .put_item()
            .table_name(&self.settings.table)
            .set_item(Some(item.clone()))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        // Version 0 is never stored, so version 1 is the first.
        let call = match record.version {
            0 | 1 => call.condition_expression(IS_NEW),
            version => call
                .condition_expression(IS_PREDECESSOR)
                .expression_attribute_names("#version", "version")
                .expression_attribute_values(":expected", number(version - 1)),
        };
        let Err(error) = call.send().await else { return Ok(Written::Stored) };
        match error.as_service_error() {
            Some(PutItemError::ConditionalCheckFailedException(_)) if is_ours(refused(&error), &item) => {
                Ok(Written::Stored)
            }
            Some(PutItemError::ConditionalCheckFailedException(_)) => Ok(Written::Conflict),
            _ => Err(fault("dynamodb PutItem", &error)),
        }
    }
}
