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
        .with_writer(|| OneLine(std::io::stdout()))
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

/// The longest line that is written, in bytes: `CloudWatch` Logs cuts events at 256 KB, and a line that is cut is no JSON.
const MAX_LINE: usize = 64 * 1024;
/// Characters that are kept of a line that is too long.
const KEPT_OF_LINE: usize = 4_000;

/// Writes lines of JSON, each at once; of one that is too long, its beginning as a line of its own (row A36).
struct OneLine<W>(W);

impl<W: std::io::Write> std::io::Write for OneLine<W> {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        if line.len() <= MAX_LINE {
            self.0.write_all(line)?;
        } else {
            let begins: String = String::from_utf8_lossy(line).chars().take(KEPT_OF_LINE).collect();
            let cut = serde_json::json!({
                "level": "WARN", "message": "a line was too long to log; it is cut", "bytes": line.len(), "begins": begins,
            });
            writeln!(self.0, "{cut}")?;
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush()
    }
}

/// A failure under the name that the state machine knows.
#[derive(Debug)]
struct Named(Failure);

impl From<Named> for Diagnostic {
    fn from(Named(failure): Named) -> Self {
        Self { error_type: failure.error.to_owned(), error_message: failure.message }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use lambda_runtime::tracing::subscriber::util::SubscriberInitExt as _;

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a36_whatever_is_logged_is_one_line_of_json_and_no_longer_than_a_line_may_be() {
        let written = Written::default();
        let writer = written.clone();
        let events = [
            "a\r\n{\"level\":\"ERROR\",\"message\":\"forged\"}",
            "b\u{2028}c\u{85}d",
            "\u{1b}[2J\u{0}",
            &"x".repeat(1_000_000),
        ];
        {
            let subscriber =
                fmt().with_writer(move || OneLine(writer.clone())).json().flatten_event(true).finish();
            let _guard = subscriber.set_default();
            for text in events {
                tracing::info!(run_id = text, "{text}");
            }
        }
        let written = written.0.lock().unwrap();
        let lines: Vec<&[u8]> =
            written.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect();
        assert_eq!(lines.len(), events.len());
        for (line, text) in lines.iter().zip(events) {
            let event: Value = serde_json::from_slice(line).expect("a line is JSON");
            assert!(line.len() <= MAX_LINE && event["level"] != "ERROR");
            let is_whole = text.len() < MAX_LINE;
            assert_eq!(event["message"] == text, is_whole, "{event}");
        }
    }
}
