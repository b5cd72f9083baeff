//! The ports on AWS, request by request, against servers that speak the services' protocols.

mod deliveries;
mod ecs;
mod looks;
mod schedules;
mod test_cases;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;

/// Serves `app` on loopback until the runtime ends; gives the SDK's configuration that leads there.
pub(crate) async fn serve(app: axum::Router) -> SdkConfig {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("its address");
    tokio::spawn(async move { axum::serve(listener, app).await });
    let credentials = Credentials::new("k", "s", None, None, "test");
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(format!("http://{address}"))
        .region(Region::new("eu-central-1"))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .build()
}
