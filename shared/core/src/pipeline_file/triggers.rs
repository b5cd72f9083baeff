//! What starts a run: `on` of a pipeline file, and its decision about one occasion.
//!
//! Branches and tags are told apart by the full ref, so that a tag called `main` is never taken for the
//! branch. Every decision is a sentence for the person who asks why (not); nothing here fetches anything, so
//! where changed files matter the answer is to ask for them.

use super::filter::Filter;
use super::messages;
use super::schedule::Schedule;
use crate::forge::Changes;
use crate::ids::{CommitSha, RefKind, RefName};

/// What starts a run of the pipeline.
#[derive(Debug, Clone)]
pub struct Triggers {
    pub(super) path: String,
    pub(super) push: Option<Push>,
    pub(super) pull_request: Option<PullRequest>,
    pub(super) schedules: Vec<Schedule>,
    pub(super) images: Vec<ImageTrigger>,
}

/// `on.push`.
#[derive(Debug, Clone)]
pub(super) struct Push {
    pub(super) branches: Option<Filter>,
    pub(super) tags: Option<Filter>,
    pub(super) paths: Paths,
}

/// `on.pull_request`.
#[derive(Debug, Clone)]
pub(super) struct PullRequest {
    pub(super) branches: Option<Filter>,
    pub(super) paths: Paths,
}

/// `paths` and `paths_ignore`.
#[derive(Debug, Clone)]
pub(super) struct Paths {
    pub(super) only: Option<Filter>,
    pub(super) ignore: Option<Filter>,
}

/// A repository of container images whose pushes start runs.
#[derive(Debug, Clone)]
pub struct ImageTrigger {
    /// The repository's name in the registry, compared byte for byte.
    pub repository: String,
    pub(super) tags: Option<Filter>,
}

/// Something that may start a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Occasion<'a> {
    /// A ref was created or moved.
    Push(&'a RefName),
    /// A pull request was opened or moved.
    PullRequest {
        /// The short name of the branch that it asks to be merged into.
        base: &'a str,
    },
    /// The time of a schedule came.
    Schedule {
        /// The schedule's expression, as the file writes it.
        expression: &'a str,
    },
    /// An image was pushed to a registry.
    Image {
        /// The repository's name in the registry.
        repository: &'a str,
        /// The tag that was pushed; none for a push by digest alone.
        tag: Option<&'a str>,
    },
    /// A person or a program asked for a run.
    Manual,
}

/// What an occasion leads to, with the rule that says so in words for the person who asks.
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
    /// The ref matches, and a path filter has to be asked: see [`Triggers::decide_paths`].
    AskPaths,
}

impl Triggers {
    /// Whether an occasion starts a run, and by which rule.
    pub fn decide(&self, occasion: &Occasion<'_>) -> Decision {
        self.judge(occasion).unwrap_or(Decision::AskPaths)
    }

    /// The same with the changed files at hand; never answers [`Decision::AskPaths`].
    ///
    /// `base` is the commit that `changes` start from: for a push the last one whose run of this pipeline on
    /// this branch was green. Without one, or where the files are unknown, a run starts: to build once too
    /// often is cheap, to skip a change is not.
    pub fn decide_paths(
        &self,
        occasion: &Occasion<'_>,
        base: Option<&CommitSha>,
        changes: &Changes,
    ) -> Decision {
        let paths = match self.judge(occasion) {
            Ok(decision) => return decision,
            Err(paths) => paths,
        };
        match (base, changes) {
            (None, _) => Decision::Run { rule: messages::no_base(&self.path) },
            (Some(base), Changes::Unknown(why)) => {
                Decision::Run { rule: messages::unknown_changes(base, why) }
            }
            (Some(base), Changes::Files(files)) => paths.decide(&self.path, base, files),
        }
    }

    /// The decision, or the path filter that has to be asked.
    fn judge(&self, occasion: &Occasion<'_>) -> Result<Decision, &Paths> {
        let path = &self.path;
        match *occasion {
            Occasion::Push(pushed) => self.judge_push(pushed),
            Occasion::PullRequest { base } => self.judge_pull_request(base),
            Occasion::Schedule { expression } => {
                let known = self.schedules.iter().any(|schedule| schedule.expression() == expression);
                Ok(if known {
                    Decision::Run { rule: messages::schedule_fires(expression, path) }
                } else {
                    Decision::Ignore { rule: messages::no_such_schedule(expression, path) }
                })
            }
            Occasion::Image { repository, tag } => self.judge_image(repository, tag),
            Occasion::Manual => Ok(Decision::Run { rule: messages::MANUAL_START.to_owned() }),
        }
    }

    fn judge_push(&self, pushed: &RefName) -> Result<Decision, &Paths> {
        let path = &self.path;
        let ignore = |rule| Ok(Decision::Ignore { rule });
        let Some(push) = &self.push else { return ignore(messages::not_on("a push", "push", path)) };
        match pushed.kind() {
            RefKind::Branch(name) => match &push.branches {
                Some(filter) => named("branch", name, filter, path, &push.paths),
                None => ignore(messages::not_filtered("branch", name, "branches", path)),
            },
            // A tag marks a commit; it changes no file.
            RefKind::Tag(name) => match &push.tags {
                Some(filter) => named("tag", name, filter, path, &Paths::NONE),
                None => ignore(messages::not_filtered("tag", name, "tags", path)),
            },
            RefKind::Other => ignore(messages::neither_branch_nor_tag(pushed.as_str(), path)),
        }
    }

    fn judge_pull_request(&self, base: &str) -> Result<Decision, &Paths> {
        let path = &self.path;
        let Some(pull) = &self.pull_request else {
            return Ok(Decision::Ignore { rule: messages::not_on("a pull request", "pull_request", path) });
        };
        match &pull.branches {
            Some(filter) => named("pull request into", base, filter, path, &pull.paths),
            None if pull.paths.is_none() => {
                Ok(Decision::Run { rule: messages::any_pull_request(base, path) })
            }
            None => Err(&pull.paths),
        }
    }

    fn judge_image(&self, repository: &str, tag: Option<&str>) -> Result<Decision, &Paths> {
        let path = &self.path;
        let Some(trigger) = self.images.iter().find(|trigger| trigger.repository == repository) else {
            return Ok(Decision::Ignore { rule: messages::no_such_image(repository, path) });
        };
        match (&trigger.tags, tag) {
            (None, _) => Ok(Decision::Run { rule: messages::any_image(repository, path) }),
            (Some(_), None) => Ok(Decision::Ignore { rule: messages::image_without_tag(repository, path) }),
            (Some(filter), Some(tag)) => named("image tag", tag, filter, path, &Paths::NONE),
        }
    }
}

/// What a filter says of one name.
fn named<'p>(
    kind: &str,
    name: &str,
    filter: &Filter,
    path: &str,
    paths: &'p Paths,
) -> Result<Decision, &'p Paths> {
    let key = filter.key;
    match filter.deciding(name) {
        None => {
            Ok(Decision::Ignore { rule: messages::matches_none(kind, name, &filter.listed(), key, path) })
        }
        Some(pattern) if pattern.excludes() => {
            Ok(Decision::Ignore { rule: messages::excluded(kind, name, &pattern.text, key, path) })
        }
        Some(_) if !paths.is_none() => Err(paths),
        Some(pattern) => Ok(Decision::Run { rule: messages::matches(kind, name, &pattern.text, key, path) }),
    }
}

impl Paths {
    const NONE: Self = Self { only: None, ignore: None };

    fn is_none(&self) -> bool {
        self.only.is_none() && self.ignore.is_none()
    }

    /// Runs if a file is matched by `paths`, where there are any, and is not matched by `paths_ignore`.
    fn decide(&self, path: &str, base: &CommitSha, files: &[String]) -> Decision {
        let (mut unwanted, mut ignored) = (0_usize, 0_usize);
        for file in files {
            let wanted = match &self.only {
                None => Ok(None),
                Some(filter) => filter.admits(file).map(Some).ok_or(()),
            };
            let Ok(pattern) = wanted else {
                unwanted += 1;
                continue;
            };
            if self.ignore.as_ref().is_some_and(|ignore| ignore.admits(file).is_some()) {
                ignored += 1;
                continue;
            }
            let key = self.only.as_ref().or(self.ignore.as_ref()).map_or("paths", |filter| filter.key);
            let pattern = pattern.map(|pattern| pattern.text.as_str());
            return Decision::Run { rule: messages::path_matters(file, pattern, key, base, path) };
        }
        Decision::Ignore { rule: messages::no_path_matters(files.len(), unwanted, ignored, base, path) }
    }
}

/// The marker in a commit message by which its author asks for no run, as the message rule's name for it.
///
/// Anywhere in the message, in ASCII letters of either case.
pub fn skip_marker(message: &str) -> Option<&'static str> {
    const MARKERS: [&str; 4] = ["[skip ci]", "[ci skip]", "[no ci]", "[skip pushway]"];
    let message = message.to_ascii_lowercase();
    MARKERS.into_iter().find(|marker| message.contains(marker))
}
