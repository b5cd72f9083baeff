//! What an SDK error means: the one place that tells errors worth another try from the rest.
//!
//! Texts name the call, the service's code and its message, so that a log line can be acted on alone.

use std::fmt::Debug;

use aws_sdk_dynamodb::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use pushway_core::ports::Fault;

/// Codes of throttling and passing trouble that may come with a 4xx status (AWS SDKs reference, "Retry
/// behavior"; `CodeBuild`: too many builds at once; `DynamoDB`: another transaction holds the item).
const PASSING: [&str; 17] = [
    "AccountLimitExceededException",
    "BandwidthLimitExceeded",
    "EC2ThrottledException",
    "InternalFailure",
    "InternalServerError",
    "KmsThrottlingException",
    "LimitExceededException",
    "PriorRequestNotComplete",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "RequestThrottledException",
    "RequestTimeout",
    "ServiceUnavailableException",
    "SlowDown",
    "TooManyRequestsException",
    "TransactionConflictException",
    "TransactionInProgressException",
];

/// The service's code for an error, where the service answered with one.
pub(crate) fn code<E: ProvideErrorMetadata>(error: &SdkError<E>) -> Option<&str> {
    error.as_service_error().and_then(ProvideErrorMetadata::code)
}

/// The fault that an error of `call` ("codebuild `StartBuild`") amounts to.
pub(crate) fn fault<E>(call: &str, error: &SdkError<E>) -> Fault
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let Some(service) = error.as_service_error() else {
        // A request that could not even be built will not fare better next time.
        let text = format!("{call}: {}", DisplayErrorContext(error));
        return match error {
            SdkError::ConstructionFailure(_) => Fault::Permanent(text),
            _ => Fault::Retryable(text),
        };
    };
    let status = error.raw_response().map_or(0, |response| response.status().as_u16());
    classify(call, status, service.code(), service.message())
}

/// The fault that a service's answer amounts to.
pub(crate) fn classify(call: &str, status: u16, code: Option<&str>, message: Option<&str>) -> Fault {
    let name = code.unwrap_or("no code");
    let text = match message {
        Some(message) => format!("{call}: {name}: {message}"),
        None => format!("{call}: {name} (status {status})"),
    };
    let passes = status == 429 || status >= 500 || name.contains("Throttl") || PASSING.contains(&name);
    if passes { Fault::Retryable(text) } else { Fault::Permanent(text) }
}

/// An answer that lacks what its service promises; asking again may give a whole one.
pub(crate) fn incomplete(call: &str, what: impl Debug) -> Fault {
    Fault::Retryable(format!("{call}: the answer lacks {what:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_retryable(status: u16, code: &str) -> bool {
        matches!(classify("x", status, Some(code), None), Fault::Retryable(_))
    }

    #[test]
    fn throttling_limits_and_server_errors_pass_the_rest_does_not() {
        for (status, code) in [
            (400, "ThrottlingException"),
            (400, "Throttling"),
            (400, "AccountLimitExceededException"),
            (400, "ProvisionedThroughputExceededException"),
            (429, "Whatever"),
            (500, "InternalServerError"),
            (503, "Unknown"),
        ] {
            assert!(is_retryable(status, code), "{status} {code}");
        }
        for (status, code) in
            [(400, "ResourceNotFoundException"), (403, "AccessDeniedException"), (400, "ValidationException")]
        {
            assert!(!is_retryable(status, code), "{status} {code}");
        }
    }

    #[test]
    fn the_text_names_call_code_and_message() {
        let fault = classify(
            "codebuild StartBuild",
            400,
            Some("ResourceNotFoundException"),
            Some("Project cannot be found"),
        );
        assert_eq!(
            fault,
            Fault::Permanent(
                "codebuild StartBuild: ResourceNotFoundException: Project cannot be found".into()
            )
        );
    }
}
