//! The world with its texts exchanged.

use std::sync::OnceLock;

use super::{World, world};

/// Where the texts of the world are that may say anything: what is an id, a time or a word of a list refuses to be
/// anything else.
fn free_texts(value: &serde_json::Value) -> &'static [String] {
    static PATHS: OnceLock<Vec<String>> = OnceLock::new();
    PATHS.get_or_init(|| {
        let mut paths = Vec::new();
        strings(value, &mut String::new(), &mut paths);
        paths.retain(|path| {
            let mut tried = value.clone();
            *tried.pointer_mut(path).unwrap() = "<any thing>".into();
            serde_json::from_value::<World>(tried).is_ok()
        });
        paths
    })
}

/// The world with each text that may say anything saying `text`, names of containers included; and how many
/// those were.
pub(crate) fn poisoned(text: &str) -> (World, usize) {
    let mut value = serde_json::to_value(world()).unwrap();
    let paths = free_texts(&value);
    for path in paths {
        *value.pointer_mut(path).unwrap() = text.into();
    }
    let quoted = serde_json::to_string(text).unwrap();
    let whole = value.to_string().replace("\"web\":", &format!("{quoted}:"));
    (serde_json::from_str(&whole).unwrap(), paths.len())
}

fn strings(value: &serde_json::Value, path: &mut String, paths: &mut Vec<String>) {
    let inside: Vec<(String, &serde_json::Value)> = match value {
        serde_json::Value::String(_) => return paths.push(path.clone()),
        serde_json::Value::Array(list) => {
            list.iter().enumerate().map(|(place, value)| (place.to_string(), value)).collect()
        }
        serde_json::Value::Object(fields) => {
            fields.iter().map(|(name, value)| (name.replace('~', "~0").replace('/', "~1"), value)).collect()
        }
        _ => return,
    };
    for (name, value) in inside {
        let long = path.len();
        path.push('/');
        path.push_str(&name);
        strings(value, path, paths);
        path.truncate(long);
    }
}
