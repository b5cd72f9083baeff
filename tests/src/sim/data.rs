//! The data of states: payload templates, paths, result paths, the two expressions of a `Fail` state.
//!
//! A form that the state machine does not use is refused with a panic, never guessed at.

use std::collections::BTreeMap;

use pushway_core::contract::TaskToken;
use serde_json::{Map as Object, Value, json};

use super::asl::Fail;
use super::interpreter::Error;

/// What `$$` shows besides the input.
pub(super) struct Scope<'a> {
    pub(super) token: Option<&'a TaskToken>,
    pub(super) retries: u32,
    pub(super) item: Option<&'a Value>,
}

pub(super) fn fill(template: &BTreeMap<String, Value>, data: &Value, scope: &Scope<'_>) -> Value {
    let mut filled = Object::new();
    for (key, value) in template {
        match (key.strip_suffix(".$"), value) {
            (Some(key), Value::String(path)) => filled.insert(key.to_owned(), resolve(path, data, scope)),
            (None, Value::String(_) | Value::Number(_) | Value::Bool(_)) => {
                filled.insert(key.clone(), value.clone())
            }
            _ => panic!("{key} is of a form that is not played here: {value}"),
        };
    }
    Value::Object(filled)
}

fn resolve(path: &str, data: &Value, scope: &Scope<'_>) -> Value {
    match path {
        "$$.Task.Token" => {
            json!(scope.token.unwrap_or_else(|| panic!("only a callback task has a token")).expose())
        }
        "$$.State.RetryCount" => json!(scope.retries),
        "$$.Map.Item.Value" => scope.item.unwrap_or_else(|| panic!("only a map has items")).clone(),
        path => lookup(path, data),
    }
}

/// The value at a reference path; a path that leads nowhere fails as it would on AWS.
pub(super) fn lookup(path: &str, data: &Value) -> Value {
    try_lookup(path, data).unwrap_or_else(|| panic!("path {path} leads nowhere in {data}"))
}

fn try_lookup(path: &str, data: &Value) -> Option<Value> {
    let rest = path.strip_prefix('$').unwrap_or_else(|| panic!("{path} is no path"));
    let mut at = data;
    for part in rest.split('.').skip(1) {
        assert!(part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'), "{path} is not played here");
        at = at.get(part)?;
    }
    Some(at.clone())
}

/// `ResultPath`: the data with the result at its place.
pub(super) fn place(path: Option<&str>, mut data: Value, result: Value) -> Value {
    match path {
        None => data,
        Some("$") => result,
        Some(path) => {
            let key = path.strip_prefix("$.").filter(|key| !key.contains('.'));
            let key = key.unwrap_or_else(|| panic!("result path {path} is not played here"));
            data[key] = result;
            data
        }
    }
}

pub(super) fn failure(fail: &Fail, data: &Value) -> Error {
    let text = |value: Option<&String>, path: Option<&String>| match (value, path) {
        (Some(text), None) => expression(text, data),
        (None, Some(path)) => lookup(path, data).as_str().unwrap_or_default().to_owned(),
        (None, None) => String::new(),
        (Some(_), Some(_)) => panic!("a text and a path exclude each other"),
    };
    Error {
        name: text(fail.error.as_ref(), fail.error_path.as_ref()),
        cause: text(fail.cause.as_ref(), fail.cause_path.as_ref()),
    }
}

/// `{% $states.input.a.b %}`, or the same guarded by `$exists(…) ? … : ''`.
fn expression(text: &str, data: &Value) -> String {
    let Some(inner) = text.strip_prefix("{% ").and_then(|text| text.strip_suffix(" %}")) else {
        return text.to_owned();
    };
    let path = |text: &str| {
        let path = text.strip_prefix("$states.input");
        format!("${}", path.unwrap_or_else(|| panic!("expression {text} is not played here")))
    };
    let as_text = |value: Value| value.as_str().unwrap_or_default().to_owned();
    match inner.strip_prefix("$exists(").and_then(|rest| rest.split_once(") ? ")) {
        None => as_text(lookup(&path(inner), data)),
        Some((guard, rest)) => {
            let value = rest.strip_suffix(" : ''").unwrap_or_else(|| panic!("{inner} is not played here"));
            assert_eq!(guard, value, "the guard must ask for what is used");
            try_lookup(&path(value), data).map(as_text).unwrap_or_default()
        }
    }
}
