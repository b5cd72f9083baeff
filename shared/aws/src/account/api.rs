//! Signed requests to the installation's API.
//!
//! With the signature (`SigV4`, service `execute-api`) who may invoke the API in AWS may use it. It covers method, address, body and every header that says what is meant.

use std::time::{Duration, SystemTime};

use aws_config::Region;
use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials as _;
use aws_credential_types::provider::error::CredentialsError;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use pushway_core::ports::{Answer, Fault};
use url::Url;

use super::Account;

/// Longer than any function of the API may take.
const API_TIMEOUT: Duration = Duration::from_secs(30);

/// Credentials that end sooner are asked for anew.
const CREDENTIALS_LEFT: Duration = Duration::from_mins(1);

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
        let broken = |error: reqwest::Error| {
            Fault::Retryable(format!("{} {}: {}", self.method(), self.url, chain(&error)))
        };
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

    /// The credentials of the chain, kept until they are about to end.
    async fn credentials(&self) -> Answer<Credentials> {
        let mut signer = self.signer.lock().await;
        let lasts = |known: &&Credentials| {
            known.expiry().is_none_or(|expiry| expiry > SystemTime::now() + CREDENTIALS_LEFT)
        };
        if let Some(known) = signer.as_ref().filter(lasts) {
            return Ok(known.clone());
        }
        let provider = self.config.credentials_provider().ok_or_else(|| {
            Fault::Permanent("no AWS credentials are configured; see `aws configure`".into())
        })?;
        let credentials = provider.provide_credentials().await.map_err(|error| {
            let why = format!("no AWS credentials could be had: {}; see `aws configure`", chain(&error));
            match error {
                // Whoever gives them out can't be reached, or says that it is not well.
                CredentialsError::ProviderError(_) | CredentialsError::ProviderTimedOut(_) => {
                    Fault::Retryable(why)
                }
                _ => Fault::Permanent(why),
            }
        })?;
        Ok(signer.insert(credentials).clone())
    }

    /// The headers of a request's signature.
    async fn signature(&self, call: &ApiCall) -> Answer<Vec<(String, String)>> {
        let permanent = |error: &dyn std::fmt::Display| Fault::Permanent(error.to_string());
        let identity = self.credentials().await?.into();
        let configured = self.config.region().map_or("us-east-1", Region::as_ref);
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(region_of(&call.url).unwrap_or(configured))
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

/// An error with what caused it: the outermost says little more than that something was sent.
pub fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// The region that an API's own host name tells (API Gateway Developer Guide, "Invoke HTTP APIs"); a domain of its
/// owner's tells none. A signature for another region is refused, whatever a person's configuration says.
fn region_of(url: &Url) -> Option<&str> {
    let mut parts = url.host_str()?.split('.').skip(1);
    let (service, region, domain) = (parts.next()?, parts.next()?, parts.next()?);
    (service == "execute-api" && domain == "amazonaws").then_some(region)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: &str = "api.example.com";

    async fn signature(host: &str, body: Option<&str>, key: Option<&str>) -> String {
        let credentials = aws_credential_types::Credentials::new("AKIDEXAMPLE", "key", None, None, "test");
        let account = Account::emulated("http://127.0.0.1:1", "eu-west-1", credentials).await;
        let call = ApiCall {
            url: Url::parse(&format!("https://{host}/v1/runs")).unwrap(),
            body: body.map(str::to_owned),
            idempotency_key: key.map(str::to_owned),
        };
        let headers = account.signature(&call).await.unwrap();
        headers.into_iter().find(|(name, _)| name == "authorization").unwrap().1
    }

    #[tokio::test]
    async fn the_signature_is_for_the_region_that_the_address_names() {
        for (host, region) in [
            ("abc.execute-api.ap-south-1.amazonaws.com", "ap-south-1"),
            ("abc.execute-api.cn-north-1.amazonaws.com.cn", "cn-north-1"),
            ("abc.execute-api.localhost", "eu-west-1"),
            ("api.example.com", "eu-west-1"),
        ] {
            let signed = signature(host, None, None).await;
            assert!(signed.contains(&format!("/{region}/execute-api/")), "{host}: {signed}");
        }
    }

    #[tokio::test]
    async fn the_signature_covers_the_body_and_the_key() {
        let signed = signature(HOST, Some("{}"), Some("k1")).await;
        assert!(signed.contains("/eu-west-1/execute-api/aws4_request"), "{signed}");
        assert!(signed.contains("SignedHeaders=content-type;host;idempotency-key;x-amz-date"), "{signed}");
        let part = |signed: &str| signed.rsplit('=').next().unwrap().to_owned();
        for other in
            [signature(HOST, Some("{ }"), Some("k1")).await, signature(HOST, Some("{}"), Some("k2")).await]
        {
            assert_ne!(part(&signed), part(&other));
        }
    }
}
