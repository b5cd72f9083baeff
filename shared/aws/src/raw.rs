//! Answers as they came and requests as they must go, past the SDK's types.
//!
//! What is replaced whole must be sent back whole: a field that this version of the SDK does not know would be
//! lost between its types. The SDK still signs, retries and reads errors.

use std::sync::{Arc, Mutex, PoisonError};

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::AfterDeserializationInterceptorContextRef;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::ConfigBag;
use pushway_core::ports::Answer;
use serde_json::Value;

use crate::errors::incomplete;

/// Keeps the body of the last answer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Body(Arc<Mutex<Vec<u8>>>);

impl Body {
    /// The answer of `call` as JSON, without fields that are null: those say that there is nothing.
    pub(crate) fn json(&self, call: &str) -> Answer<Value> {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut value = serde_json::from_slice(&bytes).map_err(|_| incomplete(call, "JSON"))?;
        drop_nulls(&mut value);
        Ok(value)
    }
}

fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, field| !field.is_null());
            fields.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

impl Intercept for Body {
    fn name(&self) -> &'static str {
        "Body"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let bytes = context.response().body().bytes().unwrap_or_default();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = bytes.to_vec();
        Ok(())
    }
}

/// Puts JSON in the place of a request's body.
pub(crate) fn replace(request: &mut HttpRequest, body: &Value) {
    let text = body.to_string();
    request.headers_mut().insert("content-length", text.len().to_string());
    *request.body_mut() = SdkBody::from(text);
}

/// Changes the JSON of a request's body.
pub(crate) fn edit(request: &mut HttpRequest, change: impl FnOnce(&mut Value)) {
    let body = request.body().bytes().and_then(|bytes| serde_json::from_slice::<Value>(bytes).ok());
    if let Some(mut body) = body {
        change(&mut body);
        replace(request, &body);
    }
}
