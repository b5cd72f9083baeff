//! A server that speaks the protocols of three services by a script. Whatever is asked beyond it fails.

use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use minicbor::data::{Tag, Type};
use minicbor::{Decoder, Encoder};
use pushway_aws::{Aws, Settings};
use serde_json::{Value, json};

use crate::serve;

/// What is asked, in order, and what is answered: a body (XML as a text), or a status and an error's code.
pub(crate) type Script = Vec<(&'static str, Value, Result<Value, (u16, &'static str)>)>;

/// A server that answers by the script.
pub(crate) struct Fake {
    pub(crate) aws: Aws,
    left: Arc<Mutex<Script>>,
}

impl Fake {
    pub(crate) async fn start(script: Script) -> Self {
        let left = Arc::new(Mutex::new(script));
        let asked = Arc::clone(&left);
        let answer = move |uri: Uri, headers: HeaderMap, body: Bytes| {
            let asked = Arc::clone(&asked);
            async move { reply(&mut asked.lock().expect("it is there"), &uri, &headers, &body) }
        };
        let config = serve(axum::Router::new().fallback(answer)).await;
        Self { aws: Aws::with_config(&config, Settings::for_table("unused")), left }
    }

    /// Everything was asked for.
    pub(crate) fn done(self) {
        let left = self.left.lock().expect("it is there");
        assert!(left.is_empty(), "never asked: {left:?}");
    }
}

/// The protocols of the three services.
#[derive(Clone, Copy)]
enum Protocol {
    /// Smithy RPC v2: the operation in the path.
    Cbor,
    /// AWS JSON 1.1: the operation in a header.
    Json,
    /// AWS query: the operation in a form, the answer in XML.
    Query,
}

fn reply(script: &mut Script, uri: &Uri, headers: &HeaderMap, body: &Bytes) -> Response {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (protocol, operation, asked) = if header("smithy-protocol") == "rpc-v2-cbor" {
        let operation = uri.path().rsplit('/').next().unwrap_or_default().to_owned();
        (Protocol::Cbor, operation, decoded(&mut Decoder::new(body)))
    } else if let Some((_, operation)) = header("x-amz-target").split_once('.') {
        (Protocol::Json, operation.to_owned(), serde_json::from_slice(body).expect("JSON"))
    } else {
        let mut form: serde_json::Map<String, Value> = url::form_urlencoded::parse(body)
            .map(|(name, value)| (name.into_owned(), value.into_owned().into()))
            .collect();
        form.remove("Version");
        let action = form.remove("Action").and_then(|action| action.as_str().map(str::to_owned));
        (Protocol::Query, action.unwrap_or_default(), Value::Object(form))
    };
    if script.first().is_none_or(|(wanted, request, _)| *wanted != operation || *request != asked) {
        let wanted = script.first().map(|(wanted, request, _)| format!("{wanted} {request}"));
        return shaped(
            protocol,
            400,
            &error(protocol, "Unexpected", &format!("{operation} {asked}, not {wanted:?}")),
        );
    }
    match script.remove(0).2 {
        Ok(answer) => shaped(protocol, 200, &answer),
        Err((status, code)) => shaped(protocol, status, &error(protocol, code, "no")),
    }
}

fn error(protocol: Protocol, code: &str, message: &str) -> Value {
    match protocol {
        Protocol::Query => {
            format!("<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error></ErrorResponse>").into()
        }
        Protocol::Cbor | Protocol::Json => json!({ "__type": code, "message": message }),
    }
}

fn shaped(protocol: Protocol, status: u16, body: &Value) -> Response {
    let status = StatusCode::from_u16(status).expect("a status");
    match protocol {
        Protocol::Cbor => {
            let mut encoder = Encoder::new(Vec::new());
            encode(&mut encoder, body);
            let headers = [("smithy-protocol", "rpc-v2-cbor"), ("content-type", "application/cbor")];
            (status, headers, encoder.into_writer()).into_response()
        }
        Protocol::Json => {
            (status, [("content-type", "application/x-amz-json-1.1")], body.to_string()).into_response()
        }
        Protocol::Query => {
            let text = body.as_str().expect("XML").to_owned();
            (status, [("content-type", "text/xml")], text).into_response()
        }
    }
}

/// A value of JSON in CBOR; `{"at": 60}` is a time.
fn encode(encoder: &mut Encoder<Vec<u8>>, value: &Value) {
    let size = |length: usize| u64::try_from(length).expect("a size");
    match value {
        Value::Null => drop(encoder.null().expect("it is written")),
        Value::Bool(flag) => drop(encoder.bool(*flag).expect("it is written")),
        Value::Number(number) => match number.as_i64() {
            Some(whole) => drop(encoder.i64(whole).expect("it is written")),
            None => drop(encoder.f64(number.as_f64().expect("a number")).expect("it is written")),
        },
        Value::String(text) => drop(encoder.str(text).expect("it is written")),
        Value::Array(items) => {
            encoder.array(size(items.len())).expect("it is written");
            for item in items {
                encode(encoder, item);
            }
        }
        Value::Object(fields) if fields.keys().eq(["at"]) => {
            encoder.tag(Tag::new(1)).expect("it is written");
            encode(encoder, &fields["at"]);
        }
        Value::Object(fields) => {
            encoder.map(size(fields.len())).expect("it is written");
            for (name, value) in fields {
                encoder.str(name).expect("it is written");
                encode(encoder, value);
            }
        }
    }
}

/// CBOR as a value of JSON, the other way round.
fn decoded(decoder: &mut Decoder<'_>) -> Value {
    match decoder.datatype().expect("CBOR") {
        Type::Map | Type::MapIndef => {
            let (length, mut fields) = (decoder.map().expect("a map"), serde_json::Map::new());
            while !is_over(decoder, length, fields.len()) {
                let name = decoder.str().expect("a name").to_owned();
                fields.insert(name, decoded(decoder));
            }
            Value::Object(fields)
        }
        Type::Array | Type::ArrayIndef => {
            let (length, mut items) = (decoder.array().expect("a list"), Vec::new());
            while !is_over(decoder, length, items.len()) {
                items.push(decoded(decoder));
            }
            Value::Array(items)
        }
        Type::Tag => {
            decoder.tag().expect("a tag");
            json!({ "at": decoded(decoder) })
        }
        Type::String => decoder.str().expect("a text").into(),
        Type::Bool => decoder.bool().expect("a flag").into(),
        Type::F16 | Type::F32 | Type::F64 => {
            let number = decoder.f64().expect("a number");
            // Times are whole seconds here.
            #[expect(clippy::cast_possible_truncation, reason = "they are small")]
            let whole = number as i64;
            whole.into()
        }
        _ => decoder.i64().expect("a whole number").into(),
    }
}

fn is_over(decoder: &mut Decoder<'_>, length: Option<u64>, seen: usize) -> bool {
    if let Some(length) = length {
        return u64::try_from(seen) == Ok(length);
    }
    let is_over = decoder.datatype().expect("CBOR") == Type::Break;
    if is_over {
        decoder.skip().expect("an end");
    }
    is_over
}
