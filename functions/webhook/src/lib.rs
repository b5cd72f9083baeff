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
use pushway_core::delivery::{self, Delivery, Malformed, Push, comes_by_webhook};
use pushway_core::fact::bounded;
use pushway_core::ids::{HookId, RunId};
use pushway_core::intake::{Taken, take};
use pushway_core::ports::{
    Clock, Deliveries, DeliveryOutcome, Fault, Hooks, PullRequests, Random, Secrets, StartExecutions,
};
use pushway_core::signature::{self, Secret};
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
    P: Hooks + Secrets + Deliveries + PullRequests + StartExecutions + Clock + Random,
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
    /// The runs of its pushes in their order, and whether one of them is new.
    Runs(Vec<RunId>, bool),
    Ignored(String),
    Malformed(String),
    Forged,
    UnknownProvider(String),
    TooLarge,
    Unavailable,
}

async fn receive<P>(ports: &P, request: &ApiGatewayV2httpRequest) -> Result<Answer, Fault>
where
    P: Hooks + Secrets + Deliveries + PullRequests + StartExecutions + Clock + Random,
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
        Ok(Some(body)) => body,
        Ok(None) => {
            tracing::warn!(hook = parameter("hook"), "delivery refused: it is too large");
            return Ok(Answer::TooLarge);
        }
        Err(problem) => return Ok(Answer::Malformed(problem)),
    };
    let header = |name: &'static str| text(&request.headers, name);
    let hook = match parameter("hook").parse::<HookId>() {
        Ok(id) => ports.hook(provider, id.as_str()).await?,
        Err(_) => None,
    };
    let Some(hook) = hook else {
        // As much work as for a wrong signature, and the same answer: hook ids can't be probed for.
        let _ = signature::verify(provider, &stand_in(), header, &body, ports.now());
        return Ok(Answer::Forged);
    };
    let fits = |secret: &Secret| signature::verify(provider, secret, header, &body, ports.now()).is_ok();
    if !is_signed(ports, &hook, fits).await? {
        tracing::warn!(hook = %hook.id, "delivery refused: its signature does not fit");
        return Ok(Answer::Forged);
    }
    match delivery::read(provider, header, &body) {
        Ok(delivery) => accept(ports, &hook, delivery).await,
        Err(malformed) => Ok(refused(&hook, &malformed)),
    }
}

/// Tries the hook's secret; within the overlap after a rotation, the old one too (row A9).
async fn is_signed<P>(ports: &P, hook: &Hook, fits: impl Fn(&Secret) -> bool) -> Result<bool, Fault>
where
    P: Secrets + Clock,
{
    let Some(name) = hook.secret.as_deref() else {
        return Err(Fault::Permanent(format!("hook {} has no secret; connect it again", hook.id)));
    };
    if fits(&ports.secret(name).await?) {
        return Ok(true);
    }
    if hook.old_secret_until.is_none_or(|until| ports.now() >= until) {
        return Ok(false);
    }
    // What was remembered as current may be the old one by now: asking for that one makes sure.
    let old = ports.old_secret(name).await?;
    Ok(old.is_some_and(|old| fits(&old)) || fits(&ports.secret(name).await?))
}

async fn accept<P>(ports: &P, hook: &Hook, delivery: Delivery) -> Result<Answer, Fault>
where
    P: Deliveries + PullRequests + StartExecutions + Clock + Random,
{
    let (delivery, rule) = match delivery {
        Delivery::Pushes(pushes) => return start(ports, hook, pushes).await,
        Delivery::PullRequest(claim) => {
            if let Err(malformed) = delivery::is_of(hook, &claim.repository_id, &claim.repository) {
                return Ok(refused(hook, &malformed));
            }
            let view = match ports.pull_request(hook, claim.number).await {
                // Trying again can't help, and a forge turns a hook off that only fails (row F4).
                Err(Fault::Permanent(why)) => {
                    ports.record_ignored(hook.provider, hook, &claim.delivery, &why, ports.now()).await?;
                    return Ok(Answer::Ignored(why));
                }
                view => view?,
            };
            match claim.compare(view) {
                Ok(push) => return start(ports, hook, vec![push]).await,
                Err(rule) => (claim.delivery, rule),
            }
        }
        Delivery::Ignored { delivery, rule } => (delivery, rule),
    };
    ports.record_ignored(hook.provider, hook, &delivery, &rule, ports.now()).await?;
    Ok(Answer::Ignored(rule))
}

/// Takes each push. One that fails leaves the delivery unacknowledged: when it comes again, those before it
/// are found as they were recorded.
async fn start<P>(ports: &P, hook: &Hook, pushes: Vec<Push>) -> Result<Answer, Fault>
where
    P: Deliveries + StartExecutions + Clock + Random,
{
    let (mut runs, mut is_new, mut rules) = (Vec::new(), false, Vec::new());
    for push in pushes {
        match take(ports, hook, push).await? {
            Taken::New { run, not_started } => {
                tracing::info!(run_id = %run, hook = %hook.id, "run received");
                if let Some(fault) = not_started {
                    tracing::error!(run_id = %run, error = %fault, "execution not started; the sweep will start it");
                }
                runs.push(run);
                is_new = true;
            }
            Taken::Before(DeliveryOutcome::Run(run)) => runs.push(run),
            Taken::Before(DeliveryOutcome::Ignored(rule)) => rules.push(rule),
            Taken::Malformed(malformed) => return Ok(refused(hook, &malformed)),
        }
    }
    Ok(match rules.pop() {
        Some(rule) if runs.is_empty() => Answer::Ignored(rule),
        _ => Answer::Runs(runs, is_new),
    })
}

fn refused(hook: &Hook, malformed: &Malformed) -> Answer {
    tracing::warn!(hook = %hook.id, "delivery refused: it can't be read");
    Answer::Malformed(malformed.to_string())
}

/// The bytes that were signed; `None` where there are more of them than are taken. What a `Content-Length`
/// says counts for nothing.
fn raw_body(request: &ApiGatewayV2httpRequest) -> Result<Option<Vec<u8>>, String> {
    let text = request.body.as_deref().unwrap_or_default();
    let most = if request.is_base64_encoded { MAX_BODY.div_ceil(3) * 4 } else { MAX_BODY };
    if text.len() > most {
        return Ok(None);
    }
    if !request.is_base64_encoded {
        return Ok(Some(text.as_bytes().to_vec()));
    }
    let decoded = base64::engine::general_purpose::STANDARD.decode(text);
    let decoded =
        decoded.map_err(|error| format!("the body is not the base64 that its flag promises: {error}"))?;
    Ok(Some(decoded).filter(|body| body.len() <= MAX_BODY))
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
        Answer::Runs(runs, is_new) => {
            let status = if *is_new { StatusCode::ACCEPTED } else { StatusCode::OK };
            let mut body = json!({ "run_id": runs.first(), "new": is_new });
            if runs.len() > 1 {
                body["run_ids"] = json!(runs);
            }
            (status, body)
        }
        Answer::Ignored(rule) => (StatusCode::OK, json!({ "ignored": rule })),
        Answer::Malformed(problem) => (StatusCode::BAD_REQUEST, json!({ "error": bounded(problem, 500) })),
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
