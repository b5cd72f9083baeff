//! The frame of every function: logging, settings, clients, and how a failure reaches the state machine.
//!
//! A handler stays a plain async fn over ports. Here its failure gets the name that `Retry` and `Catch`
//! match, and is logged, once.

use std::future::Future;

pub use lambda_runtime::Error;
use lambda_runtime::tracing::subscriber::filter::{EnvFilter, LevelFilter};
use lambda_runtime::tracing::subscriber::fmt;
use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use pushway_core::contract::{Failure, errors};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{Aws, Settings};

/// Serves `handler` until the runtime ends the process. Gives an error where settings are missing.
pub async fn serve<Handler, Input, Output, Work, Problem>(
    handler: Handler,
) -> Result<(), lambda_runtime::Error>
where
    Handler: Fn(Aws, Input) -> Work,
    Input: DeserializeOwned,
    Output: Serialize,
    Work: Future<Output = Result<Output, Problem>>,
    Problem: Into<Failure>,
{
    init_logging()?;
    let settings = Settings::from_env().map_err(|error| error.to_string())?;
    let ports = Aws::new(settings).await;
    let answer = async |event: LambdaEvent<Value>| {
        let input = serde_json::from_value(event.payload).map_err(|error| {
            Failure::new(errors::PERMANENT, format!("the event is not what this function takes: {error}"))
        });
        let outcome = match input {
            // Boxed: a handler's future nests those of all its calls, too deep for the compiler's layout queries.
            Ok(input) => Box::pin(handler(ports.clone(), input)).await.map_err(Into::into),
            Err(failure) => Err(failure),
        };
        outcome.map_err(|failure| {
            tracing::error!(error = failure.error, "{}", failure.message);
            Named(failure)
        })
    };
    lambda_runtime::run(service_fn(answer)).await
}

/// The part of the runtime that logs every failure of a handler a second time.
const SECOND_VOICE: &str = "lambda_runtime::layers::panic=off";

/// One JSON line per fact on standard output, panics included; the level comes from Lambda's own log setting.
fn init_logging() -> Result<(), lambda_runtime::Error> {
    let level = EnvFilter::builder()
        .with_default_directive(LevelFilter::INFO.into())
        .with_env_var("AWS_LAMBDA_LOG_LEVEL")
        .from_env_lossy()
        .add_directive(SECOND_VOICE.parse()?);
    fmt()
        .json()
        .flatten_event(true)
        .with_current_span(true)
        .with_span_list(false)
        .with_target(false)
        .with_env_filter(level)
        .init();
    std::panic::set_hook(Box::new(|panic| tracing::error!(error = "panic", "{panic}")));
    Ok(())
}

/// A failure under the name that the state machine knows.
#[derive(Debug)]
struct Named(Failure);

impl From<Named> for Diagnostic {
    fn from(Named(failure): Named) -> Self {
        Self { error_type: failure.error.to_owned(), error_message: failure.message }
    }
}
