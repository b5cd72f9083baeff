//! Signed requests to the installation's API.
//!
//! With the signature (`SigV4`, service `execute-api`) who may invoke the API in AWS may use it. It covers method, address, body and every header that says what is meant.

use std::time::{Duration, SystemTime};

use aws_config::Region;
use aws_credential_types::provider::ProvideCredentials as _;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use pushway_core::ports::{Answer, Fault};
use url::Url;

use super::Account;

/// Longer than any function of the API may take.
const API_TIMEOUT: Duration = Duration::from_secs(30);

/// A question or an order to the API.
#[derive(Debug, Clone)]
pub struct ApiCall {
    /// The whole address.
    pub url: Url,
    /// What to POST, as JSON; a GET without it.
    pub body: Option<String>,
    /// What makes a repeated order the same order: header `idempotency-key`.
    pub idempotency_key: Option<String>,
}

/// An answer of the API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiAnswer {
    /// HTTP status.
    pub status: u16,
    /// The body, which is JSON if the API itself gave it.
    pub body: String,
}

impl ApiCall {
    /// The request, but for whoever asks.
    pub fn request(&self, http: &reqwest::Client) -> reqwest::RequestBuilder {
        let mut request = match &self.body {
            Some(body) => http.post(self.url.clone()).body(body.clone()),
            None => http.get(self.url.clone()),
        };
        for (name, value) in self.headers() {
            request = request.header(name, value);
        }
        request
    }

    /// Sends the request. A fault is retryable where no whole answer came.
    pub async fn send(&self, request: reqwest::RequestBuilder) -> Answer<ApiAnswer> {
        let broken =
            |error: reqwest::Error| Fault::Retryable(format!("{} {}: {error}", self.method(), self.url));
        let answer = request.timeout(API_TIMEOUT).send().await.map_err(broken)?;
        let status = answer.status().as_u16();
        let body = answer.text().await.map_err(broken)?;
        Ok(ApiAnswer { status, body })
    }

    fn method(&self) -> &'static str {
        if self.body.is_some() { "POST" } else { "GET" }
    }

    /// The headers that are signed besides the host.
    fn headers(&self) -> Vec<(&'static str, &str)> {
        let json = self.body.as_ref().map(|_| ("content-type", "application/json"));
        let key = self.idempotency_key.as_deref().map(|key| ("idempotency-key", key));
        json.into_iter().chain(key).collect()
    }
}

impl Account {
    /// Asks the API with a signed request. A fault is retryable where no whole answer came.
    pub async fn ask(&self, http: &reqwest::Client, call: &ApiCall) -> Answer<ApiAnswer> {
        let mut request = call.request(http);
        for (name, value) in self.signature(call).await? {
            request = request.header(name, value);
        }
        call.send(request).await
    }

    /// The headers of a request's signature.
    async fn signature(&self, call: &ApiCall) -> Answer<Vec<(String, String)>> {
        let permanent = |error: &dyn std::fmt::Display| Fault::Permanent(error.to_string());
        let provider = self.config.credentials_provider();
        let provider = provider.ok_or_else(|| {
            Fault::Permanent("no AWS credentials are configured; see `aws configure`".into())
        })?;
        let credentials = provider.provide_credentials().await.map_err(|error| permanent(&error))?;
        let identity = credentials.into();
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(self.config.region().map_or("us-east-1", Region::as_ref))
            .name("execute-api")
            .time(SystemTime::now())
            .settings(SigningSettings::default())
            .build()
            .map_err(|error| permanent(&error))?;
        let body = SignableBody::Bytes(call.body.as_deref().unwrap_or_default().as_bytes());
        let headers = call.headers();
        let signable = SignableRequest::new(call.method(), call.url.as_str(), headers.into_iter(), body)
            .map_err(|error| permanent(&error))?;
        let (instructions, _) =
            sign(signable, &parameters.into()).map_err(|error| permanent(&error))?.into_parts();
        Ok(instructions.headers().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn signature(body: Option<&str>, key: Option<&str>) -> String {
        let credentials = aws_credential_types::Credentials::new("AKIDEXAMPLE", "key", None, None, "test");
        let account = Account::emulated("http://127.0.0.1:1", "eu-west-1", credentials).await;
        let call = ApiCall {
            url: Url::parse("https://api.example.com/v1/runs").unwrap(),
            body: body.map(str::to_owned),
            idempotency_key: key.map(str::to_owned),
        };
        let headers = account.signature(&call).await.unwrap();
        headers.into_iter().find(|(name, _)| name == "authorization").unwrap().1
    }

    #[tokio::test]
    async fn the_signature_covers_the_body_and_the_key() {
        let signed = signature(Some("{}"), Some("k1")).await;
        assert!(signed.contains("/eu-west-1/execute-api/aws4_request"), "{signed}");
        assert!(signed.contains("SignedHeaders=content-type;host;idempotency-key;x-amz-date"), "{signed}");
        let part = |signed: &str| signed.rsplit('=').next().unwrap().to_owned();
        for other in [signature(Some("{ }"), Some("k1")).await, signature(Some("{}"), Some("k2")).await] {
            assert_ne!(part(&signed), part(&other));
        }
    }
}
