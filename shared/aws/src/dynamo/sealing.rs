//! The key that seals cursors: random, made at its first use, kept in the table, read once in a process.
//!
//! Whoever may read the table may read all that cursors lead to, so it needs no better place.

use std::sync::Arc;

use pushway_core::cursor::CursorKey;
use pushway_core::keys;
use pushway_core::ports::{Answer, Fault, SealingKey};
use tokio::sync::OnceCell;

use super::{IS_NEW, item};
use crate::Aws;
use crate::errors::fault;

/// The key, once it was read.
#[derive(Debug, Clone, Default)]
pub(crate) struct Known(Arc<OnceCell<CursorKey>>);

impl SealingKey for Aws {
    async fn sealing_key(&self) -> Answer<CursorKey> {
        self.cursor_key.0.get_or_try_init(|| self.kept_key()).await.cloned()
    }
}

impl Aws {
    async fn kept_key(&self) -> Answer<CursorKey> {
        if let Some(kept) = self.thing::<String>(keys::cursor_key()).await? {
            return read(&kept);
        }
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(|error| Fault::Retryable(format!("read randomness: {error}")))?;
        let own = CursorKey::new(bytes);
        let written = self
            .dynamodb
            .put_item()
            .table_name(&self.settings.table)
            .set_item(Some(item(keys::cursor_key(), &own.to_hex())?))
            .condition_expression(IS_NEW)
            .send()
            .await;
        match written {
            Ok(_) => Ok(own),
            // Another process was first, or our own answer was lost: what is kept counts.
            Err(error) => match self.thing::<String>(keys::cursor_key()).await? {
                Some(kept) => read(&kept),
                None => Err(fault("dynamodb PutItem", &error)),
            },
        }
    }
}

fn read(kept: &str) -> Answer<CursorKey> {
    let damaged = || Fault::Permanent("the item KEY#cursor of the table holds no key; delete it".into());
    CursorKey::from_hex(kept).ok_or_else(damaged)
}
