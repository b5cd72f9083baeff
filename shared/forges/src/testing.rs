//! Answers without a network: a function stands where the forge would be.
//!
//! It is given each request as it would go out, and all that is done with its answer is the real code:
//! redirects, limits, sizes, shapes. Nothing waits, so no runtime is needed.

use std::sync::{Arc, OnceLock};

pub use reqwest::Request;
use reqwest::{Client, Response};

use crate::api::Connections;
use crate::client::LazyClient;

/// What answers a request; it is given the request as it would go out.
pub type Answering = dyn Fn(&Request) -> http::Response<Vec<u8>> + Send + Sync;

/// What stands where the network would be.
#[derive(Clone)]
pub(crate) struct Instead(Arc<Answering>);

impl Instead {
    pub(crate) fn answer(&self, request: &Request) -> Response {
        use reqwest::ResponseBuilderExt as _;
        let (mut parts, body) = (self.0)(request).into_parts();
        // An answer knows the address that was asked; a relative redirect leads on from there.
        if let Ok(at) = http::Response::builder().url(request.url().clone()).body(()) {
            parts.extensions.extend(at.into_parts().0.extensions);
        }
        http::Response::from_parts(parts, body).into()
    }
}

impl std::fmt::Debug for Instead {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Instead(…)")
    }
}

impl Connections {
    /// Connections to nowhere: every question is answered by `answer`.
    pub fn answered_by(answer: impl Fn(&Request) -> http::Response<Vec<u8>> + Send + Sync + 'static) -> Self {
        // Making a client reads the system's certificates, which takes longer than a thousand answers.
        static CLIENT: OnceLock<Client> = OnceLock::new();
        let client = CLIENT.get_or_init(Client::new).clone();
        Self::of(LazyClient::answered_by(client, Instead(Arc::new(answer))))
    }
}
