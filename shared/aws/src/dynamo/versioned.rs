//! Records that are replaced as a whole, only while they are the ones that were changed.
//!
//! Locks, branches, reconciliations, subscriptions, notices: all are only as good as the condition of this
//! write.

use pushway_core::ports::{Answer, Written};

use super::{IS_NEW, Item, number, text};
use crate::Aws;
use crate::time::sortable;

/// The record may be replaced only while it is the one that was changed.
const IS_PREDECESSOR: &str = "#version = :expected";

/// Puts an item into a partition of the index `open`, at a time.
pub(super) fn indexed(item: &mut Item, partition: impl Into<String>, at: jiff::Timestamp) {
    item.insert("open_pk".into(), text(partition));
    item.insert("open_at".into(), text(sortable(at)));
}

/// Puts an item into a partition of the index `open` that is a list, at its place in it.
pub(super) fn listed(item: &mut Item, partition: &str, place: impl Into<String>) {
    item.insert("open_pk".into(), text(partition));
    item.insert("open_at".into(), text(place));
}

impl Aws {
    /// Stores an item of this version, if the stored one is its predecessor.
    pub(super) async fn put_versioned(&self, mut item: Item, version: u64) -> Answer<Written> {
        item.insert("version".into(), number(version));
        let written = self.put_if(item, |put| match version {
            // Version 0 is never stored, so version 1 is the first.
            0 | 1 => put.condition_expression(IS_NEW),
            version => put
                .condition_expression(IS_PREDECESSOR)
                .expression_attribute_names("#version", "version")
                .expression_attribute_values(":expected", number(version - 1)),
        });
        Ok(if written.await?.is_ok() { Written::Stored } else { Written::Conflict })
    }
}
