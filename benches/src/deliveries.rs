//! Deliveries as API Gateway hands them to the function: `events/webhook.json`, each of a commit of its own.

use anyhow::Context as _;
use pushway_core::signature::{Secret, sign_github};
use pushway_tests::repository;
use serde_json::{Value, json};

/// The secret that deliveries are signed with.
pub(crate) const SECRET: &str = "a secret of the benchmark";

/// Makes deliveries of one repository.
pub(crate) struct Sample {
    request: Value,
    body: Value,
    secret: Secret,
}

impl Sample {
    pub(crate) fn read() -> anyhow::Result<Self> {
        let request = repository::json("events/webhook.json");
        let body = request["body"].as_str().context("events/webhook.json has no body")?;
        let body = serde_json::from_str(body).context("read the body in events/webhook.json")?;
        Ok(Self { request, body, secret: Secret::new(SECRET).context("the secret is empty")? })
    }

    /// The repository that the deliveries are of.
    pub(crate) fn repository(&self) -> &str {
        self.body["repository"]["full_name"].as_str().unwrap_or_default()
    }

    /// The signed delivery of the push of commit number `n`, under the delivery id `id`.
    pub(crate) fn delivery(&self, n: u32, id: &str) -> String {
        let (mut body, mut request) = (self.body.clone(), self.request.clone());
        body["before"] = json!(commit(n));
        body["after"] = json!(commit(n + 1));
        body["head_commit"]["id"] = json!(commit(n + 1));
        let body = body.to_string();
        request["headers"]["x-hub-signature-256"] = json!(sign_github(&self.secret, body.as_bytes()));
        request["headers"]["x-github-delivery"] = json!(id);
        request["body"] = json!(body);
        request.to_string()
    }
}

/// The id of commit number `n`; none is the all-zero id, which means "no commit".
fn commit(n: u32) -> String {
    format!("{:040x}", n + 1)
}
