//! `POST /webhooks/{provider}/{hook}`: verifies the signature over the raw bytes, records the delivery,
//! starts the run.
//!
//! It answers 2xx only after a durable write, and never 4xx for something that merely is not of interest,
//! since forges turn hooks off that answer so. It holds no deploy logic and reads no pipeline file.

use aws_lambda_events::encodings::Body;
use aws_lambda_events::event::apigw::{ApiGatewayV2httpRequest, ApiGatewayV2httpResponse};
use base64::Engine as _;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use pushway_core::contract::Failure;
use pushway_core::delivery::{Delivery, comes_by_webhook, git, github};
use pushway_core::ids::RunId;
use pushway_core::intake::{Taken, take};
use pushway_core::ports::{
    Clock, Deliveries, DeliveryOutcome, Fault, Hooks, Random, Secrets, StartExecutions,
};
use pushway_core::signature::{BadSignature, Secret, Stamp, verify_github, verify_standard};
use pushway_core::source::{Hook, Provider};
use serde_json::{Value, json};

/// Largest body taken, in bytes. Lambda is handed at most 6 MB; a push event of this size lists thousands
/// of commits.
const MAX_BODY: usize = 5 * 1024 * 1024;

/// Answers one delivery.
pub async fn handle<P>(
    ports: &P,
    request: ApiGatewayV2httpRequest,
) -> Result<ApiGatewayV2httpResponse, Failure>
where
    P: Hooks + Secrets + Deliveries + StartExecutions + Clock + Random,
{
    Ok(match receive(ports, &request).await {
        Ok(answer) => respond(&answer),
        Err(fault) => {
            // Not acknowledged: the forge shows the delivery as failed and can send it again.
            tracing::error!(error = %fault, "delivery not recorded");
            respond(&Answer::Unavailable)
        }
    })
}

/// What a delivery is answered with.
#[derive(Debug)]
enum Answer {
    Accepted(RunId),
    Before(RunId),
    Ignored(String),
    Malformed(String),
    Forged,
    UnknownProvider(String),
    TooLarge,
    Unavailable,
}

async fn receive<P>(ports: &P, request: &ApiGatewayV2httpRequest) -> Result<Answer, Fault>
where
    P: Hooks + Secrets + Deliveries + StartExecutions + Clock + Random,
{
    let parameter = |name: &str| request.path_parameters.get(name).map(String::as_str).unwrap_or_default();
    let provider = match parameter("provider").parse::<Provider>() {
        Ok(provider) if comes_by_webhook(provider) => provider,
        Ok(provider) => {
            return Ok(Answer::UnknownProvider(format!("{provider} pushes come by EventBridge, not here")));
        }
        Err(problem) => return Ok(Answer::UnknownProvider(problem)),
    };
    let body = match raw_body(request) {
        Ok(body) if body.len() > MAX_BODY => return Ok(Answer::TooLarge),
        Ok(body) => body,
        Err(problem) => return Ok(Answer::Malformed(problem)),
    };
    let Some(hook) = ports.hook(provider, parameter("hook")).await? else {
        // As much work as for a wrong signature, and the same answer: hook ids can't be probed for.
        let _ = verify(provider, &stand_in(), &request.headers, &body, ports);
        return Ok(Answer::Forged);
    };
    let name = hook.secret.as_deref();
    let name =
        name.ok_or_else(|| Fault::Permanent(format!("hook {} has no secret; connect it again", hook.id)))?;
    let secret = ports.secret(name).await?;
    if verify(provider, &secret, &request.headers, &body, ports) == Err(BadSignature) {
        tracing::warn!(hook = %hook.id, "delivery refused: its signature does not fit");
        return Ok(Answer::Forged);
    }
    let parsed = match provider {
        Provider::Github => {
            let header = |name| text(&request.headers, name);
            github::parse(header(github::headers::EVENT), header(github::headers::DELIVERY), &body)
        }
        Provider::Git => git::parse(text(&request.headers, git::headers::ID), &body),
        Provider::Codecommit => return Ok(Answer::UnknownProvider("codecommit".into())),
    };
    match parsed {
        Ok(delivery) => accept(ports, &hook, delivery).await,
        Err(malformed) => Ok(Answer::Malformed(malformed.to_string())),
    }
}

async fn accept<P>(ports: &P, hook: &Hook, delivery: Delivery) -> Result<Answer, Fault>
where
    P: Deliveries + StartExecutions + Clock + Random,
{
    let push = match delivery {
        Delivery::Push(push) => push,
        Delivery::Ignored { delivery, rule } => {
            ports.record_ignored(hook.provider, hook, &delivery, &rule, ports.now()).await?;
            return Ok(Answer::Ignored(rule));
        }
    };
    Ok(match take(ports, hook, *push).await? {
        Taken::New { run, not_started } => {
            tracing::info!(run_id = %run, hook = %hook.id, "run received");
            if let Some(fault) = not_started {
                tracing::error!(run_id = %run, error = %fault, "execution not started; the sweep will start it");
            }
            Answer::Accepted(run)
        }
        Taken::Before(DeliveryOutcome::Run(run)) => Answer::Before(run),
        Taken::Before(DeliveryOutcome::Ignored(rule)) => Answer::Ignored(rule),
        Taken::Malformed(malformed) => Answer::Malformed(malformed.to_string()),
    })
}

/// The bytes that were signed.
fn raw_body(request: &ApiGatewayV2httpRequest) -> Result<Vec<u8>, String> {
    let text = request.body.as_deref().unwrap_or_default();
    if request.is_base64_encoded {
        let engine = base64::engine::general_purpose::STANDARD;
        engine
            .decode(text)
            .map_err(|error| format!("the body is not the base64 that its flag promises: {error}"))
    } else {
        Ok(text.as_bytes().to_vec())
    }
}

fn verify(
    provider: Provider,
    secret: &Secret,
    headers: &HeaderMap,
    body: &[u8],
    clock: &impl Clock,
) -> Result<(), BadSignature> {
    match provider {
        Provider::Github => verify_github(secret, text(headers, github::headers::SIGNATURE), body),
        Provider::Git | Provider::Codecommit => {
            let stamp = Stamp {
                id: text(headers, git::headers::ID),
                timestamp: text(headers, git::headers::TIMESTAMP),
                signatures: text(headers, git::headers::SIGNATURE),
            };
            verify_standard(secret, &stamp, body, clock.now())
        }
    }
}

fn stand_in() -> Secret {
    Secret::new("no hook has this id").unwrap_or_else(|| unreachable!("the text is not empty"))
}

/// A header's text; empty where it is absent, repeated or not plain text.
fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().unwrap_or_default(),
        _ => "",
    }
}

fn respond(answer: &Answer) -> ApiGatewayV2httpResponse {
    let (status, body) = describe(answer);
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if status == StatusCode::SERVICE_UNAVAILABLE {
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static("30"));
    }
    let mut response = ApiGatewayV2httpResponse::default();
    response.status_code = i64::from(status.as_u16());
    response.headers = headers;
    response.body = Some(Body::Text(body.to_string()));
    response
}

fn describe(answer: &Answer) -> (StatusCode, Value) {
    match answer {
        Answer::Accepted(id) => (StatusCode::ACCEPTED, json!({ "run_id": id, "new": true })),
        Answer::Before(id) => (StatusCode::OK, json!({ "run_id": id, "new": false })),
        Answer::Ignored(rule) => (StatusCode::OK, json!({ "ignored": rule })),
        Answer::Malformed(problem) => (StatusCode::BAD_REQUEST, json!({ "error": problem })),
        Answer::Forged => (
            StatusCode::UNAUTHORIZED,
            json!({ "error": "no hook at this address has a secret that fits the delivery's signature; compare the address and the secret with what `pushway connect` gave" }),
        ),
        Answer::UnknownProvider(problem) => (StatusCode::NOT_FOUND, json!({ "error": problem })),
        Answer::TooLarge => (
            StatusCode::PAYLOAD_TOO_LARGE,
            json!({ "error": format!("the delivery is larger than {MAX_BODY} bytes; push fewer commits at once") }),
        ),
        Answer::Unavailable => (
            StatusCode::SERVICE_UNAVAILABLE,
            json!({ "error": "the delivery could not be recorded; send it again" }),
        ),
    }
}
