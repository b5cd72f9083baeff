//! A request on its way to its handler: who asks, of what, with which parameters and body.

use std::str::FromStr;

use aws_lambda_events::event::apigw::ApiGatewayV2httpRequest;
use base64::Engine as _;
use http::header;
use pushway_core::access::Principal;
use pushway_core::delivery::made_id;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::operations::Operation;
use crate::reply::Problem;

/// Largest body taken, in bytes: the largest is a pipeline file to try.
pub(crate) const MAX_BODY: usize = 256 * 1024;

/// A request whose operation is known, and whose caller may ask for it.
pub(crate) struct Call<'r> {
    pub(crate) operation: &'static Operation,
    pub(crate) principal: Principal,
    pub(crate) request: &'r ApiGatewayV2httpRequest,
    /// The path, without the prefix that says how it is signed.
    pub(crate) path: &'r str,
    /// The path's parameters by name.
    pub(crate) parameters: matchit::Params<'static, 'r>,
    /// The body as it came.
    pub(crate) body: Vec<u8>,
}

impl Call<'_> {
    /// A parameter of the path, as it came.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.parameters.get(name).unwrap_or_default()
    }

    /// A parameter of the path that must be of a kind.
    pub(crate) fn parsed<T: FromStr>(&self, name: &str) -> Result<T, Problem>
    where
        T::Err: std::fmt::Display,
    {
        parsed(self.text(name))
    }

    /// The parameters of the query. One that is not known is refused: a typing error would widen the question.
    pub(crate) fn query<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        let text = self.request.raw_query_string.as_deref().unwrap_or_default();
        serde_html_form::from_str(text)
            .map_err(|error| Problem::BadRequest(format!("the query is wrong: {error}")))
    }

    /// The body as what it must be.
    pub(crate) fn order<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        let bad = |error| Problem::BadRequest(format!("the body can't be read: {error}"));
        let mut body: Value = serde_json::from_slice(&self.body).map_err(bad)?;
        whole_numbers(&mut body);
        serde_json::from_value(body).map_err(bad)
    }

    /// Who asks.
    pub(crate) fn by(&self) -> String {
        self.principal.name.clone()
    }

    /// The key that makes asking again the same wish, if there is one.
    pub(crate) fn idempotency_key(&self) -> Result<Option<&str>, Problem> {
        let Some(key) = self.request.headers.get("idempotency-key") else { return Ok(None) };
        let key = key.to_str().ok().filter(|key| (1..=200).contains(&key.len()));
        key.map(Some).ok_or_else(|| {
            Problem::BadRequest("the header idempotency-key must be 1 to 200 printable characters".into())
        })
    }

    /// The delivery that this order is: asking again for the same under the same key is the same one, and another
    /// caller's or another request's never is. Without a key this very request is meant.
    pub(crate) fn delivery(&self, kind: &str) -> Result<String, Problem> {
        let own = self.request.request_context.request_id.as_deref();
        let key = self
            .idempotency_key()?
            .or(own)
            .ok_or_else(|| Problem::BadRequest("send the header idempotency-key".into()))?;
        Ok(made_id(kind, &[&self.principal.name, key, self.path, &String::from_utf8_lossy(&self.body)]))
    }
}

/// JSON has one kind of number, and some write a whole one as `1.0`.
fn whole_numbers(value: &mut Value) {
    match value {
        Value::Number(number) => {
            let whole = number.as_f64().filter(|_| number.is_f64()).filter(|float| float.fract() == 0.0);
            if let Some(whole) = whole.and_then(|float| format!("{float:.0}").parse::<i64>().ok()) {
                *value = whole.into();
            }
        }
        Value::Array(values) => values.iter_mut().for_each(whole_numbers),
        Value::Object(fields) => fields.values_mut().for_each(whole_numbers),
        _ => {}
    }
}

/// A text that must be of a kind.
pub(crate) fn parsed<T: FromStr>(text: &str) -> Result<T, Problem>
where
    T::Err: std::fmt::Display,
{
    text.parse().map_err(|error: T::Err| Problem::BadRequest(error.to_string()))
}

/// The body of a request, within bounds.
pub(crate) fn body(request: &ApiGatewayV2httpRequest) -> Result<Vec<u8>, Problem> {
    let text = request.body.as_deref().unwrap_or_default();
    // Base64 takes four characters for three bytes.
    if text.len() > MAX_BODY * 4 / 3 + 4 {
        return Err(Problem::TooLarge(MAX_BODY));
    }
    let bytes = if request.is_base64_encoded {
        let bad = |error| Problem::BadRequest(format!("the body can't be read: {error}"));
        base64::engine::general_purpose::STANDARD.decode(text).map_err(bad)?
    } else {
        text.as_bytes().to_vec()
    };
    if bytes.len() > MAX_BODY { Err(Problem::TooLarge(MAX_BODY)) } else { Ok(bytes) }
}

/// Whether the body is said to be JSON. A page of another site can't say so without being asked for leave first.
pub(crate) fn is_json(request: &ApiGatewayV2httpRequest) -> bool {
    let kind =
        request.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}
