//! Task definitions as far as people compare them, and what one changes against another.
//!
//! Pure. No value of an environment variable ever enters a view: a fingerprint tells whether it changed. What is
//! left out of a definition counts as its default, so that a file and its registration look alike.

use std::collections::BTreeMap;

use crate::ids::ImageDigestRef;

/// A revision of a task definition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DefinitionView {
    /// CPU units of the whole task, where set.
    pub cpu: Option<String>,
    /// MiB of the whole task, where set.
    pub memory: Option<String>,
    /// Other settings by what people call them: roles, network mode, …
    pub settings: BTreeMap<String, String>,
    /// What is too long to be shown: a fingerprint of each part.
    pub parts: BTreeMap<String, String>,
    /// Its containers by name.
    pub containers: BTreeMap<String, ContainerDefinitionView>,
}

/// A container of a task definition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ContainerDefinitionView {
    /// Its image.
    pub image: String,
    /// Its own CPU units, where set.
    pub cpu: Option<String>,
    /// Its own MiB, where set.
    pub memory: Option<String>,
    /// Ports, as `8080/tcp`.
    pub ports: Vec<String>,
    /// Environment variables: a fingerprint of each value.
    pub env: BTreeMap<String, String>,
    /// Variables that hold secrets: a fingerprint of where each secret lies.
    pub secrets: BTreeMap<String, String>,
    /// Other settings by what people call them: command, user, …
    pub settings: BTreeMap<String, String>,
    /// What is too long to be shown: a fingerprint of each part.
    pub parts: BTreeMap<String, String>,
}

impl DefinitionView {
    /// With other images for the containers that it has.
    #[must_use]
    pub fn with_images(mut self, images: &BTreeMap<String, ImageDigestRef>) -> Self {
        for (name, image) in images {
            if let Some(container) = self.containers.get_mut(name) {
                container.image = image.to_string();
            }
        }
        self
    }
}

/// What `new` changes against `old`, a line each.
pub fn changes(old: &DefinitionView, new: &DefinitionView) -> Vec<String> {
    let mut lines = Vec::new();
    one(&mut lines, "cpu", old.cpu.as_deref(), new.cpu.as_deref());
    one(&mut lines, "memory", old.memory.as_deref(), new.memory.as_deref());
    shown(&mut lines, "", &old.settings, &new.settings);
    hidden(&mut lines, "", &old.parts, &new.parts);
    for name in keys(&old.containers, &new.containers) {
        match (old.containers.get(name), new.containers.get(name)) {
            (Some(old), Some(new)) => container(&mut lines, name, old, new),
            (None, Some(new)) => lines.push(format!("container {name} added, with image {}", new.image)),
            _ => lines.push(format!("container {name} removed")),
        }
    }
    lines
}

fn container(
    lines: &mut Vec<String>,
    name: &str,
    old: &ContainerDefinitionView,
    new: &ContainerDefinitionView,
) {
    one(lines, &format!("{name}: image"), Some(&old.image), Some(&new.image));
    one(lines, &format!("{name}: cpu"), old.cpu.as_deref(), new.cpu.as_deref());
    one(lines, &format!("{name}: memory"), old.memory.as_deref(), new.memory.as_deref());
    let (was, is) = (old.ports.join(", "), new.ports.join(", "));
    one(lines, &format!("{name}: ports"), some(&was), some(&is));
    shown(lines, &format!("{name}: "), &old.settings, &new.settings);
    hidden(lines, &format!("{name}: "), &old.parts, &new.parts);
    hidden(lines, &format!("{name}: variable "), &old.env, &new.env);
    hidden(lines, &format!("{name}: secret "), &old.secrets, &new.secrets);
}

fn shown(lines: &mut Vec<String>, of: &str, old: &BTreeMap<String, String>, new: &BTreeMap<String, String>) {
    for name in keys(old, new) {
        let value = |map: &BTreeMap<String, String>| map.get(name).cloned();
        one(lines, &format!("{of}{name}"), value(old).as_deref(), value(new).as_deref());
    }
}

fn some(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

fn one(lines: &mut Vec<String>, what: &str, old: Option<&str>, new: Option<&str>) {
    if old != new {
        let word = |value: Option<&str>| value.unwrap_or("none").to_owned();
        lines.push(format!("{what}: {} → {}", word(old), word(new)));
    }
}

/// Names only: what the values are is nobody's business here.
fn hidden(
    lines: &mut Vec<String>,
    what: &str,
    old: &BTreeMap<String, String>,
    new: &BTreeMap<String, String>,
) {
    for name in keys(old, new) {
        let change = match (old.get(name), new.get(name)) {
            (Some(old), Some(new)) if old == new => continue,
            (Some(_), Some(_)) => "changed",
            (None, _) => "added",
            (_, None) => "removed",
        };
        lines.push(format!("{what}{name} {change}"));
    }
}

fn keys<'a, T>(
    old: &'a BTreeMap<String, T>,
    new: &'a BTreeMap<String, T>,
) -> impl Iterator<Item = &'a String> {
    old.keys().chain(new.keys().filter(|key| !old.contains_key(*key)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn changes_are_told_by_name_and_values_of_variables_never() {
        let web = |image: &str, env: &[(&str, &str)], secrets: &[(&str, &str)], ports: &[&str]| {
            ContainerDefinitionView {
                image: image.into(),
                ports: ports.iter().map(ToString::to_string).collect(),
                env: map(env),
                secrets: map(secrets),
                settings: map(&[("command", image)]),
                parts: map(&[("health check", "1")]),
                ..ContainerDefinitionView::default()
            }
        };
        let old = DefinitionView {
            cpu: Some("256".into()),
            memory: Some("512".into()),
            settings: map(&[("network mode", "awsvpc"), ("task role", "arn:aws:iam::1:role/a")]),
            parts: map(&[("volumes", "1")]),
            containers: BTreeMap::from([
                ("web".into(), web("web@1", &[("A", "1"), ("B", "hunter2")], &[("KEY", "x")], &["80/tcp"])),
                ("old".into(), web("old@1", &[], &[], &[])),
            ]),
        };
        let new = DefinitionView {
            cpu: Some("256".into()),
            memory: Some("1024".into()),
            settings: map(&[("network mode", "awsvpc"), ("task role", "arn:aws:iam::1:role/b")]),
            parts: map(&[]),
            containers: BTreeMap::from([
                ("new".into(), web("new@1", &[], &[], &[])),
                ("web".into(), web("web@2", &[("B", "hunter3"), ("C", "1")], &[("KEY", "y")], &[])),
            ]),
        };
        insta::assert_snapshot!(changes(&old, &new).join("\n"), @r"
        memory: 512 → 1024
        task role: arn:aws:iam::1:role/a → arn:aws:iam::1:role/b
        volumes removed
        container old removed
        web: image: web@1 → web@2
        web: ports: 80/tcp → none
        web: command: web@1 → web@2
        web: variable A removed
        web: variable B changed
        web: variable C added
        web: secret KEY changed
        container new added, with image new@1
        ");
        assert_eq!(changes(&old, &old), Vec::<String>::new());
    }
}
