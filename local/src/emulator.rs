//! The one client of the emulator: signed AWS requests over loopback.
//!
//! The engine speaks the three wire protocols it needs (JSON with `X-Amz-Target`, Query, REST) with the
//! operation named by the caller, so that no SDK crate is linked here. It signs with `SigV4`, because the
//! emulator checks signatures and policies. It must never leave the machine: `Emulator::new` refuses any
//! endpoint that is not loopback, and no proxy is used.

use std::{fmt, time::Duration, time::SystemTime};

use anyhow::{Context as _, bail};
use aws_credential_types::Credentials;
use aws_sigv4::{
    http_request::{
        PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings,
        UriPathNormalizationMode, sign,
    },
    sign::v4,
};
use serde::Deserialize;
use serde_json::Value;

use crate::loopback;

/// The emulated account's root. The emulator believes this key whatever the secret (it checks signatures of
/// roles and users only), so the secret protects nothing and need not be one.
const ROOT_KEY: &str = "AKIAPUSHWAYLOCAL0000";
const ROOT_SECRET: &str = "local";
/// An invocation that waits for its function may take as long as a function may (15 minutes on AWS).
const LONGEST_ANSWER: Duration = Duration::from_mins(15);

/// A client of one emulator. Cloning is cheap and shares the connections.
#[derive(Clone)]
pub struct Emulator {
    endpoint: url::Url,
    region: String,
    credentials: Credentials,
    http: reqwest::Client,
}

/// What the emulator answered when it refused. Find it with `error.downcast_ref::<AwsError>()`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the emulator answered {status} {code}: {message}")]
pub struct AwsError {
    /// The error's AWS name without its namespace, e.g. `ResourceNotFoundException`.
    pub code: String,
    /// The service's own words; may be empty.
    pub message: String,
    /// The HTTP status.
    pub status: u16,
}

/// An answer of a REST operation.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status, always 2xx or 3xx.
    pub status: u16,
    /// The answer's headers.
    pub headers: http::HeaderMap,
    /// The raw body.
    pub body: Vec<u8>,
}

impl fmt::Debug for Emulator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Emulator").field("endpoint", &self.endpoint()).finish_non_exhaustive()
    }
}

impl Emulator {
    /// A client for `endpoint` (`http://127.0.0.1:4566`), signing for `region` with `credentials`.
    pub fn new(endpoint: &str, region: &str, credentials: Credentials) -> anyhow::Result<Self> {
        let url = url::Url::parse(endpoint).with_context(|| format!("emulator endpoint {endpoint:?}"))?;
        if !loopback::is_loopback(&url) {
            bail!(
                "emulator endpoint {endpoint:?} is not on loopback; the laptop engine talks to nothing else"
            );
        }
        let http = loopback::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(LONGEST_ANSWER)
            .build()
            .context("build the http client")?;
        Ok(Self { endpoint: url, region: region.to_owned(), credentials, http })
    }

    /// A client that signs as the emulated account's root.
    pub fn root(endpoint: &str, region: &str) -> anyhow::Result<Self> {
        Self::new(endpoint, region, Credentials::from_keys(ROOT_KEY, ROOT_SECRET, None))
    }

    /// The endpoint without a trailing slash, as `AWS_ENDPOINT_URL` wants it.
    pub fn endpoint(&self) -> &str {
        self.endpoint.as_str().trim_end_matches('/')
    }

    /// The region every request is signed for.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// The credentials every request is signed with.
    pub fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// What an AWS client or SDK needs in its environment to reach this emulator and nothing else.
    pub fn env(&self) -> Vec<(String, String)> {
        let mut env = vec![
            ("AWS_ENDPOINT_URL", self.endpoint().to_owned()),
            ("AWS_REGION", self.region.clone()),
            ("AWS_DEFAULT_REGION", self.region.clone()),
            ("AWS_ACCESS_KEY_ID", self.credentials.access_key_id().to_owned()),
            ("AWS_SECRET_ACCESS_KEY", self.credentials.secret_access_key().to_owned()),
            ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
            // A profile of the user's must neither be read nor be able to redirect a call to real AWS.
            ("AWS_CONFIG_FILE", "/dev/null".to_owned()),
            ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null".to_owned()),
        ];
        if let Some(token) = self.credentials.session_token() {
            env.push(("AWS_SESSION_TOKEN", token.to_owned()));
        }
        env.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// Calls a JSON protocol operation. `service` is the signing name (`ecs`, `events`, `dynamodb`),
    /// `target` the whole `X-Amz-Target` (`AmazonEC2ContainerServiceV20141113.ListClusters`).
    /// An empty answer is `null`.
    pub async fn json(&self, service: &str, target: &str, body: Value) -> anyhow::Result<Value> {
        let version = if matches!(service, "dynamodb" | "states") { "1.0" } else { "1.1" };
        let headers = [
            ("content-type".to_owned(), format!("application/x-amz-json-{version}")),
            ("x-amz-target".to_owned(), target.to_owned()),
        ];
        let answer = self
            .send(service, http::Method::POST, "/", &headers, body.to_string().into_bytes())
            .await
            .with_context(|| format!("call {target}"))?;
        if answer.body.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&answer.body).with_context(|| format!("read the answer of {target}"))
    }

    /// Calls a Query protocol operation (STS, `CloudFormation`, `ELBv2`) and returns the XML text.
    /// `params` names `Action`'s parameters; `Version` is among them where the service wants one.
    pub async fn query(
        &self,
        service: &str,
        action: &str,
        params: &[(&str, &str)],
    ) -> anyhow::Result<String> {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.append_pair("Action", action);
        for (name, value) in params {
            form.append_pair(name, value);
        }
        let headers = [("content-type".to_owned(), "application/x-www-form-urlencoded".to_owned())];
        let answer = self
            .send(service, http::Method::POST, "/", &headers, form.finish().into_bytes())
            .await
            .with_context(|| format!("call {service} {action}"))?;
        String::from_utf8(answer.body).with_context(|| format!("read the answer of {service} {action}"))
    }

    /// Calls a REST operation. `path` begins with `/`, is percent-encoded, and may carry a query string.
    pub async fn rest(
        &self,
        service: &str,
        method: http::Method,
        path: &str,
        body: Vec<u8>,
        headers: &[(String, String)],
    ) -> anyhow::Result<Answer> {
        let call = format!("call {service} {method} {path}");
        self.send(service, method, path, headers, body).await.context(call)
    }

    async fn send(
        &self,
        service: &str,
        method: http::Method,
        path: &str,
        headers: &[(String, String)],
        body: Vec<u8>,
    ) -> anyhow::Result<Answer> {
        let url = self.endpoint.join(path).with_context(|| format!("path {path:?}"))?;
        let mut request = self.http.request(method.clone(), url.clone());
        for (name, value) in headers {
            request = request.header(name, value);
        }
        for (name, value) in self.signature(service, &method, &url, headers, &body)? {
            request = request.header(name, value);
        }
        let answer = request.body(body).send().await?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        let body = answer.bytes().await?.to_vec();
        if status.is_client_error() || status.is_server_error() {
            return Err(AwsError::read(status, &headers, &body).into());
        }
        Ok(Answer { status: status.as_u16(), headers, body })
    }

    /// The headers that `SigV4` adds. S3 signs the path once and the body's digest in a header.
    fn signature(
        &self,
        service: &str,
        method: &http::Method,
        url: &url::Url,
        headers: &[(String, String)],
        body: &[u8],
    ) -> anyhow::Result<Vec<(String, String)>> {
        let mut settings = SigningSettings::default();
        if service == "s3" {
            settings.percent_encoding_mode = PercentEncodingMode::Single;
            settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
            settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        }
        let identity = self.credentials.clone().into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name(service)
            .time(SystemTime::now())
            .settings(settings)
            .build()
            .context("prepare the signature")?
            .into();
        let named = headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let request = SignableRequest::new(method.as_str(), url.as_str(), named, SignableBody::Bytes(body))
            .context("prepare the request to sign")?;
        let (instructions, _) = sign(request, &params).context("sign the request")?.into_parts();
        Ok(instructions.headers().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }
}

impl AwsError {
    /// Reads the error from whichever place its protocol keeps it: the header, JSON, or XML.
    fn read(status: http::StatusCode, headers: &http::HeaderMap, body: &[u8]) -> Self {
        let text = String::from_utf8_lossy(body);
        let mut code = headers.get("x-amzn-errortype").and_then(|v| v.to_str().ok()).map(str::to_owned);
        let mut message = None;
        if let Ok(json) = serde_json::from_slice::<Value>(body) {
            let word = |names: &[&str]| names.iter().find_map(|n| json.get(n)?.as_str().map(str::to_owned));
            code = code.or_else(|| word(&["__type", "code", "Code"]));
            message = word(&["message", "Message", "errorMessage"]);
        } else if let Ok(xml) = quick_xml::de::from_str::<XmlError>(&text) {
            let inner = xml.error.map_or((xml.code, xml.message), |error| (error.code, error.message));
            code = code.or(inner.0);
            message = inner.1;
        }
        let code = code.unwrap_or_else(|| "Unknown".to_owned());
        Self {
            // `com.amazonaws.x#Name:http://…` carries the name between `#` and `:`.
            code: code
                .rsplit('#')
                .next()
                .unwrap_or_default()
                .split(':')
                .next()
                .unwrap_or_default()
                .to_owned(),
            message: message.unwrap_or_else(|| text.chars().take(300).collect()),
            status: status.as_u16(),
        }
    }
}

/// `<Error>` (S3) and `<ErrorResponse><Error>` (Query) at once: the root's name is not looked at.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct XmlError {
    code: Option<String>,
    message: Option<String>,
    error: Option<XmlInner>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct XmlInner {
    code: Option<String>,
    message: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credentials() -> Credentials {
        Credentials::from_keys("test", "test", None)
    }

    #[test]
    fn only_loopback_is_spoken_to() {
        for good in ["http://127.0.0.1:4566", "http://localhost:1", "http://[::1]:2", "http://a.localhost:3/"]
        {
            assert!(Emulator::new(good, "us-east-1", credentials()).is_ok(), "{good}");
        }
        for bad in
            ["http://10.0.0.1:1", "https://sts.amazonaws.com", "http://localhost.example.com", "nonsense"]
        {
            assert!(Emulator::new(bad, "us-east-1", credentials()).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_error_is_read_from_every_protocol() {
        let read = |body: &str| {
            let error =
                AwsError::read(http::StatusCode::BAD_REQUEST, &http::HeaderMap::new(), body.as_bytes());
            (error.code, error.message)
        };
        let want = ("Oops".to_owned(), "no".to_owned());
        assert_eq!(read(r#"{"__type":"com.amazonaws.ecs#Oops","message":"no"}"#), want);
        assert_eq!(read("<Error><Code>Oops</Code><Message>no</Message></Error>"), want);
        let xml = "<ErrorResponse><Error><Type>Sender</Type><Code>Oops</Code><Message>no</Message></Error>\
                   <RequestId>1</RequestId></ErrorResponse>";
        assert_eq!(read(xml), want);
        assert_eq!(read("<html>").0, "Unknown");
    }

    #[test]
    fn the_secret_is_never_shown() {
        let emulator =
            Emulator::new("http://127.0.0.1:1/", "us-east-1", Credentials::from_keys("AKIA", "hush", None))
                .unwrap();
        assert!(!format!("{emulator:?}").contains("hush"));
        assert_eq!(emulator.endpoint(), "http://127.0.0.1:1");
    }
}
