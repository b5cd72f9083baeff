//! Open waits, one item per subject.

use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use pushway_core::keys;
use pushway_core::ports::{Answer, Waits, Written};
use pushway_core::wait::{Subject, Wait};

use super::{item, text};
use crate::Aws;
use crate::errors::fault;
use crate::time::sortable;

/// A subject that another run waits for is taken over only once that wait is past its deadline.
const IS_FREE: &str = "attribute_not_exists(pk) OR waiter = :waiter OR deadline < :opened_at";
/// Only the wait that was answered may be closed, never one that was opened since.
const IS_SAME: &str = "attribute_not_exists(pk) OR task_token = :task_token";

impl Waits for Aws {
    async fn open(&self, wait: &Wait) -> Answer<Written> {
        let mut item = item(keys::wait(&wait.subject), wait)?;
        let opened_at = text(sortable(wait.opened_at));
        let waiter = text(wait.run.to_string());
        item.extend([
            ("waiter".to_owned(), waiter.clone()),
            ("deadline".to_owned(), text(sortable(wait.deadline))),
            ("task_token".to_owned(), text(wait.token.expose())),
            ("open_pk".to_owned(), text(keys::OPEN_WAITS)),
            ("open_at".to_owned(), opened_at.clone()),
        ]);
        let written = self
            .dynamodb
            .put_item()
            .table_name(&self.settings.table)
            .set_item(Some(item))
            .condition_expression(IS_FREE)
            .expression_attribute_values(":waiter", waiter)
            .expression_attribute_values(":opened_at", opened_at)
            .send()
            .await;
        let Err(error) = written else { return Ok(Written::Stored) };
        match error.as_service_error() {
            Some(PutItemError::ConditionalCheckFailedException(_)) => Ok(Written::Conflict),
            _ => Err(fault("dynamodb PutItem", &error)),
        }
    }

    async fn find(&self, subject: &Subject) -> Answer<Option<Wait>> {
        self.thing(keys::wait(subject)).await
    }

    async fn close(&self, wait: &Wait) -> Answer<()> {
        let key = keys::wait(&wait.subject);
        let deleted = self
            .dynamodb
            .delete_item()
            .table_name(&self.settings.table)
            .key("pk", text(key.pk))
            .key("sk", text(key.sk))
            .condition_expression(IS_SAME)
            .expression_attribute_values(":task_token", text(wait.token.expose()))
            .send()
            .await;
        let Err(error) = deleted else { return Ok(()) };
        match error.as_service_error() {
            Some(DeleteItemError::ConditionalCheckFailedException(_)) => Ok(()),
            _ => Err(fault("dynamodb DeleteItem", &error)),
        }
    }
}
