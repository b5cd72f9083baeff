//! The repository's files that are not code, as contract tests read them: template, state machine, events.
//!
//! Readers only: what must hold is said by the tests. Everything here panics where a file can't be read,
//! naming the file.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use serde_saphyr::Tagged;

/// The folder that holds `template.yaml`.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A file's text.
///
/// # Panics
/// When it can't be read.
pub fn text(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A JSON file.
///
/// # Panics
/// When it can't be read.
pub fn json(path: &str) -> Value {
    serde_json::from_str(&text(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// `template.yaml` with every short form in its long one: `!Ref X` is `{"Ref": "X"}`, `!GetAtt X.Arn` is
/// `{"Fn::GetAtt": "X.Arn"}` (`CloudFormation` User Guide, "Intrinsic function reference").
///
/// # Panics
/// When it can't be read.
pub fn template() -> Value {
    cloudformation("template.yaml")
}

/// The same of another `CloudFormation` template.
///
/// # Panics
/// When it can't be read.
pub fn cloudformation(path: &str) -> Value {
    let Node(value) = serde_saphyr::from_str(&text(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    value
}

/// The state machine.
///
/// # Panics
/// When it can't be read.
pub fn state_machine() -> Value {
    json("statemachine/pipeline.asl.json")
}

/// Names of the folders in `functions/`, of the files in `events/` and so on: entries without extension.
///
/// # Panics
/// When the folder can't be read.
pub fn entries(folder: &str) -> BTreeSet<String> {
    let path = root().join(folder);
    let read = std::fs::read_dir(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let stem = |path: PathBuf| path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    read.filter_map(|entry| stem(entry.ok()?.path())).collect()
}

/// All Rust source below a folder, joined.
///
/// # Panics
/// When a file can't be read.
pub fn sources(folder: &str) -> String {
    let mut all = String::new();
    let read = std::fs::read_dir(root().join(folder)).unwrap_or_else(|error| panic!("{folder}: {error}"));
    for path in read.filter_map(|entry| Some(entry.ok()?.path())) {
        let name = format!("{folder}/{}", path.file_name().unwrap_or_default().to_string_lossy());
        if path.is_dir() {
            all += &sources(&name);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            all += &text(name);
        }
    }
    all
}

/// `start-build` as the template writes it: `StartBuild`.
pub fn pascal(name: &str) -> String {
    let word = |word: &str| {
        let (first, rest) = word.split_at(word.len().min(1));
        first.to_uppercase() + rest
    };
    name.split('-').map(word).collect()
}

/// The resources of one type, by logical id.
pub fn resources<'t>(template: &'t Value, kind: &str) -> Vec<(&'t str, &'t Value)> {
    let all = template["Resources"].as_object().into_iter().flatten();
    all.filter(|(_, resource)| resource["Type"] == kind)
        .map(|(id, resource)| (id.as_str(), &resource["Properties"]))
        .collect()
}

/// A list, or a single thing where lists of one may be written so.
pub fn many(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(items) => items.iter().collect(),
        Value::Null => Vec::new(),
        one => vec![one],
    }
}

/// Texts of a list or of a single text.
pub fn texts(value: &Value) -> Vec<&str> {
    many(value).into_iter().filter_map(Value::as_str).collect()
}

/// A YAML node that may carry a tag.
struct Node(Value);

/// A YAML node without its own tag.
struct Plain(Value);

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Tagged(Plain(value), tag) = Tagged::deserialize(deserializer)?;
        let Some(name) = tag.as_deref().and_then(|tag| tag.strip_prefix('!')) else { return Ok(Self(value)) };
        let name = if name == "Ref" { name.to_owned() } else { format!("Fn::{name}") };
        Ok(Self(Value::Object(Map::from_iter([(name, value)]))))
    }
}

impl<'de> Deserialize<'de> for Plain {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PlainVisitor).map(Self)
    }
}

struct PlainVisitor;

impl<'de> Visitor<'de> for PlainVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML node")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(Node(item)) = sequence.next_element()? {
            items.push(item);
        }
        Ok(items.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut fields = Map::new();
        while let Some((name, Node(value))) = map.next_entry::<String, Node>()? {
            fields.insert(name, value);
        }
        Ok(fields.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_forms_become_long_ones() {
        let Node(value) = serde_saphyr::from_str(
            "a: !Ref AWS::Region\nb: !If [C, !Sub \"x-${Y}\", 1]\nc: { d: !GetAtt E.Arn, f: \"!Ref\" }\n",
        )
        .unwrap();
        let wanted = serde_json::json!({
            "a": { "Ref": "AWS::Region" },
            "b": { "Fn::If": ["C", { "Fn::Sub": "x-${Y}" }, 1] },
            "c": { "d": { "Fn::GetAtt": "E.Arn" }, "f": "!Ref" },
        });
        assert_eq!(value, wanted);
    }

    #[test]
    fn names_change_their_case() {
        assert_eq!(pascal("start-build"), "StartBuild");
        assert_eq!(pascal("api"), "Api");
    }
}
