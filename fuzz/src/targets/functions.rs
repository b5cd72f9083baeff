//! Functions that outsiders or services wake, on any JSON that Lambda may hand them.

use pushway_tests::sim::invoke;
use serde_json::{Value, json};

use crate::seeds;

/// Functions that `EventBridge` wakes.
const BY_EVENT: [&str; 3] = ["push", "build-completed", "deploy-progress"];

/// Any API Gateway request at the webhook. Nobody here knows the secret, so nothing may start.
pub(crate) fn webhook(input: &[u8]) {
    let Ok(request) = serde_json::from_slice::<Value>(input) else { return };
    let world = seeds::world();
    if let Ok(response) = invoke(&world, "webhook", request) {
        let status = response["statusCode"].as_u64().unwrap_or_default();
        assert!(matches!(status, 400 | 401 | 404 | 413), "{response}");
    }
    assert_eq!(world.runs(), [], "an unsigned delivery started a run");
    assert_eq!(world.delivery_count(), 0, "an unsigned delivery was recorded");
}

pub(crate) fn webhook_seeds() -> Vec<Vec<u8>> {
    texts(seeds::requests())
}

/// Any API Gateway request at the API.
pub(crate) fn api(input: &[u8]) {
    let Ok(request) = serde_json::from_slice::<Value>(input) else { return };
    if let Ok(response) = invoke(&seeds::world(), "api", request) {
        let status = response["statusCode"].as_u64().unwrap_or_default();
        assert!((200..500).contains(&status), "{response}");
    }
}

pub(crate) fn api_seeds() -> Vec<Vec<u8>> {
    let id = "01890a5d-ac96-774b-bcce-b302099a8057";
    let mut sample = seeds::event("api");
    let mut requests = vec![sample.clone()];
    for path in ["", "/journal", "/jobs/build/image/log"] {
        sample["rawPath"] = json!(format!("/v1/runs/{id}{path}"));
        requests.push(sample.clone());
    }
    texts(requests)
}

/// Any event at every function that events wake.
pub(crate) fn events(input: &[u8]) {
    let Ok(event) = serde_json::from_slice::<Value>(input) else { return };
    for function in BY_EVENT {
        let world = seeds::world();
        let _refused = invoke(&world, function, event.clone());
        assert!(world.runs().len() <= 1, "one event started two runs");
    }
}

pub(crate) fn event_seeds() -> Vec<Vec<u8>> {
    texts(seeds::events().into_iter().filter(|event| event.get("detail-type").is_some()))
}

fn texts(values: impl IntoIterator<Item = Value>) -> Vec<Vec<u8>> {
    values.into_iter().map(|value| value.to_string().into_bytes()).collect()
}
