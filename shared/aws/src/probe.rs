//! Checks of what was deployed, over HTTP, from inside the account: hence through the guarded client.

use std::time::Duration;

use pushway_core::ports::{ProbeRequest, Probed, Probes};

use crate::{Aws, guarded};

impl Probes for Aws {
    async fn probe(&self, request: &ProbeRequest) -> Probed {
        guarded::ask(&guarded::System, &self.settings.allow_private, request).await
    }

    async fn pause(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}
