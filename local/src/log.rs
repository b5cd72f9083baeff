//! The supervisor's log: one JSON line per fact on stderr, which `up` sends to `supervisor.log`.
//!
//! A message reads alone; fields carry the rest. Never a secret, a token or a body.

use std::io::Write as _;

use serde_json::{Value, json};

/// Writes one fact. `fields` is an object; its members stand beside `time` and `message`.
pub(crate) fn fact(message: &str, fields: Value) {
    let mut line = json!({ "time": jiff::Timestamp::now().to_string(), "message": message });
    if let (Some(line), Value::Object(fields)) = (line.as_object_mut(), fields) {
        line.extend(fields);
    }
    // A log that cannot be written must not stop the engine.
    let _unwritten = writeln!(std::io::stderr().lock(), "{line}");
}
