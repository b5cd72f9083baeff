//! Lists of glob patterns, and which of them decides about a name.
//!
//! A pattern is compared with the name as a whole: `main` is neither `main-evil` nor `x/main`. The last
//! pattern that matches decides, so that `["**", "!wip/**"]` reads as it says. Matching takes time linear in
//! the name whatever the patterns are: they become automata, never backtracking.

use globset::{Glob, GlobBuilder, GlobSet, GlobSetBuilder};

use super::messages::{self, Words};

/// What the names of a filter are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Names {
    /// Branches, tags of a repository or tags of an image.
    Short,
    /// Paths in the repository.
    Paths,
}

/// Patterns in the order of the file.
#[derive(Debug, Clone)]
pub(super) struct Filter {
    /// Where the filter stands, for rules: `on.push.branches`.
    pub(super) key: &'static str,
    patterns: Vec<Pattern>,
    globs: GlobSet,
}

/// One pattern as written, with its matcher.
#[derive(Debug, Clone)]
pub(super) struct Pattern {
    pub(super) text: String,
    glob: Glob,
}

impl Pattern {
    pub(super) fn new(text: &str, names: Names) -> Result<Self, Words> {
        let glob = text.strip_prefix('!').unwrap_or(text);
        if glob.is_empty() {
            return Err(messages::empty_pattern());
        }
        if text.contains("${") {
            return Err(messages::expression_in_pattern(text));
        }
        match names {
            Names::Short if glob.starts_with("refs/") => return Err(messages::full_ref_pattern(text)),
            // Such a pattern could never match, and nobody writes it to that end.
            Names::Paths if glob.starts_with(['/', '.']) && !is_dot_file(glob) => {
                return Err(messages::rooted_path_pattern(text));
            }
            Names::Paths if glob.ends_with('/') => return Err(messages::folder_pattern(text)),
            _ => {}
        }
        GlobBuilder::new(glob)
            .literal_separator(true)
            .backslash_escape(true)
            .build()
            .map(|glob| Self { text: text.to_owned(), glob })
            .map_err(|error| messages::bad_pattern(text, error.kind()))
    }

    pub(super) fn excludes(&self) -> bool {
        self.text.starts_with('!')
    }
}

/// `.github/**`, not `./src` or `../x`.
fn is_dot_file(glob: &str) -> bool {
    glob.strip_prefix('.').is_some_and(|rest| !rest.is_empty() && !rest.starts_with(['/', '.']))
}

impl Filter {
    pub(super) fn new(key: &'static str, patterns: Vec<Pattern>) -> Result<Self, Words> {
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
        Ok(Self { key, patterns, globs })
    }

    /// The last pattern that matches the whole name.
    pub(super) fn deciding(&self, name: &str) -> Option<&Pattern> {
        let last = self.globs.matches(name).into_iter().max()?;
        self.patterns.get(last)
    }

    /// Whether the filter lets the name through, and by which pattern.
    pub(super) fn admits(&self, name: &str) -> Option<&Pattern> {
        self.deciding(name).filter(|pattern| !pattern.excludes())
    }

    pub(super) fn listed(&self) -> String {
        self.patterns.iter().map(|pattern| pattern.text.as_str()).collect::<Vec<_>>().join(", ")
    }
}
