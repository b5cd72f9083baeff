//! S3: reads what builds have left in the installation's bucket.
//!
//! Never more than was asked for: a build decides how large its files are.

use aws_config::SdkConfig;
use aws_sdk_s3::primitives::ByteStream;
use pushway_core::ports::{Answer, ArtifactView, Fault, ReadArtifacts};

use crate::Aws;
use crate::errors::{code, fault};

/// A client that names the bucket in the path: the laptop engine knows no host names of buckets.
pub(crate) fn client(config: &SdkConfig) -> aws_sdk_s3::Client {
    let config = aws_sdk_s3::config::Builder::from(config).force_path_style(true).build();
    aws_sdk_s3::Client::from_conf(config)
}

impl ReadArtifacts for Aws {
    async fn artifact(&self, key: &str, limit: usize) -> Answer<ArtifactView> {
        let call = "s3 GetObject";
        let object = match self.s3.get_object().bucket(self.settings.artifacts()?).key(key).send().await {
            Ok(object) => object,
            Err(error) if code(&error) == Some("NoSuchKey") => return Ok(ArtifactView::Absent),
            Err(error) => return Err(fault(call, &error)),
        };
        let told = object.content_length.and_then(|length| usize::try_from(length).ok());
        if told.is_some_and(|length| length > limit) {
            return Ok(ArtifactView::TooLarge);
        }
        content(object.body, limit).await
    }
}

async fn content(mut body: ByteStream, limit: usize) -> Answer<ArtifactView> {
    let mut bytes = Vec::new();
    while let Some(chunk) = body.next().await {
        let chunk = chunk.map_err(|error| Fault::Retryable(format!("s3 GetObject: {error}")))?;
        if bytes.len() + chunk.len() > limit {
            return Ok(ArtifactView::TooLarge);
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(ArtifactView::Content(bytes))
}

#[cfg(test)]
mod tests {
    use aws_config::{BehaviorVersion, Region};
    use aws_credential_types::Credentials;
    use aws_credential_types::provider::SharedCredentialsProvider;
    use aws_smithy_runtime_api::client::http::{
        HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn,
    };
    use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
    use aws_smithy_runtime_api::http::StatusCode;
    use aws_smithy_types::body::SdkBody;

    use super::*;
    use crate::Settings;

    /// A bucket with one file.
    #[derive(Debug, Clone)]
    struct Bucket;

    impl HttpConnector for Bucket {
        fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
            let path = request.uri().split_once("amazonaws.com").map(|(_, rest)| rest);
            let path = path.and_then(|rest| rest.split('?').next());
            let (status, body) = match path {
                Some("/bucket/runs/1/artifact/imageDetail.json") => (200, "{}"),
                Some("/bucket/denied") => {
                    (403, "<Error><Code>AccessDenied</Code><Message>no</Message></Error>")
                }
                _ => (
                    404,
                    "<Error><Code>NoSuchKey</Code><Message>The specified key does not exist.</Message></Error>",
                ),
            };
            let status = StatusCode::try_from(status).unwrap();
            HttpConnectorFuture::ready(Ok(HttpResponse::new(status, SdkBody::from(body))))
        }
    }

    #[tokio::test]
    async fn a_file_that_is_not_there_is_no_error_and_one_that_is_denied_is() {
        let credentials = Credentials::new("OWN", "s", None, None, "test");
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("eu-central-1"))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .http_client(http_client_fn(|_, _| SharedHttpConnector::new(Bucket)))
            .build();
        let settings = Settings { artifacts: Some("bucket".into()), ..Settings::for_table("t") };
        let ports = Aws::with_config(&config, settings);
        let file = ports.artifact("runs/1/artifact/imageDetail.json", 10).await;
        assert_eq!(file, Ok(ArtifactView::Content(b"{}".to_vec())));
        assert_eq!(ports.artifact("runs/1/artifact/imageDetail.json", 1).await, Ok(ArtifactView::TooLarge));
        assert_eq!(ports.artifact("runs/1/artifact/absent", 10).await, Ok(ArtifactView::Absent));
        let denied = ports.artifact("denied", 10).await;
        assert!(matches!(&denied, Err(Fault::Permanent(why)) if why.contains("AccessDenied")), "{denied:?}");
    }

    #[tokio::test]
    async fn a_body_that_is_longer_than_it_may_be_is_not_read_to_its_end() {
        let read = async |text: &'static str| content(ByteStream::from_static(text.as_bytes()), 4).await;
        assert_eq!(read("1234").await, Ok(ArtifactView::Content(b"1234".to_vec())));
        assert_eq!(read("12345").await, Ok(ArtifactView::TooLarge));
    }
}
