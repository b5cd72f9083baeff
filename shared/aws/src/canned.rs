//! The SDK's own reader for JSON that did not come from AWS.
//!
//! A definition in a repository has the shape of an answer of ECS. The SDK has no other way to read such a
//! shape than as an answer, and writing its hundred structures out again would forget what AWS adds. So a
//! client of its own, whose connection is the file: it opens no socket and needs no credentials.

use aws_sdk_ecs::config::{BehaviorVersion, Credentials, Region, SharedHttpClient};
use aws_sdk_ecs::error::DisplayErrorContext;
use aws_sdk_ecs::types::{Service, Tag, TaskDefinition};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use pushway_core::ports::{Answer, Fault};
use serde_json::Value;

/// A connection on which everything is answered with the same text.
#[derive(Debug)]
struct Canned(String);

impl HttpConnector for Canned {
    fn call(&self, _: HttpRequest) -> HttpConnectorFuture {
        let status = StatusCode::try_from(200);
        let body = SdkBody::from(self.0.clone());
        HttpConnectorFuture::ready(match status {
            Ok(status) => Ok(HttpResponse::new(status, body)),
            Err(error) => Err(aws_smithy_runtime_api::client::result::ConnectorError::user(error.into())),
        })
    }
}

fn client(answer: &Value) -> aws_sdk_ecs::Client {
    let text = answer.to_string();
    let http: SharedHttpClient = http_client_fn(move |_, _| SharedHttpConnector::new(Canned(text.clone())));
    let config = aws_sdk_ecs::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::from_static("none"))
        .credentials_provider(Credentials::new("none", "none", None, None, "none"))
        .endpoint_url("http://none.invalid")
        .retry_config(aws_sdk_ecs::config::retry::RetryConfig::disabled())
        .http_client(http)
        .build();
    aws_sdk_ecs::Client::from_conf(config)
}

/// A task definition and its tags, as `pushway_core::definition_file` pins them. What the SDK does not know is
/// dropped; what has another type is refused with the SDK's words.
pub(crate) async fn task_definition(pinned: &Value) -> Answer<(TaskDefinition, Vec<Tag>)> {
    let answer = client(pinned).describe_task_definition().task_definition("file").send().await;
    let answer = answer.map_err(|error| {
        let words = DisplayErrorContext(&error);
        Fault::Permanent(format!("the task definition's file does not have the shape of one: {words}"))
    })?;
    let definition = answer.task_definition;
    let definition =
        definition.ok_or_else(|| Fault::Permanent("the task definition's file is empty".into()))?;
    Ok((definition, answer.tags.unwrap_or_default()))
}

/// A service and what of it ECS tells by deployment, as `pushway_core::definition_file` pins it.
pub(crate) async fn service(pinned: &Value) -> Answer<Service> {
    let mut whole = pinned.clone();
    whole["deployments"] = serde_json::json!([pinned]);
    let answer =
        client(&serde_json::json!({ "services": [whole] })).describe_services().services("file").send();
    let answer = answer.await.map_err(|error| {
        let words = DisplayErrorContext(&error);
        Fault::Permanent(format!("the service definition's file does not have the shape of one: {words}"))
    })?;
    let service = answer.services.and_then(|services| services.into_iter().next());
    service.ok_or_else(|| Fault::Permanent("the service definition's file is empty".into()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(pinned: &Value) -> Answer<(TaskDefinition, Vec<Tag>)> {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
            .block_on(task_definition(pinned))
    }

    #[test]
    fn what_a_file_says_is_read_as_ecs_would_have_told_it() {
        let pinned = json!({
            "taskDefinition": {
                "family": "web", "cpu": "256", "networkMode": "awsvpc", "unheardOf": { "a": [1] },
                "containerDefinitions": [{
                    "name": "web", "memoryReservation": 64, "essential": true,
                    "environment": [{ "name": "A", "value": "1" }],
                    "portMappings": [{ "containerPort": 8080, "appProtocol": "http2" }],
                    "secrets": [{ "name": "S", "valueFrom": "arn:aws:ssm:eu-west-1:1:parameter/s" }],
                    "logConfiguration": { "logDriver": "awslogs", "options": { "awslogs-group": "/web" } },
                }],
                "volumes": [{ "name": "v", "efsVolumeConfiguration": { "fileSystemId": "fs-1" } }],
            },
            "tags": [{ "key": "team", "value": "x" }],
        });
        let (definition, tags) = read(&pinned).unwrap();
        assert_eq!((definition.family(), definition.cpu()), (Some("web"), Some("256")));
        let container = &definition.container_definitions()[0];
        assert_eq!(container.memory_reservation, Some(64));
        assert_eq!(container.environment()[0].value(), Some("1"));
        assert_eq!(container.secrets()[0].name(), "S");
        assert_eq!(container.port_mappings()[0].container_port, Some(8080));
        let efs = definition.volumes()[0].efs_volume_configuration().unwrap();
        assert_eq!((efs.file_system_id(), tags[0].key()), ("fs-1", Some("team")));
    }

    #[test]
    fn a_field_of_another_type_is_refused_for_good() {
        let pinned = json!({ "taskDefinition": { "containerDefinitions": { "name": "web" } } });
        let Err(Fault::Permanent(words)) = read(&pinned) else { panic!("it was taken") };
        assert!(words.contains("does not have the shape"), "{words}");
    }
}
