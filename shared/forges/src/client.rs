//! The HTTP client that all forges share: its time limits, and who answers.

use std::sync::OnceLock;
use std::time::Duration;

use pushway_core::ports::{Answer, Fault};
use reqwest::{Client, Request, Response, redirect};

use crate::http;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// For one request and its whole answer: a webhook must be answered within 10 s, and a sweep asks many.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A client that is made on first use: making one reads the system's certificates.
#[derive(Debug, Default)]
pub(crate) struct LazyClient {
    made: OnceLock<Client>,
    #[cfg(feature = "testing")]
    instead: Option<crate::testing::Instead>,
}

impl LazyClient {
    pub(crate) fn get(&self) -> Answer<&Client> {
        if self.made.get().is_none() {
            let client = Client::builder()
                .connect_timeout(CONNECT_TIMEOUT)
                .timeout(TIMEOUT)
                .redirect(redirect::Policy::none())
                .build()
                .map_err(|error| Fault::Permanent(format!("no HTTP client: {}", http::root(&error))))?;
            // Whoever was faster made as good a client.
            let _ = self.made.set(client);
        }
        self.made.get().ok_or_else(|| Fault::Permanent("no HTTP client".into()))
    }

    #[cfg(feature = "testing")]
    pub(crate) fn answered_by(client: Client, instead: crate::testing::Instead) -> Self {
        Self { made: OnceLock::from(client), instead: Some(instead) }
    }

    /// Sends a request.
    pub(crate) async fn answer(&self, client: &Client, request: Request) -> reqwest::Result<Response> {
        #[cfg(feature = "testing")]
        if let Some(instead) = &self.instead {
            return Ok(instead.answer(&request));
        }
        client.execute(request).await
    }
}
