//! Answers that are welcome but not waited for.

use std::future::Future;
use std::time::Duration;

use pushway_core::ports::{Answer, Fault};

/// How long what people are shown may take, each of commits and task definitions: people wait for hours, but the
/// function that asks them has a minute.
pub(crate) const PATIENCE: Duration = Duration::from_secs(12);

/// The work's answer, or a fault that says what was too slow.
pub(crate) async fn within<T>(
    patience: Duration,
    what: &str,
    work: impl Future<Output = Answer<T>>,
) -> Answer<T> {
    let late = || Fault::Retryable(format!("{what}: no answer within {} s", patience.as_secs()));
    tokio::time::timeout(patience, work).await.unwrap_or_else(|_| Err(late()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_never_answers_is_given_up() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let never = std::future::pending::<Answer<()>>();
            let given_up = within(Duration::from_millis(1), "read the commits", never).await;
            assert!(
                matches!(given_up, Err(Fault::Retryable(text)) if text.starts_with("read the commits: "))
            );
            assert_eq!(within(PATIENCE, "x", async { Ok(7) }).await, Ok(7));
        });
    }
}
