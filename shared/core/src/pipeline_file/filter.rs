//! Which pushes start a run: `on` of a pipeline file, and its decision about one ref.
//!
//! Branches and tags are filtered apart, by the short name as a whole: `main` is neither `main-evil` nor a
//! tag called `main`. The last pattern that matches decides, so that `["**", "!wip/**"]` reads as it says.

use globset::{Glob, GlobBuilder, GlobSet, GlobSetBuilder};

use super::messages::{self, Words};
use crate::ids::{RefKind, RefName};

/// What starts a run of the pipeline.
#[derive(Debug, Clone)]
pub struct Triggers {
    pub(super) path: String,
    pub(super) branches: Option<Filter>,
    pub(super) tags: Option<Filter>,
}

/// What a push to a ref does, with the rule that says so in words for the person who pushed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// A run starts.
    Run {
        /// Which pattern of which file said so.
        rule: String,
    },
    /// Nothing starts.
    Ignore {
        /// Why not.
        rule: String,
    },
}

/// Patterns for short ref names, in the order of the file.
#[derive(Debug, Clone)]
pub(super) struct Filter {
    patterns: Vec<Pattern>,
    globs: GlobSet,
}

/// One pattern as written, with its matcher.
#[derive(Debug, Clone)]
pub(super) struct Pattern {
    text: String,
    glob: Glob,
}

impl Pattern {
    pub(super) fn new(text: &str) -> Result<Self, Words> {
        let glob = text.strip_prefix('!').unwrap_or(text);
        if glob.is_empty() {
            return Err(messages::empty_pattern());
        }
        if glob.starts_with("refs/") {
            return Err(messages::full_ref_pattern(text));
        }
        GlobBuilder::new(glob)
            .literal_separator(true)
            .backslash_escape(true)
            .build()
            .map(|glob| Self { text: text.to_owned(), glob })
            .map_err(|error| messages::bad_pattern(text, error.kind()))
    }

    fn excludes(&self) -> bool {
        self.text.starts_with('!')
    }
}

impl Filter {
    pub(super) fn new(patterns: Vec<Pattern>) -> Result<Self, Words> {
        if patterns.iter().all(Pattern::excludes) {
            return Err(messages::only_exclusions());
        }
        let mut globs = GlobSetBuilder::new();
        for pattern in &patterns {
            globs.add(pattern.glob.clone());
        }
        let globs = globs
            .build()
            .map_err(|error| messages::bad_pattern(error.glob().unwrap_or_default(), error.kind()))?;
        Ok(Self { patterns, globs })
    }

    /// The last pattern that matches the whole name.
    fn deciding(&self, name: &str) -> Option<&Pattern> {
        let last = self.globs.matches(name).into_iter().max()?;
        self.patterns.get(last)
    }

    fn listed(&self) -> String {
        self.patterns.iter().map(|pattern| pattern.text.as_str()).collect::<Vec<_>>().join(", ")
    }
}

impl Triggers {
    /// Whether a push that creates or moves this ref starts a run, and by which rule.
    pub fn decide(&self, pushed: &RefName) -> Decision {
        let (kind, key, name, filter) = match pushed.kind() {
            RefKind::Branch(name) => ("branch", "branches", name, &self.branches),
            RefKind::Tag(name) => ("tag", "tags", name, &self.tags),
            RefKind::Other => {
                return Decision::Ignore {
                    rule: messages::neither_branch_nor_tag(pushed.as_str(), &self.path),
                };
            }
        };
        let Some(filter) = filter else {
            return Decision::Ignore { rule: messages::not_filtered(kind, name, key, &self.path) };
        };
        match filter.deciding(name) {
            None => Decision::Ignore {
                rule: messages::matches_none(kind, name, &filter.listed(), key, &self.path),
            },
            Some(pattern) if pattern.excludes() => {
                Decision::Ignore { rule: messages::excluded(kind, name, &pattern.text, key, &self.path) }
            }
            Some(pattern) => {
                Decision::Run { rule: messages::matches(kind, name, &pattern.text, key, &self.path) }
            }
        }
    }
}
