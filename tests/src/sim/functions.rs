//! The functions by name, JSON in and JSON out, as Lambda calls them.
//!
//! A handler over the world never waits for real; one that is not ready was killed by an injected fault,
//! and is dropped where it stood.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use pushway_core::contract::{CaughtError, Failure, errors};
use pushway_core::testing::World;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// Where runs have their pages.
pub(super) const PAGES: &str = "https://pushway.example.com";

/// What an invocation came to.
pub type Invoked = Result<Value, CaughtError>;

/// Runs a future that never waits.
///
/// # Panics
/// When it does wait.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    match poll_once(future) {
        Some(value) => value,
        None => panic!("a future over the world must never wait"),
    }
}

fn poll_once<T>(future: impl Future<Output = T>) -> Option<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}

/// Invokes a function by its folder's name.
///
/// # Panics
/// When there is no such function, or its handler waits without having been killed.
pub fn invoke(world: &World, function: &str, payload: Value) -> Invoked {
    match function {
        "plan" => with(world, payload, |input| plan::handle(world, input)),
        "start-build" => with(world, payload, |input| start_build::handle(world, input)),
        "build-completed" => with(world, payload, |input| build_completed::handle(world, input)),
        "lock" => with(world, payload, |input| lock::handle(world, input)),
        "deploy" => with(world, payload, |input| deploy::handle(world, input)),
        "deploy-progress" => with(world, payload, |input| deploy_progress::handle(world, input)),
        "validate" => with(world, payload, |input| validate::handle(world, input)),
        "rollback" => with(world, payload, |input| rollback::handle(world, input)),
        "finish" => with(world, payload, |input| finish::handle(world, input)),
        "sweep" => with(world, payload, |input| sweep::handle(world, Some(PAGES), input)),
        "notify" => with(world, payload, |input| notify::handle(world, Some(PAGES), input)),
        "push" => with(world, payload, |input| push::handle(world, input)),
        "webhook" => with(world, payload, |input| webhook::handle(world, input)),
        "api" => with(world, payload, |input| api::handle(world, input)),
        other => panic!("there is no function {other}"),
    }
}

/// Invokes the webhook with a request as API Gateway hands it over.
pub(super) fn invoke_webhook(
    world: &World,
    request: aws_lambda_events::event::apigw::ApiGatewayV2httpRequest,
) -> Invoked {
    outcome(world, webhook::handle(world, request))
}

fn with<I, O, F>(world: &World, payload: Value, handle: impl FnOnce(I) -> F) -> Invoked
where
    I: DeserializeOwned,
    O: Serialize,
    F: Future<Output = Result<O, Failure>>,
{
    let input: I = serde_json::from_value(payload).map_err(|error| CaughtError {
        error: errors::PERMANENT.into(),
        cause: json!({ "errorMessage": format!("bad input: {error}") }).to_string(),
    })?;
    outcome(world, handle(input))
}

fn outcome<O: Serialize>(world: &World, handled: impl Future<Output = Result<O, Failure>>) -> Invoked {
    let outcome = poll_once(handled);
    let died = world.take_died();
    match outcome {
        Some(Ok(output)) => Ok(json!(output)),
        Some(Err(failure)) => Err(CaughtError {
            error: failure.error.into(),
            cause: json!({ "errorType": failure.error, "errorMessage": failure.message }).to_string(),
        }),
        None if died => Err(CaughtError {
            error: "Runtime.ExitError".into(),
            cause: json!({ "errorMessage": "the runtime exited without a reason" }).to_string(),
        }),
        None => panic!("a handler over the world must never wait"),
    }
}
