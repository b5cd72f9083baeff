//! Texts that forges give, as the core's types: files, paths, ids; and ours in the lengths they take.
//!
//! Nothing is guessed: what is too long or not UTF-8 is refused, what is no path inside a repository is
//! left out.

use pushway_core::fact::bounded;
use pushway_core::ids::{InvalidId, RepositoryId, RepositoryPath};
use pushway_core::ports::{Answer, Fault};
use serde::Deserialize;

use crate::http::Reply;

/// The largest file that is read, in bytes: pipeline files and buildspecs are a few KiB.
pub const MAX_FILE_BYTES: usize = 64 * 1024;
/// The longest description of a status that GitHub shows, in characters; the others take more.
const MAX_DESCRIPTION: usize = 140;

/// What is said of a file that is too large to be read.
pub fn too_large(path: &RepositoryPath) -> Fault {
    Fault::Permanent(format!("{path} is larger than {} KiB; make it smaller", MAX_FILE_BYTES / 1024))
}

/// A file's bytes as text, if they are text and not too many.
pub fn readable(path: &RepositoryPath, bytes: Vec<u8>) -> Answer<String> {
    if bytes.len() > MAX_FILE_BYTES {
        return Err(too_large(path));
    }
    String::from_utf8(bytes)
        .map_err(|_| Fault::Permanent(format!("{path} is not UTF-8; save it in that encoding")))
}

/// What is said of a folder that is not listed in full.
pub(crate) fn too_many(path: &RepositoryPath) -> Fault {
    Fault::Permanent(format!("the folder {path} has too many files to list; keep fewer there"))
}

/// A file as it was answered; `None` where there is none.
pub(crate) fn of(path: &RepositoryPath, reply: Reply) -> Answer<Option<String>> {
    match reply.found()? {
        None => Ok(None),
        Some(reply) if reply.is_cut => Err(too_large(path)),
        Some(reply) => readable(path, reply.body).map(Some),
    }
}

/// The paths among some names; a name that is no path can't be asked for either.
pub(crate) fn paths(names: impl Iterator<Item = String>) -> Vec<RepositoryPath> {
    names.filter_map(|name| name.parse().ok()).collect()
}

/// A repository's id.
pub(crate) fn repository_id(text: &str) -> Answer<RepositoryId> {
    text.parse()
        .map_err(|error: InvalidId| Fault::Permanent(format!("the forge answered an odd id: {error}")))
}

/// A status's description in the length that forges take.
pub(crate) fn description(text: &str) -> String {
    if text.chars().count() <= MAX_DESCRIPTION {
        return text.to_owned();
    }
    text.chars().take(MAX_DESCRIPTION - 1).chain(['…']).collect()
}

/// A forge's words in a length that suits a line.
pub(crate) fn quoted(text: &str) -> String {
    bounded(text, 200)
}

/// An id that some forges give as a number and some as a text.
#[derive(Deserialize)]
#[serde(untagged)]
pub(crate) enum Id {
    Number(u64),
    Text(String),
}

impl std::fmt::Display for Id {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Text(text) => text.fmt(f),
        }
    }
}
